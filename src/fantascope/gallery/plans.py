"""Plans as data (`plans.toml`): the monthly allowance, what of it rolls over, and which top-ups there are.

Amounts are whole thousandths of a credit, as everywhere in the ledger.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cache
from pathlib import Path
from typing import Any

from fantascope.errors import InvalidValue, UnknownName

MAX_CREDITS = 10**12
"""Largest amount that is taken, in credits: far from what a column can hold."""
MAX_MONTHS = 120
"""Longest time that a plan may keep credits."""

PLANS = Path(__file__).parent.parent / "plans.toml"
_KEYS = {"title", "allowance", "rollover", "topups", "strictness", "about"}


@dataclass(frozen=True)
class Topup:
    """A size of top-up, and the months after which what is left of it expires."""

    credits: int
    months: int


@dataclass(frozen=True)
class Plan:
    """What a plan allows. Of a month's rest, at most `rollover` stays for `rollover_months`; 0 and 0: nothing does."""

    name: str
    title: str
    allowance: int
    rollover: int = 0
    rollover_months: int = 0
    topups: tuple[Topup, ...] = ()
    about: str = ""

    def topup(self, credits: float) -> Topup:
        """Return the top-up of this size.

        Raises:
            InvalidValue: the plan has none of this size; the message names those it has.
        """
        amount = thousandths(credits)
        for size in self.topups:
            if size.credits == amount:
                return size
        known = ", ".join(shown(size.credits) for size in self.topups)
        allowed = f"its top-ups are {known} credits" if known else "it has no top-ups"
        raise InvalidValue(
            f"The plan {self.name} has no top-up of {shown(amount)} credits: {allowed}.",
            param="credits",
            hint=f"fantascope ledger topup {shown(self.topups[0].credits)}" if known else "Add sizes to plans.toml.",
        )

    def terms(self) -> str:
        """Say the plan in one line, as people read it."""
        rolls = f"up to {shown(self.rollover)} of the rest roll over for {_months(self.rollover_months)}"
        parts = [f"{shown(self.allowance)} credits a month", rolls if self.rollover else "nothing rolls over"]
        sizes = [f"{shown(size.credits)} for {_months(size.months)}" for size in self.topups]
        return "; ".join([*parts, "top-ups: " + ", ".join(sizes) if sizes else "no top-ups"])


@cache
def read_plans(path: Path = PLANS) -> Mapping[str, Plan]:
    """Read and check the plans.

    Raises:
        InvalidValue: the file cannot be read or is malformed; the message names the plan.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{path} is not a file of plans: {error}.", param="plan") from error
    return {name: _plan(path, name, table) for name, table in tables.items()}


def plan_of(name: str) -> Plan:
    """Return the plan of this name.

    Raises:
        UnknownName: there is none.
    """
    if name not in read_plans():
        raise UnknownName("plan", name, read_plans())
    return read_plans()[name]


def thousandths(credits: float, *, up: bool = False) -> int:
    """Return credits as whole thousandths: rounded down for a charge, `up` for a hold, so charges always fit.

    Raises:
        InvalidValue: negative, not finite or absurdly large.
    """
    if not (math.isfinite(credits) and 0 <= credits <= MAX_CREDITS):
        raise InvalidValue(f"Credits are a number from 0 to {MAX_CREDITS:.0e}, not {credits!r}.", param="credits")
    exact = Decimal(repr(round(credits, 9))) * 1000
    return int(exact.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR))


def shown(amount: int) -> str:
    """Return thousandths as people read them: 1500 as `1.5`."""
    return f"{amount / 1000:.3f}".rstrip("0").rstrip(".")


def _months(count: int) -> str:
    return f"{count} month" + ("" if count == 1 else "s")


def _plan(path: Path, name: str, table: Any) -> Plan:
    where = f"{path}: the plan {name!r}"
    if not isinstance(table, dict):
        raise InvalidValue(f"{where} is not a table.", param="plan")
    _known(table, _KEYS, where)
    rollover = table.get("rollover", {"most": 0, "months": 0})
    topups = table.get("topups", [])
    if not isinstance(rollover, dict) or not isinstance(topups, list):
        raise InvalidValue(f"{where} needs a table as rollover and a list as topups.", param="plan")
    _known(rollover, {"most", "months"}, f"{where}, rollover,")
    most = _amount(rollover, "most", f"{where}, rollover,")
    months = _count(rollover, f"{where}, rollover,", 0)
    if (most == 0) != (months == 0):
        raise InvalidValue(f"{where} rolls over {shown(most)} credits for {_months(months)}.", param="plan")
    sizes = []
    for size in topups:
        at = f"{where}, topups,"
        if not isinstance(size, dict):
            raise InvalidValue(f"{at} has {size!r}, where credits and months belong.", param="plan")
        _known(size, {"credits", "months"}, at)
        sizes.append(Topup(_amount(size, "credits", at), _count(size, at, 1)))
    if any(size.credits == 0 for size in sizes) or len({size.credits for size in sizes}) < len(sizes):
        raise InvalidValue(f"{where} has a top-up of nothing, or one size twice.", param="plan")
    title, about = str(table.get("title", name)), str(table.get("about", ""))
    return Plan(name, title, _amount(table, "allowance", where), most, months, tuple(sizes), about)


def _known(table: Mapping[str, Any], names: set[str], where: str) -> None:
    for key in table:
        if key not in names:
            raise InvalidValue(
                f"{where} has the unknown key {key!r}; known are {', '.join(sorted(names))}.", param="plan"
            )


def _amount(table: Mapping[str, Any], key: str, where: str) -> int:
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_CREDITS:
        raise InvalidValue(f"{where} has {key} = {value!r}; it is a number of credits from 0 on.", param="plan")
    if thousandths(value) != thousandths(value, up=True):
        raise InvalidValue(f"{where} has {key} = {value!r}: three decimals at most.", param="plan")
    return thousandths(value)


def _count(table: Mapping[str, Any], where: str, least: int) -> int:
    value = table.get("months")
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_MONTHS:
        raise InvalidValue(f"{where} has months = {value!r}; it is {least} to {MAX_MONTHS}.", param="plan")
    return value
