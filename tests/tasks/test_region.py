"""Where an instruction means: phrases, parts, boxes, free places, and a real look into a painted picture."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fantascope import Artifact, Studio
from fantascope.errors import InvalidValue
from fantascope.request import Edit
from fantascope.tasks.pixels import box_of, open_pixels, resized
from fantascope.tasks.region import locate, main_part, region, swap


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("a pink elephant", "a pink ball"),
        ("two red cats", "two red balls"),
        ("an apple", "an ball"),
        ("the dogs", "the balls"),
        ("a bus", "a ball"),
        ("3 birds", "3 balls"),
        ("glass", "balls"),
    ],
)
def test_another_noun_in_its_place(target: str, said: str) -> None:
    assert swap(target, "ball") == said


def grid(*boxes: tuple[int, int, int, int, float]) -> np.ndarray:
    cells = np.zeros((16, 16), np.float32)
    for left, top, right, bottom, value in boxes:
        cells[top:bottom, left:right] = value
    return cells


def test_a_region_is_its_main_parts() -> None:
    cells = grid((2, 2, 6, 6, 1.0), (10, 10, 14, 14, 0.8), (0, 14, 1, 15, 0.9), (14, 0, 16, 2, 0.2))
    found = region(cells, (128, 128), grow=0)
    assert found[32, 32] == 1
    assert found[96, 96] == 1, "a second part almost as strong"
    assert found[116, 4] == 0, "a speck"
    assert found[8, 120] == 0, "what hardly disagrees"
    assert set(np.unique(found)) <= {0.0, 1.0}
    assert region(cells, (128, 128), grow=1).sum() > found.sum()


def test_nothing_to_be_found_is_an_error_with_a_way_out() -> None:
    with pytest.raises(InvalidValue, match="sees nothing") as caught:
        region(np.zeros((16, 16), np.float32), (128, 128))
    assert "--mask" in str(caught.value)


def test_boxes() -> None:
    marked = np.zeros((10, 20), bool)
    marked[3:7, 5:18] = True
    assert box_of(marked) == (5, 3, 18, 7)


def test_one_of_several_things_is_meant() -> None:
    alpha = np.zeros((256, 256), np.uint8)
    alpha[40:100, 20:100] = 255
    alpha[150:220, 160:220] = 200
    kept = main_part(alpha, grid((9, 9, 14, 14, 1)))
    assert (kept[:128] == 0).all()
    assert (kept[155:215, 165:215] == 200).all()
    assert (main_part(np.zeros((64, 64), np.uint8), grid()) == 0).all()


def test_a_large_snake_takes_no_more_than_moments() -> None:
    alpha = np.zeros((4096, 4096), np.uint8)
    for k in range(0, 4096, 128):
        alpha[k : k + 64] = 255
        alpha[k : k + 128, (-64 if k % 256 else 0) : (None if k % 256 else 64)] = 255
    started = time.process_time()
    assert main_part(alpha, np.ones((16, 16), np.float32)).any()
    assert time.process_time() - started < 12


def test_the_model_shows_where_a_thing_is(painter: Studio, elephant: Artifact) -> None:
    """On a painted picture the region of *a pink elephant* meets the pink pixels."""
    job = painter.resolve(Edit(picture=elephant.id, instruction="remove the elephant", seed=1, engine="graph"))
    pixels = open_pixels(elephant)
    pink = np.linalg.norm(pixels.astype(int) - (252, 130, 184), axis=2) < 90
    with painter.engines.lease(job.spec, job.choice) as engine:
        small = resized(pixels, engine.spec.sizes.working(512, 512))
        cells = locate(engine, job.request, small, job.request.before, "a pink elephant")  # type: ignore[arg-type]
        again = locate(engine, job.request, small, job.request.before, "a pink elephant")  # type: ignore[arg-type]
    assert (cells == again).all()
    assert cells.shape == (16, 16)
    assert 0.99 < cells.max() <= 1
    found = region(cells, (512, 512)) > 0
    assert (found & pink).sum() / (found | pink).sum() > 0.35
    assert (found & pink).sum() / pink.sum() > 0.7
