"""What can be seen in a picture with what ships: things, colours, ground, style and light; for `prompt describe`."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fantascope.cli.likeness import read_pixels, things
from fantascope.core.colour import nearest_colour
from fantascope.data.backdrop import PLAIN, SCENERIES, backdrop
from fantascope.data.caption import GROUNDS, LIGHT_WORDS
from fantascope.engines.detector import Detector
from fantascope.prompt.describe import Guess, SeenPicture, SeenThing, readings
from fantascope.prompt.english import article
from fantascope.settings import Settings

BETTER = (
    "This is what the small detector sees, which knows drawn things. A captioning model says more: ask one that you "
    "trust, and hand its words on with `fantascope imagine`."
)
Pixels = npt.NDArray[np.uint8]

SIDE, DRAWN = 64, 4
"""Pixels of the picture that grounds are compared at, and how many drawings of each scenery it is compared with."""

EVEN = 5.0
"""Mean distance from its middle colour, of 255, up to which a border is one colour."""

SHARP = 0.12
"""How quickly the likelihood of a ground falls with its distance."""

STYLED = {"flat": "flat style", "3d": "3d style", "cartoon": "cartoon style", "clipart": "clip art"}
"""Set of training drawings -> how captions say its style."""

DIM, BRIGHT, TINT = 70.0, 215.0, 22.0
"""Mean lightness below and above which the light is dim or bright, and how much more red than blue is warm (of 255)."""


def look(file: Path) -> dict[str, Any]:
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
    sets = Counter[str]()
    for one in near:
        sets[known[one.sha256].get("source", "")] += 1
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
    """Things from left to right; those of one kind and colour together."""
    found = [one for one in detector.look([pixels])[0] if one.score >= detector.labels.threshold]
    groups: dict[tuple[str, str | None], list[Any]] = {}
    for one in sorted(found, key=lambda one: one.box[0]):
        colour = one.colour if one.colours.get("own", 0.0) < 0.5 else None
        groups.setdefault((one.kind, colour), []).append(one)
    return tuple(
        SeenThing(_kinds(max(group, key=lambda one: one.kinds[0][1]).kinds), len(group), colour)
        for (_, colour), group in groups.items()
    )


def _kinds(kinds: Any) -> tuple[Guess, ...]:
    return tuple(Guess(name.replace("-", " "), float(score)) for name, score in kinds[:3] if score >= 0.02)


def _grounds(pixels: Pixels) -> tuple[Guess, ...]:
    """The ground is one colour if the border is; else the scenery whose drawings have a border most like it."""
    border = _border(Image.fromarray(pixels))
    middle = np.median(border, axis=0)
    apart = float(np.abs(border - middle).mean())
    if apart <= EVEN:
        name = nearest_colour(middle)
        return (Guess(f"on {article(f'{name} background')}", max(0.5, 1 - apart / (2 * EVEN))),)
    scores = {name: min(_apart(border, _drawn(name, seed)) for seed in range(DRAWN)) for name in SCENERIES}
    likely = {name: float(np.exp(-score / SHARP)) for name, score in scores.items()}
    total = sum(likely.values())
    best = sorted(likely, key=lambda name: -likely[name])[:2]
    return tuple(Guess(GROUNDS[name][0].strip(), likely[name] / total) for name in best)


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
