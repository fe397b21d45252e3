"""Route of moderations: what the rules in force say of texts and pictures, by the categories of the wire."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends
from fastapi import Request as Http

from fantascope.artifact import Artifact
from fantascope.errors import InvalidPicture
from fantascope.gallery.pictures import inspect
from fantascope.receipt import Verdict
from fantascope.request import MAX_TEXT
from fantascope.serve.fetch import FieldError, fetched
from fantascope.serve.kit import caller_of, off, read_json, server_of
from fantascope.serve.openai.fields import Fields, missing
from fantascope.serve.openai.rules import MIB
from fantascope.serve.people import Caller
from fantascope.studio import Studio
from fantascope.tasks.pixels import open_pixels

router = APIRouter(prefix="/v1", include_in_schema=False)

MODELS = {
    "omni-moderation-latest": 1732665600,
    "omni-moderation-2024-09-26": 1727308800,
    "text-moderation-latest": 1660176000,
    "text-moderation-stable": 1660176000,
}
"""Name -> when it came up. All stand for the rules in force; a name that begins with `text` takes no pictures."""

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)

MOST = 64
"""Texts of one request, or parts of one input."""
MOST_TEXT = 2 * MAX_TEXT
"""Characters of all texts of a request together: judging them takes time."""
MOST_PICTURES = 16
MOST_BYTES = 20 * MIB
"""Of one picture."""


@router.post("/moderations")
async def moderations(http: Http, caller: Caller = Depends(caller_of)) -> dict[str, Any]:
    """Judge texts, each by itself, or one input of texts and pictures."""
    fields = Fields(await read_json(http))
    server = server_of(http)
    model = fields.choice("model", tuple(MODELS)) or "omni-moderation-latest"
    inputs = _inputs(fields.raw("input"), model)
    hosts = server.options.fetch_hosts

    def judged() -> list[dict[str, Any]]:
        studio = server.studio_of(caller)
        return [
            _result(studio, texts, [fetched(url, hosts, MOST_BYTES, "input") for url in urls]) for texts, urls in inputs
        ]

    return {"id": f"modr-{uuid.uuid4().hex}", "model": model, "results": await off(judged)}


def _inputs(value: Any, model: str) -> list[tuple[list[str], list[str]]]:
    """Return texts and addresses of pictures for every result.

    Raises:
        FieldError: the input is neither a text, nor texts, nor parts; or a picture for a model of texts.
    """
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return [(_texts([value]), [])]
    if not isinstance(value, list):
        raise FieldError("'input' is a text, a list of texts, or a list of parts.", "input", "invalid_type")
    if not 1 <= len(value) <= MOST:
        raise FieldError(f"'input' has 1 to {MOST} texts or parts, not {len(value)}.", "input")
    if all(isinstance(one, str) for one in value):
        return [([one], []) for one in _texts(value)]
    texts, urls = [], []
    for number, part in enumerate(value):
        kind = part.get("type") if isinstance(part, Mapping) else None
        holder = part.get("image_url") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "image_url" and isinstance(holder, Mapping) and isinstance(holder.get("url"), str):
            urls.append(holder["url"])
        else:
            raise FieldError(
                f"input[{number}] is {{type: text, text}} or {{type: image_url, image_url: {{url}}}}.",
                "input",
                "invalid_type",
            )
    if urls and model.startswith("text"):
        raise FieldError(f"{model} judges texts; omni-moderation-latest judges pictures, too.", "input")
    if len(urls) > MOST_PICTURES:
        raise FieldError(f"'input' has at most {MOST_PICTURES} pictures, not {len(urls)}.", "input")
    return [(_texts(texts), urls)]


def _texts(texts: list[str]) -> list[str]:
    """Return texts that are not too long."""
    if max(map(len, texts), default=0) > MAX_TEXT or sum(map(len, texts)) > MOST_TEXT:
        said = f"A text has at most {MAX_TEXT} characters, and all of them together {MOST_TEXT}."
        raise FieldError(said, "input", "string_above_max_length")
    return texts


def _result(studio: Studio, texts: Iterable[str], pictures: Iterable[bytes]) -> dict[str, Any]:
    """Return what is said of one input."""
    rules = {rule.id: rule.category for rule in studio.policy.rules}
    rules |= {rule.id: rule.category for rule in studio.policy.data.pictures}
    found: list[tuple[str, Verdict]] = []
    for text in texts:
        found += [("text", one) for one in studio.policy.explain(text, studio.embed).verdicts]
    for data in pictures:
        pixels = _pixels(data)
        found += [("image", judge(pixels)) for judge in studio.judges]
    flags, scores = dict.fromkeys(CATEGORIES, False), dict.fromkeys(CATEGORIES, 0.0)
    applied: dict[str, list[str]] = {name: [] for name in CATEGORIES}
    for kind, verdict in found:
        name = rules.get(verdict.rule, "")
        if name in scores:
            flags[name] = flags[name] or not verdict.allowed
            scores[name] = max(scores[name], round(float(verdict.score), 6))
            if kind not in applied[name]:
                applied[name].append(kind)
    refusing = [verdict for _, verdict in found if not verdict.allowed]
    told = ("rule", "score", "threshold", "words", "reason", "offer")
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": applied,
        "fantascope": {
            "allowed": not refusing,
            "policy": studio.policy.hash,
            "refused_by": [one.model_dump(mode="json", include=set(told)) for one in refusing],
        },
    }


def _pixels(data: bytes) -> Any:
    """Return the pixels of a picture that is safe to decode."""
    try:
        media, _ = inspect(data)
        pixels = open_pixels(Artifact(data, media))
    except InvalidPicture as error:
        error.param = "input"
        raise
    return np.ascontiguousarray(pixels)
