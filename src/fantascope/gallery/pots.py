"""Pots of credits and their rules: what is due, what is spent first. Plain values in, plain values out; no tables.

A pot is what was given at one time and expires at one time: a month's allowance (named `2026-11`), what rolled over of
it (`2026-11+`), a top-up (16 hex digits). Every line of the ledger moves credits of one pot.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from fantascope.gallery.plans import MAX_MONTHS, Plan

Kind = Literal["allowance", "rollover", "topup"]


@dataclass(frozen=True)
class Pot:
    """Credits that expire together, in thousandths: `given` at first, `left` to spend, `held` by runs in progress.

    It may be spent from the month `period` until `expires`.
    """

    name: str
    kind: Kind
    period: str
    expires: datetime
    given: int
    left: int
    held: int = 0

    def usable(self, now: datetime) -> bool:
        """Tell whether it may be spent now."""
        return self.period <= period_of(now) and now < self.expires


@dataclass(frozen=True)
class Due:
    """A line that time has made due: `amount` is added to what is left of `pot`."""

    kind: Literal["allowance", "rollover", "expiry"]
    pot: str
    period: str
    amount: int
    expires: datetime | None = None


def period_of(now: datetime) -> str:
    """Return the month that a moment is in, UTC: `2026-11`."""
    return now.astimezone(UTC).strftime("%Y-%m")


def begin_of(period: str) -> datetime:
    """Return when a month begins, UTC."""
    return datetime(int(period[:4]), int(period[5:]), 1, tzinfo=UTC)


def later(moment: datetime, months: int) -> datetime:
    """Return the same day and time `months` later, UTC; the month's last day where it has no such day."""
    at = moment.astimezone(UTC)
    year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, calendar.monthrange(year, month + 1)[1]))


def settle(pots: Sequence[Pot], plan: Plan, now: datetime) -> tuple[list[Pot], list[Due]]:
    """Return the pots as they are now, and the lines that bring them there, in the order to book them.

    Allowances that began, and what expired; where the plan rolls over, month by month, so that an account gets the same
    whether it was looked at every day or not for a year.
    """
    state = {pot.name: pot for pot in pots}
    lines: list[Due] = []
    for period in _not_allowed(state, plan, now):
        begin = begin_of(period)
        _expire(state, plan, begin, period_of(now), lines)
        ends = later(begin, 1)
        state[period] = Pot(period, "allowance", period, ends, plan.allowance, plan.allowance)
        lines.append(Due("allowance", period, period, plan.allowance, ends))
    _expire(state, plan, now, period_of(now), lines)
    return list(state.values()), lines


def in_order(pots: Sequence[Pot], now: datetime) -> list[Pot]:
    """Return what may be spent now, what expires first first; of pots that expire together, the older first."""
    return sorted((pot for pot in pots if pot.usable(now)), key=lambda pot: pot.expires)


def shares(amount: int, parts: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return what each pot pays of an amount that they hold together: each all it has, until it is paid.

    An amount of 0 is paid by the first, so that there is a line.
    """
    paid: list[tuple[str, int]] = []
    for name, left in parts:
        part = min(left, amount - sum(each for _, each in paid))
        if part > 0:
            paid.append((name, part))
    return paid or [(parts[0][0], 0)]


def _not_allowed(state: dict[str, Pot], plan: Plan, now: datetime) -> list[str]:
    """Return the months whose allowance is missing, oldest first, the current one last.

    Without rollover the current month is all that matters. With it, every month without a visit is gone through (of the
    last `MAX_MONTHS`), because what one month left decides how much of the next may stay.
    """
    current = period_of(now)
    known = [pot.period for pot in state.values() if pot.kind == "allowance" and pot.period <= current]
    if current in known:
        return []
    since: list[str] = []
    if known and plan.rollover_months > 0:
        since = [period_of(later(begin_of(current), -back)) for back in range(MAX_MONTHS, 0, -1)]
    return [*(period for period in since if period > max(known)), current]


def _expire(state: dict[str, Pot], plan: Plan, at: datetime, period: str, lines: list[Due]) -> None:
    """Empty the pots that have expired at a moment, and roll over what the plan lets stay."""
    over = sorted((pot for pot in state.values() if pot.expires <= at and pot.left > 0), key=lambda pot: pot.expires)
    for pot in over:
        state[pot.name] = replace(pot, left=0)
        lines.append(Due("expiry", pot.name, period, -pot.left))
        until = later(pot.expires, plan.rollover_months)
        if pot.kind != "allowance" or until <= at:
            continue
        rolled = [each for each in state.values() if each.kind == "rollover" and each.expires > at]
        stays = min(pot.left, plan.rollover - sum(each.left + each.held for each in rolled))
        if stays > 0:
            name = pot.name + "+"
            new = state.get(name, Pot(name, "rollover", period, until, 0, 0))
            state[name] = replace(new, given=new.given + stays, left=new.left + stays)
            lines.append(Due("rollover", name, period, stays, new.expires))
