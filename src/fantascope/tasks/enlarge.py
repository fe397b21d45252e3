"""Larger pictures: the model's upscaler where it has one, and painting over at the new size to bring detail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fantascope.artifact import Artifact, Output, Step
from fantascope.core.pixels import unblocked
from fantascope.engines.base import Engine, Inputs
from fantascope.tasks.edit import unchanged
from fantascope.tasks.pixels import Pixels, opaque, open_pixels, resized
from fantascope.tasks.speech import said_of

Events = Iterator[Step | Output]

SIDE = 256
"""Largest side of what the upscaler is given at once, pixels: memory stays the same for any picture."""

OVERLAP = 16
"""Pixels by which neighbours overlap, so that no border of one is seen."""


def upscale(request: Any, engine: Engine, open_: Callable[[str], Artifact]) -> Events:
    """Enlarge a picture by `factor`: by the Spec's upscaler and Lanczos filtering for the rest, or by that alone.

    With `detail` above 0, windows of what the model paints at once are painted over at the new size with that strength.
    Alpha is enlarged by Lanczos filtering. In its own size it is given back, unless detail is wanted.
    """
    parent = open_pixels(open_(request.picture))
    size = request.width, request.height
    if size == (parent.shape[1], parent.shape[0]) and request.detail == 0:
        yield from unchanged(request, parent)
        return
    upscaler = engine.spec.upscaler if request.factor > 1 and hasattr(engine, "upscale") else None
    yield Step(0, request.steps, "upscale", total=request.n)
    large = opaque(parent)
    if upscaler is not None:
        large = _upscaled(engine, large, upscaler)
    large = resized(large, size)
    for k in range(request.n):
        one = request.replace(n=1, seed=request.seed + k)
        pixels = large
        if request.detail > 0:
            for event in _detailed(one, engine, large):
                if isinstance(event, Output):
                    pixels = event.pixels
                else:
                    yield replace(event, index=k, total=request.n)
        if parent.shape[2] == 4:
            pixels = np.dstack([pixels, resized(np.ascontiguousarray(parent[..., 3]), size)])
        yield Output(pixels, index=k, seed=one.seed, painted=request.detail > 0 or upscaler is not None)


def _upscaled(engine: Any, pixels: Pixels, factor: int) -> Pixels:
    """Run the upscaler over windows of a picture and join them."""
    height, width = pixels.shape[:2]
    out = np.zeros((height * factor, width * factor, 3), np.uint8)
    for top, bottom in spans(height, SIDE, OVERLAP):
        for left, right in spans(width, SIDE, OVERLAP):
            window = pixels[top:bottom, left:right].astype(np.float32) / 127.5 - 1
            array = engine.from_numpy(window.transpose(2, 0, 1)[None])
            large = unblocked(engine.to_numpy(array), engine.to_numpy(engine.upscale(array, factor)))
            large = large[0].transpose(1, 2, 0)
            part = np.clip(np.rint(large * 127.5 + 127.5), 0, 255).astype(np.uint8)
            up, down = (OVERLAP // 2 if top else 0), (OVERLAP // 2 if bottom < height else 0)
            west, east = (OVERLAP // 2 if left else 0), (OVERLAP // 2 if right < width else 0)
            out[(top + up) * factor : (bottom - down) * factor, (left + west) * factor : (right - east) * factor] = (
                part[up * factor : part.shape[0] - down * factor, west * factor : part.shape[1] - east * factor]
            )
    return out


def _detailed(request: Any, engine: Engine, large: Pixels) -> Events:
    """Paint a picture over in windows of the model's own size and join them with soft edges."""
    height, width = large.shape[:2]
    side = engine.spec.sizes.native * request.upscale
    lap = side // 4
    total, weight = np.zeros(large.shape, np.float32), np.zeros((height, width, 1), np.float32)
    windows = [(a, b) for a in spans(height, side, lap) for b in spans(width, side, lap)]
    done = 0
    for (top, bottom), (left, right) in windows:
        part = large[top:bottom, left:right]
        size = right - left, bottom - top
        work = engine.spec.sizes.working(*size)
        inputs = Inputs(size=work, pictures=resized(part, work)[None], strength=request.detail, said=said_of(request))
        for event in engine.render(request, inputs):
            if isinstance(event, Output):
                ramp = np.outer(_ramp(size[1], lap), _ramp(size[0], lap))[..., None]
                total[top:bottom, left:right] += resized(event.pixels, size) * ramp
                weight[top:bottom, left:right] += ramp
            else:
                yield replace(event, step=done + event.step, steps=event.steps * len(windows), preview=None)
        done += max(1, round(request.steps * request.detail))
    yield Output(np.clip(np.rint(total / weight), 0, 255).astype(np.uint8), index=0, seed=request.seed)


def _ramp(length: int, lap: int) -> Any:
    rise = np.minimum(np.arange(length) + 1, np.arange(length)[::-1] + 1) / max(1, lap)
    return np.clip(rise, 0, 1).astype(np.float32)


def spans(length: int, side: int, lap: int) -> list[tuple[int, int]]:
    """Cut 0 … length into windows of at most `side` that overlap by `lap` or more, even in length."""
    if length <= side:
        return [(0, length)]
    count = math.ceil((length - lap) / (side - lap))
    starts = [round(k * (length - side) / (count - 1)) for k in range(count)]
    return [(start, start + side) for start in starts]
