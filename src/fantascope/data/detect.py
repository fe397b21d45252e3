"""Pictures for the detector: drawings of styles the generator never saw, at random places, with boxes instead of words.

They are made for speed and for variety, not for beauty: what a detector learns here must hold in a drawing style that
it has not seen, so shape is what is left alike, and colours, edges, angles and sharpness change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from fantascope.core.colour import COLOURS
from fantascope.data import style as styles
from fantascope.data.backdrop import SCENERIES, backdrop
from fantascope.data.compose import Composer, recolour
from fantascope.data.scene import CANVAS
from fantascope.data.vocabulary import CORE, Concept

Colour = tuple[int, int, int]
Spot = tuple[int, int, int]
"""Left, top and side in px."""

PLACES = 6
"""Most things in a picture."""

RASTER = 128
"""Side in px at which a drawing is kept."""

NAMES = (*COLOURS, "own")
"""What the detector calls colours: the named ones, and a drawing's own."""

LAYOUTS: dict[str, float] = {"one": 0.4, "pair": 0.24, "grid": 0.16, "random": 0.2}
"""Layout -> share of the pictures."""

OFTEN = 5.0
"""How much more often than others core concepts are drawn."""

FILTERS = ("outline", "sketch", "pixel", "outline", "sketch", "pixel", "minimal", "watercolour", "oil")


def kinds_of(concepts: Mapping[str, Concept], sources: Sequence[str]) -> tuple[str, ...]:
    """The kinds that a drawing of one of the sources shows, sorted."""
    return tuple(sorted({c.kind for c in concepts.values() if any(source in c.draw for source in sources)}))


@dataclass(frozen=True)
class Target:
    """What is to be found: kind, colour (one of `NAMES`) and box: left, top, right, bottom in px."""

    kind: str
    colour: str
    box: tuple[float, float, float, float]


