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
from fantascope.gallery import Balance, Expiring, Gallery
from fantascope.gallery.plans import plan_of, read_plans, thousandths
from fantascope.gallery.pots import begin_of, later, period_of


def test_a_run_pays_for_what_it_kept(gallery: Gallery, clock: Clock) -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC)
    whole = (Expiring(15, "allowance", december),)
    assert gallery.balance("ada") == Balance("ada", "free", 15, 0, 0, 15, december, whole)
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
    february = datetime(2027, 2, 1, tzinfo=UTC)
    whole = (Expiring(15, "allowance", february),)
    assert gallery.balance("ada") == Balance("ada", "free", 15, 0, 10, 15, february, whole)
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
        assert gallery.balance("ada").allowance == plan_of("pro").allowance / 1000
        gallery.hold("ada", 1, "imagine")
        assert gallery.balance("ada").plan == "pro"


def test_plans_are_whole_and_grow() -> None:
    assert plan_of("free").allowance == 15_000
    grown = [plan_of(name).allowance for name in ("free", "standard", "pro", "local")]
    assert grown == sorted(set(grown)) and all(plan.topups for plan in read_plans().values())
    assert plan_of("free").terms() == "15 credits a month; nothing rolls over; top-ups: 115 for 12 months"
    assert "up to 250 of the rest roll over for 1 month;" in plan_of("standard").terms()
    with pytest.raises(UnknownName, match="standard"):
        plan_of("standart")


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
    assert sum(thousandths(cost) for cost in costs) <= thousandths(sum(costs), up=True)


@given(st.integers(0, 10**9))
@settings(database=None, deadline=None)
def test_whole_thousandths_are_exact(amount: int) -> None:
    assert thousandths(amount / 1000) == thousandths(amount / 1000, up=True) == amount


def test_what_expires_first_is_spent_first_and_refunds_go_home(gallery: Gallery, clock: Clock) -> None:
    assert gallery.topup("ada", 115, "bill 7").left == 130
    hold = gallery.hold("ada", 20, "imagine")
    next_year = datetime(2027, 11, 23, 7, 3, tzinfo=UTC)
    assert gallery.balance("ada").expiring == (Expiring(110, "topup", next_year),)
    gallery.put(made(1, credits=12), hold=hold, credits=12)
    gallery.put(made(2, credits=4), hold=hold, credits=4)
    assert [(line.kind, line.credits) for line in gallery.entries("ada", 3)] == [
        ("charge", -1), ("charge", -3), ("charge", -12),
    ]  # fmt: skip
    gallery.release(hold)
    assert gallery.balance("ada").expiring == (Expiring(114, "topup", next_year),)
    assert list(gallery.verify()) == [], "the two charges of the second picture are what its receipt says"
    hold = gallery.hold("ada", 1, "imagine")
    gallery.release(hold)
    assert gallery.balance("ada").left == 114
    lines = {line.pot: line for line in gallery.entries("ada") if line.kind in ("topup", "allowance")}
    assert lines["2026-11"].expires == datetime(2026, 12, 1, tzinfo=UTC)
    assert [line.what for line in lines.values()] == ["bill 7", "free"]


def test_expiry_is_booked_when_it_is_met(gallery: Gallery, clock: Clock) -> None:
    gallery.topup("ada", 115)
    hold = gallery.hold("ada", 25, "imagine")
    gallery.put(made(1, credits=20), hold=hold, credits=20)
    gallery.release(hold)
    clock.now = datetime(2027, 11, 23, 7, 2, 59, tzinfo=UTC)
    assert gallery.balance("ada").left == 15 + 110
    clock.pass_(seconds=1)
    before = gallery.entries("ada")
    assert gallery.balance("ada").left == 15 and gallery.entries("ada") == before, "looking writes nothing"
    with pytest.raises(CreditError, match="has 15 left"):
        gallery.hold("ada", 15.001, "what has expired is not spent")
    gallery.release(gallery.hold("ada", 15, "imagine"))
    told = [(line.kind, line.credits) for line in gallery.entries("ada")]
    assert told[:4] == [("refund", 15), ("hold", -15), ("expiry", -110), ("allowance", 15)]
    assert sum(credits for kind, credits in told if kind != "charge") == 15 and list(gallery.verify()) == []


def test_a_refund_to_what_is_over_expires_there(gallery: Gallery, clock: Clock) -> None:
    hold = gallery.hold("ada", 10, "across midnight")
    clock.pass_(days=10)
    gallery.put(made(1, credits=4), hold=hold, credits=4)
    gallery.release(hold)
    assert (gallery.balance("ada").left, gallery.balance("ada").used) == (15, 0)
    gone = [(line.credits, line.pot) for line in gallery.entries("ada") if line.kind == "expiry"]
    assert gone == [(-6, "2026-11"), (-5, "2026-11")], "in the transaction of the refund"
    assert gallery.balance("ada").left == 15 and list(gallery.verify()) == []


