"""Sheets of painted pictures: some of every part with prompt and mark, and a hundred that nobody picked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fantascope.evaluate.paint import Sample
from fantascope.evaluate.score import Mark

TILE = 128
WORDS = 30
"""Height in px of the words below a picture."""

ACROSS = 10
PASSED, FAILED = (40, 150, 70), (205, 50, 50)


def grid(samples: Sequence[Sample], marks: Sequence[Mark], folder: Path, seed: int = 0) -> Image.Image:
    """A row of pictures a part, drawn by chance, framed green where they passed, else red, with their prompts."""
    parts: dict[str, list[int]] = {}
    for at, sample in enumerate(samples):
        parts.setdefault(sample.asked.part, []).append(at)
    rng = np.random.default_rng([seed, 83])
    rows = [sorted(rng.permutation(part)[:ACROSS]) for part in parts.values()]
    sheet = Image.new("RGB", (ACROSS * (TILE + 8), max(1, len(rows)) * (TILE + WORDS + 12)), (255, 255, 255))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for y, row in enumerate(rows):
        for x, at in enumerate(row):
            left, top = x * (TILE + 8) + 4, y * (TILE + WORDS + 12) + 4
            colour = PASSED if marks[at].passed else FAILED
            draw.rectangle((left - 3, top - 3, left + TILE + 2, top + TILE + 2), fill=colour)
            sheet.paste(_tile(samples[at], folder), (left, top))
            words = f"{'+' if marks[at].passed else '-'} {samples[at].asked.prompt}"
            draw.text(
                (left, top + TILE + 4), "\n".join(textwrap.wrap(words, 25)[:3]), fill=(20, 20, 20), font=font, spacing=0
            )
    return sheet


def unpicked(samples: Sequence[Sample], folder: Path, seed: int = 0, most: int = 100) -> Image.Image:
    """Pictures drawn by chance from all of them, without words or marks."""
    chosen = np.random.default_rng([seed, 89]).permutation(len(samples))[:most]
    high = -(-max(1, len(chosen)) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * (TILE + 2), high * (TILE + 2)), (255, 255, 255))
    for k, at in enumerate(chosen):
        sheet.paste(_tile(samples[at], folder), (k % ACROSS * (TILE + 2), k // ACROSS * (TILE + 2)))
    return sheet


def _tile(sample: Sample, folder: Path) -> Image.Image:
    picture = Image.fromarray(sample.pixels(folder))
    return picture if picture.size == (TILE, TILE) else picture.resize((TILE, TILE), Image.Resampling.BOX)
