"""Pixels and pictures: bytes as people see them, floats as networks do."""

from __future__ import annotations

from typing import Any

import numpy as np


def to_pixels(pictures: Any) -> Any:
    """Turn `(B, 3, H, W)` float in -1 … 1 into `(B, H, W, 3)` uint8."""
    scaled = np.clip(pictures * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))


def from_pixels(pictures: Any) -> Any:
    """Turn `(B, H, W, 3)` uint8 into `(B, 3, H, W)` float32 in -1 … 1."""
    return np.ascontiguousarray(np.asarray(pictures, np.float32).transpose(0, 3, 1, 2) / np.float32(127.5) - 1)


CALM, LIVELY = 0.12, 0.35
"""Contrast among neighbours, of 2: up to the first a place is a gradient, from the second on it has an edge."""


def unblocked(small: Any, large: Any) -> Any:
    """Return an enlarged picture whose gradients are smooth: an upscaler that adds to repeated pixels leaves blocks.

    Where the small picture changes little from pixel to pixel, its pixels are interpolated instead of repeated; edges
    stay what the upscaler made of them.

    Args:
        small: `(B, C, h, w)` in -1 … 1.
        large: `(B, C, f * h, f * w)`, what the upscaler made of it.
    """
    factor = large.shape[-1] // small.shape[-1]
    wide = np.pad(small, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    high, across = small.shape[2:]
    around = np.stack([wide[:, :, y : y + high, x : x + across] for y in range(3) for x in range(3)])
    contrast = (around.max(0) - around.min(0)).max(1, keepdims=True)
    calm = np.clip((LIVELY - contrast) / (LIVELY - CALM), 0, 1)
    smooth = _interpolated(small, factor) - small.repeat(factor, 2).repeat(factor, 3)
    return np.asarray(large + _interpolated(calm, factor) * smooth, np.float32)


def _interpolated(x: Any, factor: int) -> Any:
    """Enlarge `(B, C, h, w)` by linear interpolation between the middles of pixels."""
    for axis in (2, 3):
        size = x.shape[axis]
        at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, size - 1)
        low = np.floor(at).astype(np.int64)
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 2 else (1, -1))
        x = np.take(x, low, axis) * (1 - share) + np.take(x, np.minimum(low + 1, size - 1), axis) * share
    return x
