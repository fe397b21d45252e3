"""Maps that steer: taken as they are or drawn from a picture, checked, and brought to the size that is painted at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fantascope.artifact import Artifact
from fantascope.engines.base import Steer
from fantascope.errors import InvalidValue
from fantascope.tasks.pixels import Pixels, opaque, open_pixels

Box = tuple[int, int, int, int]
Steering = Callable[[tuple[int, int], Box | None, tuple[int, int] | None], tuple[Steer, ...]]
"""From the size that is painted at, and a part of the picture (left, top, right, bottom) of a size, to steers."""

LINES = ("canny", "hough", "mlsd", "scribble", "fake_scribble", "scribble_hed", "sketch", "xdog")
"""Kinds whose maps are black and white."""

GRAY = 0.35
"""Share of a map that may be neither near black nor near white where lines are expected."""


def steering(request: Any, open_: Callable[[str], Artifact]) -> Steering:
    """Return the steers of a request for any part and size.

    Raises:
        InvalidValue: a map is of another kind than it is said to be.
    """
    given = request.controls or ()
    maps = [(control, control_map(control, opaque(open_pixels(open_(control.picture))))) for control in given]

    def steers(
        size: tuple[int, int], box: Box | None = None, whole: tuple[int, int] | None = None
    ) -> tuple[Steer, ...]:
        return tuple(
            Steer(
                control.kind,
                _sized(_part(pixels, box, whole), control.kind, size),
                control.weight,
                control.start,
                control.end,
                control.guess,
                control.network,
            )
            for control, pixels in maps
        )

    return steers


def control_map(control: Any, pixels: Pixels) -> Pixels:
    """Return the map `(H, W, 3)` of a control: the picture itself, or drawn from it.

    Raises:
        InvalidValue: the range is empty, or the picture is no map of its kind.
    """
    from fantascope.annotate import annotate, find_annotator, settle

    if control.start > control.end:
        told = f"A control starts at {control.start:g} and ends before, at {control.end:g}."
        raise InvalidValue(told, param="controls")
    kind = find_annotator(control.kind).kind
    if control.derive:
        return annotate(kind, pixels, settle(kind, control.parameters or {}))
    if kind in LINES:
        light = pixels.max(2)
        between = float(((light > 64) & (light < 192)).mean())
        if between > GRAY:
            raise InvalidValue(
                f"This looks like a picture, not like a {kind} map: {between:.0%} of it is neither black nor white.",
                param="controls",
                hint="To draw the map from a picture, give it as such: fantascope control, or derive=true.",
            )
        if float((light >= 192).mean()) > 0.5:
            return np.asarray(255 - pixels, np.uint8)  # drawn dark on light
    return pixels


def _part(pixels: Pixels, box: Box | None, whole: tuple[int, int] | None = None) -> Pixels:
    """Return the part of a map that lies over a part of the picture, whose size (width, height) is `whole`."""
    if box is None or whole is None:
        return pixels
    across, down = pixels.shape[1] / whole[0], pixels.shape[0] / whole[1]
    left, right = int(box[0] * across), max(int(box[0] * across) + 1, round(box[2] * across))
    top, bottom = int(box[1] * down), max(int(box[1] * down) + 1, round(box[3] * down))
    return pixels[top:bottom, left:right]


def _sized(pixels: Pixels, kind: str, size: tuple[int, int]) -> Pixels:
    """Bring a map to a size as its kind allows: lines stay whole, colours that mean something are picked."""
    from fantascope.annotate import find_annotator
    from fantascope.annotate.pixels import back

    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    scale = "lines" if kind in LINES else find_annotator(kind).scale
    scale = "regions" if scale == "own" else scale
    return np.ascontiguousarray(back(pixels, size[1], size[0], scale))
