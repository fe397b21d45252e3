"""Edges and scribbles: white on black.

`canny`, `softedge`, `xdog`, `scribble` and `fake_scribble` need no weights; `hed` and `scribble_hed` run a network
whose file is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fantascope.annotate.networks import HED, Tools, open_network
from fantascope.annotate.pixels import Pixels, Plane, as_map, chance, grey, opencv, resized

Values = Mapping[str, Any]
"""Checked parameters of one call, all of them."""

SCALES = (0.8, 1.6, 3.2)
"""Blurs of the soft edge, px."""

STRONG = 99.0
"""Percentile of the soft edge's strengths that becomes white."""

FLAT = 6.0
"""Strength below which the strongest edge of a picture is noise."""

CONTRAST = 32
"""Levels of light that a drawing spans at least."""

THINNED = 127
"""Level of a soft edge that `fake_scribble` follows."""


def canny(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Thin edges, 0 or 255. Source: Canny, "A computational approach to edge detection" (1986)."""
    return as_map(opencv().Canny(picture, values["low"], values["high"]))


def softedge(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Soft edges, 0 … 255: the mean of Scharr gradients of the smoothed Lab picture at three scales.

    A bilateral filter goes first, so that texture does not count; Tomasi & Manduchi (1998).
    """
    return as_map(_soft(picture, values["smooth"]))


def hed(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Soft edges by the network, 0 … 255. Source: Xie & Tu, "Holistically-nested edge detection" (2015).

    Raises:
        ModelNotFound: The file is not there; the message says which and how it is made.
        BrokenModelFile: It is no such network.
    """
    return as_map(_hed(picture, tools))


def xdog(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Ink of a drawing, 0 or 255: where the difference of two blurs passes the threshold.

    Source: Winnemöller, Kyprianidis & Olsen, "XDoG" (2012), thresholded as by the WebUI's `scribble_xdog`.
    """
    cv2 = opencv()
    near, far = (cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma) for sigma in (0.5, 5.0))
    ink = np.max(far - near, axis=2)
    return as_map(np.where(2 * np.clip(ink, 0, 255) > values["threshold"], 255, 0))


def scribble(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """A drawing by hand, taken as it is: binarised, white on black, 0 or 255.

    Dark strokes on light paper and light ones on dark are told apart by the paper, which covers most of the picture;
    `strokes` settles it otherwise. The darkest (lightest) channel counts, so that coloured pens do, too.
    """
    light = values["strokes"] == "dark"
    if values["strokes"] == "auto":
        light = float(np.median(grey(picture))) >= 128
    ink = 255 - picture.min(2) if light else picture.max(2)
    if int(ink.max()) - int(ink.min()) < CONTRAST:
        return as_map(np.zeros(ink.shape, np.uint8))
    return as_map(np.where(ink >= 255 - values["threshold"] if light else ink >= values["threshold"], 255, 0))


def fake_scribble(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Strokes as if drawn by hand, 0 or 255, from `softedge`."""
    return as_map(_strokes(_soft(picture, values["smooth"]), values["thickness"]))


def scribble_hed(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Strokes as if drawn by hand, 0 or 255, from `hed`. Raises as `hed` does."""
    return as_map(_strokes(_hed(picture, tools), values["thickness"]))


def _soft(picture: Pixels, smooth: float) -> Plane:
    cv2 = opencv()
    calm = picture if smooth == 0 else cv2.bilateralFilter(picture, 7, float(smooth), 3.0)
    lab = cv2.cvtColor(calm, cv2.COLOR_RGB2LAB).astype(np.float32)
    total = np.zeros(picture.shape[:2], np.float32)
    for sigma in SCALES:
        blurred = cv2.GaussianBlur(lab, (0, 0), sigma)
        across, down = cv2.Scharr(blurred, cv2.CV_32F, 1, 0), cv2.Scharr(blurred, cv2.CV_32F, 0, 1)
        total += cv2.magnitude(across, down).max(2) * (sigma / 16)
    total /= len(SCALES)
    strongest = max(float(np.percentile(total, STRONG)), FLAT)
    return np.asarray(255 * np.clip(total / strongest, 0, 1), np.float32)


def _hed(picture: Pixels, tools: Tools) -> Plane:
    """Mean of the network's side outputs, as a chance, times 255."""
    height, width = picture.shape[:2]
    network = open_network(HED, tools)
    sides = network(picture.astype(np.float32).transpose(2, 0, 1)[None])
    maps = [resized(side.reshape(side.shape[-2:]), (width, height), "linear") for side in sides]
    return np.asarray(255 * chance(np.mean(maps, 0)), np.float32)


def _strokes(soft: Plane, thickness: float) -> Plane:
    """Thin a soft edge to its ridges and draw them thick and a little smoothed, as the original demo does.

    Source: `nms` of lllyasviel/ControlNet, annotator/hed.
    """
    cv2 = opencv()
    blurred = cv2.GaussianBlur(soft.astype(np.float32), (0, 0), 3.0)
    ridges = np.zeros(soft.shape, np.uint8)
    flat, falling = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]], np.uint8), np.eye(3, dtype=np.uint8)
    for kernel in (flat, flat.T, falling, falling[::-1]):
        ridges[(cv2.dilate(blurred, np.ascontiguousarray(kernel)) == blurred) & (blurred > THINNED / 2)] = 255
    thick = cv2.GaussianBlur(ridges, (0, 0), float(thickness))
    return np.where(thick > 4, 255, 0).astype(np.uint8)
