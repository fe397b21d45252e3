"""Files from anybody: bombs, cuts and lies are refused before a pixel is decoded."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.provenance.conftest import flat_art

from fantascope.errors import InvalidPicture
from fantascope.provenance import pictures
from fantascope.provenance.verify import Report, verify


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" + b"\xff" * 30))
    return pictures.PNG_MAGIC + header + b"".join(extra) + data + chunk(b"IEND", b"")


def saved(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(flat_art(4, 96)).save(file, form, **options)
    return file.getvalue()


FILES = {form: saved(form) for form in ("PNG", "JPEG", "WEBP")} | {"WEBP lossless": saved("WEBP", lossless=True)}


@pytest.mark.parametrize("name", FILES)
def test_size_and_pixels(name: str) -> None:
    found = pictures.probe(FILES[name])
    assert (found.width, found.height) == (96, 96)
    assert found.lossless == (name in ("PNG", "WEBP lossless"))
    assert (pictures.decode(found) == np.asarray(Image.open(io.BytesIO(FILES[name])).convert("RGB"))).all()


def bomb_webp() -> bytes:
    body = b"\x00" * 4 + (16383).to_bytes(3, "little") * 2
    vp8x = b"VP8X" + struct.pack("<I", 10) + body
    rest = FILES["WEBP"][12:]
    return b"RIFF" + struct.pack("<I", 4 + len(vp8x) + len(rest)) + b"WEBP" + vp8x + rest


def bomb_jpeg() -> bytes:
    data = bytearray(FILES["JPEG"])
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", 60000, 60000)
    return bytes(data)


TEXT_BOMB = zlib.compress(b"a" * (pictures.MAX_TEXT + 1))
BOMBS = {
    "png of 4 gigapixels": png(65535, 65535),
    "jpeg of 3.6 gigapixels": bomb_jpeg(),
    "webp of 268 megapixels": bomb_webp(),
    "zTXt that unpacks": png(3, 3, chunk(b"zTXt", b"parameters\0\0" + TEXT_BOMB)),
    "iTXt that unpacks": png(3, 3, chunk(b"iTXt", b"parameters\0\1\0\0\0" + TEXT_BOMB)),
    "zTXt pieces": png(3, 3, *[chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 1_000_000))] * 5),
    "long tEXt": png(3, 3, chunk(b"tEXt", b"parameters\0" + b"a" * (pictures.MAX_TEXT + 1))),
    "a million chunks": png(3, 3, chunk(b"prIv", b"") * (pictures.MAX_PIECES + 1)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name: str) -> None:
    with pytest.raises(InvalidPicture) as caught:
        verify(BOMBS[name])
    assert caught.value.code == "invalid_picture"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.truncate(pictures.MAX_FILE + 1)
    with pytest.raises(InvalidPicture, match="at most 100 MB"):
        verify(path)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"GIF89a" + b"\0" * 50, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF"]
)
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(InvalidPicture):
        verify(data)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidPicture, match="cannot be read"):
        verify(tmp_path / "nothing.png")
    with pytest.raises(InvalidPicture, match="cannot be read"):
        verify(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(InvalidPicture, match="no regular file"):
            pictures.load(path)


@pytest.mark.parametrize("name", FILES)
def test_a_cut_file_is_refused(name: str) -> None:
    data = FILES[name]
    for part in (0.05, 0.3, 0.6, 0.9):
        with pytest.raises(InvalidPicture):
            verify(data[: int(len(data) * part)])


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damage_gives_a_report_or_one_clear_error(name: str, data: st.DataObject) -> None:
    raw = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(verify(bytes(raw)), Report)
    except InvalidPicture as error:
        assert error.message


@given(st.binary(max_size=300), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b""]))
def test_random_bytes_never_break_the_probe(tail: bytes, head: bytes) -> None:
    try:
        assert pictures.probe(head + tail).width > 0
    except InvalidPicture as error:
        assert error.param == "file"


def test_texts_are_found() -> None:
    info = PngInfo()
    info.add_text("one", "plain")
    info.add_text("two", "packed", zip=True)
    info.add_itxt("three", "bäume 🐘", zip=True)
    file = io.BytesIO()
    Image.fromarray(flat_art(4, 64)).save(file, "PNG", pnginfo=info)
    assert pictures.probe(file.getvalue()).texts == {"one": "plain", "two": "packed", "three": "bäume 🐘"}
