"""The cost ledger: an append-only table of entries; every balance is a sum.

An entry moves thousandths of a credit between two columns, `available` and `held`:

    allowance   available +a              once per account and month
    hold        available -q   held +q    a run reserves its quote
    charge                     held -c    one kept artifact, in the transaction that keeps it
    refund      available +r   held -r    what a run held and did not spend

So available is what is left, held is what runs in progress reserve, and the charges are what was used. An entry counts
for the month (UTC) its hold began in, whenever it is written: nothing rolls over, and a run across midnight on the last
day is paid for by the month that allowed it.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fantascope.errors import CreditError, InvalidValue, NotFound, UnknownName
from fantascope.gallery.records import Balance, Line, Problem, moment, stamp
from fantascope.gallery.schema import artifacts, entries, next_seq

MAX_CREDITS = 10**12
"""Largest amount that is taken, in credits: far from what a column can hold."""

_PLANS = Path(__file__).parent.parent / "plans.toml"
_HELD = sa.func.coalesce(sa.func.sum(entries.c.held), 0)
_LEFT = sa.func.coalesce(sa.func.sum(entries.c.available), 0)


@cache
def plans() -> dict[str, int]:
    """Return the monthly allowance of every plan, in thousandths of a credit (`plans.toml`)."""
    with _PLANS.open("rb") as file:
        return {name: thousandths(plan["allowance"]) for name, plan in tomllib.load(file).items()}


def allowance_of(plan: str) -> int:
    """Return the monthly allowance of a plan, in thousandths of a credit.

    Raises:
        UnknownName: there is no such plan.
    """
    if plan not in plans():
        raise UnknownName("plan", plan, plans())
    return plans()[plan]


def thousandths(credits: float, *, up: bool = False) -> int:
    """Return credits as whole thousandths: rounded down for a charge, `up` for a hold, so charges always fit.

    Raises:
        InvalidValue: negative, not finite or absurdly large.
    """
    if not (math.isfinite(credits) and 0 <= credits <= MAX_CREDITS):
        raise InvalidValue(f"Credits are a number from 0 to {MAX_CREDITS:.0e}, not {credits!r}.", param="credits")
    exact = Decimal(repr(round(credits, 9))) * 1000
    return int(exact.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


def period_of(now: datetime) -> str:
    """Return the month that a moment is in, UTC: `2026-11`."""
    return now.astimezone(UTC).strftime("%Y-%m")


def renewal_of(period: str) -> datetime:
    """Return when the month after `period` begins, UTC."""
    year, month = int(period[:4]), int(period[5:])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


def hold(tx: sa.Connection, account: str, credits: float, what: str, plan: str, owner: str, now: datetime) -> str:
    """Reserve credits and return the id of the hold. `plan` counts when the ledger first meets the account.

    Raises:
        CreditError: fewer are left; the message says how many, the hint when there will be more.
    """
    amount, period = thousandths(credits, up=True), period_of(now)
    name = _plan_of(tx, account) or plan
    _allow(tx, account, name, period, now)
    left = _sum(tx, _LEFT, entries.c.account == account, entries.c.period == period)
    if amount > left:
        now_held = _sum(tx, _HELD, entries.c.account == account, entries.c.period == period)
        running = f" ({_credits(now_held)} more are held by runs in progress)" if now_held > 0 else ""
        raise CreditError(
            f"This needs {_credits(amount)} credits and the account {account!r} (plan {name}) has {_credits(left)} "
            f"left this month{running}.",
            hint=f"The allowance of {_credits(allowance_of(name))} credits renews on "
            f"{renewal_of(period):%Y-%m-%d} at 00:00 UTC. Fewer or smaller pictures cost less.",
        )
    new = os.urandom(8).hex()
    _enter(tx, f"hold:{new}", account, period, "hold", -amount, amount, what, now, hold=new, owner=owner)
    return new


def charge(tx: sa.Connection, held: str, artifact: str, credits: float, now: datetime) -> None:
    """Spend part of a hold on an artifact. The same hold pays for the same artifact once.

    Raises:
        NotFound: there is no such hold.
        CreditError: less than that is left of it.
    """
    amount = thousandths(credits)
    account, period = _opened(tx, held)
    key = f"charge:{held}:{artifact}"
    if tx.execute(sa.select(entries.c.seq).where(entries.c.unique_key == key)).first() is not None:
        return
    left = _sum(tx, _HELD, entries.c.hold == held)
    if amount > left:
        raise CreditError(
            f"The artifact costs {_credits(amount)} credits and {_credits(left)} are left of its hold.",
            hint="Hold the whole quote before the run, and release it after the last artifact is kept.",
        )
    _enter(tx, key, account, period, "charge", 0, -amount, "kept", now, hold=held, artifact=artifact)


def release(tx: sa.Connection, held: str, what: str, now: datetime) -> None:
    """Refund what is left of a hold. Doing it again changes nothing.

    Raises:
        NotFound: there is no such hold.
    """
    account, period = _opened(tx, held)
    left = _sum(tx, _HELD, entries.c.hold == held)
    if left > 0:
        _enter(tx, f"refund:{held}", account, period, "refund", left, -left, what, now, hold=held)


def open_holds(tx: sa.Connection, owner: str | None = None) -> list[tuple[str, str, datetime]]:
    """Return (hold, owner, time) of every hold with something left, of one owner or of all."""
    opened = sa.select(entries.c.hold, entries.c.owner, entries.c.entered).where(entries.c.kind == "hold")
    if owner is not None:
        opened = opened.where(entries.c.owner == owner)
    mine = opened.subquery()
    rows = tx.execute(
        sa.select(mine.c.hold, mine.c.owner, mine.c.entered)
        .join(entries, entries.c.hold == mine.c.hold)
        .group_by(mine.c.hold, mine.c.owner, mine.c.entered)
        .having(sa.func.sum(entries.c.held) > 0)
        .order_by(mine.c.entered)
    )
    return [(row.hold, row.owner, moment(row.entered)) for row in rows]


def balance(tx: sa.Connection, account: str, plan: str, now: datetime) -> Balance:
    """Return what an account has this month; one the ledger has not met has all of `plan`. Nothing is written."""
    period = period_of(now)
    name = _plan_of(tx, account) or plan
    mine = (entries.c.account == account, entries.c.period == period)
    allowed = _sum(tx, _LEFT, *mine, entries.c.kind == "allowance")
    missing = allowance_of(name) if not _allowed(tx, account, period) else 0
    left = _sum(tx, _LEFT, *mine)
    used = -_sum(tx, _HELD, *mine, entries.c.kind == "charge")
    held = _sum(tx, _HELD, *mine)
    return Balance(
        account=account,
        plan=name,
        allowance=(allowed + missing) / 1000,
        used=used / 1000,
        held=held / 1000,
        left=(left + missing) / 1000,
        renews=renewal_of(period),
    )


def lines(tx: sa.Connection, account: str, limit: int) -> list[Line]:
    """Return the newest entries of an account, newest first."""
    rows = tx.execute(
        sa.select(entries).where(entries.c.account == account).order_by(entries.c.seq.desc()).limit(limit)
    )
    return [
        Line(
            at=moment(row.entered),
            account=row.account,
            kind=row.kind,
            credits=(row.held if row.kind == "charge" else row.available) / 1000,
            what=row.what,
            hold=row.hold,
            artifact=row.artifact,
        )
        for row in rows
    ]


def check(tx: sa.Connection) -> Iterator[Problem]:
    """Yield what does not agree: the form of entries, the sums of holds and months, charges for what was never kept."""
    fix = "Restore gallery.db from a backup: no command of Fantascope changes or deletes an entry."
    for row in tx.execute(sa.select(entries).order_by(entries.c.seq)):
        wrong = _malformed(row)
        if wrong is not None:
            yield Problem("ledger", row.unique_key, wrong, fix)
    holds = sa.select(entries.c.hold, _HELD.label("left"), sa.func.min(entries.c.seq)).where(
        entries.c.hold.is_not(None)
    )
    for row in tx.execute(holds.group_by(entries.c.hold).having(sa.func.sum(entries.c.held) < 0)):
        yield Problem("ledger", f"hold:{row.hold}", f"more was spent than held: {_credits(row.left)} left", fix)
    known = sa.select(entries.c.hold).where(entries.c.kind == "hold")
    for row in tx.execute(sa.select(entries).where(entries.c.hold.is_not(None), entries.c.hold.not_in(known))):
        yield Problem("ledger", row.unique_key, f"there is no hold {row.hold}", fix)
    months = sa.select(entries.c.account, entries.c.period, _LEFT.label("left")).group_by(
        entries.c.account, entries.c.period
    )
    for row in tx.execute(months.having(sa.func.sum(entries.c.available) < 0)):
        yield Problem("ledger", f"{row.account} {row.period}", f"overspent: {_credits(row.left)} left", fix)
    for row in tx.execute(
        sa.select(entries.c.unique_key, entries.c.artifact).where(
            entries.c.kind == "charge", entries.c.artifact.not_in(sa.select(artifacts.c.id))
        )
    ):
        yield Problem("ledger", row.unique_key, f"charged for {row.artifact}, which the index does not know", fix)


def charges(tx: sa.Connection) -> dict[str, list[int]]:
    """Return what was charged for every artifact, in thousandths, one item per hold that paid for it."""
    charged: dict[str, list[int]] = {}
    for row in tx.execute(sa.select(entries.c.artifact, entries.c.held).where(entries.c.kind == "charge")):
        charged.setdefault(row.artifact, []).append(-row.held)
    return charged


def _malformed(row: Any) -> str | None:
    signs = {
        "allowance": row.available >= 0 and row.held == 0 and row.hold is None,
        "hold": row.held >= 0 and row.available == -row.held,
        "charge": row.available == 0 and row.held <= 0 and row.artifact is not None,
        "refund": row.available > 0 and row.held == -row.available,
    }
    if row.kind not in signs:
        return f"unknown kind {row.kind!r}"
    return None if signs[row.kind] else f"a {row.kind} of {row.available} available and {row.held} held is none"


def _plan_of(tx: sa.Connection, account: str) -> str | None:
    """Return the plan of the account's latest allowance."""
    mine = (entries.c.account == account, entries.c.kind == "allowance")
    return tx.execute(sa.select(entries.c.what).where(*mine).order_by(entries.c.seq.desc()).limit(1)).scalar()


