"""Composites: outside a region nothing changes, whatever the mask; inside, no seam shows and nothing hidden does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.drawn import box_mask, ground, photo

from fantascope.tasks.composite import BAND, composite, soft, spread, tone


@given(
    st.integers(1, 33),
    st.integers(1, 33),
    st.sampled_from([3, 4]),
    st.integers(0, 256),
    st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_outside_every_byte_stays(high: int, wide: int, channels: int, feather: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parent = rng.integers(0, 256, (high, wide, channels)).astype(np.uint8)
    painted = rng.integers(0, 256, (high, wide, 3)).astype(np.uint8)
    mask = (rng.random((high, wide)) * (rng.random((high, wide)) < share)).astype(np.float32)
    before = parent.copy()
    out = composite(parent, painted, mask, feather)
    assert out.shape == parent.shape
    assert out.dtype == np.uint8
    assert (out[mask == 0] == parent[mask == 0]).all()
    assert (parent == before).all(), "the parent is not written to"
    if channels == 4:
        assert (out[mask > 0][:, 3] == 255).all(), "what is painted is opaque"


def test_all_of_it_and_nothing_of_it() -> None:
    parent, painted = photo(40, 30), photo(40, 30, seed=2)
    assert (composite(parent, painted, np.ones((30, 40), np.float32), 8) == painted).all()
    assert (composite(parent, painted, np.zeros((30, 40), np.float32), 8) == parent).all()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_a_soft_edge_lies_inside_and_rises(high: int, wide: int, feather: int, seed: int) -> None:
    touched = np.random.default_rng(seed).random((high, wide)) < 0.7
    edge = soft(touched, feather)
    assert edge.min() >= 0
    assert edge.max() <= 1
    assert (edge[~touched] == 0).all()
    assert (edge[touched] > 0).all()


def test_the_border_of_the_picture_is_no_border_of_the_region() -> None:
    touched = np.zeros((20, 40), bool)
    touched[:, 20:] = True
    edge = soft(touched, 6)
    assert (np.diff(edge[10]) >= 0).all()
    assert edge[10, 20] == pytest.approx(1 / 6)
    assert (edge[:, 26:] == 1).all()


def test_a_difference_in_tone_is_taken_off() -> None:
    """What was painted a little darker all over meets the picture without a step."""
    parent = ground("gradient", 96)
    painted = np.clip(parent.astype(int) - 20, 0, 255).astype(np.uint8)
    mask = box_mask((96, 96), (24, 24, 72, 72)).astype(np.float32) / 255
    out = composite(parent, painted, mask, 0)
    assert np.abs(out.astype(int) - parent).max() <= 2


def test_another_thing_keeps_its_colour() -> None:
    parent = np.full((64, 64, 3), 220, np.uint8)
    painted = np.full((64, 64, 3), (200, 20, 20), np.uint8)
    mask = box_mask((64, 64), (16, 16, 48, 48)).astype(np.float32) / 255
    assert (composite(parent, painted, mask, 0)[32, 32] == (200, 20, 20)).all()


def test_hidden_colours_say_nothing_of_the_tone() -> None:
    """Colours under full transparency beside the region neither show nor tint what is painted."""
    parent = np.full((64, 64, 4), 255, np.uint8)
    parent[..., :3] = 130  # what nobody sees, 30 levels off
    parent[..., 3] = 0
    painted = np.full((64, 64, 3), 100, np.uint8)
    mask = box_mask((64, 64), (16, 16, 48, 48)).astype(np.float32) / 255
    out = composite(parent, painted, mask, 8)
    assert (out[16:48, 16:48] == (100, 100, 100, 255)).all()
    assert (out[..., 3][mask == 0] == 0).all()


def test_tone_of_a_lone_region_is_zero() -> None:
    nothing = np.zeros((32, 32), bool)
    nothing[8:24, 8:24] = True
    far = np.full((32, 32, 3), 200, np.float32)
    assert (tone(far, nothing, np.ones_like(nothing)) == 0).all(), "a difference so large is another thing"
    near = np.full((32, 32, 3), 10, np.float32)
    assert np.abs(tone(near, nothing, np.ones_like(nothing)) - 10).max() < 1e-3
    assert (tone(near, nothing, np.zeros_like(nothing)) == 0).all()
    assert BAND > 0


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_spreading_keeps_what_is_known_and_invents_no_colour(high: int, wide: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (high, wide, 3)).astype(np.uint8)
    hidden = rng.random((high, wide)) < 0.8
    out = spread(pixels, hidden)
    assert (out[~hidden] == pixels[~hidden]).all()
    if not hidden.all():
        known = pixels[~hidden]
        assert (out >= np.maximum(known.min(0).astype(int) - 1, 0)).all()
        assert (out <= np.minimum(known.max(0).astype(int) + 1, 255)).all()
    else:
        assert (out == pixels).all()


def test_spreading_goes_on_with_a_wash() -> None:
    wash = ground("gradient", 128)
    hidden = box_mask((128, 128), (40, 40, 88, 88)) > 0
    out = spread(wash, hidden).astype(int)
    assert np.abs(out - wash)[hidden].mean() < 5
    assert np.abs(np.diff(out[64], axis=0)).max() <= 6, "no step at the border"
