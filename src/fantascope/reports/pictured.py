"""What can be seen in a picture with what ships: things, colours, ground, style and light; for `prompt describe`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fantascope.core.colour import COLOURS, nearest_colour
from fantascope.data.backdrop import PLAIN, SCENERIES, backdrop
from fantascope.data.caption import GROUNDS, LIGHT_WORDS
from fantascope.engines.detector import Box, Detector, Found
from fantascope.prompt.describe import Guess, SeenPicture, SeenThing, readings
from fantascope.prompt.english import article
from fantascope.reports.likeness import read_pixels, things
from fantascope.settings import Settings

BETTER = (
    "This is what the small detector sees, which knows drawn things. Of a photo a captioning model says more: "
    "`fantascope prompt describe FILE --model blip`, or one that you add with `fantascope models add`."
)
Pixels = npt.NDArray[np.uint8]

SIDE, DRAWN = 64, 4
"""Pixels of the picture that grounds are compared at, and how many drawings of each scenery it is compared with."""

EVEN, FITS, BUSY = 0.7, 0.2, 0.25
"""A ground is one colour where the border is less than `EVEN` times as far from its middle colour as from the nearest
scenery, or where no scenery is nearer than `FITS`; it is neither where its middle colour is farther than `BUSY`, too.
Chosen on 72 pictures by `bench/describe.py`."""

RARE = 0.005
"""What a kind is worth that a find does not list."""

ALIKE, LARGER = 0.82, 3.0
"""Cosine from which two finds may be the same thing twice, and how many times as large one of them may be."""

OWN, SHOWN, APART = 0.5, 0.45, 60.0
"""Of a thing that has its own colours by at least this share, one is named only where the detector's share of it and
that of its pixels add up to so much; pixels are those that are so far (of 255) from the ground's colour."""

SHARP = 0.12
"""How quickly the likelihood of a ground falls with its distance."""

STYLED = {"flat": "flat style", "3d": "3d style", "cartoon": "cartoon style", "clipart": "clip art"}
"""Set of training drawings -> how captions say its style."""

ITSELF = 0.95
"""Likeness from which a thing is as good as the drawing, so that its style is the drawing's. Less says nothing of the
style: of 160 pictures in eight styles it named 13 % right."""

DIM, BRIGHT, TINT = 70.0, 215.0, 22.0
"""Mean lightness below and above which the light is dim or bright, and how much more red than blue is warm (of 255)."""


def look(file: Path | bytes) -> dict[str, Any]:
    """Return four readings with their scores, what was seen, and the nearest training drawings.

    Raises:
        InvalidPicture: it is not a picture that can be read safely.
    """
    from fantascope.provenance.attribution import INDEX, read_index
    from fantascope.provenance.training import LEDGER, read_rows
    from fantascope.spec import EMBEDDED

    pixels = read_pixels(file)
    detector = Detector.load(Settings.from_env())
    index = read_index(EMBEDDED / INDEX)
    known = {row["sha256"]: row for row in read_rows(EMBEDDED / LEDGER)}
    near = [row for thing in things(detector, pixels, index, 5) for row in thing.near]
    sets = Counter(known[one.sha256].get("source", "") for one in near if one.likeness >= ITSELF)
    seen = SeenPicture(_things(detector, pixels), _grounds(pixels), _styles(sets), _lights(pixels))
    names = [f"{known[one.sha256]['attribution']} (likeness {one.likeness:.2f})" for one in near[:3]]
    return {
        "readings": [vars(one) for one in readings(seen)],
        "things": [
            {"kinds": [vars(k) for k in one.kinds], "count": one.count, "colour": one.colour} for one in seen.things
        ],
        "background": [vars(one) for one in seen.grounds],
        "style": [vars(one) for one in seen.styles],
        "light": [vars(one) for one in seen.lights],
        "near": names,
    }


