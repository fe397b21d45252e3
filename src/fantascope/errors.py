"""Every error a user can meet, one tree.

    FantascopeError                     code                 status
    ├── RequestError                    invalid_request      400   the request itself is wrong
    │   ├── InvalidValue                invalid_value        400   a field is out of range or of the wrong kind
    │   ├── UnknownName                 unknown_name         400   no such sampler, model, format, task …
    │   ├── InvalidPicture              invalid_picture      400   a picture cannot be read safely
    │   ├── UnclearInstruction          unclear_instruction  422   an edit can be read in two ways, or in none
    │   ├── PromptError                 prompt_error         400   a prompt breaks the rules of its grammar
    │   └── PolicyRefused               policy_refused       403   a rule says no, and says why
    ├── CreditError                     insufficient_credit  402   the ledger cannot hold the quote
    ├── ModelError                      model_error          500
    │   ├── ModelNotFound               model_not_found      404   nothing is at the place the Spec names
    │   ├── UnsafeModelFile             unsafe_model_file    400   a pickle or another format that can run code
    │   ├── BrokenModelFile             broken_model_file    400   truncated, lying or not what its hash says
    │   ├── LicenceMissing              licence_missing      403   a model without a stated licence
    │   ├── MissingExtra                missing_extra        501   an optional dependency is not installed
    │   ├── LanguageModelFailed         language_model       502   a language model gave no answer that can be used
    │   └── Unsupported                 unsupported          501   the loaded engine cannot do this
    ├── GalleryError                    gallery_error        500
    │   ├── NotFound                    not_found            404   no such artifact
    │   ├── HasChildren                 has_children         409   others were made from what is to be removed
    │   ├── GalleryTooNew               gallery_too_new      409   written by a newer Fantascope
    │   ├── StorageError                storage_error        507   the disk is full, read-only or gone
    │   └── GalleryCorrupt              gallery_corrupt      500   a stored file no longer has its hash
    ├── ServeError                      serve_error          500
    │   ├── NotAuthorised               not_authorised       401   no token, or one that is unknown, expired or revoked
    │   ├── AccessDenied                access_denied        403   the token does not allow this
    │   ├── Conflict                    conflict             409   a key with another request, or a job too far on
    │   ├── TooLarge                    too_large            413   more bytes than are taken
    │   ├── TooSlow                     too_slow             408   the body did not come
    │   ├── TooMany                     too_many             429   too many requests, or too many jobs that wait
    │   ├── Cancelled                   cancelled            409   the job was cancelled before it was done
    │   └── Stopping                    stopping             503   the server is about to stop, or not ready yet
    ├── ProvenanceError                 provenance_error     500   a file cannot be sealed or its record read
    └── ReplayDiffers                   replay_differs       409   `again` found the first thing that differs

A message says what was wrong, what is allowed, and the command that fixes it. Users' mistakes are raised
from this tree; `assert` is kept for our own bugs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, ClassVar


class FantascopeError(Exception):
    """Base of every error that is meant to be read by a user.

    Args:
        message: What was wrong and what is allowed.
        param: The request field or option meant, if there is one.
        hint: The command or change that fixes it.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, param: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"

    def as_dict(self) -> dict[str, Any]:
        """Return the error as plain data: code, status, message, param, hint."""
        return {
            "code": self.code,
            "status": self.status,
            "message": self.message,
            "param": self.param,
            "hint": self.hint,
        }


class RequestError(FantascopeError):
    code, status = "invalid_request", 400


class InvalidValue(RequestError):
    code = "invalid_value"


class UnknownName(RequestError):
    """A name that no table holds; the message offers the nearest ones."""

    code, status = "unknown_name", 400

    def __init__(
        self,
        kind: str,
        name: str,
        known: Iterable[str],
        *,
        param: str | None = None,
        hint: str | None = None,
    ) -> None:
        names = sorted(known)
        near = nearest(name, names)
        allowed = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(names) or 'none'}."
        super().__init__(f"There is no {kind} {name!r}. {allowed}", param=param or kind, hint=hint)
        self.known = names
        self.nearest = near


class InvalidPicture(RequestError):
    code = "invalid_picture"


class UnclearInstruction(RequestError):
    """An instruction was not understood, or in two ways; `readings` are up to three proposals of what it may mean."""

    code, status = "unclear_instruction", 422

    def __init__(
        self, message: str, readings: Iterable[Any] = (), *, param: str | None = "instruction", hint: str | None = None
    ) -> None:
        self.readings = tuple(readings)[:3]
        said = " ".join(f"{k} {reading.said}" for k, reading in enumerate(self.readings, 1))
        super().__init__(f"{message} Did you mean: {said}" if said else message, param=param, hint=hint)

    def as_dict(self) -> dict[str, Any]:
        offered = [{"said": reading.said, "after": reading.after} for reading in self.readings]
        return super().as_dict() | {"readings": offered}


