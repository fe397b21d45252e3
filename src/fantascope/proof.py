"""The proof of an edit: what it left alone is what it was, byte for byte, in the sealed pixels.

The invisible mark is woven into every pixel, so an edit cannot be marked anew without changing all of them. What is
left alone keeps the mark of the first picture of the chain, and what was painted is given the same one, in step with
it: the whole picture then carries the id of the picture that it goes back to. Of a picture that was handed in the mark
is read, if it has one: it may have been made elsewhere. Without one the painted region gets the edit's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.artifact import Artifact, Output
from fantascope.provenance import mark
from fantascope.receipt import Kept
from fantascope.tasks.pixels import encode_mask, open_pixels

Pixels = npt.NDArray[np.uint8]
Window = tuple[slice, slice]

FADE = 12
"""Pixels over which the mark fades out at edges that meet."""


def prove(output: Output, parents: Sequence[Artifact], name: str, gallery: Any) -> tuple[Pixels, Kept]:
    """Mark what was painted, compare what was not with the parent, and keep the mask.

    Args:
        output: With `kept`; its parent is the first of `parents`.
        parents: Pictures of the request, the one that was edited first.
        name: Receipt id of the edit.
        gallery: Keeps the mask.

    Returns:
        The pixels to seal and the proof for the receipt.
    """
    assert output.kept is not None and parents
    touched, (left, top) = output.kept.touched, output.kept.at
    parent = open_pixels(parents[0])
    carried, origin = _carried(parents[0], parent, (left, top))
    if origin is None:
        marked, origin = output.pixels, (0, 0)
    else:
        marked = _marked(output.pixels, touched, carried or name, origin)
    there, here = _common(parent.shape, marked.shape, (left, top))
    outside = ~touched
    alone = outside[here]
    assert outside.sum() == alone.sum(), "an edit leaves alone only what lies in its picture"
    old, now = parent[there], marked[here]
    if now.shape[2] == 4 and old.shape[2] == 3:
        old = np.dstack([old, np.full(old.shape[:2], 255, np.uint8)])
    was, became = _hash(old, alone), _hash(now, alone)
    assert was == became, "an edit changed pixels outside its mask"
    mask = gallery.ingest(encode_mask(touched), "image/png", task="mask")
    kept = Kept(
        mask=mask.id,
        touched=round(float(touched.mean()), 6),
        left=left,
        top=top,
        before=was,
        after=became,
        mark=carried or (name if touched.any() and mark.can_mark(marked) else ""),
        mark_left=origin[0],
        mark_top=origin[1],
    )
    return marked, kept


def _common(parent: Sequence[int], child: Sequence[int], at: tuple[int, int]) -> tuple[Window, Window]:
    """Return the part that a parent whose corner is `at` (left, top) shares with its child, in each of them."""
    there, here = [], []
    for old, new, start in zip(parent[:2], child[:2], at[::-1], strict=True):
        first, last = max(0, start), min(new, start + old)
        here.append(slice(first, last))
        there.append(slice(first - start, last - start))
    return (there[0], there[1]), (here[0], here[1])


def soften(pixels: Pixels, marked: Pixels, axes: str) -> Pixels:
    """Return marked pixels whose mark fades out where edges meet: its period does not divide a picture's side.

    Args:
        axes: `x`, `y` or `both`, along which the picture repeats.
    """
    height, width = pixels.shape[:2]
    share: Any = np.ones((height, width, 1), np.float32)
    for length, axis, wraps in ((height, 0, axes != "x"), (width, 1, axes != "y")):
        if wraps:
            ramp = np.minimum(np.arange(length), np.arange(length)[::-1]).astype(np.float32) / FADE
            share = share * np.clip(ramp, 0, 1).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    step = (marked.astype(np.float32) - pixels) * share
    return np.asarray(np.clip(np.rint(pixels + step), 0, 255), np.uint8)


def _carried(parent: Artifact, pixels: Pixels, at: tuple[int, int]) -> tuple[str, tuple[int, int] | None]:
    """Return the mark that a parent's pixels carry, and where it is counted from on the canvas.

    Its record says so; of a picture that was handed in its pixels do. None stands for a mark that was resized: nothing
    can be woven in step with it.
    """
    receipt, start = parent.receipt, (0, 0)
    if receipt is None:
        found = mark.read(pixels)
        if found.payload is None:
            return "", (0, 0)
        if found.at is None:
            return found.payload, None
        payload, start = found.payload, found.at
    elif receipt.kept is None:
        payload = receipt.id if mark.can_mark(pixels) else ""
    else:
        payload, start = receipt.kept.mark, (receipt.kept.mark_left, receipt.kept.mark_top)
    return payload, (start[0] + at[0], start[1] + at[1]) if payload else (0, 0)


def _marked(pixels: Pixels, touched: Any, payload: str, origin: tuple[int, int]) -> Pixels:
    """Weave the mark into what was touched, in step with a mark that is counted from `origin`."""
    if not mark.can_mark(pixels) or not touched.any():
        return pixels
    # Padded so that the origin lies a whole number of periods from the corner, the pattern falls into step.
    right, down = (-side % mark.PERIOD for side in origin)
    shifted = np.pad(pixels, ((down, 0), (right, 0), (0, 0)), mode="edge")
    woven = mark.embed(shifted, payload)[shifted.shape[0] - pixels.shape[0] :, shifted.shape[1] - pixels.shape[1] :]
    return np.where(touched[..., None], woven, pixels)


def _hash(pixels: Pixels, alone: Any) -> str:
    """Return the SHA-256 of which pixels are left alone and of their channels, in reading order."""
    digest = hashlib.sha256(repr(pixels.shape).encode() + np.packbits(alone).tobytes())
    digest.update(np.ascontiguousarray(pixels[alone]).data)
    return digest.hexdigest()
