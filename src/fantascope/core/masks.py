"""Masks in the loop: what is to stay is held at its place, and edges that meet are seen as a middle.

A mask says how much of a cell is painted: 1 all of it, 0 nothing. Sources: Avrahami, Lischinski & Fried, "Blended
latent diffusion" (2023), section 3.2 (the guess is blended, not the noisy picture: with the noise that it started from,
what is kept then follows the sampler to exactly itself); Bar-Tal et al., "MultiDiffusion" (2023), section 4, and
the habit of rolling noise between steps (seamless pictures).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.core.arrays import Array, roll
from fantascope.core.samplers import Denoiser
from fantascope.core.schedules import Levels

Mask = npt.NDArray[np.float32]

GOLDEN = 0.6180339887498949
"""Spreads whole times over 0 … 1, so that every other one rolls."""

FORMED = 0.9
"""Noise from which downwards a layout stands."""


def latent_mask(mask: Any, factor: int) -> Mask:
    """Return the mask of latent cells `(1, 1, h, w)` float32 of a mask of pixels `(h * factor, w * factor)` in 0 … 1.

    A cell is painted as much as the most of its pixels: nothing that is to change is held.
    """
    high, wide = mask.shape[0] // factor, mask.shape[1] // factor
    cells = np.asarray(mask, np.float32)[: high * factor, : wide * factor].reshape(high, factor, wide, factor)
    return np.ascontiguousarray(cells.max((1, 3))[None, None])


def held(denoiser: Denoiser, x0: Array, mask: Array) -> Denoiser:
    """Return the denoiser whose guess is `x0` where `mask` is 0, and its own where it is 1.

    Args:
        denoiser: See `denoise.predict`.
        x0: `(1 or B, C, h, w)`, the picture.
        mask: `(1, 1, h, w)` in 0 … 1.
    """

    def run(x: Array, alpha: float, sigma: float, time: float) -> Array:
        return x0 + mask * (denoiser(x, alpha, sigma, time) - x0)

    return run


def rolled(denoiser: Denoiser, down: bool, right: bool) -> Denoiser:
    """Return the denoiser that late in a run sees the picture shifted by half, around its edges, every other time.

    Early on the layout forms as ever; then edges that meet are the middle as often as not, and come to fit. Which axes
    roll is for the caller to say.
    """

    def run(x: Array, alpha: float, sigma: float, time: float) -> Array:
        if sigma > FORMED or (time * GOLDEN) % 1 < 0.5:
            return denoiser(x, alpha, sigma, time)
        by = (x.shape[2] // 2 if down else 0, x.shape[3] // 2 if right else 0)
        return roll(denoiser(roll(x, by), alpha, sigma, time), (-by[0], -by[1]))

    return run


def later(levels: Levels, strength: float) -> Levels:
    """Return the last `strength` (0 … 1) of the steps of a run; 0 leaves none, above it at least one is left.

    Source: Meng et al., "SDEdit" (2022), section 3.
    """
    left = min(levels.steps, max(1, round(levels.steps * strength))) if strength > 0 else 0
    first = levels.steps - left
    return Levels(levels.alphas[first:], levels.sigmas[first:], levels.times[first:], levels.kind)