def test_the_rest_of_a_month_rolls_over_as_the_plan_says(folder: Path, clock: Clock) -> None:
    with Gallery.open(folder, plan="standard", clock=clock) as gallery:
        hold = gallery.hold("ada", 300, "imagine")
        gallery.put(made(1, credits=300), hold=hold, credits=300)
        gallery.release(hold)
        clock.now = datetime(2026, 12, 5, tzinfo=UTC)
        january = datetime(2027, 1, 1, tzinfo=UTC)
        whole = (Expiring(200, "rollover", january), Expiring(500, "allowance", january))
        assert gallery.balance("ada").expiring == whole
        gallery.release(gallery.hold("ada", 700, "all of it"))
        told = [(line.kind, line.credits) for line in gallery.entries("ada", 8)][::-1]
        assert told[-7:] == [
            ("expiry", -200), ("rollover", 200), ("allowance", 500), ("hold", -200), ("hold", -500),
            ("refund", 200), ("refund", 500),
        ]  # fmt: skip
        clock.now = datetime(2027, 1, 31, 23, tzinfo=UTC)
        assert [part.credits for part in gallery.balance("ada").expiring] == [250, 500], "at most 250"
        assert list(gallery.verify()) == []


def test_a_late_refund_changes_nothing_of_the_years_between(folder: Path, clock: Clock) -> None:
    with Gallery.open(folder, plan="pro", clock=clock) as gallery:
        hold = gallery.hold("ada", 420, "imagine")
        clock.pass_(days=800)
        before = gallery.balance("ada").expiring
        gallery.release(hold)
        assert gallery.balance("ada").expiring == before and list(gallery.verify()) == []


@pytest.mark.parametrize("credits", [0, 7, 115.001, -1, float("nan"), 1e13])
def test_a_top_up_has_a_size_of_the_plan(gallery: Gallery, credits: float) -> None:
    with pytest.raises(InvalidValue):
        gallery.topup("ada", credits)
    with pytest.raises(InvalidValue, match="note"):
        gallery.topup("ada", 115, "x" * 501)
    assert gallery.entries("ada") == []


def test_who_has_too_little_is_told_of_top_ups(gallery: Gallery) -> None:
    with pytest.raises(CreditError, match="fantascope ledger topup 115"):
        gallery.hold("ada", 16, "imagine")


class Lot:
    """A pot of the model: credits that were given at once, in thousandths."""

    def __init__(self, amount: int, expires: datetime, rolls: bool = False) -> None:
        self.left, self.held, self.expires, self.rolls, self.rolled = amount, 0, expires, rolls, False


class Account:
    """The rules of a plan, written once more and more slowly: every month is looked at when it begins."""

    def __init__(self, plan: str, now: datetime) -> None:
        self.plan, self.lots, self.month = plan_of(plan), list[Lot](), ""
        self.live(now)

    def live(self, now: datetime) -> None:
        while self.month != period_of(now):
            month = period_of(later(begin_of(self.month), 1)) if self.month else period_of(now)
            self.roll(begin_of(month))
            self.month = month
            self.lots.append(Lot(self.plan.allowance, later(begin_of(month), 1), rolls=True))
        self.roll(now)

    def roll(self, now: datetime) -> None:
        for lot in [lot for lot in self.lots if lot.expires <= now and lot.left]:
            rolled = [each for each in self.lots if each.rolled and each.expires > now]
            stays = self.plan.rollover - sum(each.left + each.held for each in rolled)
            until = later(lot.expires, self.plan.rollover_months)
            if lot.rolls and until > now and min(stays, lot.left) > 0:
                self.lots.append(Lot(min(stays, lot.left), until))
                self.lots[-1].rolled = True
            lot.left = 0

    def take(self, amount: int, now: datetime) -> list[tuple[Lot, int]] | None:
        taken = []
        for lot in sorted(self.lots, key=lambda lot: lot.expires):
            part = min(lot.left, amount)
            if now < lot.expires and part:
                amount -= part
                taken.append((lot, part))
        if amount:
            return None
        for lot, part in taken:
            lot.left -= part
            lot.held += part
        return taken


USERS = st.sampled_from(["ada", "grace", "emmy"])


def by_time(parts: list[tuple[datetime, int]]) -> dict[datetime, int]:
    """Add up what expires at the same moment."""
    return {at: sum(amount for when, amount in parts if when == at) for at, _ in parts}


