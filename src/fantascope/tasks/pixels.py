"""Pictures as arrays: whatever file was handed in becomes upright sRGB, and masks say where to edit."""

from __future__ import annotations

import io
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps

from fantascope.artifact import Artifact
from fantascope.errors import InvalidPicture, InvalidValue

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.float32]

DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
"""Pillow's modes of more than 8 bits."""


def open_pixels(artifact: Artifact) -> Pixels:
    """Return a picture as `(H, W, 3)` uint8, or `(H, W, 4)` where some of it is transparent; sRGB, upright.

    Palette, gray, CMYK and 16-bit files are converted, a colour profile is applied, of an animation the first frame
    counts. Size and format were checked when the picture was taken in.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow thinks of a stranger's metadata is no line for a terminal
        try:
            picture: Image.Image = Image.open(io.BytesIO(artifact.data))
            picture.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise InvalidPicture(f"The picture is damaged or cut off: {error}.", param="picture") from error
        profile = picture.info.get("icc_profile")
        picture = _upright(picture)
    if picture.mode in DEEP:
        deep = np.asarray(picture, np.float64)
        top = 65535.0 if picture.mode != "F" else max(1.0, float(deep.max()))
        picture = Image.fromarray(np.clip(np.rint(deep / top * 255), 0, 255).astype(np.uint8))
    clear = picture.has_transparency_data
    if profile and not clear:
        picture = _managed(picture, profile)
    pixels = np.array(picture.convert("RGBA" if clear else "RGB"))
    return pixels if not clear or pixels[..., 3].min() < 255 else np.ascontiguousarray(pixels[..., :3])


def _upright(picture: Image.Image) -> Image.Image:
    """Turn a picture as its Exif block says; one that cannot be read is as good as none."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a foreign Exif block may break Pillow's reader in many ways
        return picture


def _managed(picture: Image.Image, profile: bytes) -> Image.Image:
    """Apply a colour profile; one that cannot be read is as good as none."""
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        done = ImageCms.profileToProfile(picture, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return done if done is not None else picture


def open_mask(artifact: Artifact, size: tuple[int, int]) -> Mask:
    """Return where to edit as `(H, W)` float32, 1 = edit: where alpha is 0, or white in a mask without alpha.

    Raises:
        InvalidValue: it has another size than the picture, or marks nothing.
    """
    pixels = open_pixels(artifact)
    height, width = pixels.shape[:2]
    if (width, height) != size:
        raise InvalidValue(
            f"The mask has {width}x{height} pixels and the picture {size[0]}x{size[1]}: they must be equal.",
            param="mask",
        )
    if pixels.shape[2] == 4:
        return _marked(1 - pixels[..., 3] / np.float32(255))
    return _marked(np.asarray(Image.fromarray(pixels).convert("L"), np.float32) / 255)


def own_mask(pixels: Pixels) -> Mask:
    """Return the transparent part of a picture as `(H, W)` float32, 1 = edit.

    Raises:
        InvalidValue: nothing in it is transparent.
    """
    if pixels.shape[2] == 3:
        raise InvalidValue(
            "Nothing says where to edit: the picture has no transparent part, and no mask is given.",
            param="mask",
            hint="Give --mask FILE: transparent (or white) where the picture may change.",
        )
    return _marked(1 - pixels[..., 3] / np.float32(255))


def _marked(mask: Any) -> Mask:
    mask = np.array(mask, np.float32)
    mask[mask < 1 / 64] = 0
    if not mask.any():
        raise InvalidValue(
            "The mask marks nothing.", param="mask", hint="Make it transparent (or white) where the picture may change."
        )
    return np.asarray(mask)


def opaque(pixels: Pixels) -> Pixels:
    """Return `(H, W, 3)`; what is transparent gets the mean colour of what is not, so that nothing hidden shows."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.float32) / 255
    mean = (pixels[..., :3] * alpha).sum((0, 1)) / max(float(alpha.sum()), 1e-6)
    return np.asarray(np.rint(pixels[..., :3] * alpha + mean * (1 - alpha)), np.uint8)


def resized(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the pixels at another size (width, height), by Lanczos filtering."""
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def resized_mask(mask: Any, size: tuple[int, int]) -> Mask:
    """Return a mask at another size (width, height): a pixel is marked as much as the most of what it covers."""
    height, width = mask.shape
    if (width, height) == size:
        return np.asarray(mask, np.float32)
    rows = _spans(height, size[1])
    columns = _spans(width, size[0])
    down = np.stack([mask[a:b].max(0) for a, b in rows])
    return np.stack([down[:, a:b].max(1) for a, b in columns], 1).astype(np.float32)


def _spans(old: int, new: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, old, new + 1)
    return [(int(a), max(int(a) + 1, int(np.ceil(b)))) for a, b in pairwise(edges)]


def box_of(marked: Any) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what is marked in `(H, W)` bool."""
    rows, columns = np.flatnonzero(marked.any(1)), np.flatnonzero(marked.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def parts(marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number the parts of `marked (H, W)` that are joined by their sides, from 1 on; 0 is outside.

    Runs along rows are joined where they touch the row below: each takes the lowest number of those it touches, and
    numbers are followed to their ends, until nothing changes (Shiloach & Vishkin, 1982).
    """
    starts = marked & ~np.pad(marked, ((0, 0), (1, 0)))[:, :-1]
    run = np.cumsum(starts).reshape(marked.shape) - 1
    touch = marked[:-1] & marked[1:]
    touch &= ~np.pad(touch, ((0, 0), (1, 0)))[:, :-1]  # once for each pair of runs
    pairs = np.stack([run[:-1][touch], run[1:][touch]])
    root = np.arange(int(starts.sum()))
    while True:
        ends = root[pairs]
        if (ends[0] == ends[1]).all():
            break
        np.minimum.at(root, ends.max(0), ends.min(0))
        while (root[root] != root).any():
            root = root[root]
    numbers = np.unique(root, return_inverse=True)[1] + 1
    return np.where(marked, numbers[run], 0) if len(root) else np.zeros(marked.shape, np.int64)


def encode_mask(touched: Any) -> bytes:
    """Return a PNG that is white where `touched (H, W)` is true: the form `open_mask` reads."""
    buffer = io.BytesIO()
    Image.fromarray(np.where(touched, 255, 0).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
