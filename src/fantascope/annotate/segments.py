"""Colour maps of what is where.

`segmentation` takes a map that exists; `regions` makes one without a network: it finds regions by colour, and gives one
the colour of an ADE20K class only where something that knows says what it is. ControlNets for segmentation were trained
on those colours; Zhou et al., "Scene parsing through ADE20K" (2017).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from fantascope.annotate.edges import Values
from fantascope.annotate.networks import Look, Tools
from fantascope.annotate.pixels import Pixels, opencv
from fantascope.errors import InvalidPicture

KNOWN = 128
"""Side of the square in which `look` gives boxes, px."""

SURE = 0.5
"""Score of a thing, and chance that it is of a class, from which it names regions."""

INSIDE, FILLS = 0.8, 0.1
"""Share of a region that lies in the thing's box, and of the box that the region fills, to get its name."""

MOST_COLOURS = 256
"""A colour map has fewer colours than that; a photo has thousands."""

Colour = tuple[int, int, int]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Region:
    """One region.

    Attributes:
        label: Its number in the labels.
        area: Px.
        kind: ADE20K class, or None where nothing says what it is.
        colour: In the map.
    """

    label: int
    area: int
    kind: str | None
    colour: Colour


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, Colour], dict[str, str]]:
    data = tomllib.loads(files("fantascope.annotate").joinpath("ade20k.toml").read_text("utf-8"))
    colours = {name: (int(c[0]), int(c[1]), int(c[2])) for name, c in data["colours"].items()}
    return colours, {kind: name for name, kinds in data["kinds"].items() for kind in kinds}


def palette() -> dict[str, Colour]:
    """Return the 150 classes of ADE20K and their colours, in order. Two greys are shared by two classes each."""
    return dict(_table()[0])


def class_of(kind: str) -> str | None:
    """Return the ADE20K class of a kind that the detector knows, `cat` -> `animal`; None where there is none."""
    return _table()[1].get(kind, kind if kind in _table()[0] else None)