class Pictures:
    """Pictures with boxes, each from its number and nothing else.

    Attributes:
        kinds: What there is to be found, sorted.
        fingerprint: Hash over the drawings and what they are called.

    Args:
        composer: Has the drawings.
        concepts: What they show.
        sources: Keys of the sources drawn from.
    """

    def __init__(self, composer: Composer, concepts: Mapping[str, Concept], sources: Sequence[str]) -> None:
        self.kinds = kinds_of(concepts, sources)
        self._composer = composer
        self._rows = [
            (concept, tuple(source for source in sources if composer.has(key, source)))
            for key, concept in concepts.items()
            if any(composer.has(key, source) for source in sources)
        ]
        weights = np.array([OFTEN if concept.weight >= CORE else 1.0 for concept, _ in self._rows])
        self._table = np.cumsum(weights / weights.sum())
        self._rasters: dict[tuple[str, str], Image.Image] = {}
        self._backdrops: dict[tuple[str, int], Image.Image] = {}
        told = f"2 {composer.fingerprint} {[(concept.key, concept.kind, found) for concept, found in self._rows]}"
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()

    def picture(self, number: int) -> tuple[NDArray[np.uint8], list[Target]]:
        """Draw picture `number`: (128, 128, 3) uint8, and what is in it."""
        rng = np.random.default_rng([number, 53])
        canvas = self._backdrop(rng)
        targets = []
        for concept, source, colour, spot in self._things(rng):
            stamp, box = self._stamp(rng, concept, source, colour, spot[2])
            canvas.paste(stamp, spot[:2], stamp)
            left, top, right, bottom = (float(min(max(at + spot[axis % 2], 0), CANVAS)) for axis, at in enumerate(box))
            if right - left > 6 and bottom - top > 6:
                targets.append(Target(concept.kind, colour or "own", (left, top, right, bottom)))
        return _finish(rng, canvas, number), targets

    def batch(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Pictures as arrays: `picture` (B, 128, 128, 3) uint8, `box` (B, 6, 4), `kind` and `colour` (B, 6), -1 for
        none."""
        boxes = np.zeros((len(numbers), PLACES, 4), np.float32)
        kinds = np.full((len(numbers), PLACES), -1, np.int64)
        colours = kinds.copy()
        shown = []
        for row, number in enumerate(numbers):
            pixels, targets = self.picture(number)
            shown.append(pixels)
            for k, target in enumerate(targets):
                boxes[row, k] = target.box
                kinds[row, k] = self._index[target.kind]
                colours[row, k] = NAMES.index(target.colour)
        return {"picture": np.stack(shown), "box": boxes, "kind": kinds, "colour": colours}

    def batches(self, size: int) -> Any:
        """From a step's number to its batch of `size` and all later ones."""

        def start(step: int) -> Iterator[dict[str, Any]]:
            while True:
                yield self.batch(range(step * size, (step + 1) * size))
                step += 1

        return start

    @property
    def _index(self) -> dict[str, int]:
        if "_places" not in self.__dict__:
            self.__dict__["_places"] = {kind: at for at, kind in enumerate(self.kinds)}
        places: dict[str, int] = self.__dict__["_places"]
        return places

    def _things(self, rng: np.random.Generator) -> Iterator[tuple[Concept, str, str | None, Spot]]:
        spots = _spots(rng)
        same = len(spots) > 1 and rng.random() < 0.4
        dyed, names = rng.random() < 0.5, list(COLOURS)
        shared: tuple[Concept, str, str | None] | None = None
        for spot in spots:
            if shared is None or not same:
                concept, found = self._rows[int(np.searchsorted(self._table, rng.random(), side="right"))]
                source = found[int(rng.integers(len(found)))]
                shared = concept, source, names[int(rng.integers(len(names)))] if dyed and rng.random() < 0.9 else None
            yield *shared, spot

    def _raster(self, concept: Concept, source: str) -> Image.Image:
        key = (concept.key, source)
        if key not in self._rasters:
            self._rasters[key] = Image.fromarray(self._composer.raster(concept.key, source, RASTER))
        return self._rasters[key]

    def _stamp(
        self, rng: np.random.Generator, concept: Concept, source: str, colour: str | None, side: int
    ) -> tuple[Image.Image, tuple[int, int, int, int]]:
        """A drawing changed at random, `side` px wide, and the box of what is not clear in it."""
        stamp = self._raster(concept, source)
        if rng.random() < 0.5:
            stamp = stamp.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        stamp = stamp.resize((side, side), Image.Resampling.BOX if side < 64 else Image.Resampling.BILINEAR)
        if rng.random() < 0.85:
            stamp = _bent(rng, stamp)
        if rng.random() < 0.15:
            stamp = _plainer(rng, stamp)
        if colour is not None:
            shade = tuple(int(v) for v in np.clip(np.array(COLOURS[colour]) + rng.normal(0, 7, 3), 0, 255))
            stamp = Image.fromarray(recolour(np.asarray(stamp), shade))  # type: ignore[arg-type]
        elif rng.random() < 0.7:
            stamp = _tinted(rng, stamp)
        if rng.random() < 0.15:
            stamp = _rimmed(rng, stamp)
        box = _solid(stamp)
        return (_holed(rng, stamp), box) if rng.random() < 0.2 else (stamp, box)

    def _backdrop(self, rng: np.random.Generator) -> Image.Image:
        draw = rng.random()
        if draw < 0.3:
            grey = int(rng.integers(225, 256))
            return Image.new("RGB", (CANVAS, CANVAS), (grey, grey, grey))
        if draw < 0.62:
            named = np.array(list(COLOURS.values())[int(rng.integers(len(COLOURS)))])
            plain = np.clip(named + rng.normal(0, 14, 3), 0, 255).astype(int)
            return Image.new("RGB", (CANVAS, CANVAS), tuple(int(v) for v in plain))
        if draw < 0.72:
            ends = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
            return Image.fromarray(ends).resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)
        key = (list(SCENERIES)[int(rng.integers(len(SCENERIES)))], int(rng.integers(24)))
        if key not in self._backdrops:
            self._backdrops[key] = backdrop(key[0], 10_000_000 + key[1], CANVAS)
        picture = self._backdrops[key]
        return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else picture.copy()


