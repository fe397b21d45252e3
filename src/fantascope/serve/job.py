"""What is known of a job, and an error of one that was written down."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from fantascope.errors import FantascopeError
from fantascope.serve.fair import Priority
from fantascope.serve.hub import ENDS

Status = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class Job:
    """What is known of a job.

    Attributes:
        id: Name of the job.
        account: Whose it is.
        task: Of its request.
        status: queued, running, done, failed or cancelled.
        request: The resolved request, as plain data.
        said: The request as it was sent.
        quote: Credits it was quoted.
        created: When it was accepted.
        artifacts: Ids of what was kept, by number of the picture; in part while it runs.
        error: Why it failed, as `FantascopeError.as_dict` says it.
        priority: low, normal or high.
        progress: The last step's facts, while it runs in this life of the server.
        taught: Of a lesson that is done, what it made: name, kind, bytes …
    """

    id: str
    account: str
    task: str
    status: Status
    request: dict[str, Any]
    said: dict[str, Any]
    quote: float
    created: datetime
    artifacts: dict[int, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    priority: Priority = "normal"
    progress: dict[str, Any] | None = None
    taught: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in ENDS

    def public(self) -> dict[str, Any]:
        """Return the job as a client sees it."""
        return {
            "id": self.id,
            "object": "job",
            "task": self.task,
            "status": self.status,
            "created": self.created.isoformat(timespec="milliseconds"),
            "priority": self.priority,
            "quote": self.quote,
            "n": self.request.get("n", 1),
            "artifacts": [self.artifacts[k] for k in sorted(self.artifacts)],
            "progress": self.progress,
            "error": self.error,
            "taught": self.taught,
            "request": self.request,
        }


def named(account: str, key: str) -> str:
    """Return the name of the job that an account's key stands for."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{account}\0{key}".encode()).digest()[:16]))


def revived(error: dict[str, Any]) -> FantascopeError:
    """Return an error of a job's record as the error of our tree that it was: same code, status, message and facts."""
    return _Revived(error)


class _Revived(FantascopeError):
    """An error that was written down."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts["message"], param=facts.get("param"), hint=facts.get("hint"))
        self.facts = facts
        self.code, self.status = facts["code"], facts["status"]  # type: ignore[misc]

    def as_dict(self) -> dict[str, Any]:
        return dict(self.facts)


class Left(BaseException):
    """The server stops: this job goes on at the next start. No `Exception`, so that nothing takes it for its end."""
