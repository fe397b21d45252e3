"""The rules of credits, without a database: what is due, what is spent first; and plans as data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.errors import InvalidValue
from fantascope.gallery.plans import Plan, Topup, read_plans
from fantascope.gallery.pots import Pot, begin_of, in_order, later, period_of, settle, shares

START = datetime(2026, 1, 15, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
PLANS = st.builds(
    lambda allowance, most, months: Plan("p", "P", allowance, most if months else 0, months if most else 0),
    st.integers(0, 1000),
    st.integers(0, 3000),
    st.integers(0, 5),
)


@given(PLANS, st.integers(0, 500), st.lists(st.integers(0, 70), max_size=12), st.integers(0, 40))
def test_it_does_not_matter_how_often_somebody_looks(plan: Plan, spent: int, gaps: list[int], last: int) -> None:
    met, _ = settle([], plan, START)
    often = [Pot(pot.name, pot.kind, pot.period, pot.expires, pot.given, max(0, pot.left - spent)) for pot in met]
    once, now = often, START
    for days in (*gaps, last):
        now += timedelta(days=days)
        often, _ = settle(often, plan, now)
    once, lines = settle(once, plan, now)
    good = {(pot.name, pot.left) for pot in in_order(often, now) if pot.left}
    assert good == {(pot.name, pot.left) for pot in in_order(once, now) if pot.left}
    assert settle(once, plan, now) == (once, []), "what is booked is due no more"
    assert sum(pot.left for pot in once if pot.kind == "rollover" and pot.usable(now)) <= plan.rollover
    assert sum(pot.left for pot in once if pot.kind == "allowance" and pot.usable(now)) <= plan.allowance
    before = sum(pot.left for pot in met) - min(spent, plan.allowance)
    assert before + sum(line.amount for line in lines) == sum(pot.left for pot in once), "the lines are the change"
    assert all(pot.left == 0 for pot in once if pot.expires <= now)


@given(st.integers(0, 500), st.lists(st.tuples(st.text(min_size=1), st.integers(0, 100)), min_size=1))
def test_shares_pay_exactly_and_in_order(amount: int, parts: list[tuple[str, int]]) -> None:
    parts = list({name: (name, left) for name, left in parts}.values())
    amount = min(amount, sum(left for _, left in parts))
    paid = shares(amount, parts)
    assert sum(part for _, part in paid) == amount and paid
    left = dict(parts)
    assert all(part <= left[name] for name, part in paid)
    touched = [name for name, _ in paid if amount]
    emptied = [name for name, had in parts if had][: len(touched)]
    assert touched == emptied and all(part == left[name] for name, part in paid[:-1])


@given(MOMENTS, st.integers(0, 120))
def test_months_later(at: datetime, months: int) -> None:
    then = later(at, months)
    assert (then.year * 12 + then.month) - (at.year * 12 + at.month) == months
    assert then.day == at.day or (then.day < at.day and (then + timedelta(days=1)).day == 1)
    assert begin_of(period_of(at)) <= at < later(begin_of(period_of(at)), 1)


def test_a_rest_that_is_held_takes_its_room() -> None:
    plan = Plan("p", "P", 100, 100, 2)
    rolled = Pot("2025-12+", "rollover", "2026-01", datetime(2026, 3, 1, tzinfo=UTC), 60, 0, held=60)
    pots, _ = settle([rolled], plan, START)
    _, lines = settle(pots, plan, datetime(2026, 2, 2, tzinfo=UTC))
    assert [(line.kind, line.amount) for line in lines] == [("expiry", -100), ("rollover", 40), ("allowance", 100)]


def test_a_clock_that_is_set_back_spends_nothing_of_the_future() -> None:
    plan = Plan("p", "P", 100)
    pots, _ = settle([], plan, datetime(2030, 1, 1, tzinfo=UTC))
    pots, lines = settle(pots, plan, START)
    assert [(line.kind, line.pot) for line in lines] == [("allowance", "2026-01")]
    assert [pot.name for pot in in_order(pots, START)] == ["2026-01"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[p]\nallowance = -1", "allowance = -1"),
        ("[p]\nallowance = true", "allowance = True"),
        ("[p]\nallowance = 0.0005", "three decimals"),
        ("[p]\nallowence = 1", "unknown key 'allowence'"),
        ("p = 1", "is not a table"),
        ("[p]\nallowance = 1\nrollover = { most = 5, months = 0 }", "rolls over 5 credits for 0 months"),
        ("[p]\nallowance = 1\nrollover = { most = 5 }", "months = None"),
        ("[p]\nallowance = 1\nrollover = 5", "a table as rollover"),
        ("[p]\nallowance = 1\ntopups = [{ credits = 5 }]", "months = None"),
        ("[p]\nallowance = 1\ntopups = [{ credits = 5, months = 0 }]", "months = 0"),
        ("[p]\nallowance = 1\ntopups = [{ credits = 0, months = 1 }]", "top-up of nothing"),
        ("[p]\nallowance = 1\ntopups = [5]", "has 5"),
        ("[p]\nallowance = ", "not a file of plans"),
    ],
)
def test_malformed_plans_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plans.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidValue) as caught:
        read_plans(path)
    assert said in caught.value.message and str(path) in caught.value.message


def test_a_plan_is_read_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "plans.toml"
    path.write_text(
        '[p]\ntitle = "P"\nallowance = 0.5\nrollover = { most = 2, months = 1 }\n'
        "topups = [{ credits = 1.5, months = 12 }]\n"
    )
    plan = Plan("p", "P", 500, 2000, 1, (Topup(1500, 12),))
    assert read_plans(path) == {"p": plan}
    assert plan.terms() == (
        "0.5 credits a month; up to 2 of the rest roll over for 1 month; top-ups: 1.5 for 12 months"
    )
    with pytest.raises(InvalidValue, match=r"no top-up of 2 credits: its top-ups are 1\.5 credits"):
        plan.topup(2)