def _solid(stamp: Image.Image) -> tuple[int, int, int, int]:
    """The box of what is not clear."""
    alpha = np.asarray(stamp)[..., 3] > 90
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return (0, 0, *stamp.size)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _spots(rng: np.random.Generator) -> list[Spot]:
    at = int(np.searchsorted(np.cumsum(list(LAYOUTS.values())), rng.random(), side="right"))
    layout = list(LAYOUTS)[min(at, len(LAYOUTS) - 1)]
    if layout == "one":
        side = int(rng.integers(88, 125)) if rng.random() < 0.7 else int(rng.integers(36, 90))
        return [(*_within(rng, side), side)]
    if layout == "pair":
        side = int(rng.integers(46, 63))
        near, far, across = (int(v) for v in rng.integers((-2, 64, 0), (8, 70, 128 - side)))
        spots = [(near, across, side), (far, across + int(rng.integers(-6, 7)), side)]
        return spots if rng.random() < 0.5 else [(top, left, side) for left, top, side in spots]
    if layout == "grid":
        side, count = int(rng.integers(46, 63)), int(rng.integers(2, 5))
        cells = [(4, 4), (68, 4), (4, 68), (68, 68)] if rng.random() < 0.6 else [(36, 4), (4, 68), (68, 68), (4, 4)]
        if rng.random() < 0.25:
            side, cells = int(rng.integers(36, 43)), [(4, 44), (44, 44), (84, 44), (44, 84)]
        return [(x + int(rng.integers(-4, 5)), y + int(rng.integers(-4, 5)), side) for x, y in cells[:count]]
    spots = []
    for _ in range(int(rng.integers(1, PLACES))):
        side = int(rng.integers(28, 76))
        spot = (*_within(rng, side), side)
        if all(_apart(spot, other) for other in spots):
            spots.append(spot)
    return spots


def _within(rng: np.random.Generator, side: int) -> tuple[int, int]:
    low, high = -3, CANVAS - side + 4
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def _apart(one: Spot, other: Spot) -> bool:
    """Whether two spots overlap by less than a fifth of the smaller one."""
    wide, high = (min(one[k] + one[2], other[k] + other[2]) - max(one[k], other[k]) for k in (0, 1))
    return wide <= 0 or high <= 0 or wide * high < 0.2 * min(one[2], other[2]) ** 2


