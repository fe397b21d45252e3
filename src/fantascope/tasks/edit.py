"""Edits of a picture: each prepares what painting starts from, paints, and puts the result where it belongs.

What a mask leaves alone keeps its pixels: `Output.kept` says which, and the studio proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fantascope.artifact import Artifact, Kept, Output, Step
from fantascope.engines.base import Engine, Inputs
from fantascope.tasks.composite import composite, spread
from fantascope.tasks.control import Steering, steering
from fantascope.tasks.pixels import (
    Mask,
    Pixels,
    box_of,
    opaque,
    open_mask,
    open_pixels,
    own_mask,
    resized,
    resized_mask,
)
from fantascope.tasks.speech import said_of

Open = Callable[[str], Artifact]
Events = Iterator[Step | Output]

PAD = 0.12
"""What is painted around a region at full resolution, as a share of its larger side: the model sees where it is."""


def vary(request: Any, engine: Engine, open_: Open) -> Events:
    """Paint `n` pictures like the given one: from its latents, noised by `strength`. Strength 0 changes nothing."""
    parent = open_pixels(open_(request.picture))
    size = parent.shape[1], parent.shape[0]
    if request.strength == 0:
        yield from unchanged(request, parent)
        return
    work = engine.spec.sizes.working(*size)
    inputs = Inputs(
        size=work,
        pictures=resized(opaque(parent), work)[None],
        strength=request.strength,
        steers=steering(request, open_)(work, None, None),
        said=said_of(request),
    )
    for event in engine.render(request, inputs):
        yield replace(event, pixels=resized(event.pixels, size)) if isinstance(event, Output) else event


def fill(request: Any, engine: Engine, open_: Open) -> Events:
    """Paint the masked region anew; see `repaint`.

    Raises:
        InvalidValue: the mask has another size, marks nothing, or there is none.
    """
    parent = open_pixels(open_(request.picture))
    mask = find_mask(request, parent, open_)
    yield from repaint(request, engine, parent, mask, request.region, steers=steering(request, open_))


def expand(request: Any, engine: Engine, open_: Open) -> Events:
    """Paint on beyond the edges; with `zoom` the picture is made smaller first, in a file of its size."""
    parent = open_pixels(open_(request.picture))
    height, width = parent.shape[:2]
    if request.zoom is not None:
        inner = max(1, round(width / request.zoom)), max(1, round(height / request.zoom))
        shrunk = resized(parent, inner)
        at = (width - inner[0]) // 2, (height - inner[1]) // 2
        for event in _around(request, engine, shrunk, at, (width, height)):
            # The picture was resampled: nothing of it is byte for byte what it was.
            yield replace(event, kept=None) if isinstance(event, Output) else event
        return
    left, top, right, bottom = request.sides(width, height)
    yield from _around(request, engine, parent, (left, top), (width + left + right, height + top + bottom))


def _around(request: Any, engine: Engine, picture: Pixels, at: tuple[int, int], size: tuple[int, int]) -> Events:
    """Paint around a picture that lies at `at` on a canvas of `size`."""
    (left, top), (height, width) = at, picture.shape[:2]
    canvas = np.zeros((size[1], size[0], picture.shape[2]), np.uint8)
    canvas[top : top + height, left : left + width] = picture
    mask = np.ones((size[1], size[0]), np.float32)
    mask[top : top + height, left : left + width] = 0
    flat = np.ascontiguousarray(canvas[..., :3])
    flat[top : top + height, left : left + width] = opaque(picture)
    start = spread(flat, mask > 0)
    canvas[mask > 0, :3] = start[mask > 0]
    if picture.shape[2] == 4:
        canvas[mask > 0, 3] = 255
    for event in repaint(request, engine, canvas, mask, "whole", start):
        kept = Kept(mask > 0, at)
        yield replace(event, kept=kept) if isinstance(event, Output) else event


def blend(request: Any, engine: Engine, open_: Open) -> Events:
    """Mix the latents of two to five pictures and paint the mixture over."""
    work = request.width // request.upscale, request.height // request.upscale
    pictures = np.stack([_covering(opaque(open_pixels(open_(one))), work) for one in request.pictures])
    weights = request.weights if request.weights is not None else (1.0,) * len(pictures)
    shares = tuple(weight / sum(weights) for weight in weights)
    inputs = Inputs(size=work, pictures=pictures, weights=shares, strength=request.strength, said=said_of(request))
    yield from engine.render(request, inputs)


def _covering(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Cut the middle of a picture to the shape of `size` and bring it to that size."""
    height, width = pixels.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    wide, high = min(width, max(1, round(size[0] / scale))), min(height, max(1, round(size[1] / scale)))
    left, top = (width - wide) // 2, (height - high) // 2
    return resized(pixels[top : top + high, left : left + wide], size)


