"""Where something new goes: what is free in a picture, and boxes that stand to a thing as words say.

All is counted in cells of 8 pixels at the model's working size.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fantascope.errors import InvalidPicture
from fantascope.prompt.english import singular
from fantascope.prompt.instruct.edits import is_worn
from fantascope.prompt.lexicon import RELATIONS
from fantascope.tasks.cutout import cut
from fantascope.tasks.pixels import box_of

Floats = npt.NDArray[np.float32]

PLACES: dict[str, tuple[float, float, float, float]] = {
    "left": (0.0, 0.15, 0.5, 0.85),
    "right": (0.5, 0.15, 1.0, 0.85),
    "top": (0.15, 0.0, 0.85, 0.5),
    "bottom": (0.15, 0.5, 0.85, 1.0),
    "centre": (0.2, 0.2, 0.8, 0.8),
    "foreground": (0.0, 0.45, 1.0, 1.0),
    "background": (0.0, 0.0, 1.0, 0.5),
    "": (0.0, 0.0, 1.0, 1.0),
}
"""Word for a place -> left, top, right and bottom of where it is, as shares of the picture."""

SIDES = (0.44, 0.3)
"""Largest and smallest side of what is added, as shares of the picture's shorter one."""

MANY = 1.4
"""How much larger the place for several things may be."""

CROWDED, WISHED, ROOMY = 4.0, 0.5, 2.0
"""What counts for a place: how full it is, how much the model would like it, its side as a share of the picture's."""

STAND = {
    **dict.fromkeys(("next to", "beside", "besides", "near", "close to", "by", "alongside"), "beside"),
    **dict.fromkeys(("to the left of", "on the left of", "left of"), "left"),
    **dict.fromkeys(("to the right of", "on the right of", "right of"), "right"),
    **dict.fromkeys(("above", "over"), "above"),
    **dict.fromkeys(("below", "under", "underneath", "beneath"), "below"),
    "behind": "behind",
    "in front of": "front",
}
"""How words say that a new thing stands to another -> where its box goes; all others, such as `on`, go on top of it."""

WORN_AT = {
    **dict.fromkeys(("glass", "sunglass", "spectacle", "goggle", "mask", "eyepatch", "moustache", "mustache"), "face"),
    **dict.fromkeys(("scarf", "tie", "necktie", "bowtie", "necklace", "collar", "medal", "beard", "bell"), "neck"),
    **dict.fromkeys(("shoe", "boot", "sock", "sandal", "slipper", "sneaker", "skate"), "feet"),
}
"""What is worn -> where; all else, such as a hat, on top."""

DOWN = {"face": 0.4, "neck": 0.85, "feet": 0.95, "hand": 0.6}
"""Where on a thing -> its middle, as a share of the way down."""

_RELATION = re.compile(rf"\b({'|'.join(sorted(map(re.escape, RELATIONS), key=len, reverse=True))})\b", re.IGNORECASE)


def stand_of(after: str, new: str, anchor: str) -> str:
    """Return how a new thing stands to another in a prompt that says both.

    A value of `STAND`, a key of `DOWN`, or `on`.

    Example:
        >>> stand_of("a cat behind a robot", "a cat", "a robot")
        'behind'
    """
    low, noun = after.lower(), anchor.lower().split()[-1]
    one, other = low.rfind(new.lower()), low.rfind(noun)
    if one < 0 or other < 0:
        return "on"
    between = low[one + len(new) : other] if one < other else low[other + len(noun) : one]
    if is_worn(new):
        return WORN_AT.get(singular(new.lower().split()[-1]), "on")
    found = _RELATION.search(between)
    if found is None and re.search(r"\b(with|holding|carrying)\b", between):
        return "hand"
    return STAND.get(found.group(1), "on") if found else "on"


def crowd(pixels: Any, tolerance: float) -> Floats:
    """Return how full each cell is, `(h, w)` in 0 … 1: covered by things, or, on a restless ground, busy.

    Args:
        pixels: `(H, W, 3)` uint8 at the working size.
        tolerance: See `cutout.cut`.
    """
    try:
        alpha = cut(pixels, tolerance, specks=False)[..., 3]
    except InvalidPicture:
        return fullness(pixels)
    high, wide = alpha.shape[0] // 8, alpha.shape[1] // 8
    cells = alpha[: high * 8, : wide * 8].reshape(high, 8, wide, 8).mean((1, 3)) / 255
    busy = fullness(pixels)  # things at the border may pass for the ground, and their outlines do not
    return busy if cells.mean() > 0.7 else np.maximum(cells, busy).astype(np.float32)


def fullness(pixels: Any) -> Floats:
    """Return how much is going on in each cell of 8 px, `(h, w)` in 0 … 1: the contrast inside it."""
    high, wide = pixels.shape[0] // 8, pixels.shape[1] // 8
    small = Image.fromarray(pixels).convert("RGB").resize((wide * 4, high * 4), Image.Resampling.BOX)
    light = np.asarray(small, np.float32)
    down = np.abs(np.diff(light, axis=0, append=light[-1:])).sum(2)
    across = np.abs(np.diff(light, axis=1, append=light[:, -1:])).sum(2)
    full = (down + across).reshape(high, 4, wide, 4).mean((1, 3))
    return np.asarray(full / max(float(full.max()), 1e-6), np.float32)


