"""Cutouts: what stands before a plain or smooth background, on transparency."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fantascope.artifact import Artifact, Kept, Output, Step
from fantascope.engines.base import Engine, Inputs
from fantascope.errors import InvalidPicture
from fantascope.tasks.composite import spread
from fantascope.tasks.pixels import Pixels, box_of, opaque, open_pixels

Events = Iterator[Step | Output]
Floats = npt.NDArray[np.float32]

FRAME = 0.02
"""Width of the strip along the border that is taken for background, as a share of the shorter side."""

LEAST = 0.002
"""Share of the picture that a thing must cover."""


def cutout(request: Any, engine: Engine, open_: Callable[[str], Artifact]) -> Events:
    """Cut the thing out of a picture, or paint one for the purpose first.

    Raises:
        InvalidPicture: nothing stands out from the background.
    """
    if request.picture is not None:
        pixels = open_pixels(open_(request.picture))
        out = cut(pixels, request.tolerance)
        # Inside the thing every pixel is the picture's own.
        kept = Kept((out[..., : pixels.shape[2]] != pixels).any(2) | (pixels.shape[2] == 3) & (out[..., 3] < 255))
        if request.crop:
            left, top, right, bottom = box_of(out[..., 3] > 0)
            window = (slice(top, bottom), slice(left, right))
            out, kept = np.ascontiguousarray(out[window]), Kept(kept.touched[window], (-left, -top))
        for k in range(request.n):
            yield Output(out, k, request.seed + k, kept=kept, painted=False)
        return
    for event in engine.render(request, Inputs()):
        if isinstance(event, Output):
            event = replace(event, pixels=cut(event.pixels, request.tolerance, request.crop))
        yield event


def cut(pixels: Pixels, tolerance: float, crop: bool = False) -> Pixels:
    """Return `(H, W, 4)`: what differs from the background by more than `tolerance` (0 … 1), with soft edges.

    The background is what the border is like, carried smoothly over the whole picture, and what is joined to the
    border: a hole inside the thing stays the thing's. At the edge the background's colour is taken out of the pixels.
    What stands before transparency already stays as it is.

    Raises:
        InvalidPicture: nothing stands out.
    """
    if pixels.shape[2] == 4 and _stands_free(pixels[..., 3]):
        return _cropped(pixels) if crop else pixels.copy()
    flat = opaque(pixels)
    height, width = flat.shape[:2]
    strip = max(1, round(FRAME * min(height, width)))
    inside = np.zeros((height, width), bool)
    inside[strip : height - strip, strip : width - strip] = True
    if not inside.any():
        raise InvalidPicture(f"A picture of {width}x{height} pixels is too small to cut anything out.", param="picture")
    back = spread(flat, inside).astype(np.float32)
    far = np.sqrt(((flat.astype(np.float32) - back) ** 2).mean(2)) / 255
    ground = _joined(far <= tolerance)
    if (~ground).mean() < LEAST:
        raise InvalidPicture(
            "Nothing stands out from the background.",
            param="picture",
            hint="Lower --tolerance, or take a picture with a plain background.",
        )
    alpha, colour = _edges(flat, back, ground, max(2, min(height, width) // 128))
    if pixels.shape[2] == 4:
        alpha = np.minimum(alpha, pixels[..., 3].astype(np.float32) / 255)
    out = np.dstack([colour, np.rint(alpha * 255).astype(np.uint8)])
    return _cropped(out) if crop else out


def _stands_free(alpha: Any) -> bool:
    """Say whether most of the border of `alpha (H, W)` is clear and something inside is not."""
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return bool((border == 0).mean() > 0.5 and (alpha > 0).mean() >= LEAST)


def healed(flat: Pixels, mask: Any, tolerance: float) -> Pixels:
    """Return `(H, W, 3)` with the ground spread over a region `(H, W)`: other things beside it do not bleed into it."""
    hidden = mask > 0
    try:
        ground = cut(flat, tolerance)[..., 3] == 0
    except InvalidPicture:
        ground = np.ones(hidden.shape, bool)
    known = ground & ~hidden
    if not known.any():
        known = ground if ground.any() else ~hidden
    return np.where(hidden[..., None], spread(flat, ~known), flat)


def _edges(flat: Pixels, back: Floats, ground: npt.NDArray[np.bool_], band: int) -> tuple[Floats, Pixels]:
    """Return alpha `(H, W)` and colours `(H, W, 3)`: an edge pixel is taken for a mixture of thing and background.

    The thing's colour there is that of its inside, spread to the edge; alpha says how far the pixel is on the way from
    the background's colour to it (the closed form of a mixture of two known colours).
    """
    thing = Image.fromarray(np.where(ground, 0, 255).astype(np.uint8))
    inner = np.asarray(thing.filter(ImageFilter.MinFilter(2 * band + 1))) > 0
    near = (np.asarray(thing.filter(ImageFilter.MaxFilter(2 * (band // 2) + 1))) > 0) & ~inner
    if not inner.any():
        inner, near = ~ground, np.zeros_like(ground)
    own = spread(flat, ~inner).astype(np.float32)
    way = own - back
    share = ((flat - back) * way).sum(2) / np.maximum((way**2).sum(2), 1.0)
    alpha = np.where(inner, 1, np.where(near, np.clip(share, 0, 1), 0)).astype(np.float32)
    alpha[alpha < 1 / 32] = 0
    # Part of the thing that its inside knows nothing of, such as a thin limb, keeps its own colour.
    other = near & ~ground & (np.abs(own * share[..., None] + back * (1 - share[..., None]) - flat).max(2) > 40)
    alpha[other] = 1
    colour = np.where((inner | other)[..., None], flat, np.clip(np.rint(own), 0, 255)).astype(np.uint8)
    return alpha, colour


def _joined(close: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the part of `close` that is joined to the border, row by row and column by column until nothing grows."""
    found = np.zeros_like(close)
    found[[0, -1]], found[:, [0, -1]] = close[[0, -1]], close[:, [0, -1]]
    while True:
        before = int(found.sum())
        for axis in (0, 1):
            for way in (slice(None), slice(None, None, -1)):
                seen = np.flip(found, axis) if way.step else found
                free = np.flip(close, axis) if way.step else close
                grown = _swept(seen, free, axis)
                found = np.flip(grown, axis) if way.step else grown
        if int(found.sum()) == before:
            return found


def _swept(seen: npt.NDArray[np.bool_], free: npt.NDArray[np.bool_], axis: int) -> npt.NDArray[np.bool_]:
    """Let what is seen run along an axis through what is free: a running maximum that walls reset."""
    length = seen.shape[axis]
    at = np.arange(length).reshape((-1, 1) if axis == 0 else (1, -1))
    source = np.maximum.accumulate(np.where(seen & free, at, -1), axis)
    wall = np.maximum.accumulate(np.where(free, -1, at), axis)
    return np.asarray(free & (source > wall))


def _cropped(pixels: Pixels) -> Pixels:
    left, top, right, bottom = box_of(pixels[..., 3] > 0)
    return np.ascontiguousarray(pixels[top:bottom, left:right])
