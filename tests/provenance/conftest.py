"""Receipts, pictures and keys for the tests of provenance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fantascope.provenance import mark_pixels, pixels_hash, seal
from fantascope.receipt import Ran, Receipt, Weight, receipt_id

PROMPT = "a pink elephant, on a blue background"
SEED = 3141592653


def flat_art(seed: int, size: int = 512, ground: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """Flat shapes with soft edges on one colour, like an emoji: `(size, size, 3)` uint8."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (2 * size, 2 * size), ground)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.uniform(0.2, 0.8, 2) * 2 * size
        r = rng.uniform(0.08, 0.25) * 2 * size
        colour = tuple(int(v) for v in rng.choice([0, 77, 120, 204, 255], 3))
        draw.ellipse([x - r, y - r, x + r, y + r * 0.7], fill=colour)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def texture(seed: int, size: int = 512) -> np.ndarray:
    """A photo-like picture with detail at every scale: `(size, size, 3)` uint8."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    f[0, 0] = 1
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) / f**1.3, s=(size, size)) for _ in range(4)]
    scaled = [plane / plane.std() for plane in planes]
    return np.clip(np.stack([scaled[0] + 0.3 * p for p in scaled[1:]], -1) * 48 + 120, 0, 255).astype(np.uint8)


def make_receipt(**changes: Any) -> Receipt:
    request = {
        "task": "imagine",
        "prompt": PROMPT,
        "negative_prompt": "blurry: yes",
        "n": 1,
        "width": 256,
        "height": 256,
        "steps": 20,
        "guidance": 4.5,
        "guidance_rescale": 0.7,
        "sampler": "dpmpp_2m",
        "schedule": "karras",
        "seed": SEED,
        "clip_skip": 1,
    }
    weights = (
        Weight(part="text_encoder", path="text_encoder/model.safetensors", sha256="ab" * 32, licence="Apache-2.0"),
        Weight(part="unet", path="unet/model.safetensors", sha256="0123456789" + "c" * 54, licence="Apache-2.0"),
        Weight(part="upscaler", path="upscaler/model.safetensors", sha256="ef" * 32, licence="BSD-3-Clause"),
    )
    ran = Ran(
        engine="graph",
        runtime="openvino",
        device="cpu",
        precision="bf16",
        threads=2,
        exactness="bit-exact",
        weights=weights,
        versions={"openvino": "2026.0", "numpy": "2.4"},
    )
    fields = {
        "id": "",
        "request": request,
        "spec": {
            "name": "embedded",
            "source": "embedded:embedded",
            "training_ledger": "1" * 64,
            "card": "2" * 64,
        },
        "ran": ran,
        "pixels_sha256": "",
        "attribution": ("Emoji by Example, CC-BY-4.0",),
        "created": "2026-11-23T07:00:00Z",
        "fantascope": "0.1.0",
    }
    draft = Receipt(**(fields | changes))
    return draft.model_copy(update={"id": receipt_id(draft)})


def sealed(
    pixels: np.ndarray, folder: Path, form: str = "png", quality: int = 90, **more: Any
) -> tuple[bytes, Receipt]:
    """Mark, close and seal one picture as the studio does."""
    parents = more.pop("parents", ())
    receipt = make_receipt(**more)
    marked = mark_pixels(pixels, receipt.id, format=form, quality=quality)
    receipt = receipt.model_copy(update={"pixels_sha256": pixels_hash(marked)})
    return seal(marked, receipt, keys=folder, format=form, quality=quality, parents=parents), receipt


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One studio's key folder."""
    return tmp_path_factory.mktemp("studio") / "keys"


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    return flat_art(1, 256)
