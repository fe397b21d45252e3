"""The folder of a gallery: content-addressed files written whole or not at all, and who is alive.

A file is written under `objects/tmp`, synced, renamed to its place and its folder synced: at every moment the place
holds all the bytes or nothing. An open gallery keeps a lock (flock, or its Windows counterpart) on `locks/OWNER.lock`.
The operating system frees it when the process ends in whatever way, so a lock that can be taken belongs to the dead.
The lock file says which place its owner touched last: the one file that may stand there without its row.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fantascope.artifact import SUFFIXES
from fantascope.errors import GalleryCorrupt, StorageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

WAIT_SECONDS = 30.0
"""How long one writer waits for another before it gives up."""

_INTENT = 80
"""Bytes of a lock file: a path under `objects`, padded."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def storage_error(folder: Path, number: int | None, said: str) -> StorageError:
    """Say what the disk refused, where, and what helps. `number` is an errno, `said` the system's own words."""
    elsewhere = "set FANTASCOPE_HOME to a folder on another disk"
    if number in _FULL:
        return StorageError(f"The disk that holds {folder} is full.", hint=f"Free some space, or {elsewhere}.")
    if number in _READ_ONLY:
        return StorageError(
            f"{folder} cannot be written: it is read-only or belongs to somebody else.",
            hint=f"Allow writing (chmod u+rwX {folder}), or {elsewhere}.",
        )
    return StorageError(f"{folder} cannot be used: {said}.", hint=f"Repair or mount it, or {elsewhere}.")


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an OSError of the block into a `StorageError` that names the folder."""
    try:
        yield
    except OSError as error:
        raise storage_error(folder, error.errno, error.strerror or str(error)) from error


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file (0600) and force it to the disk; nothing is left of it if that fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk (Windows does so by itself and cannot be asked)."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Create the file if need be and lock it; return its descriptor, or None when somebody else has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return None
        raise
    return descriptor


class Files:
    """Paths and files of one gallery folder. `owner` names this open gallery: 16 hex digits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = folder / "objects"
        self.tmp = self.objects / "tmp"
        self.locks = folder / "locks"
        self.thumbs = folder / "thumbs"
        self.owner = os.urandom(8).hex()
        self._claim: int | None = None

    def create(self) -> None:
        """Make the folders, readable by their owner only."""
        with explained(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.objects, self.tmp, self.locks):
                folder.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep every other process out of opening and sweeping this gallery.

        Raises:
            StorageError: somebody else has it for more than `WAIT_SECONDS`.
        """
        deadline = time.monotonic() + WAIT_SECONDS
        with explained(self.folder):
            while (descriptor := try_lock(self.locks / "opening")) is None:
                if time.monotonic() > deadline:
                    raise StorageError(
                        f"Another program has been opening {self.folder} for more than {WAIT_SECONDS:g} s.",
                        hint="Close it and try again.",
                    )
                time.sleep(0.005)
        try:
            yield
        finally:
            os.close(descriptor)

    def claim(self) -> None:
        """Lock this owner's file until `release` or the end of the process. Call it inside `exclusive`."""
        with explained(self.folder):
            self._claim = try_lock(self._lock(self.owner))
            self.intend(None)

    def release(self, *, forget: bool = True) -> None:
        """Give the lock up. Not forgotten, the owner counts as dead, and the next to open the gallery sees to it."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None
            if forget:
                self.forget(self.owner)

    def dead(self) -> list[str]:
        """Return the owners whose process has ended without `release`. Call it inside `exclusive`."""
        with explained(self.folder):
            return [path.stem for path in sorted(self.locks.glob("*.lock")) if not self.alive(path.stem)]

    def alive(self, owner: str) -> bool:
        """Say whether the process that opened the gallery as this owner still runs."""
        if owner == self.owner:
            return True
        if not self._lock(owner).exists():
            return False
        descriptor = try_lock(self._lock(owner))
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def intend(self, place: Path | None) -> None:
        """Note in the lock file which place is about to be filled or emptied. Call it in a write transaction.

        It is always as many bytes, so that it cannot tear, and always the last place only: writers take turns.
        """
        if self._claim is not None:
            name = "" if place is None else place.relative_to(self.objects).as_posix()
            with explained(self.folder):
                os.lseek(self._claim, 0, os.SEEK_SET)
                os.write(self._claim, name.ljust(_INTENT).encode("ascii"))

    def intended(self, owner: str) -> Path | None:
        """Return the place that a dead owner filled or emptied last, if there is one."""
        with explained(self.folder):
            name = self._lock(owner).read_text("ascii").strip()
        return self.objects / name if name else None

    def known(self, owner: str) -> bool:
        """Say whether the owner has a lock file here at all, dead or alive."""
        return self._lock(owner).exists()

    def forget(self, owner: str) -> None:
        """Remove what an owner left: files it was writing, then its lock."""
        for path in self.leftovers():
            if path.name.startswith(owner):
                path.unlink(missing_ok=True)
        self._lock(owner).unlink(missing_ok=True)

    def leftovers(self) -> list[Path]:
        """Return the files under `objects/tmp`, each named `OWNER-….suffix`."""
        return sorted(self.tmp.iterdir()) if self.tmp.is_dir() else []

    def place_of(self, artifact: str, media_type: str) -> Path:
        """Return where the bytes of an artifact are: `objects/ab/cdef….png`."""
        digest = artifact.removeprefix("sha256:")
        return self.objects / digest[:2] / (digest[2:] + SUFFIXES.get(media_type, ".bin"))

    def stage(self, data: bytes) -> Path:
        """Write the bytes to a file of their own under `objects/tmp` and sync it."""
        path = self.tmp / f"{self.owner}-{os.urandom(8).hex()}"
        with explained(self.folder):
            write_synced(path, data)
        return path

    def place(self, staged: Path, place: Path) -> None:
        """Rename a staged file to its place and sync the folders that changed. Call it in a write transaction."""
        with explained(self.folder):
            self.intend(place)
            if not place.parent.is_dir():
                place.parent.mkdir(mode=0o700, exist_ok=True)
                sync_folder(self.objects)
            staged.replace(place)
            sync_folder(place.parent)

    def read(self, place: Path, artifact: str) -> bytes:
        """Return the bytes of an artifact.

        Raises:
            GalleryCorrupt: the file is gone.
            StorageError: the disk does not give it.
        """
        with explained(self.folder):
            try:
                return place.read_bytes()
            except FileNotFoundError:
                raise GalleryCorrupt(
                    f"The file of {artifact} is missing: {place}.", hint="fantascope gallery verify"
                ) from None

    def walk(self) -> Iterator[Path]:
        """Yield every file that stands in a place under `objects`, folder by folder."""
        if not self.objects.is_dir():
            return
        for shard in sorted(self.objects.iterdir()):
            if len(shard.name) == 2 and shard.is_dir():
                yield from sorted(shard.iterdir())

    def artifact_at(self, place: Path) -> str:
        """Return the id of the artifact whose bytes belong at a place."""
        return f"sha256:{place.parent.name}{place.stem}"

    def thumb_of(self, artifact: str, side: int) -> Path:
        """Return where the thumbnail of an artifact is kept."""
        digest = artifact.removeprefix("sha256:")
        return self.thumbs / digest[:2] / f"{digest[2:]}-{side}.webp"

    def drop(self, artifact: str, place: Path) -> None:
        """Delete an artifact's file and its thumbnails."""
        with explained(self.folder):
            place.unlink(missing_ok=True)
            thumbs = self.thumb_of(artifact, 0).parent
            for thumb in thumbs.glob(f"{place.stem}-*.webp"):
                thumb.unlink(missing_ok=True)

    def _lock(self, owner: str) -> Path:
        return self.locks / f"{owner}.lock"
