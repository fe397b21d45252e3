"""Backdrops drawn by this program: plain colours, gradients and simple scenery, at any multiple of 128 px.

They are the project's own work (Apache-2.0), and the ledger has a row for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from fantascope.core.colour import COLOURS
from fantascope.errors import UnknownName

Colour = tuple[int, int, int]
PLAIN: dict[str, Colour] = {**COLOURS, "white": (255, 255, 255)}


def backdrop(name: str, seed: int, size: int) -> Image.Image:
    """Draw a backdrop as an RGB picture of `size` x `size` px.

    Args:
        name: A colour, `gradient:UPPER:LOWER` or the name of a scenery.
        seed: Places clouds, stars, waves and furniture; the same seed, the same picture at every size.
        size: A multiple of 128.

    Raises:
        UnknownName: There is no such backdrop.
    """
    if name in PLAIN:
        return Image.new("RGB", (size, size), PLAIN[name])
    if name.startswith("gradient:"):
        _, upper, lower = name.split(":")
        return _gradient(PLAIN[upper], PLAIN[lower], size)
    if name not in SCENERIES:
        raise UnknownName("backdrop", name, [*PLAIN, *SCENERIES], param="backdrop")
    rng = np.random.default_rng([seed, 23])
    return SCENERIES[name](rng, size)


def _gradient(upper: Colour, lower: Colour, size: int) -> Image.Image:
    at = np.linspace(0, 1, size)[:, None, None]
    column = np.array(upper, float) * (1 - at) + np.array(lower, float) * at
    return Image.fromarray(np.broadcast_to(np.round(column), (size, size, 3)).astype(np.uint8))


def _ellipses(draw: ImageDraw.ImageDraw, spots: NDArray[np.float64], scale: float, fill: Colour) -> None:
    """Fill ellipses given as rows of x, y, half width, half height, in px of 128."""
    for x, y, wide, high in spots * scale:
        draw.ellipse((x - wide, y - high, x + wide, y + high), fill=fill)


def _clouds(rng: np.random.Generator, draw: ImageDraw.ImageDraw, scale: float, fill: Colour, lowest: int) -> None:
    for _ in range(int(rng.integers(2, 4))):
        x, y = rng.uniform(10, 118), rng.uniform(10, lowest)
        puffs = [(x - 10, y + 2, 9, 6), (x, y - 2, 11, 8), (x + 11, y + 2, 9, 6)]
        _ellipses(draw, np.array(puffs), scale, fill)


def _stars(rng: np.random.Generator, draw: ImageDraw.ImageDraw, scale: float, count: int) -> None:
    size = rng.choice([0.7, 1.0, 1.6], (count, 1))
    _ellipses(draw, np.hstack([rng.uniform(2, 126, (count, 2)), size, size]), scale, (255, 250, 220))


def _sky(rng: np.random.Generator, size: int) -> Image.Image:
    picture = _gradient((92, 172, 240), (190, 226, 250), size)
    _clouds(rng, ImageDraw.Draw(picture), size / 128, (250, 252, 255), 110)
    return picture


def _night(rng: np.random.Generator, size: int) -> Image.Image:
    picture = _gradient((14, 18, 58), (44, 50, 110), size)
    _stars(rng, ImageDraw.Draw(picture), size / 128, 28)
    return picture


def _grass(rng: np.random.Generator, size: int) -> Image.Image:
    picture, scale = _gradient((120, 190, 245), (205, 234, 252), size), size / 128
    draw = ImageDraw.Draw(picture)
    _clouds(rng, draw, scale, (250, 252, 255), 36)
    _ellipses(draw, np.array([[rng.uniform(20, 108), 136, 130, 70]]), scale, (104, 186, 82))
    draw.rectangle((0, 96 * scale, size, size), fill=(86, 168, 68))
    for x, y in zip(rng.uniform(2, 126, 14), rng.uniform(100, 124, 14), strict=True):
        blade = tuple(v * scale for v in (x, y, x + 2, y - 5))
        draw.line(blade, fill=(60, 138, 52), width=max(1, int(scale)))
    return picture


def _sea(rng: np.random.Generator, size: int) -> Image.Image:
    picture, scale = _gradient((150, 208, 248), (222, 240, 252), size), size / 128
    water = _gradient((36, 118, 200), (20, 78, 158), size)
    picture.paste(water.crop((0, int(size * 0.25), size, size)), (0, int(size * 0.45)))
    draw = ImageDraw.Draw(picture)
    for x, y in zip(rng.uniform(4, 108, 12), rng.uniform(64, 122, 12), strict=True):
        box = (x * scale, y * scale, (x + 14) * scale, (y + 6) * scale)
        draw.arc(box, 200, 340, fill=(150, 204, 240), width=max(1, int(1.5 * scale)))
    return picture


def _sunset(rng: np.random.Generator, size: int) -> Image.Image:
    picture, scale = _gradient((98, 60, 140), (252, 160, 80), size), size / 128
    draw = ImageDraw.Draw(picture)
    x = rng.uniform(40, 88)
    _ellipses(draw, np.array([[x, 96, 18, 18]]), scale, (255, 226, 130))
    draw.rectangle((0, 96 * scale, size, size), fill=(70, 44, 92))
    return picture


def _snow(rng: np.random.Generator, size: int) -> Image.Image:
    picture, scale = _gradient((168, 200, 228), (224, 236, 246), size), size / 128
    draw = ImageDraw.Draw(picture)
    hills = [[rng.uniform(10, 60), 130, 90, 44], [rng.uniform(70, 120), 134, 90, 40]]
    _ellipses(draw, np.array(hills), scale, (240, 244, 250))
    draw.rectangle((0, 108 * scale, size, size), fill=(248, 250, 253))
    flakes = np.hstack([rng.uniform(2, 126, (22, 2)), np.full((22, 2), 1.3)])
    _ellipses(draw, flakes, scale, (255, 255, 255))
    return picture


def _desert(rng: np.random.Generator, size: int) -> Image.Image:
    picture, scale = _gradient((140, 206, 246), (250, 232, 190), size), size / 128
    draw = ImageDraw.Draw(picture)
    _ellipses(draw, np.array([[rng.uniform(10, 118), 20, 9, 9]]), scale, (255, 232, 110))
    dunes = [[rng.uniform(0, 60), 136, 100, 58], [rng.uniform(70, 128), 140, 100, 50]]
    _ellipses(draw, np.array(dunes[:1]), scale, (236, 196, 120))
    _ellipses(draw, np.array(dunes[1:]), scale, (222, 178, 100))
    draw.rectangle((0, 116 * scale, size, size), fill=(214, 168, 92))
    return picture


def _room(rng: np.random.Generator, size: int) -> Image.Image:
    scale, walls = size / 128, ((240, 222, 190), (206, 224, 232), (222, 232, 208), (238, 208, 204))
    picture = Image.new("RGB", (size, size), walls[int(rng.integers(len(walls)))])
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 94 * scale, size, size), fill=(176, 122, 78))
    for y in (104, 116):
        draw.line((0, y * scale, size, y * scale), fill=(150, 100, 62), width=max(1, int(scale)))
    draw.rectangle((0, 91 * scale, size, 94 * scale), fill=(250, 248, 242))
    left = 10 if rng.random() < 0.5 else 82
    draw.rectangle(tuple(v * scale for v in (left, 12, left + 36, 54)), fill=(250, 250, 250))
    draw.rectangle(tuple(v * scale for v in (left + 3, 15, left + 33, 51)), fill=(150, 206, 244))
    for line in ((left + 18, 15, left + 18, 51), (left + 3, 33, left + 33, 33)):
        draw.line(tuple(v * scale for v in line), fill=(250, 250, 250), width=int(2 * scale))
    return picture


def _kitchen(rng: np.random.Generator, size: int) -> Image.Image:
    scale = size / 128
    picture = Image.new("RGB", (size, size), (244, 240, 228))
    draw = ImageDraw.Draw(picture)
    for at in range(0, 128, 16):
        draw.line((at * scale, 36 * scale, at * scale, 88 * scale), fill=(218, 212, 198), width=max(1, int(scale)))
    for at in range(36, 88, 13):
        draw.line((0, at * scale, size, at * scale), fill=(218, 212, 198), width=max(1, int(scale)))
    front = ((124, 168, 150), (150, 110, 76), (110, 140, 176))[int(rng.integers(3))]
    edge = tuple(int(v * 0.8) for v in front)
    for top, low in ((0, 34), (94, 128)):
        for left in range(0, 128, 32):
            box = tuple(v * scale for v in (left, top, left + 31, low))
            draw.rectangle(box, fill=front, outline=edge, width=max(1, int(scale)))
            draw.ellipse(tuple(v * scale for v in (left + 24, top + 15, left + 27, top + 18)), fill=(246, 240, 220))
    draw.rectangle((0, 88 * scale, size, 94 * scale), fill=(96, 84, 76))
    return picture


def _galaxy(rng: np.random.Generator, size: int) -> Image.Image:
    """A spiral of soft light over a dark sky, computed at 64 px and enlarged, with sharp stars on top."""
    y, x = np.mgrid[0:64, 0:64] / 32.0 - 1
    far, turn = np.hypot(x, y * 1.4), np.arctan2(y * 1.4, x)
    arms = np.cos(2 * turn - 6 * np.sqrt(far) + rng.uniform(0, 6.28)) * 0.5 + 0.5
    glow = np.exp(-2.6 * far) + 0.55 * arms * np.exp(-1.7 * far)
    tint = np.array([(196, 120, 240), (120, 140, 250), (240, 130, 190)][int(rng.integers(3))], float)
    light = np.array([18, 12, 42]) + glow[..., None] * tint + np.clip(glow - 0.7, 0, 1)[..., None] * 200
    picture = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    picture = picture.filter(ImageFilter.GaussianBlur(size / 128))
    _stars(rng, ImageDraw.Draw(picture), size / 128, 24)
    return picture


SCENERIES = {
    "night": _night,
    "sky": _sky,
    "grass": _grass,
    "sea": _sea,
    "room": _room,
    "galaxy": _galaxy,
    "sunset": _sunset,
    "kitchen": _kitchen,
    "snow": _snow,
    "desert": _desert,
}
"""Scenery -> what draws it, from a source of chance and the side in px."""
