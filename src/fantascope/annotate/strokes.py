"""A sketch: strokes in a JSON document, drawn to a map.

    {"width": 512, "height": 512, "strokes": [{"points": [[10, 10], [200, 80]], "width": 6}]}

Points are in px from the upper left corner. Strokes are white unless they have a colour; the canvas is black.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from fantascope.annotate.documents import Document, Part, build, decode
from fantascope.annotate.pixels import Pixels, opencv

LEAST_CANVAS, MOST_CANVAS = 64, 2048
"""Sides of a canvas, px."""

FAR = 8192
"""Px from the corner that a point may have: a hand leaves the canvas, and comes back."""

MAX_STROKES, MAX_POINTS = 4096, 100_000
"""Of one sketch."""

SHIFT = 4
"""Bits of a px in which points are drawn."""

Side = Annotated[int, Field(ge=LEAST_CANVAS, le=MOST_CANVAS)]
Place = Annotated[float, Field(ge=-FAR, le=FAR)]
Point = tuple[Place, Place]
Level = Annotated[int, Field(ge=0, le=255)]


class Stroke(Part):
    """One line of the pen.

    Attributes:
        points: x and y, px; one point is a dot.
        width: Of the pen, px.
        colour: Red, green, blue.
    """

    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=MAX_POINTS)]
    width: Annotated[float, Field(ge=1, le=256)] = 6
    colour: tuple[Level, Level, Level] = (255, 255, 255)


class Sketch(Part):
    """A canvas and its strokes, drawn in order."""

    width: Side
    height: Side
    strokes: Annotated[tuple[Stroke, ...], Field(max_length=MAX_STROKES)]

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        count = sum(len(stroke.points) for stroke in self.strokes)
        if count > MAX_POINTS:
            raise ValueError(f"the strokes have {count} points; {MAX_POINTS} are allowed")
        return self


def read_sketch(document: Document) -> Sketch:
    """Read and check a document of strokes.

    Raises:
        InvalidValue: What is wrong and where; `param` is its path.
    """
    return build(Sketch, decode(document, "strokes"), "strokes")


def draw_sketch(sketch: Sketch) -> Pixels:
    """Draw the strokes: (height, width, 3) uint8, round ends, smooth borders, on black."""
    cv2 = opencv()
    canvas = np.zeros((sketch.height, sketch.width, 3), np.uint8)
    for stroke in sketch.strokes:
        points = np.rint(np.array(stroke.points) * (1 << SHIFT)).astype(np.int32)
        thick = max(1, round(stroke.width))
        if len(points) == 1 or not np.ptp(points, axis=0).any():
            radius = round(stroke.width / 2 * (1 << SHIFT))
            centre = (int(points[0][0]), int(points[0][1]))
            cv2.circle(canvas, centre, radius, stroke.colour, cv2.FILLED, cv2.LINE_AA, SHIFT)
        else:
            cv2.polylines(canvas, [points], False, stroke.colour, thick, cv2.LINE_AA, SHIFT)
    return canvas
