"""The parts of the server that need no server."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.errors import AccessDenied, InvalidValue, NotFound, TooMany
from fantascope.serve.fair import LOW, Fair
from fantascope.serve.hub import KEPT_EVENTS, Hub
from fantascope.serve.limits import Rate
from fantascope.serve.links import Links
from fantascope.serve.options import Options


def order(jobs: list[tuple[int, str]]) -> str:
    return "".join(name for _, name in sorted(jobs, key=lambda job: job[0]))


def test_accounts_take_turns_whoever_came_first() -> None:
    fair = Fair()
    jobs = [(fair.tag("ann", 1), "a") for _ in range(6)] + [(fair.tag("bob", 1), "b") for _ in range(3)]
    assert order(jobs)[:6].count("b") == 3


def test_who_comes_late_does_not_wait_for_a_whole_backlog() -> None:
    fair = Fair()
    backlog = [fair.tag("ann", 1) for _ in range(1000)]
    for tag in backlog[:100]:
        fair.began(tag)
    late = fair.tag("bob", 1)
    assert sum(1 for tag in backlog[100:] if tag < late) <= 1


def test_large_jobs_count_for_more_than_small_ones() -> None:
    fair = Fair()
    jobs = [(fair.tag("ann", 4), "a") for _ in range(4)] + [(fair.tag("bob", 1), "b") for _ in range(16)]
    first = order(jobs)[:10]
    assert 1 <= first.count("a") <= 3


def test_priorities_are_an_accounts_own() -> None:
    fair = Fair()
    normal = [fair.tag("ann", 1) for _ in range(5)]
    high, low = fair.tag("ann", 1, "high"), fair.tag("ann", 1, "low")
    other = fair.tag("bob", 1)
    assert high <= normal[0]
    assert low > LOW > max(normal)
    assert other < normal[2], "a low job of ann's must not push bob back"


def test_a_job_that_moves_finds_its_old_place_again() -> None:
    fair = Fair()
    tags = [fair.tag("ann", 1) for _ in range(5)]
    place = Fair.ordinary(tags[4])
    assert fair.moved(place, "high") <= tags[0] and fair.moved(place, "low") > LOW
    assert fair.moved(place, "normal") == tags[4]
    low = fair.tag("ann", 1, "low")
    assert fair.moved(Fair.ordinary(low), "normal") == low - LOW > tags[4]
    for tag in tags:
        fair.began(tag)
    assert fair.moved(place, "high") == tags[4], "nothing goes before what was begun last"
    assert fair.tag("ann", 1) == tags[4] + 20, "moving costs no turns: only the low job took one"


def test_tags_go_on_after_a_restart() -> None:
    before, after = Fair(), Fair()
    waiting = [("ann", before.tag("ann", 1)) for _ in range(10)]
    after.restore(waiting[3:])
    assert after.tag("ann", 1) > waiting[-1][1]
    assert waiting[3][1] <= after.tag("bob", 1) <= waiting[4][1]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1e6), st.sampled_from(["low", "normal", "high"]))))
def test_tags_are_priorities_that_the_queue_takes(jobs: list[tuple[str, float, Any]]) -> None:
    fair = Fair()
    for account, credits, priority in jobs:
        assert 1 <= fair.tag(account, credits, priority) < 2**31


def watched(hub: Hub, job: str, after: int = 0) -> list[Any]:
    async def read() -> list[Any]:
        return [event async for event in hub.watch(job, after)]

    return asyncio.run(asyncio.wait_for(read(), 10))


def test_a_watcher_that_comes_back_gets_what_it_missed() -> None:
    hub = Hub()
    for k in range(5):
        hub.tell("job", "step", {"step": k})
    hub.tell("job", "done", {})
    assert [event.n for event in watched(hub, "job", 3)] == [4, 5, 6]


def test_events_told_from_a_thread_reach_those_who_wait() -> None:
    hub = Hub()

    async def both() -> list[str]:
        async def read() -> list[str]:
            return [event.kind async for event in hub.watch("job")]

        reader = asyncio.ensure_future(read())
        await asyncio.sleep(0.01)
        for kind in ("queued", "started", "step", "done"):
            await asyncio.to_thread(hub.tell, "job", kind, {})
        return await asyncio.wait_for(reader, 10)

    assert asyncio.run(both()) == ["queued", "started", "step", "done"]


def test_the_hub_stays_small() -> None:
    hub = Hub()
    for k in range(10 * KEPT_EVENTS):
        hub.tell("job", "step", {"step": k}, preview=None if k % 4 else bytes(1000))
    hub.tell("job", "done", {})
    events = watched(hub, "job")
    assert len(events) == KEPT_EVENTS
    assert sum(event.preview is not None for event in events) == 1


def test_a_signed_address_is_good_for_its_file_its_account_and_its_time(tmp_path: Path) -> None:
    now = [1000.0]
    links = Links(tmp_path, lambda: now[0])
    path = links.path("ann", "sha256:" + "ab" * 32, life=60)
    asked = dict(pair.split("=", 1) for pair in path.partition("?")[2].split("&"))
    links.check("ann", "ab" * 32, asked["until"], asked["sig"])
    for account, name, until, signature in (
        ("bob", "ab" * 32, asked["until"], asked["sig"]),
        ("ann", "cd" * 32, asked["until"], asked["sig"]),
        ("ann", "ab" * 32, str(int(asked["until"]) + 1), asked["sig"]),
        ("ann", "ab" * 32, asked["until"], asked["sig"][:-1] + "_"),
        ("ann", "ab" * 32, "9" * 30, asked["sig"]),
        ("ann", "ab" * 32, "-1", asked["sig"]),
        ("ann", "ab" * 32, asked["until"], "é"),
    ):
        with pytest.raises(NotFound):
            links.check(account, name, until, signature)
    now[0] += 61
    with pytest.raises(AccessDenied, match="expired"):
        links.check("ann", "ab" * 32, asked["until"], asked["sig"])
    assert (tmp_path / "links.key").stat().st_mode & 0o777 == 0o600
    Links(tmp_path, lambda: 1000.0).check("ann", "ab" * 32, asked["until"], asked["sig"])


def test_rates_allow_bursts_and_say_when_to_come_back() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    for _ in range(30):
        rate.take("ann")
    with pytest.raises(TooMany) as refused:
        rate.take("ann")
    rate.take("bob")
    now[0] += refused.value.after
    rate.take("ann")
    with pytest.raises(TooMany):
        rate.take("ann")
    for _ in range(1000):
        Rate(0).take("ann")


def test_heavy_work_counts_for_more() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    rate.take("ann", 25.0)
    with pytest.raises(TooMany) as refused:
        rate.take("ann", 6.0)
    assert refused.value.after == pytest.approx(1.0)
    rate.take("bob", 1000.0)  # never more than a whole bucket: what is large has to be possible at all
    with pytest.raises(TooMany):
        rate.take("bob")


def test_rates_are_kept_on_average() -> None:
    now, chance, passed = [0.0], random.Random(1), 0
    rate = Rate(600, lambda: now[0])
    for _ in range(20_000):
        now[0] += chance.uniform(0, 0.02)
        try:
            rate.take("ann")
        except TooMany:
            continue
        passed += 1
    assert passed == pytest.approx(300 + now[0] * 10, abs=2)


@pytest.mark.parametrize(
    "wrong", [{"port": 70000}, {"token": "short"}, {"workers": 0}, {"rate": -1}, {"certificate": Path("x")}]
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        Options(**wrong).check()


def test_only_this_machine_is_answered_by_default() -> None:
    assert Options().local
    assert "example.org" not in Options().allowed_names
    assert Options(host="0.0.0.0", names=("studio.example.org",)).allowed_names[-1] == "studio.example.org"
    assert "0.0.0.0" not in Options(host="0.0.0.0").allowed_names
