"""Verify and sweep: what does not agree, and what a dead process left."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from fantascope.errors import StorageError
from fantascope.gallery import index, jobs, ledger
from fantascope.gallery.files import Files, explained
from fantascope.gallery.plans import thousandths
from fantascope.gallery.records import Problem
from fantascope.gallery.schema import Database
from fantascope.receipt import Receipt, receipt_id

LEASE = timedelta(days=1)
"""How long a hold stands whose owner has no lock file here: its process works on another copy of the folder."""

_REMOVE = "fantascope gallery remove {}"
_SWEEP = "fantascope gallery sweep"
_RESTORE = "Restore gallery.db from a backup."


def verify(database: Database, files: Files) -> Iterator[Problem]:
    """Yield everything that is not as it was left: files, receipts, index, owners, ledger, jobs."""
    with database.read() as tx:
        rows = list(index.everything(tx))
        problems = list(ledger.check(tx))
        problems += [Problem("owner", id, said, _REMOVE.format(id[7:23])) for id, said in index.check(tx)]
        problems += [Problem("job", job, said, _RESTORE) for job, said in jobs.check(tx)]
        paid = ledger.charges(tx)
    for row in rows:
        yield from _check_file(row, files, database)
        yield from _check_receipt(row, paid.get(row.id, []))
    yield from problems
    for path in _strays(database, files):
        with database.read() as tx:
            if not _named(tx, files, path):
                yield Problem("orphan", str(path), "the index does not know this file", _SWEEP)
    for path in files.leftovers():
        if not files.alive(path.name.partition("-")[0]):
            yield Problem("leftover", str(path), "a process died while it wrote this file", _SWEEP)


def sweep(database: Database, files: Files, now: datetime) -> list[Path]:
    """Refund the holds of the dead, delete what they left and files that no row names; return what was deleted.

    Each file is deleted inside a write transaction, in which no other process can be keeping it.
    """
    gone = bury_dead(database, files, now)
    with explained(files.folder):
        for path in files.leftovers():
            if not files.alive(path.name.partition("-")[0]):
                path.unlink(missing_ok=True)
                gone.append(path)
        for path in _strays(database, files):
            with database.write() as tx:
                if not _named(tx, files, path):
                    path.unlink(missing_ok=True)
                    gone.append(path)
    with database.read() as tx:
        orphaned = [held for held, owner, at in ledger.open_holds(tx) if not files.known(owner) and at < now - LEASE]
    for held in orphaned:
        with database.write() as tx:
            ledger.release(tx, held, "its process is gone", now)
    return gone


def bury_dead(database: Database, files: Files, now: datetime) -> list[Path]:
    """Settle what processes left that ended without closing the gallery, and return the files deleted.

    Their holds are refunded; files they were writing go, and the one they had put in place if its row never came.
    """
    gone: list[Path] = []
    for owner in files.dead():
        place = files.intended(owner)
        with database.write() as tx, explained(files.folder):
            for held, _, _ in ledger.open_holds(tx, owner):
                ledger.release(tx, held, "its process died", now)
            if place is not None and place.exists() and not _named(tx, files, place):
                place.unlink()
                gone.append(place)
        with explained(files.folder):
            gone += [path for path in files.leftovers() if path.name.startswith(owner)]
            files.forget(owner)
    return gone


def _check_file(row: Any, files: Files, database: Database) -> Iterator[Problem]:
    path = files.place_of(row.id, row.media_type)
    try:
        with path.open("rb") as file:
            found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        with database.read() as tx:
            still = _named(tx, files, path)
        if still:
            yield Problem("missing", row.id, f"{path} is gone", _REMOVE.format(row.id[7:23]))
        return
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", hint="Check the disk.") from error
    if found != row.id:
        yield Problem("changed", row.id, f"{path} now has the hash {found}", _REMOVE.format(row.id[7:23]))


def _check_receipt(row: Any, paid: list[int]) -> Iterator[Problem]:
    if row.body is None:
        if row.receipt_id is not None:
            yield Problem("receipt", row.id, "its receipt is gone", _REMOVE.format(row.id[7:23]))
        return
    try:
        receipt = Receipt.model_validate_json(row.body)
    except ValueError as error:
        said = f"its receipt does not parse: {' '.join(str(error).split())[:200]}"
        yield Problem("receipt", row.id, said, _REMOVE.format(row.id[7:23]))
        return
    if receipt.id != receipt_id(receipt):
        said = f"its receipt was changed: its id is {receipt.id}, its contents give {receipt_id(receipt)}"
        yield Problem("receipt", row.id, said, _REMOVE.format(row.id[7:23]))
    asked = receipt.request
    for name, told in (
        ("receipt_id", receipt.id),
        ("prompt", asked.get("prompt")),
        ("seed", asked.get("seed")),
        ("model", receipt.spec.get("name")),
    ):
        if getattr(row, name) != told:
            said = f"the index says {name} {getattr(row, name)!r}, the receipt {told!r}"
            yield Problem("index", row.id, said, _RESTORE)
    costs = thousandths(receipt.cost.credits)
    if any(charged != costs for charged in paid):
        said = f"charged {[charged / 1000 for charged in paid]} credits, its receipt says {costs / 1000}"
        yield Problem("ledger", row.id, said, _RESTORE)


def _strays(database: Database, files: Files) -> list[Path]:
    """Return the files that no row named just now: some may be on their way in, so look again before you act."""
    found = list(files.walk())
    with database.read() as tx:
        named = {files.place_of(*row) for row in index.whereabouts(tx)}
    return [path for path in found if path not in named]


def _named(tx: Connection, files: Files, place: Path) -> bool:
    """Say whether a live row has its bytes at this place."""
    artifact = files.artifact_at(place)
    media_type = index.media_type_of(tx, artifact)
    return media_type is not None and files.place_of(artifact, media_type) == place
