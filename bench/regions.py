"""Where an instruction's words are found: regions of the model's disagreement against the things' boxes.

    python bench/regions.py SOURCES [COUNT] [--cache FOLDER] [--first SEED] [--model NAME]

Composes COUNT (40 if not given) scenes of two things, which no training saw if `--first` is beyond its seeds, and
locates each thing by its words in the caption, as an edit does. Prints the intersection over union of the region with
the box of the thing's drawing, margins included, and with the tight box of its pixels, for a few cuts of the
disagreement: `EDGE` and a cell of growth are what edits use, since a region must hold all of a thing.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fantascope import Imagine, Studio
from fantascope.cli.data import composed
from fantascope.data.compose import Composer
from fantascope.data.scene import plan
from fantascope.data.vocabulary import Concept
from fantascope.prompt.parse import parse
from fantascope.tasks.pixels import box_of
from fantascope.tasks.region import EDGE, locate, region

CUTS = sorted({EDGE, 0.25, 0.45, 0.55, 0.65})


def cases(composer: Composer, concepts: Mapping[str, Concept], first: int) -> Iterator[tuple[str, str, Any, Any, Any]]:
    """Yield caption, words of a thing, pixels, the box of its drawing and its tight box, both `(H, W)` bool."""
    for seed in itertools.count(first):
        scene = plan(seed, concepts)
        prompt = parse(scene.caption)
        at = prompt.things()
        if scene.layout != "pair" or scene.style != "flat" or scene.light or scene.finish or len(at) != 2:
            continue
        names = [(one.key, *one.names, *one.plurals) for one in (concepts[thing.concept] for thing in scene.things)]
        words = [prompt.parts[k].text for k in at]
        meant = [[k for k in (0, 1) if any(name in text.lower() for name in names[k])] for text in words]
        if sorted(meant) != [[0], [1]]:
            continue
        pixels, shapes = np.asarray(composer.render(scene)), composer.shapes(scene)
        for text, (k,) in zip(words, meant, strict=True):
            thing = scene.things[k]
            loose = (thing.left, thing.top, thing.left + thing.side, thing.top + thing.side)
            boxes = [_filled(pixels.shape, box) for box in (loose, box_of(shapes[k] > 64))]
            yield scene.caption, text, pixels, *boxes


def _filled(shape: Any, box: tuple[int, int, int, int]) -> Any:
    out = np.zeros(shape[:2], bool)
    out[box[1] : box[3], box[0] : box[2]] = True
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sources", type=Path)
    parser.add_argument("count", nargs="?", type=int, default=40)
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--first", type=int, default=500_000)
    parser.add_argument("--model", default=None)
    asked = parser.parse_args()
    told: dict[tuple[float, int, str], list[float]] = defaultdict(list)
    with Studio() as studio:
        job = studio.resolve(Imagine(prompt="a cat", seed=0, model=asked.model))
        found = cases(*composed(asked.sources, None, asked.cache), asked.first)
        with studio.engines.lease(job.spec, job.choice) as engine:
            for number, (caption, words, pixels, loose, tight) in enumerate(itertools.islice(found, 2 * asked.count)):
                cells = locate(engine, job.request.replace(seed=number), pixels, caption, words)
                for edge, grow in itertools.product(CUTS, (0, 1)):
                    there = region(cells, (pixels.shape[1], pixels.shape[0]), edge, grow) > 0
                    for name, box in (("drawing", loose), ("tight", tight)):
                        told[edge, grow, name].append(float((there & box).sum() / (there | box).sum()))
                    told[edge, grow, "held"].append(float((there & tight).sum() / tight.sum()))
    print("cut  grown  IoU with the drawing's box  with the tight box  share of the tight box held")
    for edge, grow in itertools.product(CUTS, (0, 1)):
        drawing, tight, held = (float(np.mean(told[edge, grow, name])) for name in ("drawing", "tight", "held"))
        print(f"{edge:.2f}  {grow}      {drawing:.2f}                        {tight:.2f}                {held:.2f}")


if __name__ == "__main__":
    main()
