"""Straight lines, white on black, one px wide."""

from __future__ import annotations

import numpy as np

from fantascope.annotate.edges import Values
from fantascope.annotate.networks import MLSD, Tools, open_network
from fantascope.annotate.pixels import Pixels, Plane, as_map, grey, opencv, resized
from fantascope.errors import BrokenModelFile

SIDE = 512
"""What MLSD looks at, px."""


def hough(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Straight lines, 0 or 255, without weights.

    `method` lsd: von Gioi et al., "LSD: a line segment detector" (2012). probabilistic: Matas et al., "Robust detection
    of lines using the progressive probabilistic Hough transform" (2000), on Canny's edges.
    """
    cv2 = opencv()
    if values["method"] == "lsd":
        found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey(picture))[0]
    else:
        edges = cv2.Canny(picture, 100, 200)
        found = cv2.HoughLinesP(edges, 1, np.pi / 180, 40, minLineLength=values["length"], maxLineGap=4)
    lines = np.zeros((0, 4)) if found is None else np.asarray(found, np.float64).reshape(-1, 4)
    lengths = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
    return draw(lines[lengths >= values["length"]], picture.shape[0], picture.shape[1])


def mlsd(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Straight lines by the network, 0 or 255. Source: Gu et al., "Towards light-weight and real-time line segment
    detection" (2022); `value` is the least score of a line, `distance` its least length in the network's 256 px.

    Raises:
        ModelNotFound: The file is not there; the message says which and how to get it.
        BrokenModelFile: It is another file.
    """
    height, width = picture.shape[:2]
    seen = resized(picture, (SIDE, SIDE), "area").astype(np.float32)
    outputs = open_network(MLSD, tools)(np.concatenate([seen, np.ones((SIDE, SIDE, 1), np.float32)], 2)[None])
    if [output.shape[-1] for output in outputs] != [2, 200, 4]:
        raise BrokenModelFile(f"{MLSD.name} has other outputs than M-LSD's centres, scores and displacements.")
    lines = segments(outputs[0][0], outputs[1][0], outputs[2][0], values["value"], values["distance"])
    return draw(lines * 2 / SIDE * np.array([width, height, width, height]), height, width)


def segments(centres: Plane, scores: Plane, moves: Plane, value: float, distance: float) -> Plane:
    """Decode M-LSD's outputs to lines (N, 4): x, y, x, y in px of 256.

    Args:
        centres: (K, 2) int, y and x of the middle of each line.
        scores: (K,), 0 … 1.
        moves: (256, 256, 4), where both ends are from the middle: dx, dy, dx, dy.
    """
    y, x = centres[:, 0], centres[:, 1]
    ends = moves[y, x]
    far = np.hypot(ends[:, 0] - ends[:, 2], ends[:, 1] - ends[:, 3])
    kept = (scores > value) & (far > distance)
    return np.asarray((np.stack([x, y, x, y], 1) + ends)[kept], np.float64)


def draw(lines: Plane, height: int, width: int) -> Pixels:
    """Draw lines (N, 4), x, y, x, y in px, white on black."""
    canvas = np.zeros((height, width), np.uint8)
    for ends in np.rint(lines).astype(int):
        opencv().line(canvas, tuple(map(int, ends[:2])), tuple(map(int, ends[2:])), 255, 1)
    return as_map(canvas)
