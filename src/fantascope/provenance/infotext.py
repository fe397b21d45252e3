"""The `parameters` text that A1111 and its relatives write into a picture, printed and parsed.

    a pink elephant
    Negative prompt: blurry
    Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7, Seed: 7, Size: 512x512, Model hash: …, Version: …

A value with a comma, a line feed or a colon is written as a JSON string. The last line counts as settings only when
at least three pairs are in it and it is no longer than `MAX_SETTINGS`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fantascope.receipt import Receipt, Weight

PAIR = re.compile(r'(\w[\w \-/]{1,80}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""The key is bounded, and nothing optional stands before it: the time is linear in the text."""

LEAST_PAIRS = 3
MAX_SETTINGS = 64_000
"""Characters of the line of settings."""

NEGATIVE = "Negative prompt:"

ADAPTER, EMBEDDING = "adapter ", "embedding "
"""How the part of an adapter's, and of a textual inversion's, weights begins in a receipt."""

SAMPLERS = {
    "ddim": "DDIM",
    "euler": "Euler",
    "euler_ancestral": "Euler a",
    "heun": "Heun",
    "dpmpp_2m": "DPM++ 2M",
    "lcm": "LCM",
}
SCHEDULES = {"default": "Automatic", "karras": "Karras"}


@dataclass(frozen=True)
class Parameters:
    """Prompt, negative prompt and settings by A1111's names, in their order."""

    prompt: str = ""
    negative: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        """Return the text as A1111 writes it."""
        lines = [self.prompt] if self.prompt else []
        if self.negative:
            lines.append(f"{NEGATIVE} {self.negative}")
        if self.settings:
            lines.append(", ".join(f"{key}: {_quote(value)}" for key, value in self.settings.items()))
        return "\n".join(lines)


def parse(text: str) -> Parameters:
    """Return what a `parameters` text says; a foreign or broken one gives what can be understood."""
    lines = text.strip().split("\n")
    pairs = PAIR.findall(lines[-1]) if len(lines[-1]) <= MAX_SETTINGS else []
    settings: dict[str, str] = {}
    if len(pairs) >= LEAST_PAIRS:
        lines.pop()
        settings = {key: _unquote(value) for key, value in pairs}
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for line in lines:
        line = line.strip()
        if line.startswith(NEGATIVE):
            into, line = negative, line[len(NEGATIVE) :].strip()
        into.append(line)
    return Parameters("\n".join(prompt), "\n".join(negative), settings)


def parameters_of(receipt: Receipt) -> Parameters:
    """Return the parameters of a receipt; of a private one, or one without a prompt, nothing at all."""
    if receipt.private or "prompt" not in receipt.request:
        return Parameters()
    request, main, loras = receipt.request, main_weight(receipt.ran.weights), _worn(receipt, ADAPTER)
    sampler, schedule, varied = str(request.get("sampler")), str(request.get("schedule")), variation(request)
    rows: list[tuple[str, Any]] = [
        ("Steps", request.get("steps")),
        ("Sampler", SAMPLERS.get(sampler, sampler)),
        ("Schedule type", SCHEDULES.get(schedule, schedule)),
        ("CFG scale", _number(request.get("guidance"))),
        ("Seed", request.get("seed") if varied is None else request.get("anchor")),
        ("Size", f"{request.get('width')}x{request.get('height')}"),
        ("Model hash", main.sha256[:10] if main else None),
        ("Model", receipt.spec.get("name")),
        ("Variation seed", None if varied is None else request.get("seed")),
        ("Variation seed strength", varied),
        ("Clip skip", (request.get("clip_skip") or 0) + 1 if request.get("clip_skip") else None),
        ("Lora hashes", ", ".join(f"{name}: {short}" for name, short, _ in loras) or None),
        ("TI hashes", ", ".join(f"{name}: {short}" for name, short, _ in _worn(receipt, EMBEDDING)) or None),
        ("Version", f"fantascope {receipt.fantascope}"),
    ]
    tags = "".join(f" <lora:{name}:{_number(scale)}>" for name, _, scale in loras)
    return Parameters(
        prompt=_trimmed(str(request.get("prompt", "")) + tags),
        negative=_trimmed(str(request.get("negative_prompt") or "")),
        settings={key: str(value) for key, value in rows if value is not None},
    )


def variation(request: Mapping[str, Any]) -> float | None:
    """Return how far a picture's start is from its anchor's, as A1111 counts it: a share of the arc between them.

    Ours mixes `sqrt(1 - c^2)` of the anchor's noise with c of the seed's own, which is there for c = sin(share of 90°).
    None where it started from its own noise alone.
    """
    chaos = request.get("chaos")
    if chaos is None or request.get("anchor") is None:
        return None
    return round(math.asin(float(chaos)) * 2 / math.pi, 4)


def _worn(receipt: Receipt, kind: str) -> list[tuple[str, str, float]]:
    """Return name, A1111's short hash (of the file's data, 12 digits) and weight of every adapter that was at work."""
    return [
        (weight.part.removeprefix(kind), weight.data_sha256[:12], weight.scale)
        for weight in receipt.ran.weights
        if weight.part.startswith(kind) and weight.data_sha256 is not None
    ]


def main_weight(weights: tuple[Weight, ...]) -> Weight | None:
    """Return the weights a picture is named after: the denoiser's, else the first."""
    for weight in weights:
        if any(name in weight.part.lower() for name in ("unet", "transformer", "checkpoint")):
            return weight
    return weights[0] if weights else None


def _trimmed(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().split("\n"))


def _number(value: Any) -> Any:
    """Return 7.0 as 7, as A1111 writes it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _quote(value: str) -> str:
    if not any(mark in value for mark in ',\n:"'):
        return value
    return json.dumps(value, ensure_ascii=False)


def _unquote(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value.strip()
    try:
        return str(json.loads(value))
    except ValueError:
        return value
