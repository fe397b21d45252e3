"""Depth and surface normals, by a depth network whose file is given."""

from __future__ import annotations

import numpy as np

from fantascope.annotate.edges import Values
from fantascope.annotate.networks import DEPTH, Floats, Tools, open_network
from fantascope.annotate.pixels import Pixels, Plane, as_map, opencv, resized, unit
from fantascope.errors import BrokenModelFile

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pictures, RGB of 0 … 1."""

RELIEF = 1000.0
"""What the range of nearness is stretched to before slopes are taken: about what MiDaS spans, which the demo takes
as it is. Other networks span other ranges, so it is made the same for all."""

STEP = 224
"""Where the network takes any size, sides are made multiples of this: of patches of 14, 16 and 32 px."""


def depth(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Nearness, 0 (farthest) … 255 (nearest).

    Raises:
        ModelNotFound: The file is not there; the message says which and how to get it.
        BrokenModelFile: It is no such network.
    """
    return as_map(255 * unit(nearness(picture, tools)))


def normal(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Surface normals from the slopes of the depth: x, y, z of -1 … 1 as 0 … 255 in red, green, blue.

    What is farther than `background`, a share of the range of nearness, faces the viewer. The channels are in the order
    that the demo shows; it hands them to its network in reverse. Raises as `depth`.
    Source: lllyasviel/ControlNet, annotator/midas.
    """
    cv2 = opencv()
    near = unit(nearness(picture, tools))
    slopes = [cv2.Sobel(near * RELIEF, cv2.CV_32F, across, 1 - across, ksize=3) for across in (1, 0)]
    for slope in slopes:
        slope[near < values["background"]] = 0
    normals = np.stack([*slopes, np.full(near.shape, 2 * np.pi, np.float32)], 2)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    return np.clip(normals * 127.5 + 127.5, 0, 255).astype(np.uint8)


def nearness(picture: Pixels, tools: Tools) -> Plane:
    """Return what the network says, (H, W) float32 at the picture's size; more is nearer."""
    network = open_network(DEPTH, tools)
    height, width = picture.shape[:2]
    sides = network.sides or tuple(max(STEP, round(side / STEP) * STEP) for side in (height, width))
    seen = resized(picture, (sides[1], sides[0]), "cubic").astype(np.float32) / 255
    scaled: Floats = np.asarray((seen - MEAN) / DEVIATION, np.float32)
    found = network(scaled.transpose(2, 0, 1)[None])[0]
    if found.size != found.shape[-1] * found.shape[-2] or not np.isfinite(found).all():
        raise BrokenModelFile(f"{DEPTH.name} gives {found.shape}, not one map.")
    return resized(found.reshape(found.shape[-2:]).astype(np.float32), (width, height), "linear")