def _allowed(tx: sa.Connection, account: str, period: str) -> bool:
    key = f"allowance:{period}:{account}"
    return tx.execute(sa.select(entries.c.seq).where(entries.c.unique_key == key)).first() is not None


def _allow(tx: sa.Connection, account: str, plan: str, period: str, now: datetime) -> None:
    """Enter this month's allowance if it is not there yet."""
    if not account.strip() or len(account) > 200:
        raise InvalidValue("The name of an account has 1 to 200 characters.", param="user")
    if not _allowed(tx, account, period):
        key = f"allowance:{period}:{account}"
        _enter(tx, key, account, period, "allowance", allowance_of(plan), 0, plan, now)


def _opened(tx: sa.Connection, held: str) -> tuple[str, str]:
    """Return the account and the month of a hold."""
    mine = (entries.c.unique_key == f"hold:{held}",)
    row = tx.execute(sa.select(entries.c.account, entries.c.period).where(*mine)).first()
    if row is None:
        raise NotFound(f"There is no hold {held!r}.", param="hold")
    return row.account, row.period


def _sum(tx: sa.Connection, total: sa.ColumnElement[Any], *where: sa.ColumnElement[bool]) -> int:
    return int(tx.execute(sa.select(total).where(*where)).scalar_one())


def _enter(
    tx: sa.Connection,
    key: str,
    account: str,
    period: str,
    kind: str,
    available: int,
    held: int,
    what: str,
    now: datetime,
    **more: str,
) -> None:
    values = {"unique_key": key, "account": account, "period": period, "kind": kind, "what": what}
    amounts = {"available": available, "held": held, "entered": stamp(now)}
    tx.execute(entries.insert().values(seq=next_seq(entries), **values, **amounts, **more))


def _credits(amount: int) -> str:
    """Return thousandths as people read them: 1500 as `1.5`."""
    return f"{amount / 1000:.3f}".rstrip("0").rstrip(".")
