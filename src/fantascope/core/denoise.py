"""The one loop: a raw network becomes a denoiser, and a sampler takes it from noise to a picture."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from fantascope.core.arrays import Array
from fantascope.core.samplers import SAMPLERS, Denoiser, Noise
from fantascope.core.schedules import ALPHA_FLOOR, Levels, Training
from fantascope.errors import InvalidValue, UnknownName

__all__ = ["Denoiser", "Network", "Noise", "State", "denoise", "predict"]

Network = Callable[[Array, float], Array]
"""Maps noisy `x` `(B, C, h, w)` and the time to what the weights predict, of the same shape."""


@dataclass(frozen=True)
class State:
    """A run after one of its steps.

    Attributes:
        step: Steps done, from 1.
        steps: Steps in all.
        x: `(B, C, h, w)`, noisy; after the last step it is the result.
        denoised: `(B, C, h, w)`, the guess of the result so far.
    """

    step: int
    steps: int
    x: Array
    denoised: Array


def predict(network: Network, training: Training) -> Denoiser:
    """Turn what the weights predict into a guess of `x0`.

    Velocity, flow and picture are converted without a division, so they are exact where alpha is 0. The noise says
    nothing of the picture there (Lin et al. 2023, section 3.3): `ALPHA_FLOOR` keeps that guess finite.

    Sources: Salimans & Ho, "Progressive distillation" (2022), appendix D (velocity); Liu et al., "Flow straight and
    fast" (2022), section 2 (flow).

    Example:
        >>> import numpy as np
        >>> from fantascope.core.schedules import scaled_linear
        >>> guess = predict(lambda x, t: x, scaled_linear(prediction="sample"))
        >>> guess(np.ones((1, 4, 2, 2), np.float32), 0.6, 0.8, 500.0).mean().item()
        1.0
    """

    def epsilon(x: Array, alpha: float, sigma: float, time: float) -> Array:
        return (x - sigma * network(x, time)) / (ALPHA_FLOOR if alpha == 0 else alpha)

    def v_prediction(x: Array, alpha: float, sigma: float, time: float) -> Array:
        return alpha * x - sigma * network(x, time)

    def sample(x: Array, alpha: float, sigma: float, time: float) -> Array:
        return network(x, time)

    def flow(x: Array, alpha: float, sigma: float, time: float) -> Array:
        return x - sigma * network(x, time)

    return {"epsilon": epsilon, "v_prediction": v_prediction, "sample": sample, "flow": flow}[training.prediction]


def denoise(
    denoiser: Denoiser, x: Array, levels: Levels, sampler: str, noise: Noise | None = None
) -> Generator[State, None, None]:
    """Run a sampler from `x` `(B, C, h, w)` at `levels`' first level to its last.

    Yields a `State` after every step; closing the generator cancels. Memory is that of a few arrays like `x`; `x`
    itself is not written to.

    Args:
        denoiser: See `predict`.
        x: Standard normal noise, or a picture noised to the first level.
        levels: See `schedules.levels`; give it the sampler's name too.
        sampler: A name of `SAMPLERS`.
        noise: Noise of step i, for the samplers that add some (`euler_ancestral`, `lcm`).

    Raises:
        UnknownName: no such sampler; at the call, not at the first step.
        InvalidValue: the sampler adds noise and none was given; at the step that needs it.
    """
    if sampler not in SAMPLERS:
        raise UnknownName("sampler", sampler, SAMPLERS)
    return _states(denoiser, x, levels, sampler, _none if noise is None else noise)


def _none(step: int) -> Array:
    raise InvalidValue("This sampler adds noise, and none was given.", param="noise")


def _states(denoiser: Denoiser, x: Array, levels: Levels, sampler: str, noise: Noise) -> Generator[State, None, None]:
    for step, (x, denoised) in enumerate(SAMPLERS[sampler](denoiser, x, levels, noise), 1):  # noqa: B020
        yield State(step, levels.steps, x, denoised)
