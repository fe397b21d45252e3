"""Filters that give a drawn scene a style, a light or a finish. Their names say what they look like, not what they are:
nothing here was painted in oil or water.

All take and return an RGB picture of any multiple of 128 px, and do the same at every size.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Filter = Callable[[Image.Image, int], Image.Image]
"""A picture and a seed to a picture of the same size."""


def outline(picture: Image.Image, seed: int) -> Image.Image:
    """Dark lines where brightness or colour changes, on white."""
    scale = picture.width / 128
    soft = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.7 * scale)), np.float32)
    down, across = np.gradient(soft, axis=(0, 1))
    edge = np.sqrt((down**2 + across**2).max(-1)) * scale
    ink = np.clip((edge - 7) / 14, 0, 1)
    return Image.fromarray(np.round(255 - ink * 225).astype(np.uint8)).convert("RGB")


def sketch(picture: Image.Image, seed: int) -> Image.Image:
    """Pencil-like: brightness divided by its own blur, with a little paper grain."""
    scale = picture.width / 128
    gray = picture.convert("L")
    light = np.asarray(gray, np.float32)
    soft = np.asarray(gray.filter(ImageFilter.GaussianBlur(3 * scale)), np.float32)
    lines = np.clip(light / (soft + 1), 0, 1.0) ** 1.6
    grain = np.random.default_rng([seed, 29]).normal(0, 6, (128, 128))
    grain = np.asarray(Image.fromarray(grain.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR))
    paper = 232 + 0.08 * light + grain
    return Image.fromarray(np.clip(lines * paper, 0, 255).astype(np.uint8)).convert("RGB")


def pixel(picture: Image.Image, seed: int) -> Image.Image:
    """32 x 32 squares of at most 24 colours."""
    small = picture.resize((32, 32), Image.Resampling.BOX).quantize(24, Image.Quantize.MEDIANCUT)
    return small.convert("RGB").resize(picture.size, Image.Resampling.NEAREST)


def minimal(picture: Image.Image, seed: int) -> Image.Image:
    """Small parts smoothed away, at most five colours."""
    side = picture.width
    calm = picture.resize((128, 128), Image.Resampling.BOX).filter(ImageFilter.ModeFilter(5))
    flat = calm.quantize(5, Image.Quantize.MEDIANCUT).convert("RGB").filter(ImageFilter.ModeFilter(3))
    return flat.resize((side, side), Image.Resampling.BICUBIC)


def watercolour(picture: Image.Image, seed: int) -> Image.Image:
    """Watercolour-like: pale washes that gather at their edges, on uneven paper."""
    scale = picture.width / 128
    calm = picture.resize((128, 128), Image.Resampling.BOX).filter(ImageFilter.MedianFilter(5))
    calm = calm.resize(picture.size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(scale))
    wash = np.asarray(calm, np.float32)
    down, across = np.gradient(wash.mean(-1), axis=(0, 1))
    edge = np.clip(np.hypot(down, across) * scale / 14, 0, 1)[..., None]
    rng = np.random.default_rng([seed, 31])
    cloth = Image.fromarray(rng.normal(0, 1, (9, 9)).astype(np.float32)).resize(picture.size, Image.Resampling.BICUBIC)
    pale = 255 - (255 - wash) * (0.72 + 0.12 * np.asarray(cloth)[..., None])
    return Image.fromarray(np.clip(pale - 46 * edge, 0, 255).astype(np.uint8))


def oil(picture: Image.Image, seed: int) -> Image.Image:
    """Oil-like: short strokes along the edges' direction, seen as patches of one colour with a canvas relief."""
    calm = picture.resize((128, 128), Image.Resampling.BOX)
    rng = np.random.default_rng([seed, 37])
    shift = rng.normal(0, 1.6, (2, 32, 32)).astype(np.float32)
    across, down = (np.asarray(Image.fromarray(part).resize((128, 128), Image.Resampling.NEAREST)) for part in shift)
    y, x = np.mgrid[0:128, 0:128]
    pixels = np.asarray(calm)[np.clip(y + down, 0, 127).astype(int), np.clip(x + across, 0, 127).astype(int)]
    strokes = Image.fromarray(pixels).filter(ImageFilter.ModeFilter(5))
    strokes = strokes.resize(picture.size, Image.Resampling.BICUBIC)
    relief = Image.fromarray((across * 5).astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    pixels = np.asarray(strokes, np.float32) + np.asarray(relief)[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


STYLES: dict[str, Filter] = {
    "outline": outline,
    "sketch": sketch,
    "pixel": pixel,
    "minimal": minimal,
    "watercolour": watercolour,
    "oil": oil,
}

LIGHTS: dict[str, tuple[float, float, float]] = {
    "warm": (1.06, 0.92, 0.70),
    "cold": (0.76, 0.92, 1.08),
    "dim": (0.42, 0.42, 0.50),
    "bright": (1.22, 1.22, 1.22),
}
"""Light -> factor of red, green and blue."""


def lit(picture: Image.Image, light: str) -> Image.Image:
    """Multiply the colours as a light does."""
    return Image.fromarray(
        np.clip(np.asarray(picture, np.float32) * np.array(LIGHTS[light], np.float32), 0, 255).astype(np.uint8)
    )


def blurred(picture: Image.Image) -> Image.Image:
    """Low resolution: a quarter of the pixels each way, smoothed."""
    side = picture.width
    return picture.resize((32, 32), Image.Resampling.BOX).resize((side, side), Image.Resampling.BICUBIC)


def sparkled(picture: Image.Image, seed: int) -> Image.Image:
    """Ten four-pointed sparkles."""
    picture = picture.copy()
    draw, scale = ImageDraw.Draw(picture), picture.width / 128
    rng = np.random.default_rng([seed, 41])
    for x, y, long in zip(rng.uniform(6, 122, 10), rng.uniform(6, 122, 10), rng.uniform(4, 8, 10), strict=True):
        thin = long * 0.22
        tips = [(0, -long), (long, 0), (0, long), (-long, 0)]
        notches = [(thin, -thin), (thin, thin), (-thin, thin), (-thin, -thin)]
        star = [spot for pair in zip(tips, notches, strict=True) for spot in pair]
        draw.polygon([((x + dx) * scale, (y + dy) * scale) for dx, dy in star], fill=(255, 224, 90))
    return picture


def shadow(stamp: Image.Image) -> Image.Image:
    """The shadow a drawing throws, as a dark picture with its alpha."""
    dark = Image.new("RGBA", stamp.size, (20, 20, 30, 0))
    dark.putalpha(stamp.getchannel("A").point(lambda value: value * 90 // 255))
    return dark
