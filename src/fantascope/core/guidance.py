"""Classifier-free guidance, defined once: 1 is off, `uncond + g * (cond - uncond)`.

Sources: Ho & Salimans, "Classifier-free diffusion guidance" (2022), equation 6 with `g = w + 1`; Lin et al., "Common
diffusion noise schedules and sample steps are flawed" (2023), section 3.4 (rescale); Liu et al., "Compositional visual
generation with composable diffusion models" (2022), equation 11 (several conditions at once).
"""

from __future__ import annotations

from collections.abc import Sequence

from fantascope.core.arrays import Array, concat, std
from fantascope.core.denoise import Network


def guided(network: Network, guidance: float, rescale: float = 0.0) -> Network:
    """Return the network that is guided away from what it says unconditionally.

    Args:
        network: Takes `(2B, C, h, w)`: rows without the condition first, then the same rows with it. With `guidance`
            1 it takes `(B, C, h, w)`, conditioned rows only, and is returned as it is.
        guidance: How far to go from `uncond` to `cond`: 0 stays, 1 arrives, above 1 passes.
        rescale: Share, 0 … 1, of the way back to the contrast of `cond`, measured a picture at a time.
    """
    if guidance == 1:
        return network

    def run(x: Array, time: float) -> Array:
        raw = network(concat(x, x), time)
        uncond, cond = raw[: len(x)], raw[len(x) :]
        mixed = uncond + guidance * (cond - uncond)
        if rescale == 0:
            return mixed
        return mixed * (rescale * (std(cond) / std(mixed)) + (1 - rescale))

    return run


def composed(networks: Sequence[Network], weights: Sequence[float], guidance: float, rescale: float = 0.0) -> Network:
    """Return the network that several conditions guide at once: `uncond + g * sum(w_k * (cond_k - uncond))`.

    Args:
        networks: One a condition, each as `guided` takes it. With `guidance` 1 each takes conditioned rows only, and
            one more comes first that takes unconditional rows.
        weights: One a condition; their sum need not be 1.
        guidance, rescale: See `guided`; contrast is measured against the sum at guidance 1.
    """
    if guidance == 1:
        first, *others = networks

        def plain(x: Array, time: float) -> Array:
            uncond = first(x, time)
            return sum(
                (weight * (one(x, time) - uncond) for weight, one in zip(weights, others, strict=True)), start=uncond
            )

        return plain
    if len(networks) == 1 and weights[0] == 1:
        return guided(networks[0], guidance, rescale)

    def run(x: Array, time: float) -> Array:
        both = concat(x, x)
        way: Array = None
        uncond: Array = None
        for weight, network in zip(weights, networks, strict=True):
            raw = network(both, time)
            uncond = raw[: len(x)]
            step = weight * (raw[len(x) :] - uncond)
            way = step if way is None else way + step
        mixed = uncond + guidance * way
        if rescale == 0:
            return mixed
        return mixed * (rescale * (std(uncond + way) / std(mixed)) + (1 - rescale))

    return run
