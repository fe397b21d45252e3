"""How often search by look finds what is meant among several hundred pictures.

    python bench/alike.py FOLDER --paint 85 --seed 1 --model embedded
    python bench/alike.py FOLDER
    python bench/alike.py FOLDER --many 10000

The first paints, with the embedded checkpoint, three pictures of one prompt and one in each of three styles, for so
many kinds of things. The second prints recall@5: which share of the pictures meant is among the first five, of all but
the one that is asked with. `again` asks with one picture of a prompt for the two others of other seeds; `style` with a
picture of a thing in one style for the two in the other styles; `elsewhere` with a thing before some ground for the
three pictures of it in styles, which have another ground; the rest with a changed copy for the picture it was made of.
It does so for several ways to describe a picture: the vector that ships, which gives its halves, things and layout, the
same weight; other weights of them; and, to compare with, the picture at 8 x 8 px. The third prints the seconds of a
search among so many rows, made of the painted ones with noise, in a gallery of its own.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from fantascope.artifact import Artifact
from fantascope.data.caption import GROUNDS, article, noun
from fantascope.data.vocabulary import read_vocabulary
from fantascope.engines.detector import Detector, read_labels
from fantascope.gallery import Gallery
from fantascope.reports.alike import alike, small
from fantascope.reports.likeness import read_pixels
from fantascope.request import Imagine
from fantascope.settings import Settings
from fantascope.studio import Studio

STYLES = ("flat style", "3d style", "cartoon style")
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SHARES = (0.0, 0.25, 0.75, 1.0)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--paint", type=int, default=0, metavar="KINDS")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="embedded-few")
    parser.add_argument("--many", type=int, default=0, metavar="ROWS")
    given = parser.parse_args()
    if given.paint:
        paint(given.folder, given.paint, given.seed, given.model)
    elif given.many:
        timed(given.folder, given.many)
    else:
        measure(given.folder)


def paint(folder: Path, kinds: int, seed: int, model: str) -> None:
    """Paint the pictures and write down of each its thing, its style and which prompt it is of."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, concepts = np.random.default_rng(seed), read_vocabulary()
    known = [name for name in read_labels().objects if not concepts[name].bare]
    rows: list[dict[str, Any]] = []
    with Studio() as studio:
        for kind in rng.permutation(known)[:kinds]:
            thing = article(noun(concepts[str(kind)].names[0], None))
            ground = GROUNDS[list(GROUNDS)[int(rng.integers(len(GROUNDS)))]][0]
            asked = [(f"{thing}{ground}", 3, "")] + [(f"{thing}, {style}", 1, style) for style in STYLES]
            for prompt, n, style in asked:
                request = Imagine(prompt=prompt, n=n, seed=int(rng.integers(2**31)), model=model)
                for made in studio.run(request):
                    if isinstance(made, Artifact):
                        name = f"{len(rows):05d}.png"
                        (folder / name).write_bytes(made.data)
                        rows.append({"file": name, "kind": str(kind), "style": style, "prompt": prompt})
            (folder / "rows.json").write_text(json.dumps(rows, indent=1))


