"""Sealing: mark, then metadata, then signature, in this order, since each covers the one before.

marked = mark_pixels(pixels, identity)            # 1 the id goes into the pixels
receipt = Receipt(id=identity, pixels_sha256=pixels_hash(marked), …)   # 2 the caller closes the receipt
data = seal(marked, receipt, keys=folder, format="png", quality=95)      # 3 metadata, then signature
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fantascope.provenance import container, manifest, mark
from fantascope.provenance.keys import ensure_keys
from fantascope.receipt import Receipt

Pixels = NDArray[np.uint8]


HARD = 90
"""Quality of JPEG and WebP below which the mark is made stronger."""


def mark_pixels(pixels: Pixels, identity: str, *, format: str = "png", quality: int = 100) -> Pixels:
    """Return the pixels with the id woven in; a picture below `mark.MIN_SIDE` comes back as it is.

    Format and quality of the file to come decide how strongly: hard compression wipes out what is faint.

    Raises:
        InvalidPicture: not `(H, W, 3 or 4)` uint8, or larger than can be verified.
    """
    container.check_size(pixels)
    lossy = format != "png" and quality < HARD
    return mark.embed(pixels, identity, lossy=lossy) if mark.can_mark(pixels) else pixels


def pixels_hash(pixels: Pixels) -> str:
    """Return the SHA-256 (hex) of shape and raw bytes: the same whatever file holds the pixels."""
    digest = hashlib.sha256(repr(tuple(int(side) for side in pixels.shape)).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def seal(
    marked: Pixels,
    receipt: Receipt,
    *,
    keys: Path,
    format: str,
    quality: int,
    parents: Sequence[Path | bytes] = (),
) -> bytes:
    """Return the finished file: metadata around the marked pixels, signed as a whole.

    Args:
        marked: What `mark_pixels` gave, `(H, W, 3 or 4)` uint8.
        receipt: Closed receipt of these pixels; `private` keeps prompt, seed and settings out of the file.
        keys: Folder of the signing key; made on first use.
        format: `png`, `jpeg` or `webp`.
        quality: 1 … 100 of JPEG and WebP; WebP at 100 is lossless.
        parents: Files this picture was made from.

    Raises:
        ProvenanceError: the file cannot be written or signed.
        UnknownName: no such format.
    """
    container.check_size(marked)
    data = container.encode(marked, receipt, format, quality)
    return manifest.sign(data, format, receipt, ensure_keys(keys), parents)
