"""Backup and restore of a whole gallery: one tar file of the database and every artifact.

    objects/ab/cdef….png   the bytes of `sha256:abcdef…`
    gallery.db             index, receipts, ledger, refusals, people and jobs, as a SQLite database wherever they live
    keys/…                 signing keys, only if asked for
    manifest.json          which version wrote it, and the hashes of what is not named after its hash

A backup is right while others write: the database is copied first, as of one moment, and then the files that the copy
names. Files never change, so none can be torn; one that is removed meanwhile is taken out of the copy too.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from fantascope.errors import GalleryCorrupt, InvalidValue
from fantascope.gallery import index, schema
from fantascope.gallery.files import Files, explained, sync_folder
from fantascope.gallery.records import Saved, stamp
from fantascope.gallery.tables import people
from fantascope.gallery.transfer import copy_rows

FORMAT = "fantascope gallery backup 1"
DATABASE, MANIFEST = schema.DATABASE, "manifest.json"

Told = Callable[[int, int], None]
"""Called with how many files are done, and of how many."""


def backup(
    database: schema.Database,
    files: Files,
    target: Path,
    *,
    keys: Path | None = None,
    overwrite: bool = False,
    told: Told | None = None,
) -> Saved:
    """Write a backup of a gallery, whole or not at all, readable by its owner only.

    Args:
        target: The tar file to make.
        keys: Folder of the signing keys, where they are to be in it: whoever has them can sign in your name.
        overwrite: Replace a file that is there.
        told: Hears how far it is.

    Raises:
        InvalidValue: the file exists, or its folder does not.
        GalleryCorrupt: a file is missing or has changed; nothing is written.
        StorageError: disk full or read-only; nothing is left of the file.
    """
    if target.exists() and not overwrite:
        raise InvalidValue(
            f"{target} exists and is not overwritten.", param="file", hint="Name another, or use --force."
        )
    if not target.parent.is_dir():
        raise InvalidValue(f"There is no folder {target.parent}.", param="file", hint=f"mkdir -p {target.parent}")
    with explained(target.parent), tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as folder:
        work = Path(folder)
        copied = _copied(database, work)
        try:
            (work / "tar").touch(0o600)
            with (work / "tar").open("wb") as out, tarfile.open(fileobj=out, mode="w") as tar:
                lost = _add_files(tar, database, files, copied, told)
                saved = _closed(copied, lost)
                hashes = {DATABASE: _add(tar, DATABASE, work / DATABASE)}
                for name, key in _keys(keys):
                    hashes[name] = _add(tar, name, key)
                manifest = {"format": FORMAT, "version": len(schema.MIGRATIONS), "made": stamp(datetime.now(UTC))}
                _add_text(tar, MANIFEST, json.dumps(manifest | {"sha256": hashes}, indent=1))
                tar.close()
                out.flush()
                os.fsync(out.fileno())
        finally:
            copied.close()
        (work / "tar").replace(target)
        sync_folder(target.parent)
    return Saved(saved.artifacts, saved.people, target.stat().st_size, keys is not None)


def _copied(database: schema.Database, folder: Path) -> schema.Database:
    """Copy the database, as it is at one moment, into a folder, and open the copy."""
    if database.postgres:
        copied = schema.open_database(folder, None, False, lambda: datetime.now(UTC))
        try:
            copy_rows(database, copied)
        except BaseException:
            copied.close()
            raise
        return copied
    with closing(sqlite3.connect(folder / DATABASE)) as out, database.read() as tx:
        source: Any = tx.connection.driver_connection
        source.backup(out)  # in one step: of one moment, and writers go on
    return schema.open_database(folder, None, False, lambda: datetime.now(UTC))


def _add_files(
    tar: tarfile.TarFile, database: schema.Database, files: Files, copied: schema.Database, told: Told | None
) -> list[str]:
    """Add every file that the copy names and return the artifacts that were removed meanwhile."""
    with copied.read() as tx:
        named = list(index.whereabouts(tx))
    lost = []
    for done, (artifact, media_type) in enumerate(named):
        if told is not None:
            told(done, len(named))
        place = files.place_of(artifact, media_type)
        try:
            found = _add(tar, place.relative_to(files.folder).as_posix(), place)
        except FileNotFoundError:
            with database.read() as tx:
                still = index.media_type_of(tx, artifact)
            if still is not None and not place.exists():
                raise GalleryCorrupt(
                    f"The file of {artifact} is missing: {place}.", hint="fantascope gallery verify"
                ) from None
            lost.append(artifact)
            continue
        if found != artifact.removeprefix("sha256:"):
            raise GalleryCorrupt(
                f"The file of {artifact} has changed since it was kept: {place}.", hint="fantascope gallery verify"
            )
    if told is not None:
        told(len(named), len(named))
    return lost


def _closed(copied: schema.Database, lost: list[str]) -> Saved:
    """Take what was removed meanwhile out of the copy, make one file of it and count what it holds."""
    now = datetime.now(UTC)
    if lost:
        with copied.write() as tx:
            for artifact in lost:
                index.bury(tx, artifact, now)
    with copied.read() as tx:
        count, known = len(list(index.whereabouts(tx))), tx.execute(sa.select(people.c.name)).all()
    copied.close()
    with closing(sqlite3.connect(copied.folder / DATABASE)) as single:
        single.execute("PRAGMA journal_mode = DELETE").close()
    return Saved(count, len(known), 0, False)


def _keys(folder: Path | None) -> list[tuple[str, Path]]:
    """Return the name in a backup and the path of every key."""
    found = [] if folder is None else sorted(path for path in folder.rglob("*.pem") if path.is_file())
    return [] if folder is None else [(f"keys/{path.relative_to(folder).as_posix()}", path) for path in found]


def _add(tar: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file and return the SHA-256 of what was added, as hex digits."""
    with path.open("rb") as file:
        info = tarfile.TarInfo(name)
        found = os.fstat(file.fileno())
        info.size, info.mtime, info.mode = found.st_size, int(found.st_mtime), 0o600
        reader = Hashing(file)
        tar.addfile(info, reader)
    return reader.digest()


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


class Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._sha = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read as a file does."""
        data = self._file.read(size)
        self._sha.update(data)
        return data

    def digest(self) -> str:
        """Return the SHA-256 of what was read."""
        return self._sha.hexdigest()