def _bent(rng: np.random.Generator, stamp: Image.Image) -> Image.Image:
    """Turned by up to 18 degrees, sheared and stretched, and bent: the corners of a grid go astray."""
    cells, side = 3, stamp.width
    angle, lean = np.radians(rng.uniform(-18, 18)), rng.uniform(-0.15, 0.15)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[rng.uniform(0.92, 1.25), lean], [0, rng.uniform(0.92, 1.25)]])
    ticks = np.linspace(0, side, cells + 1)
    nodes = np.stack(np.meshgrid(ticks, ticks), -1) - side / 2
    astray = rng.normal(0, 0.035 * side * rng.random(), nodes.shape)
    nodes = nodes @ matrix.T + side / 2 + astray
    edges = np.round(ticks).astype(int)
    mesh = []
    for y in range(cells):
        for x in range(cells):
            box = (int(edges[x]), int(edges[y]), int(edges[x + 1]), int(edges[y + 1]))
            corners = (nodes[y, x], nodes[y + 1, x], nodes[y + 1, x + 1], nodes[y, x + 1])
            mesh.append((box, tuple(float(v) for corner in corners for v in corner)))
    return stamp.transform(stamp.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def _plainer(rng: np.random.Generator, stamp: Image.Image) -> Image.Image:
    """Small parts smoothed away."""
    plain = stamp.convert("RGB").filter(ImageFilter.MedianFilter(3 if stamp.width < 70 else 5))
    plain.putalpha(stamp.getchannel("A"))
    return plain


def _holed(rng: np.random.Generator, stamp: Image.Image) -> Image.Image:
    """A part of it hidden."""
    pixels, side = np.array(stamp), stamp.width
    long = int(side * rng.uniform(0.15, 0.4))
    left, top = (int(v) for v in rng.integers(0, side - long, 2))
    pixels[top : top + long, left : left + long, 3] = 0
    return Image.fromarray(pixels)


_LUMA = np.array([0.299, 0.587, 0.114])


def _hue(angle: float, strength: float) -> NDArray[np.float64]:
    """A matrix that turns hues about the grey axis and scales how far colours are from grey."""
    grey, axis = np.tile(_LUMA, (3, 1)), np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * axis
    return np.asarray(grey + strength * (turn - grey))


def _tinted(rng: np.random.Generator, stamp: Image.Image) -> Image.Image:
    """Other hues, saturation and brightness; wholly other ones in a third of the cases."""
    wide = rng.random() < 0.45
    matrix = _hue(rng.uniform(-3, 3) if wide else rng.normal(0, 0.22), rng.uniform(0.4, 1.3)) * rng.uniform(0.75, 1.2)
    lift = rng.uniform(-18, 18)
    data = tuple(float(v) for row in matrix for v in (*row, lift))
    plain = stamp.convert("RGB").convert("RGB", data)
    plain.putalpha(stamp.getchannel("A"))
    return plain


def _rimmed(rng: np.random.Generator, stamp: Image.Image) -> Image.Image:
    """A dark or light rim of one pixel or two."""
    alpha = stamp.getchannel("A")
    grown = alpha.filter(ImageFilter.MaxFilter(3 if rng.random() < 0.6 else 5))
    tone = int(rng.integers(0, 70)) if rng.random() < 0.7 else 250
    rim = Image.new("RGBA", stamp.size, (tone, tone, tone, 0))
    rim.putalpha(grown)
    rim.alpha_composite(stamp)
    return rim


def _finish(rng: np.random.Generator, canvas: Image.Image, seed: int) -> NDArray[np.uint8]:
    """Filters, blur, light, noise and small things in front, of which most pictures have one or two."""
    draw = rng.random(6)
    if draw[0] < 0.06:
        canvas = styles.STYLES[FILTERS[int(rng.integers(len(FILTERS)))]](canvas, seed)
    elif draw[0] < 0.34:
        side = int(rng.integers(44, 112))
        canvas = canvas.resize((side, side), Image.Resampling.BOX).resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)
    elif draw[0] < 0.44:
        canvas = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.5))))
    elif draw[0] < 0.5:
        canvas = ImageEnhance.Sharpness(canvas).enhance(float(rng.uniform(1.5, 3)))
    if draw[1] < 0.5:
        low, high = rng.uniform(-22, 26), rng.uniform(225, 275)
        bend = rng.uniform(0.75, 1.3)
        line = np.clip(low + (high - low) * (np.arange(256) / 255) ** bend, 0, 255).astype(np.uint8)
        canvas = Image.fromarray(line[np.asarray(canvas)])
    if draw[2] < 0.05:
        canvas = styles.lit(canvas, list(styles.LIGHTS)[int(rng.integers(len(styles.LIGHTS)))])
    pixels = np.array(canvas)
    if draw[3] < 0.12:
        side = int(rng.integers(6, 22))
        left, top = (int(v) for v in rng.integers(0, CANVAS - side, 2))
        pixels[top : top + side, left : left + side] = pixels[int(rng.integers(CANVAS)), int(rng.integers(CANVAS))]
    if draw[4] < 0.25:
        scale = rng.uniform(2, 12)
        grain = rng.integers(-64, 65, (CANVAS, CANVAS, 1), np.int8).astype(np.int16)
        pixels = np.clip(pixels + (grain * scale / 40).astype(np.int16), 0, 255).astype(np.uint8)
    return pixels
