"""Pictures from anybody become upright sRGB pixels, and masks say where; what is broken is refused in words."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from tests.tasks.drawn import artifact_of, box_mask, photo

from fantascope.artifact import Artifact
from fantascope.errors import InvalidPicture, InvalidValue
from fantascope.tasks.pixels import encode_mask, opaque, open_mask, open_pixels, own_mask, resized, resized_mask


def png(width: int, height: int, depth: int, colour: int, raw: bytes) -> Artifact:
    """Write a PNG of any depth by hand."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = b"".join(b"\0" + raw[k : k + len(raw) // height] for k in range(0, len(raw), len(raw) // height))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return Artifact(b"\x89PNG\r\n\x1a\n" + parts, "image/png")


def test_sixteen_bits_are_scaled_not_cut() -> None:
    deep = np.array([[0, 257, 32896], [65535, 128, 65407]], ">u2")
    gray = open_pixels(png(3, 2, 16, 0, deep.tobytes()))
    assert gray.shape == (2, 3, 3)
    assert gray[..., 0].tolist() == [[0, 1, 128], [255, 0, 255]]
    colours = np.array([[[65535, 0, 32896], [257, 514, 771]]], ">u2")
    assert open_pixels(png(2, 1, 16, 2, colours.tobytes())).tolist() == [[[255, 0, 128], [1, 2, 3]]]


def test_palette_with_transparency() -> None:
    indexed = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8), "P")
    indexed.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    pixels = open_pixels(artifact_of(indexed, transparency=1))
    assert pixels.shape == (2, 2, 4)
    assert pixels[..., 3].tolist() == [[255, 0], [0, 255]]
    assert pixels[0, 0].tolist() == [255, 0, 0, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "RGB"])
def test_every_kind_of_png_becomes_colours(mode: str) -> None:
    pixels = open_pixels(artifact_of(Image.fromarray(photo(20, 10)).convert(mode)))
    assert pixels.shape == (10, 20, 3), "an opaque alpha channel says nothing"
    assert pixels.dtype == np.uint8


