"""What is particular to PostgreSQL: one writer at a time, bytewise order of text, and the server's errors in our words.

Writers take turns by an advisory lock that is the first thing each asks for, so what it reads afterwards is still so
when it writes, as with SQLite; each waits `WAIT_SECONDS` at most. Readers see one state of the tables and never wait.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fantascope.errors import InvalidValue, MissingExtra, StorageError
from fantascope.gallery.files import WAIT_SECONDS

TURN = 0x66616E7461  # "fanta"
"""The advisory lock that writers of the gallery in this database take turns with."""

READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITING = {"isolation_level": "READ COMMITTED"}
"""How transactions see what others commit. A writer has its turn to itself: it has to see what the last one left."""

_TEXT_COLUMN = re.compile(r"VARCHAR\(\d+\)")


def engine_of(url: str) -> sa.Engine:
    """Return connections to a database of PostgreSQL.

    Raises:
        InvalidValue: the URL is none, or of another database.
        MissingExtra: its driver is not installed.
    """
    try:
        place = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise InvalidValue("The URL of the gallery's database cannot be read.", param="url", hint=_EXAMPLE) from error
    if place.get_backend_name() != "postgresql":
        raise InvalidValue(f"A gallery is not kept in {place.get_backend_name()!r}.", param="url", hint=_EXAMPLE)
    try:
        # Without a dead connection in the pool: the server may have been started again.
        engine = sa.create_engine(place, pool_pre_ping=True, pool_size=10, max_overflow=20)
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as error:
        raise MissingExtra("A gallery in PostgreSQL", "serve", param="url") from error

    @sa.event.listens_for(engine, "begin")
    def _begin_postgres(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        if "begin" in options:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT_SECONDS:g}s'")
            connection.exec_driver_sql(f"SET LOCAL synchronous_commit = {_COMMITS[options['synchronous']]}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({TURN})")

    return engine


def translated(statement: str) -> str:
    """Return a migration as PostgreSQL is to run it: columns of short text are compared by their bytes, as elsewhere.

    Ranges of ids and the order of times must not follow the language of a server. Its BLOB is called BYTEA.
    """
    if not statement.startswith(("CREATE TABLE", "ALTER TABLE")):
        return statement
    return _TEXT_COLUMN.sub(lambda found: found.group() + ' COLLATE "C"', statement).replace(" BLOB ", " BYTEA ")


def explain(error: sa.exc.DBAPIError, folder: Path) -> Exception:
    """Turn the driver's error into one of ours; an error of our own SQL stays what it is."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    said = " ".join(str(error.orig).split())[:300]
    if isinstance(error, sa.exc.DataError) and "NUL" in said:
        return InvalidValue("A NUL character is no text that can be kept or found.")
    if state in ("55P03", "57014"):
        return StorageError(
            f"Another program has held the gallery in {folder} for more than {WAIT_SECONDS:g} s.",
            hint="Close it and try again.",
        )
    if state == "53100":
        return StorageError("The disk of the gallery's database is full.", hint="Free some space on its server.")
    if state in ("25006", "42501"):
        return StorageError(
            f"The gallery's database cannot be written: {said}",
            hint="Give its user the right to, or connect to a server that takes writes.",
        )
    if state.startswith("40"):
        return StorageError("The gallery's database undid a change that met another one.", hint="Try again.")
    unreachable: bool = isinstance(error, sa.exc.OperationalError) and not state
    if unreachable or error.connection_invalidated or state.startswith(("08", "28", "3D", "53", "57", "58")):
        return StorageError(
            f"The gallery's database cannot be used: {said}",
            hint="Start its server, and check the URL, user and password.",
        )
    return error


_EXAMPLE = "For example: postgresql+psycopg://fantascope@localhost/fantascope"
_COMMITS: dict[str, Any] = {"FULL": "on", "NORMAL": "off"}
