"""The text that the web UI writes into pictures, as a source of fields: `png-info`, and the field `infotext`."""

from __future__ import annotations

import re
from typing import Any

from fantascope.errors import InvalidValue
from fantascope.provenance.infotext import Parameters, parse

SIZE = re.compile(r"^(\d+)x(\d+)$")
OURS = "fantascope "

FIELDS: dict[str, str] = {
    "Prompt": "prompt",
    "Negative prompt": "negative_prompt",
    "Steps": "steps",
    "Sampler": "sampler_name",
    "Schedule type": "scheduler",
    "CFG scale": "cfg_scale",
    "Seed": "seed",
    "Size-1": "width",
    "Size-2": "height",
    "Denoising strength": "denoising_strength",
    "Variation seed": "subseed",
    "Variation seed strength": "subseed_strength",
}
"""What the text says -> the field of a body."""


def said(text: str) -> dict[str, str]:
    """Return what a text says by the web UI's names, with what it fills in where an older text says nothing."""
    read: Parameters = parse(text)
    found = {"Prompt": read.prompt, "Negative prompt": read.negative}
    for name, value in read.settings.items():
        size = SIZE.match(value)
        found |= {f"{name}-1": size[1], f"{name}-2": size[2]} if size else {name: value}
    ours = found.get("Version", "").startswith(OURS)
    return {"Clip skip": "1", "RNG": "CPU" if ours else "GPU", "Schedule type": "Automatic"} | found


def filled(data: dict[str, Any]) -> dict[str, Any]:
    """Return a body with what its `infotext` says, for fields that were not sent.

    Raises:
        InvalidValue: it is no text.
    """
    text = data.get("infotext")
    if text in (None, ""):
        return data
    if not isinstance(text, str):
        raise InvalidValue("infotext is a text.", param="infotext")
    found = said(text)
    told = {field: found[name] for name, field in FIELDS.items() if found.get(name)}
    more: dict[str, Any] = {}
    if found["Clip skip"] != "1":
        layers = int(found["Clip skip"]) if found["Clip skip"].isascii() and found["Clip skip"].isdigit() else 0
        settings = data.get("override_settings") if isinstance(data.get("override_settings"), dict) else {}
        more["override_settings"] = {"CLIP_stop_at_last_layers": layers} | (settings or {})
    return told | {name: value for name, value in data.items() if value is not None} | more