def test_cmyk_and_gray_jpeg() -> None:
    plain = Image.new("RGB", (32, 16), (200, 60, 30))
    pixels = open_pixels(artifact_of(plain.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(pixels.astype(int) - (200, 60, 30)).max() <= 6
    assert open_pixels(artifact_of(plain.convert("L"), "JPEG")).shape == (16, 32, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_is_upright(orientation: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = (255, 0, 0)
    stored = Image.fromarray(upright)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera held like that would have stored it
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (open_pixels(artifact_of(stored, "PNG", exif=exif)) == upright).all()
    assert open_pixels(artifact_of(stored, "JPEG", exif=exif)).shape == (16, 32, 3)


@pytest.mark.parametrize(
    "junk", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" * 3, b"x"]
)
def test_a_broken_exif_block_stops_nothing(junk: bytes) -> None:
    assert open_pixels(artifact_of(photo(16, 16), "JPEG", exif=junk)).shape == (16, 16, 3)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_of_an_animation_the_first_frame_counts(form: str) -> None:
    red, blue = (Image.new("RGB", (24, 16), colour) for colour in ("red", "blue"))
    lossless = {"lossless": True} if form == "WEBP" else {}
    artifact = artifact_of(red, form, save_all=True, append_images=[blue, blue], duration=100, **lossless)
    assert (open_pixels(artifact) == (255, 0, 0)).all()


def test_a_colour_profile_is_applied_and_a_broken_one_ignored() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = photo(16, 16)
    for profile in (lab, b"no profile at all", lab[:200]):
        assert np.abs(open_pixels(artifact_of(plain, icc_profile=profile)).astype(int) - plain).max() <= 1
    gray = Image.fromarray(plain).convert("L")
    assert open_pixels(artifact_of(gray, icc_profile=lab)).shape == (16, 16, 3)
    indexed = Image.fromarray(plain).quantize(8)
    assert open_pixels(artifact_of(indexed, icc_profile=lab)).shape == (16, 16, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_file_that_is_cut_off_is_refused(form: str, share: float) -> None:
    data = artifact_of(photo(64, 64), form).data
    with pytest.raises(InvalidPicture, match=r"damaged|cut off"):
        open_pixels(Artifact(data[: int(len(data) * share)], "image/png"))


def test_one_pixel() -> None:
    assert open_pixels(artifact_of(np.full((1, 1, 3), 9, np.uint8))).tolist() == [[[9, 9, 9]]]


def test_masks_by_alpha_by_brightness_and_by_palette() -> None:
    where = box_mask((20, 10), (3, 2, 9, 7))
    clear = np.dstack([np.zeros((10, 20, 3), np.uint8), 255 - where])
    forms = (where, np.dstack([where] * 3), clear)
    masks = [open_mask(artifact_of(form), (20, 10)) for form in forms]
    masks += [open_mask(artifact_of(Image.fromarray(where).convert(mode)), (20, 10)) for mode in ("1", "P", "I;16")[:2]]
    masks.append(open_mask(png(20, 10, 16, 0, (where.astype(">u2") * 257).tobytes()), (20, 10)))
    for mask in masks:
        assert mask.dtype == np.float32
        assert ((mask > 0) == (where > 0)).all()
        assert mask.max() == 1


def test_a_mask_half_bright_paints_half_and_a_faint_one_nothing() -> None:
    where = np.full((4, 4), 128, np.uint8)
    where[0] = 3
    mask = open_mask(artifact_of(where), (4, 4))
    assert mask[1, 1] == pytest.approx(128 / 255)
    assert (mask[0] == 0).all()


@pytest.mark.parametrize("size", [(10, 20), (1, 1), (200, 100)])
def test_a_mask_of_another_size_is_refused_by_both_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidValue, match=rf"{size[0]}x{size[1]}.*20x10") as caught:
        open_mask(artifact_of(np.full(size[::-1], 255, np.uint8)), (20, 10))
    assert caught.value.param == "mask"


def test_a_mask_that_marks_nothing_is_refused() -> None:
    for form in (np.zeros((8, 8), np.uint8), np.full((8, 8, 3), 2, np.uint8)):
        with pytest.raises(InvalidValue, match="marks nothing"):
            open_mask(artifact_of(form), (8, 8))
    with pytest.raises(InvalidValue, match="no transparent part"):
        own_mask(photo(8, 8))


def test_a_full_mask_is_taken() -> None:
    assert (open_mask(artifact_of(np.full((8, 8), 255, np.uint8)), (8, 8)) == 1).all()
    assert (own_mask(np.zeros((4, 4, 4), np.uint8)) == 1).all()


def test_nothing_hidden_shows() -> None:
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[..., :3] = (0, 255, 0)
    pixels[:, :2] = (200, 0, 0, 255)
    assert (opaque(pixels) == (200, 0, 0)).all()
    assert (opaque(np.zeros((4, 4, 4), np.uint8)) == 0).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1))
def test_a_resized_mask_loses_no_marked_pixel(high: int, wide: int, rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = (rng.random((high, wide)) < 0.1).astype(np.float32)
    small = resized_mask(mask, (columns, rows))
    assert small.shape == (rows, columns)
    assert small.any() == mask.any()
    for y, x in np.argwhere(mask > 0):
        # Every cell that covers a part of a marked pixel is marked.
        assert small[min(rows - 1, y * rows // high), min(columns - 1, x * columns // wide)] == 1


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_a_mask_comes_back_as_it_was_written(high: int, wide: int, seed: int) -> None:
    touched = np.random.default_rng(seed).random((high, wide)) < 0.5
    touched[0, 0] = True
    assert ((open_mask(Artifact(encode_mask(touched), "image/png"), (wide, high)) > 0) == touched).all()


def test_resizing_keeps_what_has_the_size() -> None:
    pixels = photo(16, 16)
    assert resized(pixels, (16, 16)) is pixels
    assert resized(pixels, (5, 9)).shape == (9, 5, 3)
    with Image.open(io.BytesIO(encode_mask(np.ones((2, 2), bool)))) as written:
        assert written.mode == "L"
