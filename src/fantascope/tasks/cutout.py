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
from fantascope.tasks.pixels import Pixels, box_of, opaque, open_pixels, parts

Events = Iterator[Step | Output]
Floats = npt.NDArray[np.float32]

FRAME = 0.02
"""Width of the strip along the border that is taken for background, as a share of the shorter side."""

LEAST = 0.002
"""Share of the picture that a thing must cover."""

HOLE = 0.003
"""Share of a thing's outline from which what is enclosed and like the ground is a hole; below it is a spot."""

PALE, PALE_HOLE = 215.0, (0.03, 0.35)
"""Darkest channel from which a ground is pale: the white of an eye and the body of a drawing in lines are like it, so
there a hole has at least and at most these shares of the thing's outline."""

MOST_CELLS = 512
"""Longest side at which parts are told apart."""

SPECK = 0.02
"""Share of the largest thing from which another part is a thing, too, where specks are left out."""


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


def cut(pixels: Pixels, tolerance: float, crop: bool = False, specks: bool = True) -> Pixels:
    """Return `(H, W, 4)`: what differs from the background by more than `tolerance` (0 … 1), with soft edges.

    The background is what the border is like, carried smoothly over the whole picture, where it is joined to the border
    or seen through a hole of the thing (`HOLE`, `PALE_HOLE`). At the edge its colour is taken out of the pixels. What
    stands before transparency already stays as it is.

    Args:
        specks: Whether parts that are tiny beside the largest one (stars, snow) are things, too.

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
    close = far <= tolerance
    ground = _joined(close)
    ground |= _holes(close & ~ground, ground, back)
    if not specks:
        ground |= _specks(~ground)
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


def _holes(enclosed: npt.NDArray[np.bool_], ground: npt.NDArray[np.bool_], back: Floats) -> npt.NDArray[np.bool_]:
    """Return the part of what is enclosed in things, and like the ground, that the ground is seen through.

    Args:
        enclosed: `(H, W)`, not joined to the border.
        ground: `(H, W)`, joined to it.
        back: `(H, W, 3)`, what the ground is like everywhere.
    """
    if not enclosed.any():
        return enclosed
    shrink = -(-max(enclosed.shape) // MOST_CELLS)
    names, things = parts(_blocks(enclosed, shrink)), parts(_blocks(enclosed | ~ground, shrink))
    firsts = np.unique(names, return_index=True)[1][-int(names.max()) :]
    sizes = np.bincount(_large(names, shrink, enclosed.shape)[enclosed])
    share = sizes[1:] / shrink**2 / np.bincount(things.ravel())[things.ravel()[firsts]]
    pale = back[::shrink, ::shrink].reshape(-1, 3)[firsts].min(1) >= PALE
    holes = np.where(pale, (share >= PALE_HOLE[0]) & (share <= PALE_HOLE[1]), share >= HOLE)
    return np.asarray(enclosed & _large(np.append(False, holes)[names], shrink, enclosed.shape))


def _specks(thing: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the parts of `thing (H, W)` that are tiny beside its largest one."""
    shrink = -(-max(thing.shape) // MOST_CELLS)
    names = parts(_blocks(thing, shrink))
    sizes = np.bincount(names.ravel())
    sizes[0] = 0
    return np.asarray(thing & _large((sizes < SPECK * sizes.max())[names], shrink, thing.shape))


def _blocks(marked: npt.NDArray[np.bool_], side: int) -> npt.NDArray[np.bool_]:
    """Return which blocks of `side` by `side` pixels hold something marked."""
    if side == 1:
        return marked
    padded = np.pad(marked, ((0, -marked.shape[0] % side), (0, -marked.shape[1] % side)))
    return np.asarray(padded.reshape(padded.shape[0] // side, side, -1, side).any((1, 3)))


def _large(blocks: Any, side: int, shape: tuple[int, ...]) -> Any:
    """Return what stands in blocks of `side` by `side` pixels for every pixel `(H, W)`."""
    return np.repeat(np.repeat(blocks, side, 0), side, 1)[: shape[0], : shape[1]]


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
    inner = np.asarray(_often(thing, ImageFilter.MinFilter(3), band)) > 0
    near = (np.asarray(_often(thing, ImageFilter.MaxFilter(3), band // 2)) > 0) & ~inner
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


def _often(picture: Image.Image, small: Any, times: int) -> Image.Image:
    """Filter again and again: the same as once with a window of `2 * times + 1`, whose cost grows with its square."""
    for _ in range(times):
        picture = picture.filter(small)
    return picture


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
