"""Cutting things out of pictures, and reading their colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fantascope.core.colour import COLOURS
from fantascope.engines.closer import SIZES, cuts, window
from fantascope.engines.detector import DETECTOR, DYES
from fantascope.engines.dyes import SIZE, Dyes, described
from fantascope.errors import BrokenModelFile

BOX = (40.0, 50.0, 80.0, 90.0)


@pytest.fixture(scope="module")
def dyes() -> Dyes:
    return Dyes.load(DETECTOR / DYES)


def disc(colour: tuple[int, int, int], ground: tuple[int, int, int]) -> np.ndarray:
    """A disc with a lighter and a darker part, in `BOX`."""
    picture = Image.new("RGB", (128, 128), ground)
    draw = ImageDraw.Draw(picture)
    draw.ellipse(BOX, fill=colour)
    draw.ellipse((48, 56, 56, 64), fill=tuple((value + 255) // 2 for value in colour))
    draw.ellipse((60, 76, 70, 84), fill=tuple(value * 2 // 3 for value in colour))
    return np.asarray(picture)


def test_a_window_is_what_pillow_cuts() -> None:
    rng = np.random.default_rng(0)
    picture = np.asarray(Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)))
    assert np.array_equal(window(picture, (0, 0, 128, 128), 128), picture)
    half = np.asarray(Image.fromarray(picture).resize((64, 64), Image.Resampling.BILINEAR), int)
    assert np.abs(window(picture, (0, 0, 128, 128), 64) - half)[2:-2, 2:-2].max() <= 1
    part = np.asarray(Image.fromarray(picture[32:96, 16:80]).resize((128, 128), Image.Resampling.BILINEAR), int)
    assert np.abs(window(picture, (16, 32, 80, 96), 128) - part)[4:-4, 4:-4].max() <= 1


def test_outside_of_a_picture_its_border_is_repeated() -> None:
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[:, -1], picture[0] = 200, 90
    seen = window(picture, (64, -64, 192, 64), 128)
    assert (seen[80:, 80:] == 200).all() and (seen[:60, :50] == 90).all() and seen.shape == (128, 128, 3)
    assert window(picture, (300, 300, 310, 310), 32).min() == 200, "far outside, too"


def test_further_looks_have_the_thing_in_their_middle() -> None:
    looks = cuts(disc((220, 38, 38), (255, 255, 255)), BOX)
    for look, (size, mirrored) in zip(looks, SIZES, strict=True):
        red = np.argwhere((look[..., 0] > 150) & (look[..., 1] < 120))
        low, high = red.min(0), red.max(0) + 1
        assert np.abs((low + high) / 2 - 64).max() <= 2 and np.abs(high - low - size).max() <= 4
        light = np.argwhere((np.abs(look.astype(int) - (237, 146, 146)) < 12).all(-1)).mean(0)
        assert (light[1] > 64) is np.bool_(mirrored), "the light part is on the left, or mirrored"


@pytest.mark.parametrize("ground", [(255, 255, 255), (48, 100, 225), (250, 212, 40)])
def test_colours_are_read_on_any_ground(dyes: Dyes, ground: tuple[int, int, int]) -> None:
    for name, colour in COLOURS.items():
        if np.abs(np.array(colour) - ground).max() < 20:
            continue  # nothing to see
        said = dyes.read(disc(colour, ground), BOX)
        assert list(COLOURS)[int(said.argmax())] == name, (name, ground)
        assert np.exp(said).sum() == pytest.approx(1, abs=1e-4)


def test_a_description_has_its_size_and_no_surprises() -> None:
    rows = described(disc((60, 170, 70), (255, 255, 255)), BOX)
    assert rows.shape == (SIZE,) and rows.dtype == np.float32 and np.isfinite(rows).all()
    assert np.isfinite(described(np.zeros((128, 128, 3), np.uint8), (0, 0, 0.5, 128))).all()


def test_other_matrices_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    names = ("first.weight", "first.bias", "second.weight", "second.bias")
    shapes = ((64, SIZE - 1), (64,), (12, 64), (12,))
    save_file({name: np.zeros(shape, np.float32) for name, shape in zip(names, shapes, strict=True)}, tmp_path / "dyes")
    with pytest.raises(BrokenModelFile, match="matrices"):
        Dyes.load(tmp_path / "dyes")
