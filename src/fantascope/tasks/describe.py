"""A prompt from a picture: what the detector finds in it, in which colours, and what is behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from fantascope.errors import InvalidValue
from fantascope.prompt.grammar import plural
from fantascope.tasks.pixels import Pixels, opaque

SURE = 0.4
"""Score from which a find is named."""

NUMBERS = ("", "a", "two", "three", "four", "five", "six")

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "red": (220, 38, 38),
    "orange": (249, 140, 30),
    "yellow": (250, 212, 40),
    "green": (60, 170, 70),
    "teal": (38, 166, 166),
    "blue": (48, 100, 225),
    "purple": (140, 66, 190),
    "pink": (252, 130, 184),
    "brown": (128, 82, 48),
    "black": (40, 40, 46),
    "white": (244, 244, 246),
    "gray": (140, 144, 150),
}


def describe(pixels: Pixels, detector: Any) -> str:
    """Return a prompt for a picture `(H, W, 3 or 4)`: the things found, left to right, and the colour behind.

    Args:
        detector: An `engines.detector.Detector`.

    Raises:
        InvalidValue: nothing in it is known.
    """
    flat = opaque(pixels)
    found = [one for one in detector.look([flat])[0] if one.score >= SURE]
    if not found:
        raise InvalidValue(
            "What this picture shows is not known, so words cannot be matched with it.",
            param="before",
            hint="Say what it shows: --before 'a cat and a dog on the grass'.",
        )
    found.sort(key=lambda one: one.box[0])
    counts: dict[str, int] = {}
    for one in found:
        name = one.kind.replace("-", " ")
        if one.colours.get("own", 0) < 0.5:
            name = f"{one.colour} {name}"
        counts[name] = counts.get(name, 0) + 1
    said = [_counted(name, count) for name, count in counts.items()]
    things = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return f"{things} on {_article(background(flat) + ' background')}"


def background(pixels: Pixels) -> str:
    """Return the name of the colour nearest to the middle of what the border shows."""
    small = np.asarray(Image.fromarray(pixels).resize((64, 64), Image.Resampling.BOX), np.float32)
    sides = [
        small[:3].reshape(-1, 3),
        small[-3:].reshape(-1, 3),
        small[:, :3].reshape(-1, 3),
        small[:, -3:].reshape(-1, 3),
    ]
    border = np.concatenate(sides)
    middle = np.median(border, 0)
    return min(BACKGROUNDS, key=lambda name: float(((middle - BACKGROUNDS[name]) ** 2).sum()))


def _counted(name: str, count: int) -> str:
    if count == 1:
        return _article(name)
    rest, _, noun = name.rpartition(" ")
    return " ".join([str(NUMBERS[count] if count < len(NUMBERS) else count), *filter(None, [rest]), plural(noun)])


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
