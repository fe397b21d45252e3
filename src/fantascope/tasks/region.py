"""Where an instruction means: found by asking the model, in the picture itself, where two prompts disagree.

Source: Couairon et al., "DiffEdit: diffusion-based semantic image editing with mask guidance" (2023), section 3.1: the
picture is noised, the model guesses it back with either prompt, and where the guesses differ is the region. A thing is
located by naming other things in its place, one after the other, and not by leaving it out: without it the whole
picture would be laid out anew. `bench/regions.py` holds the regions against things' boxes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fantascope.core.denoise import predict
from fantascope.core.pixels import from_pixels
from fantascope.core.schedules import levels
from fantascope.core.seeds import noise
from fantascope.engines.base import LatentEngine
from fantascope.errors import InvalidValue

Floats = npt.NDArray[np.float32]

LEVELS = (0.35, 0.5)
"""Shares of the way to pure noise at which the model is asked: low enough to see the picture, high enough to doubt."""

WISHES = (0.6, 0.8, 0.95)
"""Those at which it is asked where it would put something that is not there yet."""

MOST_CELLS = 128
"""Longest side at which joined parts are told apart: the time for it grows with its cube."""

DRAWS = 3
"""Noises per level."""

EDGE = 0.35
"""Share of the strongest disagreement from which a cell belongs to the region."""

MAIN = 0.5
"""Share of the largest part's disagreement that another part needs to belong, too."""

OTHERS = ("ball", "book", "chair", "car")
"""What is named in a thing's place; three that the prompt does not speak of."""


def locate(engine: LatentEngine, request: Any, pixels: Any, prompt: str, target: str) -> Floats:
    """Return where `target`, words of the prompt, is in a picture: `(h, w)` float32 in 0 … 1 over latent cells."""
    others = [noun for noun in OTHERS if noun not in prompt.lower()][:3]
    at = prompt.find(target)
    swapped = [f"{prompt[:at]}{swap(target, noun)}{prompt[at + len(target) :]}" for noun in others]
    return disagreement(engine, request, pixels, prompt, swapped)


def swap(target: str, noun: str) -> str:
    """Return a noun phrase with another noun: articles, numbers and adjectives stay.

    Example:
        >>> swap("two red cats", "ball")
        'two red balls'
    """
    return " ".join([*target.split()[:-1], noun + "s" if several(target) else noun])


def several(target: str) -> bool:
    """Say whether a noun phrase means more than one thing: `two cats`, `sunflowers`, `some grass`."""
    words = target.split()
    number = re.fullmatch(r"(?i)two|three|four|five|six|some|many|several|\d+", words[0]) is not None
    return number or (words[-1].endswith("s") and words[0].lower() not in ("a", "an", "one"))


def disagreement(
    engine: LatentEngine,
    request: Any,
    pixels: Any,
    before: str,
    others: Sequence[str],
    shares: Sequence[float] = LEVELS,
) -> Floats:
    """Return where a prompt and others disagree about a picture, `(h, w)` float32 in 0 … 1 over latent cells.

    Args:
        engine: Asked for its guess of the picture without guidance.
        request: Resolved; its seed draws the noises.
        pixels: `(H, W, 3)` uint8 at the model's working size.
        before: The prompt; each of `others` is compared with it.
        shares: Of the way to pure noise.
    """
    x0 = engine.encode_image(engine.from_numpy(from_pixels(pixels[None])))
    training = engine.training_schedule
    run = levels(training, 100, "default", sampler="ddim")
    plain = request.replace(guidance=1.0, negative_prompt=None)
    texts = [before, *others]
    guess = predict(engine.network(plain, engine.encode_text(texts, plain)), training)
    shape = tuple(x0.shape[1:])
    total: Any = np.zeros(shape[1:], np.float32)
    for k, share in enumerate(share for share in shares for _ in range(DRAWS)):
        at = min(run.steps - 1, round((1 - share) * run.steps))
        alpha, sigma, time = (float(part[at]) for part in (run.alphas, run.sigmas, run.times))
        fresh = engine.from_numpy(noise([(request.seed + 7919 * (k + 1)) % 2**32], shape))
        x = engine.to_numpy(alpha * x0 + sigma * fresh)
        old, *new = engine.to_numpy(guess(engine.from_numpy(np.repeat(x, len(texts), 0)), alpha, sigma, time))
        for one in new:
            total = total + np.sqrt(((one - old) ** 2).mean(0))
    smooth = _blurred(total)
    return np.asarray(smooth / max(float(smooth.max()), 1e-6), np.float32)


