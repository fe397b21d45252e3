"""Credits: hold, charge on keep, refund; months; and that nobody can spend what is not there."""

from __future__ import annotations

import contextlib
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from tests.gallery.helpers import MEMORY, Clock, made, processes, spend_all

from fantascope.errors import CreditError, InvalidValue, NotFound, UnknownName
from fantascope.gallery import Balance, Gallery, ledger


def test_a_run_pays_for_what_it_kept(gallery: Gallery, clock: Clock) -> None:
    assert gallery.balance("ada") == Balance("ada", "free", 15, 0, 0, 15, datetime(2026, 12, 1, tzinfo=UTC))
    assert gallery.entries("ada") == []
    hold = gallery.hold("ada", 4, "imagine, 4 pictures")
    assert (gallery.balance("ada").held, gallery.balance("ada").left) == (4, 11)
    for seed in range(3):
        gallery.put(made(seed, credits=1), hold=hold, credits=1)
    assert (gallery.balance("ada").used, gallery.balance("ada").held, gallery.balance("ada").left) == (3, 1, 11)
    gallery.release(hold)
    gallery.release(hold)
    assert (gallery.balance("ada").used, gallery.balance("ada").held, gallery.balance("ada").left) == (3, 0, 12)
    lines = gallery.entries("ada")
    assert [line.kind for line in lines] == ["refund", "charge", "charge", "charge", "hold", "allowance"]
    assert [line.credits for line in lines] == [1, -1, -1, -1, -4, 15]
    assert lines[1].artifact == made(2).id and lines[4].what == "imagine, 4 pictures" and lines[0].at == clock.now
    assert [line.kind for line in gallery.entries("ada", limit=2)] == ["refund", "charge"]
    assert gallery.entries("grace") == [] and list(gallery.verify()) == []


def test_a_refusal_or_an_error_costs_nothing(gallery: Gallery) -> None:
    hold = gallery.hold("ada", 4, "imagine")
    gallery.release(hold)
    assert gallery.balance("ada").left == 15
    with pytest.raises(CreditError, match="0 are left of its hold"):
        gallery.put(made(1), hold=hold, credits=1)
    with pytest.raises(NotFound):
        gallery.put(made(1), hold="0" * 16, credits=1)
    with pytest.raises(InvalidValue):
        gallery.put(made(1), credits=1)
    with pytest.raises(NotFound):
        gallery.release("0" * 16)
    assert gallery.list() == [] and gallery.balance("ada").left == 15 and list(gallery.verify()) == []


def test_an_artifact_may_not_cost_more_than_its_hold(gallery: Gallery, folder: Path) -> None:
    hold = gallery.hold("ada", 1.5, "imagine")
    gallery.put(made(1, credits=1), hold=hold, credits=1)
    with pytest.raises(CreditError, match=r"costs 1 credits and 0\.5 are left"):
        gallery.put(made(2, credits=1), hold=hold, credits=1)
    assert [entry.seed for entry in gallery.list()] == [1] and list(gallery.verify()) == []


def test_one_hold_pays_for_one_artifact_once_and_another_hold_again(gallery: Gallery) -> None:
    for _ in range(2):
        hold = gallery.hold("ada", 3, "imagine")
        for _ in range(3):
            gallery.put(made(1, credits=1), hold=hold, credits=1)
        gallery.release(hold)
    assert gallery.balance("ada").used == 2 and len(gallery.list()) == 1 and list(gallery.verify()) == []


def test_what_is_not_there_cannot_be_held(gallery: Gallery) -> None:
    gallery.hold("ada", 12.5, "imagine")
    with pytest.raises(CreditError) as caught:
        gallery.hold("ada", 4, "imagine")
    for said in ("needs 4 credits", "has 2.5 left", "12.5 more are held", "15 credits renews on 2026-12-01"):
        assert said in str(caught.value)
    gallery.hold("ada", 2.5, "imagine")
    gallery.hold("grace", 15, "imagine")
    assert gallery.balance("ada").left == 0


