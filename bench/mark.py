"""What the invisible mark lives through, what it costs and how often it is seen where it is not.

    python bench/mark.py [--side 512] [--unmarked 200] [--look FILE]

A picture counts as read only when all 64 bits of its id come back: the checksum makes it all or nothing.
`signs` is the share of the code's signs that were right before correction, over the pictures that were read.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from fantascope.provenance import container, mark, mark_pixels, pixels_hash
from fantascope.provenance.keys import ensure_keys
from fantascope.provenance.manifest import sign
from fantascope.receipt import Ran, Receipt, Weight, receipt_id

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def shapes(seed: int, side: int, ground: tuple[int, int, int] | None = None) -> np.ndarray:
    """Flat shapes with soft edges on one colour, like an emoji."""
    rng = np.random.default_rng(seed)
    colours = [tuple(int(v) for v in rng.choice([0, 40, 77, 120, 172, 204, 221, 255], 3)) for _ in range(13)]
    image = Image.new("RGB", (2 * side, 2 * side), ground or colours[-1])
    draw = ImageDraw.Draw(image)
    for colour in colours[: int(rng.integers(4, 12))]:
        x, y = rng.uniform(0.1, 0.9, 2) * 2 * side
        r = rng.uniform(0.05, 0.22) * 2 * side
        corners = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 11))))
        if rng.random() < 0.5:
            draw.ellipse([x - r, y - r * 0.7, x + r, y + r], fill=colour)
        else:
            draw.polygon([(x + r * np.cos(a), y + r * np.sin(a)) for a in corners], fill=colour)
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def texture(seed: int, side: int, slope: float) -> np.ndarray:
    """Detail at every scale, like foliage (slope 1.1) or a landscape (slope 1.6)."""
    rng = np.random.default_rng(1000 + seed)
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    f[0, 0] = 1
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal((side, side))) / f**slope, s=(side, side)) for _ in "rgb+"]
    scaled = [plane / plane.std() for plane in planes]
    return np.clip(np.stack([scaled[3] + 0.35 * p for p in scaled[:3]], -1) * 48 + 120, 0, 255).astype(np.uint8)


def gradient(seed: int, side: int) -> np.ndarray:
    """A smooth sky."""
    y, x = np.mgrid[0:side, 0:side] / side
    a, b, c = np.random.default_rng(2000 + seed).uniform(0, 255, (3, 3))
    return np.clip(a + (b - a) * x[..., None] + (c - a) * y[..., None] * 0.7, 0, 255).astype(np.uint8)


def lines(seed: int, side: int, ink: tuple[int, int, int], paper: tuple[int, int, int]) -> np.ndarray:
    """A drawing: thin strokes, nothing else."""
    rng = np.random.default_rng(3000 + seed)
    image = Image.new("RGB", (2 * side, 2 * side), paper)
    draw = ImageDraw.Draw(image)
    for _ in range(20):
        draw.line([tuple(p) for p in rng.uniform(0, 2 * side, (4, 2))], fill=ink, width=int(rng.integers(2, 12)))
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def pictures(side: int, first: int = 0) -> Iterator[tuple[str, np.ndarray]]:
    """Yield 27 pictures of seven kinds; `first` moves the seeds."""
    for k in range(6):
        yield f"shapes on white {k}", shapes(first + k, side, WHITE)
        yield f"shapes on colour {k}", shapes(first + 50 + k, side)
    for k in range(3):
        yield f"foliage {k}", texture(first + k, side, 1.1)
        yield f"landscape {k}", texture(first + k, side, 1.6)
        yield f"sky {k}", gradient(first + k, side)
    yield "ink on white 0", lines(first, side, BLACK, WHITE)
    yield "ink on white 1", lines(first + 1, side, BLACK, WHITE)
    yield "chalk on black", lines(first + 2, side, (240, 240, 240), BLACK)
    for name, level in (("white", 255), ("grey", 128), ("black", 0)):
        yield f"plain {name}", np.full((side, side, 3), level, np.uint8)


def encoded(pixels: np.ndarray, form: str, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def resized(pixels: np.ndarray, factor: float) -> np.ndarray:
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def cropped(pixels: np.ndarray) -> np.ndarray:
    """Take nine tenths of each side, at an offset that follows from the pixels."""
    height, width = pixels.shape[:2]
    rng = np.random.default_rng(int(pixels.sum()))
    top, left = int(rng.integers(0, height // 10)), int(rng.integers(0, width // 10))
    return pixels[top : top + height * 9 // 10, left : left + width * 9 // 10]


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda p: p,
    "JPEG 95": lambda p: encoded(p, "JPEG", 95),
    "JPEG 75": lambda p: encoded(p, "JPEG", 75),
    "JPEG 50": lambda p: encoded(p, "JPEG", 50),
    "WebP 80": lambda p: encoded(p, "WEBP", 80),
    "0.5x and back": lambda p: resized(resized(p, 0.5), 2),
    "0.5x": lambda p: resized(p, 0.5),
    "0.62x": lambda p: resized(p, 0.62),
    "1.5x": lambda p: resized(p, 1.5),
    "0.5x, JPEG 75": lambda p: encoded(resized(p, 0.5), "JPEG", 75),
    "crop 10 %": cropped,
    "crop 10 %, JPEG 75": lambda p: encoded(cropped(p), "JPEG", 75),
    "brightness +10 %": lambda p: np.clip(p * 1.1, 0, 255).astype(np.uint8),
}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b) ** 2)))


def robustness(side: int) -> None:
    marked: dict[str, tuple[str, np.ndarray]] = {}
    noise: dict[str, float] = {}
    embedding: list[float] = []
    for name, pixels in pictures(side):
        payload = hashlib.sha256(name.encode()).hexdigest()[:16]
        start = time.perf_counter()
        marked[name] = payload, mark.embed(pixels, payload)
        embedding.append(time.perf_counter() - start)
        noise[name] = psnr(pixels, marked[name][1])
    print(f"{len(marked)} pictures of {side} x {side}; marking {np.median(embedding) * 1e3:.1f} ms (median)")
    print(f"PSNR {min(noise.values()):.1f} dB at least, {np.mean(list(noise.values())):.1f} dB on average;")
    for kind in ("shapes on white 0", "shapes on colour 0", "foliage 0", "landscape 0", "plain white"):
        print(f"  {kind:<20} {noise[kind]:.1f} dB")
    print(f"\n{'change':<20} {'read':>7} {'bits':>6} {'signs':>6} {'ms':>6}  not read")
    for change, apply in CHANGES.items():
        found, signs, reading = [], [], []
        for name, (payload, pixels) in marked.items():
            changed = apply(pixels)
            start = time.perf_counter()
            result = mark.read(changed)
            reading.append(time.perf_counter() - start)
            if result.payload == payload:
                found.append(name)
                signs.append((1 + result.confidence) / 2)
        missing = ", ".join(name for name in marked if name not in found)
        share = f"{len(found)}/{len(marked)}"
        right = f"{np.mean(signs):.1%}" if signs else "–"
        print(
            f"{change:<20} {share:>7} {len(found) / len(marked):>6.0%} {right:>6} "
            f"{np.median(reading) * 1e3:>6.1f}  {missing}"
        )


def false_reads(count: int, side: int) -> None:
    seen, tried, reading = 0, 0, []
    for first in range(100, 10_000, 100):
        for _, pixels in pictures(side, first):
            if tried == count:
                break
            start = time.perf_counter()
            seen += mark.read(pixels).payload is not None
            reading.append(time.perf_counter() - start)
            tried += 1
    print(f"\nunmarked pictures that seemed marked: {seen} of {tried}")
    print(f"reading one takes {np.median(reading or [0.0]) * 1e3:.0f} ms (median)")
    print("by the checksum: at most 30 words x 2^-32, about 1 in 140 million")


def cost(side: int) -> None:
    """Print what sealing takes, part by part, and what it adds to the file."""
    weight = Weight(part="unet", path="unet/model.safetensors", sha256="ab" * 32, licence="Apache-2.0")
    ran = Ran(
        engine="graph",
        runtime="openvino",
        device="cpu",
        precision="bf16",
        threads=2,
        exactness="bit-exact",
        weights=(weight,),
    )
    request = {"task": "imagine", "prompt": "a pink elephant", "seed": 7, "width": side, "height": side}
    pixels = shapes(1, side, WHITE)
    draft = Receipt(id="", request=request, spec={"name": "embedded"}, ran=ran, pixels_sha256="", fantascope="0.1.0")
    name = receipt_id(draft)
    print(f"\nsealing one {side} x {side} picture, ms (median of 15), and bytes")
    with tempfile.TemporaryDirectory() as folder:
        keys = ensure_keys(Path(folder) / "keys")
        for form, quality in (("png", 90), ("jpeg", 90), ("webp", 80), ("webp", 100)):
            parts: list[tuple[float, ...]] = []
            for _ in range(15):
                at = [time.perf_counter()]
                marked = mark_pixels(pixels, name)
                at.append(time.perf_counter())
                receipt = draft.model_copy(update={"id": name, "pixels_sha256": pixels_hash(marked)})
                at.append(time.perf_counter())
                plain = container.encode(marked, receipt, form, quality)
                at.append(time.perf_counter())
                done = sign(plain, form, receipt, keys)
                at.append(time.perf_counter())
                parts.append(tuple(np.diff(at)))
            ms = np.median(parts, axis=0) * 1e3
            least = np.min(parts, axis=0).sum() * 1e3
            bare = len(container.encode(pixels, receipt, form, quality))
            print(
                f"  {form:<4} {quality:>3}: mark {ms[0]:.1f}, hash {ms[1]:.1f}, encode {ms[2]:.1f}, sign {ms[3]:.1f}, "
                f"together {ms.sum():.1f} (best {least:.1f}); "
                f"unmarked {bare:,}, marked {len(plain):,}, signed {len(done):,}"
            )
    marked = mark_pixels(pixels, name)
    for level in (1, 3, 6):
        start = time.perf_counter()
        file = io.BytesIO()
        Image.fromarray(marked).save(file, "PNG", compress_level=level)
        spent = (time.perf_counter() - start) * 1e3
        print(f"  Pillow's PNG, compress_level {level}: {spent:.1f} ms, {len(file.getvalue()):,} bytes")


def look(path: Path, side: int) -> None:
    """Write rows of (before, after, difference x 40), each a part enlarged three times."""
    rows = []
    for pixels in (shapes(1, side, WHITE), shapes(52, side), texture(0, side, 1.6)):
        after = mark.embed(pixels, "0123456789abcdef")
        difference = np.clip((after.astype(int) - pixels) * 40 + 128, 0, 255).astype(np.uint8)
        part = np.s_[side // 4 : side // 4 + 180, side // 4 : side // 4 + 180]
        rows.append(np.concatenate([p[part].repeat(3, 0).repeat(3, 1) for p in (pixels, after, difference)], 1))
    Image.fromarray(np.concatenate(rows)).save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--unmarked", type=int, default=200)
    parser.add_argument("--look", type=Path, help="write enlarged pictures here and stop")
    args = parser.parse_args()
    if args.look:
        look(args.look, args.side)
    else:
        robustness(args.side)
        false_reads(args.unmarked, args.side)
        cost(args.side)
