"""`Gallery`: files, index and ledger as one thing.

An artifact is kept in this order: its bytes are written and synced under `objects/tmp`; a write transaction begins;
charge, index row and receipt are entered; the file is renamed to its place; the transaction commits. Killed at any
moment, what stands is either all of it or a file that no row names, which the next to open the gallery removes.
"""

from __future__ import annotations

import contextlib
import copy
import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fantascope.artifact import Artifact, artifact_id
from fantascope.errors import GalleryCorrupt, GalleryError, HasChildren, InvalidValue, NotFound, StorageError
from fantascope.gallery.files import Files, explained, storage_error, sync_folder, write_synced
from fantascope.gallery.purse import Purse, named
from fantascope.gallery.records import Entry, Problem, Saved, moment
from fantascope.gallery.sight import Sight
from fantascope.receipt import Receipt

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fantascope.gallery.schema import Database

Entries = list[Entry]
Paths = list[Path]


class Gallery(Purse, Sight):
    """Artifacts that were kept. Open it with `Gallery.open`, close it or use it as a context manager.

    One gallery may be open in many processes and used from many threads: writers take turns, readers never wait. What
    `open` gives is the operator's: it sees everything. What `of` gives is one account's view of it.

        with Gallery.open(Path("pictures")) as gallery:
            hold = gallery.hold("local", 1.0, "imagine")
            kept = gallery.put(artifact, hold=hold, credits=1.0)
            gallery.release(hold)
    """

    def __init__(
        self,
        files: Files,
        database: Database,
        plan: str,
        clock: Callable[[], datetime],
        read_only: bool,
        account: str = "local",
    ) -> None:
        self.folder = files.folder
        self.read_only = read_only
        self.account = account
        self._files = files
        self._database = database
        self._plan = plan
        self._clock = clock
        self._holds: set[str] = set()
        self._only: str | None = None
        """The account whose view this is; None for the whole gallery."""

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        read_only: bool = False,
        url: str | None = None,
        plan: str = "local",
        account: str = "local",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Gallery:
        """Open the gallery in `folder`, made (0700) when it is not there; refund the holds of processes that died.

        Args:
            folder: Where the files are, and the database unless `url` says otherwise.
            read_only: Write nothing at all: works on a read-only disk. A gallery that is not there reads as empty.
            url: SQLAlchemy URL of another database for index and ledger.
            plan: Plan of an account when the ledger first meets it (`plans.toml`).
            account: Who owns what is kept.
            clock: Tells the time, with a time zone.

        Raises:
            GalleryTooNew: a newer Fantascope wrote it.
            GalleryCorrupt: the database is damaged.
            StorageError: the folder cannot be made, read or written.
            UnknownName: there is no such plan.
        """
        from fantascope.gallery import check, plans, schema

        plans.plan_of(plan)
        named(account)
        files = Files(folder.absolute())
        if read_only:
            database = schema.open_database(files.folder, url, True, clock)
            return cls(files, database, plan, clock, True, account)
        files.create()
        with files.exclusive():
            database = schema.open_database(files.folder, url, False, clock)
            try:
                files.claim()
                check.bury_dead(database, files, clock())
            except BaseException:
                files.release()
                database.close()
                raise
        return cls(files, database, plan, clock, False, account)

    def of(self, account: str, plan: str | None = None) -> Gallery:
        """Return an account's view: what it owns, and nothing that tells of anything else.

        What others own is not found, as if it were not there; receipts, prompts and seeds are told of what the account
        made itself, not of bytes that it only handed in. The view is good until this gallery is closed.

        Args:
            plan: Plan of the account when the ledger first meets it; this gallery's if not given.

        Raises:
            UnknownName: there is no such plan.
        """
        from fantascope.gallery import plans

        view = copy.copy(self)
        view.account = view._only = named(account)
        view._plan = self._plan if plan is None else plans.plan_of(plan).name
        return view

    def close(self) -> None:
        """Refund what this gallery still holds and let the folder go. Closing twice is fine, a view closes nothing.

        Where a refund cannot be written (a full disk), the next one to open the gallery writes it.
        """
        if self._only is not None:
            return
        with contextlib.suppress(StorageError):
            for hold in sorted(self._holds):
                self.release(hold)
        self._files.release(forget=not self._holds)
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(
        self, artifact: Artifact, *, hold: str | None = None, credits: float = 0.0, job: tuple[str, int] | None = None
    ) -> Artifact:
        """Keep an artifact and charge for it; return it with its `path`.

        Keeping the same bytes again changes nothing but a file that was lost, and one hold pays for one artifact once.

        Args:
            hold: The hold that pays. Without it the artifact must cost nothing.
            credits: What it costs, at most what is left of the hold.
            job: A job and the index of this outcome of it. Where the job has kept one already, nothing is kept or
                charged, and the one of then is returned.

        Raises:
            CreditError: it costs more than is left of the hold.
            NotFound: there is no such hold, or what the job kept at this index was removed.
            StorageError: disk full or read-only; nothing was kept or charged.
        """
        if hold is None and credits != 0:
            raise InvalidValue("An artifact that costs credits needs the hold that pays for it.", param="hold")
        return self._keep(artifact, None, hold, credits, job=job)

    def ingest(self, data: bytes, media_type: str | None = None, *, task: str | None = None) -> Artifact:
        """Keep a picture that was handed in; it has no receipt, unless these very bytes were made here.

        Args:
            task: What it is for, where it is no picture of its own: `mask`. Such are left out of listings.

        Raises:
            InvalidPicture: as `pictures.inspect` says.
            StorageError: disk full or read-only; nothing was kept.
        """
        from fantascope.gallery import pictures

        found, size = pictures.inspect(data, media_type)
        kept = self._keep(Artifact(data, found), size, None, 0.0, task)
        return replace(kept, receipt=self._receipt(kept.id))

    def get(self, ref: str) -> Artifact:
        """Return an artifact with its bytes and receipt, by id, by 6 or more of its hex digits, or by receipt id.

        Raises:
            NotFound: it is not here, or was removed.
            InvalidValue: the digits are too few, or fit several artifacts, which are listed.
            GalleryCorrupt: its file is gone or has changed.
        """
        entry = self.entry(ref)
        data = self._files.read(entry.path, entry.id)
        if artifact_id(data) != entry.id:
            raise GalleryCorrupt(
                f"The file of {entry.id} has changed since it was kept: {entry.path}.", hint="fantascope gallery verify"
            )
        return Artifact(data, entry.media_type, self._receipt(entry.id), entry.path, entry.id)

    def entry(self, ref: str) -> Entry:
        """Return what the index knows of an artifact, found as `get` does, without opening its file."""
        from fantascope.gallery import index

        with self._database.read() as tx:
            return self._entry(index.find(tx, ref, self._only))

    def receipt(self, ref: str) -> Receipt:
        """Return the receipt of an artifact, found as `get` does.

        Raises:
            NotFound: it is not here, or was handed in and has none.
            GalleryCorrupt: the receipt does not parse.
        """
        entry = self.entry(ref)
        receipt = self._receipt(entry.id)
        if receipt is None:
            raise NotFound(f"{entry.id} was handed in, not made here: it has no receipt.", param="id")
        return receipt

    def children(self, ref: str) -> list[str]:
        """Return the ids of what was made from an artifact, oldest first."""
        from fantascope.gallery import index

        with self._database.read() as tx:
            return index.children(tx, index.find(tx, ref, self._only).id, self._only)

    def by_receipt(self, receipt_id: str) -> Entries:
        """Return every artifact with exactly this receipt id, newest first: the same picture may be made twice."""
        return self.list(limit=1000, receipt_id=receipt_id)

    def list(
        self,
        limit: int = 50,
        before: str | None = None,
        *,
        text: str | None = None,
        model: str | None = None,
        seed: int | None = None,
        receipt_id: str | None = None,
        given: bool | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Entries:
        """Return artifacts, newest first.

        Args:
            limit: At most this many, from 1 on.
            before: Id of the last entry of the page before.
            text: Words that all stand in the prompt, in any order and case.
            model: Name of the Spec.
            seed: Start of the noise; 0 is a seed.
            receipt_id: All 16 digits of it.
            given: True for pictures handed in, False for those made here.
            since, until: Kept at `since` or later, and before `until`; both with a time zone.

        Raises:
            InvalidValue: `limit` is less than 1, or `until` is not after `since`.
        """
        from fantascope.gallery import index

        if limit < 1:
            raise InvalidValue(f"limit is 1 or more, not {limit}.", param="limit")
        filters = index.Filters(text, model, seed, receipt_id, given, since, until)
        with self._database.read() as tx:
            return [self._entry(row) for row in index.listing(tx, limit, before, filters, self._only)]

    def remove(self, ref: str, *, force: bool = False) -> str:
        """Delete an artifact's file, receipt and prompt; return its id. A tombstone stays, for the ledger.

        Through a view the account stops owning it, and it is deleted when nobody owns it any more.

        Raises:
            HasChildren: others were made from it; `force` removes it all the same.
        """
        from fantascope.gallery import index

        with self._database.write() as tx:
            entry = self._entry(index.find(tx, ref, self._only))
            children = index.children(tx, entry.id, self._only)
            if children and not force:
                shown = ", ".join(child[7:23] for child in children[:5]) + (" …" if len(children) > 5 else "")
                raise HasChildren(
                    f"{len(children)} artifacts were made from {entry.id[7:23]}: {shown}. Without it they cannot be "
                    "made again.",
                    param="id",
                    hint="Remove those first, or say force (--force, force=true).",
                )
            gone = self._bury(tx, entry)
        if gone:
            self._drop(entry.id, entry.path)
        return entry.id

    def export(self, ref: str, path: Path, *, overwrite: bool = False) -> Path:
        """Copy an artifact's file, whole or not at all, and return where it is.

        Args:
            path: A file, or a folder, in which the file is named after its id.
            overwrite: Replace a file that is there.

        Raises:
            InvalidValue: the file exists, or its folder does not.
            StorageError: it cannot be written there.
        """
        artifact = self.get(ref)
        target = path / (artifact.id[7:23] + artifact.suffix) if path.is_dir() else path
        if not target.parent.is_dir():
            raise InvalidValue(f"There is no folder {target.parent}.", param="path", hint=f"mkdir -p {target.parent}")
        with explained(target.parent):
            if overwrite:
                staged = target.with_name(f".{target.name}.{self._files.owner}")
                write_synced(staged, artifact.data)
                staged.replace(target)
            else:
                try:
                    write_synced(target, artifact.data)
                except FileExistsError:
                    raise InvalidValue(
                        f"{target} exists and is not overwritten.", param="path", hint="Name another, or use --force."
                    ) from None
            target.chmod(0o644)
            sync_folder(target.parent)
        return target

    def thumbnail(self, ref: str, side: int = 256) -> bytes:
        """Return a WebP of the artifact whose longer side has at most `side` pixels, from `thumbs` where it is there.

        Raises:
            InvalidValue: `side` is out of range.
            InvalidPicture: the artifact is no picture.
        """
        from fantascope.gallery import pictures

        low, high = pictures.THUMB_SIDES
        if not low <= side <= high:
            raise InvalidValue(f"side is {low} to {high} pixels, not {side}.", param="side")
        entry = self.entry(ref)
        cached = self._files.thumb_of(entry.id, side)
        if cached.is_file():
            return cached.read_bytes()
        small = pictures.thumbnail(self.get(entry.id).data, side)
        if not self.read_only:
            with contextlib.suppress(OSError, StorageError):
                cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._files.stage(small).replace(cached)
        return small

    def verify(self) -> Iterator[Problem]:
        """Re-hash every file and compare files, index, receipts and ledger; yield what does not agree."""
        from fantascope.gallery import check

        self._whole("verified")
        yield from check.verify(self._database, self._files)

    def backup(
        self,
        target: Path,
        *,
        keys: Path | None = None,
        overwrite: bool = False,
        told: Callable[[int, int], None] | None = None,
    ) -> Saved:
        """Write a backup of everything, as of one moment, while others write; `backup.backup` says how and raises."""
        from fantascope.gallery import backup

        self._whole("saved")
        return backup.backup(self._database, self._files, target, keys=keys, overwrite=overwrite, told=told)

    def sweep(self) -> Paths:
        """Delete files that no row names and what dead processes left, refund their holds; return what was deleted."""
        from fantascope.gallery import check

        self._whole("swept")
        if self.read_only:
            raise storage_error(self.folder, errno.EROFS, "")
        with self._files.exclusive():
            return check.sweep(self._database, self._files, self._clock())

    def _keep(
        self,
        artifact: Artifact,
        size: tuple[int, int] | None,
        hold: str | None,
        credits: float,
        task: str | None = None,
        job: tuple[str, int] | None = None,
    ) -> Artifact:
        from fantascope.gallery import index, jobs, ledger

        if artifact.id != artifact_id(artifact.data):
            raise InvalidValue(f"{artifact.id} is not the hash of these bytes.", param="id")
        if self.read_only:
            raise storage_error(self.folder, errno.EROFS, "")
        staged = self._files.stage(artifact.data)
        try:
            with self._database.write() as tx:
                now = self._clock()
                before = None if job is None else jobs.outcome(tx, *job, self.account)
                if before is None:
                    index.add(tx, artifact, size, now, task)
                    index.own(tx, artifact, self.account, task, now)
                    if hold is not None:
                        ledger.charge(tx, hold, artifact.id, credits, now, self._only)
                    if job is not None:
                        jobs.enter(tx, *job, artifact.id, self.account, hold, now)
                    place = self._files.place_of(artifact.id, str(index.media_type_of(tx, artifact.id)))
                    self._files.place(staged, place)
        except BaseException:
            with contextlib.suppress(StorageError):
                self._undo(staged, artifact)
            raise
        if before is not None:
            with explained(self.folder):
                staged.unlink()
            return self.get(before)
        return replace(artifact, path=place)

    def _undo(self, staged: Path, artifact: Artifact) -> None:
        """Take back the file of an artifact whose transaction failed."""
        from fantascope.gallery import index

        with explained(self.folder):
            staged.unlink(missing_ok=True)
        with self._database.write() as tx:
            if index.media_type_of(tx, artifact.id) is None:
                self._files.drop(artifact.id, self._files.place_of(artifact.id, artifact.media_type))

    def _bury(self, tx: Connection, entry: Entry) -> bool:
        """Take an artifact out of the index, or out of what this account owns; say whether its file is to go."""
        from fantascope.gallery import index

        if self._only is not None:
            gone = index.disown(tx, entry.id, self._only, self._clock())
        else:
            index.bury(tx, entry.id, self._clock())
            gone = True
        if gone:
            self._files.intend(entry.path)
        return gone

    def _whole(self, done: str) -> None:
        """Refuse to do through a view what concerns everybody."""
        if self._only is not None:
            raise GalleryError(f"The whole gallery is {done}, not what {self._only!r} has of it.")

    def _drop(self, artifact: str, place: Path) -> None:
        """Delete a removed artifact's file, unless somebody has kept it again meanwhile."""
        from fantascope.gallery import index

        with self._database.write() as tx:
            if index.media_type_of(tx, artifact) is None:
                self._files.drop(artifact, place)

    def _receipt(self, artifact: str) -> Receipt | None:
        from fantascope.gallery import index

        with self._database.read() as tx:
            body = index.receipt_body(tx, artifact, self._only)
        try:
            return None if body is None else Receipt.model_validate_json(body)
        except ValueError as error:
            raise GalleryCorrupt(
                f"The receipt of {artifact} does not parse.", hint="fantascope gallery verify"
            ) from error

    def _entry(self, row: Any) -> Entry:
        named = ("id", "media_type", "size", "task", "receipt_id", "prompt", "model", "seed", "width", "height")
        return Entry(
            **{name: getattr(row, name) for name in named},
            path=self._files.place_of(row.id, row.media_type),
            kept=moment(row.kept),
            given=row.receipt_id is None,
        )
