"""Pictures of fixed prompts while a subject is learnt, and when it is: what the loss does not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from fantascope.train.fit import FitEvent
from fantascope.train.personal.base import Base, paint, text_of
from fantascope.train.personal.learn import Pupil
from fantascope.train.personal.words import word_states

ACROSS = 4
STEPS = 16
"""Most sampler steps of a picture on the way."""


def sheet_prompts(subject: str, kind: str) -> tuple[str, ...]:
    """What is painted: the subject on other grounds, in places, with others, in a style; and the class alone."""
    return (
        f"{subject} on a red background",
        f"{subject} on a white background",
        f"{subject} on a teal background",
        f"{subject} in the snow",
        f"{subject} at night",
        f"{subject} and a cat",
        f"{subject}, pencil sketch",
        f"{kind} on a blue background",
    )


def sheet(base: Base, learner: Pupil, prompts: Sequence[str], seed: int = 0) -> Image.Image:
    """Paint prompts with the base as it is now, four a row."""
    defaults = base.spec.defaults
    factors = [layer for layers in learner.layers.values() for layer in layers.values()]
    was = [layer.training for layer in factors]
    for layer in factors:
        layer.eval()

    def told(texts: Sequence[str]) -> dict[str, Any]:
        with torch.no_grad():
            return text_of(base, texts) if learner.word is None else word_states(base, learner.word, texts)

    cells = []
    for at in range(0, len(prompts), ACROSS):
        some = list(prompts[at : at + ACROSS])
        parts = [told([text]) for text in some]
        joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        steps = min(STEPS, defaults.steps)
        how: dict[str, Any] = {"guidance": defaults.guidance, "rescale": defaults.guidance_rescale}
        cells += list(paint(base, joined, told([""]), [seed] * len(some), steps=steps, **how))
    for layer, training in zip(factors, was, strict=True):
        layer.train(training)
    side = cells[0].shape[0]
    picture = Image.new("RGB", (ACROSS * side, -(-len(cells) // ACROSS) * side))
    for k, cell in enumerate(cells):
        picture.paste(Image.fromarray(cell), (k % ACROSS * side, k // ACROSS * side))
    return picture


def watched(
    events: Iterator[FitEvent], base: Base, learner: Pupil, run: Path, every: int, prompts: Sequence[str]
) -> Iterator[FitEvent | Path]:
    """Pass a training's events on; after a save, once `every` steps went by, paint the prompts to `run/pictures`."""
    last = 0
    for event in events:
        yield event
        if event.saved and event.step - last >= every:
            place = run / "pictures" / f"{event.step:07d}.png"
            place.parent.mkdir(exist_ok=True)
            sheet(base, learner, prompts).save(place)
            last = event.step
            yield place