def _things(detector: Detector, pixels: Pixels) -> tuple[SeenThing, ...]:
    """Things from left to right; what looks alike is the same thing several times, and they say together what it is."""
    found = [one for one in detector.look([pixels])[0] if one.score >= detector.labels.threshold]
    groups: list[list[Found]] = []
    for one in found:
        near = [(float(one.feature @ group[0].feature), group) for group in groups if _same(one, group[0])]
        if near:
            max(near, key=lambda pair: pair[0])[1].append(one)
        else:
            groups.append([one])
    seen: dict[tuple[str, str | None], SeenThing] = {}
    for group in sorted(groups, key=lambda group: min(one.box[0] for one in group)):
        kinds, colour = _kinds(group), _colour(group, pixels)
        before = seen.get((kinds[0].words, colour))  # not alike, and yet the same words
        seen[kinds[0].words, colour] = SeenThing(kinds, len(group) + (before.count if before else 0), colour)
    return tuple(seen.values())


def _same(one: Found, other: Found) -> bool:
    """Whether two finds are the same thing twice: alike to the detector, or of one kind; about as large, one colour."""
    dyes = [max(found.colours, key=lambda name: found.colours[name]) for found in (one, other)]
    sure = min(found.colours[dye] for found, dye in zip((one, other), dyes, strict=True)) >= 0.5
    if dyes[0] != dyes[1] and sure:
        return False
    areas = sorted((box[2] - box[0]) * (box[3] - box[1]) for box in (one.box, other.box))
    alike = one.kind == other.kind or float(one.feature @ other.feature) >= ALIKE
    return alike and areas[1] <= LARGER * areas[0]


def _kinds(group: Sequence[Found]) -> tuple[Guess, ...]:
    """What things that are alike may be: the geometric mean of what each may be, since each says it once more."""
    names = {name for one in group for name, _ in one.kinds}
    each = [{name: max(float(score), RARE) for name, score in one.kinds} for one in group]
    shares = {name: float(np.exp(np.mean([np.log(one.get(name, RARE)) for one in each]))) for name in names}
    best = sorted(shares, key=lambda name: (-shares[name], name))[:3]
    likely = [name for k, name in enumerate(best) if k == 0 or shares[name] >= 0.02]
    return tuple(Guess(name.replace("-", " "), min(1.0, shares[name])) for name in likely)


def _colour(group: Sequence[Found], pixels: Pixels) -> str | None:
    """The colour of things, by the detector and by their pixels together; None where they have several of their own."""
    ground = np.median(_border(Image.fromarray(pixels)), axis=0)
    seen = [_dyes(pixels, one.box, ground) for one in group]
    shares = {
        name: sum(one.colours.get(name, 0.0) + dyes[name] for one, dyes in zip(group, seen, strict=True)) / len(group)
        for name in COLOURS
    }
    best = max(shares, key=lambda name: shares[name])
    own = sum(one.colours.get("own", 0.0) for one in group) / len(group)
    return best if own < OWN or shares[best] >= SHOWN else None


def _dyes(pixels: Pixels, box: Box, ground: Any) -> dict[str, float]:
    """Share of each named colour among those pixels of a box (px of 128) that are not the ground's, a tenth or more."""
    high, wide = pixels.shape[:2]
    left, top, right, bottom = box
    inner = (int(left * wide / 128), int(top * high / 128), int(right * wide / 128) + 1, int(bottom * high / 128) + 1)
    small = np.asarray(Image.fromarray(pixels).crop(inner).resize((32, 32), Image.Resampling.BOX), np.float32)
    points = small.reshape(-1, 3)
    least = len(points) // 10
    points = points[np.sqrt(((points - ground) ** 2).sum(axis=1)) >= APART]
    names, dyes = list(COLOURS), np.array(list(COLOURS.values()), np.float32)
    nearest = ((points[:, None] - dyes) ** 2).sum(axis=2).argmin(axis=1)
    counts = np.bincount(nearest, minlength=len(names))
    return {name: float(counts[k] / max(len(points), least)) for k, name in enumerate(names)}


