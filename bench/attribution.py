"""How often attribution names the drawing that a picture was really composed of.

python bench/attribution.py SOURCES [--cache DIR] [--scenes N] [--index FILE]

Scenes that no training has seen are drawn at 256 px; every thing that the detector finds where one was placed is looked
up in the index of all training drawings. "First" counts those whose own drawing leads the list, "among 8" those whose
own drawing is in it. "Nearer than" is the median share of drawings never trained on that are farther from their own
nearest training drawing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

import numpy as np

from fantascope.cli.data import gathered
from fantascope.data.compose import Composer
from fantascope.data.scene import DRAWN, plan
from fantascope.engines.detector import Detector, overlap
from fantascope.provenance.attribution import INDEX, crop, read_index
from fantascope.reports.likeness import views
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED

FIRST, SIZE = 9_300_000, 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--scenes", type=int, default=700)
    parser.add_argument("--index", type=Path, default=EMBEDDED / INDEX)
    given = parser.parse_args()
    sprites, concepts = gathered(given.sources, None, given.cache)
    composer = Composer(sprites, concepts, given.cache)
    hashes = {(s.source, s.name): s.sha256 for s in sprites}
    index, detector = read_index(given.index), Detector.load(Settings.from_env())
    placed, found = 0, []
    for seed in range(FIRST, FIRST + given.scenes):
        scene = plan(seed, concepts)
        picture = np.asarray(composer.render(scene, SIZE))
        seen = [f for f in detector.look([picture])[0] if f.score >= detector.labels.threshold]
        for thing in scene.things:
            placed += 1
            where = (thing.left, thing.top, thing.left + thing.side, thing.top + thing.side)
            best = max(seen, key=lambda f: overlap(f.box, where), default=None)
            if best is None or overlap(best.box, where) < 0.35:
                continue
            (near,) = index.nearest(views(detector, [crop(picture, best.box)]), 8)
            names = [n.sha256 for n in near]
            own = hashes[thing.source, concepts[thing.concept].draw[thing.source]]
            kind = "filtered" if scene.style not in DRAWN else "recoloured" if thing.colour else "own colours"
            found.append((kind, names[0] == own, own in names, near[0].unusual))
    print(f"{len(found)} of {placed} things found in {given.scenes} scenes", file=sys.stderr)
    print("| shown in | things | first | among 8 | nearer than |\n|---|---:|---:|---:|---:|")
    for kind in ("own colours", "recoloured", "filtered"):
        rows = [row for row in found if row[0] == kind]
        if rows:
            first, among = (sum(row[k] for row in rows) / len(rows) for k in (1, 2))
            print(f"| {kind} | {len(rows)} | {first:.0%} | {among:.0%} | {median(row[3] for row in rows):.0%} |")


if __name__ == "__main__":
    main()