def test_months_begin_in_utc_and_nothing_rolls_over(gallery: Gallery, clock: Clock) -> None:
    clock.now = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    old = gallery.hold("ada", 10, "across midnight")
    clock.pass_(microseconds=1)
    assert gallery.balance("ada") == Balance("ada", "free", 15, 0, 0, 15, datetime(2027, 2, 1, tzinfo=UTC))
    gallery.put(made(1, credits=4), hold=old, credits=4)
    gallery.release(old)
    assert gallery.balance("ada").left == 15, "the month that held pays, and its refund stays there"
    gallery.hold("ada", 15, "all of January")
    with pytest.raises(CreditError, match="2027-02-01"):
        gallery.hold("ada", 0.001, "one more")
    clock.now = datetime(2027, 2, 1, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert gallery.balance("ada").left == 0, "February in Delhi, half an hour before midnight in UTC"
    clock.pass_(hours=1)
    assert gallery.balance("ada").left == 15
    clock.now = datetime(2026, 12, 31, tzinfo=UTC)
    assert gallery.balance("ada").used == 4 and list(gallery.verify()) == []


def test_the_plan_of_the_first_meeting_stays(folder: Path, clock: Clock) -> None:
    with Gallery.open(folder, plan="pro", clock=clock) as gallery:
        gallery.hold("ada", 1, "imagine")
    with Gallery.open(folder, plan="free", clock=clock) as gallery:
        assert (gallery.balance("ada").plan, gallery.balance("grace").plan) == ("pro", "free")
        clock.pass_(days=31)
        assert gallery.balance("ada").allowance == ledger.plans()["pro"] / 1000
        gallery.hold("ada", 1, "imagine")
        assert gallery.balance("ada").plan == "pro"


def test_plans_are_whole_and_grow() -> None:
    assert ledger.plans()["free"] == 15_000
    assert ledger.plans()["free"] < ledger.plans()["standard"] < ledger.plans()["pro"] < ledger.plans()["local"]
    with pytest.raises(UnknownName, match="standard"):
        ledger.allowance_of("standart")


def test_closing_refunds_what_is_still_held(folder: Path, clock: Clock) -> None:
    with Gallery.open(folder, plan="free", clock=clock) as gallery:
        gallery.hold("ada", 5, "imagine")
    gallery.close()
    with Gallery.open(folder, plan="free", clock=clock, read_only=True) as gallery:
        assert gallery.balance("ada").left == 15


@pytest.mark.parametrize("credits", [-1, -0.001, float("nan"), float("inf"), 1e13])
def test_absurd_credits_are_refused(gallery: Gallery, credits: float) -> None:
    with pytest.raises(InvalidValue, match="Credits"):
        gallery.hold("ada", credits, "imagine")
    hold = gallery.hold("ada", 5, "imagine")
    with pytest.raises(InvalidValue, match="Credits"):
        gallery.put(made(1), hold=hold, credits=credits)
    assert gallery.list() == []


@pytest.mark.parametrize("user", ["", "  ", "x" * 201])
def test_an_account_has_a_name(gallery: Gallery, user: str) -> None:
    with pytest.raises(InvalidValue, match="account"):
        gallery.hold(user, 1, "imagine")


@given(st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=8))
@settings(database=None, deadline=None)
def test_the_charges_of_a_quote_always_fit_its_hold(costs: list[float]) -> None:
    assert sum(ledger.thousandths(cost) for cost in costs) <= ledger.thousandths(sum(costs), up=True)


@given(st.integers(0, 10**9))
@settings(database=None, deadline=None)
def test_whole_thousandths_are_exact(amount: int) -> None:
    assert ledger.thousandths(amount / 1000) == ledger.thousandths(amount / 1000, up=True) == amount


