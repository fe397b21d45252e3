"""Which named colour a thing has, read from its pixels.

The detector's net sees colour in cells of eight pixels, and the ground behind a thin thing leaks into them. Here the
thing is cut out, what is like the ground around it counts less, and what is left is described in OKLab: how it spreads
over the named colours, and the middle and the spread of its lightness and chroma. Two small matrices, learned from
drawings that no generator saw, say from that which colour it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fantascope.core.colour import COLOURS, oklab
from fantascope.engines.closer import Box, Pixels, window
from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile

Floats = npt.NDArray[np.float32]
Seen = tuple[Pixels, Sequence[tuple[str, Box]]]
"""A picture (128, 128, 3), and the colour and the box of each thing in it."""

SIDE = 32
"""Side of the cut in px."""

MARGIN = 0.2
"""Share of the box that is shown around it, on each side."""

UNLIKE = 0.05
"""Distance in OKLab from the ground beyond which a pixel is the thing's."""

NEAR = 0.07
"""Distance in OKLab over which a pixel belongs to one named colour or another."""

LEAST = 1e-3
"""What a pixel like the ground still counts: some things are all like it."""

ASTRAY = 0.05
"""How far the borders of boxes are moved in a lesson, of a box's side."""

TENTHS, QUARTERS = (0.1, 0.25, 0.5, 0.75, 0.9), (0.25, 0.5, 0.75, 0.9)
SIZE = 87
"""Numbers that describe a thing's colours."""

_AT = (np.arange(SIDE) + 0.5) / SIDE * (1 + 2 * MARGIN) - MARGIN
_WITHIN = (_AT > 0) & (_AT < 1)
_INSIDE = _WITHIN[:, None] & _WITHIN
_AROUND = np.flatnonzero(~_INSIDE.ravel())[::4]
_CENTRAL = np.exp(-(((2 * _AT - 1) ** 2)[:, None] + (2 * _AT - 1) ** 2) / 0.6)[_INSIDE].astype(np.float32)
_NAMED = oklab(np.array(list(COLOURS.values()), np.float32) / 255)


def described(picture: Pixels, box: Box) -> Floats:
    """Describe the colours of the thing in a box of a picture (H, W, 3): `SIZE` numbers."""
    across, down = (MARGIN * (box[k + 2] - box[k]) for k in (0, 1))
    cut = window(picture, (box[0] - across, box[1] - down, box[2] + across, box[3] + down), SIDE)
    seen = oklab(cut.astype(np.float32) / 255)
    thing, ground = seen[_INSIDE], seen.reshape(-1, 3)[_AROUND]
    far = np.sort(((thing[:, None] - ground) ** 2).sum(-1), axis=1)[:, :4].mean(1)
    solid = 1 - np.exp(-far / (2 * UNLIKE**2))
    votes = _votes(thing)
    weights = [solid + LEAST, (solid + LEAST) * _CENTRAL]
    parts = [np.average(votes, 0, weight) for weight in weights]
    parts += [_votes(ground).mean(0), solid[None].mean(1)]
    parts += [np.average(thing, 0, weight) for weight in weights]
    parts += [ground.mean(0), ground.std(0)]
    chroma = np.hypot(thing[:, 1], thing[:, 2])
    for weight in weights:
        parts += [_quantiles(thing[:, axis], weight, TENTHS) for axis in range(3)]
        parts.append(_quantiles(chroma, weight, QUARTERS))
    return np.concatenate(parts).astype(np.float32)


def _votes(pixels: Floats) -> Floats:
    """How much of each pixel (N, 3) belongs to each named colour: (N, 12), rows summing to 1."""
    near = -((pixels[:, None] - _NAMED) ** 2).sum(-1) / (2 * NEAR**2)
    share = np.exp(near - near.max(1, keepdims=True))
    return np.asarray(share / share.sum(1, keepdims=True), np.float32)


def _quantiles(values: Floats, weights: Floats, shares: tuple[float, ...]) -> Floats:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return np.asarray(values[order][np.minimum(np.searchsorted(reached, shares), len(values) - 1)], np.float32)


def lessons(pictures: Iterable[Seen], seed: int = 0) -> tuple[Floats, list[int]]:
    """What a reader learns from: descriptions (N, 87), and the place of each thing's colour in `COLOURS`.

    Args:
        pictures: Each with the colour and the box of every thing in it; colours without a name are left out.
        seed: Draws how far boxes are astray, as those of the net are.
    """
    rng, names = np.random.default_rng([seed, 83]), list(COLOURS)
    rows, colours = [], []
    for picture, things in pictures:
        for colour, box in things:
            if colour in COLOURS:
                rows.append(described(picture, _astray(rng, box)))
                colours.append(names.index(colour))
    return np.array(rows, np.float32).reshape(len(rows), SIZE), colours


def _astray(rng: np.random.Generator, box: Box) -> Box:
    wide, high = box[2] - box[0], box[3] - box[1]
    left, top, right, bottom = np.array(box) + ASTRAY * rng.normal(size=4) * (wide, high, wide, high)
    return float(left), float(top), float(right), float(bottom)


class Dyes:
    """A loaded reader of colours.

    Args:
        first, bias, second, offset: The matrices (64, 87) and (12, 64) with what is added.
    """

    def __init__(self, first: Floats, bias: Floats, second: Floats, offset: Floats) -> None:
        self._first, self._bias, self._second, self._offset = first, bias, second, offset

    @classmethod
    def load(cls, path: Path) -> Dyes:
        """Read the matrices of a safetensors file.

        Raises:
            BrokenModelFile: It has others.
        """
        file, names = SafeFile.open(path), ("first.weight", "first.bias", "second.weight", "second.bias")
        first, bias, second, offset = (file.read(name).astype(np.float32) for name in names)
        due = [(len(bias), SIZE), (len(COLOURS), len(bias)), (len(COLOURS),)]
        if [first.shape, second.shape, offset.shape] != due:
            raise BrokenModelFile(f"{path} has matrices of {first.shape} and {second.shape}.")
        return cls(first, bias, second, offset)

    def read(self, picture: Pixels, box: Box) -> Floats:
        """The log-probability of each of the named colours, (12,), of the thing in a box of a picture (H, W, 3)."""
        hidden = np.maximum(self._first @ described(picture, box) + self._bias, 0)
        scores = self._second @ hidden + self._offset
        scores = scores - scores.max()
        return np.asarray(scores - np.log(np.exp(scores).sum()), np.float32)
