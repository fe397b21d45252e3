"""Putting what was painted into the picture it belongs to: outside the region no pixel changes, inside no seam shows.

Two things are done inside the region: what differs in tone at its border is taken off the painted pixels, spread
smoothly over the region (a membrane: Pérez, Gangnet & Blake, "Poisson image editing" (2003), section 2, solved by the
pull-push pyramid of Gortler et al., "The lumigraph" (1996), section 3.4), and the edge is soft.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

BAND = 6
"""Pixels beside the border whose difference in tone counts."""

MOST = 48.0
"""Largest difference in tone that is taken for a matter of tone, of 255; a larger one is another thing."""


def composite(parent: Pixels, painted: Pixels, mask: Any, feather: int) -> Pixels:
    """Return `parent` with `painted` where `mask` says.

    Args:
        parent: `(H, W, 3 or 4)`; where it is edited it becomes opaque.
        painted: `(H, W, 3)`.
        mask: `(H, W)` float 0 … 1.
        feather: Width of the soft edge in pixels, inside the region.

    Returns:
        `(H, W, 3 or 4)`: where the mask is 0, every channel is the parent's, byte for byte.
    """
    touched = mask > 0
    share = (soft(touched, feather) * mask)[..., None]
    base, new = parent[..., :3].astype(np.float32), painted.astype(np.float32)
    if touched.any() and not touched.all():
        # What is transparent has colours that nobody sees: they say nothing of the tone.
        seen = parent[..., 3] == 255 if parent.shape[2] == 4 else np.ones_like(touched)
        new = new + tone(base - new, touched, seen)
    mixed = np.clip(np.rint(base + (new - base) * share), 0, 255).astype(np.uint8)
    out = parent.copy()
    out[..., :3] = np.where(touched[..., None], mixed, parent[..., :3])
    if parent.shape[2] == 4:
        clear = parent[..., 3] < 255
        out[..., :3] = np.where(
            (touched & clear)[..., None], np.clip(np.rint(new), 0, 255).astype(np.uint8), out[..., :3]
        )
        out[..., 3] = np.where(touched, 255, parent[..., 3])
    return out


def soft(touched: Any, feather: int) -> Floats:
    """Return `(H, W)` float32 that rises from near 0 at the region's border to 1, `feather` pixels inside it.

    The border of the picture is no border of the region; a region thinner than that has a thinner edge.
    """
    if feather <= 0 or touched.all():
        return np.asarray(touched, np.float32)
    inner = Image.fromarray(np.pad(np.where(touched, 255, 0).astype(np.uint8), 1, mode="edge"))
    total, rounds = np.zeros(touched.shape, np.float32), 0
    for _ in range(feather):
        layer = np.asarray(inner)[1:-1, 1:-1] > 0
        if not layer.any():
            break
        total, rounds = total + layer, rounds + 1
        inner = inner.filter(ImageFilter.MinFilter(3))
    return np.asarray(total / max(1, rounds), np.float32)


def tone(difference: Floats, touched: Any, seen: Any) -> Floats:
    """Return `(H, W, 3)`: the difference just outside the region, where it is `seen`, spread over its inside."""
    near = Image.fromarray(np.where(touched, 255, 0).astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * BAND + 1))
    small = np.abs(difference).max(2) <= MOST
    known = ((np.asarray(near) > 0) & ~touched & small & seen).astype(np.float32)
    if not known.any():
        return np.zeros_like(difference)
    return _spread(difference * known[..., None], known)


def spread(pixels: Pixels, hidden: Any) -> Pixels:
    """Return `(H, W, 3)` whose `hidden` part is the tones around it, spread smoothly."""
    known = (~hidden).astype(np.float32)
    if not known.any():
        return pixels
    smooth = _spread(pixels.astype(np.float32) * known[..., None], known)
    return np.asarray(np.where(hidden[..., None], np.clip(np.rint(smooth), 0, 255), pixels), np.uint8)


def _spread(values: Floats, weights: Floats) -> Floats:
    """Fill `values (H, W, C)`, known where `weights (H, W)` is 1, smoothly; both are sums over what they cover."""
    height, width = weights.shape
    if (height == 1 and width == 1) or bool((weights > 0).all()):
        return np.asarray(values / np.maximum(weights, 1e-6)[..., None], np.float32)
    pad = ((0, height % 2), (0, width % 2))
    v, w = np.pad(values, (*pad, (0, 0))), np.pad(weights, pad)
    v = v[::2, ::2] + v[1::2, ::2] + v[::2, 1::2] + v[1::2, 1::2]
    w = w[::2, ::2] + w[1::2, ::2] + w[::2, 1::2] + w[1::2, 1::2]
    scale = np.maximum(w, 1.0)
    coarse = _spread(np.asarray(v / scale[..., None], np.float32), np.asarray(w / scale, np.float32))
    high, wide = coarse.shape[:2]
    fine = np.stack(
        [
            np.asarray(Image.fromarray(coarse[..., k]).resize((wide * 2, high * 2), Image.Resampling.BILINEAR))
            for k in range(coarse.shape[2])
        ],
        -1,
    )[:height, :width]
    kept = np.minimum(weights, 1.0)[..., None]
    own = values / np.maximum(weights, 1e-6)[..., None]
    return np.asarray(kept * own + (1 - kept) * fine, np.float32)
