"""A closer look: a thing cut out of a picture, at another size, for a net to look at again.

A small net knows a thing best at the sizes that it saw most. Cut out and shown again at two of them, once mirrored, a
thing is recognised more often than at first sight, above all where its colour says nothing of its kind.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]

SIZES = ((52, False), (68, True))
"""Longer side in px of a thing in each further look, of 128, and whether that look is mirrored."""

SMALLEST = 8.0
"""Px that a thing's longer side counts for at least."""


def cuts(picture: Pixels, box: Box) -> list[Pixels]:
    """The further looks at a thing: (N, N, 3) each, the thing in the middle.

    Args:
        picture: (N, N, 3).
        box: Left, top, right and bottom in px.
    """
    side = picture.shape[0]
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    long = max(box[2] - box[0], box[3] - box[1], SMALLEST)
    out = []
    for size, mirrored in SIZES:
        half = long * side / size / 2
        seen = window(picture, (across - half, down - half, across + half, down + half), side)
        out.append(seen[:, ::-1] if mirrored else seen)
    return out


def window(picture: Pixels, box: Box, side: int) -> Pixels:
    """What a box shows, as (side, side, 3): smoothed where it shrinks, the border repeated outside of the picture."""
    high, wide = picture.shape[:2]
    rows, columns = _taps(box[1], box[3], high, side), _taps(box[0], box[2], wide, side)
    small = np.tensordot(rows, picture.astype(np.float32), (1, 0))
    out = np.tensordot(columns, small, (1, 1)).swapaxes(0, 1)
    return np.asarray(np.clip(out + 0.5, 0, 255), np.uint8)


def _taps(low: float, high: float, count: int, side: int) -> Floats:
    """How much each of `count` px says to each of `side` px between two places; rows sum to 1."""
    wide = (high - low) / side
    middles = low + (np.arange(side) + 0.5) * wide
    reach = max(wide, 1.0)
    pad = int(max(0.0, -low, high - count) + reach) + 1
    places = np.arange(-pad, count + pad)
    weights = np.maximum(0, 1 - np.abs(places + 0.5 - middles[:, None]) / reach)
    inside = weights[:, pad:-pad].copy()
    inside[:, 0] += weights[:, :pad].sum(1)
    inside[:, -1] += weights[:, -pad:].sum(1)
    return np.asarray(inside / inside.sum(1, keepdims=True), np.float32)
