"""Tables, migrations and connections. This module and its users `index`, `ledger` and `appeals` hold all SQL there is.

`MIGRATIONS` only ever grows: what stands there has run on somebody's disk. The statements are plain SQL that SQLite and
PostgreSQL both take; what is particular to SQLite is in `_connect_sqlite` and `_begin_sqlite`. Amounts are whole
thousandths of a credit, times are `records.stamp`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from fantascope.errors import GalleryCorrupt, GalleryError, GalleryTooNew, StorageError
from fantascope.gallery.files import WAIT_SECONDS, storage_error
from fantascope.gallery.records import stamp

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
)
"""Step k takes a gallery of version k to version k + 1."""

_metadata = sa.MetaData()

versions = sa.Table(
    "schema_versions",
    _metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("applied", sa.String(27), nullable=False),
)

artifacts = sa.Table(
    "artifacts",
    _metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(71), nullable=False, unique=True),
    sa.Column("media_type", sa.String(100), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("task", sa.String(40)),
    sa.Column("receipt_id", sa.String(16)),
    sa.Column("prompt", sa.Text),
    sa.Column("folded", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("seed", sa.BigInteger),
    sa.Column("kept", sa.String(27), nullable=False),
    sa.Column("removed", sa.String(27)),
)
"""One row per artifact ever kept, oldest first by `seq`. `folded` is the prompt as it is searched. A removed one keeps
its id and times (a tombstone, so that the ledger stays whole) and loses everything a person wrote."""

receipts = sa.Table(
    "receipts",
    _metadata,
    sa.Column("artifact", sa.String(71), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

parents = sa.Table(
    "parents",
    _metadata,
    sa.Column("child", sa.String(71), primary_key=True),
    sa.Column("parent", sa.String(71), primary_key=True),
)

entries = sa.Table(
    "entries",
    _metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("unique_key", sa.String(300), nullable=False, unique=True),
    sa.Column("account", sa.String(200), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("kind", sa.String(9), nullable=False),
    sa.Column("available", sa.BigInteger, nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("hold", sa.String(16)),
    sa.Column("artifact", sa.String(71)),
    sa.Column("owner", sa.String(16)),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("entered", sa.String(27), nullable=False),
    sa.Column("pot", sa.String(16), nullable=False),
    sa.Column("expires", sa.String(27)),
)
"""The ledger, only ever appended to. `unique_key` makes every entry happen once; `owner` is who must live for a hold
to stand; `pot` is whose credits are moved (`pots`), `expires` stands on the lines that give."""

refusals = sa.Table(
    "refusals",
    _metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(16), nullable=False, unique=True),
    sa.Column("account", sa.String(200), nullable=False),
    sa.Column("rule", sa.String(100), nullable=False),
    sa.Column("scope", sa.String(64), nullable=False),
    sa.Column("refused", sa.String(27), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

appeals = sa.Table(
    "appeals",
    _metadata,
    sa.Column("refusal", sa.String(16), primary_key=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("appealed", sa.String(27), nullable=False),
)

decisions = sa.Table(
    "decisions",
    _metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(16), nullable=False, unique=True),
    sa.Column("refusal", sa.String(16), nullable=False),
    sa.Column("rule", sa.String(100), nullable=False),
    sa.Column("scope", sa.String(64), nullable=False),
    sa.Column("allow", sa.Integer, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("decided", sa.String(27), nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
)
"""Refusals, what was said against them, and what the operator decided; rows are added, never changed."""


def next_seq(table: sa.Table) -> sa.ScalarSelect[int]:
    """Return the number of the next row; write transactions run one at a time, so it is nobody else's."""
    return sa.select(sa.func.coalesce(sa.func.max(table.c.seq), 0) + 1).scalar_subquery()


class Database:
    """Connections to one gallery's tables. A write transaction has the whole gallery to itself."""

    def __init__(self, folder: Path, engine: sa.Engine, read_only: bool) -> None:
        self.folder = folder
        self.read_only = read_only
        self._engine = engine
        self._writer = engine.execution_options(begin="BEGIN IMMEDIATE", synchronous="FULL")
        self._hasty_writer = engine.execution_options(begin="BEGIN IMMEDIATE", synchronous="NORMAL")

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one state of the tables and changes nothing."""
        with self._explained(), self._engine.connect() as connection:
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
        with self._explained(), writer.begin() as connection:
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
                    tx.exec_driver_sql(statement)
                tx.execute(versions.insert().values(version=version + 1, applied=stamp(now)))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise _explain(error, self.folder) from error


def open_database(folder: Path, url: str | None, read_only: bool, clock: Callable[[], datetime]) -> Database:
    """Connect to the tables of a gallery and bring them to the newest version.

    Without a URL they are in `folder/gallery.db`. Read-only, a gallery that does not exist reads as an empty one.

    Raises:
        GalleryTooNew, GalleryError: as `Database.migrate` says.
        GalleryCorrupt: the file is not a database, or a damaged one.
        StorageError: it cannot be read or written.
    """
    if url is not None:
        database = Database(folder, sa.create_engine(url, isolation_level="SERIALIZABLE"), read_only)
    elif read_only and not (folder / DATABASE).exists():
        database = Database(folder, _sqlite("sqlite://", poolclass=StaticPool), False)
    else:
        database = Database(folder, _sqlite(_place(folder / DATABASE, read_only), read_only=read_only), read_only)
    try:
        database.migrate(clock())
    except BaseException:
        database.close()
        raise
    database.read_only = read_only
    return database


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


def _explain(error: sa.exc.DBAPIError, folder: Path) -> Exception:
    """Turn the driver's error into one of ours; an error of our own SQL stays what it is."""
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return GalleryCorrupt(
            f"{folder / DATABASE} is damaged: {error.orig}.",
            hint=f"Put a backup in its place. The pictures under {folder / 'objects'} are files of their own.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StorageError(
            f"Another program has held the gallery in {folder} for more than {WAIT_SECONDS:g} s.",
            hint="Close it and try again.",
        )
    if name.startswith("SQLITE_FULL"):
        return storage_error(folder, errno.ENOSPC, "")
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return storage_error(folder, errno.EACCES, "")
    if name.startswith("SQLITE_IOERR"):
        return storage_error(folder, None, str(error.orig))
    return error
