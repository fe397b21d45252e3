"""Figures with their intervals: rates, means, distances between sets of pictures, and likeness of two pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

Z95 = 1.959963984540054
"""Two-sided 95 % of a normal distribution."""


@dataclass(frozen=True)
class Figure:
    """A measured value, its 95 % interval, and from how many samples."""

    value: float
    low: float
    high: float
    n: int


def wilson(passed: float, n: float, z: float = Z95) -> Figure:
    """A rate with Wilson's score interval. Source: Wilson (1927)."""
    if n == 0:
        return Figure(0.0, 0.0, 1.0, 0)
    rate, square = passed / n, z * z / n
    middle = (rate + square / 2) / (1 + square)
    half = z / (1 + square) * (rate * (1 - rate) / n + square / (4 * n)) ** 0.5
    low, high = (0.0 if passed == 0 else middle - half), (1.0 if passed == n else middle + half)
    return Figure(rate, low, high, round(n))


def clustered(groups: Sequence[Sequence[bool]]) -> Figure:
    """A rate over groups of pictures, one a prompt, whose pictures pass or fail together more often than by chance.

    Wilson's interval for as many independent pictures as these are worth: their number divided by the design effect,
    which is how much more the groups' rates vary than independent pictures would make them.
    """
    passed, n = sum(map(sum, groups)), sum(map(len, groups))
    if n == 0 or len(groups) < 2:
        return wilson(passed, n)
    rate, size = passed / n, n / len(groups)
    alone = rate * (1 - rate) / size
    between = float(np.var([np.mean(group) for group in groups], ddof=1))
    effect = min(max(between / alone, 1.0), size) if alone > 0 else size
    worth = wilson(rate * n / effect, n / effect)
    return Figure(rate, worth.low, worth.high, n)


def bootstrap(values: Sequence[float] | Floats, seed: int = 0, rounds: int = 1000) -> Figure:
    """A mean with the percentile interval of its resampled values. Source: Efron (1979)."""
    array = np.asarray(values, np.float64)
    if len(array) == 0:
        return Figure(0.0, 0.0, 0.0, 0)
    rng = np.random.default_rng([seed, 71])
    means = np.array([array[rng.integers(len(array), size=len(array))].mean() for _ in range(rounds)])
    low, high = np.quantile(means, [0.025, 0.975])
    return Figure(float(array.mean()), float(low), float(high), len(array))


def halved(
    measure: Callable[[Floats, Floats], float], one: Floats, other: Floats, seed: int = 0, rounds: int = 40
) -> Figure:
    """A distance between two sets, with an interval from how much it varies between halves of them.

    Halves drawn without repeats vary as much about the measured value as this does about the truth. Resampling with
    repeats would not do: repeated rows make sets look farther apart. Source: Shao & Wu, "A general theory for jackknife
    variance estimation" (1989), with half of the rows left out.
    """
    rng, value = np.random.default_rng([seed, 73]), measure(one, other)
    drawn = [
        measure(*(rows[rng.permutation(len(rows))[: max(2, len(rows) // 2)]] for rows in (one, other)))
        for _ in range(rounds)
    ]
    wide = Z95 * float(np.std(drawn, ddof=1))
    return Figure(float(value), float(value) - wide, float(value) + wide, len(one))


def frechet(one: Floats, other: Floats) -> float:
    """The Frechet distance of two Gaussians fitted to features (N, D) and (M, D): |m - n|^2 + tr(C + D - 2 (C D)^.5).

    Source: Heusel et al., "GANs trained by a two time-scale update rule" (2017), equation 6.
    """
    means = [np.asarray(rows, np.float64).mean(0) for rows in (one, other)]
    spreads = [np.atleast_2d(np.cov(np.asarray(rows, np.float64), rowvar=False)) for rows in (one, other)]
    root = _root(spreads[0])
    cross = np.linalg.eigvalsh(root @ spreads[1] @ root)
    apart = float(((means[0] - means[1]) ** 2).sum())
    return apart + float(np.trace(spreads[0] + spreads[1]) - 2 * np.sqrt(np.clip(cross, 0, None)).sum())


def _root(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    root: Floats = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def kernel_distance(one: Floats, other: Floats) -> float:
    """The unbiased squared maximum mean discrepancy with the kernel (x·y + 1)^3; it may be below 0.

    The kernel has no 1 / D within: features here have unit length, and it would leave their means alone to be seen.

    Source: Bińkowski et al., "Demystifying MMD GANs" (2018), sections 2 and 4.
    """
    x, y = np.asarray(one, np.float64), np.asarray(other, np.float64)
    inner = [(a @ b.T + 1) ** 3 for a, b in ((x, x), (y, y), (x, y))]
    own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in inner[:2]]
    return float(own[0] + own[1] - 2 * inner[2].mean())


def spread(features: Floats) -> float:
    """Mean distance (1 - cosine) of the pairs in features (N, D) of unit length."""
    count = len(features)
    inner = np.asarray(features, np.float64) @ np.asarray(features, np.float64).T
    return float(1 - (inner.sum() - np.trace(inner)) / (count * (count - 1)))


def nearest(features: Floats, others: Floats, rows: int = 512) -> Floats:
    """Distance (1 - cosine) of each feature (N, D) to the nearest of others (M, D); all of unit length."""
    parts = [(features[k : k + rows] @ others.T).max(1) for k in range(0, len(features), rows)]
    return np.asarray(1 - np.concatenate(parts), np.float64)


def psnr(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    """Peak signal to noise ratio in dB of two pictures; 99 for equal ones."""
    error = ((one.astype(np.float64) - other) ** 2).mean()
    return 99.0 if error == 0 else float(min(99.0, 10 * np.log10(255**2 / error)))


def ssim(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8], window: int = 7) -> float:
    """Structural similarity of the brightness of two pictures (H, W, 3), over square windows.

    Source: Wang et al., "Image quality assessment" (2004), equation 13, with a uniform window.
    """
    luma = np.array([0.299, 0.587, 0.114])
    x, y = (picture.astype(np.float64) @ luma for picture in (one, other))
    mx, my = _mean(x, window), _mean(y, window)
    scale = window**2 / (window**2 - 1)
    xx, yy = (scale * (_mean(a * a, window) - m * m) for a, m in ((x, mx), (y, my)))
    xy = scale * (_mean(x * y, window) - mx * my)
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mx * my + small) * (2 * xy + smaller)
    return float((top / ((mx**2 + my**2 + small) * (xx + yy + smaller))).mean())


def _mean(x: Floats, window: int) -> Floats:
    """Means over all whole windows."""
    total = np.pad(x.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    area: Floats = (
        total[window:, window:] - total[:-window, window:] - total[window:, :-window] + total[:-window, :-window]
    )
    return area / window**2
