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


NEAR_HUE = 50.0
"""Degrees around the leading hue that count as it."""

CHROMATIC = 12.0
"""Chroma in OKLab, times 100, from which a pixel has a hue."""

LEADS = 0.4
"""Share of a thing that has the leading hue from which the rest keeps its colours."""


def leading(pixels: Any, solid: Any) -> Any:
    """Return which pixels have a thing's leading hue, `(H, W)` float32 in 0 … 1: a rose's petals and not its stem.

    All of it where no hue leads (a panda), or where what has another hue is a trace only.

    Args:
        pixels: `(H, W, 3)` uint8.
        solid: `(H, W)` bool, the thing.

    Source: OKLab: Ottosson, "A perceptual color space for image processing" (2020).
    """
    everything = np.ones(solid.shape, np.float32)
    a, b = _oklab(pixels[..., :3].astype(np.float32) / 255)
    chroma, hue = 100 * np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    seen = solid & (chroma > CHROMATIC)
    if not solid.any() or not seen.any():
        return everything
    counts = np.bincount((hue[seen] // 10).astype(int) % 36, minlength=36).astype(np.float32)
    smooth = sum(np.roll(counts, step) for step in (-2, -1, 0, 1, 2))
    main = 10 * int(np.argmax(smooth)) + 5
    off = np.abs((hue - main + 180) % 360 - 180)
    has = (chroma > CHROMATIC) & (off <= NEAR_HUE)
    if (has & solid).sum() < LEADS * solid.sum():
        return everything
    soft = np.clip((chroma - 0.5 * CHROMATIC) / (0.5 * CHROMATIC), 0, 1) * np.clip((NEAR_HUE + 15 - off) / 15, 0, 1)
    return soft.astype(np.float32)


def oklab(rgb: Any) -> Any:
    """Return sRGB `(…, 3)` in 0 … 1 as OKLab `(…, 3)` float32: lightness in 0 … 1, and the two axes of colour.

    Source: Ottosson, "A perceptual color space for image processing" (2020).
    """
    cones = _cones(rgb)
    return np.stack([cones @ _TO_LIGHT, cones @ _TO_A, cones @ _TO_B], -1).astype(np.float32)


def _oklab(rgb: Any) -> tuple[Any, Any]:
    """The two axes of colour of sRGB in 0 … 1."""
    cones = _cones(rgb)
    return cones @ _TO_A, cones @ _TO_B


def _cones(rgb: Any) -> Any:
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_CONES)


_TO_CONES = np.array(
    [
        [0.4122214708, 0.2119034982, 0.0883024619],
        [0.5363325363, 0.6806995451, 0.2817188376],
        [0.0514459929, 0.1073969566, 0.6299787005],
    ]
)
_TO_LIGHT = np.array([0.2104542553, 0.7936177850, -0.0040720468])
_TO_A = np.array([1.9779984951, -2.4285922050, 0.4505937099])
_TO_B = np.array([0.0259040371, 0.7827717662, -0.8086757660])
