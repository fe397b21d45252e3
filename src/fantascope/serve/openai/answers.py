"""Pictures as the wire sends them: files or addresses, what was used, and the events of a stream."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fantascope.artifact import Artifact
from fantascope.engines.words import shared_words
from fantascope.request import Format
from fantascope.serve.openai.asked import Asked
from fantascope.serve.openai.rules import Size
from fantascope.serve.openai.uploads import file_id
from fantascope.settings import Settings

PATCH = 16
"""Side of the square of pixels that counts as one token of a picture."""

QUALITIES = {"auto": "medium", "standard": "medium", "hd": "high"}
"""What the reply calls a quality, where it has no such name for it."""


@dataclass(frozen=True)
class Usage:
    """Tokens: of the words and pictures sent, and of the pictures made."""

    text: int
    given: int
    made: int

    def told(self) -> dict[str, Any]:
        """Return it as the wire says it."""
        sent = self.text + self.given
        return {
            "input_tokens": sent,
            "input_tokens_details": {"text_tokens": self.text, "image_tokens": self.given},
            "output_tokens": self.made,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": self.made},
            "total_tokens": sent + self.made,
        }


def patches(size: Size) -> int:
    """Return how many tokens a picture counts."""
    return math.ceil(size[0] / PATCH) * math.ceil(size[1] / PATCH)


def used(prompt: str | None, given: Sequence[Size], made: Sequence[Size], settings: Settings) -> Usage:
    """Count words by the embedded tokenizer, and pictures by their size."""
    text = len(shared_words(settings).tokens(prompt)) if prompt else 0
    return Usage(text, sum(map(patches, given)), sum(map(patches, made)))


def size_of(artifact: Artifact) -> Size:
    """Return width and height of a picture, from its head."""
    with Image.open(io.BytesIO(artifact.data)) as file:
        return file.size


def revised(asked: Asked, request: dict[str, Any]) -> str | None:
    """Return the prompt that was painted, where it is another than was written; for dall-e-3 always."""
    painted = request.get("prompt")
    if not painted or (painted == asked.prompt and asked.rules.name != "dall-e-3"):
        return None
    return str(painted)


def common(asked: Asked, picture: Artifact, size: Size) -> dict[str, Any]:
    """Return what the reply and the events say of pictures."""
    form = picture.media_type.removeprefix("image/")
    clear = form != "jpeg" and asked.background == "transparent"
    told = {
        "background": "transparent" if clear else "opaque",
        "output_format": form,
        "quality": QUALITIES.get(asked.quality, asked.quality),
        "size": f"{size[0]}x{size[1]}",
    }
    return told | ({"safety_identifier": asked.person} if asked.person else {})


def coded(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def image(artifact: Artifact, prompt: str | None, link: str | None) -> dict[str, Any]:
    """Return one picture of a reply. `file_id` names it in later requests."""
    told = {"url": link} if link is not None else {"b64_json": coded(artifact.data)}
    return told | ({"revised_prompt": prompt} if prompt else {}) | {"file_id": file_id(artifact.id)}


def event(kind: str, data: dict[str, Any]) -> bytes:
    """Return a server-sent event."""
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def shown(preview: Any, size: Size | None, form: Format) -> tuple[bytes, Size]:
    """Return a preview `(h, w, 3)` uint8 as a file, enlarged in its shape to fit the size of the picture."""
    small = Image.fromarray(preview)
    if size is not None:
        scale = min(size[0] / small.width, size[1] / small.height)
        large = max(1, round(small.width * scale)), max(1, round(small.height * scale))
        small = small.resize(large, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, form, **({"compress_level": 1} if form == "png" else {"quality": 85}))
    return buffer.getvalue(), small.size


class Moments:
    """When pictures of the work in progress are shown: so many, spread evenly over the steps."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._due: list[int] | None = None
        self.count = 0

    def now(self, step: int, steps: int) -> bool:
        """Say whether a preview after this many of all steps is shown; each is asked about once."""
        if self._due is None:
            self._due = sorted({math.ceil(steps * (k + 1) / (self._wanted + 1)) for k in range(self._wanted)})
        if not self._due or step < self._due[0]:
            return False
        self._due.pop(0)
        self.count += 1
        return True
