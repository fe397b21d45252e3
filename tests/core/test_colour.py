"""Colours by name, and dyeing what leads in a thing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.core.colour import COLOURS, dyed, leading, nearest_colour

RED, GREEN, GRAY = (220, 40, 40), (60, 170, 70), (150, 150, 150)


def flower(petals: tuple[int, int, int], stem: tuple[int, int, int], share: float) -> tuple[np.ndarray, np.ndarray]:
    """A square whose upper part has one colour, and the rest another; a border is not part of it."""
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[4:36, 4:36] = stem
    pixels[4 : 4 + round(32 * share), 4:36] = petals
    solid = np.zeros((40, 40), bool)
    solid[4:36, 4:36] = True
    return pixels, solid


def test_petals_lead_and_the_stem_stays() -> None:
    pixels, solid = flower(RED, GREEN, 0.75)
    lead = leading(pixels, solid)
    assert lead.shape == (40, 40) and lead.dtype == np.float32
    assert (lead[5:20, 5:35] == 1).all() and (lead[30:35, 5:35] == 0).all()


def test_a_thing_without_a_hue_leads_everywhere() -> None:
    pixels, solid = flower((240, 240, 240), (30, 30, 30), 0.5)
    assert (leading(pixels, solid) == 1).all()
    pixels, solid = flower(RED, GRAY, 0.2)
    assert (leading(pixels, solid) == 1).all(), "a red trace does not lead"
    assert (leading(pixels, np.zeros((40, 40), bool)) == 1).all()


def test_shades_of_one_hue_lead_together() -> None:
    pixels, solid = flower((230, 60, 60), (140, 20, 20), 0.5)
    assert (leading(pixels, solid)[solid] > 0.9).all()


@given(st.sampled_from(sorted(COLOURS)), st.tuples(*[st.integers(0, 255)] * 3), st.floats(0.05, 0.95))
def test_any_thing_gives_shares(name: str, stem: tuple[int, int, int], share: float) -> None:
    lead = leading(*flower(COLOURS[name], stem, share))
    assert np.isfinite(lead).all() and lead.min() >= 0 and lead.max() <= 1


@pytest.mark.parametrize("name", sorted(COLOURS))
def test_what_is_dyed_has_the_colours_name(name: str) -> None:
    pixels, solid = flower(RED, RED, 0.5)
    assert nearest_colour(np.median(dyed(pixels, solid, COLOURS[name])[solid], axis=0)) == name
