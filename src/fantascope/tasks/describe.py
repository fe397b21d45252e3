"""A prompt from a picture: what the detector finds in it, in which colours, and what is behind it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from PIL import Image

from fantascope.core.colour import nearest_colour
from fantascope.errors import InvalidValue
from fantascope.prompt.english import plural
from fantascope.tasks.pixels import Pixels, opaque

SURE = 0.4
"""Score from which a find is named."""

NUMBERS = ("", "a", "two", "three", "four", "five", "six")


def describe(pixels: Pixels, detector: Any, words: str = "") -> str:
    """Return a prompt for a picture `(H, W, 3 or 4)`: the things found, left to right, and the colour behind.

    Args:
        detector: An `engines.detector.Detector`.
        words: What is said about the picture: a thing that may be one of several is what they name
            first.

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
        names = [name.replace("-", " ") for name, _ in one.kinds]
        said = {name: match.start() for name in names if (match := re.search(rf"\b{re.escape(name)}", words.lower()))}
        name = min(said, key=lambda name: said[name]) if said else names[0]
        if one.colours.get("own", 0) < 0.5:
            name = f"{one.colour} {name}"
        counts[name] = counts.get(name, 0) + 1
    parts = [_counted(name, count) for name, count in counts.items()]
    things = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
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
    return nearest_colour(middle)


def _counted(name: str, count: int) -> str:
    if count == 1:
        return _article(name)
    rest, _, noun = name.rpartition(" ")
    return " ".join([str(NUMBERS[count] if count < len(NUMBERS) else count), *filter(None, [rest]), plural(noun)])


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
