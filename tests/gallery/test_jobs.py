"""Holds and outcomes of jobs: whatever dies, however often it is begun again, each index is kept and charged once."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from tests.gallery.helpers import Clock, made, processes, stored, work_at_job

from fantascope.errors import CreditError, InvalidValue, NotFound
from fantascope.gallery import Gallery, files, index, jobs, ledger

COUNT = 4


def test_the_hold_of_a_job_outlives_whoever_asked_for_it(folder: Path, clock: Clock) -> None:
    with Gallery.open(folder, plan="free", clock=clock) as gallery:
        hold = gallery.hold("ada", 9, "imagine", job="a")
        assert gallery.hold("ada", 5, "imagine", job="a") == hold, "the same one, credits unchanged"
        other = gallery.hold("ada", 3, "imagine", job="b")
        assert gallery.job_holds() == {"a": hold, "b": other}
    clock.pass_(days=2)
    with Gallery.open(folder, plan="free", clock=clock) as gallery:
        gallery.sweep()
        assert gallery.balance("ada").held == 12 and gallery.job_holds() == {"a": hold, "b": other}
        gallery.put(made(1, credits=9), hold=hold, credits=9, job=("a", 0))
        assert gallery.hold("ada", 9, "imagine", job="a") == hold, "all of it is spent: nothing is held a second time"
        gallery.release(hold)
        gallery.release(hold)
        assert gallery.job_holds() == {"b": other} and list(gallery.verify()) == []
        again = gallery.hold("ada", 1, "imagine", job="a")
        assert again != hold and gallery.balance("ada").held == 4
        for done in (again, other):
            gallery.release(done)
        assert gallery.balance("ada").held == 0 and gallery.balance("ada").left == 6


def test_the_hold_of_a_job_is_on_the_disk_at_once(gallery: Gallery) -> None:
    levels: list[tuple[str, int]] = []
    real = ledger._enter

    def enter(tx: object, key: str, kind: str, *rest: object, **more: object) -> None:
        if kind == "hold":
            levels.append((str(rest[2]), tx.exec_driver_sql("PRAGMA synchronous").scalar()))  # type: ignore[attr-defined]
        real(tx, key, kind, *rest, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_enter", enter)
        gallery.hold("ada", 1, "imagine")
        gallery.hold("ada", 1, "imagine", job="a")
    assert [level for _, level in levels] == [1, 2]


def test_an_outcome_is_kept_and_charged_once(gallery: Gallery, folder: Path) -> None:
    view = gallery.of("ada")
    hold = view.hold("ada", 5, "imagine", job="a")
    first = view.put(made(1, credits=2), hold=hold, credits=2, job=("a", 0))
    other = view.put(made(2, credits=2), hold=hold, credits=2, job=("a", 0))
    assert other == first and other.path in stored(folder) and len(stored(folder)) == 1
    assert view.outcomes("a") == {0: first.id} == gallery.outcomes("a") and view.outcomes("b") == {}
    assert view.balance("ada").used == 2 and [entry.id for entry in view.list()] == [first.id]
    view.put(made(3, credits=2), hold=hold, credits=2, job=("a", 7))
    with pytest.raises(CreditError):
        view.put(made(4, credits=2), hold=hold, credits=2, job=("a", 1))
    assert list(view.outcomes("a")) == [0, 7] and list(gallery.verify()) == []
    view.remove(first.id)
    with pytest.raises(NotFound):
        view.put(made(1, credits=2), hold=hold, credits=2, job=("a", 0))
    assert view.balance("ada").used == 4 and list(gallery.verify()) == []


def test_free_outcomes_and_twins(gallery: Gallery) -> None:
    assert gallery.put(made(1), job=("free", 0)).id == made(1).id
    hold = gallery.hold("ada", 4, "imagine", job="a")
    for idx in range(2):
        gallery.put(made(2, credits=2), hold=hold, credits=2, job=("a", idx))
    assert gallery.outcomes("a") == {0: made(2).id, 1: made(2).id}
    assert gallery.balance("ada").used == 2, "one hold pays for one artifact once"
    assert list(gallery.verify()) == []


def test_jobs_of_others_are_refused_and_not_told_of(gallery: Gallery) -> None:
    ada, bob = gallery.of("ada"), gallery.of("bob")
    hold = ada.hold("ada", 2, "imagine", job="a")
    ada.put(made(1, credits=2), hold=hold, credits=2, job=("a", 0))
    assert bob.outcomes("a") == {} and bob.job_holds() == {} and ada.job_holds() == {"a": hold}
    with pytest.raises(InvalidValue, match="not of the account 'bob'"):
        bob.hold("bob", 2, "imagine", job="a")
    with pytest.raises(InvalidValue, match="not of the account 'bob'"):
        bob.put(made(2), job=("a", 0))
    with pytest.raises(InvalidValue, match="name of a job"):
        bob.hold("bob", 2, "imagine", job="x" * 101)
    for wrong in (-1, True, 2**31):
        with pytest.raises(InvalidValue, match="whole number"):
            ada.put(made(1), job=("a", wrong))
    assert bob.list() == [] and list(gallery.verify()) == []


def done_once(folder: Path, job: str) -> None:
    """Check that a job is done, whole and once."""
    with Gallery.open(folder) as gallery:
        assert gallery.job_holds() == {} and list(gallery.verify()) == [] and gallery.sweep() == []
        found = gallery.outcomes(job)
        assert list(found) == list(range(COUNT)) and len(set(found.values())) == COUNT
        charges = [line.artifact for line in gallery.entries("ada", 10_000) if line.kind == "charge"]
        assert all(charges.count(id) == 1 for id in found.values())
        assert all(gallery.of("ada").get(id).receipt is not None for id in found.values())


def test_killed_at_random_moments_a_job_is_done_once(tmp_path: Path) -> None:
    folder, chance = tmp_path / "pictures", random.Random(40)
    kills = 0
    for number in range(2):
        job = f"job-{number}"
        for attempt in range(100):
            log = tmp_path / f"log-{number}-{attempt}"
            worker = processes.Process(target=work_at_job, args=(str(folder), job, 100 * number, COUNT, str(log)))
            worker.start()
            while not (log.exists() and log.stat().st_size):
                assert worker.is_alive() or worker.exitcode == 0
                worker.join(0.001)
            worker.join(chance.uniform(0, 0.02 + attempt * 0.02))
            worker.kill()
            worker.join()
            if log.read_text().endswith("done\n"):
                break
            kills += 1
        with Gallery.open(folder) as gallery:
            for hold in gallery.job_holds().values():
                gallery.release(hold)
        for past in range(number + 1):
            done_once(folder, f"job-{past}")
    with Gallery.open(folder) as gallery:
        assert gallery.balance("ada").used == 1.5 * COUNT * 2 and gallery.balance("ada").held == 0
    assert kills >= 2


STEPS = {
    "before the hold": (jobs, "hold", "before"),
    "in the hold": (ledger, "hold", "after"),
    "staged": (index, "add", "before"),
    "row entered": (index, "own", "after"),
    "charged": (ledger, "charge", "after"),
    "outcome entered": (jobs, "enter", "after"),
    "file in place": (files.Files, "place", "after"),
    "before the release": (ledger, "release", "before"),
    "in the release": (ledger, "release", "after"),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_step_a_job_is_done_once(folder: Path, step: str) -> None:
    nth = 1 if "hold" in step or "release" in step else 2
    worker = processes.Process(target=die_in_job, args=(str(folder), step, nth))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 9
    work_at_job(str(folder), "a", 0, COUNT, os.devnull)
    done_once(folder, "a")


def die_in_job(folder: str, step: str, nth: int) -> None:
    """Work at a job and end the process, as SIGKILL would, at the nth time of a step."""
    place, name, when = STEPS[step]
    real, calls = getattr(place, name), [0]

    def call(*args: object, **more: object) -> object:
        calls[0] += 1
        if calls[0] == nth and when == "before":
            os._exit(9)
        result = real(*args, **more)
        if calls[0] == nth:
            os._exit(9)
        return result

    setattr(place, name, call)
    work_at_job(folder, "a", 0, COUNT, os.devnull)


def test_two_workers_at_one_job_do_it_once(folder: Path) -> None:
    workers = [processes.Process(target=work_at_job, args=(str(folder), "a", 0, COUNT, os.devnull)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    with Gallery.open(folder) as gallery:
        for hold in gallery.job_holds().values():
            gallery.release(hold)
    done_once(folder, "a")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE outcomes SET artifact = 'sha256:0'", "which the index does not know"),
        ("UPDATE outcomes SET hold = 'ffff'", "was not charged for"),
        ("DELETE FROM entries WHERE kind = 'charge'", "was not charged for"),
        ("UPDATE job_holds SET hold = 'ffff'", "has no hold ffff"),
        ("UPDATE job_holds SET account = 'bob'", "'bob' has no hold"),
    ],
)
def test_verify_knows_jobs(gallery: Gallery, folder: Path, damage: str, said: str) -> None:
    hold = gallery.hold("ada", 4, "imagine", job="a")
    gallery.put(made(1, credits=2), hold=hold, credits=2, job=("a", 0))
    assert list(gallery.verify()) == []
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        assert connection.execute(damage).rowcount == 1
        connection.commit()
    assert any(said in problem.message for problem in gallery.verify() if problem.kind == "job")


def test_a_put_costs_one_row_more_than_before_owners(gallery: Gallery) -> None:
    hold = gallery.hold("ada", 4, "imagine")
    with gallery._database.read() as tx:
        before = {name: tx.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in TABLES}
    gallery.put(made(1, credits=1), hold=hold, credits=1)
    with gallery._database.read() as tx:
        after = {name: tx.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in TABLES}
    grown = {name: after[name] - before[name] for name in TABLES if after[name] != before[name]}
    assert grown == {"artifacts": 1, "receipts": 1, "entries": 1, "owners": 1}


TABLES = ("artifacts", "receipts", "parents", "entries", "owners", "outcomes", "job_holds")
