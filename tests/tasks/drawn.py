"""Pictures, masks and files for the tests of edits, and a short way to run a request."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from fantascope import Artifact, Studio
from fantascope.artifact import MEDIA_TYPES
from fantascope.provenance.verify import Report, verify
from fantascope.tasks.pixels import open_pixels


def made(studio: Studio, request: Any) -> list[Artifact]:
    """Run a request and return its pictures."""
    return [event for event in studio.run(request) if isinstance(event, Artifact)]


def one(studio: Studio, request: Any) -> Artifact:
    """Run a request for one picture."""
    (artifact,) = made(studio, request)
    return artifact


def report(studio: Studio, artifact: Artifact) -> Report:
    """Verify the sealed bytes of an artifact."""
    return verify(artifact.data, trust=studio.settings.keys, models=studio.settings.models)


def line(found: Report, name: str) -> str:
    """Return what one line of a report says."""
    return next(check.text for check in found.checks if check.name == name)


def decoded(artifact: Artifact) -> np.ndarray:
    """Return the pixels of the sealed file, by Pillow alone."""
    with Image.open(io.BytesIO(artifact.data)) as picture:
        return np.array(picture)


def artifact_of(pixels: Any, form: str = "PNG", mode: str | None = None, **options: Any) -> Artifact:
    """Write pixels, or a Pillow picture, as a file that was handed in."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels, mode)
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return Artifact(buffer.getvalue(), MEDIA_TYPES[form.lower()])


def saved(path: Path, pixels: Any, **options: Any) -> str:
    """Write pixels to a file and return its name."""
    Image.fromarray(pixels).save(path, **options)
    return str(path)


def box_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """Return `(H, W)` uint8, 255 in a box (left, top, right, bottom)."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 255
    return mask


def touched_of(studio: Studio, artifact: Artifact) -> np.ndarray:
    """Return where an edit was allowed to change pixels, `(H, W)` bool, from the mask in the gallery."""
    assert artifact.receipt is not None
    assert artifact.receipt.kept is not None
    mask: np.ndarray = open_pixels(studio.gallery.get(artifact.receipt.kept.mask))[..., 0] > 0
    return mask


def check_contract(studio: Studio, parent: Artifact, child: Artifact) -> np.ndarray:
    """Hold an edit to its word, by the sealed bytes alone; return where it was allowed to change pixels."""
    receipt = child.receipt
    assert receipt is not None
    assert receipt.kept is not None
    assert receipt.parents[0] == parent.id
    touched, before, after = touched_of(studio, child), open_pixels(parent), open_pixels(child)
    if before.shape[2] != after.shape[2]:
        before, after = with_alpha(before), with_alpha(after)
    left, top = receipt.kept.left, receipt.kept.top
    height, width = before.shape[:2]
    rows, columns = np.nonzero(~touched)
    assert rows.size == 0 or (rows.min() >= top and columns.min() >= left)
    assert rows.size == 0 or (rows.max() < top + height and columns.max() < left + width)
    assert (after[rows, columns] == before[rows - top, columns - left]).all()
    assert receipt.kept.before == receipt.kept.after
    found = report(studio, child)
    assert found.ok, found
    return touched


def with_alpha(pixels: np.ndarray) -> np.ndarray:
    """Return `(H, W, 4)`."""
    return pixels if pixels.shape[2] == 4 else np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


GROUNDS = ("plain", "gradient", "night")


def ground(kind: str, size: int = 256) -> np.ndarray:
    """Return a background `(size, size, 3)` uint8: one colour, a wash of two, or a night sky with faint stars."""
    y, x = np.mgrid[0:size, 0:size][..., None] / size
    if kind == "plain":
        return np.full((size, size, 3), (90, 150, 220), np.uint8)
    if kind == "gradient":
        return np.asarray(np.array([240, 210, 160]) * (1 - y) + np.array([150, 190, 235]) * y + 10 * x, np.uint8)
    sky = np.asarray(np.array([10, 14, 40]) * (1 - y) + np.array([30, 34, 80]) * y, np.float64)
    rng = np.random.default_rng(3)
    for at_y, at_x in rng.integers(0, size, (25, 2)):
        sky[at_y, at_x] += 20
    return np.asarray(sky, np.uint8)


def sprite(size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Return a drawn thing with soft edges: colours `(size, size, 3)` and alpha `(size, size)` uint8."""
    big = Image.new("RGBA", (4 * size, 4 * size), (210, 60, 40, 0))
    draw = ImageDraw.Draw(big)
    at = [4 * size * share // 100 for share in (28, 70, 40, 62, 50, 85, 45, 58)]
    draw.ellipse((at[0], at[0], at[1], at[1]), fill=(210, 60, 40, 255))
    draw.rectangle((at[2], at[3], at[4], at[5]), fill=(210, 60, 40, 255))
    draw.ellipse((at[2], at[2], at[6], at[6]), fill=(250, 240, 230, 255))
    small = np.asarray(big.resize((size, size), Image.Resampling.BOX))
    return small[..., :3], small[..., 3]


def composed(kind: str, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture of the sprite on a background, and its known alpha `(size, size)` uint8."""
    colours, alpha = sprite(size)
    share = alpha[..., None] / 255
    return np.asarray(np.rint(colours * share + ground(kind, size) * (1 - share)), np.uint8), alpha


def photo(width: int = 200, height: int = 160, seed: int = 1) -> np.ndarray:
    """Return noise smoothed like a photograph's, `(height, width, 3)` uint8."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8))
    smooth = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
