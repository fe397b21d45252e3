"""How much of a prompt `fantascope prompt describe` says again of the picture that was painted of it.

    python bench/describe.py FOLDER --paint 72 --seed 1
    python bench/describe.py FOLDER --paint 80 --seed 3 --styled
    python bench/describe.py FOLDER

The first paints so many pictures with the embedded checkpoint, of prompts that are drawn by the seed: a thing, how
many, often a colour, often a ground. The last describes each and prints in how many of them the first reading names
the thing (and no other), how many there are, their colour and what is behind them, where the prompt said so. A picture
that the checkpoint painted wrong counts against the description, too. `--wrong` prints what was said instead.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fantascope.artifact import Artifact
from fantascope.core.colour import COLOURS
from fantascope.data.caption import GROUNDS, article, noun
from fantascope.data.vocabulary import Concept, read_vocabulary
from fantascope.engines.detector import read_labels
from fantascope.reports.pictured import look
from fantascope.request import Imagine
from fantascope.studio import Studio

SAID = {
    "flat": "flat style",
    "3d": "3d style",
    "cartoon": "cartoon style",
    "outline": "line art",
    "pixel": "pixel art",
    "sketch": "sketch",
    "watercolour": "watercolor",
    "oil": "oil painting",
}
"""Style -> how a caption says it behind everything else."""

NUMBERS = {1: "a", 2: "two", 3: "three", 4: "four"}
ASKED = ("subject", "nothing else", "count", "colour", "background", "style")
LIST = "prompts.json"


def prompts(many: int, seed: int, styled: bool) -> Iterator[dict[str, Any]]:
    """Draw prompts, each with what it says; with `styled` they name a style, in turn."""
    rng, concepts = np.random.default_rng(seed), read_vocabulary()
    kinds = [kind for kind in read_labels().objects if not concepts[kind].bare]
    for k in range(many):
        kind = str(rng.choice(kinds))
        count = int(rng.choice([1, 1, 1, 2, 3, 4]))
        colour = str(rng.choice(list(COLOURS))) if rng.random() < 0.6 else None
        draw = rng.random()
        plain = [name for name in COLOURS if name != colour]
        ground = str(rng.choice(plain if draw < 0.45 else list(GROUNDS))) if draw < 0.9 else None
        one = concepts[kind]
        said = article(noun(one.names[0], colour)) if count == 1 else f"{NUMBERS[count]} {noun(one.plurals[0], colour)}"
        behind = "" if ground is None else f" on {article(f'{ground} background')}"
        behind = GROUNDS[ground][0] if ground in GROUNDS else behind
        style = list(SAID)[k % len(SAID)] if styled else None
        text = said + behind if style is None else f"{said}{behind}, {SAID[style]}"
        facts = {"kind": kind, "count": count, "colour": colour, "ground": ground, "style": style}
        yield {"prompt": text, **facts, "seed": 1000 * seed + k, "file": f"{k:03d}.png"}


def paint(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Paint every prompt, small, and write down what each asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    with Studio() as studio:
        for row in rows:
            for event in studio.run(Imagine(prompt=row["prompt"], seed=row["seed"], upscale=1)):
                if isinstance(event, Artifact):
                    (folder / row["file"]).write_bytes(event.data)
    (folder / LIST).write_text(json.dumps(rows, indent=1), "utf-8")


def right(row: dict[str, Any], told: dict[str, Any], concepts: dict[str, Concept]) -> dict[str, bool]:
    """Say what of a prompt a description has right; only what the prompt said is asked for.

    Number and colour are those of the thing that was meant, or, where it is not named, of the thing of which most are.
    """
    text = told["readings"][0]["prompt"] if told["readings"] else ""
    names = {name for one in concepts.values() if one.kind == row["kind"] for name in (*one.names, *one.plurals)}
    things = told["things"]
    meant = [one for one in things if one["kinds"] and one["kinds"][0]["words"] in names]
    most = max(meant or things, key=lambda one: one["count"], default={"count": 0, "colour": None})
    found = {"subject": bool(meant), "nothing else": len(things) == 1, "count": most["count"] == row["count"]}
    if row["colour"] is not None:
        found["colour"] = most["colour"] == row["colour"]
    if row["ground"] is not None:
        said = GROUNDS.get(row["ground"], (f"{row['ground']} background",))
        found["background"] = any(one.strip(" ,") in text for one in said)
    if row.get("style") is not None:
        found["style"] = SAID[row["style"]] in text
    return found


def measure(folder: Path, wrong: bool) -> None:
    """Describe every picture of a folder and print the shares."""
    concepts, rows = read_vocabulary(), json.loads((folder / LIST).read_text("utf-8"))
    hits: dict[str, list[bool]] = {name: [] for name in ASKED}
    for row in rows:
        told = look(folder / row["file"])
        found = right(row, told, concepts)
        for name, fine in found.items():
            hits[name].append(fine)
        missed = [name for name, fine in found.items() if not fine]
        if wrong and missed:
            said = told["readings"][0]["prompt"] if told["readings"] else "nothing"
            print(f"{row['file']}  {row['prompt']}  ->  {said}   ({', '.join(missed)})")
    for name, each in hits.items():
        if not each:
            continue
        print(f"{name:<12} {np.mean(each):.2f}  ({sum(each)} of {len(each)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--paint", type=int, help="paint so many pictures first")
    parser.add_argument("--seed", type=int, default=1, help="with --paint: draws the prompts")
    parser.add_argument("--styled", action="store_true", help="with --paint: prompts name a style")
    parser.add_argument("--wrong", action="store_true", help="print what is not named right")
    args = parser.parse_args()
    if args.paint is not None:
        paint(args.folder, list(prompts(args.paint, args.seed, args.styled)))
    measure(args.folder, args.wrong)


if __name__ == "__main__":
    main()
