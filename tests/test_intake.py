"""What is handed in: files of every kind, ids, and everything that is neither; each refusal says what to do."""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.tasks.drawn import artifact_of, box_mask, check_contract, made, one, photo, report, saved

from fantascope import Artifact, Imagine, Settings, Studio
from fantascope.errors import FantascopeError, InvalidPicture, InvalidValue, NotFound, StorageError
from fantascope.intake import LONGEST_SHOWN, MOST_BYTES, read_words, take_in
from fantascope.request import Blend, Cutout, Edit, Erase, Expand, Fill, Tile, Vary
from fantascope.resolve import Given
from fantascope.tasks.pixels import open_pixels


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(Settings(home=tmp_path_factory.mktemp("home"), threads=1, model="echo")) as studio:
        yield studio


@pytest.fixture(scope="module")
def rings(studio: Studio) -> Artifact:
    return one(studio, Imagine(prompt="a cat and a dog", seed=7))


def refused(studio: Studio, picture: str, error: type[FantascopeError]) -> FantascopeError:
    """Hand a picture in and return the error; nothing is kept, held or charged for it."""
    before = studio.gallery.balance("local"), len(studio.gallery.list(limit=1000))
    with pytest.raises(error) as caught:
        studio.run(Vary(picture=picture))
    assert (studio.gallery.balance("local"), len(studio.gallery.list(limit=1000))) == before
    assert caught.value.param == "picture"
    assert len(str(caught.value)) < 1000
    return caught.value


def test_a_file_is_kept_and_its_id_recorded_never_its_path(studio: Studio, tmp_path: Path) -> None:
    path = saved(tmp_path / "jane-doe-passport.png", photo(64, 48))
    artifact = one(studio, Vary(picture=path, seed=1))
    assert artifact.receipt is not None
    assert artifact.receipt.request["picture"].startswith("sha256:")
    assert "passport" not in artifact.receipt.model_dump_json()
    assert b"passport" not in artifact.data
    assert studio.gallery.get(artifact.receipt.request["picture"]).data == Path(path).read_bytes()


@pytest.mark.parametrize("form", ["whole", "prefix", "receipt", "file"])
def test_a_picture_may_be_named_in_four_ways(studio: Studio, rings: Artifact, form: str) -> None:
    assert rings.receipt is not None
    names = {"whole": rings.id, "prefix": rings.id[7:15], "receipt": rings.receipt.id, "file": str(rings.path)}
    request, given = take_in(Vary(picture=names[form]), studio.gallery)
    assert request.picture == rings.id
    assert given == {rings.id: Given(256, 256, "a cat and a dog", False)}


@pytest.mark.parametrize(
    "picture",
    ["", ".", "/", "nothing-here.png", "/dev/zero", "/dev/null", "a\0b", "\ud800", "~", "x" * 5000, "-", "\x1b[2J"]
    + ["https://example.com/cat.png", "file:///etc/passwd", "data:image/png;base64,AAAA", "sha256:" + "0" * 64],
)
def test_what_is_no_picture(studio: Studio, picture: str) -> None:
    told = refused(studio, picture, FantascopeError)
    assert isinstance(told, (NotFound, InvalidValue))
    assert "no file" in told.message or "neither a file" in told.message
    assert "\x1b" not in str(told)
    assert len(picture) < LONGEST_SHOWN or "…" in told.message


