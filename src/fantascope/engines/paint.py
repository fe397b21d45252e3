"""Painting over the parts of a latent engine: encode, noise, denoise, decode, upscale.

One function for every engine that has parts, so that the loop is the same code whatever runs it; and for every task:
what differs between text to image, variations, fills and tiles is what `Inputs` says, in front of one `denoise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fantascope.artifact import Output, Step
from fantascope.core.arrays import around
from fantascope.core.denoise import Network, State, denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.masks import held, latent_mask, later, rolled
from fantascope.core.pixels import from_pixels, to_pixels, unblocked
from fantascope.core.schedules import Levels, levels
from fantascope.core.seeds import gathered, noise, stream
from fantascope.engines.base import Array, Inputs, LatentEngine, Said, Steer
from fantascope.engines.spoken import Clock, spoken

PREVIEW_SIDE = 128
"""Longest side of a step preview in pixels."""

MARGIN = 4
"""Cells by which a picture without seams is continued around its edges before it is decoded."""


def paint(engine: LatentEngine, request: Any, inputs: Inputs | None = None) -> Iterator[Step | Output]:
    """Yield a `Step` after every sampler step and one `Output` per picture of a resolved request.

    Picture k starts from the noise of `seed + k`. All pictures of the request go through the network
    together, as far as `engine.batch_limit` lets them.

    Args:
        engine: Loaded parts; arrays stay where the engine computes until they are decoded.
        request: A request of `request.Painting` without open defaults.
        inputs: What it starts from beside noise.
    """
    work = _prepare(engine, request, inputs if inputs is not None else Inputs())
    done = 0
    while done < request.n:
        count = min(request.n - done, engine.batch_limit(request))
        seeds = [request.seed + done + k for k in range(count)]
        yield from _batch(engine, request, work, seeds, done)
        done += count


@dataclass(frozen=True)
class _Work:
    """What a run needs to know of its inputs.

    Attributes:
        shape: Of one latent, `(C, h, w)`.
        steps: Levels the run goes through: none where the picture is to stay.
        start: Mixed latents of the pictures `(1, C, h, w)`, or None.
        mask: `(1, 1, h, w)`, or None where everything is painted.
        wrap, steers: As in `Inputs`.
        said: What is said at each step, where that is more than the request's prompts.
    """

    shape: tuple[int, int, int]
    steps: Levels
    start: Array = None
    mask: Array = None
    wrap: tuple[bool, bool] = (False, False)
    steers: tuple[Steer, ...] = ()
    said: tuple[Said, ...] = ()


def _prepare(engine: LatentEngine, request: Any, inputs: Inputs) -> _Work:
    factor = engine.latent_factor
    size = (
        inputs.size
        if inputs.size is not None
        else (request.width // request.upscale, request.height // request.upscale)
    )
    shape = (engine.latent_channels, size[1] // factor, size[0] // factor)
    steps = levels(engine.training_schedule, request.steps, request.schedule, sampler=request.sampler)
    if request.grammar == "a1111":
        assert inputs.said is not None, "a task forgot what the prompts say"
    if inputs.pictures is None:
        said = tuple(inputs.said(steps.steps)) if inputs.said is not None else ()
        return _Work(shape, steps, wrap=inputs.wrap, steers=inputs.steers, said=said)
    pictures = engine.from_numpy(from_pixels(inputs.pictures))
    start = sum(share * engine.encode_image(pictures[k : k + 1]) for k, share in enumerate(inputs.weights))
    mask = None if inputs.mask is None else engine.from_numpy(latent_mask(inputs.mask, factor))
    steps = later(steps, inputs.strength)
    said = tuple(inputs.said(steps.steps)) if inputs.said is not None else ()
    return _Work(shape, steps, start, mask, inputs.wrap, inputs.steers, said)


def _batch(engine: LatentEngine, request: Any, work: _Work, seeds: list[int], first: int) -> Iterator[Step | Output]:
    total = work.steps.steps if request.stop is None else math.ceil(request.stop * work.steps.steps)
    where = {"index": first, "count": len(seeds), "total": request.n, "steps": total}
    yield Step(step=0, stage="encode", **where)
    latents = work.start
    for state in _denoised(engine, request, work, seeds):
        latents = state.x
        yield Step(step=state.step, preview=_preview(engine, request, state), **where)
        if state.step == total < work.steps.steps:
            latents = state.denoised
            break
    for k, seed in enumerate(seeds):
        yield Step(step=total, stage="decode", **where)
        one = latents[k : k + 1] if len(latents) > 1 else latents
        sides = [MARGIN if wrapped else 0 for wrapped in work.wrap[::-1]]
        picture = engine.decode(around(one, *sides) if any(sides) else one)
        if request.upscale > 1:
            yield Step(step=total, stage="upscale", **where)
            large = engine.upscale(picture, request.upscale)
            pixels = to_pixels(unblocked(engine.to_numpy(picture), engine.to_numpy(large)))[0]
        else:
            pixels = to_pixels(engine.to_numpy(picture))[0]
        down, right = (side * engine.latent_factor * request.upscale for side in sides)
        pixels = pixels[down : pixels.shape[0] - down, right : pixels.shape[1] - right]
        yield Output(pixels=pixels, index=first + k, seed=seed, batch=len(seeds), first=first)


def _denoised(engine: LatentEngine, request: Any, work: _Work, seeds: list[int]) -> Iterator[State]:
    """Run the sampler; the guided network sees unconditional rows first, then conditional ones."""
    if work.steps.steps == 0:
        return iter(())
    clock = Clock()
    network = spoken(engine, request, work.said, len(seeds), work.steers, clock) if work.said else None
    denoiser = predict(network or _guided(engine, request, work, len(seeds)), engine.training_schedule)
    if any(work.wrap):
        denoiser = rolled(denoiser, down=work.wrap[1], right=work.wrap[0])
    start = engine.from_numpy(_noise(request, seeds, work.shape))
    fresh = stream(seeds, work.shape)
    if work.start is not None:
        start = float(work.steps.alphas[0]) * work.start + float(work.steps.sigmas[0]) * start
    if work.mask is not None:
        denoiser = held(denoiser, work.start, work.mask)
    states = denoise(denoiser, start, work.steps, request.sampler, lambda step: engine.from_numpy(fresh(step)))
    return clock.told(states) if network is not None else states


def _noise(request: Any, seeds: list[int], shape: tuple[int, int, int]) -> Any:
    """Return the noise pictures start from, drawn together where the request says so."""
    if request.chaos is None or request.chaos == 1:
        return noise(seeds, shape)
    return gathered(seeds, shape, request.anchor if request.anchor is not None else seeds[0], request.chaos)


def _guided(engine: LatentEngine, request: Any, work: _Work, count: int) -> Network:
    """Return the network for the request's prompts as they are, the same at every step."""
    free = request.guidance == 1
    texts = [request.prompt] * count
    if not free:
        texts = [request.negative_prompt or ""] * count + texts
    conditions = engine.encode_text(texts, request)
    if work.steers:
        network = engine.steered(request, conditions, work.steers)
    else:
        network = engine.network(request, conditions)
    return network if free else guided(network, request.guidance, request.guidance_rescale)


def _preview(engine: LatentEngine, request: Any, state: State) -> Any:
    """Decode the guess so far, small: `(count, h, w, 3)` uint8, or None when nobody asked."""
    if not request.preview:
        return None
    pixels = to_pixels(engine.to_numpy(engine.decode(state.denoised)))
    step = max(1, -(-max(pixels.shape[1:3]) // PREVIEW_SIDE))
    return np.ascontiguousarray(pixels[:, ::step, ::step])
