"""Pictures for tests of the wire."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw


def png(width: int = 256, height: int = 256, mode: str = "RGB", hole: Any = None, form: str = "PNG") -> bytes:
    """Return a picture of a disc on a plain ground; `hole` is what is transparent in it."""
    picture = Image.new(mode, (width, height), (40, 90, 220) if mode == "RGB" else (40, 90, 220, 255))
    ImageDraw.Draw(picture).ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=(240, 120, 160))
    if hole is not None:
        picture.paste((0, 0, 0, 0), hole)
    buffer = io.BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """Return a picture, decoded."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture
