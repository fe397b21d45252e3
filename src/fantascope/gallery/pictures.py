"""All decoding the gallery does: a picture that was handed in is decoded once, bounded; thumbnails are made."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from fantascope.artifact import MEDIA_TYPES
from fantascope.errors import InvalidPicture
from fantascope.request import MAX_SIDE

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_BYTES = 64 * 2**20
MAX_PIXELS = MAX_SIDE * MAX_SIDE
THUMB_SIDES = (16, 1024)
"""Smallest and largest side of a thumbnail, pixels."""


def inspect(data: bytes, media_type: str | None = None) -> tuple[str, tuple[int, int]]:
    """Decode a picture once and return its media type and its size (width, height) in pixels.

    Args:
        data: PNG, JPEG or WebP; of an animation the first frame counts.
        media_type: What it is said to be; None takes what it is.

    Raises:
        InvalidPicture: empty, larger than `MAX_BYTES`, `MAX_SIDE` or `MAX_PIXELS`, of another format than is allowed
            or said, truncated, damaged.
    """
    if not 0 < len(data) <= MAX_BYTES:
        raise InvalidPicture(f"A picture file has 1 to {MAX_BYTES} bytes; this one has {len(data)}.")
    picture = _open(data)
    form = str(picture.format).lower()
    # What cameras write with a second picture behind the first is a JPEG file like any other.
    found = MEDIA_TYPES["jpeg" if form == "mpo" else form]
    if media_type not in (None, found):
        raise InvalidPicture(f"The file is said to be {media_type} and is {found}.", hint=f"Send it as {found}.")
    _decode(picture)
    return found, picture.size


def thumbnail(data: bytes, side: int) -> bytes:
    """Return a WebP whose longer side has at most `side` pixels, upright; smaller pictures are not enlarged.

    Raises:
        InvalidPicture: as `inspect` says.
    """
    from PIL import Image, ImageOps

    picture = _open(data)
    picture.draft("RGB", (side, side))
    _decode(picture)
    picture = ImageOps.exif_transpose(picture)
    small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()


def _open(data: bytes) -> Image:
    """Read the header and refuse what would take too much memory to decode."""
    from PIL import Image, UnidentifiedImageError

    allowed = ", ".join(name.upper() for name in MEDIA_TYPES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, which is checked below, and of a stranger's metadata
            picture = Image.open(io.BytesIO(data), formats=[name.upper() for name in MEDIA_TYPES])
    except UnidentifiedImageError as error:
        raise InvalidPicture(f"This is no picture that can be read; allowed are {allowed}.") from error
    except Image.DecompressionBombError as error:
        raise InvalidPicture(f"The picture is too large: more than {MAX_PIXELS} pixels.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidPicture(f"The picture is damaged: {error}.") from error
    width, height = picture.size
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise InvalidPicture(f"The picture has {width}x{height} pixels; a side may have {MAX_SIDE}.")
    return picture


def _decode(picture: Image) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.load()
    except (OSError, SyntaxError, ValueError, MemoryError) as error:
        raise InvalidPicture(f"The picture is damaged or cut off: {error}.") from error
