"""Noise from seeds: one generator a picture, the same numbers whatever the batch, device, machine or library version.

The bits are Philox 4x64-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) with the key
(seed, use): use 0 is the start of a picture, use 1 + i the fresh noise of step i, so any step's noise can be drawn
without the ones before. NumPy promises that a bit generator's raw output never changes, but not that
`Generator.standard_normal` stays; so the normals are made here, by Marsaglia & Bray's polar method (1964), from
additions, multiplications, divisions and square roots alone. IEEE 754 fixes these to the last bit; the logarithms of
C libraries and vector units differ in theirs, so the one needed is a series of our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Noises = npt.NDArray[np.float32]


def noise(seeds: Sequence[int], shape: Sequence[int]) -> Noises:
    """Return standard normal noise `(B, *shape)` float32 that pictures start from; row k depends on `seeds[k]` alone.

    Args:
        seeds: B whole numbers in 0 … 2⁶⁴ - 1.
        shape: Of one picture, `(C, h, w)`.
    """
    return _rows(seeds, shape, use=0)


def gathered(seeds: Sequence[int], shape: Sequence[int], anchor: int, spread: float) -> Noises:
    """Return noise as `noise` does, each row drawn towards the anchor's: `sqrt(1 - s^2) * anchor + s * own`.

    Args:
        anchor: The seed that rows are drawn to; its own row stays what it is.
        spread: s, 0 (all alike) to 1 (each its own).
    """
    own, common = noise(seeds, shape), noise([anchor], shape)
    pull, spread32 = np.float32(math.sqrt(1 - spread * spread)), np.float32(spread)
    same = np.array([seed == anchor for seed in seeds])[(...,) + (None,) * len(shape)]
    rows: Noises = np.where(same, own, pull * common + spread32 * own)
    return rows


def stream(seeds: Sequence[int], shape: Sequence[int]) -> Callable[[int], Noises]:
    """Return the function that gives step i's fresh noise `(B, *shape)`, for samplers that add some; i from 0."""
    return lambda step: _rows(seeds, shape, use=1 + step)


def _rows(seeds: Sequence[int], shape: Sequence[int], use: int) -> Noises:
    rows = [_normals(np.random.Philox(key=np.array([seed, use], np.uint64)), math.prod(shape)) for seed in seeds]
    return np.stack(rows).astype(np.float32).reshape(len(seeds), *shape)


def _normals(bits: np.random.Philox, count: int) -> npt.NDArray[np.float64]:
    """Return `count` normals: of points thrown at a square, those in the unit disc give two each."""
    parts, found = [], 0
    while found < count:
        # 53 bits each, spread over -1 … 1; π/4 of the pairs will do.
        u, v = (bits.random_raw(2 * (count - found) + 16) >> np.uint64(11)).reshape(-1, 2).T * 2.0**-52 - 1.0
        square = u * u + v * v
        inside = (square > 0) & (square < 1)
        u, v, square = u[inside], v[inside], square[inside]
        far = np.sqrt(-2.0 * _log(square) / square)
        parts.append(np.stack([u * far, v * far], 1).ravel())
        found += len(parts[-1])
    return np.concatenate(parts)[:count]


def _log(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Natural logarithm of positive numbers, to about 1e-16: 2 artanh((m - 1) / (m + 1)) of the mantissa m."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < math.sqrt(0.5)
    mantissa, exponent = np.where(low, 2 * mantissa, mantissa), exponent - low
    z = (mantissa - 1) / (mantissa + 1)
    series = np.zeros_like(z)
    for power in range(21, 0, -2):
        series = series * (z * z) + 1 / power
    result: npt.NDArray[np.float64] = 2 * z * series + exponent * math.log(2)
    return result
