"""Training scenes: sprites placed on a plain background, with a caption that says exactly what is there.

A scene is planned first, from a seed and nothing else, as a frozen `Scene`; `Composer.render` then draws that plan at
any multiple of 128 px. Places are multiples of 8 px, the stride of the autoencoder, so that the same drawing in another
place has the same latents, moved.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fantascope.data.caption import Concept, Thing, caption
from fantascope.data.licence import check_licence
from fantascope.data.sources import Sprite
from fantascope.errors import MissingExtra, UnknownName

CANVAS = 128
GRID = 8
RASTER = 512

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 38, 38),
    "orange": (249, 140, 30),
    "yellow": (250, 212, 40),
    "green": (60, 170, 70),
    "teal": (38, 166, 166),
    "blue": (48, 100, 225),
    "purple": (140, 66, 190),
    "pink": (252, 130, 184),
    "brown": (128, 82, 48),
    "black": (40, 40, 46),
    "white": (244, 244, 246),
    "gray": (140, 144, 150),
}
"""Colour name -> sRGB; both for things and for backgrounds."""

BACKDROPS: dict[str, tuple[int, int, int]] = {**COLOURS, "white": (255, 255, 255)}


@dataclass(frozen=True)
class Placed:
    """A sprite on the canvas: its concept, colour (`None` is its own), left, top and side in px of 128."""

    concept: str
    colour: str | None
    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Scene:
    """What a picture shows: the seed it came from, layout, background colour, things and the caption."""

    seed: int
    layout: str
    background: str
    things: tuple[Placed, ...]
    caption: str


def read_vocabulary(path: Path | None = None) -> dict[str, Concept]:
    """Read concept rows: sprite name -> `Concept`. Without a path, the vocabulary of the embedded checkpoint."""
    path = Path(__file__).with_name("vocabulary.toml") if path is None else path
    rows: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    concepts = {}
    for sprite, row in rows.items():
        if not isinstance(row, dict):
            continue
        names = tuple(row["names"])
        plurals = tuple(row.get("plurals", [f"{name}s" for name in names]))
        concepts[sprite] = Concept(sprite, names, plurals, float(row.get("weight", 1.0)))
    return concepts


def plan(seed: int, concepts: dict[str, Concept]) -> Scene:
    """Plan the scene of a seed: one thing (65 %), a pair (15 %), two to four copies (10 %) or a row (10 %).

    Args:
        seed: Any non-negative integer; the same seed gives the same scene.
        concepts: What may be drawn, weighted.
    """
    rng = np.random.default_rng([seed, 7])
    slugs = list(concepts)
    weights = np.array([concepts[slug].weight for slug in slugs])
    chosen = [slugs[i] for i in rng.choice(len(slugs), 2, replace=False, p=weights / weights.sum())]
    layout = str(rng.choice(["one", "pair", "copies", "row"], p=[0.65, 0.15, 0.10, 0.10]))
    background = "white" if rng.random() < 0.45 else str(rng.choice([name for name in BACKDROPS if name != "white"]))
    share = 0.25 if layout == "pair" else 0.4
    colours = [_colour(rng, background) if rng.random() < share else None for _ in chosen]
    count = 2 if layout == "pair" else 3 if layout == "row" else int(rng.integers(2, 5)) if layout == "copies" else 1
    things = []
    for k, (left, top, side) in enumerate(_places(rng, layout, count)):
        which = k if layout == "pair" else 0
        things.append(Placed(chosen[which], colours[which], left, top, side))
    named = [Thing(concepts[slug], colour) for slug, colour in zip(chosen, colours, strict=True)]
    text = caption(rng, layout, named, count, background)
    return Scene(seed, layout, background, tuple(things), text)


def plan_dense(seed: int, concepts: dict[str, Concept]) -> Scene:
    """Plan a crowded picture without a caption, of any sizes and places: what an autoencoder learns most from."""
    rng = np.random.default_rng([seed, 11])
    slugs = list(concepts)
    things = []
    cells = int(rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25]))
    for k in range(cells * cells):
        colour = str(rng.choice(list(COLOURS))) if rng.random() < 0.4 else None
        side = int(rng.integers(96, 129)) if cells == 1 else int(CANVAS / cells * rng.uniform(0.8, 1.15))
        spare = CANVAS // cells - side
        left, top = (CANVAS // cells * at + int(rng.integers(-8, 9)) + spare // 2 for at in (k % cells, k // cells))
        things.append(Placed(str(rng.choice(slugs)), colour, left, top, side))
    background = "white" if rng.random() < 0.4 else str(rng.choice(list(BACKDROPS)))
    return Scene(seed, "dense", background, tuple(things), "")


def _colour(rng: np.random.Generator, background: str) -> str:
    """A named colour that can be told from the background."""
    return str(rng.choice([name for name in COLOURS if name != background]))


def _places(rng: np.random.Generator, layout: str, count: int) -> Iterator[tuple[int, int, int]]:
    """Left, top and side of each thing of a layout, all moved together by whole cells of the grid."""
    if layout == "one":
        cells, spots = 13, [(12, 12)]
    elif layout == "row":
        cells, spots = 5, [(4, 44), (44, 44), (84, 44)]
    elif count == 2:
        cells, spots = 7, [(4, 36), (68, 36)]
    elif count == 3:
        cells, spots = 7, [(36, 4), (4, 68), (68, 68)]
    else:
        cells, spots = 7, [(4, 4), (68, 4), (4, 68), (68, 68)]
    sideways = layout == "one"
    updown = layout in ("one", "row") or count == 2
    dx, dy = (int(rng.choice([-GRID, 0, GRID], p=[0.2, 0.6, 0.2])) if free else 0 for free in (sideways, updown))
    for left, top in spots:
        yield left + dx, top + dy, cells * GRID


def recolour(rgba: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Tint a drawing so that its middle tone becomes the colour and its lights and darks stay apart.

    Args:
        rgba: (H, W, 4), 0..255, straight alpha.
        colour: sRGB of the wanted colour, 0..255.

    Returns:
        (H, W, 4), the same alpha. Luminance below the drawing's median runs to black, above it to white.
    """
    light = rgba[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    solid = rgba[..., 3] > 127
    middle = float(np.clip(np.median(light[solid]), 0.15, 0.85)) if solid.any() else 0.5
    target = np.array(colour, np.float32) / 255
    shade = np.clip(light / middle, 0, 1)[..., None] ** 0.8
    glow = np.clip((light - middle) / (1 - middle), 0, 1)[..., None] * 0.85
    tinted = target * shade + (1 - target) * glow
    return np.concatenate([np.round(tinted * 255).astype(np.uint8), rgba[..., 3:]], axis=-1)


class Composer:
    """Draws planned scenes. Holds every sprite rasterised once, and the scaled, tinted ones it used lately.

    Attributes:
        fingerprint: Hash over the names and drawings of its sprites, in their order.

    Raises:
        LicenceMissing: A sprite's licence is not on the allow list.
    """

    def __init__(self, sprites: Iterable[Sprite]) -> None:
        self._rasters: dict[str, NDArray[np.uint8]] = {}
        digest = hashlib.sha256()
        for sprite in sprites:
            check_licence(sprite.licence, f"sprite {sprite.name}")
            self._rasters[sprite.name] = _rasterise(sprite)
            digest.update(f"{sprite.name} {hashlib.sha256(sprite.svg.encode()).hexdigest()}\n".encode())
        self.fingerprint = digest.hexdigest()
        self._stamp = lru_cache(maxsize=8192)(self._make_stamp)

    def render(self, scene: Scene, size: int = CANVAS) -> Image.Image:
        """Draw a scene as an RGB picture of `size` x `size` px, `size` a multiple of 128."""
        scale = size // CANVAS
        picture = Image.new("RGB", (size, size), BACKDROPS[scene.background])
        for thing in scene.things:
            make = self._stamp if scale == 1 else self._make_stamp
            stamp = make(thing.concept, thing.colour, thing.side * scale)
            picture.paste(stamp, (thing.left * scale, thing.top * scale), stamp)
        return picture

    def pixels(self, scene: Scene, size: int = CANVAS) -> NDArray[np.float32]:
        """Draw a scene as an array (3, size, size) in -1..1, as the trainings take it."""
        array = np.asarray(self.render(scene, size), np.float32)
        return np.ascontiguousarray(array.transpose(2, 0, 1)) / 127.5 - 1

    def _make_stamp(self, name: str, colour: str | None, side: int) -> Image.Image:
        if name not in self._rasters:
            raise UnknownName("sprite", name, self._rasters)
        image = Image.fromarray(self._rasters[name])
        image = image.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return image if colour is None else Image.fromarray(recolour(np.asarray(image), COLOURS[colour]))


def _rasterise(sprite: Sprite) -> NDArray[np.uint8]:
    """Draw a sprite's SVG as (512, 512, 4) straight RGBA."""
    try:
        import pyvips
    except ImportError as error:
        raise MissingExtra("Reading SVG drawings", "train") from error
    image = pyvips.Image.thumbnail_buffer(sprite.svg.encode(), RASTER, height=RASTER)
    return np.asarray(image.numpy(), np.uint8)
