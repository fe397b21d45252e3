"""Pictures that come as text: decoded, brought to the size that the web UI would bring them to, and kept.

The web UI resizes what it was given before it paints; here a task gives back the size of its picture. So where sizes
differ the picture is resized first and the resized one is the picture of the request. Where they agree it is used as it
came, byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from fantascope.artifact import Artifact
from fantascope.errors import AccessDenied, InvalidPicture
from fantascope.gallery import pictures
from fantascope.serve.fetch import fetched
from fantascope.tasks.pixels import Pixels, open_pixels

JUST, CROP, FILL, LATENT = 0, 1, 2, 3
"""`resize_mode`: squeezed to the size, cut to its shape, with its edges drawn out, and one that is as the first."""

FIELDS = frozenset({"init_images", "image", "input_image", "mask", "mask_image", "data"}) | {
    "controlnet_input_images",
    "controlnet_images",
    "controlnet_masks",
}
"""Fields that hold pictures, wherever they stand in a body."""

DEEPEST = 6

Size = tuple[int, int]
Take = Callable[[bytes, str | None], str]
"""Keeps bytes as a picture of the caller's, for a task or None, and returns its id."""


@dataclass(frozen=True)
class Given:
    """A picture that came with a request: its bytes, and its pixels `(H, W, 3 or 4)` uint8, upright."""

    data: bytes
    pixels: Pixels

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


def brought(data: Any, hosts: Sequence[str], most: int, field: str = "", depth: int = 0) -> Any:
    """Return a body in which pictures that are named by an address of a listed host are there themselves.

    Args:
        hosts: From which pictures may be fetched; where there is none, nothing is looked at.
        most: Bytes that are taken.

    Raises:
        FantascopeError: the host is not listed, or no file is at the address.
    """
    if not hosts or depth > DEEPEST:
        return data
    if isinstance(data, dict):
        return {name: brought(value, hosts, most, str(name), depth + 1) for name, value in data.items()}
    if isinstance(data, list):
        return [brought(value, hosts, most, field, depth + 1) for value in data]
    if field not in FIELDS or not isinstance(data, str) or not addressed(data):
        return data
    return base64.b64encode(fetched(data, hosts, most, field)).decode("ascii")


def addressed(text: str) -> bool:
    """Say whether a text is an address."""
    return text[:8].lower().startswith(("http://", "https://"))


def decoded(text: str, param: str) -> bytes:
    """Return the bytes of a picture: base64, bare or in a data URL.

    Raises:
        AccessDenied: it is an address, and nothing is fetched.
        InvalidPicture: it is no base64.
    """
    if addressed(text):
        raise AccessDenied(
            "Requests not allowed: this server fetches nothing.",
            param=param,
            hint="Send the picture as base64; the operator lists hosts with --fetch-host.",
        )
    if text[:5].lower() == "data:":
        text = text.partition(",")[2]
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidPicture("Invalid encoded image: a picture is base64.", param=param) from None


def opened(text: str, param: str) -> Given:
    """Return a picture that came as text, bounded before it is decoded.

    Raises:
        AccessDenied, InvalidPicture: as `decoded` says, or it is no picture, broken, or too large once decoded.
    """
    data = decoded(text, param)
    try:
        kind, _ = pictures.inspect(data)
        return Given(data, open_pixels(Artifact(data, kind)))
    except InvalidPicture as error:
        raise InvalidPicture(error.message, param=param, hint=error.hint) from None


def kept(given: Given, size: Size | None, mode: int, take: Take) -> str:
    """Keep a picture, at a size if one is given, and return its id."""
    if size is None or size == given.size:
        return take(given.data, None)
    return take(png(resized(given.pixels, size, mode)), None)


def mask_of(given: Given) -> Pixels:
    """Return where to paint, `(H, W)` uint8: what is opaque where some is not, else what is light."""
    if given.pixels.shape[2] == 4:
        return np.where(given.pixels[..., 3] >= 128, 255, 0).astype(np.uint8)
    return np.asarray(Image.fromarray(given.pixels).convert("L"))


def resized(pixels: Pixels, size: Size, mode: int) -> Pixels:
    """Return pixels at another size, in one of the web UI's three ways."""
    picture = Image.fromarray(pixels)
    if mode == CROP:
        return np.asarray(ImageOps.fit(picture, size, Image.Resampling.LANCZOS))
    if mode != FILL:
        return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    small = ImageOps.contain(picture, size, Image.Resampling.LANCZOS)
    left, top = (size[0] - small.width) // 2, (size[1] - small.height) // 2
    sides = ((top, size[1] - small.height - top), (left, size[0] - small.width - left))
    return np.pad(np.asarray(small), (*sides, (0, 0))[: pixels.ndim], mode="edge")


def cut_to(pixels: Pixels, size: Size) -> Pixels:
    """Return the middle of a picture in the shape of `size`, without resampling."""
    height, width = pixels.shape[:2]
    wide = min(width, max(1, round(height * size[0] / size[1])))
    high = min(height, max(1, round(wide * size[1] / size[0])))
    left, top = (width - wide) // 2, (height - high) // 2
    return pixels[top : top + high, left : left + wide]


def png(pixels: Pixels) -> bytes:
    """Return pixels as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=3)
    return file.getvalue()
