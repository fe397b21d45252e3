"""Circles to teach a control network on, in the manner of ControlNet's own example Fill50K.

A map shows the outline of a circle, white on black. The picture is the same circle filled with one CSS colour on a
ground of another, and the caption names both: "pale golden rod circle with old lace background".

Source: lllyasviel/ControlNet, docs/train.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

Pixels = NDArray[np.uint8]

NAMES = (
    "alice blue, antique white, aqua, aquamarine, azure, beige, bisque, black, blanched almond, blue, blue "
    "violet, brown, burly wood, cadet blue, chartreuse, chocolate, coral, cornflower blue, cornsilk, crimson, "
    "dark blue, dark cyan, dark golden rod, dark gray, dark green, dark khaki, dark magenta, dark olive green, "
    "dark orange, dark orchid, dark red, dark salmon, dark sea green, dark slate blue, dark slate gray, dark "
    "turquoise, dark violet, deep pink, deep sky blue, dim gray, dodger blue, fire brick, floral white, forest "
    "green, fuchsia, gainsboro, ghost white, gold, golden rod, gray, green, green yellow, honey dew, hot pink, "
    "indian red, indigo, ivory, khaki, lavender, lavender blush, lawn green, lemon chiffon, light blue, light "
    "coral, light cyan, light golden rod yellow, light gray, light green, light pink, light salmon, light sea "
    "green, light sky blue, light slate gray, light steel blue, light yellow, lime, lime green, linen, maroon, "
    "medium aqua marine, medium blue, medium orchid, medium purple, medium sea green, medium slate blue, medium "
    "spring green, medium turquoise, medium violet red, midnight blue, mint cream, misty rose, moccasin, navajo "
    "white, navy, old lace, olive, olive drab, orange, orange red, orchid, pale golden rod, pale green, pale "
    "turquoise, pale violet red, papaya whip, peach puff, peru, pink, plum, powder blue, purple, rebecca purple, "
    "red, rosy brown, royal blue, saddle brown, salmon, sandy brown, sea green, sea shell, sienna, silver, sky "
    "blue, slate blue, slate gray, snow, spring green, steel blue, tan, teal, thistle, tomato, turquoise, violet, "
    "wheat, white, white smoke, yellow, yellow green"
)

COLOURS: dict[str, tuple[int, int, int]] = {
    name: ImageColor.getrgb(name.replace(" ", ""))[:3] for name in NAMES.split(", ")
}
"""The CSS colours by their names in words."""

APART = 100
"""Least distance between the colours of circle and ground, levels, all three channels together."""

DRAWN = 4
"""How many times larger a circle is drawn than it is kept, for smooth borders."""


@dataclass(frozen=True)
class Circle:
    """One circle.

    Attributes:
        picture, outline: (S, S, 3) uint8.
        caption: Names both colours.
    """

    picture: Pixels
    outline: Pixels
    caption: str


def circle(seed: int, size: int = 512) -> Circle:
    """Draw the circle of a seed; radius and place keep it inside the picture."""
    rng = np.random.default_rng([seed, 31])
    names = list(COLOURS)
    while True:
        inside, ground = (names[int(k)] for k in rng.choice(len(names), 2, replace=False))
        if sum(abs(a - b) for a, b in zip(COLOURS[inside], COLOURS[ground], strict=True)) >= APART:
            break
    radius = rng.uniform(0.12, 0.4)
    across, down = rng.uniform(radius + 0.02, 1 - radius - 0.02, 2)
    box = [DRAWN * size * float(edge) for edge in (across - radius, down - radius, across + radius, down + radius)]
    picture = Image.new("RGB", (DRAWN * size,) * 2, COLOURS[ground])
    ImageDraw.Draw(picture).ellipse(box, fill=COLOURS[inside])
    outline = Image.new("RGB", picture.size)
    ImageDraw.Draw(outline).ellipse(box, outline=(255, 255, 255), width=max(DRAWN, DRAWN * size // 128))
    drawn = [np.asarray(image.resize((size, size), Image.Resampling.BOX)) for image in (picture, outline)]
    return Circle(drawn[0], drawn[1], f"{inside} circle with {ground} background")


def write_circles(folder: Path, count: int, size: int = 512, first: int = 0) -> Iterator[int]:
    """Write circles in the layout of Fill50K: `prompt.json`, `source/` (outlines) and `target/` (pictures).

    Yields:
        How many are written.
    """
    for name in ("source", "target"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for k in range(count):
        made, name = circle(first + k, size), f"{k}.png"
        Image.fromarray(made.outline).save(folder / "source" / name)
        Image.fromarray(made.picture).save(folder / "target" / name)
        row = {"source": f"source/{name}", "target": f"target/{name}", "prompt": made.caption}
        rows.append(json.dumps(row) + "\n")
        yield k + 1
    (folder / "prompt.json").write_text("".join(rows), "utf-8")


def agreement(picture: Pixels, outline: Pixels) -> float:
    """How well the disc in a picture covers the one that an outline asks for: intersection over union, 0..1.

    The ground is the median colour of the picture's border; the disc is what differs from it by half of what the middle
    of the wanted disc does, and by 24 levels at least.

    Args:
        picture: (H, W, 3) uint8.
        outline: (H, W, 3) uint8, the same size, white on black, a circle that lies inside.
    """
    wanted = disc(outline)
    if not wanted.any():
        return 0.0
    seen = picture.astype(np.float32)
    border = np.concatenate([seen[0], seen[-1], seen[:, 0], seen[:, -1]])
    away = np.abs(seen - np.median(border, axis=0)).sum(2)
    found = away > max(24.0, float(np.median(away[wanted])) / 2)
    return float((found & wanted).sum() / (found | wanted).sum())


def disc(outline: Pixels) -> NDArray[np.bool_]:
    """The pixels (H, W) inside an outline, which is taken as an ellipse that fills its bounding box."""
    rows, columns = np.nonzero(outline.max(2) > 127)
    inside: NDArray[np.bool_] = np.zeros(outline.shape[:2], bool)
    if len(rows) == 0:
        return inside
    (top, bottom), (left, right) = ((axis.min(), axis.max()) for axis in (rows, columns))
    y, x = np.mgrid[: outline.shape[0], : outline.shape[1]]
    high, wide = (bottom - top + 1) / 2, (right - left + 1) / 2
    inside = ((y + 0.5 - top - high) / high) ** 2 + ((x + 0.5 - left - wide) / wide) ** 2 <= 1
    return inside
