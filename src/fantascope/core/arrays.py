"""One code for NumPy arrays and torch tensors: operators, slices, and the two functions that operators lack."""

from __future__ import annotations

import sys
from typing import Any

Array = Any
"""A NumPy array or a torch tensor. Data is float32 `(B, C, h, w)` where nothing else is said."""


def namespace(x: Array) -> Any:
    """Return the package `x` comes from, `numpy` or `torch`, without importing it."""
    return sys.modules[type(x).__module__.partition(".")[0]]


def concat(a: Array, b: Array) -> Array:
    """Put the rows of `a` `(A, …)` before those of `b` `(B, …)`: `(A + B, …)`."""
    return namespace(a).concat([a, b])


def std(x: Array) -> Array:
    """Sample standard deviation of each row of `x` `(B, …)`, shaped to multiply it: `(B, 1, …)`."""
    return namespace(x).std(x, axis=tuple(range(1, x.ndim)), correction=1, keepdims=True)
