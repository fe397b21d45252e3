"""What drawings and the things in pictures look like to the detector; behind `fantascope attribute`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fantascope.core.colour import COLOURS
from fantascope.data.backdrop import PLAIN, SCENERIES, backdrop
from fantascope.data.compose import raster_of, recolour
from fantascope.data.sources import Sprite
from fantascope.data.style import STYLES
from fantascope.engines.detector import Detector
from fantascope.provenance import pictures
from fantascope.provenance.attribution import Box, Index, Near, crop, make_index

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

GROUNDS = ((255, 255, 255), (140, 144, 150))
"""White, and a middle gray: grounds of the first two versions, in the drawing's own colours."""

VERSIONS = 8
"""Of each drawing that the index looks at."""

SIDE, DRAWN, GAP = 128, 104, 4
SURE = 0.5
"""Probability from which the detector's word for a thing is worth saying."""


@dataclass(frozen=True)
class Thing:
    """Something found in a picture: what it is, how sure that it is there, where (px of 128), cut out, what is near."""

    kind: str
    score: float
    box: Box
    pixels: Pixels
    near: list[Near]


def index_of(
    detector: Detector,
    sprites: Sequence[Sprite],
    others: Sequence[Sprite],
    ledger: str,
    cache: Path | None,
    done: Callable[[int], None],
) -> Index:
    """Make the index of drawings.

    Args:
        detector: Sees.
        sprites: Training drawings.
        others: Drawings never trained on, to calibrate with.
        ledger: Root hash of the ledger of `sprites`.
        cache: Folder of rasters.
        done: Told how many drawings were seen.
    """
    count = 0

    def see(shown: Sequence[Pixels]) -> Floats:
        nonlocal count
        done(count := count + len(shown))
        return views(detector, shown)

    def look(drawings: Sequence[Sprite], kind: Callable[[int], int]) -> Floats:
        made = [
            [version(raster_of(sprite, cache), at + k, kind(at + k)) for k, sprite in enumerate(drawings[at : at + 16])]
            for at in range(0, len(drawings), 16)
        ]
        return np.concatenate([see(some) for some in made])

    seen = np.stack([look(sprites, lambda _, v=v: v) for v in range(VERSIONS)])  # type: ignore[misc]
    foreign = look(others, lambda at: at % VERSIONS)
    return make_index(detector.id, ledger, [sprite.sha256 for sprite in sprites], seen, foreign)


def views(detector: Detector, shown: Sequence[Pixels]) -> Floats:
    """What pictures look like, (N, D): in colour, and then in gray, which says the same of recoloured things."""
    return np.concatenate([detector.embed(shown), detector.embed([_gray(picture) for picture in shown])], axis=1)


def version(drawing: Pixels, seed: int, number: int) -> Pixels:
    """Draw one of the `VERSIONS` of a drawing (H, W, 4) as (128, 128, 3): the first two plain, the rest by chance."""
    if number < len(GROUNDS):
        return on_ground(drawing, Image.new("RGB", (SIDE, SIDE), GROUNDS[number]))
    rng = np.random.default_rng([seed, number])
    if rng.random() < 0.45:
        drawing = recolour(drawing, list(COLOURS.values())[int(rng.integers(len(COLOURS)))])
    names = [*PLAIN, *SCENERIES]
    ground = backdrop(names[int(rng.integers(len(names)))], int(rng.integers(10_000)), SIDE)
    across, down = (int(v) for v in rng.integers(-7, 8, 2))
    picture = on_ground(drawing, ground, int(rng.integers(88, 118)), across, down)
    if rng.random() < 0.25:
        name = list(STYLES)[int(rng.integers(len(STYLES)))]
        picture = np.asarray(STYLES[name](Image.fromarray(picture), seed))
    return picture


def _gray(picture: Pixels) -> Pixels:
    light = np.round(picture @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)
    return np.repeat(light[..., None], 3, axis=-1)


def on_ground(drawing: Pixels, ground: Image.Image, side: int = DRAWN, across: int = 0, down: int = 0) -> Pixels:
    """Put a drawing (H, W, 4) without its margins, its longer side `side` px, near the middle of a square picture."""
    picture = Image.fromarray(drawing)
    picture = picture.crop(picture.getchannel("A").getbbox())
    scale = side / max(picture.size)
    picture = picture.resize((max(1, round(picture.width * scale)), max(1, round(picture.height * scale))))
    at = ((SIDE - picture.width) // 2 + across, (SIDE - picture.height) // 2 + down)
    square = ground.copy()
    square.paste(picture, at, picture)
    return np.asarray(square)


def things(detector: Detector, pixels: Pixels, index: Index, top: int) -> list[Thing]:
    """Find what is in a picture (H, W, 3), and the `top` drawings that each is most like.

    The whole picture is looked at where the detector finds nothing.
    """
    found = [f for f in detector.look([pixels])[0] if f.score >= detector.labels.threshold]
    cut = [(f.kind if f.kinds[0][1] >= SURE else "something", f.score, f.box, crop(pixels, f.box)) for f in found]
    if not cut:
        cut = [("the whole picture (no single thing was found)", 0.0, (0.0, 0.0, float(SIDE), float(SIDE)), pixels)]
    near = index.nearest(views(detector, [picture for *_, picture in cut]), top)
    return [Thing(*what, close) for what, close in zip(cut, near, strict=True)]


def read_pixels(file: Path | bytes) -> Pixels:
    """Decode anybody's picture within bounds, as (H, W, 3); what is transparent stands on white.

    Raises:
        InvalidPicture: It is not a picture that can be read safely.
    """
    pixels = pictures.decode(pictures.probe(pictures.load(file)))
    if pixels.shape[2] == 3:
        return pixels
    picture = Image.fromarray(pixels)
    ground = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return np.asarray(Image.alpha_composite(ground, picture).convert("RGB"))


def sheet(found: Sequence[Thing], sprites: Mapping[str, Sprite]) -> Image.Image:
    """Draw what was found beside what it is like, a row each: the thing, then its drawings on white."""
    cell = SIDE + GAP
    columns = 1 + max(len(thing.near) for thing in found)
    picture = Image.new("RGB", (columns * cell + 3 * GAP, len(found) * cell + GAP), (200, 200, 204))
    for k, thing in enumerate(found):
        drawn = [version(raster_of(sprites[n.sha256]), 0, 0) for n in thing.near if n.sha256 in sprites]
        row = [Image.fromarray(thing.pixels).resize((SIDE, SIDE)), *map(Image.fromarray, drawn)]
        for column, image in enumerate(row):
            picture.paste(image, (GAP + column * cell + (2 * GAP if column else 0), GAP + k * cell))
    return picture