def segmentation(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Pass a colour map on: every colour that is within `tolerance` of one of the 150 becomes exactly that one.

    Black stays: it is nothing known.

    Raises:
        InvalidPicture: It is a photo, or has colours that mean nothing; the message names the commonest.
    """
    flat = picture.reshape(-1, 3)
    packed = flat.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    codes, where, counts = np.unique(packed, return_inverse=True, return_counts=True)
    if len(codes) > MOST_COLOURS:
        raise InvalidPicture(
            f"This is a picture with {len(codes)} colours, not a segmentation map; such a map has one colour of the "
            "ADE20K palette for each class.",
            param="control",
            hint="No segmentation network comes along: draw a map, or use `regions`, which finds regions by colour.",
        )
    given = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1).astype(np.int32)
    known = np.array([*palette().values(), (0, 0, 0)], np.int32)
    away = np.abs(given[:, None] - known[None]).max(2)
    if (away.min(1) > values["tolerance"]).any():
        worst = max(np.flatnonzero(away.min(1) > values["tolerance"]), key=lambda k: counts[k])
        red, green, blue = map(int, given[worst])
        near = [*palette(), "nothing"][int(away[worst].argmin())]
        raise InvalidPicture(
            f"The colour #{red:02x}{green:02x}{blue:02x} ({counts[worst]} px) is none of the ADE20K palette; "
            f"the nearest is {near!r}, #{bytes(known[away[worst].argmin()].tolist()).hex()}.",
            param="control",
        )
    exact: Pixels = known[away.argmin(1)].astype(np.uint8)[where.reshape(-1)].reshape(picture.shape)
    return exact


def regions(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """A map of regions, each of one colour: a class's where `tools.look` names it, else one that means nothing."""
    labels, found = find_regions(picture, values["colour"], values["least"], tools.look)
    colours = np.zeros((len(found) + 1, 3), np.uint8)
    for region in found:
        colours[region.label] = region.colour
    return colours[labels]


def find_regions(
    picture: Pixels, colour: float = 12.0, least: float = 0.002, look: Look | None = None
) -> tuple[Labels, list[Region]]:
    """Find regions of even colour: mean shift evens them out, flat parts become seeds, a watershed grows them.

    Args:
        picture: (H, W, 3) uint8.
        colour: How different colours may be that are made one, in levels of 255.
        least: Share of the picture that a region has at least.
        look: What names things; a region gets the name of the smallest thing that it lies in and fills enough of.

    Returns:
        Labels (H, W) int32, 1 … N, and the N regions, in the order of their labels.

    Sources: Comaniciu & Meer, "Mean shift" (2002); Meyer, "Color image segmentation" (1992).
    """
    cv2 = opencv()
    even = cv2.pyrMeanShiftFiltering(picture, 8, colour, maxLevel=2)
    kernel = np.ones((3, 3), np.uint8)
    slope = cv2.morphologyEx(even, cv2.MORPH_GRADIENT, kernel).max(2)
    flat = (slope <= max(2.0, colour / 2)).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(flat, connectivity=4)
    large = [k for k in range(1, count) if stats[k, cv2.CC_STAT_AREA] >= least * flat.size]
    renamed = np.zeros(count, np.int32)
    renamed[large] = np.arange(1, len(large) + 1)
    labels = renamed[parts]
    if not large:
        labels = np.ones(flat.shape, np.int32)
    elif len(large) == 1:
        labels[:] = 1
    else:
        cv2.watershed(even, labels)
        labels = _without_borders(labels)
    return labels, list(_named(labels, _names(labels, picture, look)))


def _without_borders(labels: Labels) -> Labels:
    """Give the watershed's border pixels (-1) to a neighbour."""
    cv2, kernel = opencv(), np.ones((3, 3), np.uint8)
    out = np.where(labels > 0, labels, 0).astype(np.int32)
    while not out.all():
        grown = cv2.dilate(out.astype(np.float32), kernel).astype(np.int32)
        out = np.where(out > 0, out, grown)
    return out


def _names(labels: Labels, picture: Pixels, look: Look | None) -> dict[int, str]:
    """Return label -> class of the regions that something names."""
    if look is None:
        return {}
    height, width = labels.shape
    areas = np.bincount(labels.ravel())
    names: dict[int, str] = {}
    things = [(thing, _sure_class(thing.kinds)) for thing in look(picture) if thing.score >= SURE]
    spans = [(_span(thing.box, height, width), name) for thing, name in things if name is not None]
    for (top, bottom, left, right), name in sorted(spans, key=lambda s: -(s[0][1] - s[0][0]) * (s[0][3] - s[0][2])):
        inside = np.bincount(labels[top:bottom, left:right].ravel(), minlength=len(areas))
        size = max(1, (bottom - top) * (right - left))
        for label in np.flatnonzero((inside >= INSIDE * areas) & (inside >= FILLS * size) & (areas > 0)):
            names[int(label)] = name
    return names


def _sure_class(kinds: Iterable[tuple[str, float]]) -> str | None:
    """Return the class that kinds and their chances add up to; None where no class gets half."""
    chances: dict[str, float] = {}
    for kind, chance in kinds:
        name = class_of(kind)
        if name is not None:
            chances[name] = chances.get(name, 0.0) + chance
    best = max(chances, key=lambda name: chances[name], default=None)
    return best if best is not None and chances[best] >= SURE else None


def _span(box: tuple[float, float, float, float], height: int, width: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    y, x = height / KNOWN, width / KNOWN
    return round(top * y), round(bottom * y), round(left * x), round(right * x)


def _named(labels: Labels, names: dict[int, str]) -> Iterator[Region]:
    areas = np.bincount(labels.ravel(), minlength=2)
    free = free_colours()
    for label in range(1, len(areas)):
        kind = names.get(label)
        yield Region(label, int(areas[label]), kind, palette()[kind] if kind else next(free))


def free_colours() -> Iterator[Colour]:
    """Yield colours that mean nothing: none is within 8 levels of a class's."""
    known = np.array(list(palette().values()), int)
    tried = 0
    while True:
        tried += 1
        hue = tried * 0.618034 % 1
        wheel = np.clip(np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        level = (0.62, 0.8, 0.45)[tried % 3]
        colour = np.rint(255 * level * (0.45 + 0.55 * wheel)).astype(int)
        if np.abs(known - colour).max(1).min() > 8:
            yield int(colour[0]), int(colour[1]), int(colour[2])
