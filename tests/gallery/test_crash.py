"""kill -9 at random moments, a full disk, a read-only one: what was kept is whole, and nothing else counts."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.gallery.helpers import (
    hold_and_wait,
    keep_until_killed,
    made,
    picture,
    processes,
    stored,
    top_up_until_killed,
)

from fantascope.artifact import Artifact
from fantascope.errors import NotFound, StorageError
from fantascope.gallery import Gallery, files

KILLS = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A real disk for these."""
    return tmp_path / "pictures"


def test_killed_at_random_moments_nothing_kept_is_lost_or_half_written(folder: Path) -> None:
    chance = random.Random(20)
    acknowledged: set[str] = set()
    for kill in range(KILLS):
        log = folder.parent / f"log-{kill}"
        worker = processes.Process(target=keep_until_killed, args=(str(folder), kill * 10_000, str(log)))
        worker.start()
        while not (log.exists() and log.stat().st_size):
            assert worker.is_alive()
            worker.join(0.002)
        worker.join(chance.uniform(0, 0.06))
        worker.kill()
        worker.join()
        assert worker.exitcode == -9
        acknowledged |= set(log.read_text().split())
        with Gallery.open(folder) as gallery:
            assert list(gallery.verify()) == [] and gallery.sweep() == []
            kept = gallery.list(limit=100_000)
            assert acknowledged <= {entry.id for entry in kept}
            assert stored(folder) == {entry.path for entry in kept}
            balance = gallery.balance("local")
            assert (balance.held, balance.used) == (0, 1.5 * len(kept))
            assert list((folder / "locks").glob("*.lock")) == [folder / "locks" / f"{gallery._files.owner}.lock"]
    assert len(acknowledged) >= KILLS


def test_killed_while_topping_up_every_top_up_is_whole(folder: Path) -> None:
    chance = random.Random(7)
    booked = 0
    for kill in range(5):
        log = folder.parent / f"log-{kill}"
        worker = processes.Process(target=top_up_until_killed, args=(str(folder), str(log)))
        worker.start()
        while not (log.exists() and log.stat().st_size):
            assert worker.is_alive()
            worker.join(0.002)
        worker.join(chance.uniform(0, 0.03))
        worker.kill()
        worker.join()
        booked += len(log.read_text().splitlines())
        with Gallery.open(folder, plan="free") as gallery:
            lines = [line for line in gallery.entries("ada", limit=100_000) if line.kind == "topup"]
            assert booked <= len(lines) <= booked + kill + 1, "one may be booked and not yet told of"
            assert gallery.balance("ada").left == 15 + 115 * len(lines) and list(gallery.verify()) == []


@pytest.mark.parametrize("at", ["staged", "before the rename", "after the rename", "before the commit"])
def test_killed_at_every_step_of_a_put(folder: Path, at: str) -> None:
    worker = processes.Process(target=die_at, args=(str(folder), at))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 9
    left = stored(folder)
    assert [path.parent.name == "tmp" for path in left] == [at in ("staged", "before the rename")]
    with Gallery.open(folder, read_only=True) as reader:
        assert len(list(reader.verify())) == 1
    with Gallery.open(folder) as gallery:
        with pytest.raises(NotFound):
            gallery.get(made(1).id)
        assert (gallery.balance("local").used, gallery.balance("local").held) == (0, 0)
        assert list(gallery.verify()) == [] and gallery.sweep() == [] and stored(folder) == set()
        assert gallery.put(made(1)).data == made(1).data


def test_killed_between_row_and_file_a_removal_is_finished_at_the_next_open(folder: Path) -> None:
    with Gallery.open(folder) as gallery:
        gallery.put(made(1))
    worker = processes.Process(target=die_removing, args=(str(folder),))
    worker.start()
    worker.join(60)
    assert worker.exitcode == 9 and len(stored(folder)) == 1
    with Gallery.open(folder) as gallery:
        assert gallery.list() == [] and stored(folder) == set() and list(gallery.verify()) == []


def die_removing(folder: str) -> None:
    gallery = Gallery.open(Path(folder))
    files.Files.drop = lambda *_: os._exit(9)  # type: ignore[method-assign]
    gallery.remove(made(1).id)


def die_at(folder: str, step: str) -> None:
    """End the process, as SIGKILL would, at one step of keeping an artifact."""
    from fantascope.gallery import index

    def die(*_: object) -> None:
        os._exit(9)

    place = files.Files.place

    def place_and_die(*args: object) -> None:
        place(*args)  # type: ignore[arg-type]
        die()

    gallery = Gallery.open(Path(folder))
    hold = gallery.hold("local", 1, "imagine")
    if step == "staged":
        index.add = die
    elif step == "before the rename":
        files.Files.place = die  # type: ignore[method-assign,assignment]
    elif step == "after the rename":
        gallery._files.place_of(made(1).id, "image/png").parent.mkdir()
        files.sync_folder = die
    else:
        files.Files.place = place_and_die  # type: ignore[method-assign,assignment]
    gallery.put(made(1, credits=1), hold=hold, credits=1)