def changes() -> dict[str, Callable[[Image.Image], Image.Image]]:
    """Name -> what is done to a copy."""

    def cut(share: float) -> Callable[[Image.Image], Image.Image]:
        def work(picture: Image.Image) -> Image.Image:
            wide, high = picture.size
            side = (round(wide * share), round(high * share))
            left, top = (wide - side[0]) // 3, (high - side[1]) // 2
            return picture.crop((left, top, left + side[0], top + side[1]))

        return work

    def coded(form: str, quality: int) -> Callable[[Image.Image], Image.Image]:
        def work(picture: Image.Image) -> Image.Image:
            file = io.BytesIO()
            picture.save(file, form, quality=quality)
            return Image.open(file).convert("RGB")

        return work

    return {
        "crop 85 %": cut(0.85),
        "crop 65 %": cut(0.65),
        "half size": lambda picture: picture.resize((picture.width // 2, picture.height // 2)),
        "twice the size": lambda picture: picture.resize((picture.width * 2, picture.height * 2)),
        "JPEG 30": coded("JPEG", 30),
        "WebP 30": coded("WEBP", 30),
        "gray": lambda picture: ImageOps.grayscale(picture).convert("RGB"),
        "mirrored": ImageOps.mirror,
        "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.4),
    }


def ways(detector: Detector, pictures: Sequence[Pixels]) -> dict[str, Floats]:
    """Name -> pictures described in a way, (N, D) of unit length."""
    inside = detector.labels.feature
    rows = detector.embed(pictures)
    gray = detector.embed([np.repeat(np.asarray(Image.fromarray(p).convert("L"))[..., None], 3, -1) for p in pictures])
    small = [np.asarray(Image.fromarray(p).resize((8, 8), Image.Resampling.BOX), np.float32) for p in pictures]

    def share(things: float) -> Floats:
        return unit(rows * np.repeat(np.sqrt([things, 1 - things]), [inside, rows.shape[1] - inside]))

    return (
        {"detector (ships)": rows}
        | {f"detector, {things:.0%} things": share(things) for things in SHARES}
        | {
            "detector, in colour and gray": unit(np.concatenate([rows, gray], axis=1)),
            "8 x 8 px": unit(np.stack([one.ravel() - one.mean() for one in small])),
        }
    )


def unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


def recall(asked: Floats, rows: Floats, meant: Any, itself: bool) -> float:
    """Mean share of what is meant that is among the first five. `meant` is (Q, N) of truth, up to five a row."""
    likeness = asked @ rows.T
    if not itself:
        np.fill_diagonal(likeness, -2)
    first = np.argsort(-likeness, axis=1, kind="stable")[:, :5]
    hits = np.take_along_axis(meant, first, axis=1).sum(axis=1)
    asked_for = meant.sum(axis=1)
    return float((hits / np.maximum(asked_for, 1))[asked_for > 0].mean())


def measure(folder: Path) -> None:
    """Print the table."""
    rows = json.loads((folder / "rows.json").read_text())
    pictures = [Image.open(folder / row["file"]).convert("RGB") for row in rows]
    kind, style, prompt = (np.array([row[name] for row in rows]) for name in ("kind", "style", "prompt"))
    apart = ~np.eye(len(rows), dtype=bool)
    same_prompt = (prompt[:, None] == prompt[None]) & apart
    same_prompt[style != ""] = False
    other_style = (kind[:, None] == kind[None]) & (style[:, None] != style[None])
    other_style[style == ""] = False
    elsewhere = (kind[:, None] == kind[None]) & (style != "")[None]
    elsewhere[style != ""] = False
    detector = Detector.load(Settings.from_env())
    plain = [np.asarray(picture) for picture in pictures]
    known = ways(detector, plain)
    truths = (same_prompt, other_style, elsewhere)
    table = {way: [recall(rows, rows, meant, False) for meant in truths] for way, rows in known.items()}
    for change in changes().values():
        asked = ways(detector, [np.asarray(change(picture)) for picture in pictures])
        for way, found in table.items():
            found.append(recall(asked[way], known[way], ~apart, True))
    names = ["again", "style", "elsewhere", *changes()]
    print(f"{len(rows)} pictures of {len(set(kind))} kinds\n\n| recall@5 | {' | '.join(names)} |")
    print("|---|" + "---:|" * len(names))
    for way, found in table.items():
        print(f"| {way} | {' | '.join(f'{value:.0%}' for value in found)} |")


def timed(folder: Path, many: int) -> None:
    """Print the seconds, and those of a processor, of a search among many rows, and of looking at one picture."""
    files = [folder / row["file"] for row in json.loads((folder / "rows.json").read_text())]
    settings, rng = Settings.from_env(), np.random.default_rng(0)
    detector = Detector.load(settings)
    known = detector.embed([small(read_pixels(file)) for file in files])
    with tempfile.TemporaryDirectory(dir=MEMORY) as place, Gallery.open(Path(place)) as gallery:
        view = gallery.of("local")
        for file in files:
            view.ingest(file.read_bytes())
        wall, work = clocks()
        alike(view, settings, small(read_pixels(files[0])))
        took = [(now - then) / len(files) * 1e3 for now, then in zip(clocks(), (wall, work), strict=True)]
        print(f"looking at a picture: {took[0]:.1f} ms, {took[1]:.1f} ms of a processor")
        for k in range(many - len(files)):
            noisy = known[k % len(known)] + rng.normal(0, 0.02, known.shape[1]).astype(np.float32)
            view.enter_looks(detector.id, {view.ingest(tiny(k)).id: noisy / np.linalg.norm(noisy)})
        rounds = []
        for file in files[:20]:
            wall, work = clocks()
            alike(view, settings, small(read_pixels(file)))
            rounds.append([now - then for now, then in zip(clocks(), (wall, work), strict=True)])
        wall, work = np.median(rounds, axis=0)
        print(f"a search with a file among {many} pictures: {wall:.3f} s, {work:.3f} s of a processor (medians)")


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def tiny(seed: int) -> bytes:
    """Return a small picture that no other seed gives."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
