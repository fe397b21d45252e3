"""Migrations and connections. This module, `tables` and their users hold all SQL there is.

`MIGRATIONS` only ever grows: what stands there has run on somebody's disk. The statements are plain SQL that SQLite and
PostgreSQL both take; what is particular to SQLite is in `_connect_sqlite` and `_begin_sqlite`, and to PostgreSQL in the
module `postgres`. Amounts are whole thousandths of a credit, times are `records.stamp`.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from fantascope.errors import GalleryCorrupt, GalleryError, GalleryTooNew, InvalidValue, StorageError
from fantascope.gallery import postgres
from fantascope.gallery.files import WAIT_SECONDS, storage_error
from fantascope.gallery.records import stamp
from fantascope.gallery.tables import versions

DATABASE = "gallery.db"

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE schema_versions (version INTEGER NOT NULL PRIMARY KEY, applied VARCHAR(27) NOT NULL)",
        "CREATE TABLE artifacts (seq BIGINT NOT NULL PRIMARY KEY, id VARCHAR(71) NOT NULL UNIQUE, "
        "media_type VARCHAR(100) NOT NULL, size BIGINT NOT NULL, width INTEGER, height INTEGER, task VARCHAR(40), "
        "receipt_id VARCHAR(16), prompt TEXT, folded TEXT, model TEXT, seed BIGINT, kept VARCHAR(27) NOT NULL, "
        "removed VARCHAR(27))",
        "CREATE INDEX artifacts_receipt ON artifacts (receipt_id)",
        "CREATE TABLE receipts (artifact VARCHAR(71) NOT NULL PRIMARY KEY REFERENCES artifacts (id), "
        "body TEXT NOT NULL)",
        "CREATE TABLE parents (child VARCHAR(71) NOT NULL REFERENCES artifacts (id), parent VARCHAR(71) NOT NULL, "
        "PRIMARY KEY (child, parent))",
        "CREATE INDEX parents_parent ON parents (parent)",
        "CREATE TABLE entries (seq BIGINT NOT NULL PRIMARY KEY, unique_key VARCHAR(300) NOT NULL UNIQUE, "
        "account VARCHAR(200) NOT NULL, period VARCHAR(7) NOT NULL, kind VARCHAR(9) NOT NULL, "
        "available BIGINT NOT NULL, held BIGINT NOT NULL, hold VARCHAR(16), artifact VARCHAR(71), "
        "owner VARCHAR(16), what TEXT NOT NULL, entered VARCHAR(27) NOT NULL)",
        "CREATE INDEX entries_account ON entries (account, period)",
        "CREATE INDEX entries_hold ON entries (hold)",
        "CREATE INDEX entries_owner ON entries (owner)",
    ),
    (
        "CREATE TABLE refusals (seq BIGINT NOT NULL PRIMARY KEY, id VARCHAR(16) NOT NULL UNIQUE, "
        "account VARCHAR(200) NOT NULL, rule VARCHAR(100) NOT NULL, scope VARCHAR(64) NOT NULL, "
        "refused VARCHAR(27) NOT NULL, body TEXT NOT NULL)",
        "CREATE TABLE appeals (refusal VARCHAR(16) NOT NULL PRIMARY KEY REFERENCES refusals (id), "
        "why TEXT NOT NULL, appealed VARCHAR(27) NOT NULL)",
        "CREATE TABLE decisions (seq BIGINT NOT NULL PRIMARY KEY, id VARCHAR(16) NOT NULL UNIQUE, "
        "refusal VARCHAR(16) NOT NULL REFERENCES refusals (id), rule VARCHAR(100) NOT NULL, "
        "scope VARCHAR(64) NOT NULL, allow INTEGER NOT NULL, why TEXT NOT NULL, decided VARCHAR(27) NOT NULL, "
        "signature TEXT NOT NULL)",
        "CREATE INDEX decisions_scope ON decisions (scope, rule)",
    ),
    (
        "ALTER TABLE entries ADD COLUMN pot VARCHAR(16) DEFAULT '' NOT NULL",
        "ALTER TABLE entries ADD COLUMN expires VARCHAR(27)",
        "UPDATE entries SET pot = period",
        "UPDATE entries SET expires = CASE WHEN SUBSTR(period, 6, 2) = '12' "
        "THEN CAST(CAST(SUBSTR(period, 1, 4) AS INTEGER) + 1 AS VARCHAR(4)) || '-01' "
        "ELSE SUBSTR(period, 1, 5) || SUBSTR('0203040506070809101112', "
        "2 * CAST(SUBSTR(period, 6, 2) AS INTEGER) - 1, 2) END || '-01T00:00:00.000000Z' WHERE kind = 'allowance'",
        "CREATE INDEX entries_pot ON entries (account, pot, available, held)",
        "CREATE INDEX entries_kind ON entries (account, kind)",
    ),
    (
        "CREATE TABLE owners (artifact VARCHAR(71) NOT NULL REFERENCES artifacts (id), account VARCHAR(200) NOT NULL, "
        "seq BIGINT NOT NULL, made INTEGER NOT NULL, task VARCHAR(40), kept VARCHAR(27) NOT NULL, "
        "PRIMARY KEY (artifact, account))",
        "INSERT INTO owners (artifact, account, seq, made, task, kept) "
        "SELECT artifact, account, ROW_NUMBER() OVER (ORDER BY seq, account), made, task, kept FROM ("
        "SELECT a.id AS artifact, paid.account AS account, a.seq AS seq, 1 AS made, a.task AS task, a.kept AS kept "
        "FROM artifacts a JOIN (SELECT DISTINCT artifact, account FROM entries WHERE kind = 'charge') paid "
        "ON paid.artifact = a.id WHERE a.removed IS NULL "
        "UNION ALL SELECT a.id, 'local', a.seq, CASE WHEN a.receipt_id IS NULL THEN 0 ELSE 1 END, a.task, a.kept "
        "FROM artifacts a WHERE a.removed IS NULL AND a.id NOT IN "
        "(SELECT artifact FROM entries WHERE kind = 'charge' AND artifact IS NOT NULL)) found",
        "CREATE INDEX owners_account ON owners (account, seq)",
        "CREATE INDEX owners_seq ON owners (seq)",
        "CREATE TABLE outcomes (job VARCHAR(100) NOT NULL, idx INTEGER NOT NULL, artifact VARCHAR(71) NOT NULL "
        "REFERENCES artifacts (id), account VARCHAR(200) NOT NULL, hold VARCHAR(16), kept VARCHAR(27) NOT NULL, "
        "PRIMARY KEY (job, idx))",
        "CREATE TABLE job_holds (job VARCHAR(100) NOT NULL PRIMARY KEY, hold VARCHAR(16) NOT NULL UNIQUE, "
        "account VARCHAR(200) NOT NULL)",
        "CREATE TABLE people (name VARCHAR(64) NOT NULL PRIMARY KEY, plan VARCHAR(100) NOT NULL, "
        "disabled INTEGER NOT NULL, operator INTEGER NOT NULL, created VARCHAR(27) NOT NULL)",
        "CREATE TABLE tokens (id VARCHAR(16) NOT NULL PRIMARY KEY, name VARCHAR(64) NOT NULL REFERENCES people (name), "
        "label VARCHAR(200) NOT NULL, digest VARCHAR(64) NOT NULL UNIQUE, created VARCHAR(27) NOT NULL, "
        "expires VARCHAR(27), revoked VARCHAR(27))",
        "CREATE INDEX tokens_name ON tokens (name)",
    ),
    (
        "CREATE TABLE looks (artifact VARCHAR(71) NOT NULL REFERENCES artifacts (id), account VARCHAR(200) NOT NULL, "
        "model VARCHAR(64) NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (artifact, account))",
        "CREATE INDEX looks_account ON looks (account, model)",
    ),
)
"""Step k takes a gallery of version k to version k + 1."""


class Database:
    """Connections to one gallery's tables. A write transaction has the whole gallery to itself."""

    def __init__(self, folder: Path, engine: sa.Engine, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self._engine = engine
        self.postgres = engine.dialect.name == "postgresql"
        how = postgres.WRITING if self.postgres else {}
        self._reader = engine.execution_options(**postgres.READING) if self.postgres else engine
        self._writer = engine.execution_options(begin="BEGIN IMMEDIATE", synchronous="FULL", **how)
        self._hasty_writer = engine.execution_options(begin="BEGIN IMMEDIATE", synchronous="NORMAL", **how)
        self._turn = threading.Lock()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of the tables and changes nothing."""
        with self._explained(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """Open a transaction that is committed at the end of the block, or rolled back by an error.

        Args:
            durable: The commit is on the disk when the block ends; otherwise the next durable one brings it there
                (a power cut may undo it, in order; a dead process does not).

        Raises:
            StorageError: the gallery is open read-only, the disk is full or read-only, or another writer
                does not end.
        """
        if self.read_only:
            raise StorageError(f"The gallery in {self.folder} is open for reading only.", hint="Open it for writing.")
        writer = self._writer if durable else self._hasty_writer
        with self._next(), self._explained(), writer.begin() as connection:
            yield connection

    def migrate(self, now: datetime) -> None:
        """Bring the tables to the newest version, in one transaction.

        Raises:
            GalleryTooNew: a newer Fantascope wrote them.
            GalleryError: they are older and the gallery is open read-only.
        """
        with self.read() as tx:
            found = _version(tx)
        if found > len(MIGRATIONS):
            raise GalleryTooNew(
                f"The gallery in {self.folder} is of version {found}; this Fantascope knows versions up to "
                f"{len(MIGRATIONS)}. Nothing was changed.",
                hint="pip install --upgrade fantascope",
            )
        if found == len(MIGRATIONS):
            return
        if self.read_only:
            raise GalleryError(
                f"The gallery in {self.folder} is of version {found} and has to be brought to {len(MIGRATIONS)}, "
                "which reading alone cannot do.",
                hint="Copy it to a disk that can be written and run: fantascope gallery list",
            )
        with self.write() as tx:
            for version in range(_version(tx), len(MIGRATIONS)):
                for statement in MIGRATIONS[version]:
                    tx.exec_driver_sql(postgres.translated(statement) if self.postgres else statement)
                tx.execute(versions.insert().values(version=version + 1, applied=stamp(now)))

    def older(self) -> bool:
        """Say whether the tables are there and of an older version."""
        with self.read() as tx:
            return 0 < _version(tx) < len(MIGRATIONS)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _next(self) -> Iterator[None]:
        """Wait for the other writers of this process, which a database would only let try again and again."""
        if not self._turn.acquire(timeout=WAIT_SECONDS):
            raise _busy(self.folder)
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise (postgres.explain if self.postgres else _explain)(error, self.folder) from error
        except sa.exc.TimeoutError as error:
            raise _busy(self.folder) from error
        except UnicodeEncodeError as error:
            raise InvalidValue("Half a character (a lone surrogate) is no text that can be kept or found.") from error


def open_database(folder: Path, url: str | None, read_only: bool, clock: Callable[[], datetime]) -> Database:
    """Connect to the tables of a gallery and bring them to the newest version.

    Without a URL they are in `folder/gallery.db`. Read-only, a gallery that does not exist reads as an empty one, and
    an older one whose file may be written is brought up all the same: it could not be read otherwise.

    Raises:
        GalleryTooNew, GalleryError: as `Database.migrate` says.
        GalleryCorrupt: the file is not a database, or a damaged one.
        StorageError: it cannot be read or written.
    """
    if url is not None:
        database = Database(folder, postgres.engine_of(url), read_only)
        if read_only and _is_new(database):
            database.close()
            database = Database(folder, _sqlite("sqlite://", poolclass=StaticPool), False)
    elif read_only and not (folder / DATABASE).exists():
        database = Database(folder, _sqlite("sqlite://", poolclass=StaticPool), False)
    else:
        database = Database(folder, _sqlite(_place(folder / DATABASE, read_only), read_only=read_only), read_only)
    try:
        if read_only and url is None and database.older() and _may_write(folder):
            open_database(folder, None, False, clock).close()
        database.migrate(clock())
    except BaseException:
        database.close()
        raise
    database.read_only = read_only
    return database


def _may_write(folder: Path) -> bool:
    return all(os.access(place, os.W_OK) for place in (folder, folder / DATABASE))


def _is_new(database: Database) -> bool:
    """Say whether no gallery was ever made in this database."""
    try:
        with database.read() as tx:
            return _version(tx) == 0
    except BaseException:
        database.close()
        raise


def _version(tx: sa.Connection) -> int:
    if not sa.inspect(tx).has_table(versions.name):
        return 0
    return int(tx.execute(sa.select(sa.func.max(versions.c.version))).scalar() or 0)


def _place(path: Path, read_only: bool) -> sa.URL:
    """Return the address of the file. On a disk that cannot be written and without a log, it cannot change either."""
    query = {"uri": "true"}
    if read_only:
        still = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
        query["immutable" if still else "mode"] = "1" if still else "ro"
    return sa.URL.create("sqlite", database=path.absolute().as_uri(), query=query)


def _sqlite(url: sa.URL | str, read_only: bool = False, **more: Any) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": WAIT_SECONDS}, **more)

    @sa.event.listens_for(engine, "connect")
    def _connect_sqlite(connection: Any, record: object) -> None:
        """Leave transactions to `_begin_sqlite`; readers and one writer work side by side."""
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON").close()
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL").close()

    @sa.event.listens_for(engine, "begin")
    def _begin_sqlite(connection: sa.Connection) -> None:
        """Let a writer take the lock at once: what it read is still so when it writes."""
        options = connection.get_execution_options()
        if "synchronous" in options:
            connection.exec_driver_sql(f"PRAGMA synchronous = {options['synchronous']}")
        connection.exec_driver_sql(options.get("begin", "BEGIN"))

    return engine


def _busy(folder: Path) -> StorageError:
    return StorageError(
        f"Another program has held the gallery in {folder} for more than {WAIT_SECONDS:g} s.",
        hint="Close it and try again.",
    )


def _explain(error: sa.exc.DBAPIError, folder: Path) -> Exception:
    """Turn the driver's error into one of ours; an error of our own SQL stays what it is."""
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return GalleryCorrupt(
            f"{folder / DATABASE} is damaged: {error.orig}.",
            hint=f"Put a backup in its place. The pictures under {folder / 'objects'} are files of their own.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return _busy(folder)
    if name.startswith("SQLITE_FULL"):
        return storage_error(folder, errno.ENOSPC, "")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return storage_error(folder, errno.EACCES, "")
    if name.startswith("SQLITE_IOERR"):
        return storage_error(folder, None, str(error.orig))
    return error
