"""Drawing planned scenes: sprites over a backdrop, then style, light and finish."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fantascope.core.colour import COLOURS, dyed
from fantascope.data import style as styles
from fantascope.data.backdrop import backdrop
from fantascope.data.figure import draw_figure
from fantascope.data.licence import check_licence
from fantascope.data.scene import CANVAS, Scene
from fantascope.data.sources import Sprite
from fantascope.data.vocabulary import Concept
from fantascope.errors import MissingExtra, UnknownName

RASTER = 256
"""Side in px at which a drawing is kept for scenes of 128 px."""


def recolour(rgba: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Tint a drawing so that its middle tone becomes the colour and its lights and darks stay apart.

    Args:
        rgba: (H, W, 4), 0..255, straight alpha.
        colour: sRGB of the wanted colour, 0..255.

    Returns:
        (H, W, 4), the same alpha. Luminance below the drawing's median runs to black, above it to white.
    """
    return np.concatenate([dyed(rgba[..., :3], rgba[..., 3] > 127, colour), rgba[..., 3:]], axis=-1)


class Composer:
    """Draws planned scenes. A drawing is rasterised when it is first needed, and kept.

    Attributes:
        fingerprint: Hash over sources, names and drawings of its sprites, in their order.

    Args:
        sprites: All that may be drawn.
        concepts: What scenes name; says which sprite a concept is in a source.
        cache: Folder that keeps rasters between runs, by the hash of their drawing; none if not given.

    Raises:
        LicenceMissing: A sprite's licence is not on the allow list.
    """

    def __init__(self, sprites: Iterable[Sprite], concepts: Mapping[str, Concept], cache: Path | None = None) -> None:
        self._sprites: dict[tuple[str, str], Sprite] = {}
        self._draw = {key: concept.draw for key, concept in concepts.items()}
        self._cache = cache
        digest = hashlib.sha256()
        for sprite in sprites:
            check_licence(sprite.licence, f"sprite {sprite.name}")
            self._sprites[sprite.source, sprite.name] = sprite
            digest.update(f"{sprite.source} {sprite.name} {sprite.sha256}\n".encode())
        self.fingerprint = digest.hexdigest()
        self._raster = lru_cache(maxsize=8192)(self._make_raster)
        self._stamp = lru_cache(maxsize=16384)(self._make_stamp)

    def has(self, concept: str, source: str) -> bool:
        """Whether a concept can be drawn from a source."""
        return (source, self._draw.get(concept, {}).get(source, "")) in self._sprites

    def render(self, scene: Scene, size: int = CANVAS) -> Image.Image:
        """Draw a scene as an RGB picture of `size` x `size` px, `size` a multiple of 128."""
        scale = size // CANVAS
        picture = backdrop(scene.backdrop, scene.seed, size)
        make = self._stamp if scale == 1 else self._make_stamp
        for thing in scene.things:
            stamp = make(thing.concept, thing.source, thing.colour, thing.side * scale)
            at = (thing.left * scale, thing.top * scale)
            if scene.finish == "shadow":
                shade = styles.shadow(stamp)
                picture.paste(shade, (at[0] + 4 * scale, at[1] + 4 * scale), shade)
            picture.paste(stamp, at, stamp)
        for posed in scene.figures:
            drawn = draw_figure(posed.figure, posed.side * scale)
            picture.paste(drawn, (posed.left * scale, posed.top * scale), drawn)
        if scene.finish == "sparkles":
            picture = styles.sparkled(picture, scene.seed)
        if scene.style in styles.STYLES:
            picture = styles.STYLES[scene.style](picture, scene.seed)
        if scene.light:
            picture = styles.lit(picture, scene.light)
        return styles.blurred(picture) if scene.finish == "low" else picture

    def pixels(self, scene: Scene, size: int = CANVAS) -> NDArray[np.float32]:
        """Draw a scene as an array (3, size, size) in -1..1, as the trainings take it."""
        array = np.asarray(self.render(scene, size), np.float32)
        return np.ascontiguousarray(array.transpose(2, 0, 1)) / 127.5 - 1

    def shapes(self, scene: Scene, size: int = CANVAS) -> list[NDArray[np.uint8]]:
        """How much of each pixel each thing of a scene covers, (size, size) of 0..255, farthest first, people last."""
        scale, out = size // CANVAS, []
        for thing in scene.things:
            alpha = self._stamp(thing.concept, thing.source, thing.colour, thing.side * scale).getchannel("A")
            canvas = Image.new("L", (size, size))
            canvas.paste(alpha, (thing.left * scale, thing.top * scale))
            out.append(np.asarray(canvas))
        for posed in scene.figures:
            canvas = Image.new("L", (size, size))
            drawn = draw_figure(posed.figure, posed.side * scale).getchannel("A")
            canvas.paste(drawn, (posed.left * scale, posed.top * scale))
            out.append(np.asarray(canvas))
        return out

    def raster(self, concept: str, source: str, side: int = RASTER) -> NDArray[np.uint8]:
        """A concept's drawing alone, (side, side, 4), straight alpha, its margins as in the package."""
        return self._raster(concept, source, side)

    def _make_stamp(self, concept: str, source: str, colour: str | None, side: int) -> Image.Image:
        image = Image.fromarray(self._raster(concept, source, RASTER if side <= RASTER // 2 else 2 * RASTER))
        image = image.resize((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        return image if colour is None else Image.fromarray(recolour(np.asarray(image), COLOURS[colour]))

    def _make_raster(self, concept: str, source: str, side: int) -> NDArray[np.uint8]:
        name = self._draw.get(concept, {}).get(source, "")
        sprite = self._sprites.get((source, name))
        if sprite is None:
            raise UnknownName("drawing", f"{concept} in {source}", [f"{k} in {s}" for s, k in self._sprites])
        return raster_of(sprite, self._cache, side)


def raster_of(sprite: Sprite, cache: Path | None = None, side: int = RASTER) -> NDArray[np.uint8]:
    """Draw a sprite as (side, side, 4), straight RGBA, or take it from a folder that keeps rasters between runs."""
    kept = cache / f"{sprite.sha256[:32]}-{side}.png" if cache is not None else None
    if kept is not None and kept.is_file():
        return np.asarray(Image.open(kept))
    pixels = rasterise(sprite, side)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_name(f"{kept.name}.{os.getpid()}.new")
        Image.fromarray(pixels).save(new, "PNG", compress_level=1)
        new.replace(kept)
    return pixels


def rasterise(sprite: Sprite, side: int) -> NDArray[np.uint8]:
    """Draw a sprite's SVG as (side, side, 4), straight RGBA, centred; clip art without its empty margins.

    Raises:
        MissingExtra: pyvips is not installed.
        ValueError: The SVG cannot be drawn, or is empty.
    """
    try:
        import pyvips
    except ImportError as error:
        raise MissingExtra("Reading SVG drawings", "train") from error
    trim = sprite.source == "clipart"
    large = side * 2 if trim else side
    try:
        image = pyvips.Image.thumbnail_buffer(sprite.svg.encode(), large, height=large)
        pixels = np.asarray(image.numpy(), np.uint8)
    except pyvips.Error as error:
        raise ValueError(f"{sprite.package} {sprite.name} cannot be drawn: {error}") from error
    if pixels.ndim != 3 or pixels.shape[2] != 4 or not pixels[..., 3].any():
        raise ValueError(f"{sprite.package} {sprite.name} is empty")
    picture = Image.fromarray(pixels)
    if trim:
        picture = picture.crop(picture.getbbox())
        picture.thumbnail((side * 15 // 16, side * 15 // 16), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (side, side))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return np.asarray(square)
