"""Artifacts and the two events of a run: `Step` (progress) and `Output` (what an engine made)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fantascope.receipt import Receipt

MEDIA_TYPES: dict[str, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
SUFFIXES: dict[str, str] = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}


def artifact_id(data: bytes) -> str:
    """Return `sha256:` and the hex digest of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Step:
    """Progress of a run.

    Attributes:
        step: Sampler steps done so far, 0 … steps.
        steps: How many there will be.
        stage: `load`, `encode`, `denoise`, `decode`, `upscale` or `seal`.
        index: First picture of the batch that is being made.
        count: Pictures in that batch.
        total: Pictures in the whole request.
        preview: Small pictures `(count, h, w, 3)` uint8 of the guess so far, or None.
        private: What is made will be private, so a preview may be shown but leaves no file behind.
    """

    step: int
    steps: int
    stage: str = "denoise"
    index: int = 0
    count: int = 1
    total: int = 1
    preview: Any = None
    private: bool = False


@dataclass(frozen=True)
class Kept:
    """Which part of the request's picture an output holds unchanged, pixel by pixel.

    Attributes:
        touched: `(H, W)` bool, of the output's size: where pixels may differ from the picture's, or lie outside it.
        at: Left and top of the picture in the output, pixels; below 0 where it was cropped.
    """

    touched: Any = field(repr=False)
    at: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Output:
    """What an engine made, before it is judged and sealed.

    Attributes:
        pixels: `(H, W, 3)` or `(H, W, 4)` uint8, sRGB.
        index: Which picture of the request this is.
        seed: Where its noise started.
        batch: How many pictures were rendered together, this one included.
        first: Which picture of the request was the first of them.
        kept: Of an edit, what it left alone; None where the whole picture is new.
        found: What an annotator found, as JSON that can be edited and rendered again.
        painted: Whether weights made it; False where nothing but arithmetic on the request's picture did.
    """

    pixels: Any
    index: int
    seed: int
    batch: int = 1
    first: int = 0
    kept: Kept | None = None
    painted: bool = True
    found: str | None = None


@dataclass(frozen=True)
class Artifact:
    """Bytes, media type and id, with the receipt that says how they came to be."""

    data: bytes = field(repr=False)
    media_type: str
    receipt: Receipt | None = field(default=None, repr=False)
    path: Path | None = None
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", artifact_id(self.data))

    @property
    def suffix(self) -> str:
        """File name ending of the media type, with the dot."""
        return SUFFIXES.get(self.media_type, ".bin")

    def image(self) -> Any:
        """Return the picture as a PIL image."""
        import io

        from PIL import Image

        return Image.open(io.BytesIO(self.data)).convert("RGB")

    def _repr_png_(self) -> bytes | None:
        return self.data if self.media_type == "image/png" else None

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.media_type == "image/jpeg" else None

    def _repr_html_(self) -> str | None:
        if self.media_type != "image/webp":
            return None
        return f'<img src="data:image/webp;base64,{base64.b64encode(self.data).decode()}">'
