"""Tables and migrations: what is on the disk is what the code reads, older ones are brought up, newer ones refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from tests.gallery.helpers import Clock, made, open_at_once, processes, stored

from fantascope.errors import GalleryCorrupt, GalleryError, GalleryTooNew, StorageError
from fantascope.gallery import Gallery, index, ledger, looks, schema
from fantascope.gallery.tables import metadata


def rows(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        return connection.execute(query).fetchall()


def version(folder: Path) -> int:
    return int(rows(folder, "SELECT max(version) FROM schema_versions")[0][0])


def test_migrations_make_exactly_the_tables_the_code_uses(gallery: Gallery, folder: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{folder / 'gallery.db'}")
    found = sa.MetaData()
    found.reflect(engine)
    engine.dispose()
    assert set(found.tables) == set(metadata.tables)
    for name, table in metadata.tables.items():
        told = [(c.name, str(c.type), c.nullable, c.primary_key) for c in table.columns]
        real = [(c.name, str(c.type), c.nullable, c.primary_key) for c in found.tables[name].columns]
        assert told == real, name


def _statements(clock: Clock) -> Iterator[Any]:
    """Every kind of statement the gallery runs, caught while it runs them."""
    caught: list[Any] = []
    engine = schema._sqlite("sqlite://", poolclass=sa.StaticPool)
    sa.event.listen(engine, "before_execute", lambda c, statement, *rest: caught.append(statement))
    database = schema.Database(Path(), engine, False)
    database.migrate(clock())
    parent, child = made(1), made(2, parents=[made(1).id])
    with database.write() as tx:
        hold = ledger.hold(tx, "local", 2, "imagine", "free", "f" * 16, clock())
        for artifact in (parent, child):
            index.add(tx, artifact, None, clock())
            ledger.charge(tx, hold, artifact.id, 0.5, clock())
        assert index.children(tx, parent.id) == [child.id]
        index.bury(tx, child.id, clock())
        index.add(tx, child, None, clock())
        assert ledger.open_holds(tx, "f" * 16)[0][0] == hold
        ledger.release(tx, hold, "not used", clock())
        ledger.topup(tx, "local", 115, "", "free", clock())
        wanted = index.Filters(text="pink 100%", model="echo", seed=1, given=False, receipt_id="0" * 16)
        assert index.listing(tx, 5, child.id, wanted) == []
        looks.enter(tx, "a" * 64, parent.id, np.ones(4, np.float32), None)
        assert looks.unseen(tx, "a" * 64, 5, None)[1] == 2 and looks.named(tx, [child.id], "ada") == []
        assert looks.look_of(tx, parent.id, "a" * 64, None)[1] is None  # nobody owns it: it was only indexed
        assert looks.vectors(tx, "a" * 64, 4, index.Filters(since=clock(), until=None), None)[0] == []
        assert index.find(tx, parent.id[7:]).id == parent.id and index.receipt_body(tx, parent.id) is not None
        assert len(list(index.everything(tx))) == 2 and list(ledger.check(tx)) == []
        assert ledger.balance(tx, "local", "free", clock()).left == 129 and ledger.lines(tx, "local", 9)
        assert ledger.charges(tx)[parent.id] == [500] and len(list(index.whereabouts(tx))) == 2
    database.close()
    yield from caught


def test_every_statement_can_be_said_to_postgresql_without_words_of_sqlite(clock: Clock) -> None:
    statements = list(_statements(clock))
    assert len(statements) > 40
    for statement in statements:
        if isinstance(statement, str):
            continue
        said = str(statement.compile(dialect=postgresql.dialect()))
        assert not any(word in said.lower() for word in ("rowid", "json_extract", "or replace", "glob", "pragma"))
        assert said.split()[0] == str(statement.compile(dialect=sqlite.dialect())).split()[0]
    for steps in schema.MIGRATIONS:
        assert not any("AUTOINCREMENT" in step.upper() or "WITHOUT ROWID" in step.upper() for step in steps)


def test_a_newer_gallery_is_refused_and_left_alone(folder: Path) -> None:
    with Gallery.open(folder) as gallery:
        gallery.put(made(1))
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        connection.execute("INSERT INTO schema_versions VALUES (99, '2030-01-01T00:00:00.000000Z')")
        connection.commit()
    before = (stored(folder), rows(folder, "SELECT * FROM artifacts"))
    for read_only in (False, True):
        with pytest.raises(GalleryTooNew, match=rf"version 99.* up to {len(schema.MIGRATIONS)}") as caught:
            Gallery.open(folder, read_only=read_only)
        assert "pip install" in str(caught.value)
    assert (stored(folder), rows(folder, "SELECT * FROM artifacts")) == before
    assert list((folder / "locks").glob("*.lock")) == []


def test_an_older_gallery_is_brought_up_in_one_transaction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Gallery.open(folder) as gallery:
        kept = gallery.put(made(1))
    newest = len(schema.MIGRATIONS)
    broken = (*schema.MIGRATIONS, ("CREATE TABLE notes (id BIGINT PRIMARY KEY)",), ("ALTER TABLE nowhere ADD x INT",))
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    monkeypatch.setattr(schema, "_may_write", lambda folder: False)  # of a disk that is mounted for reading
    with pytest.raises(sa.exc.OperationalError):
        Gallery.open(folder)
    assert version(folder) == newest and rows(folder, "SELECT name FROM sqlite_master WHERE name = 'notes'") == []
    with pytest.raises(GalleryError, match=f"version {newest} and has to be brought to {newest + 2}"):
        Gallery.open(folder, read_only=True)
    monkeypatch.setattr(schema, "MIGRATIONS", (*broken[:-1], ("ALTER TABLE notes ADD COLUMN x INTEGER",)))
    with Gallery.open(folder) as gallery:
        assert gallery.get(kept.id).receipt == kept.receipt
    assert version(folder) == newest + 2 and rows(folder, "SELECT id, x FROM notes") == []


def test_a_gallery_of_before_looks_gets_them_even_from_who_only_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as before:
        before.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:4])
        with Gallery.open(folder) as gallery:
            kept = gallery.of("ada").put(made(1))
    assert version(folder) == 4
    with Gallery.open(folder, read_only=True) as gallery:
        assert gallery.get(kept.id).receipt == kept.receipt
        assert gallery.of("ada").unseen("a" * 64, 9) == ([kept.id], 1)
        with pytest.raises(StorageError, match="for reading only"):
            gallery.enter_looks("a" * 64, {kept.id: np.ones(4, np.float32)})
    assert version(folder) == len(schema.MIGRATIONS) and rows(folder, "SELECT * FROM looks") == []


def test_a_ledger_of_before_pots_is_read_with_them(folder: Path, clock: Clock) -> None:
    (folder / "objects").mkdir(parents=True)
    steps = schema.MIGRATIONS
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        for version, statements in enumerate(steps[:2], 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO schema_versions VALUES (?, '2026-11-01T00:00:00.000000Z')", (version,))
        columns = "seq, unique_key, account, period, kind, available, held, hold, artifact, owner, what, entered"
        rows_before = [
            (1, "allowance:2025-12:ada", "ada", "2025-12", "allowance", 15000, 0, None, "free", "2025-12-31T23"),
            (2, "hold:aa", "ada", "2025-12", "hold", -4000, 4000, "aa", "imagine", "2025-12-31T23"),
            (3, "refund:aa", "ada", "2025-12", "refund", 4000, -4000, "aa", "not used", "2026-01-01T00"),
            (4, "allowance:2026-11:ada", "ada", "2026-11", "allowance", 15000, 0, None, "free", "2026-11-02T00"),
            (5, "hold:bb", "ada", "2026-11", "hold", -5000, 5000, "bb", "imagine", "2026-11-02T00"),
        ]
        for seq, key, account, period, kind, available, held, hold, what, entered in rows_before:
            row = (seq, key, account, period, kind, available, held, hold, None, None, what, entered + ":00:00.000000Z")
            connection.execute(f"INSERT INTO entries ({columns}) VALUES ({', '.join('?' * 12)})", row)
        connection.commit()
    with Gallery.open(folder, plan="free", clock=clock) as gallery:
        assert rows(folder, "SELECT pot, expires FROM entries WHERE kind = 'allowance' ORDER BY seq") == [
            ("2025-12", "2026-01-01T00:00:00.000000Z"),
            ("2026-11", "2026-12-01T00:00:00.000000Z"),
        ]
        assert (gallery.balance("ada").left, gallery.balance("ada").held) == (10, 5)
        gallery.put(made(1, credits=2), hold="bb", credits=2)
        gallery.release("bb")
        gallery.release(gallery.hold("ada", 13, "imagine"))
        assert (gallery.balance("ada").left, gallery.balance("ada").used) == (13, 2)
        assert [(line.kind, line.credits, line.pot) for line in gallery.entries("ada", 3)][-1] == (
            "expiry", -15, "2025-12",
        )  # fmt: skip
        assert list(gallery.verify()) == []


def test_a_damaged_database_is_said_and_the_pictures_stay(folder: Path) -> None:
    with Gallery.open(folder) as gallery:
        gallery.put(made(1))
    kept = stored(folder)
    (folder / "gallery.db").write_bytes(b"this is no database, whatever it is called" * 100)
    with pytest.raises(GalleryCorrupt, match=r"gallery\.db is damaged"):
        Gallery.open(folder)
    assert stored(folder) == kept


def test_commits_are_durable_and_readers_do_not_wait(gallery: Gallery) -> None:
    with gallery._database.read() as tx:
        assert tx.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert tx.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        gallery.put(made(1))  # a writer beside an open reader
    for durable, level in ((True, 2), (False, 1), (True, 2)):
        with gallery._database.write(durable=durable) as tx:
            assert tx.exec_driver_sql("PRAGMA synchronous").scalar() == level


def test_several_processes_may_make_the_same_gallery_at_once(folder: Path) -> None:
    start, told = processes.Event(), processes.Queue()
    workers = [processes.Process(target=open_at_once, args=(str(folder), start, told)) for _ in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    assert {told.get(timeout=60) for _ in workers} == {made(1).id}
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    with Gallery.open(folder) as gallery:
        assert len(gallery.list()) == 1 and list(gallery.verify()) == []
    assert len(stored(folder)) == 1
