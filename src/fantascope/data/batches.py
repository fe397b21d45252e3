"""What the trainings read: endless batches of composed scenes, each a function of the step's number alone.

Every function here returns a source: given a step, it yields that step's batch and all later ones, as arrays by name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fantascope.data.compose import Composer
from fantascope.data.scene import CANVAS, LAYOUTS, PLACES, STYLES, plan, plan_dense
from fantascope.data.vocabulary import Concept

Arrays = dict[str, NDArray[Any]]
Source = Callable[[int], Iterator[Arrays]]


def fingerprint(composer: Composer, concepts: dict[str, Concept], dense: float = 0.0) -> str:
    """Hash what decides the batches of a composer: drawings, words and weights, shares, the share of crowded ones."""
    shares = [LAYOUTS, STYLES, PLACES]
    told = [composer.fingerprint, [asdict(concept) for concept in concepts.values()], shares, dense]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def pictures(composer: Composer, concepts: dict[str, Concept], size: int, dense: float = 0.5) -> Source:
    """Batches of `picture` (size, 3, 128, 128) in -1..1 for autoencoders.

    Args:
        composer: Draws.
        concepts: What is drawn.
        size: Pictures a batch.
        dense: Share of each batch that is crowded with things of any size.
    """
    crowded = round(size * dense)

    def source(step: int) -> Iterator[Arrays]:
        for at in count(step):
            seeds = range(at * size, (at + 1) * size)
            scenes = [(plan_dense if k < crowded else plan)(seed, concepts) for k, seed in enumerate(seeds)]
            yield {"picture": np.stack([composer.pixels(scene) for scene in scenes])}

    return source


def enlargements(composer: Composer, concepts: dict[str, Concept], size: int, scale: int = 4) -> Source:
    """Batches of `small` (size, 3, 128, 128) and `large`, the same scenes drawn `scale` times as large."""

    def source(step: int) -> Iterator[Arrays]:
        for at in count(step):
            scenes = [plan(seed, concepts) for seed in range(at * size, (at + 1) * size)]
            small = np.stack([composer.pixels(scene) for scene in scenes])
            yield {"small": small, "large": np.stack([composer.pixels(scene, CANVAS * scale) for scene in scenes])}

    return source


def captioned(
    composer: Composer, concepts: dict[str, Concept], first: int, last: int
) -> Iterator[tuple[NDArray[np.float32], str]]:
    """The pictures (3, 128, 128) in -1..1 and captions of the scenes `first` to `last` - 1."""
    for seed in range(first, last):
        scene = plan(seed, concepts)
        yield composer.pixels(scene), scene.caption
