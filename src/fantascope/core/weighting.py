"""Weights of words: pieces of a text that count more or less in what the text encoder says.

Above 1, the states of a piece are moved away from those of the empty text by the factor of its weight. Below 1 they
are moved towards them, and the whole is mixed with what the encoder says when it does not see the piece at all: at 0.5
half and half, at 0 nothing else. It is how the library compel does it (Stewart, compel 2.5, MIT licence), with which a
test holds it equal; A1111's way (scale, then restore the mean) needs states whose mean is far from 0, which those of
BERT are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from fantascope.core.arrays import Array, namespace

NEARLY_NOTHING = 1e-5
"""Weights below this are taken for it where a piece is mixed out."""

Ids = Sequence[int]
Section = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Weighted:
    """A text in sections, each of which begins a new window of tokens; a section is pieces with their weights."""

    sections: tuple[tuple[tuple[str, float], ...], ...]

    @property
    def plain(self) -> str:
        """The words alone."""
        return " ".join("".join(text for text, _ in section) for section in self.sections)


@dataclass(frozen=True)
class Window:
    """Tokens that are read at once, marks of begin and end included.

    Attributes:
        ids: The tokens.
        weights: One for each.
        pieces: The number of the piece that each token is from; -1 for the marks.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    pieces: tuple[int, ...]


Run = Callable[[Sequence[Ids], Sequence[Sequence[bool]]], Array]
"""Runs the encoder on M windows of tokens, not padded, and which of them it may not see: states `(M, T, D)`."""


def cut(sections: Iterable[Sequence[tuple[Ids, float]]], room: int, begin: int, end: int) -> list[Window]:
    """Cut the tokens of sections into windows of at most `room` tokens and the two marks; there is at least one.

    Args:
        sections: Pieces of tokens with their weights.
    """
    windows: list[Window] = []
    piece = 0
    for section in sections:
        row: list[tuple[int, float, int]] = []
        for ids, weight in section:
            row += [(token, weight, piece) for token in ids]
            piece += 1
        for k in range(0, max(len(row), 1), room):
            part = row[k : k + room]
            windows.append(
                Window(
                    (begin, *(token for token, _, _ in part), end),
                    (1.0, *(weight for _, weight, _ in part), 1.0),
                    (-1, *(number for _, _, number in part), -1),
                )
            )
    return windows


def states(windows: Sequence[Window], empty: Array, run: Run) -> Array:
    """Return the token states `(N * T, D)` of N windows, weighed.

    Args:
        windows: See `cut`.
        empty: States `(T, D)` of a window without words.
        run: The encoder.
    """
    light = dict.fromkeys(
        (number, weight)
        for window in windows
        for number, weight in zip(window.pieces, window.weights, strict=True)
        if weight < 1
    )
    rows: list[Ids] = []
    hidden: list[Sequence[bool]] = []
    places: list[int] = []
    for left_out in (None, *light):
        for window in windows:
            unseen = tuple(left_out is not None and number == left_out[0] for number in window.pieces)
            if left_out is None or any(unseen):
                places.append(len(rows))
                rows.append(window.ids)
                hidden.append(unseen)
            else:
                places.append(windows.index(window))
    found = run(rows, hidden)
    count, total = len(windows), 0.0
    mixed: Array = None
    for k, share in enumerate((1.0, *(_share(weight) for _, weight in light))):
        said = found[places[k * count : (k + 1) * count]]
        moved = share * namespace(found).stack(
            [_moved(said[n], empty, window.weights) for n, window in enumerate(windows)]
        )
        mixed, total = moved if mixed is None else mixed + moved, total + share
    return (mixed / total).reshape(-1, found.shape[-1])


def _share(weight: float) -> float:
    """Return how much of what the encoder says without a piece goes into the mixture, against 1 of the whole."""
    return math.tan((1 - max(NEARLY_NOTHING, weight)) * math.pi / 2)


def _moved(said: Array, empty: Array, weights: Sequence[float]) -> Array:
    """Move states `(T, D)` away from the empty text's by weights; padding has 1."""
    if all(weight == 1 for weight in weights):
        return said
    out = said + 0
    for at, weight in enumerate(weights):
        if weight != 1:
            out[at] = empty[at] + weight * (said[at] - empty[at])
    return out
