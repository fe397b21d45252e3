"""Named colours, and giving a thing another one while its lights and darks stay apart."""

from __future__ import annotations

from typing import Any

import numpy as np

COLOURS: dict[str, tuple[int, int, int]] = {
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
"""Colour name -> sRGB."""


def nearest_colour(rgb: Any) -> str:
    """Return the name of the colour nearest to `rgb` (3,), 0 … 255."""
    return min(COLOURS, key=lambda name: float(((np.asarray(rgb, np.float64) - COLOURS[name]) ** 2).sum()))


def dyed(pixels: Any, solid: Any, colour: tuple[int, int, int]) -> Any:
    """Return pixels whose middle tone is a colour; what is darker runs to black, what is lighter to white.

    Args:
        pixels: `(H, W, 3)` uint8.
        solid: `(H, W)` bool, what the middle tone is taken of.
        colour: sRGB, 0 … 255.
    """
    light = pixels[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    middle = float(np.clip(np.median(light[solid]), 0.15, 0.85)) if solid.any() else 0.5
    target = np.array(colour, np.float32) / 255
    shade = np.clip(light / middle, 0, 1)[..., None] ** 0.8
    glow = np.clip((light - middle) / (1 - middle), 0, 1)[..., None] * 0.85
    return np.clip(np.rint((target * shade + (1 - target) * glow) * 255), 0, 255).astype(np.uint8)
