"""Damage of every kind, done by hand, is found and named; sweep removes what nobody owns and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from tests.gallery.helpers import Clock, made, stored

from fantascope.artifact import Artifact
from fantascope.errors import StorageError
from fantascope.gallery import Gallery


def edit(statement: str) -> Callable[[Path, Artifact], None]:
    def damage(folder: Path, kept: Artifact) -> None:
        with closing(sqlite3.connect(folder / "gallery.db")) as connection:
            assert connection.execute(statement, {"id": kept.id}).rowcount == 1
            connection.commit()

    return damage


def change_file(folder: Path, kept: Artifact) -> None:
    assert kept.path is not None
    kept.path.write_bytes(kept.data + b"\0")


def lose_file(folder: Path, kept: Artifact) -> None:
    assert kept.path is not None
    kept.path.unlink()


def add_file(folder: Path, kept: Artifact) -> None:
    (folder / "objects" / "aa").mkdir()
    (folder / "objects" / "aa" / ("0" * 62 + ".png")).write_bytes(b"whose?")


def leave_file(folder: Path, kept: Artifact) -> None:
    (folder / "objects" / "tmp" / "0123456789abcdef-00").write_bytes(b"half")


DAMAGE = {
    "changed": change_file,
    "missing": lose_file,
    "orphan": add_file,
    "leftover": leave_file,
    "receipt: parse": edit("UPDATE receipts SET body = '{\"id\": 7' WHERE artifact = :id"),
    "receipt: changed": edit("UPDATE receipts SET body = replace(body, '24', '25') WHERE artifact = :id"),
    "receipt: gone": edit("DELETE FROM receipts WHERE artifact = :id"),
    "index": edit("UPDATE artifacts SET prompt = 'a blue elephant' WHERE id = :id"),
    "ledger: receipt says": edit("UPDATE entries SET held = -1000 WHERE artifact = :id"),
    "ledger: more was spent": edit("UPDATE entries SET held = -9000 WHERE artifact = :id"),
    "ledger: is none": edit("UPDATE entries SET available = 5000 WHERE artifact = :id"),
    "ledger: no hold": edit("DELETE FROM entries WHERE kind = 'hold' AND length(:id) > 0"),
    "ledger: overspent": edit("UPDATE entries SET available = 100 WHERE kind = 'allowance' AND length(:id) > 0"),
    "ledger: unknown kind": edit("UPDATE entries SET kind = 'gift' WHERE artifact = :id"),
    "ledger: had expired": edit("UPDATE entries SET expires = '2026' WHERE kind = 'allowance' AND length(:id) > 0"),
    "ledger: nothing was ever given": edit("UPDATE entries SET pot = 'x' WHERE kind = 'hold' AND length(:id) > 0"),
    "ledger: expired before its time": edit(
        "INSERT INTO entries SELECT 99, 'x', account, period, 'expiry', -1, 0, NULL, NULL, NULL, '', entered, pot, "
        "NULL FROM entries WHERE artifact = :id"
    ),
    "ledger: does not know": edit("UPDATE entries SET artifact = 'sha256:0' WHERE artifact = :id"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found(gallery: Gallery, folder: Path, what: str) -> None:
    hold = gallery.hold("local", 2.0, "imagine")
    kept = gallery.put(made(1, credits=1.5), hold=hold, credits=1.5)
    gallery.put(made(5))
    gallery.release(hold)
    assert list(gallery.verify()) == []
    DAMAGE[what](folder, kept)
    found = list(gallery.verify())
    kind, _, said = what.partition(": ")
    assert kind in {problem.kind for problem in found}
    assert any(said in problem.message for problem in found if problem.kind == kind), found
    assert all(problem.what and problem.fix for problem in found)
    with Gallery.open(folder, read_only=True) as reader:
        assert list(reader.verify()) == found


def test_sweep_removes_what_no_row_names_and_nothing_else(gallery: Gallery, folder: Path) -> None:
    gallery.put(made(1))
    kept = stored(folder)
    add_file(folder, made(1))
    leave_file(folder, made(1))
    with Gallery.open(folder) as other:
        living = folder / "objects" / "tmp" / f"{other._files.owner}-00"
        living.write_bytes(b"being written")
        assert {problem.kind for problem in gallery.verify()} == {"orphan", "leftover"}
        assert set(gallery.sweep()) == stored_before_sweep(folder, kept)
        assert stored(folder) == kept | {living}
    assert list(gallery.verify()) == [] and gallery.sweep() == []


def stored_before_sweep(folder: Path, kept: set[Path]) -> set[Path]:
    objects = folder / "objects"
    return {objects / "aa" / ("0" * 62 + ".png"), objects / "tmp" / "0123456789abcdef-00"} - kept


def test_a_hold_whose_owner_is_elsewhere_stands_for_a_day(gallery: Gallery, folder: Path, clock: Clock) -> None:
    with Gallery.open(folder, plan="free", clock=clock) as other:
        other.hold("local", 5, "imagine")
        lock = folder / "locks" / f"{other._files.owner}.lock"
        lock.rename(lock.with_name("away"))
        clock.now += timedelta(hours=23)
        gallery.sweep()
        assert gallery.balance("local").held == 5
        clock.now += timedelta(hours=2)
        gallery.sweep()
        assert gallery.balance("local").held == 0 and gallery.balance("local").left == 15
        lock.with_name("away").rename(lock)


def test_a_reader_does_not_sweep(gallery: Gallery, folder: Path) -> None:
    with Gallery.open(folder, read_only=True) as reader, pytest.raises(StorageError):
        reader.sweep()
