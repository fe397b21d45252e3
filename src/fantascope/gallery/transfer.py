"""All rows of one gallery's database into an empty one, between SQLite and PostgreSQL in either direction."""

from __future__ import annotations

import sqlalchemy as sa

from fantascope.errors import InvalidValue
from fantascope.gallery.schema import Database
from fantascope.gallery.tables import artifacts, entries, metadata, people, versions

ROWS = 1000
"""How many rows are read and written at a time."""


def copy_rows(source: Database, target: Database) -> None:
    """Copy every row, as the source is at one moment, in one transaction; both are of the newest version.

    Raises:
        InvalidValue: the target holds rows already.
    """
    with source.read() as rows, target.write() as tx:
        for table in (artifacts, entries, people):
            if tx.execute(sa.select(table).limit(1)).first() is not None:
                raise InvalidValue("The database holds a gallery already.", param="url", hint="Use an empty one.")
        # In the order they are declared: what is referred to stands before what refers.
        for table in metadata.tables.values():
            if table is not versions:
                found = rows.execution_options(stream_results=True, max_row_buffer=ROWS).execute(sa.select(table))
                for part in found.mappings().partitions(ROWS):
                    tx.execute(table.insert(), [dict(row) for row in part])
