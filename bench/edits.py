"""Instructions carried out and judged: is it what was asked, is the rest unchanged, and what does a turn cost.

    python bench/edits.py [COUNT] [--model NAME] [--sheet FILE]

Takes the first COUNT (200 if not given) of the hand-written instructions under tests/prompt whose outcome the embedded
detector can judge, paints each prompt, edits the picture, and asks the detector: is the new thing there and the old one
not, is the thing red, further left, larger … The picture before the edit is judged as well: what the model could not
paint cannot be edited, and is counted apart. Prints the share that is right for every kind, the failures by name, and
how much of what was added lies over things that were there, where words ask for no touching (no anchor, or `next to`).
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fantascope import Artifact, Edit, Imagine, Studio
from fantascope.data.vocabulary import read_vocabulary
from fantascope.engines.detector import Detector
from fantascope.errors import FantascopeError
from fantascope.tasks.cutout import cut
from fantascope.tasks.describe import background
from fantascope.tasks.pixels import opaque, open_pixels
from fantascope.tasks.places import stand_of

ROWS = Path(__file__).parent.parent / "tests" / "prompt" / "instructions.tsv"
JUDGED = ("replace", "add", "remove", "recolour", "move", "resize", "background")
SURE = 0.25


class Judge:
    """Says with the detector whether an edit is what was asked."""

    def __init__(self, studio: Studio) -> None:
        self.detector = Detector.load(studio.settings)
        known = set(self.detector.labels.kinds)
        self.kinds = {}
        for key, concept in read_vocabulary().items():
            if concept.kind in known:
                self.kinds |= dict.fromkeys((key, *concept.names, *concept.plurals, *concept.free), concept.kind)

    def kind(self, words: str) -> str | None:
        """Return the detector's kind that words name, or None."""
        parts = words.lower().split()
        for start in range(len(parts)):
            if " ".join(parts[start:]) in self.kinds:
                return self.kinds[" ".join(parts[start:])]
        return None

    def seen(self, pixels: Any, kind: str) -> list[Any]:
        """Return what is found of a kind: among the first three guesses of a find that is sure enough."""
        found = self.detector.look([pixels])[0]
        return [one for one in found if one.score >= SURE and kind in [name for name, _ in one.kinds[:3]]]

    def right(self, turn: Any, before: Any, after: Any) -> bool | None:
        """Say whether a turn came out, or None where the detector cannot judge or the thing was not there before."""
        target, value = self.kind(turn["target"]), self.kind(turn["value"])
        if turn["kind"] == "background":
            words = turn["value"].split()
            return background(after) in words if any(word in words for word in ("red", "blue", "green")) else None
        if turn["kind"] == "add":
            return bool(self.seen(after, value)) if value and not self.seen(before, value) else None
        if target is None or not self.seen(before, target):
            return None
        if turn["kind"] == "replace":
            if value is None or value == target:
                return None
            return bool(self.seen(after, value)) and len(self.seen(after, target)) < max(
                1, len(self.seen(before, target))
            )
        if turn["kind"] == "remove":
            return len(self.seen(after, target)) < len(self.seen(before, target))
        now = self.seen(after, target)
        if not now:
            return False
        was, best = self.seen(before, target)[0], now[0]
        if turn["kind"] == "recolour":
            return best.colour in turn["after"].split() or best.colour in turn["value"].split()
        if turn["kind"] == "resize":
            larger = "big" in turn["said"] or "large" in turn["said"]
            return (_area(best.box) > 1.15 * _area(was.box)) if larger else (_area(best.box) < 0.87 * _area(was.box))
        return _moved(turn["place"], was.box, best.box)


def _area(box: Any) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _moved(place: str, was: Any, now: Any) -> bool | None:
    across, down = (now[0] + now[2] - was[0] - was[2]) / 2, (now[1] + now[3] - was[1] - was[3]) / 2
    middle = (now[0] + now[2]) / 2, (now[1] + now[3]) / 2
    return {
        "left": across < -2 or middle[0] < 56,
        "right": across > 2 or middle[0] > 72,
        "top": down < -2 or middle[1] < 56,
        "bottom": down > 2 or middle[1] > 72,
    }.get(place)


