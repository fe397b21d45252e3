"""Classifier-free guidance, defined once: 1 is off, `uncond + g * (cond - uncond)`.

Sources: Ho & Salimans, "Classifier-free diffusion guidance" (2022), equation 6 with `g = w + 1`; Lin et al., "Common
diffusion noise schedules and sample steps are flawed" (2023), section 3.4 (rescale).
"""

from __future__ import annotations

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
