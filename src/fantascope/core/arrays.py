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


def roll(x: Array, by: tuple[int, int]) -> Array:
    """Shift `x` `(B, C, h, w)` down and right by cells, around its edges."""
    return x if by == (0, 0) else namespace(x).roll(x, by, (2, 3))


def around(x: Array, rows: int, columns: int) -> Array:
    """Continue `x` `(B, C, h, w)` around its edges by so many cells on each side."""
    high, wide = x.shape[2:]
    down = [k % high for k in range(-rows, high + rows)]
    right = [k % wide for k in range(-columns, wide + columns)]
    return x[:, :, down][:, :, :, right]
