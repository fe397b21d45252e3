"""Restore of a backup into an empty folder: every member is checked before anything is where it will be used."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fantascope.errors import GalleryCorrupt, InvalidValue
from fantascope.gallery import check, ledger, schema
from fantascope.gallery.backup import DATABASE, FORMAT, MANIFEST, Told
from fantascope.gallery.files import Files, explained, sync_folder
from fantascope.gallery.records import Problem
from fantascope.gallery.tables import metadata
from fantascope.gallery.transfer import copy_rows

MAX_MANIFEST = 1 << 20
"""Largest manifest that is read, bytes."""
CHUNK = 1 << 20

_OBJECT = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})\.[a-z0-9]{1,8}")
_KEY = re.compile(r"keys/(trust/)?[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.pem")


@dataclass
class Restored:
    """What came back: how many artifacts, whether there were keys and they were taken, and what `verify` finds."""

    artifacts: int = 0
    keys_found: bool = False
    keys_taken: bool = False
    problems: list[Problem] = field(default_factory=list)


def restore(
    source: Path,
    folder: Path,
    *,
    clock: Callable[[], datetime],
    keys: Path | None = None,
    url: str | None = None,
    told: Told | None = None,
) -> Restored:
    """Bring a backup back as the gallery in `folder`, whole or not at all.

    What runs that have ended still held is refunded; the holds of jobs stay, for a server to settle.

    Args:
        source: The tar file.
        folder: Where the gallery is to be: not there yet, or empty.
        keys: Where the signing keys are to be, not there yet or empty; None leaves them in the file.
        url: SQLAlchemy URL of an empty database for index and ledger; None keeps them in the folder.
        told: Hears how many bytes of the file are read.

    Raises:
        InvalidValue: the file is no backup, holds what no backup holds, or a folder is not empty.
        GalleryCorrupt: a member does not have its hash; the message names it.
        GalleryTooNew: a newer Fantascope wrote it.
        StorageError: disk full or read-only.
    """
    for place in (folder, keys):
        if place is not None and place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise InvalidValue(
                f"{place} is not empty, and nothing is restored over what is there.",
                param="into",
                hint="Name an empty folder with --into.",
            )
    with explained(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".restoring-"))
    try:
        with explained(folder.parent):
            hashes = _unpacked(source, work, told)
            _checked(source, work, hashes)
            found = _settled(work, folder, url, clock)
            found.keys_found = any(name.startswith("keys/") for name in hashes)
            if keys is not None and found.keys_found:
                _moved(work / "keys", keys)
                found.keys_taken = True
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return found


def _unpacked(source: Path, work: Path, told: Told | None) -> dict[str, str]:
    """Write every member under `work` and return the SHA-256 of each; nothing else than a backup holds is taken."""
    hashes: dict[str, str] = {}
    size = source.stat().st_size if source.is_file() else 0
    try:
        # Never compressed: what it holds is no more than what it is.
        with tarfile.open(source, "r:") as tar:
            for member in tar:
                if told is not None:
                    told(min(member.offset, size), size)
                name = _proper(source, member, hashes)  # before anything of it is written
                hashes[name] = _extracted(tar, member, work / name)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise InvalidValue(f"{source} is no backup, or cut off: {error}.", param="file") from error
    if told is not None:
        told(size, size)
    for name, digest in hashes.items():
        named = _OBJECT.fullmatch(name)
        if named is not None and digest != named[1] + named[2]:
            raise GalleryCorrupt(f"{name} in {source} does not have its hash.", hint="Use another backup.")
    return hashes


def _proper(source: Path, member: tarfile.TarInfo, known: dict[str, str]) -> str:
    """Return the name of a member that a backup may hold, once, as a plain file."""
    name = member.name
    fine = name in (DATABASE, MANIFEST) or _OBJECT.fullmatch(name) or _KEY.fullmatch(name)
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    if not fine or not plain or name in known or (name == MANIFEST and member.size > MAX_MANIFEST):
        raise InvalidValue(f"{source} holds {name[:200]!r}, which no backup holds.", param="file")
    return name


def _extracted(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> str:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sha, left, data = hashlib.sha256(), member.size, tar.extractfile(member)
    with os.fdopen(
        os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb"
    ) as out:
        while data is not None and (part := data.read(min(CHUNK, left) or 1)):
            sha.update(part)
            out.write(part)
            left -= len(part)
    if left:
        raise tarfile.ReadError(f"{member.name} ends early")
    return sha.hexdigest()


def _checked(source: Path, work: Path, hashes: dict[str, str]) -> None:
    """Compare what the manifest says with what came, and look whether the database is one of ours."""
    for name in (MANIFEST, DATABASE):
        if name not in hashes:
            raise InvalidValue(f"{source} is no backup: it holds no {name}.", param="file")
    try:
        manifest: Any = json.loads((work / MANIFEST).read_text("utf-8"))
        same = manifest["format"] == FORMAT
        said = {str(name): str(digest) for name, digest in manifest["sha256"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidValue(f"{source} is no backup: its manifest cannot be read.", param="file") from error
    if not same:
        raise InvalidValue(f"{source} is of another format than {FORMAT!r}.", param="file")
    found = {name: digest for name, digest in hashes.items() if name != MANIFEST and not _OBJECT.fullmatch(name)}
    for name in sorted(said.keys() | found.keys()):
        if said.get(name) != found.get(name):
            raise GalleryCorrupt(f"{name} in {source} does not have its hash.", hint="Use another backup.")
    with closing(sqlite3.connect((work / DATABASE).absolute().as_uri() + "?mode=ro", uri=True)) as database:
        try:
            database.execute("PRAGMA trusted_schema = OFF").close()
            kinds = dict(database.execute("SELECT name, type FROM sqlite_master WHERE type != 'index'").fetchall())
            whole = database.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise GalleryCorrupt(f"{DATABASE} in {source} is damaged: {error}.", hint="Use another backup.") from error
    strange = [name for name, kind in kinds.items() if kind != "table" or name not in metadata.tables]
    if whole != ("ok",) or strange:
        said_why = f"holds {strange[0]!r}" if strange else f"is damaged: {whole[0]}"
        raise GalleryCorrupt(f"{DATABASE} in {source} {said_why}.", hint="Use another backup.")


def _settled(work: Path, folder: Path, url: str | None, clock: Callable[[], datetime]) -> Restored:
    """Bring the tables up, give back what the dead held, look at everything, and put it where it is to be."""
    files = Files(work)
    files.create()
    (work / MANIFEST).unlink()
    database = schema.open_database(work, None, False, clock)
    try:
        with database.write() as tx:
            for held, _, _ in ledger.open_holds(tx):
                ledger.release(tx, held, "restored from a backup", clock())
        found = Restored(problems=[_there(problem, work, folder) for problem in check.verify(database, files)])
        found.artifacts = sum(1 for _ in files.walk())
        if url is not None:
            target = schema.open_database(folder, url, False, clock)
            try:
                copy_rows(database, target)
            finally:
                target.close()
    finally:
        database.close()
    kept = work / "gallery"
    kept.mkdir(mode=0o700)
    for name in ("objects", "locks", *(() if url is not None else (DATABASE,))):
        (work / name).rename(kept / name)
    _moved(kept, folder)
    return found


def _there(problem: Problem, work: Path, folder: Path) -> Problem:
    """Return a problem with the paths that will be."""
    what, message = (said.replace(str(work), str(folder)) for said in (problem.what, problem.message))
    return replace(problem, what=what, message=message)


def _moved(source: Path, target: Path) -> None:
    """Put a folder where an empty one or none is, all of it on the disk before."""
    if hasattr(os, "sync"):
        os.sync()
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rmdir()
    source.chmod(0o700)
    shutil.move(source, target)
    sync_folder(target.parent)