def test_a_folder_a_loop_and_a_pipe(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    refused(studio, str(tmp_path / "folder.png"), NotFound)
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    refused(studio, str(tmp_path / "a"), NotFound)
    os.mkfifo(tmp_path / "pipe.png")
    done = threading.Thread(target=lambda: refused(studio, str(tmp_path / "pipe.png"), NotFound), daemon=True)
    done.start()
    done.join(10)
    assert not done.is_alive(), "a pipe that nobody writes into is not waited for"


def test_a_link_to_a_picture_is_followed(studio: Studio, tmp_path: Path) -> None:
    path = saved(tmp_path / "real.png", photo(32, 32, 9))
    (tmp_path / "link.png").symlink_to(path)
    request, _ = take_in(Vary(picture=str(tmp_path / "link.png")), studio.gallery)
    assert studio.gallery.get(request.picture).data == Path(path).read_bytes()


def test_a_prefix_that_fits_two_lists_them(studio: Studio) -> None:
    seen: dict[str, str] = {}
    first = studio.gallery.ingest(artifact_of(photo(8, 8, 100)).data)
    seen[first.id[7:8]] = first.id
    # Two with six equal digits are not found by trying, so the rows of the index are what is changed.
    import sqlite3

    twin = "sha256:" + first.id[7:15] + "f" * 56
    with sqlite3.connect(studio.settings.gallery / "gallery.db") as tx:
        columns = [row[1] for row in tx.execute("pragma table_info(artifacts)")]
        others = ", ".join(f'"{name}"' for name in columns if name not in ("id", "seq"))
        tx.execute(
            f"insert into artifacts (id, seq, {others}) select ?, (select max(seq) + 1 from artifacts), {others} "
            "from artifacts where id = ?",
            (twin, first.id),
        )
    tx.close()
    told = refused(studio, first.id[7:14], InvalidValue)
    assert "fits 2" in told.message
    assert first.id[7:23] in told.message
    assert twin[7:23] in told.message
    assert "more digits" in str(told)
    with sqlite3.connect(studio.settings.gallery / "gallery.db") as tx:
        tx.execute("delete from artifacts where id = ?", (twin,))
    tx.close()


def test_too_few_digits(studio: Studio) -> None:
    assert "at least 6" in refused(studio, "abc", InvalidValue).message


def test_files_that_are_no_pictures(studio: Studio, tmp_path: Path) -> None:
    good = artifact_of(photo(64, 64)).data
    for name, data, words in (
        ("empty.png", b"", "bytes"),
        ("text.png", b"hello", "no picture"),
        ("cut.png", good[: len(good) // 2], "cut off"),
        ("cut.jpg", artifact_of(photo(64, 64), "JPEG").data[:900], "cut off"),
        ("cut.webp", artifact_of(photo(64, 64), "WEBP").data[:900], "damaged"),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        ("magic.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "no picture"),
    ):
        (tmp_path / name).write_bytes(data)
        told = refused(studio, str(tmp_path / name), InvalidPicture)
        assert name in told.message
        assert words in told.message or "cut off" in told.message, told.message
    for form in ("GIF", "BMP", "TIFF"):
        path = tmp_path / f"other.{form.lower()}"
        Image.fromarray(photo(16, 16)).save(path, form)
        assert "PNG" in refused(studio, str(path), InvalidPicture).message


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG file that claims a large size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = zlib.compress(b"\0" * (height * ((width + 7) // 8 + 1)), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(20_000, 20_000), (20_000, 10), (1, 9000), (60_000, 60_000)])
def test_sides_beyond_the_limit_are_refused_before_decoding(
    studio: Studio, tmp_path: Path, size: tuple[int, int]
) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(
        bomb(*size) if size[0] < 60_000 else bomb(60_000, 1).replace(b"\x00\x00\x00\x01", b"\0\0\xea\x60", 1)
    )
    told = refused(studio, str(path), InvalidPicture)
    assert "8192" in told.message or "too large" in told.message or "no picture" in told.message


def test_a_file_larger_than_any_picture_is_not_read_whole(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES * 40)
    assert str(MOST_BYTES) in refused(studio, str(path), InvalidPicture).message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(studio: Studio, tmp_path: Path) -> None:
    path = Path(saved(tmp_path / "secret.png", photo(8, 8)))
    path.chmod(0)
    refused(studio, str(path), StorageError)


def exif(orientation: int) -> Any:
    block = Image.Exif()
    block[0x0112] = orientation
    return block


@pytest.mark.parametrize(
    "kind", ["gray16", "cmyk", "palette", "webp-animation", "apng", "turned", "mpo", "broken-exif", "one-pixel"]
)
def test_odd_pictures_are_edited_like_any_other(studio: Studio, tmp_path: Path, kind: str) -> None:
    """And what is outside the mask is what a viewer shows of them, byte for byte."""
    picture, path, options = Image.fromarray(photo(96, 64)), tmp_path / "x.png", {}
    if kind == "gray16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    elif kind == "cmyk":
        picture, path = picture.convert("CMYK"), tmp_path / "x.jpg"
    elif kind == "palette":
        picture, options = picture.quantize(16), {"transparency": 3}
    elif kind == "webp-animation":
        path, options = (
            tmp_path / "x.webp",
            {"save_all": True, "append_images": [picture.rotate(180)], "lossless": True},
        )
    elif kind == "apng":
        options = {"save_all": True, "append_images": [picture.rotate(180)]}
    elif kind == "turned":
        path, options = tmp_path / "x.jpg", {"exif": exif(6)}
    elif kind == "mpo":
        path, options = tmp_path / "x.mpo", {"save_all": True, "append_images": [picture]}
    elif kind == "broken-exif":
        path, options = tmp_path / "x.jpg", {"exif": b"Exif\0\0II*\0\xff\xff\xff\xff"}
    elif kind == "one-pixel":
        picture = picture.crop((0, 0, 1, 1))
    picture.save(path, **options)
    parent = studio.gallery.ingest(path.read_bytes())
    shown = open_pixels(parent)
    size = {"turned": (64, 96), "one-pixel": (1, 1)}.get(kind, (96, 64))
    assert shown.shape[1::-1] == size
    mask = saved(tmp_path / "mask.png", box_mask(size, (0, 0, max(1, size[0] // 3), max(1, size[1] // 3))))
    artifact = one(studio, Fill(picture=str(path), mask=mask, prompt="a cat", seed=1))
    check_contract(studio, parent, artifact)
    assert artifact.receipt is not None
    assert (artifact.receipt.request["width"], artifact.receipt.request["height"]) == size
    assert artifact.receipt.composite


def test_a_picture_in_a_list_is_taken_in_once(studio: Studio, rings: Artifact, tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", photo(64, 64, 21))
    request, given = take_in(Blend(pictures=(path, rings.id, path)), studio.gallery)
    assert request.pictures == (request.pictures[0], rings.id, request.pictures[0])
    assert len(given) == 2
    assert report(studio, one(studio, request.replace(prompt="a cat", seed=1))).ok


def test_nothing_is_taken_in_where_one_of_several_is_wrong(studio: Studio, rings: Artifact) -> None:
    with pytest.raises(NotFound) as caught:
        take_in(Blend(pictures=(rings.id, "missing.png")), studio.gallery)
    assert caught.value.param == "pictures"
    with pytest.raises(NotFound) as caught:
        take_in(Fill(picture=rings.id, mask="missing.png"), studio.gallery)
    assert caught.value.param == "mask"


def test_a_read_only_studio_takes_nothing_in(studio: Studio, rings: Artifact, tmp_path: Path) -> None:
    path = saved(tmp_path / "x.png", photo(16, 16, 33))
    with Studio(studio.settings, read_only=True) as looking, pytest.raises(StorageError):
        looking.resolve(Vary(picture=path))
    with Studio(studio.settings, read_only=True) as looking:
        assert looking.resolve(Vary(picture=rings.id)).request.width == 256


def test_our_own_file_handed_in_is_ours(studio: Studio, rings: Artifact, tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(rings.data)
    child = one(studio, Expand(picture=str(copy), left=8, seed=1))
    assert child.receipt is not None
    assert child.receipt.parents == (rings.id,)
    assert not child.receipt.composite
    buffer = io.BytesIO()
    rings.image().save(buffer, "PNG")
    copy.write_bytes(buffer.getvalue())
    assert one(studio, Expand(picture=str(copy), left=8, seed=1)).receipt.composite  # type: ignore[union-attr]


# Words


def words(request: Any, given: dict[str, Given] | None = None, embed: Any = None) -> Any:
    def unknown(*_: Any) -> str:
        raise AssertionError("nothing has to be described")

    return read_words(request, given or {"x": Given(64, 64, "a cat and a rose on a blue background")}, embed, unknown)


def test_what_each_task_makes_of_the_words_of_its_picture(studio: Studio) -> None:
    assert words(Expand(picture="x", left=8)).prompt == "a blue background"
    assert words(Expand(picture="x", left=8, prompt="a tree")).prompt == "a tree"
    foreign = {"x": Given(64, 64)}

    def nothing(*_: str) -> str:
        raise InvalidValue("nothing in it is known")

    for seen, expanded, filled in (
        (lambda *_: "a cat on a red background", "a red background", "a cat on a red background"),
        (nothing, None, None),
    ):
        assert read_words(Expand(picture="x", left=8), foreign, None, seen).prompt == expanded
        assert read_words(Fill(picture="x"), foreign, None, seen).prompt == filled
    assert words(Cutout(prompt="a rose")).prompt == "a rose on a white background"
    assert words(Cutout(prompt="a rose in a forest")).prompt == "a rose in a forest"
    assert words(Cutout(picture="x")).prompt is None
    assert words(Cutout(prompt=" ")).prompt == " "
    for request in (Vary(picture="x"), Fill(picture="x"), Tile(prompt="a"), Erase(picture="x"), Imagine(prompt="a")):
        assert words(request) is request
    read = words(Edit(picture="x", instruction="remove the cat"), embed=studio.embed)
    assert (read.before, read.prompt) == ("a cat and a rose on a blue background", "a rose on a blue background")
    assert words(read, embed=studio.embed) is read, "what was read is not read again"
    own = words(Edit(picture="x", instruction="remove the cat", prompt="flowers"), embed=studio.embed)
    assert own.prompt == "flowers"
    assert own.turns[0].after == "a rose on a blue background"
    told = words(Erase(picture="x", what="the cat"), embed=studio.embed)
    assert told.turns[0].kind == "remove"
    other = words(Edit(picture="x", instruction="remove the dog", before="a dog and a ball"), embed=studio.embed)
    assert other.prompt == "a ball"


def test_a_record_of_edits_is_a_request_that_resolves_to_itself(
    studio: Studio, rings: Artifact, tmp_path: Path
) -> None:
    mask = saved(tmp_path / "mask.png", box_mask((256, 256), (9, 9, 80, 80)))
    for request in (
        Fill(picture=rings.id, mask=mask),
        Edit(picture=rings.id, instruction="change the cat to a horse", mask=mask),
        Expand(picture=rings.id, pan="left"),
        Vary(picture=rings.id, amount="subtle"),
    ):
        (artifact,) = made(studio, request)
        assert artifact.receipt is not None
        resolved = studio.resolve(type(request)(**artifact.receipt.request)).request
        assert resolved.model_dump(mode="json") == artifact.receipt.request


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (lambda at: Fill(picture=at["photo"], mask=at["small"], prompt="a cat"), "16x16"),
        (lambda at: Fill(picture=at["photo"], mask=at["empty"], prompt="a cat"), "marks nothing"),
        (lambda at: Fill(picture=at["photo"], prompt="a cat"), "no transparent part"),
        (lambda at: Erase(picture=at["photo"], mask=at["small"]), "16x16"),
        (lambda at: Erase(picture=at["photo"], what="the dog", mask=at["empty"]), "marks nothing"),
        (lambda at: Erase(picture=at["photo"]), "no transparent part"),
        (lambda at: Edit(picture=at["photo"], mask=at["small"], instruction="make it red"), "16x16"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_before_anything_is_loaded(
    request_: Any, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = {"photo": saved(tmp_path / "photo.png", photo(64, 48))}
    at["small"] = saved(tmp_path / "small.png", np.full((16, 16), 255, np.uint8))
    at["empty"] = saved(tmp_path / "empty.png", np.zeros((48, 64), np.uint8))
    with Studio(Settings(home=tmp_path / "home")) as studio:  # the embedded checkpoint, which would take a while
        for name in ("engines", "policy"):
            monkeypatch.setattr(Studio, name, property(lambda _: pytest.fail("engines or rules were loaded")))
        monkeypatch.setattr(studio, "embed", lambda texts: pytest.fail("words were read"))
        with pytest.raises(InvalidValue, match=told) as caught:
            studio.run(request_(at))
    assert caught.value.param == "mask"
