"""Milliseconds that each annotator takes for one picture.

    python bench/annotate.py --weights FOLDER

The picture is a drawn scene, or the one named with --picture. Networks whose file is not in the folder are left out,
and it says so. Median of several calls after one that is not counted; the first call of a network also compiles it.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fantascope.annotate import ANNOTATORS, Tools, annotate, palette, weights_folder
from fantascope.errors import ModelNotFound


def scene(side: int) -> np.ndarray:
    """Shapes, strokes and a little noise, as much of all as a photo has."""
    rng = np.random.default_rng(7)
    image = Image.new("RGB", (side, side), (214, 222, 230))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, size = (int(v) for v in rng.integers(0, side, 3))
        box = (x - size // 6, y - size // 6, x + size // 6 + 1, y + size // 6 + 1)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        (draw.ellipse if size % 2 else draw.rectangle)(box, fill=colour)
    for _ in range(20):
        draw.line([tuple(p) for p in rng.uniform(0, side, (3, 2))], fill=(20, 20, 30), width=3)
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    return np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)


def flat(side: int) -> np.ndarray:
    """A colour map of classes."""
    colours = np.array(list(palette().values()), np.uint8)
    return colours[np.arange(side)[:, None] // 64 * 8 + np.arange(side)[None] // 64]


def measure(kind: str, picture: np.ndarray, tools: Tools, count: int) -> tuple[float, float, float]:
    """Return first call, median and slowest of the others, ms."""
    spent = []
    for _ in range(count + 1):
        start = time.perf_counter()
        annotate(kind, picture, tools=tools)
        spent.append(1e3 * (time.perf_counter() - start))
    return spent[0], float(np.median(spent[1:])), max(spent[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--count", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", type=Path, default=weights_folder())
    parser.add_argument("--picture", type=Path, help="measure on this picture, cut to a square and resized")
    args = parser.parse_args()
    import cv2

    cv2.setNumThreads(args.threads)
    tools = Tools(weights=args.weights, threads=args.threads)
    picture = scene(args.side)
    if args.picture is not None:
        image = Image.open(args.picture).convert("RGB")
        box = [(image.width - min(image.size)) // 2, (image.height - min(image.size)) // 2]
        image = image.crop((*box, box[0] + min(image.size), box[1] + min(image.size)))
        picture = np.asarray(image.resize((args.side, args.side), Image.Resampling.LANCZOS))
    print(
        f"{args.side} px, {args.threads} thread, OpenCV {cv2.__version__}, {platform.machine()}, median of {args.count}"
    )
    print(f"{'kind':<14} {'ms':>7} {'most':>7} {'first':>7}")
    for kind in ANNOTATORS:
        source = flat(args.side) if kind == "segmentation" else picture
        try:
            first, middle, most = measure(kind, source, tools, args.count)
        except ModelNotFound as error:
            print(f"{kind:<14} {'–':>7}  {error.message.split(':')[0]}")
            continue
        print(f"{kind:<14} {middle:>7.1f} {most:>7.1f} {first:>7.1f}")


if __name__ == "__main__":
    main()
