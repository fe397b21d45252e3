"""How well a control network's pictures follow their maps, kind by kind, with and without the map.

    python bench/control.py SOURCES --checkpoint FOLDER --control FOLDER --count 24
    python bench/control.py SOURCES --checkpoint FOLDER --control FOLDER --count 72 --kinds pose

Maps are made of composed scenes that nothing was trained on; what is measured is said in `fantascope.evaluate.control`.
Prints a Markdown table; with --out also writes it as JSON, and a sheet of maps and pictures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fantascope.cli.data import composed
from fantascope.engines.detector import Detector
from fantascope.evaluate.control import Case, Paint, as_table, cases, fidelity
from fantascope.settings import Settings
from fantascope.train.control import conditioning, open_control, open_training, open_unet, paint
from fantascope.train.control_watch import sheet
from fantascope.train.latents import decode, open_autoencoder
from fantascope.train.text import open_words


def painter(
    checkpoint: Path, control: Path, steps: int, guidance: float, scale: float, shown: list[np.ndarray]
) -> Paint:
    """Return what paints cases with torch; pictures under maps are also put into `shown`."""
    unet, training, coder, words = (
        open_unet(checkpoint),
        open_training(checkpoint),
        open_autoencoder(checkpoint),
        open_words(checkpoint),
    )
    model, record = open_control(control)
    kinds = record["kinds"]
    empty = words.states([""])[0]

    def run(rows: Sequence[Case], controlled: bool) -> list[np.ndarray]:
        maps = torch.stack([torch.from_numpy(np.ascontiguousarray(case.map.transpose(2, 0, 1))) for case in rows])
        which = torch.tensor([kinds.index(case.kind) for case in rows])
        latents = paint(
            unet,
            model,
            training,
            words.states([case.prompt for case in rows]),
            empty,
            conditioning(maps, which, len(kinds)),
            [case.seed for case in rows],
            steps=steps,
            guidance=guidance,
            scale=scale if controlled else 0.0,
        )
        pictures = list(decode(coder, latents).numpy())
        if controlled:
            shown.extend(pictures)
        return pictures

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--count", type=int, default=24, help="scenes, each with a map of every kind")
    parser.add_argument("--kinds", nargs="+", help="kinds of maps; all that the network knows if not given")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, help="folder for control.json and control.png")
    given = parser.parse_args()
    kinds = given.kinds or json.loads((given.control / "fantascope.json").read_text("utf-8"))["kinds"]
    detector = Detector.load(Settings.from_env())
    composer, concepts = composed(given.sources, None, given.cache)
    rows = cases(composer, concepts, kinds, given.count, detector.labels.objects)
    shown: list[np.ndarray] = []
    start = time.perf_counter()
    run = painter(given.checkpoint, given.control, given.steps, given.guidance, given.scale, shown)
    measured = fidelity(rows, run, detector.look, detector.labels.threshold)
    print(as_table(measured))
    print(f"{given.steps} steps, guidance {given.guidance:g}, strength {given.scale:g}, ", end="")
    print(f"{time.perf_counter() - start:.0f} s, {torch.get_num_threads()} threads")
    if given.out is not None:
        given.out.mkdir(parents=True, exist_ok=True)
        facts = {kind: row.as_dict() for kind, row in measured.items()}
        (given.out / "control.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
        count = min(len(shown), 6 * max(4, len(kinds)))
        maps = np.stack([case.map for case in rows[:count]])
        picture: Image.Image = sheet(maps, np.stack(shown[:count]), len(kinds) if len(kinds) > 1 else 4)
        picture.save(given.out / "control.png")


if __name__ == "__main__":
    main()