def tile(request: Any, engine: Engine, open_: Open) -> Events:
    """Paint a picture whose edges meet: late in a run the loop sees it shifted by half, every other step."""
    work = request.width // request.upscale, request.height // request.upscale
    wrap = request.axes in ("x", "both"), request.axes in ("y", "both")
    if request.picture is None:
        yield from engine.render(request, Inputs(size=work, wrap=wrap, said=said_of(request)))
        return
    picture = _covering(opaque(open_pixels(open_(request.picture))), work)[None]
    inputs = Inputs(size=work, pictures=picture, strength=request.strength, wrap=wrap, said=said_of(request))
    yield from engine.render(request, inputs)


def find_mask(request: Any, parent: Pixels, open_: Open) -> Mask:
    """Return where to edit `(H, W)` in 0 … 1: the request's mask, else the picture's own transparent part."""
    size = parent.shape[1], parent.shape[0]
    return own_mask(parent) if request.mask is None else open_mask(open_(request.mask), size)


def repaint(
    request: Any,
    engine: Engine,
    parent: Pixels,
    mask: Mask,
    region: str = "whole",
    start: Pixels | None = None,
    steers: Steering | None = None,
) -> Events:
    """Paint the masked region of a picture anew; outside it no pixel changes.

    Args:
        request: Resolved; its prompt says what the whole picture shows.
        engine: Paints.
        parent: `(H, W, 3 or 4)`.
        mask: `(H, W)` in 0 … 1, 1 = paint.
        region: `whole` paints the whole picture at the model's size and keeps the region of it; `masked` does so with
            the region and what is around it, so that a small region gets all of the model's resolution.
        start: `(H, W, 3)`, what the region is painted over where strength is below 1; the parent if not given.
        steers: The request's maps.
    """
    if _strength(request) == 0:
        yield from unchanged(request, parent)
        return
    left, top, right, bottom = _box(mask) if region == "masked" else (0, 0, parent.shape[1], parent.shape[0])
    source = (opaque(parent) if start is None else start)[top:bottom, left:right]
    part = mask[top:bottom, left:right]
    size = right - left, bottom - top
    work = engine.spec.sizes.working(*size)
    inputs = Inputs(
        size=work,
        pictures=resized(source, work)[None],
        strength=_strength(request),
        mask=resized_mask(part, work),
        steers=() if steers is None else steers(work, (left, top, right, bottom), (parent.shape[1], parent.shape[0])),
        said=said_of(request),
    )
    for event in engine.render(request, inputs):
        if isinstance(event, Output):
            whole = opaque(parent).copy()
            whole[top:bottom, left:right] = resized(event.pixels, size)
            pixels = composite(parent, whole, mask, request.feather)
            event = replace(event, pixels=pixels, kept=Kept(mask > 0))
        yield event


def _strength(request: Any) -> float:
    """Return how much is painted over; a task without that field paints all of it."""
    return float(getattr(request, "strength", 1.0))


def unchanged(request: Any, parent: Pixels) -> Events:
    """Give the picture back: strength 0 paints nothing."""
    nothing = np.zeros(parent.shape[:2], bool)
    for k in range(request.n):
        yield Output(parent, index=k, seed=request.seed + k, kept=Kept(nothing), painted=False)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of a square around what is marked, as far as the picture has room."""
    left, top, right, bottom = box_of(mask > 0)
    height, width = mask.shape
    side = max(right - left, bottom - top)
    side = min(max(side + 2 * round(PAD * side), 64), max(height, width))
    x, y = (left + right - side) // 2, (top + bottom - side) // 2
    wide, high = min(side, width), min(side, height)
    x, y = min(max(0, x), width - wide), min(max(0, y), height - high)
    return x, y, x + wide, y + high
