"""What pictures look like, as the gallery keeps it: whose it is, what is near, and when it goes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.gallery.helpers import Clock, made, picture

from fantascope.artifact import Artifact
from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery import Gallery
from fantascope.gallery.index import Filters

MODEL, OTHER = "a" * 64, "b" * 64


def looking(*numbers: float) -> Any:
    """A vector of unit length."""
    vector = np.array(numbers, np.float32)
    return vector / np.linalg.norm(vector)


def rows(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        return connection.execute("SELECT artifact, account FROM looks ORDER BY artifact, account").fetchall()


@pytest.fixture
def three(gallery: Gallery) -> list[str]:
    """Pictures of one account that look the more different, the later they were kept."""
    ada = gallery.of("ada")
    ids = [ada.put(made(k, prompt=f"number {k}")).id for k in range(3)]
    ada.enter_looks(MODEL, {ids[0]: looking(1, 0), ids[1]: looking(1, 1), ids[2]: looking(0, 1)})
    return ids


def test_the_nearest_come_first_with_their_distances(gallery: Gallery, three: list[str]) -> None:
    ada = gallery.of("ada")
    found = ada.alike(looking(1, 0), MODEL)
    assert [entry.id for entry, _ in found] == three
    assert [distance for _, distance in found] == pytest.approx([0, 1 - 0.5**0.5, 1], abs=2e-3)
    assert [entry.id for entry, _ in ada.alike(looking(1, 0), MODEL, 1, but=three[0])] == [three[1]]
    assert [entry.id for entry, _ in ada.alike(looking(0, 1), MODEL, 2)] == [three[2], three[1]]
    assert ada.look_of(three[1][7:20], MODEL)[1] == pytest.approx(looking(1, 1), abs=1e-3)
    with pytest.raises(InvalidValue, match="limit is 1 or more"):
        ada.alike(looking(1, 0), MODEL, 0)


def test_filters_limit_what_is_found(gallery: Gallery, three: list[str], clock: Clock) -> None:
    ada, middle = gallery.of("ada"), clock()
    clock.pass_(hours=1)
    late = ada.put(made(9)).id
    ada.enter_looks(MODEL, {late: looking(1, 0)})

    def found(**filters: Any) -> list[str]:
        return [entry.id for entry, _ in ada.alike(looking(0, 1), MODEL, filters=Filters(**filters))]

    assert found(text="number 1") == [three[1]]
    assert found(given=True) == []
    assert found(until=clock()) == three[::-1]
    assert found(since=middle) == [three[2], three[1], late, three[0]] and found(since=clock()) == [late]


def test_what_was_not_looked_at_is_told_newest_first(gallery: Gallery) -> None:
    ada = gallery.of("ada")
    ids = [ada.put(made(k)).id for k in range(3)]
    ada.ingest(picture(50), task="mask")
    ada.put(Artifact(b"no picture", "model/gltf-binary"))
    assert ada.unseen(MODEL, 2) == ([ids[2], ids[1]], 3)
    ada.enter_looks(MODEL, {ids[2]: looking(1, 2), ids[1]: None})
    assert ada.unseen(MODEL, 9) == ([ids[0]], 1)
    assert [entry.id for entry, _ in ada.alike(looking(1, 2), MODEL)] == [ids[2]]
    assert ada.look_of(ids[1], MODEL) == (ids[1], None)


def test_another_model_has_to_look_again(gallery: Gallery, three: list[str]) -> None:
    ada = gallery.of("ada")
    assert ada.unseen(OTHER, 9)[1] == 3 and ada.alike(looking(1, 0), OTHER) == []
    ada.enter_looks(OTHER, {three[0]: looking(1, 0, 0)})
    assert ada.unseen(MODEL, 9) == ([three[0]], 1)
    assert [entry.id for entry, _ in ada.alike(looking(1, 0, 0), OTHER)] == [three[0]]
    # Vectors of a length that no longer fits are no answer, and no crash.
    assert [entry.id for entry, _ in ada.alike(looking(1, 0), OTHER)] == []


def test_nobody_finds_what_another_owns_or_learns_that_it_is_there(gallery: Gallery, three: list[str]) -> None:
    bob = gallery.of("bob")
    assert bob.alike(looking(1, 0), MODEL) == [] and bob.unseen(MODEL, 9) == ([], 0)
    with pytest.raises(NotFound):
        bob.look_of(three[0], MODEL)
    bob.ingest(made(0).data)  # the very bytes that ada has, and has looked at
    assert bob.unseen(MODEL, 9) == ([three[0]], 1) and bob.alike(looking(1, 0), MODEL) == []
    assert bob.look_of(three[0], MODEL) == (three[0], None)
    bob.enter_looks(MODEL, {three[0]: looking(0, 1), three[1]: looking(0, 1)})
    assert [(entry.id, entry.prompt) for entry, _ in bob.alike(looking(1, 0), MODEL)] == [(three[0], None)]
    assert [entry.id for entry, _ in gallery.of("ada").alike(looking(1, 0), MODEL)] == three
    assert [entry.id for entry, _ in gallery.alike(looking(0, 1), MODEL)].count(three[0]) == 1


def test_what_it_looks_like_goes_with_the_owner(gallery: Gallery, three: list[str], folder: Path) -> None:
    ada, bob = gallery.of("ada"), gallery.of("bob")
    bob.put(made(0, prompt="number 0"))
    gallery.enter_looks(MODEL, {three[0]: looking(1, 0)})
    assert rows(folder) == sorted([(three[0], "ada"), (three[0], "bob"), (three[1], "ada"), (three[2], "ada")])
    ada.remove(three[0])
    gallery.remove(three[1])
    assert rows(folder) == sorted([(three[0], "bob"), (three[2], "ada")])
    ada.enter_looks(MODEL, {three[0]: looking(1, 0)})  # looked at while it was removed
    assert len(rows(folder)) == 2
    ada.put(made(0, prompt="number 0"))
    assert ada.unseen(MODEL, 9) == ([three[0]], 1)
    assert list(gallery.verify()) == []


def test_verify_knows_looks_of_nobody(gallery: Gallery, three: list[str], folder: Path) -> None:
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        connection.execute("UPDATE looks SET account = 'eve' WHERE artifact = ?", (three[0],))
        connection.commit()
    assert [(one.kind, one.what) for one in gallery.verify()] == [("owner", three[0])]


def test_looks_are_in_a_backup(gallery: Gallery, three: list[str], tmp_path: Path, clock: Clock) -> None:
    from fantascope.gallery.restore import restore

    gallery.backup(tmp_path / "all.tar")
    assert restore(tmp_path / "all.tar", tmp_path / "new", clock=clock).problems == []
    with Gallery.open(tmp_path / "new") as back:
        assert [entry.id for entry, _ in back.of("ada").alike(looking(1, 0), MODEL)] == three