def covers(turn: Any, before: Any, mask: Any) -> float | None:
    """Return the share of an addition's pixels that lie over things; None where they may, or nothing stands out."""
    if turn["kind"] != "add" or (turn["anchor"] and stand_of(turn["after"], turn["value"], turn["anchor"]) != "beside"):
        return None
    try:
        thing = cut(before, 0.12)[..., 3] > 127
    except FantascopeError:
        return None
    return float((mask & thing).sum() / max(1, mask.sum()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("count", nargs="?", type=int, default=200)
    parser.add_argument("--model", default=None)
    parser.add_argument("--sheet", type=Path, default=None)
    asked = parser.parse_args()
    told: dict[str, list[bool]] = defaultdict(list)
    failed, unjudged, equal, fresh, turns, shown, over = [], 0, [], [], [], [], list[float]()
    with ROWS.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] in JUDGED]
    with Studio() as studio:
        judge = Judge(studio)
        for number, row in enumerate(rows):
            if sum(map(len, told.values())) >= asked.count:
                break
            start = time.perf_counter()
            (parent,) = _made(studio, Imagine(prompt=row["prompt"], seed=100 + number, model=asked.model))
            middle = time.perf_counter()
            try:
                edit = Edit(picture=parent.id, instruction=row["instruction"], seed=number, model=asked.model)
                (child,) = _made(studio, edit)
            except FantascopeError as error:
                failed.append((row["instruction"], row["prompt"], f"refused: {error.message[:80]}"))
                told[row["kind"]].append(False)
                continue
            fresh.append(middle - start)
            turns.append(time.perf_counter() - middle)
            assert child.receipt is not None
            kept = child.receipt.kept
            if kept is not None:
                equal.append(kept.before == kept.after)
            pair = [opaque(open_pixels(one)) for one in (parent, child)]
            if kept is not None:
                mask = open_pixels(studio.gallery.get(kept.mask))[..., 0] > 0
                share = covers(child.receipt.request["turns"][-1], pair[0], mask)
                over += [] if share is None else [share]
            verdict = judge.right(child.receipt.request["turns"][-1], *pair)
            if verdict is None:
                unjudged += 1
                continue
            told[row["kind"]].append(verdict)
            if len(shown) < 48:
                shown.append(np.hstack([np.asarray(Image.fromarray(one).resize((160, 160))) for one in pair]))
            if not verdict:
                failed.append((row["instruction"], row["prompt"], "not what was asked"))
    for kind, verdicts in sorted(told.items()):
        print(f"{kind:12} {sum(verdicts):3} of {len(verdicts):3} right  {sum(verdicts) / len(verdicts):.2f}")
    every = [verdict for verdicts in told.values() for verdict in verdicts]
    print(f"{'all':12} {sum(every):3} of {len(every):3} right  {sum(every) / max(1, len(every)):.2f}")
    print(f"{unjudged} were not judged: the thing was not seen in the picture before the edit, or has no kind.")
    print(f"outside the mask equal: {sum(equal)} of {len(equal)}")
    if over:
        print(f"of what was added {statistics.mean(over):.2f} lies over things that were there ({len(over)} additions)")
    ratio = [turn / first for turn, first in zip(turns[3:], fresh[3:], strict=True)]
    print(f"an edit turn takes {statistics.median(ratio):.2f} times a fresh picture (median of {len(ratio)})")
    for instruction, prompt, why in failed:
        print(f"  {why}: {instruction!r} on {prompt!r}")
    if asked.sheet is not None and shown:
        shown += [np.full_like(shown[0], 255)] * (-len(shown) % 4)
        lines = [np.hstack(shown[k : k + 4]) for k in range(0, len(shown), 4)]
        Image.fromarray(np.vstack(lines)).save(asked.sheet)


def _made(studio: Studio, request: Any) -> list[Artifact]:
    return [event for event in studio.run(request) if isinstance(event, Artifact)]


if __name__ == "__main__":
    main()
