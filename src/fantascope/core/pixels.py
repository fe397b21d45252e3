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
