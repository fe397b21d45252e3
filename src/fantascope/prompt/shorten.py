"""Which words of a prompt matter to the model, measured: what its prediction loses when a word is left out.

A word's weight is how far the prediction moves without it, in units of how far it moves without the whole prompt. The
words that weigh least are left out as long as all of them together move it little: that is measured too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.errors import InvalidValue

Predict = Callable[[Sequence[str]], npt.NDArray[Any]]
"""What the model predicts for texts: `(N, D)`, all noise levels and seeds in a row."""

TOLERANCE = 0.1
"""How far the prediction may move in all, as a share of what the whole prompt does."""

MOST = 120
"""Words of a prompt that is weighed."""

_WORD = re.compile(r"[^\s,;]+")


@dataclass(frozen=True)
class Weighed:
    """A word and its place in the prompt; `weight` 0 is a word that changes nothing, 1 one that is as good as all."""

    text: str
    start: int
    end: int
    weight: float
    kept: bool


@dataclass(frozen=True)
class Shortened:
    """A prompt, its words weighed, what is left of it, and how far that moves the prediction (share of the whole)."""

    said: str
    prompt: str
    words: tuple[Weighed, ...]
    change: float


def shorten(prompt: str, predict: Predict, tolerance: float = TOLERANCE) -> Shortened:
    """Weigh the words of a prompt and leave out those that hardly matter.

    Args:
        prompt: At most `MOST` words.
        predict: Asks the model; the same texts must give the same numbers.
        tolerance: 0 keeps every word that changes anything, 1 keeps one word.

    Raises:
        InvalidValue: there is nothing to shorten, too much, or the tolerance is out of range.
    """
    spans = [match.span() for match in _WORD.finditer(prompt)]
    if not 0 < len(spans) <= MOST:
        raise InvalidValue(f"A prompt to shorten has 1 to {MOST} words, not {len(spans)}.", param="prompt")
    if not 0 <= tolerance <= 1:
        raise InvalidValue(f"The tolerance is from 0 to 1, not {tolerance:g}.", param="tolerance")
    every = range(len(spans))
    texts = [prompt, "", *(without(prompt, [spans[k]]) for k in every)]
    rows = np.asarray(predict(texts), np.float64)
    whole = max(float(np.linalg.norm(rows[1] - rows[0])), 1e-12)
    weights = [float(np.linalg.norm(row - rows[0])) / whole for row in rows[2:]]
    order = sorted(every, key=lambda k: (weights[k], k))
    tries = [without(prompt, [spans[k] for k in order[: count + 1]]) for count in range(len(order) - 1)]
    moved = (
        [float(np.linalg.norm(row - rows[0])) / whole for row in np.asarray(predict(tries), np.float64)]
        if tries
        else []
    )
    fits = [count + 1 for count, change in enumerate(moved) if change <= tolerance]
    dropped = set(order[: max(fits, default=0)])
    words = tuple(Weighed(prompt[a:b], a, b, weights[k], k not in dropped) for k, (a, b) in enumerate(spans))
    if not dropped:
        return Shortened(prompt, prompt, words, 0.0)
    return Shortened(prompt, tries[len(dropped) - 1], words, moved[len(dropped) - 1])


def without(prompt: str, spans: Sequence[tuple[int, int]]) -> str:
    """Return a prompt without some stretches, and without the blanks and commas that they leave behind.

    Example:
        >>> without("a red cat, sharp, 4k", [(2, 5), (11, 16)])
        'a cat, 4k'
    """
    text, at = "", 0
    for start, end in sorted(spans):
        text, at = text + prompt[at:start], end
    text = re.sub(r"\s+", " ", text + prompt[at:])
    text = re.sub(r"(?: ?[,;])+(?= ?[,;])", "", text)
    return re.sub(r"\s+([,;])", r"\1", text).strip(" ,;")
