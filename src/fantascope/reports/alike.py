"""Search by look: the pictures of a gallery that look like one, by what the detector that ships sees of them.

Nothing is looked at when a picture is kept. A search looks first at what it has not seen yet, newest first, for as long
as it may, and writes down what it saw beside the gallery's owners; so old galleries are learned as they are searched,
and making a picture costs nothing more than it did.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fantascope.engines.detector import BATCH, SIDE, Detector
from fantascope.errors import GalleryCorrupt, InvalidPicture, NotFound
from fantascope.reports.likeness import read_pixels

if TYPE_CHECKING:
    from fantascope.gallery import Entry, Gallery
    from fantascope.gallery.index import Filters
    from fantascope.settings import Settings

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]

CHUNK = 16 * BATCH
"""Pictures that are asked of the gallery at a time."""

_TURN = threading.Lock()
"""One batch is looked at at a time, however many search."""


@dataclass(frozen=True)
class Alike:
    """What a search found.

    Attributes:
        found: Pictures and their distances, nearest first: 0 is the same picture, about 1 has nothing in common.
        unseen: How many pictures were not looked at yet, and may be found by the next search.
        model: sha256 of the weights that looked.
    """

    found: list[tuple[Entry, float]]
    unseen: int
    model: str


def alike(
    gallery: Gallery,
    settings: Settings,
    asked: Pixels | str,
    limit: int = 20,
    *,
    seconds: float | None = None,
    filters: Filters | None = None,
    told: Callable[[int, int], None] | None = None,
) -> Alike:
    """Return the pictures of a gallery, or of one account's view of it, that look most like one.

    Args:
        gallery: Is searched; where it may be written, what was seen is written down.
        settings: Say with which runtime and how many threads is looked.
        asked: A picture (H, W, 3) uint8, or the id of one in the gallery, which is not found itself.
        limit: At most this many, from 1 on.
        seconds: For how long pictures are looked at that have not been; None looks at all of them.
        filters: Limit what is found, as in a listing.
        told: Hears how many pictures were looked at, and of how many.

    Raises:
        InvalidPicture, GalleryCorrupt: the picture of the id cannot be read.
        NotFound, InvalidValue: no picture has this id, or several; or `limit` is less than 1.
    """
    detector = Detector.load(settings)
    but: str | None
    if isinstance(asked, str):
        but, vector = gallery.look_of(asked, detector.id)
        if vector is None:
            with _TURN:
                vector = _look(detector, read_pixels(gallery.get(but).data))
    else:
        but, vector = None, _look(detector, asked)
    unseen = learn(gallery, detector, seconds, told)
    found = gallery.alike(vector, detector.id, limit, but=but, filters=filters)
    return Alike(found, unseen, detector.id)


def small(pixels: Pixels) -> Pixels:
    """Return a picture at the detector's size: a batch of large ones would not fit into memory."""
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX))


def learn(
    gallery: Gallery, detector: Detector, seconds: float | None = None, told: Callable[[int, int], None] | None = None
) -> int:
    """Look at pictures that have not been looked at, newest first, and return how many are left. At most `seconds`.

    A gallery that is open for reading only stays as it is.
    """
    done, until = 0, None if seconds is None else time.monotonic() + seconds
    before: list[str] = []
    while True:
        ids, left = gallery.unseen(detector.id, CHUNK)
        # The same again are those that nobody owns any more: what they look like is written down for nobody.
        if not ids or ids == before or gallery.read_only:
            return left
        total, before = done + left, ids
        for at in range(0, len(ids), BATCH):
            if until is not None and time.monotonic() >= until:
                return total - done
            some = ids[at : at + BATCH]
            with _TURN:
                gallery.enter_looks(detector.id, _seen(gallery, detector, some))
            done += len(some)
            if told is not None:
                told(done, total)


def _seen(gallery: Gallery, detector: Detector, ids: list[str]) -> dict[str, Floats | None]:
    """Return what each picture looks like; None where its file is gone, has changed or cannot be decoded."""
    found: dict[str, Floats | None] = {}
    shrunk: dict[str, Pixels] = {}
    for id in ids:
        try:
            shrunk[id] = small(read_pixels(gallery.get(id).data))
        except NotFound:
            continue  # removed meanwhile
        except (InvalidPicture, GalleryCorrupt):
            found[id] = None
    if shrunk:
        found |= dict(zip(shrunk, detector.embed(list(shrunk.values())), strict=True))
    return found


def _look(detector: Detector, pixels: Pixels) -> Floats:
    """Return what a picture (H, W, 3) looks like, (D,) of unit length."""
    vector: Floats = detector.embed([small(pixels)])[0]
    return vector
