"""Contact sheets: several pictures on one page, so that a person can choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL = 384
"""Longest side of a picture on the sheet, pixels."""

GAP = 12
PAPER = (246, 244, 240)
INK, LETTERS = (40, 40, 44), 18
"""Of labels: their colour, and their height in pixels."""


def contact_sheet(pictures: Sequence[Any], labels: Sequence[str] = ()) -> Any:
    """Lay pictures `(H, W, 3)` uint8 out in reading order, as square a grid as they allow, each over its label.

    Returns:
        `(H, W, 3)` uint8.
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    small = [_fit(Image.fromarray(pixels[..., :3])) for pixels in pictures]
    wide, high = max(p.width for p in small), max(p.height for p in small)
    below = LETTERS + GAP if labels else 0
    sheet = Image.new("RGB", (columns * (wide + GAP) + GAP, rows * (high + below + GAP) + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for k, picture in enumerate(small):
        left, top = GAP + k % columns * (wide + GAP), GAP + k // columns * (high + below + GAP)
        sheet.paste(picture, (left, top))
        if k < len(labels):
            draw.text((left, top + high + GAP // 3), _short(labels[k], font, wide), INK, font)
    return np.asarray(sheet)


def _short(label: str, font: Any, wide: int) -> str:
    """Cut a label to the width of a picture."""
    if font.getlength(label) <= wide:
        return label
    while label and font.getlength(label + "…") > wide:
        label = label[:-1]
    return label + "…"


def _fit(picture: Image.Image) -> Image.Image:
    scale = CELL / max(picture.size)
    if scale >= 1:
        return picture
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
