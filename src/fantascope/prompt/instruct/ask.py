"""Proposals for an instruction that was not understood: known wordings about this picture, the nearest first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fantascope.prompt.english import singular
from fantascope.prompt.instruct.match import Embed
from fantascope.prompt.instruct.reading import Reading, definite
from fantascope.prompt.lexicon import WORN
from fantascope.prompt.parse import parse

MOST = 3
"""Proposals that are made."""

WORDINGS = (
    "change {the} to a cat",
    "change {the} to a rose",
    "remove {the}",
    "make {the} red",
    "make {the} bigger",
    "make {the} smaller",
    "move {the} to the left",
    "add a moon in the background",
    "add a hat to {the}",
    "one more {noun}",
    "make it night",
    "make it warmer",
    "make it brighter",
    "change the background to blue",
    "make it a watercolor",
    "make it pixel art",
)
"""How the commonest edits are asked for."""

Reader = Callable[[str, str, Embed], Reading | None]


def proposals(instruction: str, prompt: str, embed: Embed, read: Reader) -> list[Reading]:
    """Return up to three readings of known wordings, nearest to the instruction first, each of another kind.

    Args:
        instruction: What was not understood; with nothing in it the usual edits are offered.
        prompt: What the picture shows.
        embed: The sentence encoder.
        read: Reads a wording.
    """
    scene = parse(prompt)
    things = scene.things() or [k for k, part in enumerate(scene.parts) if part.words][:1]
    texts: list[str] = []
    for at in things[:2]:
        part = scene.parts[at]
        fits = [each for each in WORDINGS if "hat" not in each or singular(part.head) not in WORN]
        texts += [each.format(the=definite(part), noun=part.head) for each in fits]
    texts = list(dict.fromkeys(texts))
    order = list(range(len(texts)))
    if instruction.strip() and texts:
        vectors = np.asarray(embed([instruction, *texts]))
        order = [int(k) for k in np.argsort(-(vectors[1:] @ vectors[0]), kind="stable")]
    found: dict[str, Reading] = {}
    for k in order:
        reading = read(texts[k], prompt, embed)
        if reading and reading.kind not in found:
            found[reading.kind] = reading
        if len(found) == MOST:
            break
    return list(found.values())
