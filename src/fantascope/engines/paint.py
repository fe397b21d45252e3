"""Text to image over the parts of a latent engine: encode, noise, denoise, decode, upscale.

One function for every engine that has parts, so that the loop is the same code whatever runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fantascope.artifact import Output, Step
from fantascope.core.denoise import State, denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.schedules import levels
from fantascope.core.seeds import noise, stream
from fantascope.engines.base import LatentEngine

PREVIEW_SIDE = 128
"""Longest side of a step preview in pixels."""


def paint(engine: LatentEngine, request: Any) -> Iterator[Step | Output]:
    """Yield a `Step` after every sampler step and one `Output` per picture of a resolved `Imagine`.

    Picture k starts from the noise of `seed + k`. All pictures of the request go through the network
    together, as far as `engine.batch_limit` lets them.

    Args:
        engine: Loaded parts; arrays stay where the engine computes until they are decoded.
        request: An `Imagine` without open defaults.
    """
    done = 0
    while done < request.n:
        count = min(request.n - done, engine.batch_limit(request))
        seeds = [request.seed + done + k for k in range(count)]
        yield from _batch(engine, request, seeds, done)
        done += count


def _batch(engine: LatentEngine, request: Any, seeds: list[int], first: int) -> Iterator[Step | Output]:
    where = {"index": first, "count": len(seeds), "total": request.n, "steps": request.steps}
    yield Step(step=0, stage="encode", **where)
    latents: Any = None
    for state in _denoised(engine, request, seeds):
        latents = state.x
        yield Step(step=state.step, preview=_preview(engine, request, state), **where)
    for k, seed in enumerate(seeds):
        yield Step(step=request.steps, stage="decode", **where)
        picture = engine.decode(latents[k : k + 1])
        if request.upscale > 1:
            yield Step(step=request.steps, stage="upscale", **where)
            picture = engine.upscale(picture, request.upscale)
        pixels = to_pixels(engine.to_numpy(picture))[0]
        yield Output(pixels=pixels, index=first + k, seed=seed, batch=len(seeds), first=first)


def _denoised(engine: LatentEngine, request: Any, seeds: list[int]) -> Iterator[State]:
    """Run the sampler; the guided network sees unconditional rows first, then conditional ones."""
    free = request.guidance == 1
    texts = [request.prompt] * len(seeds)
    if not free:
        texts = [request.negative_prompt or ""] * len(seeds) + texts
    network = engine.network(request, engine.encode_text(texts, request))
    if not free:
        network = guided(network, request.guidance, request.guidance_rescale)
    training = engine.training_schedule
    steps = levels(training, request.steps, request.schedule, sampler=request.sampler)
    factor = engine.latent_factor * request.upscale
    shape = (engine.latent_channels, request.height // factor, request.width // factor)
    start = engine.from_numpy(noise(seeds, shape))
    fresh = stream(seeds, shape)
    return denoise(
        predict(network, training),
        start,
        steps,
        request.sampler,
        lambda step: engine.from_numpy(fresh(step)),
    )


def _preview(engine: LatentEngine, request: Any, state: State) -> Any:
    """Decode the guess so far, small: `(count, h, w, 3)` uint8, or None when nobody asked."""
    if not request.preview:
        return None
    pixels = to_pixels(engine.to_numpy(engine.decode(state.denoised)))
    step = max(1, -(-max(pixels.shape[1:3]) // PREVIEW_SIDE))
    return np.ascontiguousarray(pixels[:, ::step, ::step])


def to_pixels(pictures: Any) -> Any:
    """Turn `(B, 3, H, W)` float in -1 … 1 into `(B, H, W, 3)` uint8."""
    scaled = np.clip(pictures * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    return np.ascontiguousarray(scaled.transpose(0, 2, 3, 1))
