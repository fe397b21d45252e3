"""The same gallery in PostgreSQL: a cluster of its own in a folder of its own, real processes, real errors."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from tests.gallery.helpers import (
    MEMORY,
    Clock,
    made,
    open_at_once,
    picture,
    processes,
    spend_all,
    work_at_job,
)
from tests.gallery.test_owners import refusal

from fantascope.errors import CreditError, GalleryTooNew, InvalidValue, NotFound, StorageError
from fantascope.gallery import Gallery, postgres, schema
from fantascope.gallery.index import Filters
from fantascope.gallery.restore import restore
from fantascope.gallery.tables import metadata

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)
INITDB = shutil.which("initdb") or (str(PROGRAMS) if PROGRAMS is not None else None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(INITDB is None, reason="PostgreSQL is not installed: no initdb here"),
]

Place = Callable[[str], str]


class Cluster:
    """A server that listens on a socket in its own folder, run by a user who may."""

    def __init__(self, folder: Path) -> None:
        assert INITDB is not None
        self.folder, self.bin = folder, Path(INITDB).resolve().parent
        self.user = "postgres" if os.getuid() == 0 else None
        if self.user is not None:
            shutil.chown(folder, self.user)
        self.run("initdb", "-D", str(folder / "data"), "--auth=trust", "--no-sync", "-E", "UTF8", "-U", "postgres")
        self.start()

    def run(self, program: str, *words: str) -> None:
        command = [str(self.bin / program), *words]
        done = subprocess.run(command, user=self.user, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        # Without TCP no port is taken; without fsync no time: it is the clients that are killed here.
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off -c max_connections=60"
        log = str(self.folder / "log")
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop")

    def url(self, name: str, user: str = "postgres") -> str:
        return f"postgresql+psycopg://{user}@/{name}?host={self.folder}"

    def say(self, *statements: str, name: str = "postgres") -> None:
        engine = sa.create_engine(self.url(name), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder))
        yield cluster
        cluster.stop()


@pytest.fixture
def url(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    name = "t" + random.Random(request.node.name).randbytes(8).hex()
    cluster.say(f"CREATE DATABASE {name}")
    return cluster.url(name)


@pytest.fixture
def server(folder: Path, url: str, clock: Clock) -> Iterator[Gallery]:
    with Gallery.open(folder, url=url, plan="free", clock=clock) as gallery:
        yield gallery


def test_migrations_make_the_tables_of_the_code_compared_by_their_bytes(server: Gallery, folder: Path) -> None:
    found = sa.MetaData()
    found.reflect(server._database._engine)
    assert set(found.tables) == set(metadata.tables)
    for name, table in metadata.tables.items():
        told = [(c.name, c.type.python_type, c.nullable, c.primary_key) for c in table.columns]
        real = [(c.name, c.type.python_type, c.nullable, c.primary_key) for c in found.tables[name].columns]
        assert told == real, name
        for column in found.tables[name].columns:
            if isinstance(column.type, sa.VARCHAR):
                assert column.type.collation == "C", (name, column.name)
    with server._database.read() as tx:
        versions = tx.exec_driver_sql("SELECT version FROM schema_versions ORDER BY version").scalars().all()
    assert versions == list(range(1, len(schema.MIGRATIONS) + 1)) and not (folder / "gallery.db").exists()


def test_a_database_without_a_gallery_reads_as_an_empty_one(folder: Path, url: str) -> None:
    with Gallery.open(folder, url=url, read_only=True) as reader:
        assert reader.list() == [] and list(reader.verify()) == [] and reader.people.list() == []
        with pytest.raises(StorageError):
            reader.put(made(1))


def test_a_whole_life(server: Gallery, folder: Path, clock: Clock) -> None:
    server.people.add("ada", "standard")
    token = server.people.issue("ada", "laptop", days=1)
    ada, bob = server.of("ada"), server.of("bob")
    hold = ada.hold("ada", 5.5, "imagine", job="a")
    kept = [ada.put(made(k, "a PINK 100% elephant", credits=2), hold=hold, credits=2, job=("a", k)) for k in range(2)]
    assert ada.put(made(7, credits=2), hold=hold, credits=2, job=("a", 0)) == kept[0]
    with pytest.raises(CreditError, match=r"1\.5 are left"):
        ada.put(made(8, credits=2), hold=hold, credits=2)
    assert ada.job_holds() == {"a": hold} and ada.outcomes("a") == {0: kept[0].id, 1: kept[1].id}
    ada.release(hold)
    balance = ada.balance("ada")
    assert (balance.left, balance.used, balance.held) == (496, 4, 0) and isinstance(balance.left, float)
    assert [entry.id for entry in ada.list(text="pink 100%", model="echo", given=False)] == [kept[1].id, kept[0].id]
    assert ada.list(seed=2**70) == [] and ada.list(limit=1, before=kept[1].id)[0].id == kept[0].id
    assert ada.entry(kept[0].id[7:15]).id == kept[0].id and kept[0].receipt is not None
    assert ada.get(kept[0].receipt.id).data == kept[0].data and ada.by_receipt(kept[0].receipt.id)[0].id == kept[0].id
    bob.ingest(kept[0].data)
    assert bob.get(kept[0].id).receipt is None and bob.list(text="pink") == []
    child = server.put(made(3, parents=[kept[0].id]))
    assert server.children(kept[0].id) == [child.id] and ada.children(kept[0].id) == []
    ada.remove(kept[0].id)
    with pytest.raises(NotFound):
        ada.get(kept[0].id)
    assert server.entry(kept[0].id).prompt is None and len(bob.thumbnail(kept[0].id)) > 0
    said = bob.refusals.record(refusal("bob"))
    bob.refusals.appeal(said.id, "why\0 not")
    server.refusals.decide(said.id, True, "indeed", lambda data: "signed")
    assert server.refusals.get(said.id).appeal == "why not" and server.refusals.decided("x", "x") is not None
    assert server.topup("bob", 115, "a\0 note").left == 130 and server.entries("bob")[0].what == "a note"
    assert server.people.who(token) == server.people.get("ada") and server.people.who("fs-" + "x" * 43) is None
    for text in ("\0", "\ud800"):
        with pytest.raises(InvalidValue, match="no text"):
            ada.list(text=text)
    model, vector = "a" * 64, np.array([0.6, 0.8], np.float32)
    assert bob.unseen(model, 9) == ([kept[0].id], 1) and server.unseen(model, 1)[1] == 3
    server.enter_looks(model, {kept[0].id: vector, kept[1].id: vector[::-1], child.id: None})
    nearest = server.alike(vector, model, filters=Filters(since=clock(), given=None))
    assert [(one.id, apart < 1e-3) for one, apart in nearest] == [(kept[0].id, True), (kept[1].id, False)]
    assert [one.id for one, _ in ada.alike(vector, model)] == [kept[1].id] and server.unseen(model, 9) == ([], 0)
    assert ada.list(since=clock() + timedelta(seconds=1)) == [] and len(ada.list(until=clock() + timedelta(1))) == 1
    clock.pass_(days=40)
    assert server.people.who(token) is None and server.balance("bob").left == 130
    assert list(server.verify()) == [] and server.sweep() == []
    server.ingest(picture(99))
    with Gallery.open(folder, url=str(server._database._engine.url), read_only=True) as reader:
        assert len(reader.list()) == len(server.list()) and list(reader.verify()) == []


def test_processes_take_turns(folder: Path, url: str) -> None:
    start, told = processes.Event(), processes.Queue()
    workers = [processes.Process(target=spend_all, args=(str(folder), "ada", 1.5, start, told, url)) for _ in range(3)]
    workers += [processes.Process(target=open_at_once, args=(str(folder), start, told, url)) for _ in range(2)]
    for worker in workers:
        worker.start()
    start.set()
    said = [told.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert sum(one for one in said if isinstance(one, int)) == 10
    with Gallery.open(folder, url=url, plan="free") as gallery:
        assert gallery.balance("ada").left == 0 and len(gallery.list()) == 11 and list(gallery.verify()) == []


def test_killed_at_random_moments_a_job_is_done_once(folder: Path, url: str, tmp_path: Path) -> None:
    chance, kills = random.Random(5), 0
    for attempt in range(40):
        log = tmp_path / f"log-{attempt}"
        worker = processes.Process(target=work_at_job, args=(str(folder), "a", 0, 4, str(log), url))
        worker.start()
        while not (log.exists() and log.stat().st_size):
            assert worker.is_alive() or worker.exitcode == 0
            worker.join(0.001)
        worker.join(chance.uniform(0, 0.05 + attempt * 0.1))
        worker.kill()
        worker.join()
        if log.read_text().endswith("done\n"):
            break
        kills += 1
    with Gallery.open(folder, url=url) as gallery:
        for hold in gallery.job_holds().values():
            gallery.release(hold)
        assert list(gallery.verify()) == [] and gallery.sweep() == [] and list(gallery.outcomes("a")) == [0, 1, 2, 3]
        assert gallery.balance("ada").used == 6 and gallery.balance("ada").held == 0
    assert kills >= 1


def test_a_hold_of_the_dead_is_refunded_at_the_next_open(folder: Path, url: str) -> None:
    gallery = Gallery.open(folder, url=url)
    gallery.hold("ada", 5, "imagine")
    kept = gallery.hold("ada", 2, "imagine", job="a")
    gallery._files.release(forget=False)
    with Gallery.open(folder, url=url) as other:
        assert other.balance("ada").held == 2 and other.job_holds() == {"a": kept}
    gallery._database.close()


def test_a_writer_that_does_not_end_is_waited_for_and_then_named(
    server: Gallery, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gallery.open(folder, url=url) as other, server._database.write():
        monkeypatch.setattr(postgres, "WAIT_SECONDS", 0.2)
        assert other.list() == [], "readers do not wait"
        with pytest.raises(StorageError, match="Another program has held the gallery"):
            other.put(made(1))
        with pytest.raises(StorageError, match="Another program has held"):
            other.hold("ada", 1, "imagine")
    assert server.put(made(1)).id == made(1).id


def test_errors_say_what_to_do(cluster: Cluster, server: Gallery, folder: Path, url: str) -> None:
    for wrong, said in (
        (cluster.url("nowhere"), "cannot be used: .*nowhere.* does not exist"),
        (cluster.url("postgres", user="nobody"), "cannot be used: .*nobody"),
        (f"postgresql+psycopg://x:secret@/y?host={folder}", "cannot be used"),
    ):
        with pytest.raises(StorageError, match=said) as caught:
            Gallery.open(folder, url=wrong)
        assert "Start its server" in str(caught.value) and "secret" not in str(caught.value)
    for other in ("mysql://localhost/x", "no url at all"):
        with pytest.raises(InvalidValue, match="gallery") as refused:
            Gallery.open(folder, url=other)
        assert "postgresql+psycopg://" in str(refused.value)
    name = str(sa.make_url(url).database)
    cluster.say("CREATE ROLE looker LOGIN", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker", name=name)
    looking = cluster.url(name, user="looker")
    with Gallery.open(folder.with_name("other"), url=looking, read_only=True) as reader:
        assert reader.list() == []
    other_folder = folder.with_name("other")
    with Gallery.open(other_folder, url=looking) as writer, pytest.raises(StorageError, match="cannot be written"):
        writer.put(made(1))
    cluster.say("INSERT INTO schema_versions VALUES (99, '2030')", name=name)
    with pytest.raises(GalleryTooNew):
        Gallery.open(folder, url=url, read_only=True)


def test_a_backup_goes_from_postgresql_to_sqlite_and_back(
    cluster: Cluster, server: Gallery, folder: Path, tmp_path: Path
) -> None:
    token = server.people.issue(server.people.add("ada", "standard").name)
    ada = server.of("ada")
    hold = ada.hold("ada", 4, "imagine", job="a")
    kept = [ada.put(made(k, credits=2), hold=hold, credits=2, job=("a", k)).id for k in range(2)]
    assert server.backup(tmp_path / "all.tar").artifacts == 2
    moved = restore(tmp_path / "all.tar", tmp_path / "files", clock=server._clock)
    assert moved.problems == [] and (tmp_path / "files" / "gallery.db").exists()
    cluster.say("CREATE DATABASE back")
    again = cluster.url("back")
    with Gallery.open(tmp_path / "files", clock=server._clock) as local:
        assert list(local.verify()) == [] and local.balance("ada") == server.balance("ada")
        local.put(made(5))
        local.backup(tmp_path / "more.tar")
    assert restore(tmp_path / "more.tar", tmp_path / "back", clock=server._clock, url=again).problems == []
    assert not (tmp_path / "back" / "gallery.db").exists()
    with Gallery.open(tmp_path / "back", url=again, clock=server._clock) as back:
        assert list(back.verify()) == [] and back.sweep() == [] and back.outcomes("a") == dict(enumerate(kept))
        assert len(back.list()) == 3 and back.people.who(token) is not None and back.job_holds() == {"a": hold}
        assert back.put(made(6)).id == back.list(limit=1)[0].id
    with pytest.raises(InvalidValue, match="holds a gallery already"):
        restore(tmp_path / "more.tar", tmp_path / "twice", clock=server._clock, url=again)
    assert not (tmp_path / "twice").exists()


def test_a_server_that_was_started_again_is_found_again(cluster: Cluster, server: Gallery) -> None:
    server.put(made(1))
    cluster.stop()
    with pytest.raises(StorageError, match="cannot be used"):
        server.put(made(2))
    cluster.start()
    assert server.put(made(2)).id == made(2).id and list(server.verify()) == []
