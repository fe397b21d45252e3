"""Real pictures of a prompt: composed of drawings in the styles that the generator learns, and right by construction.

They say how good the detector is (the ceiling), and are what generated pictures are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fantascope.core.colour import COLOURS
from fantascope.data.compose import Composer
from fantascope.data.gather import gather
from fantascope.data.scene import PLACES, Placed, Scene, draw_key
from fantascope.data.sources import Skipped
from fantascope.data.vocabulary import Concept
from fantascope.evaluate.prompts import Asked

STYLES = {"flat": 0.8, "3d": 0.12, "cartoon": 0.08}
"""Style -> share, about as often as in training where a caption names none."""

Spots = Sequence[tuple[int, int, int]]
GROUPS: dict[int, Spots] = {
    2: ((4, 36, 56), (68, 36, 56)),
    3: ((36, 4, 56), (4, 68, 56), (68, 68, 56)),
    4: ((4, 4, 56), (68, 4, 56), (4, 68, 56), (68, 68, 56)),
}
"""Number of things -> where they stand: left, top, side."""

STANDS: dict[str, Spots] = {
    "left": GROUPS[2],
    "right": GROUPS[2][::-1],
    "above": ((36, 4, 56), (36, 68, 56)),
    "below": ((36, 68, 56), (36, 4, 56)),
}


class Truth:
    """Draws real pictures.

    Args:
        composer: Has the generator's drawings.
        concepts: What they show.
    """

    def __init__(self, composer: Composer, concepts: Mapping[str, Concept]) -> None:
        self.composer, self.concepts = composer, concepts
        self._of: dict[str, list[str]] = {}
        for key, concept in concepts.items():
            if composer.has(key, "flat"):
                self._of.setdefault(concept.kind, []).append(key)

    @classmethod
    def gather(
        cls, sources: Path, concepts: Mapping[str, Concept], skipped: Skipped, cache: Path | None = None
    ) -> Truth:
        """Read the generator's drawings from a folder of sources; raises as `data.gather.gather`."""
        sprites, drawn = gather(sources, concepts, skipped, cache=cache)
        return cls(Composer(sprites, drawn, cache), drawn)

    def has(self, asked: Asked) -> bool:
        """Whether all that a prompt wants can be drawn."""
        return all(want.kind in self._of for want in asked.wants)

    def scene(self, asked: Asked, seed: int) -> Scene:
        """Plan a real picture of a prompt; another seed, another style, backdrop and place."""
        rng = np.random.default_rng([seed, 61])
        style = draw_key(rng, STYLES)
        dyes = {want.colour for want in asked.wants}
        step = 8 * int(rng.integers(-1, 2))
        things = []
        for want, spots in zip(asked.wants, _spots(asked, step), strict=True):
            key = asked.id.removeprefix("whole-")
            key = key if key in self._of[want.kind] else self._of[want.kind][0]
            source = style if self.composer.has(key, style) else "flat"
            things += [Placed(key, source, want.colour, *spot) for spot in spots]
        return Scene(seed, "asked", _backdrop(rng, dyes), "flat", tuple(things), asked.prompt)

    def pictures(self, asked: Asked, samples: int, seed: int = 0) -> list[npt.NDArray[np.uint8]]:
        """Draw real pictures of a prompt, (128, 128, 3) each."""
        scenes = [self.scene(asked, asked.seed(seed, sample)) for sample in range(samples)]
        return [np.asarray(self.composer.render(scene)) for scene in scenes]


def _spots(asked: Asked, step: int) -> list[Spots]:
    """Where the things of each want stand."""
    if asked.relation:
        return [[spot] for spot in STANDS[asked.relation]]
    if len(asked.wants) == 2:
        return [[(left, top + step, side)] for left, top, side in GROUPS[2]]
    if asked.wants[0].count == 1:
        return [[(12 + step, 12 + abs(step) // 2, 104)]]
    return [GROUPS[asked.wants[0].count]]


def _backdrop(rng: np.random.Generator, dyes: set[str | None]) -> str:
    """White more often than not, as where a caption names none; never the colour of a thing."""
    draw = rng.random()
    if draw < 0.55 and "white" not in dyes:
        return "white"
    if draw < 0.85:
        return str(rng.choice([name for name in COLOURS if name not in dyes]))
    places = [name for name in PLACES if not (name in ("night", "galaxy") and "black" in dyes)]
    return str(rng.choice([name for name in places if not (name == "snow" and "white" in dyes)]))
