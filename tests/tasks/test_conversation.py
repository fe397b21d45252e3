"""The conversation of the slides, on the embedded checkpoint: every turn is scored by the evaluation's detector."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from tests.homes import lend

from fantascope import Artifact, Edit, Imagine, Settings, Studio
from fantascope.engines.detector import Detector
from fantascope.tasks.pixels import opaque, open_mask, open_pixels

FIRST = "an astronaut walking through a galaxy of sunflowers"
TURNS = ("change the astronaut to a cat", "change the sunflowers to roses", "add a moon in the background")


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, Any]]:
    """Return every picture of the conversation with the mask of what was touched, `(H, W)` bool; the first has none."""
    made: list[tuple[Any, Any]] = []
    with Studio(Settings(home=lend(tmp_path_factory.mktemp("conversation")))) as studio:
        request: Any = Imagine(prompt=FIRST, seed=3)
        for words in (*TURNS, ""):
            (artifact,) = (event for event in studio.run(request) if isinstance(event, Artifact))
            pixels = opaque(open_pixels(artifact))
            kept = artifact.receipt.kept if artifact.receipt is not None else None
            size = pixels.shape[1], pixels.shape[0]
            made.append((pixels, open_mask(studio.gallery.get(kept.mask), size) > 0 if kept is not None else None))
            if words:
                request = Edit(picture=artifact.id, instruction=words, seed=3)
    return made


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(Settings(home=lend(tmp_path_factory.mktemp("detector"))))


def chance(detector: Detector, pixels: Any, region: Any, kind: str, other: str) -> float:
    """Return how likely the things in a region are of one kind rather than of another, 0 … 1, by their score."""
    total = weight = 0.0
    high, wide = region.shape
    for found in detector.look([pixels], among=[kind, other])[0]:
        x, y = (found.box[0] + found.box[2]) / 256, (found.box[1] + found.box[3]) / 256
        if region[min(high - 1, int(y * high)), min(wide - 1, int(x * wide))]:
            total, weight = total + found.score * dict(found.kinds)[kind], weight + found.score
    return total / weight if weight else 0.0


def test_what_was_not_asked_for_stays(conversation: list[tuple[Any, Any]]) -> None:
    for (before, _), (after, touched) in pairwise(conversation):
        assert touched is not None and touched.mean() < 0.9
        assert (before[~touched] == after[~touched]).all()
        assert (before[touched] != after[touched]).any(1).mean() > 0.3


@pytest.mark.parametrize(("turn", "new", "old"), [(1, "cat", "astronaut"), (2, "rose", "sunflower")])
def test_the_new_thing_is_there_and_the_old_one_is_gone(
    conversation: list[tuple[Any, Any]], detector: Detector, turn: int, new: str, old: str
) -> None:
    (before, _), (after, touched) = conversation[turn - 1], conversation[turn]
    assert chance(detector, before, touched, old, new) > 0.5
    assert chance(detector, after, touched, new, old) > 0.5


def test_the_moon_is_in_the_upper_half(conversation: list[tuple[Any, Any]], detector: Detector) -> None:
    after, touched = conversation[3]
    assert np.flatnonzero(touched.any(1)).mean() < touched.shape[0] / 2
    assert chance(detector, after, touched, "moon", "rose") > 0.5


def test_masks_are_files_that_say_where(conversation: list[tuple[Any, Any]]) -> None:
    assert [mask is None for _, mask in conversation] == [True, False, False, False]
