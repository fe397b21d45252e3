"""The desk: a request becomes a job that survives the server.

A job is accepted in this order: the request is admitted (resolved, judged, priced), its price is held in the ledger
under the job's name, then the job is written down. Only then does the client get an answer. The job is one durable
workflow (DBOS, on SQLite or PostgreSQL); what it has done is in the gallery, where a picture, its charge and its number
within the job are one transaction. Killed at any moment and begun again, a job keeps and charges every picture once.

How long a job waits is up to `fair`. Jobs that run at the same time meet at the engine, where those that agree on
everything but their words share a batch (`engines.together`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from fantascope.artifact import Artifact, Step
from fantascope.errors import Cancelled, Conflict, FantascopeError, NotFound, Stopping, TooMany
from fantascope.request import Request, parse_request
from fantascope.resolve import Admitted
from fantascope.serve.fair import Fair, Priority
from fantascope.serve.hub import ENDS, Event, Hub
from fantascope.serve.people import Caller, People
from fantascope.serve.places import unplaced
from fantascope.serve.records import Record, Records

if TYPE_CHECKING:
    from fantascope.studio import Studio

log = logging.getLogger(__name__)

Status = Literal["queued", "running", "done", "failed", "cancelled"]
Listener = Callable[[str, str, int, float], None]
WORKERS = 16
"""Jobs that are begun at a time: enough to fill a batch, few enough that the next in turn need not wait long."""
WAITING = 256
"""Jobs of one account that may wait or run."""
ADMITTED = 256
"""Admitted requests kept until their job begins; one that was forgotten, or was of another life, is admitted again."""


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
            "request": self.request,
        }


class Desk:
    """Accepts, runs, tells of and ends jobs. There is one in a process, as DBOS is one in a process.

    Args:
        studio: The operator's studio; callers' studios come from it.
        people: Who they are.
        folder: Where the jobs' database is, unless `url` says otherwise.
        url: SQLAlchemy URL of a PostgreSQL database for the jobs.
        workers: Jobs that are begun at a time.
        waiting: Jobs of one account that may wait or run.
    """

    def __init__(
        self,
        studio: Studio,
        people: People,
        folder: Path,
        *,
        url: str | None = None,
        workers: int = WORKERS,
        waiting: int = WAITING,
    ) -> None:
        self.hub, self.fair = Hub(), Fair()
        self._studio, self._people, self._waiting = studio, people, waiting
        self._records = Records(folder, url, workers, self._work)
        self._admitted: dict[str, Admitted] = {}
        self._stop: set[str] = set()
        self._guard = threading.Lock()
        # After a crash many jobs begin at once: one is admitted after the other, so that the first soon paints.
        self._readmitting = threading.Lock()
        self._listeners: list[Listener] = []
        self._gate = threading.Event()
        self._paused = folder / "paused"
        self._closing = self._leaving = False
        if not self._paused.exists():
            self._gate.set()

    # Life

    def open(self) -> None:
        """Begin: jobs that were accepted and did not end go on; what was held for jobs that are gone is refunded."""
        held = self._studio.gallery.job_holds()
        self._records.open()
        waiting = list(self._records.live())
        self.fair.restore((record.order["account"], record.order["tag"]) for record in waiting)
        live = {record.id for record in waiting}
        for job, hold in held.items():
            if job not in live:
                log.info("refunding what was held for job %s, which is gone", job)
                self._studio.gallery.release(hold)

    def close(self, grace: float = 20.0) -> None:
        """Take no more jobs, let those that paint end within `grace` seconds, and leave the rest for the next start."""
        self._closing = True
        end = time.monotonic() + grace
        while self._records.active and not self.paused and time.monotonic() < end:
            time.sleep(0.05)
        self._leaving = True
        self._gate.set()
        self._records.close(3)

    def listen(self, listener: Listener) -> None:
        """Call this with task, status, number of pictures and seconds since it was accepted when a job ends."""
        self._listeners.append(listener)

    # What clients do

    def submit(
        self,
        caller: Caller,
        request: Request,
        *,
        key: str | None = None,
        priority: Priority = "normal",
        again: str | None = None,
    ) -> Job:
        """Accept a request as a job; when this returns, the job will be done or end with an error, come what may.

        Args:
            key: Idempotency key: the same key of the same account gives the same job again.
            again: Id of a picture whose record the request is: what is made has its pixels, or nothing is kept.

        Raises:
            Conflict: the key came with another request before.
            TooMany: as many jobs of the account wait as may.
            Stopping: the server is about to stop.
            FantascopeError: as `Studio.admit` and `Studio.hold` say; nothing was changed.
        """
        if self._closing:
            raise Stopping("The server is about to stop and takes no more jobs.", hint="Try again in a moment.")
        said = request.model_dump(mode="json", exclude_none=True)
        said |= {} if again is None else {"again": again}
        name = str(uuid.uuid4()) if key is None else _named(caller.account, key)
        if key is not None and (known := self._records.find(name)) is not None:
            return self._same(known, said)
        self._room(caller)
        studio = self._people.studio(caller)
        admitted = studio.admit(request, typed=again is None)
        hold = studio.hold(admitted, name)
        order = {
            "account": caller.account,
            "plan": caller.plan,
            "request": admitted.job.request.model_dump(mode="json"),
            "said": said,
            "quote": admitted.quote,
            "created": time.time(),
            "priority": priority,
            "tag": self.fair.tag(caller.account, admitted.quote, priority),
        }
        with self._guard:
            if len(self._admitted) < ADMITTED:
                self._admitted[name] = admitted
        try:
            self.hub.tell(name, "queued", {})
            self._records.add(name, order)
        except BaseException:
            studio.gallery.release(hold)
            with self._guard:
                self._admitted.pop(name, None)
            raise
        return self.get(caller, name) if key is not None else self._job(Record(name, "queued", order), caller)

    def get(self, caller: Caller, job: str) -> Job:
        """Return a job of the caller's.

        Raises:
            NotFound: there is none of this name, or it is another's.
        """
        return self._job(self._mine(caller, job), caller)

    def list(self, caller: Caller, *, status: Status | None = None, limit: int = 50, offset: int = 0) -> list[Job]:
        """Return jobs of the caller's, newest first."""
        found = (self._job(record, caller) for record in self._records.of(caller.account))
        wanted = (job for job in found if status is None or job.status == status)
        return list(islice(wanted, offset, offset + limit))

    def cancel(self, caller: Caller, job: str) -> Job:
        """Cancel a job: what was kept stays kept and paid, the rest is refunded. One that ended stays as it is."""
        record = self._mine(caller, job)
        if record.status in ENDS:
            return self._job(record, caller)
        with self._guard:
            self._stop.add(job)
            self._admitted.pop(job, None)
        self._records.cancel(job)
        hold = self._studio.gallery.job_holds().get(job)
        if hold is not None:
            self._studio.gallery.release(hold)
        ended = self._job(self._mine(caller, job), caller)
        self.hub.tell(job, "cancelled", ended.public())
        return ended

    def retry(self, caller: Caller, job: str) -> Job:
        """Make a new job of one that failed or was cancelled, with the same seed and everything else.

        Raises:
            Conflict: it is not over, or it was done.
        """
        record = self._mine(caller, job)
        if record.status not in ("failed", "cancelled"):
            raise Conflict(f"The job {job} is {record.status}; one that failed or was cancelled can be tried again.")
        said = dict(record.order["said"])
        again = said.pop("again", None)
        return self.submit(caller, parse_request(said), priority=record.order["priority"], again=again)

    def remove(self, caller: Caller, job: str) -> None:
        """Forget a job that ended, with its prompt; its pictures stay in the gallery.

        Raises:
            Conflict: it is not over.
        """
        record = self._mine(caller, job)
        if record.status not in ENDS:
            raise Conflict(f"The job {job} is {record.status}.", hint="Cancel it first.")
        self._records.remove(job)

    async def watch(self, caller: Caller, job: str, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yield what happens to a job, until it ends. Of one that has ended, its end alone.

        Args:
            after: Number of the last event that is known already, in this life of the server.

        Raises:
            NotFound: there is none of this name, or it is another's.
        """
        from anyio import to_thread

        found = await to_thread.run_sync(self.get, caller, job)
        last = self.hub.last(job)
        if found.ended and (last is None or last.kind not in ENDS):
            yield Event(after + 1, found.status, found.public())
            return
        async with aclosing(self.hub.watch(job, after)) as events:
            async for event in events:
                if event is not None:
                    after = event.n
                    yield event
                    continue
                found = await to_thread.run_sync(self.get, caller, job)
                if found.ended:
                    yield Event(after + 1, found.status, found.public())
                    return

    async def finished(self, caller: Caller, job: str) -> Job:
        """Wait until a job ends, and return it.

        Raises:
            FantascopeError: what it failed with.
            Cancelled: it was cancelled.
        """
        from anyio import to_thread

        async with aclosing(self.watch(caller, job)) as events:
            async for event in events:
                if event.kind in ENDS:
                    break
        found = await to_thread.run_sync(self.get, caller, job)
        if found.status == "cancelled":
            raise Cancelled(f"The job {job} was cancelled.")
        if found.error is not None:
            raise revived(found.error)
        return found

    # What the operator does

    def pause(self) -> None:
        """Begin no more jobs, also after a restart, and give the engines' memory back when they are idle."""
        self._paused.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._paused.touch()
        self._gate.clear()
        self._studio.engines.drop()

    def resume(self) -> None:
        """Go on."""
        self._paused.unlink(missing_ok=True)
        self._gate.set()

    @property
    def paused(self) -> bool:
        """Whether jobs wait for `resume`."""
        return not self._gate.is_set()

    def counts(self) -> dict[str, int]:
        """Return how many jobs wait and run, of everybody."""
        live = list(self._records.live())
        running = sum(self._begun(record) for record in live)
        return {"running": running, "queued": len(live) - running}

    def _begun(self, record: Record) -> bool:
        """Say whether a job is worked on; one that a worker has may still wait."""
        last = self.hub.last(record.id)
        return record.status == "running" and last is not None and last.kind != "queued"

    # Work

    def _work(self, name: str, order: dict[str, Any]) -> dict[str, Any]:
        """Run a job to its end, in a thread of its own, and return how it ended."""
        caller = Caller(order["account"], order["plan"])
        studio = self._people.studio(caller)
        self._gate.wait()
        if self._closing:
            raise _Left
        self.fair.began(order["tag"])
        with self._guard:
            admitted = self._admitted.pop(name, None)
        outcome: dict[str, Any] = {"status": "cancelled"}
        try:
            if admitted is None:
                with self._readmitting:
                    admitted = studio.admit(parse_request(order["request"]), typed=False)
            self.hub.tell(name, "started", {})
            again = order["said"].get("again")
            recorded = studio.gallery.receipt(again) if again is not None else None
            with closing(studio.perform(admitted, ticket=name, recorded=recorded)) as events:  # type: ignore[type-var]
                if self._follow(name, events):
                    outcome = {"status": "done"}
        except FantascopeError as error:
            outcome = {"status": "failed", "error": unplaced(error, self._studio.settings.home).as_dict()}
        except Exception as error:
            log.exception("job %s", name)
            bug = FantascopeError(f"{type(error).__name__}: a bug of ours.", hint="The server's log says more.")
            outcome = {"status": "failed", "error": bug.as_dict()}
        finally:
            hold = studio.gallery.job_holds().get(name) if outcome["status"] != "done" else None
            if hold is not None:
                studio.gallery.release(hold)
            with self._guard:
                self._stop.discard(name)
        if self.paused:
            self._studio.engines.drop()
        ended = self._job(Record(name, outcome["status"], order, outcome), caller)
        for listener in self._listeners:
            listener(ended.task, ended.status, len(ended.artifacts), time.time() - order["created"])
        self.hub.tell(name, ended.status, ended.public())
        return outcome

    def _follow(self, name: str, events: Iterator[Step | Artifact]) -> bool:
        """Tell the events of a run as they come; return False where the job was cancelled meanwhile."""
        count = 0
        for event in events:
            if self._leaving:
                raise _Left
            if name in self._stop:
                return False
            if isinstance(event, Artifact):
                self.hub.tell(name, "kept", {"index": count, "artifact": event.id})
                count += 1
                continue
            facts = ("step", "steps", "stage", "index", "count", "total")
            self.hub.tell(name, "step", {fact: getattr(event, fact) for fact in facts}, event.preview)
        return True

    def _job(self, record: Record, caller: Caller) -> Job:
        order, outcome, status = record.order, record.outcome or {}, record.status
        last = self.hub.last(record.id) if status in ("queued", "running") else None
        if last is not None and last.kind in ENDS:  # it ended a moment ago, and is just being written down
            status, outcome = last.kind, {"error": last.data["error"]}
        elif status == "running" and not self._begun(record):
            status = "queued"
        return Job(
            id=record.id,
            account=order["account"],
            task=order["request"]["task"],
            status=cast(Status, status),
            request=order["request"],
            said=order["said"],
            quote=order["quote"],
            created=datetime.fromtimestamp(order["created"], UTC),
            artifacts={} if status == "queued" else self._people.studio(caller).gallery.outcomes(record.id),
            error=outcome.get("error"),
            priority=order["priority"],
            progress=last.data if last is not None and last.kind == "step" else None,
        )

    def _mine(self, caller: Caller, job: str) -> Record:
        record = self._records.find(job)
        if record is None or record.order["account"] != caller.account:
            raise NotFound(f"There is no job {job[:64]!r}.", param="id")
        return record

    def _same(self, record: Record, said: dict[str, Any]) -> Job:
        """Return the job that a key named before, if it was for the same request."""
        if json.dumps(record.order["said"], sort_keys=True) != json.dumps(said, sort_keys=True):
            raise Conflict("This idempotency key came with another request before.", hint="Use a new key.")
        return self._job(record, Caller(record.order["account"], record.order["plan"]))

    def _room(self, caller: Caller) -> None:
        live = self._records.count(caller.account)
        if live >= self._waiting:
            raise TooMany(f"{live} of your jobs wait or run; {self._waiting} may.", after=5.0)


def revived(error: dict[str, Any]) -> FantascopeError:
    """Return an error of a job's record as the error of our tree that it was: same code, status, message and facts."""
    return _Revived(error)


class _Left(BaseException):
    """The server stops: this job goes on at the next start. No `Exception`, so that nothing takes it for its end."""


class _Revived(FantascopeError):
    """An error that was written down."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts["message"], param=facts.get("param"), hint=facts.get("hint"))
        self.facts = facts
        self.code, self.status = facts["code"], facts["status"]  # type: ignore[misc]

    def as_dict(self) -> dict[str, Any]:
        return dict(self.facts)


def _named(account: str, key: str) -> str:
    """Return the name of the job that an account's key stands for."""
    return str(uuid.UUID(bytes=hashlib.sha256(f"{account}\0{key}".encode()).digest()[:16]))
