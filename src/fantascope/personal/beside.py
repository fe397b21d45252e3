"""Pictures of a subject beside another thing, laid together from both.

What learns from pictures of a subject alone paints it alone, whatever else is asked for. So the base paints other
things on a white ground; they and the subject are cut out and stand side by side on one ground, told as they stand.

Source: Han et al., "SVDiff: compact parameter space for diffusion fine-tuning" (2023), section 3.4 (two subjects of two
sets of photos there; here the second is what the base knows already).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from fantascope.core.colour import COLOURS
from fantascope.errors import InvalidPicture
from fantascope.personal.photos import FREE, TOLERANCE, filled
from fantascope.prompt.english import with_article
from fantascope.tasks.cutout import cut

Pixels = npt.NDArray[np.uint8]

THINGS = ("dog", "house", "rose", "apple", "umbrella", "mushroom", "guitar", "balloon", "fish", "star", "chair", "boat")
"""What stands beside a subject; not the things of the benchmark, so that it measures what was not taught."""

WORDINGS = ("{one} and {two}", "{one} next to {two}", "{one} beside {two}")
ACROSS, MIDDLE = 0.46, (0.26, 0.74)
"""Longest side of each of the two, and where their middles are from left to right, as shares of the picture's width."""

APART = 90.0
"""Least distance of the ground's colour from the mean colour of either, levels."""


def thing_prompts(kind: str, count: int) -> list[str]:
    """What the base paints to stand beside a subject of a class: things of other kinds, in turn."""
    others = [thing for thing in THINGS if thing != kind]
    return [f"{with_article(others[k % len(others)])} on a white background" for k in range(count)]


def standing_free(pixels: Pixels) -> Pixels | None:
    """A painted thing (H, W, 4) cut from its ground; None where it cannot be told from it."""
    try:
        thing = filled(cut(pixels, TOLERANCE, specks=False), pixels)
    except InvalidPicture:
        return None
    return thing if FREE[0] <= float((thing[..., 3] > 127).mean()) <= FREE[1] else None


def side_by_side(
    subjects: Sequence[Pixels], things: Sequence[tuple[Pixels, str]], who: str, side: int, seed: int
) -> list[tuple[Pixels, tuple[str, ...]]]:
    """Lay each thing beside one of the subjects.

    Args:
        subjects: Cut-outs (H, W, 4) of the subject, used in turn.
        things: Pictures (H, W, 3) of things, and the prompts they were painted from.
        who: The subject in words, such as `pomo alien`.
        side: Of the pictures made, px.
        seed: Says who stands on which side, and on what.

    Returns:
        Pictures (side, side, 3) with their captions; fewer than things, where one is not told from its ground.
    """
    out = []
    for k, (pixels, prompt) in enumerate(things):
        thing = standing_free(pixels)
        if thing is None or not subjects:
            continue
        rng = np.random.default_rng([seed, 29, k])
        pair = [
            (subjects[k % len(subjects)], with_article(who)),
            (thing, prompt.removesuffix(" on a white background")),
        ]
        if rng.random() < 0.5:
            pair.reverse()
        ground = _ground([cutout for cutout, _ in pair], rng)
        canvas = Image.new("RGB", (side, side), COLOURS[ground])
        for (cutout, _), middle in zip(pair, MIDDLE, strict=True):
            _stand(canvas, cutout, middle, rng)
        one, last = (words for _, words in pair)
        on = f"on {with_article(f'{ground} background')}"
        said = tuple(f"{wording.format(one=one, two=last)} {on}" for wording in WORDINGS)
        out.append((np.array(canvas), said))
    return out


def _ground(cutouts: Sequence[Pixels], rng: np.random.Generator) -> str:
    """A colour that none of the cut-outs would be lost on; white half of the time, if it is one."""
    means = [pixels[pixels[..., 3] > 127][:, :3].mean(0) for pixels in cutouts]
    free = [
        name
        for name, rgb in COLOURS.items()
        if all(float(np.linalg.norm(np.array(rgb) - mean)) > APART for mean in means)
    ]
    if not free or ("white" in free and rng.random() < 0.5):
        return "white"
    return str(rng.choice(free))


def _stand(canvas: Image.Image, cutout: Pixels, middle: float, rng: np.random.Generator) -> None:
    """Paste what is opaque of a cut-out, scaled to its half of the canvas."""
    rows, columns = (np.flatnonzero((cutout[..., 3] > 0).any(axis)) for axis in (1, 0))
    own = Image.fromarray(np.ascontiguousarray(cutout[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]))
    scale = ACROSS * canvas.width / max(own.size)
    small = own.resize([max(8, round(length * scale)) for length in own.size], Image.Resampling.LANCZOS)
    left = round(middle * canvas.width - small.width / 2)
    top = round((canvas.height - small.height) / 2 + rng.normal(0, 0.05) * canvas.height)
    top = int(np.clip(top, 0, canvas.height - small.height))
    canvas.paste(small, (left, top), small.getchannel("A"))
