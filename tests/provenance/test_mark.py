"""The invisible mark: read again after what happens to pictures, invisible, never read where it is not."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.provenance.conftest import flat_art, texture

from fantascope.errors import InvalidValue
from fantascope.provenance import code, mark

ID = "0123456789abcdef"


def encoded(pixels: np.ndarray, form: str, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def cropped(pixels: np.ndarray, top: int = 19, left: int = 31) -> np.ndarray:
    height, width = pixels.shape[:2]
    return pixels[top : top + height * 9 // 10, left : left + width * 9 // 10]


ATTACKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda p: p,
    "jpeg 75": lambda p: encoded(p, "JPEG", 75),
    "jpeg 50": lambda p: encoded(p, "JPEG", 50),
    "webp 90": lambda p: encoded(p, "WEBP", 90),
    "half and back": lambda p: resized(resized(p, 0.5), 2),
    "half": lambda p: resized(p, 0.5),
    "three quarters": lambda p: resized(p, 0.75),
    "crop": cropped,
    "crop, jpeg 75": lambda p: encoded(cropped(p), "JPEG", 75),
}
PICTURES = {
    "shapes on white": flat_art(1),
    "shapes on blue": flat_art(2, ground=(40, 90, 200)),
    "texture": texture(3),
}
MARKED = {name: mark.embed(pixels, ID) for name, pixels in PICTURES.items()}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_mark_survives(picture: str, attack: str) -> None:
    found = mark.read(ATTACKS[attack](MARKED[picture]))
    assert found.payload == ID
    assert 0.3 < found.confidence <= 1


@pytest.mark.parametrize("picture", PICTURES)
def test_the_mark_is_faint(picture: str) -> None:
    before, after = PICTURES[picture], MARKED[picture]
    assert psnr(before, after) >= 40
    assert np.abs(before.astype(int) - after).max() <= 8


def test_white_stays_white_enough() -> None:
    white = np.full((256, 256, 3), 255, np.uint8)
    marked = mark.embed(white, ID)
    assert marked.min() >= 251
    assert marked.mean() > 253
    assert mark.read(marked).payload == ID


def test_the_scale_is_told() -> None:
    assert mark.read(MARKED["shapes on white"]).how == "at its own size"
    assert mark.read(resized(MARKED["shapes on white"], 0.5)).how == "at 0.50 of its first size"


@pytest.mark.parametrize("top, left", [(0, 1), (7, 8), (60, 61), (51, 3)])
def test_any_crop_offset_is_found(top: int, left: int) -> None:
    assert mark.read(cropped(MARKED["shapes on blue"], top, left)).payload == ID


def test_nothing_is_read_where_nothing_is() -> None:
    plain = [flat_art(seed, 256) for seed in range(20, 28)] + [texture(seed, 256) for seed in range(4)]
    plain += [np.full((200, 300, 3), level, np.uint8) for level in (0, 128, 255)]
    assert [mark.read(pixels).payload for pixels in plain] == [None] * len(plain)


def test_another_pattern_is_not_read() -> None:
    rng = np.random.default_rng(5)
    tile = rng.normal(0, 3, (mark.PERIOD, mark.PERIOD))
    pixels = np.clip(np.tile(tile, (8, 8)) + 128, 0, 255).astype(np.uint8)
    assert mark.read(np.repeat(pixels[..., None], 3, -1)).payload is None


def test_alpha_is_kept_and_the_input_is_left_alone() -> None:
    rgba = np.dstack([flat_art(3, 256), np.arange(256, dtype=np.uint8)[None].repeat(256, 0)])
    before = rgba.copy()
    marked = mark.embed(rgba, ID)
    assert (rgba == before).all()
    assert (marked[..., 3] == rgba[..., 3]).all()
    assert (marked[..., :3] != rgba[..., :3]).any()
    assert mark.read(marked).payload == ID


@pytest.mark.parametrize("shape", [(128, 128), (129, 300), (512, 131), (300, 1700)])
def test_any_size_from_the_smallest_on(shape: tuple[int, int]) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    pixels = np.stack([x % 256 // 2 + 40, y % 256 // 2 + 40, (x + y) % 256 // 2 + 60], -1).astype(np.uint8)
    marked = mark.embed(pixels, ID)
    assert marked.shape == pixels.shape
    assert mark.read(marked).payload == ID


def test_a_small_picture_is_refused() -> None:
    small = np.zeros((mark.MIN_SIDE - 1, 500, 3), np.uint8)
    assert not mark.can_mark(small)
    with pytest.raises(InvalidValue, match="too small"):
        mark.embed(small, ID)
    assert mark.read(small[:10, :10]).payload is None


@pytest.mark.parametrize("payload", ["", "0123", "g" * 16, ID + "00", "01 23456789abcde"])
def test_a_payload_is_sixteen_hex_digits(payload: str) -> None:
    with pytest.raises(InvalidValue, match="16 hex digits"):
        mark.embed(PICTURES["texture"], payload)


def test_other_threads_and_processes_give_the_same_bytes() -> None:
    script = (
        "import hashlib; from fantascope.provenance import mark; from tests.provenance.conftest import texture;"
        f"print(hashlib.sha256(mark.embed(texture(3), {ID!r}).tobytes()).hexdigest())"
    )
    hashes = set()
    for threads in ("1", "2"):
        env = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PATH": ""}
        run = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
        hashes.add(run.stdout)
    assert len(hashes) == 1


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=8, max_size=8), st.integers(0, 2**32 - 1))
def test_the_code_corrects_a_tenth_of_the_signs(payload: bytes, seed: int) -> None:
    signs = code.encode(payload)
    assert signs.shape == (code.SYMBOLS,)
    rng = np.random.default_rng(seed)
    noisy = signs + rng.normal(0, 0.55, signs.shape).astype(np.float32)
    assert code.decode(noisy[None]) == [payload]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_code_refuses_noise(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(4, code.SYMBOLS)).astype(np.float32)
    assert code.decode(noise) == [None] * 4