def test_the_hold_of_a_killed_process_is_refunded_at_the_next_open_and_not_before(folder: Path) -> None:
    say = processes.Queue()
    worker = processes.Process(target=hold_and_wait, args=(str(folder), 7.0, say))
    worker.start()
    say.get(timeout=60)
    with Gallery.open(folder) as gallery:
        assert gallery.balance("local").held == 7, "its process lives"
        worker.kill()
        worker.join()
        assert gallery.balance("local").held == 7
    with Gallery.open(folder) as gallery:
        assert gallery.balance("local").held == 0
        assert gallery.entries("local")[0].what == "its process died"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount small disks of memory; skipped where that is not allowed."""
    mounted: list[Path] = []
    mount = shutil.which("mount")

    def make(kilobytes: int) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = [str(mount), "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
        if mount is None or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("mounting a small disk is not allowed here")
        mounted.append(place)
        return place

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)


@contextlib.contextmanager
def nothing_can_be_written(beyond: int = 0) -> Iterator[None]:
    """Let every write beyond so many bytes of a file fail, as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (beyond, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(place: Path) -> None:
    """Write `place/ballast` until not one page is free."""
    with contextlib.suppress(OSError), (place / "ballast").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


def remount(place: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(place)], check=True)


def test_a_full_disk_keeps_nothing_by_halves(disk: Callable[..., Path]) -> None:
    place = disk(600)
    with Gallery.open(place / "pictures") as gallery:
        hold = gallery.hold("local", 1000, "imagine")
        kept = 0
        with pytest.raises(StorageError, match="pictures is full") as caught:
            while True:
                gallery.put(made(kept, credits=1), hold=hold, credits=1)
                kept += 1
        assert "FANTASCOPE_HOME" in str(caught.value)
        assert kept > 0 and len(gallery.list(limit=1000)) == kept
        assert gallery.balance("local").used == kept
        assert list(gallery.verify()) == [] and len(stored(place / "pictures")) == kept


def test_a_refund_that_cannot_be_written_is_written_at_the_next_open(folder: Path) -> None:
    gallery = Gallery.open(folder)
    hold = gallery.hold("local", 3, "imagine")
    with nothing_can_be_written():
        with pytest.raises(StorageError):
            gallery.release(hold)
        gallery.close()
    with Gallery.open(folder, read_only=True) as reader:
        assert reader.balance("local").held == 3
    with Gallery.open(folder) as again:
        assert again.balance("local").held == 0 and list(again.verify()) == []


def test_a_disk_that_fills_at_the_commit_takes_everything_back(disk: Callable[..., Path]) -> None:
    place = disk(1000)
    with Gallery.open(place / "pictures") as gallery:
        gallery.put(made(1))
        before = stored(place / "pictures")
        ballast = place / "ballast"
        small = Artifact(picture(2, side=2), "image/png", made(2, "long " * 6000).receipt)
        fill(place)
        os.truncate(ballast, ballast.stat().st_size - 16 * 1024)  # room for the picture, not for its receipt
        with pytest.raises(StorageError, match="full"):
            gallery.put(small)
        assert stored(place / "pictures") == before
        ballast.unlink()
        assert gallery.put(small).path not in before
        assert list(gallery.verify()) == []


def test_a_file_that_grows_beyond_its_limit_is_not_kept(gallery: Gallery, folder: Path) -> None:
    big = Artifact(os.urandom(3_000_000), "image/png")
    with nothing_can_be_written(beyond=2_000_000), pytest.raises(StorageError, match="full"):
        gallery.put(big)
    assert stored(folder) == set() and gallery.list() == [] and list(gallery.verify()) == []
    assert gallery.put(big).path in stored(folder)


def test_a_read_only_disk_can_be_read_and_says_why_it_cannot_be_written(disk: Callable[..., Path]) -> None:
    place = disk(2000)
    folder = place / "a folder, 100% read-only?"
    with Gallery.open(folder) as gallery:
        kept = gallery.put(made(1))
        hold = gallery.hold("local", 1, "imagine")
        gallery.release(hold)
    remount(place, "ro")
    try:
        before = sorted(folder.rglob("*"))
        with Gallery.open(folder, read_only=True) as gallery:
            assert gallery.get(kept.id) == kept and [entry.id for entry in gallery.list()] == [kept.id]
            assert gallery.balance("local").used == 0 and list(gallery.verify()) == []
            assert gallery.thumbnail(kept.id, 16)
            for write in (
                lambda: gallery.put(made(2)),
                lambda: gallery.hold("local", 1, "imagine"),
                lambda: gallery.remove(kept.id),
                lambda: gallery.ingest(picture(3)),
            ):
                with pytest.raises(StorageError):
                    write()
        with pytest.raises(StorageError, match="read-only") as caught:
            Gallery.open(folder)
        assert "FANTASCOPE_HOME" in str(caught.value)
        with pytest.raises(StorageError, match="read-only"):
            Gallery.open(place / "new")
        assert sorted(folder.rglob("*")) == before
    finally:
        remount(place, "rw")


def test_reading_what_is_not_there_makes_nothing(folder: Path) -> None:
    with Gallery.open(folder, read_only=True) as gallery:
        assert gallery.list() == [] and list(gallery.verify()) == []
        assert gallery.balance("local").used == 0
        with pytest.raises(NotFound):
            gallery.get("0123456789ab")
        with pytest.raises(StorageError):
            gallery.hold("local", 1, "imagine")
    assert not folder.exists()


def test_a_reader_beside_a_writer_sees_what_is_kept(gallery: Gallery, folder: Path) -> None:
    with Gallery.open(folder, read_only=True) as reader:
        assert reader.list() == []
        kept = gallery.put(made(1))
        assert reader.get(kept.id) == kept
