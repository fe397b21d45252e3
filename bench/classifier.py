"""The picture classifier beside its original, how often it is wrong on harmless pictures, and how long it takes.

    python bench/classifier.py raw OUT FOLDER...      every picture under the folders as raw RGB, and OUT/items.json
    node recipes/nsfw_original.mjs OUT                what the original says of them: OUT/original.json
    python bench/classifier.py compare OUT            largest difference, false positives by folder, ms a picture

Install the classifier first (`fantascope policy detector`). In an empty folder, for node:
`npm install @tensorflow/tfjs nsfwjs@4.3.0 buffer`.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from fantascope.engines.classifier import Classifier
from fantascope.policy import Policy
from fantascope.settings import Settings

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def raw(out: Path, folders: list[Path]) -> None:
    """Write every picture as raw RGB, with what it is called."""
    out.mkdir(parents=True, exist_ok=True)
    items = []
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES):
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            name = f"{len(items):05}.raw"
            (out / name).write_bytes(pixels.tobytes())
            height, width = pixels.shape[:2]
            items.append({"kind": folder.name, "name": path.name, "file": name, "h": height, "w": width})
    (out / "items.json").write_text(json.dumps(items))
    print(f"{len(items)} pictures")


def compare(out: Path) -> None:
    """Print the figures of docs/policy.md."""
    settings = Settings.from_env()
    eye, rules = Classifier.load(settings), Policy.load().data.pictures
    items = json.loads((out / "items.json").read_text())
    found: dict[str, np.ndarray] = {}
    spent = 0.0
    for item in items:
        pixels = np.fromfile(out / item["file"], np.uint8).reshape(item["h"], item["w"], 3)
        start = time.process_time()
        found[item["file"]] = eye.classify([pixels])[0]
        spent += time.process_time() - start
    print(f"{eye.facts.name}: {spent / len(items) * 1e3:.1f} ms a picture (processor time, {settings.threads} threads)")
    if (out / "original.json").is_file():
        original = json.loads((out / "original.json").read_text())
        gaps = [
            abs(float(found[file][k]) - said[name]) for file, said in original.items()
            for k, name in enumerate(eye.facts.classes)
        ]  # fmt: skip
        print(f"original: {len(original)} pictures, largest difference of a probability {max(gaps):.6f}")
    by_kind = defaultdict(list)
    for item in items:
        by_kind[item["kind"]].append((found[item["file"]], item["name"]))
    for rule in rules:
        columns = [eye.facts.classes.index(name) for name in rule.classes]
        for kind, seen in by_kind.items():
            scores = sorted(((float(p[columns].sum()), name) for p, name in seen), reverse=True)
            wrong = sum(score >= rule.threshold for score, _ in scores)
            print(f"{rule.id} from {rule.threshold}: {kind:10} {wrong:3} of {len(scores)}; highest {scores[0]}")


if __name__ == "__main__":
    if sys.argv[1] == "raw":
        raw(Path(sys.argv[2]), [Path(folder) for folder in sys.argv[3:]])
    else:
        compare(Path(sys.argv[2]))
