"""`Gallery`: files, index and ledger as one thing.

An artifact is kept in this order: its bytes are written and synced under `objects/tmp`; a write transaction begins;
charge, index row and receipt are entered; the file is renamed to its place; the transaction commits. Killed at any
moment, what stands is either all of it or a file that no row names, which the next to open the gallery removes.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from fantascope.artifact import Artifact, artifact_id
from fantascope.errors import GalleryCorrupt, GalleryError, InvalidValue, NotFound, StorageError
from fantascope.gallery.files import Files, explained, storage_error, sync_folder, write_synced
from fantascope.gallery.records import Balance, Entry, Line, Problem, moment
from fantascope.receipt import Receipt

if TYPE_CHECKING:
    from fantascope.gallery.appeals import Refusals
    from fantascope.gallery.schema import Database

Entries = list[Entry]
Lines = list[Line]
Paths = list[Path]


class Gallery:
    """Artifacts that were kept. Open it with `Gallery.open`, close it or use it as a context manager.

    One gallery may be open in many processes and used from many threads: writers take turns, readers never wait.

        with Gallery.open(Path("pictures")) as gallery:
            hold = gallery.hold("local", 1.0, "imagine")
            kept = gallery.put(artifact, hold=hold, credits=1.0)
            gallery.release(hold)
    """

    def __init__(
        self, files: Files, database: Database, plan: str, clock: Callable[[], datetime], read_only: bool
    ) -> None:
        self.folder = files.folder
        self.read_only = read_only
        self._files = files
        self._database = database
        self._plan = plan
        self._clock = clock
        self._holds: set[str] = set()

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        read_only: bool = False,
        url: str | None = None,
        plan: str = "local",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> Gallery:
        """Open the gallery in `folder`, made (0700) when it is not there; refund the holds of processes that died.

        Args:
            folder: Where the files are, and the database unless `url` says otherwise.
            read_only: Write nothing at all: works on a read-only disk. A gallery that is not there reads as empty.
            url: SQLAlchemy URL of another database for index and ledger.
            plan: Plan of an account when the ledger first meets it (`plans.toml`).
            clock: Tells the time, with a time zone.

        Raises:
            GalleryTooNew: a newer Fantascope wrote it.
            GalleryCorrupt: the database is damaged.
            StorageError: the folder cannot be made, read or written.
            UnknownName: there is no such plan.
        """
        from fantascope.gallery import check, plans, schema

        plans.plan_of(plan)
        files = Files(folder.absolute())
        if read_only:
            database = schema.open_database(files.folder, url, True, clock)
            return cls(files, database, plan, clock, True)
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
        return cls(files, database, plan, clock, False)

    def close(self) -> None:
        """Refund what this gallery still holds and let the folder go. Closing twice is fine.

        Where a refund cannot be written (a full disk), the next one to open the gallery writes it.
        """
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

    @property
    def refusals(self) -> Refusals:
        """What was refused, appealed and decided."""
        from fantascope.gallery.appeals import Refusals

        return Refusals(self._database, self._clock)

    # Artifacts

    def put(self, artifact: Artifact, *, hold: str | None = None, credits: float = 0.0) -> Artifact:
        """Keep an artifact and charge for it; return it with its `path`.

        Keeping the same bytes again changes nothing but a file that was lost, and one hold pays for one artifact once.

        Args:
            hold: The hold that pays. Without it the artifact must cost nothing.
            credits: What it costs, at most what is left of the hold.

        Raises:
            CreditError: it costs more than is left of the hold.
            NotFound: there is no such hold.
            StorageError: disk full or read-only; nothing was kept or charged.
        """
        if hold is None and credits != 0:
            raise InvalidValue("An artifact that costs credits needs the hold that pays for it.", param="hold")
        return self._keep(artifact, None, hold, credits)

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
            return self._entry(index.find(tx, ref))

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
            return index.children(tx, index.find(tx, ref).id)

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
        """
        from fantascope.gallery import index

        if limit < 1:
            raise InvalidValue(f"limit is 1 or more, not {limit}.", param="limit")
        filters = index.Filters(text, model, seed, receipt_id, given)
        with self._database.read() as tx:
            return [self._entry(row) for row in index.listing(tx, limit, before, filters)]

    def remove(self, ref: str, *, force: bool = False) -> str:
        """Delete an artifact's file, receipt and prompt; return its id. A tombstone stays, for the ledger.

        Raises:
            GalleryError: others were made from it; `force` removes it all the same.
        """
        from fantascope.gallery import index

        with self._database.write() as tx:
            entry = self._entry(index.find(tx, ref))
            children = index.children(tx, entry.id)
            if children and not force:
                shown = ", ".join(child[7:23] for child in children[:5]) + (" …" if len(children) > 5 else "")
                raise GalleryError(
                    f"{len(children)} artifacts were made from {entry.id[7:23]}: {shown}. Without it they cannot be "
                    "made again.",
                    param="id",
                    hint="Remove those first, or use --force.",
                )
            index.bury(tx, entry.id, self._clock())
            self._files.intend(entry.path)
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

        yield from check.verify(self._database, self._files)

    def sweep(self) -> Paths:
        """Delete files that no row names and what dead processes left, refund their holds; return what was deleted."""
        from fantascope.gallery import check

        if self.read_only:
            raise storage_error(self.folder, errno.EROFS, "")
        with self._files.exclusive():
            return check.sweep(self._database, self._files, self._clock())

    # Ledger

    def hold(self, user: str, credits: float, what: str) -> str:
        """Reserve credits for a run and return the id of the hold.

        A hold stands until it is released, this gallery is closed, or its process is found dead.

        Raises:
            CreditError: fewer are left; says how many, and when the allowance renews.
        """
        from fantascope.gallery import ledger

        with self._database.write(durable=False) as tx:
            hold = ledger.hold(tx, user, credits, what, self._plan, self._files.owner, self._clock())
        self._holds.add(hold)
        return hold

    def release(self, hold: str) -> None:
        """Refund what is held and was not charged. Releasing twice changes nothing."""
        from fantascope.gallery import ledger

        with self._database.write() as tx:
            ledger.release(tx, hold, "not used", self._clock())
        self._holds.discard(hold)

    def topup(self, user: str, credits: float, note: str = "") -> Balance:
        """Book a top-up, the operator's act, and return what the account has then.

        Raises:
            InvalidValue: the account's plan has no top-up of this size, or the note is too long.
            StorageError: disk full or read-only; nothing was booked.
        """
        from fantascope.gallery import ledger

        with self._database.write() as tx:
            now = self._clock()
            ledger.topup(tx, user, credits, note, self._plan, now)
            return ledger.balance(tx, user, self._plan, now)

    def balance(self, user: str) -> Balance:
        """Return what the account has, this month's (UTC) allowance included. Nothing is written."""
        from fantascope.gallery import ledger

        with self._database.read() as tx:
            return ledger.balance(tx, user, self._plan, self._clock())

    def entries(self, user: str, limit: int = 50) -> Lines:
        """Return the newest lines of an account's ledger, newest first."""
        from fantascope.gallery import ledger

        with self._database.read() as tx:
            return ledger.lines(tx, user, limit)

    def _keep(
        self,
        artifact: Artifact,
        size: tuple[int, int] | None,
        hold: str | None,
        credits: float,
        task: str | None = None,
    ) -> Artifact:
        from fantascope.gallery import index, ledger

        if artifact.id != artifact_id(artifact.data):
            raise InvalidValue(f"{artifact.id} is not the hash of these bytes.", param="id")
        if self.read_only:
            raise storage_error(self.folder, errno.EROFS, "")
        staged = self._files.stage(artifact.data)
        try:
            with self._database.write() as tx:
                now = self._clock()
                index.add(tx, artifact, size, now, task)
                if hold is not None:
                    ledger.charge(tx, hold, artifact.id, credits, now)
                place = self._files.place_of(artifact.id, str(index.media_type_of(tx, artifact.id)))
                self._files.place(staged, place)
        except BaseException:
            with contextlib.suppress(StorageError):
                self._undo(staged, artifact)
            raise
        return replace(artifact, path=place)

    def _undo(self, staged: Path, artifact: Artifact) -> None:
        """Take back the file of an artifact whose transaction failed."""
        from fantascope.gallery import index

        with explained(self.folder):
            staged.unlink(missing_ok=True)
        with self._database.write() as tx:
            if index.media_type_of(tx, artifact.id) is None:
                self._files.drop(artifact.id, self._files.place_of(artifact.id, artifact.media_type))

    def _drop(self, artifact: str, place: Path) -> None:
        """Delete a removed artifact's file, unless somebody has kept it again meanwhile."""
        from fantascope.gallery import index

        with self._database.write() as tx:
            if index.media_type_of(tx, artifact) is None:
                self._files.drop(artifact, place)

    def _receipt(self, artifact: str) -> Receipt | None:
        from fantascope.gallery import index

        with self._database.read() as tx:
            body = index.receipt_body(tx, artifact)
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