def _blurred(cells: Floats) -> Floats:
    wide = np.pad(cells, 1, mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16, np.float32)


def region(cells: Floats, size: tuple[int, int], edge: float = EDGE, grow: int = 1) -> Floats:
    """Return the region `(H, W)` float32, 0 or 1, of cells that disagree: their main parts, grown by cells.

    Parts whose disagreement is under `MAIN` of the largest part's are noise and left out.

    Raises:
        InvalidValue: nothing disagrees anywhere.
    """
    close = cells >= edge
    if not close.any():
        raise InvalidValue(
            "The model sees nothing in the picture that this would change.",
            param="mask",
            hint="Give the region: --mask FILE.",
        )
    labels = _parts(close)
    sums = {name: float(cells[labels == name].sum()) for name in np.unique(labels[labels > 0])}
    most = max(sums.values())
    kept = np.isin(labels, [name for name, total in sums.items() if total >= most * MAIN])
    picture = Image.fromarray(np.where(kept, 255, 0).astype(np.uint8))
    if grow:
        picture = picture.filter(ImageFilter.MaxFilter(2 * grow + 1))
    # Smooth outlines instead of steps of a cell: enlarged softly, then cut at the middle.
    large = picture.resize(size, Image.Resampling.BICUBIC)
    return (np.asarray(large, np.float32) >= 127).astype(np.float32)


def _parts(close: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number the joined parts of a small grid from 1 on; 0 is outside."""
    labels = np.where(close, np.arange(1, close.size + 1).reshape(close.shape), 0)
    while True:
        wide = np.pad(labels, 1)
        most = np.max([wide[y : y + close.shape[0], x : x + close.shape[1]] for y in range(3) for x in range(3)], 0)
        new = np.where(close, most, 0)
        if (new == labels).all():
            return np.asarray(labels)
        labels = new


CHANGE = 20
"""Difference in levels, of 255, that is a change and not the model's way of copying."""


def changed(before: Any, after: Any, size: tuple[int, int]) -> Floats:
    """Return where two pictures `(h, w, 3)` differ, as a mask `(H, W)`, 0 or 1, with a little around it."""
    far = np.abs(before.astype(np.float32) - after.astype(np.float32)).max(2)
    picture = Image.fromarray(np.clip(far, 0, 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(2))
    marked = Image.fromarray(np.where(np.asarray(picture) > CHANGE, 255, 0).astype(np.uint8))
    grown = marked.filter(ImageFilter.MaxFilter(2 * max(2, min(marked.size) // 40) + 1)).resize(size)
    return (np.asarray(grown, np.float32) > 127).astype(np.float32)


def main_part(alpha: npt.NDArray[np.uint8], cells: Floats) -> npt.NDArray[np.uint8]:
    """Return alpha `(H, W)` with all but one of its joined parts made clear: the one the model means most.

    Args:
        cells: `(h, w)` in 0 … 1, how much a cell is meant.
    """
    high, wide = alpha.shape
    shrink = max(4, -(-max(high, wide) // MOST_CELLS))
    size = max(1, wide // shrink), max(1, high // shrink)
    labels = _parts(np.asarray(Image.fromarray(alpha).resize(size, Image.Resampling.BOX)) > 64)
    if labels.max() == 0:
        return alpha
    meant = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BILINEAR)) ** 2
    best = max(np.unique(labels[labels > 0]), key=lambda name: float(meant[labels == name].sum()))
    kept = Image.fromarray(np.where(labels == best, 255, 0).astype(np.uint8))
    near = np.asarray(kept.filter(ImageFilter.MaxFilter(3)).resize((wide, high), Image.Resampling.NEAREST)) > 0
    return np.where(near, alpha, 0).astype(np.uint8)