class PromptError(RequestError):
    """A prompt breaks the rules of its grammar.

    Args:
        message: What was wrong and what is allowed.
        text: The prompt.
        at: Where in it, in characters from 0.

    Attributes:
        at: As given.
        near: The text around that place, at most 40 characters.
    """

    code = "prompt_error"

    def __init__(
        self, message: str, text: str = "", at: int = 0, *, param: str | None = "prompt", hint: str | None = None
    ) -> None:
        self.at, self.near = at, text[max(0, at - 20) : at + 20]
        where = f" (at character {at}, near {self.near!r})" if self.near else ""
        super().__init__(f"{message}{where}", param=param, hint=hint)

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"at": self.at, "near": self.near}


class PolicyRefused(RequestError):
    """A rule refused the request. `verdict` names rule, score, threshold and the words meant."""

    code, status = "policy_refused", 403

    def __init__(self, verdict: Any, *, param: str | None = None, hint: str | None = None) -> None:
        super().__init__(verdict.reason, param=param, hint=hint if hint is not None else verdict.offer)
        self.verdict = verdict

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"verdict": self.verdict.model_dump(mode="json")}


class CreditError(FantascopeError):
    code, status = "insufficient_credit", 402


class ModelError(FantascopeError):
    code = "model_error"


class ModelNotFound(ModelError):
    code, status = "model_not_found", 404


class UnsafeModelFile(ModelError):
    code, status = "unsafe_model_file", 400


class BrokenModelFile(ModelError):
    code, status = "broken_model_file", 400


class LicenceMissing(ModelError):
    code, status = "licence_missing", 403


class MissingExtra(ModelError):
    """An optional dependency is not installed; the hint is the command that installs it."""

    code, status = "missing_extra", 501

    def __init__(self, what: str, extra: str, *, param: str | None = None) -> None:
        super().__init__(
            f"{what} needs the extra fantascope[{extra}], which is not installed.",
            param=param,
            hint=f"pip install 'fantascope[{extra}]'",
        )
        self.extra = extra


class LanguageModelFailed(ModelError):
    """A language model behind a URL could not be reached, refused, or answered with something else than was asked."""

    code, status = "language_model", 502


class Unsupported(ModelError):
    code, status = "unsupported", 501


class GalleryError(FantascopeError):
    code = "gallery_error"


class NotFound(GalleryError):
    code, status = "not_found", 404


class HasChildren(GalleryError):
    code, status = "has_children", 409


class GalleryTooNew(GalleryError):
    code, status = "gallery_too_new", 409


class StorageError(GalleryError):
    code, status = "storage_error", 507


class GalleryCorrupt(GalleryError):
    code = "gallery_corrupt"


class ServeError(FantascopeError):
    code = "serve_error"


class NotAuthorised(ServeError):
    code, status = "not_authorised", 401


class AccessDenied(ServeError):
    code, status = "access_denied", 403


class Conflict(ServeError):
    code, status = "conflict", 409


class TooLarge(ServeError):
    code, status = "too_large", 413


class TooSlow(ServeError):
    code, status = "too_slow", 408


class TooMany(ServeError):
    """Too many requests or jobs; `after` says in how many seconds it is worth trying again."""

    code, status = "too_many", 429

    def __init__(self, message: str, *, after: float = 1.0, param: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, param=param, hint=hint)
        self.after = after


class Cancelled(ServeError):
    code, status = "cancelled", 409


class Stopping(ServeError):
    code, status = "stopping", 503


class ProvenanceError(FantascopeError):
    code = "provenance_error"


class ReplayDiffers(FantascopeError):
    """`again` could not give the same pixels; `what` names the first thing that differs."""

    code, status = "replay_differs", 409

    def __init__(self, what: str, recorded: Any, found: Any, *, hint: str | None = None) -> None:
        super().__init__(f"{what} differs: the receipt says {recorded}, here it is {found}.", hint=hint)
        self.what, self.recorded, self.found = what, recorded, found


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return up to `n` known names that look like `name`, best first."""
    names = list(known)
    folded = {other.casefold(): other for other in names}
    hits = difflib.get_close_matches(name.casefold(), folded, n=n, cutoff=0.5)
    starts = [k for k in folded if name and k.startswith(name.casefold()) and k not in hits]
    return [folded[k] for k in (hits + starts)[:n]]


__all__ = [
    "AccessDenied",
    "BrokenModelFile",
    "Cancelled",
    "Conflict",
    "CreditError",
    "FantascopeError",
    "GalleryCorrupt",
    "GalleryError",
    "GalleryTooNew",
    "HasChildren",
    "InvalidPicture",
    "InvalidValue",
    "LanguageModelFailed",
    "LicenceMissing",
    "MissingExtra",
    "ModelError",
    "ModelNotFound",
    "NotAuthorised",
    "NotFound",
    "PolicyRefused",
    "PromptError",
    "ProvenanceError",
    "ReplayDiffers",
    "RequestError",
    "ServeError",
    "Stopping",
    "StorageError",
    "TooLarge",
    "TooMany",
    "TooSlow",
    "UnclearInstruction",
    "UnknownName",
    "UnsafeModelFile",
    "Unsupported",
    "nearest",
]
