"""Keeping, finding, removing, exporting: the files and the index."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from tests.gallery.helpers import Clock, made, picture, stored

from fantascope.artifact import Artifact, artifact_id
from fantascope.errors import (
    GalleryCorrupt,
    GalleryError,
    InvalidPicture,
    InvalidValue,
    NotFound,
    StorageError,
    UnknownName,
)
from fantascope.gallery import Gallery, pictures


def test_what_is_kept_comes_back_whole(gallery: Gallery, folder: Path) -> None:
    artifact = made(7, "pink elephants on parade")
    kept = gallery.put(artifact)
    digest = artifact.id.removeprefix("sha256:")
    assert kept.path == folder / "objects" / digest[:2] / f"{digest[2:]}.png"
    assert kept.path.read_bytes() == artifact.data
    assert gallery.get(artifact.id) == kept
    assert gallery.receipt(artifact.id) == artifact.receipt
    assert stored(folder) == {kept.path}
    assert list(gallery.verify()) == []


def test_the_folder_is_private(gallery: Gallery, folder: Path) -> None:
    kept = gallery.put(made(1))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert kept.path is not None and kept.path.stat().st_mode & 0o777 == 0o600


def test_it_outlives_its_process(folder: Path) -> None:
    with Gallery.open(folder) as first:
        first.put(made(1))
    with Gallery.open(folder) as second:
        assert second.get(made(1).id).receipt == made(1).receipt


def test_keeping_twice_changes_nothing_but_a_lost_file(gallery: Gallery, folder: Path) -> None:
    kept = gallery.put(made(1))
    assert gallery.put(made(1)) == kept
    assert len(gallery.list()) == 1
    assert kept.path is not None
    kept.path.unlink()
    assert gallery.put(made(1)).path == kept.path and kept.path.read_bytes() == kept.data
    assert stored(folder) == {kept.path}


def test_an_id_that_is_not_the_hash_is_refused(gallery: Gallery, folder: Path) -> None:
    with pytest.raises(InvalidValue, match="not the hash"):
        gallery.put(Artifact(b"x", "image/png", id="sha256:" + "0" * 64))
    assert stored(folder) == set()


def test_other_media_types_are_kept_too(gallery: Gallery) -> None:
    kept = gallery.put(Artifact(b"solid cube", "model/stl"))
    assert kept.path is not None and kept.path.suffix == ".bin"
    assert gallery.get(kept.id).data == b"solid cube"
    with pytest.raises(InvalidPicture):
        gallery.thumbnail(kept.id, 64)


def test_ids_may_be_shortened_and_receipts_name_artifacts(gallery: Gallery) -> None:
    kept = gallery.put(made(1))
    assert kept.receipt is not None
    gallery.put(made(2))
    digits = kept.id[7:]
    for ref in (kept.id, digits, digits[:6], digits[:10].upper(), kept.id[:13], kept.receipt.id, kept.receipt.id[:8]):
        assert gallery.get(ref).id == kept.id, ref
    with pytest.raises(InvalidValue, match="too short"):
        gallery.get(digits[:5])
    with pytest.raises(NotFound, match="no artifact"):
        gallery.get("0" * 64 if digits[0] != "0" else "1" * 64)
    with pytest.raises(NotFound, match="no id"):
        gallery.get("../../etc/passwd")


def test_an_ambiguous_prefix_lists_what_fits(gallery: Gallery) -> None:
    one = made(1)
    two = Artifact(one.data + b"\0", "image/png", one.receipt)
    gallery.put(one)
    gallery.put(two)
    assert one.receipt is not None
    with pytest.raises(InvalidValue) as caught:
        gallery.get(one.receipt.id)
    assert one.id[7:23] in str(caught.value) and two.id[7:23] in str(caught.value)
    assert [entry.id for entry in gallery.by_receipt(one.receipt.id)] == [two.id, one.id]
    assert gallery.by_receipt("f" * 16) == []
    gallery.remove(two.id)
    assert gallery.get(one.receipt.id).id == one.id


def test_listing_is_newest_first_in_pages_that_do_not_overlap(gallery: Gallery) -> None:
    ids = [gallery.put(made(seed)).id for seed in range(7)]  # one moment for all: the clock stands still
    seen: list[str] = []
    before = None
    while page := gallery.list(limit=3, before=before):
        seen += [entry.id for entry in page]
        before = seen[-1]
        if len(seen) == 3:
            gallery.remove(before)
            ids.remove(before)
            seen.remove(before)
    assert seen == ids[::-1]
    with pytest.raises(InvalidValue):
        gallery.list(limit=0)


def test_an_entry_says_what_the_receipt_says(gallery: Gallery, clock: Clock) -> None:
    kept = gallery.put(made(0, "Äpfel", model="sd15"))
    (entry,) = gallery.list()
    assert kept.receipt is not None
    assert (entry.id, entry.path, entry.size, entry.given) == (kept.id, kept.path, len(kept.data), False)
    assert (entry.prompt, entry.model, entry.seed) == ("Äpfel", "sd15", 0)
    assert (entry.width, entry.height, entry.task) == (24, 24, "imagine")
    assert (entry.receipt_id, entry.kept) == (kept.receipt.id, clock.now)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("elephant", [2, 0]),
        ("ELEPHANT pink", [0]),
        ("ÄPFEL", [1]),
        ("strasse", [3]),
        ("100%", [2]),
        ("%", [2]),
        ("_", []),
        ("e%t", []),
        ("", [3, 2, 1, 0]),
    ],
)
def test_text_is_searched_word_by_word(gallery: Gallery, text: str, fits: list[int]) -> None:
    prompts = ["a Pink elephant", "rote äpfel", "an elephant, 100% wool", "die Straße"]
    for seed, prompt in enumerate(prompts):
        gallery.put(made(seed, prompt))
    assert [entry.seed for entry in gallery.list(text=text)] == fits


def test_listing_filters_by_model_seed_and_origin(gallery: Gallery) -> None:
    gallery.put(made(0, model="embedded"))
    gallery.put(made(5, model="sd15"))
    given = gallery.ingest(picture(9))
    assert [entry.seed for entry in gallery.list(seed=0)] == [0]
    assert [entry.seed for entry in gallery.list(model="sd15")] == [5]
    assert [entry.id for entry in gallery.list(given=True)] == [given.id]
    assert [entry.seed for entry in gallery.list(given=False)] == [5, 0]


def test_removing_deletes_the_file_and_leaves_a_tombstone(gallery: Gallery, folder: Path) -> None:
    kept = gallery.put(made(1, "a secret"))
    gallery.thumbnail(kept.id, 16)
    assert gallery.remove(kept.id[7:19]) == kept.id
    assert stored(folder) == set() and list((folder / "thumbs").rglob("*.webp")) == []
    assert gallery.list() == [] and gallery.list(text="secret") == []
    with pytest.raises(NotFound, match="removed on 2026-11-23"):
        gallery.get(kept.id)
    with pytest.raises(NotFound):
        gallery.receipt(kept.id)
    assert list(gallery.verify()) == []
    assert gallery.put(made(1, "a secret")).receipt == kept.receipt
    assert gallery.receipt(kept.id) == kept.receipt and len(gallery.list(text="secret")) == 1


def test_a_parent_is_not_removed_by_accident(gallery: Gallery) -> None:
    parent = gallery.put(made(1))
    child = gallery.put(made(2, parents=[parent.id, parent.id]))
    with pytest.raises(GalleryError, match=child.id[7:23]):
        gallery.remove(parent.id)
    assert gallery.get(parent.id).data == parent.data
    gallery.remove(parent.id, force=True)
    gallery.remove(child.id)
    assert gallery.list() == []


def test_export_copies_and_never_overwrites_unasked(gallery: Gallery, tmp_path: Path) -> None:
    kept = gallery.put(made(1))
    target = gallery.export(kept.id, tmp_path / "out.png")
    assert target.read_bytes() == kept.data and kept.path is not None and kept.path.exists()
    target.write_bytes(b"mine")
    with pytest.raises(InvalidValue, match="exists"):
        gallery.export(kept.id, target)
    assert target.read_bytes() == b"mine"
    gallery.export(kept.id, target, overwrite=True)
    assert target.read_bytes() == kept.data
    assert gallery.export(kept.id, tmp_path) == tmp_path / f"{kept.id[7:23]}.png"
    with pytest.raises(InvalidValue, match="no folder"):
        gallery.export(kept.id, tmp_path / "nowhere" / "out.png")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_thumbnails_are_bounded_small_and_cached(gallery: Gallery, folder: Path) -> None:
    kept = gallery.ingest(picture(3, side=200))
    small = gallery.thumbnail(kept.id, 50)
    shown = Image.open(io.BytesIO(small))
    assert (shown.format, shown.size) == ("WEBP", (50, 50))
    (cached,) = (folder / "thumbs").rglob("*.webp")
    cached.write_bytes(b"from the cache")
    assert gallery.thumbnail(kept.id, 50) == b"from the cache"
    for side in (0, -1, 15, 1025):
        with pytest.raises(InvalidValue):
            gallery.thumbnail(kept.id, side)


def test_a_thumbnail_stands_upright_and_keeps_transparency(gallery: Gallery) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    buffer = io.BytesIO()
    Image.new("RGB", (80, 40), "red").save(buffer, "JPEG", exif=exif)
    turned = Image.open(io.BytesIO(gallery.thumbnail(gallery.ingest(buffer.getvalue()).id, 32)))
    assert turned.size == (16, 32)
    buffer = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(buffer, "PNG")
    clear = Image.open(io.BytesIO(gallery.thumbnail(gallery.ingest(buffer.getvalue()).id, 16)))
    assert clear.convert("RGBA").getpixel((8, 8))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize(("kind", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")])
def test_a_picture_that_is_handed_in_has_no_receipt(gallery: Gallery, kind: str, media_type: str) -> None:
    data = picture(4, kind=kind)
    given = gallery.ingest(data)
    assert (given.data, given.media_type, given.receipt) == (data, media_type, None)
    assert gallery.ingest(data, media_type) == given
    (entry,) = gallery.list()
    assert (entry.given, entry.width, entry.height) == (True, 24, 24)
    with pytest.raises(NotFound, match="handed in"):
        gallery.receipt(given.id)


def test_our_own_picture_handed_in_again_has_its_receipt(gallery: Gallery) -> None:
    assert gallery.ingest(gallery.put(made(1)).data).receipt == made(1).receipt
    gallery.ingest(made(2).data)
    assert gallery.put(made(2)).receipt == gallery.receipt(made(2).id)
    assert len(gallery.list()) == 2


def _bomb() -> bytes:
    """A PNG of a few kilobytes that says it has 30000 by 30000 pixels."""
    buffer = io.BytesIO()
    Image.new("1", (30_000, 300)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[20:24] = (30_000).to_bytes(4, "big")
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def _gif() -> bytes:
    buffer = io.BytesIO()
    Image.new("P", (8, 8)).save(buffer, "GIF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "media_type", "said"),
    [
        (b"", None, "bytes"),
        (b"not a picture at all", None, "no picture"),
        (picture(1)[:200], None, "damaged"),
        (picture(1, kind="JPEG")[:-300], None, "damaged"),
        (picture(1)[:60] + bytes(200) + picture(1)[260:], None, "damaged"),
        (picture(1, kind="JPEG"), "image/png", "is image/jpeg"),
        (_gif(), None, "no picture"),
        (_bomb(), None, "too large|30000"),
    ],
    ids=["empty", "text", "cut png", "cut jpeg", "overwritten", "lying", "gif", "bomb"],
)
def test_a_picture_that_cannot_be_read_safely_is_refused(
    gallery: Gallery, folder: Path, data: bytes, media_type: str | None, said: str
) -> None:
    with pytest.raises(InvalidPicture, match=said):
        gallery.ingest(data, media_type)
    assert stored(folder) == set() and gallery.list() == []


def test_a_file_that_is_too_long_is_not_even_opened(gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 100)
    with pytest.raises(InvalidPicture, match="1 to 100 bytes"):
        gallery.ingest(picture(1))


def test_a_changed_or_missing_file_is_never_handed_out(gallery: Gallery) -> None:
    kept = gallery.put(made(1))
    assert kept.path is not None
    kept.path.write_bytes(kept.data[:-1] + b"!")
    with pytest.raises(GalleryCorrupt, match="changed"):
        gallery.get(kept.id)
    kept.path.unlink()
    with pytest.raises(GalleryCorrupt, match="missing"):
        gallery.get(kept.id)


def test_a_file_in_the_way_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        Gallery.open(tmp_path / "file")
    with pytest.raises(StorageError):
        Gallery.open(tmp_path / "file" / "below")


def test_an_unknown_plan_is_refused_before_anything_is_made(folder: Path) -> None:
    with pytest.raises(UnknownName, match="free"):
        Gallery.open(folder, plan="fre")
    assert not folder.exists()


def test_importing_the_gallery_leaves_sqlalchemy_and_pillow_for_later() -> None:
    code = "import sys, fantascope.gallery; print([m for m in ('sqlalchemy', 'PIL', 'numpy') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert ran.stdout.strip() == "[]"


def test_threads_share_one_gallery(gallery: Gallery, folder: Path) -> None:
    def run(seed: int) -> str:
        hold = gallery.hold("ada", 1, "imagine")
        kept = gallery.put(made(seed, credits=0.5), hold=hold, credits=0.5)
        gallery.release(hold)
        return gallery.get(kept.id).id

    with ThreadPoolExecutor(4) as pool:
        ids = set(pool.map(run, range(12)))
    assert {entry.id for entry in gallery.list()} == ids and len(ids) == 12
    assert gallery.balance("ada").used == 6 and list(gallery.verify()) == []


def test_ids_are_the_hash_of_the_bytes(gallery: Gallery) -> None:
    given = gallery.ingest(picture(8))
    assert given.path is not None and given.id == artifact_id(given.path.read_bytes())
