"""Pictures in and control maps out: what all annotators share."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.errors import InvalidPicture, MissingExtra

Pixels = npt.NDArray[np.uint8]
"""A picture or a map, (H, W, 3) uint8, RGB."""

Plane = npt.NDArray[Any]
"""One channel, (H, W)."""

LEAST, MOST = 8, 8192
"""Sides of a picture, px."""

SLIM = 16
"""How many times longer the long side of a picture may be."""

TOUCHED = 40
"""Of 255: share of a pixel that a line must cover to stay when a map of lines is made smaller."""


def opencv() -> Any:
    """Return OpenCV, which only annotators need.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("Making a control map", "control") from error
    return cv2


def check_picture(picture: Pixels) -> Pixels:
    """Return a picture as it is.

    Raises:
        InvalidPicture: It is not (H, W, 3) uint8, or its sides are not 8 … 8192 px, or one is 16 times the other.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InvalidPicture(
            f"A picture to annotate is (H, W, 3) uint8; this one is {picture.shape} {picture.dtype}.",
            param="image",
            hint="np.asarray(Image.open(file).convert('RGB'))",
        )
    short, long = sorted(picture.shape[:2])
    if short < LEAST or long > MOST or long > SLIM * short:
        raise InvalidPicture(
            f"This picture has {picture.shape[1]}x{picture.shape[0]} px; sides are {LEAST} to {MOST} px, "
            f"and one at most {SLIM} times the other.",
            param="image",
        )
    return picture


def fit(picture: Pixels, side: int) -> Pixels:
    """Resize so that the short side is `side` px; areas on the way down, cubic on the way up."""
    height, width = picture.shape[:2]
    ratio = side / min(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return resized(picture, size, "area" if ratio < 1 else "cubic")


def resized(picture: Plane, size: tuple[int, int], how: str) -> Plane:
    """Resize to (width, height) px by `area`, `cubic`, `linear` or `nearest`."""
    if size == (picture.shape[1], picture.shape[0]):
        return picture
    cv2 = opencv()
    flag = {"area": cv2.INTER_AREA, "cubic": cv2.INTER_CUBIC, "linear": cv2.INTER_LINEAR}.get(how, cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(picture, size, interpolation=flag))


def back(found: Pixels, height: int, width: int, scale: str) -> Pixels:
    """Bring a map to the size of its picture.

    Args:
        scale: What the map holds. `lines`: black and white only; a pixel that a line touched stays white, so that
            thin lines stay whole. `soft`: levels of light, averaged. `regions`: colours that mean something, never
            mixed. `own`: has the size already.
    """
    smaller = height < found.shape[0]
    if scale == "lines":
        if smaller:
            return np.where(resized(found, (width, height), "area") >= TOUCHED, 255, 0).astype(np.uint8)
        return resized(found, (width, height), "nearest")
    if scale == "soft":
        return resized(found, (width, height), "area" if smaller else "linear")
    assert scale == "regions" or found.shape[:2] == (height, width)
    return resized(found, (width, height), "nearest")


def grey(picture: Pixels) -> Plane:
    """Return the lightness, (H, W) uint8."""
    return np.asarray(opencv().cvtColor(picture, opencv().COLOR_RGB2GRAY))


def as_map(plane: Plane) -> Pixels:
    """Return one channel as a map: (H, W), 0 … 255, to (H, W, 3) uint8."""
    levels = np.clip(plane, 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def unit(plane: Plane) -> Plane:
    """Stretch to 0 … 1; zeros where all is equal. float32."""
    low, high = float(plane.min()), float(plane.max())
    if not high > low:
        return np.zeros(plane.shape, np.float32)
    return np.asarray((plane - low) / (high - low), np.float32)


def chance(logits: Plane) -> Plane:
    """Return 1 / (1 + exp(-x)), 0 … 1, without overflow."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float64)))
