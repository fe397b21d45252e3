"""What the gallery hands out beside artifacts and receipts: plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from fantascope.errors import InvalidValue
from fantascope.receipt import canonical

ProblemKind = Literal["missing", "changed", "orphan", "leftover", "receipt", "index", "ledger", "owner", "job"]


@dataclass(frozen=True)
class Entry:
    """One line of a listing: what the index knows without opening the file.

    `given` is True for a picture that was handed in, which has no receipt, prompt, model or seed. `width` and
    `height` are pixels, None where nobody said. `size` is bytes. `kept` is the time (UTC) it was put here.
    """

    id: str
    media_type: str
    size: int
    path: Path
    kept: datetime
    given: bool
    task: str | None = None
    receipt_id: str | None = None
    prompt: str | None = None
    model: str | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Expiring:
    """Credits of one account that expire together at a moment (UTC), and where they come from."""

    credits: float
    kind: Literal["allowance", "rollover", "topup"]
    expires: datetime


@dataclass(frozen=True)
class Balance:
    """Credits of one account.

    `allowance` is what this month (UTC) gave and `used` what was charged for runs that began in it; `held` is reserved
    by runs in progress; `left` may be spent. `renews` is when the next allowance comes. `expiring` says when what is
    left expires, soonest first, which is the order it is spent in; its credits add up to `left`.
    """

    account: str
    plan: str
    allowance: float
    used: float
    held: float
    left: float
    renews: datetime
    expiring: tuple[Expiring, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of the ledger. `credits` is signed: allowance, rollover, topup and refund are gains, the others are not.

    A hold moves credits from available to held; a charge spends what is held; a refund moves the rest back. So a
    charge does not change what is left a second time. `pot` is where the credits come from: a month (`2026-11`), what
    rolled over of it (`2026-11+`) or a top-up. `expires` is when what was given expires.
    """

    at: datetime
    account: str
    kind: Literal["allowance", "rollover", "topup", "hold", "charge", "refund", "expiry"]
    credits: float
    what: str
    pot: str
    hold: str | None = None
    artifact: str | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class Refusal:
    """One refusal: who asked, which rule refused what, and why.

    `scope` is the sha256 of exactly what was refused; `text` is empty where the request was private or a picture was
    meant. `appeal` is what was said against it, `decision` the id of the newest decision.
    """

    id: str
    at: datetime
    account: str
    task: str
    rule: str
    score: float
    threshold: float
    subject: str
    scope: str
    text: str
    words: tuple[str, ...]
    reason: str
    offer: str
    policy: str
    appeal: str | None = None
    decision: str | None = None


@dataclass(frozen=True)
class Decision:
    """What the operator decided of an appeal: whether exactly `scope` passes under exactly `rule`, and the signature.

    `statement` is what is signed: every field but the signature.
    """

    id: str
    refusal: str
    rule: str
    scope: str
    allow: bool
    why: str
    at: datetime
    signature: str = ""

    def statement(self) -> bytes:
        """Return the bytes that are signed."""
        return canonical(
            {
                "decision": self.id,
                "refusal": self.refusal,
                "rule": self.rule,
                "scope": self.scope,
                "allow": self.allow,
                "why": self.why,
                "at": stamp(self.at),
            }
        )


@dataclass(frozen=True)
class Person:
    """Somebody who may use a server. `name` is their account; an `operator` may do what concerns others."""

    name: str
    plan: str
    disabled: bool
    created: datetime
    operator: bool


@dataclass(frozen=True)
class Token:
    """What may be told of a person's token. Without `expires` it is good until it is `revoked`."""

    id: str
    name: str
    label: str
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None


@dataclass(frozen=True)
class Saved:
    """What a backup holds: artifacts, people, bytes of the file, and whether signing keys are in it."""

    artifacts: int
    people: int
    size: int
    keys: bool


@dataclass(frozen=True)
class Problem:
    """One thing `verify` found: `what` is an artifact id, a path or a ledger key; `fix` says what helps."""

    kind: ProblemKind
    what: str
    message: str
    fix: str


def stamp(moment: datetime) -> str:
    """Return a time as text in UTC, `2026-11-23T07:03:32.000000Z`: always 27 characters, so it sorts as it should."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(stamped: str) -> datetime:
    """Read a `stamp` back."""
    return datetime.strptime(stamped, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def read_time(text: str, param: str) -> datetime:
    """Read a time as people write it, ISO 8601: a day (its first moment), or a moment; UTC where it names no zone.

    Raises:
        InvalidValue: it is none, or not of the years 1970 to 9998.
    """
    try:
        told = datetime.fromisoformat(text.strip())
        told = (told if told.tzinfo is not None else told.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        told = None
    if told is None or not 1970 <= told.year <= 9998:
        shown = text[:40].encode("ascii", "backslashreplace").decode()
        raise InvalidValue(
            f"{param}: {shown!r} is no time.", param=param, hint="For example 2026-11-29 or 2026-11-29T18:30:00Z."
        )
    return told