class Ledger(RuleBasedStateMachine):
    """The ledger against a model of it in Python: three accounts on three plans, top-ups, years that pass."""

    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory(dir=MEMORY)
        self.clock = Clock(2026, 1, 30)
        self.plans = {"ada": "free", "grace": "standard", "emmy": "pro"}
        self.accounts: dict[str, Account] = {}
        self.held: dict[str, tuple[str, str, list[tuple[Lot, int]]]] = {}
        self.used: dict[tuple[str, str], int] = {}
        self.made = 0
        self.reopen()
        for user in self.plans:
            self.gallery.release(self.hold_as(user, 0))

    def reopen(self) -> None:
        self.gallery = Gallery.open(Path(self.place.name) / "g", plan="free", clock=self.clock)

    def hold_as(self, user: str, amount: int) -> str:
        self.accounts.setdefault(user, Account(self.plans[user], self.clock.now))
        with Gallery.open(Path(self.place.name) / "g", plan=self.plans[user], clock=self.clock) as gallery:
            return gallery.hold(user, amount / 1000, "meets")

    def teardown(self) -> None:
        assert list(self.gallery.verify()) == []
        self.gallery.close()
        with Gallery.open(Path(self.place.name) / "g", clock=self.clock) as gallery:
            assert not any(gallery.balance(user).held for user in self.plans)
        self.place.cleanup()

    @rule(target=holds, user=USERS, share=st.integers(0, 1500))
    def hold(self, user: str, share: int) -> str | None:
        account = self.accounts[user]
        amount = account.plan.allowance * share // 1000
        account.live(self.clock.now)
        taken = account.take(amount, self.clock.now)
        if taken is None:
            with contextlib.suppress(CreditError):
                raise AssertionError(self.gallery.hold(user, amount / 1000, "model"))
            return None
        hold = self.gallery.hold(user, amount / 1000, "model")
        self.held[hold] = (user, period_of(self.clock.now), taken)
        return hold

    @rule(hold=holds, share=st.integers(0, 1100))
    def keep(self, hold: str | None, share: int) -> None:
        if hold is None:
            return
        self.made += 1
        user, month, parts = self.held[hold]
        amount = sum(part for _, part in parts) * share // 1000
        artifact = made(self.made, credits=amount / 1000)
        if amount > sum(part for _, part in parts):
            with pytest.raises(CreditError):
                self.gallery.put(artifact, hold=hold, credits=amount / 1000)
            with pytest.raises(NotFound):
                self.gallery.get(artifact.id)
            return
        for _ in range(2):
            self.gallery.put(artifact, hold=hold, credits=amount / 1000)
        self.used[user, month] = self.used.get((user, month), 0) + amount
        rest = []
        for lot, part in parts:
            paid = min(part, amount)
            amount -= paid
            lot.held -= paid
            rest.append((lot, part - paid))
        self.held[hold] = (user, month, rest)

    @rule(hold=consumes(holds))
    def release(self, hold: str | None) -> None:
        if hold is not None:
            self.gallery.release(hold)
            self.refund(hold)

    def refund(self, hold: str) -> None:
        user, month, parts = self.held[hold]
        for lot, part in parts:
            lot.left += part
            lot.held -= part
        self.accounts[user].live(self.clock.now)
        self.held[hold] = (user, month, [])

    @rule(user=USERS, note=st.text(max_size=20))
    def topup(self, user: str, note: str) -> None:
        account = self.accounts[user]
        account.live(self.clock.now)
        size = account.plan.topups[0]
        self.gallery.topup(user, size.credits / 1000, note)
        account.lots.append(Lot(size.credits, later(self.clock.now, size.months)))

    @rule(days=st.one_of(st.integers(1, 20), st.integers(100, 400)))
    def pass_time(self, days: int) -> None:
        self.clock.pass_(days=days)

    @rule()
    def close_and_open(self) -> None:
        self.gallery.close()
        for hold in sorted(self.held):
            self.refund(hold)
        self.reopen()

    @invariant()
    def agrees(self) -> None:
        now = self.clock.now
        for user, account in self.accounts.items():
            account.live(now)
            told = self.gallery.balance(user)
            held = sum(part for owner, _, parts in self.held.values() for _, part in parts if owner == user)
            left = [lot for lot in account.lots if lot.left and now < lot.expires]
            parts = [(part.expires, round(1000 * part.credits)) for part in told.expiring]
            assert by_time(parts) == by_time([(lot.expires, lot.left) for lot in left])
            assert list(told.expiring) == sorted(told.expiring, key=lambda part: part.expires)
            assert told.left == sum(lot.left for lot in left) / 1000 and told.held == held / 1000
            assert told.used == self.used.get((user, period_of(now)), 0) / 1000
            self.adds_up(user, told)

    def adds_up(self, user: str, told: Balance) -> None:
        """The lines of every pot that is booked and good add up to what the balance says of it."""
        lines = self.gallery.entries(user, limit=100_000)
        ends = {line.pot: line.expires for line in lines if line.expires is not None}
        left = dict.fromkeys(ends, 0)
        for line in lines:
            if line.kind != "charge":
                left[line.pot] += round(1000 * line.credits)
        assert all(amount >= 0 for amount in left.values()), "nothing is spent that was not given"
        booked = sorted(
            (ends[pot], amount / 1000) for pot, amount in left.items() if amount and ends[pot] > self.clock.now
        )
        unbooked = sorted((part.expires, part.credits) for part in told.expiring)
        for part in booked:
            unbooked.remove(part)
        assert all(expires <= later(self.clock.now, 3) for expires, _ in unbooked), "only allowances and rollovers come"
        paid = -sum(round(1000 * line.credits) for line in lines if line.kind == "charge")
        assert paid == sum(amount for (owner, _), amount in self.used.items() if owner == user), "nothing is paid twice"


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=15,
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
