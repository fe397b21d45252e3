"""Edges, lines and scribbles: on pictures of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from tests.annotate.drawn import need, pen, square

from fantascope.annotate import annotate
from fantascope.annotate.lines import segments
from fantascope.annotate.networks import MLSD
from fantascope.annotate.pixels import back

pytest.importorskip("cv2")
RIM = np.zeros((256, 256), bool)
RIM[60:196, 60:196] = True
RIM[70:186, 70:186] = False
"""Within six px of the bright square's border."""


@pytest.mark.parametrize("kind", ["canny", "hough", "softedge", "xdog", "fake_scribble"])
def test_the_border_of_a_square(kind: str) -> None:
    found = annotate(kind, square())[..., 0]
    assert found[RIM].sum() > 0.9 * found.sum() if kind != "fake_scribble" else 0.5 * found.sum()
    for side in (found[59:70, 100:150], found[186:197, 100:150]):
        assert (side.max(0) > 127).mean() > 0.9, kind
    assert not found[100:150, 100:150].any()


def test_canny_thresholds() -> None:
    faint = np.full((128, 128, 3), 100, np.uint8)
    faint[:, 64:] = 120
    assert not annotate("canny", faint, {"resolution": 128}).any()
    assert annotate("canny", faint, {"low": 5, "high": 20, "resolution": 128}).any()


@pytest.mark.parametrize("method", ["lsd", "probabilistic"])
def test_lines_are_straight_and_long(method: str) -> None:
    found = annotate("hough", pen(), {"method": method, "length": 120, "resolution": 240})[..., 0]
    assert found[:, 170:].any()
    assert not found[60:160, 40:140].any(), "a ring has no long straight line"


@pytest.mark.parametrize(
    ("paper", "ink"),
    [
        ((250, 248, 240), (20, 30, 120)),
        ((255, 255, 255), (200, 0, 0)),
        ((0, 0, 0), (255, 255, 255)),
        ((20, 40, 20), (240, 230, 0)),
    ],
)
def test_polarity_of_a_drawing(paper: tuple[int, int, int], ink: tuple[int, int, int]) -> None:
    picture = pen(paper, ink)
    found = annotate("scribble", picture)[..., 0]
    assert ((found > 0) == (picture != np.array(paper)).any(2)).mean() > 0.995
    other = "light" if sum(paper) > 380 else "dark"
    assert (annotate("scribble", picture, {"strokes": other}) != annotate("scribble", picture)).any()


def test_thin_lines_stay_whole_when_a_map_shrinks() -> None:
    line = np.zeros((512, 512, 3), np.uint8)
    line[:, 255] = 255
    small = back(line, 128, 128, "lines")
    assert (small[:, 63] == 255).all() and small.sum() == 3 * 128 * 255
    assert (back(small, 256, 256, "lines").sum(0) > 0).sum() == 6


def test_lines_of_mlsd_are_decoded() -> None:
    moves = np.zeros((256, 256, 4), np.float32)
    moves[20, 50] = (-10, 0, 10, 0)
    moves[30, 60] = (0, -1, 0, 1)
    centres, scores = np.array([[20, 50], [30, 60], [20, 50]]), np.array([0.9, 0.9, 0.05])
    assert segments(centres, scores, moves, 0.1, 5.0).tolist() == [[40, 20, 60, 20]]
    assert len(segments(centres, scores, moves, 0.1, 0.1)) == 2
    assert len(segments(centres, scores, moves, 0.01, 0.1)) == 3


def test_mlsd() -> None:
    tools = need(MLSD)
    box = np.full((400, 600, 3), 210, np.uint8)
    box[100:300, 150:450] = (60, 70, 120)
    found = annotate("mlsd", box, tools=tools)[..., 0]
    for rows, columns in ((slice(94, 106), slice(180, 420)), (slice(294, 306), slice(180, 420))):
        assert (found[rows, columns].max(0) > 0).mean() > 0.8
    assert not found[130:270, 180:420].any()
    assert not annotate("mlsd", box, {"value": 2}, tools).any()
