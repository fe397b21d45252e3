"""Whose artifacts: a view sees what its account owns and nothing that tells of anything else."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.gallery.helpers import Clock, made, picture, stored

from fantascope.artifact import Artifact
from fantascope.errors import GalleryError, InvalidValue, NotFound, UnknownName
from fantascope.gallery import Gallery, Refusal, index, schema


@pytest.fixture
def ada(gallery: Gallery) -> Gallery:
    return gallery.of("ada")


@pytest.fixture
def bob(gallery: Gallery) -> Gallery:
    return gallery.of("bob", plan="pro")


LOOKS: dict[str, Callable[[Gallery, str], Any]] = {
    "get": Gallery.get,
    "entry": Gallery.entry,
    "receipt": Gallery.receipt,
    "children": Gallery.children,
    "remove": Gallery.remove,
    "thumbnail": Gallery.thumbnail,
    "export": lambda view, ref: view.export(ref, Path()),
    "list before": lambda view, ref: view.list(before=ref),
    "look of": lambda view, ref: view.look_of(ref, "m" * 64),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("form", [lambda one: one.id, lambda one: one.id[7:15], lambda one: one.receipt.id])
def test_what_others_own_is_not_found_in_the_words_of_what_is_not_there(
    gallery: Gallery, ada: Gallery, bob: Gallery, look: str, form: Callable[[Any], str]
) -> None:
    kept = ada.put(made(1))
    ada.thumbnail(kept.id)
    ref = form(kept)
    with pytest.raises(NotFound) as theirs:
        LOOKS[look](bob, ref)
    ada.remove(kept.id)
    for view in (ada, bob):
        with pytest.raises(NotFound) as gone:
            LOOKS[look](view, ref)
        assert gone.value.as_dict() == theirs.value.as_dict()
    assert stored(gallery.folder) == set() and list(gallery.verify()) == []


def test_each_lists_its_own_and_the_operator_everything(gallery: Gallery, ada: Gallery, bob: Gallery) -> None:
    mine = [ada.put(made(seed)).id for seed in range(3)]
    his = [bob.put(made(seed, "a blue whale")).id for seed in range(10, 12)]
    operators = gallery.put(made(20)).id
    assert [entry.id for entry in ada.list()] == mine[::-1]
    assert [entry.id for entry in bob.list()] == his[::-1]
    assert [entry.id for entry in gallery.list()] == [operators, *his[::-1], *mine[::-1]]
    assert [entry.id for entry in gallery.of("local").list()] == [operators]
    assert ada.list(text="whale") == [] == ada.list(seed=10) and [e.id for e in bob.list(text="whale")] == his[::-1]
    assert [entry.id for entry in ada.list(limit=1, before=mine[2])] == [mine[1]]
    receipt = made(10, "a blue whale").receipt
    assert receipt is not None
    assert bob.by_receipt(receipt.id)[0].id == his[0] and ada.by_receipt(receipt.id) == []
    assert gallery.of("carl").list() == [] and list(gallery.verify()) == []


def test_the_same_picture_of_two_is_one_file_and_each_has_it_for_itself(
    gallery: Gallery, ada: Gallery, bob: Gallery, clock: Clock
) -> None:
    kept = ada.put(made(1))
    clock.pass_(days=1)
    ada.put(made(2))
    assert bob.put(made(1)).id == kept.id and len(stored(gallery.folder)) == 2
    assert bob.receipt(kept.id) == ada.receipt(kept.id)
    assert bob.entry(kept.id).kept == clock() and ada.entry(kept.id).kept < clock(), "nobody sees since when others do"
    assert ada.remove(kept.id) == kept.id
    with pytest.raises(NotFound):
        ada.get(kept.id)
    assert bob.get(kept.id).receipt == kept.receipt and gallery.get(kept.id).data == kept.data
    bob.remove(kept.id)
    assert len(stored(gallery.folder)) == 1 and list(gallery.verify()) == []
    with pytest.raises(NotFound, match="was removed on"):
        gallery.get(kept.id)


def test_who_hands_in_what_another_made_learns_nothing_of_how(gallery: Gallery, ada: Gallery, bob: Gallery) -> None:
    kept = ada.put(made(1, "a secret elephant"))
    assert kept.receipt is not None
    given = bob.ingest(kept.data)
    assert given.id == kept.id and given.receipt is None and bob.get(kept.id).receipt is None
    entry = bob.entry(kept.id)
    assert entry.given and (entry.prompt, entry.model, entry.seed, entry.receipt_id, entry.task) == (None,) * 5
    wanted: list[dict[str, Any]] = [{"text": "secret"}, {"seed": 1}, {"model": "echo"}, {"given": False}]
    assert [bob.list(**one) for one in wanted] == [[]] * 4 and bob.by_receipt(kept.receipt.id) == []
    assert [one.id for one in bob.list(given=True)] == [kept.id]
    for look in (lambda: bob.entry(kept.receipt.id), lambda: bob.receipt(kept.id)):  # type: ignore[union-attr]
        with pytest.raises(NotFound):
            look()
    assert ada.ingest(kept.data).receipt == kept.receipt and gallery.ingest(kept.data).receipt == kept.receipt
    assert gallery.of("local").get(kept.id).receipt is None, "handing in is not making, for the operator's account too"


def test_the_words_go_with_the_last_who_made_it(gallery: Gallery, ada: Gallery, bob: Gallery, folder: Path) -> None:
    parent = ada.put(made(5))
    hold = ada.hold("ada", 2, "imagine")
    kept = ada.put(made(1, "a secret elephant", credits=2, parents=[parent.id]), hold=hold, credits=2)
    bob.ingest(kept.data, task="mask")
    ada.remove(kept.id)
    assert gallery.entry(kept.id).prompt is None and gallery.get(kept.id).receipt is None
    assert gallery.entry(kept.id).task == "mask" and ada.children(parent.id) == []
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        assert not any("secret" in line for line in connection.iterdump())
    assert bob.get(kept.id).data == kept.data and list(gallery.verify()) == []
    assert ada.put(kept).receipt == kept.receipt and ada.entry(kept.id).prompt == "a secret elephant"
    assert bob.entry(kept.id).prompt is None and list(gallery.verify()) == []


def test_what_was_handed_in_first_and_made_later_has_a_receipt(gallery: Gallery, ada: Gallery, bob: Gallery) -> None:
    one = made(1)
    assert ada.ingest(one.data).receipt is None and bob.ingest(one.data).receipt is None
    ada.put(one)
    assert ada.get(one.id).receipt == one.receipt and bob.get(one.id).receipt is None
    assert [entry.given for entry in (ada.entry(one.id), bob.entry(one.id))] == [False, True]
    bare = Artifact(picture(7), "image/png")
    bob.put(bare)
    assert bob.entry(bare.id).given, "kept without a receipt is handed in"
    assert list(gallery.verify()) == []


def test_a_mask_of_one_is_a_picture_of_another(ada: Gallery, bob: Gallery) -> None:
    data = picture(1)
    ada.ingest(data, task="mask")
    bob.ingest(data)
    assert ada.list() == [] and len(bob.list()) == 1 and bob.list()[0].task is None


def test_prefixes_are_judged_among_own_artifacts(gallery: Gallery, ada: Gallery, bob: Gallery) -> None:
    one, other = ada.put(made(1)), bob.put(made(2))
    twin = "sha256:" + one.id[7:20] + other.id[20:]
    with gallery._database.write() as tx:
        tx.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for table, column in (("artifacts", "id"), ("owners", "artifact"), ("receipts", "artifact")):
            tx.exec_driver_sql(f"UPDATE {table} SET {column} = '{twin}' WHERE {column} = '{other.id}'")
    assert ada.entry(one.id[7:17]).id == one.id and bob.entry(one.id[7:17]).id == twin
    with pytest.raises(InvalidValue, match="fits 2 artifacts"):
        gallery.entry(one.id[7:17])


def test_children_are_those_one_made_oneself(gallery: Gallery, ada: Gallery, bob: Gallery) -> None:
    parent = ada.put(made(1))
    bob.ingest(parent.data)
    his, mine = bob.put(made(2, parents=[parent.id])), ada.put(made(3, parents=[parent.id]))
    bob.ingest(mine.data)
    assert ada.children(parent.id) == [mine.id] and bob.children(parent.id) == [his.id]
    assert gallery.children(parent.id) == [his.id, mine.id]
    with pytest.raises(GalleryError, match="1 artifacts were made"):
        ada.remove(parent.id)
    ada.remove(mine.id)
    ada.remove(parent.id)
    assert bob.get(parent.id).data == parent.data and bob.get(mine.id).receipt is None
    assert gallery.remove(parent.id, force=True) == parent.id
    for view in (bob, gallery):
        with pytest.raises(NotFound):
            view.get(parent.id)


def test_a_view_has_its_own_account_alone(gallery: Gallery, ada: Gallery, bob: Gallery) -> None:
    hold = bob.hold("bob", 2000, "imagine")
    assert bob.balance("bob").plan == "pro" and ada.balance("ada").plan == "free"
    for act in (
        lambda: ada.hold("bob", 1, "imagine"),
        lambda: ada.balance("bob"),
        lambda: ada.entries("bob"),
        lambda: ada.topup("bob", 115),
    ):
        with pytest.raises(InvalidValue, match="view is of the account 'ada'"):
            act()
    for act in (lambda: ada.put(made(1, credits=1), hold=hold, credits=1), lambda: ada.release(hold)):
        with pytest.raises(NotFound, match="There is no hold"):
            act()
    for act in (ada.sweep, lambda: list(ada.verify()), lambda: ada.people):
        with pytest.raises(GalleryError, match="whole gallery"):
            act()
    assert bob.balance("bob").held == 2000 and stored(gallery.folder) == set()
    with pytest.raises(UnknownName):
        gallery.of("ada", plan="golden")
    with pytest.raises(InvalidValue):
        gallery.of(" ")


def test_closing_a_view_closes_nothing(gallery: Gallery) -> None:
    with gallery.of("ada") as view:
        hold = view.hold("ada", 2, "imagine")
    view.close()
    assert gallery.balance("ada").held == 2 and view.put(made(1)).id == made(1).id
    gallery.release(hold)
    assert gallery.balance("ada").held == 0


def test_what_a_view_holds_is_refunded_when_its_gallery_closes(folder: Path) -> None:
    with Gallery.open(folder) as gallery:
        gallery.of("ada").hold("ada", 2, "imagine")
    with Gallery.open(folder, read_only=True) as reader:
        assert reader.balance("ada").held == 0 and reader.of("ada").list() == []


def refusal(account: str) -> Refusal:
    facts = dict.fromkeys(("subject", "scope", "text", "reason", "offer", "policy", "task", "rule"), "x")
    return Refusal(id="", at=Clock(2026, 1, 1)(), account=account, score=1, threshold=0, words=(), **facts)  # type: ignore[arg-type]


def test_refusals_of_others_are_not_there(gallery: Gallery, ada: Gallery, bob: Gallery) -> None:
    mine, his = ada.refusals.record(refusal("ada")), bob.refusals.record(refusal("bob"))
    assert [one.id for one in ada.refusals.newest(9)] == [mine.id] and len(gallery.refusals.newest(9)) == 2
    for act in (lambda: ada.refusals.get(his.id), lambda: ada.refusals.appeal(his.id, "why")):
        with pytest.raises(NotFound, match="no refusal"):
            act()
    bob.refusals.appeal(his.id, "mine")
    assert ada.refusals.newest(9, appealed=True) == [] and len(bob.refusals.newest(9, appealed=True)) == 1
    with pytest.raises(InvalidValue, match="log of 'ada'"):
        ada.refusals.record(refusal("bob"))


def test_threads_with_views_of_their_own_share_the_gallery(gallery: Gallery) -> None:
    wrong: list[object] = []

    def work(name: str, first: int) -> None:
        try:
            view = gallery.of(name, plan="pro")
            hold = view.hold(name, 10, "imagine")
            kept = [view.put(made(seed, credits=1), hold=hold, credits=1).id for seed in range(first, first + 10)]
            view.release(hold)
            assert [entry.id for entry in view.list()] == kept[::-1] and view.balance(name).used == 10
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(f"user{k}", 100 * k)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == [] and len(gallery.list(limit=100)) == 80 and list(gallery.verify()) == []


def test_a_gallery_of_before_owners_gets_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gallery.open(folder) as gallery:
        holds = {name: gallery.hold(name, 5, "imagine") for name in ("ada", "bob")}
        both, gone = made(1, credits=1), made(3, credits=1)
        for name in ("ada", "bob"):
            gallery.put(both, hold=holds[name], credits=1)
        mine = gallery.put(made(2, credits=1), hold=holds["ada"], credits=1)
        gallery.put(gone, hold=holds["ada"], credits=1)
        gallery.remove(gone.id)
        free, given = gallery.put(made(4)), gallery.ingest(picture(9), task="mask")
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        for table in ("tokens", "people", "job_holds", "outcomes", "looks", "owners"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("DELETE FROM schema_versions WHERE version >= 4")
        connection.commit()
    with Gallery.open(folder) as gallery:
        with closing(sqlite3.connect(folder / "gallery.db")) as connection:
            found = connection.execute("SELECT artifact, account, made, task FROM owners ORDER BY seq").fetchall()
        assert found == [
            (both.id, "ada", 1, "imagine"),
            (both.id, "bob", 1, "imagine"),
            (mine.id, "ada", 1, "imagine"),
            (free.id, "local", 1, "imagine"),
            (given.id, "local", 0, "mask"),
        ]
        assert [entry.id for entry in gallery.of("ada").list()] == [mine.id, both.id]
        assert list(gallery.verify()) == [] and gallery.of("local").get(free.id).receipt == free.receipt


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM owners WHERE account = 'ada'", "nobody owns it"),
        ("UPDATE owners SET made = 0", "none of its owners made it"),
        ("UPDATE artifacts SET removed = '2026'", "it was removed and has an owner"),
        ("UPDATE owners SET artifact = 'sha256:0'", "the index does not know it"),
    ],
)
def test_verify_knows_owners(gallery: Gallery, ada: Gallery, folder: Path, damage: str, said: str) -> None:
    ada.put(made(1))
    assert list(gallery.verify()) == []
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        assert connection.execute(damage).rowcount == 1
        connection.commit()
    found = [problem for problem in gallery.verify() if problem.kind == "owner"]
    assert any(said in problem.message for problem in found) and all(problem.fix for problem in found)


def test_looking_for_own_artifacts_reads_an_index(gallery: Gallery, ada: Gallery) -> None:
    ada.put(made(1))
    caught: list[tuple[str, Any]] = []

    def catch(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            caught.append((statement, parameters))

    listen = (gallery._database._engine, "before_cursor_execute", catch)
    sa.event.listen(*listen)
    ada.list(limit=5)
    ada.entry(made(1).id[7:20])
    ada.get(made(1).id)
    sa.event.remove(*listen)
    plans = []
    with gallery._database.read() as tx:
        for statement, parameters in caught:
            plans += [row[-1] for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert len(caught) == 4 and any("owners_account" in step for step in plans)
    assert not any(step.startswith("SCAN artifacts") or "SCAN owners" in step for step in plans), plans
    assert not any("TEMP B-TREE FOR ORDER BY" in step for step in plans[:4]), plans
    assert index.MIN_PREFIX == 6 and len(schema.MIGRATIONS) >= 4