def _grounds(pixels: Pixels) -> tuple[Guess, ...]:
    """The ground: one colour, or the scenery whose drawings have a border most like it; nothing where neither fits."""
    border = _border(Image.fromarray(pixels))
    middle = np.median(border, axis=0)
    flat = _apart(border, np.broadcast_to(middle, border.shape).astype(np.float32))
    scores = {name: min(_apart(border, _drawn(name, seed)) for seed in range(DRAWN)) for name in SCENERIES}
    nearest = min(scores.values())
    if nearest > FITS and flat > BUSY:
        return ()
    words = {name: GROUNDS[name][0].strip() for name in scores}
    plain = f"on {article(f'{nearest_colour(middle)} background')}"
    scores[plain] = min(flat / EVEN, FITS if flat <= BUSY else flat / EVEN)
    likely = {name: float(np.exp(-score / SHARP)) for name, score in scores.items()}
    total = sum(likely.values())
    best = sorted(likely, key=lambda name: -likely[name])[:2]
    return tuple(Guess(words.get(name, name), likely[name] / total) for name in best)


def _apart(border: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """How far two borders are apart, place by place and as mere sets of colours."""
    sets = np.abs(np.sort(border, 0) - np.sort(other, 0)).mean()
    return float(sets + np.abs(border - other).mean()) / 255


@lru_cache(maxsize=DRAWN * len(SCENERIES))
def _drawn(name: str, seed: int) -> npt.NDArray[np.float32]:
    return _border(backdrop(name, seed, 128))


def _border(picture: Image.Image) -> npt.NDArray[np.float32]:
    """The outer pixels of a picture, (N, 3), top, bottom, left and right: where things rarely are."""
    small = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    edge = SIDE // 12
    rows = (small[:edge], small[-edge:], small[:, :edge], small[:, -edge:])
    return np.concatenate([row.reshape(-1, 3) for row in rows])


def _styles(sets: Counter[str]) -> tuple[Guess, ...]:
    """The styles of the sets that drawings are from, which things are as good as; nothing where there are none."""
    total = sum(sets.values())
    return tuple(Guess(STYLED[name], count / total) for name, count in sets.most_common(2) if name in STYLED)


def _lights(pixels: Pixels) -> tuple[Guess, ...]:
    """Dim, bright, warm or cold: by the whole picture's mean colour; nothing where it is neither."""
    mean = pixels.reshape(-1, 3).astype(np.float32).mean(axis=0)
    light, tint = float(mean.mean()), float(mean[0] - mean[2])
    words = {name: rows[0].removeprefix(", ") for name, rows in LIGHT_WORDS.items()}
    if light < DIM:
        return (Guess(words["dim"], min(1.0, 0.5 + (DIM - light) / DIM / 2)),)
    plain = any(np.abs(mean - np.array(colour)).max() < 40 for colour in PLAIN.values())
    if plain or abs(tint) < 2 * TINT:
        return ()
    return (Guess(words["warm" if tint > 0 else "cold"], min(0.6, abs(tint) / 255)),)


def caption(studio: Any, file: Path, spec: Any) -> dict[str, Any]:
    """Return at most four captions of a picture by a captioning model, with their scores and the model's weights.

    Nobody has judged the captions yet: as a prompt each is judged like any other.

    Raises:
        InvalidPicture: it is not a picture that can be read safely.
        PolicyRefused: the model's licence does not allow the use.
        ModelError: the model writes no captions, is not here, or cannot be loaded.
    """
    from fantascope.engines.pipeline_caption import Captioner
    from fantascope.request import Annotate

    pixels = read_pixels(file)
    studio.judge(Annotate(kind="caption", picture=str(file)), spec)  # no text in it: the licence alone
    captioner = Captioner.load(spec, studio.settings)
    said = captioner.caption(pixels)
    return {
        "readings": [{"prompt": one.words, "score": round(one.score, 3)} for one in said],
        "by": spec.name,
        "weights": [weight.model_dump(mode="json", exclude_none=True) for weight in captioner.weights],
    }