def free_place(full: Floats, place: str, wish: Floats | None = None, sides: tuple[float, float] = SIDES) -> Floats:
    """Return a square `(h, w)` of cells, 1 inside, for something new: where the picture is emptiest, and as large as
    that allows.

    Args:
        full: `(h, w)`, how full each cell is; see `crowd`.
        place: A key of `PLACES`.
        wish: `(h, w)` where the model would like it.
        sides: Largest and smallest, as shares of the shorter side.
    """
    high, wide = full.shape
    short = min(high, wide)
    left, top, right, bottom = PLACES.get(place, PLACES[""])
    best, box = -np.inf, (0, 0, 1, 1)
    for side in range(max(2, round(sides[1] * short)), max(2, round(sides[0] * short)) + 1):
        first, last = (round(left * wide), round(top * high)), (round(right * wide) - side, round(bottom * high) - side)
        for y in range(first[1], max(last[1], first[1]) + 1):
            for x in range(first[0], max(last[0], first[0]) + 1):
                window = (slice(y, y + side), slice(x, x + side))
                worth = ROOMY * side / short - CROWDED * float(full[window].mean())
                worth += WISHED * float(wish[window].mean()) if wish is not None else 0.0
                if worth > best and y + side <= high and x + side <= wide:
                    best, box = worth, (x, y, x + side, y + side)
    return _cells(full.shape, box)


def at_thing(full: Floats, ground: Floats, stand: str) -> Floats:
    """Return a box of cells, 1 inside, that stands to a thing as a word says.

    Args:
        full: `(h, w)`, how full each cell is.
        ground: `(h, w)`, where the thing is, above 0 inside.
        stand: A value of `STAND`, a key of `DOWN`, or `on`.
    """
    left, top, right, bottom = box_of(ground > 0)
    high, wide = ground.shape
    small, large = (max(2, round(share * min(high, wide))) for share in SIDES[::-1])
    side = max(small, round(0.6 * max(right - left, bottom - top)))
    middle = (left + right) // 2
    boxes = []
    if stand in ("beside", "left", "right"):
        for room, way in ((left, "left"), (wide - right, "right")):
            if stand in ("beside", way):
                one = min(max(room, small), max(side, small))
                x = left - one if way == "left" else right
                boxes.append((x, bottom - one, x + one, bottom))
    elif stand in ("above", "below"):
        room = min(max(top if stand == "above" else high - bottom, small), side)
        y = top - room if stand == "above" else bottom
        boxes = [(left, y, max(right, left + room), y + room)]
    elif stand == "behind":
        one = min(max(side, large) + 1, high, wide)
        across = (left - round(0.6 * one), right - round(0.4 * one), middle - one // 2)
        boxes = [(x, y, x + one, y + one) for x in across for y in (top - one // 2, bottom - one)]
    elif stand == "front":
        boxes = [(middle - side // 2, bottom - side + 1, middle - side // 2 + side, bottom + 1)]
    elif stand in DOWN:
        one = max(small, side if stand == "hand" else round(0.8 * side))
        y = round(top + DOWN[stand] * (bottom - top)) - one // 2
        middles = (left, right) if stand == "hand" else (middle,)
        boxes = [(x - one // 2, y, x - one // 2 + one, y + one) for x in middles]
    else:
        one = min(side, max(large, round(top / 0.6)))
        boxes = [(middle - one // 2, top - round(0.6 * one), middle - one // 2 + one, top - round(0.6 * one) + one)]
    cells = [_cells(ground.shape, _inside(box, wide, high)) for box in boxes]
    # Of two sides the emptier one; what is cut off at the border was made smaller before.
    return min(cells, key=lambda one: float((full * one).sum() / one.sum() - 0.02 * np.sqrt(one.sum())))


def _inside(box: tuple[int, int, int, int], wide: int, high: int) -> tuple[int, int, int, int]:
    """Move a box into the picture, and cut off what is larger than it."""
    across, down = min(box[2] - box[0], wide), min(box[3] - box[1], high)
    x, y = min(max(0, box[0]), wide - across), min(max(0, box[1]), high - down)
    return x, y, x + across, y + down


def _cells(shape: tuple[int, ...], box: tuple[int, int, int, int]) -> Floats:
    cells = np.zeros(shape, np.float32)
    cells[box[1] : box[3], box[0] : box[2]] = 1
    return cells


def cells_to_mask(cells: Floats, size: tuple[int, int]) -> Floats:
    """Return cells, 0 or 1, as a mask `(H, W)` of pixels."""
    picture = Image.fromarray(np.where(cells > 0, 255, 0).astype(np.uint8))
    return (np.asarray(picture.resize(size, Image.Resampling.NEAREST), np.float32) > 127).astype(np.float32)
