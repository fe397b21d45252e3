"""Samplers: how a run gets from one noise level to the next.

Each is a generator over `(x, denoised)`, one pair a step: the new noisy picture and the guess of the clean one. They
speak of `x = alpha * x0 + sigma * eps` directly, so that one function serves variance-preserving and flow models, and
a first level of pure noise (alpha 0) is no special case. In this frame Euler's step over `sigma / alpha` and DDIM's
are the same line, and DPM-Solver++ is that line with an extrapolated guess.

Randomness is an argument: `noise(i)` gives step i's standard normal noise, shaped like `x`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

from fantascope.core.arrays import Array
from fantascope.core.schedules import ALPHA_FLOOR, Levels

Denoiser = Callable[[Array, float, float, float], Array]
"""Maps noisy `x` `(B, C, h, w)`, its alpha and sigma, and the time the network is told to the guess of `x0`."""

Noise = Callable[[int], Array]
"""Gives the noise of step i, `(B, C, h, w)` standard normal."""

Sampler = Callable[[Denoiser, Array, Levels, Noise], Iterator[tuple[Array, Array]]]

Level = tuple[float, float]
"""alpha and sigma."""


def ddim(denoiser: Denoiser, x: Array, levels: Levels, noise: Noise) -> Iterator[tuple[Array, Array]]:
    """Song, Meng & Ermon, "Denoising diffusion implicit models" (2021), equation 12 with no noise added (eta 0)."""
    for here, there, time in _steps(levels):
        denoised = denoiser(x, *here, time)
        x = _towards(x, denoised, here, there)
        yield x, denoised


def euler(denoiser: Denoiser, x: Array, levels: Levels, noise: Noise) -> Iterator[tuple[Array, Array]]:
    """Karras et al., "Elucidating the design space of diffusion-based generative models" (2022), algorithm 1 of first
    order, and Euler's method on a flow model's velocity.

    Both hold the guess of `x0` over the step, which is what DDIM does: only the times of a run differ.
    """
    return ddim(denoiser, x, levels, noise)


def euler_ancestral(denoiser: Denoiser, x: Array, levels: Levels, noise: Noise) -> Iterator[tuple[Array, Array]]:
    """Euler's step with part of the noise exchanged for new noise.

    The part kept is the ratio of the two levels' `sigma / alpha`, that of Ho et al., "Denoising diffusion
    probabilistic models" (2020), section 3.2, and of `sample_euler_ancestral` in Crowson's k-diffusion at eta 1.
    """
    for step, (here, there, time) in enumerate(_steps(levels)):
        denoised = denoiser(x, *here, time)
        if there[1] == 0:
            x = _towards(x, denoised, here, there)
        else:
            kept = there[1] * here[0] / (there[0] * here[1])
            old = (x - here[0] * denoised) * (kept / here[1])
            x = there[0] * denoised + there[1] * (old + math.sqrt(1 - kept**2) * noise(step))
        yield x, denoised


def heun(denoiser: Denoiser, x: Array, levels: Levels, noise: Noise) -> Iterator[tuple[Array, Array]]:
    """Karras et al. (2022), algorithm 1: Euler's step, then the mean of the slopes at both its ends.

    Asks the network twice a step, but once at the last. The slopes are those of `x / alpha` over `sigma / alpha`;
    flow models, and a step that starts from pure noise where that ratio has no end, are integrated as they are: `x`
    along the straight line between the two levels.
    """
    times = [*levels.times[1:].tolist(), 0.0]
    for (here, there, time), next_time in zip(_steps(levels), times, strict=True):
        denoised = denoiser(x, *here, time)
        guess = _towards(x, denoised, here, there)
        if there[1] != 0:
            again = denoiser(guess, *there, next_time)
            before, after = (x - here[0] * denoised) / here[1], (guess - there[0] * again) / there[1]
            scaled = levels.kind == "vp" and here[0] != 0
            one, two = (here[0], there[0]) if scaled else (1.0, 1.0)
            slope = (there[0] / two - here[0] / one) / 2 * (denoised + again)
            guess = two * (x / one + slope + (there[1] / two - here[1] / one) / 2 * (before + after))
            denoised = again
        x = guess
        yield x, denoised


def dpmpp_2m(denoiser: Denoiser, x: Array, levels: Levels, noise: Noise) -> Iterator[tuple[Array, Array]]:
    """Lu et al., "DPM-Solver++" (2022), algorithm 2 (multistep, second order, midpoint); the last step is of first
    order.

    Extrapolates the guess of `x0` over the log-SNR from the last two. Of a level without signal the log-SNR is
    counted as that of `ALPHA_FLOOR`.
    """
    last: tuple[Array, float] | None = None
    for here, there, time in _steps(levels):
        denoised = denoiser(x, *here, time)
        ahead, log_snr = denoised, _log_snr(here)
        if last is not None and there[1] != 0:
            share = (_log_snr(there) - log_snr) / (log_snr - last[1]) / 2
            ahead = denoised + share * (denoised - last[0])
        x = _towards(x, ahead, here, there)
        last = denoised, log_snr
        yield x, denoised


def lcm(denoiser: Denoiser, x: Array, levels: Levels, noise: Noise) -> Iterator[tuple[Array, Array]]:
    """Luo et al., "Latent consistency models" (2023), algorithm 3: guess `x0`, noise it to the next level, repeat.

    The guess is held to the boundary condition of equation 9 with sigma_data 0.5 and times scaled by 10.
    """
    for step, (here, there, time) in enumerate(_steps(levels)):
        skip = 0.25 / ((10 * time) ** 2 + 0.25)
        denoised = math.sqrt(1 - skip) * denoiser(x, *here, time) + skip * x
        x = denoised if there[1] == 0 else there[0] * denoised + there[1] * noise(step)
        yield x, denoised


SAMPLERS: dict[str, Sampler] = {
    "ddim": ddim,
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
    "lcm": lcm,
}
"""Every sampler by name. `schedules.levels` knows which lay out their times in a way of their own."""


def _steps(levels: Levels) -> Iterator[tuple[Level, Level, float]]:
    """Yield (this level, the next one, time) for every step, in Python floats: they leave float32 data float32."""
    pairs = pairwise(zip(levels.alphas.tolist(), levels.sigmas.tolist(), strict=True))
    for (here, there), time in zip(pairs, levels.times.tolist(), strict=True):
        yield here, there, time


def _towards(x: Array, denoised: Array, here: Level, there: Level) -> Array:
    """Keep the noise that `x` has if `denoised` is right, and scale both to the next level."""
    return there[0] * denoised + (there[1] / here[1]) * (x - here[0] * denoised)


def _log_snr(level: Level) -> float:
    """Half the logarithm of the signal-to-noise ratio, `log(alpha / sigma)`."""
    alpha, sigma = level
    return math.log((ALPHA_FLOOR if alpha == 0 else alpha) / sigma)
