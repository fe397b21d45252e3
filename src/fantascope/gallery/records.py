"""What the gallery hands out beside artifacts and receipts: plain frozen records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

ProblemKind = Literal["missing", "changed", "orphan", "leftover", "receipt", "index", "ledger"]


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
class Balance:
    """Credits of one account in the current month: `left` = allowance - used - held; `renews` is when (UTC)."""

    account: str
    plan: str
    allowance: float
    used: float
    held: float
    left: float
    renews: datetime


@dataclass(frozen=True)
class Line:
    """One line of the ledger. `credits` is signed: allowance and refund are gains, hold and charge are not.

    A hold moves credits from available to held; a charge spends what is held; a refund moves the rest back. So a
    charge does not change what is left a second time.
    """

    at: datetime
    account: str
    kind: Literal["allowance", "hold", "charge", "refund"]
    credits: float
    what: str
    hold: str | None = None
    artifact: str | None = None


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