class Ledger(RuleBasedStateMachine):
    """The ledger against a model of it in Python: two accounts, months that pass, reopening."""

    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(dir=MEMORY)
        self.clock = Clock(2026, 1, 30)
        self.reopen()
        self.free: dict[tuple[str, str], int] = {}
        self.used: dict[tuple[str, str], int] = {}
        self.held: dict[str, tuple[tuple[str, str], int]] = {}
        self.made = 0

    def reopen(self) -> None:
        self.gallery = Gallery.open(Path(self.place.name) / "g", plan="free", clock=self.clock)

    def teardown(self) -> None:
        assert list(self.gallery.verify()) == []
        self.gallery.close()
        assert not any(self.gallery_after().values())
        self.place.cleanup()

    def gallery_after(self) -> dict[str, float]:
        with Gallery.open(Path(self.place.name) / "g", plan="free", clock=self.clock) as gallery:
            return {user: gallery.balance(user).held for user in ("ada", "grace")}

    def month(self, user: str) -> tuple[str, str]:
        return user, self.clock.now.strftime("%Y-%m")

    @rule(target=holds, user=st.sampled_from(["ada", "grace"]), amount=st.integers(0, 9000))
    def hold(self, user: str, amount: int) -> str | None:
        month = self.month(user)
        left = self.free.setdefault(month, 15_000)
        if amount > left:
            with contextlib.suppress(CreditError):
                raise AssertionError(self.gallery.hold(user, amount / 1000, "model"))
            return None
        hold = self.gallery.hold(user, amount / 1000, "model")
        self.free[month] -= amount
        self.held[hold] = (month, amount)
        return hold

    @rule(hold=holds, amount=st.integers(0, 5000))
    def keep(self, hold: str | None, amount: int) -> None:
        if hold is None:
            return
        self.made += 1
        artifact = made(self.made, credits=amount / 1000)
        month, left = self.held[hold]
        if amount > left:
            with pytest.raises(CreditError):
                self.gallery.put(artifact, hold=hold, credits=amount / 1000)
            with pytest.raises(NotFound):
                self.gallery.get(artifact.id)
            return
        for _ in range(2):
            self.gallery.put(artifact, hold=hold, credits=amount / 1000)
        self.held[hold] = (month, left - amount)
        self.used[month] = self.used.get(month, 0) + amount

    @rule(hold=consumes(holds))
    def release(self, hold: str | None) -> None:
        if hold is not None:
            self.gallery.release(hold)
            self.refund(hold)

    def refund(self, hold: str) -> None:
        month, left = self.held[hold]
        self.free[month] += left
        self.held[hold] = (month, 0)

    @rule(days=st.integers(1, 20))
    def pass_time(self, days: int) -> None:
        self.clock.pass_(days=days)

    @rule()
    def close_and_open(self) -> None:
        self.gallery.close()
        for hold in self.held:
            self.refund(hold)
        self.reopen()

    @invariant()
    def agrees(self) -> None:
        for user in ("ada", "grace"):
            month = self.month(user)
            told = self.gallery.balance(user)
            held = sum(left for where, left in self.held.values() if where == month)
            free = self.free.get(month, 15_000)
            assert (told.left, told.held, told.used) == (free / 1000, held / 1000, self.used.get(month, 0) / 1000)
            assert told.allowance == 15 == round(told.left + told.held + told.used, 3) and told.left >= 0


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=12,
    stateful_step_count=14,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_processes_that_spend_at_once_do_not_overspend(folder: Path) -> None:
    start, told = processes.Event(), processes.Queue()
    workers = [processes.Process(target=spend_all, args=(str(folder), "ada", 0.75, start, told)) for _ in range(3)]
    for worker in workers:
        worker.start()
    start.set()
    kept = sum(told.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert kept == 20, "15 credits pay for 20 pictures of 0.75, whoever asks"
    with Gallery.open(folder, read_only=True) as gallery:
        assert gallery.balance("ada").left == 0 and len(gallery.list()) == 20 and list(gallery.verify()) == []
