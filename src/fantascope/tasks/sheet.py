"""Contact sheets: several pictures on one page, so that a person can choose."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

CELL = 384
"""Longest side of a picture on the sheet, pixels."""

GAP = 12
PAPER = (246, 244, 240)


def contact_sheet(pictures: Sequence[Any]) -> Any:
    """Lay pictures `(H, W, 3)` uint8 out in reading order, as square a grid as they allow.

    Returns:
        `(H, W, 3)` uint8.
    """
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    small = [_fit(Image.fromarray(pixels[..., :3])) for pixels in pictures]
    wide, high = max(p.width for p in small), max(p.height for p in small)
    sheet = Image.new("RGB", (columns * (wide + GAP) + GAP, rows * (high + GAP) + GAP), PAPER)
    for k, picture in enumerate(small):
        sheet.paste(picture, (GAP + k % columns * (wide + GAP), GAP + k // columns * (high + GAP)))
    return np.asarray(sheet)


def _fit(picture: Image.Image) -> Image.Image:
    scale = CELL / max(picture.size)
    if scale >= 1:
        return picture
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
