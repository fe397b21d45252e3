"""What a body asks for, read by the rules of its model. Nothing is filled in here but the defaults of the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from fantascope.request import Format
from fantascope.serve.fetch import FieldError
from fantascope.serve.openai.fields import Fields, missing
from fantascope.serve.openai.rules import GPT_FIELDS, SOME_HAVE, Replied, Rules, Size
from fantascope.serve.openai.table import Known, Table
from fantascope.spec import Spec

Route = Literal["generation", "edit", "variation"]

OLDEST, NEWER = "dall-e-2", "gpt-image-1.5"
"""The model where none is named, and where none is named and a field is given that only the newer have."""

FORMATS: tuple[Format, ...] = ("png", "jpeg", "webp")
NOT_MADE = {"markup": "an overlay that guides an edit", "svg": "drawings in SVG", "frame_count": "animated pictures"}
NOT_MADE["frame_duration_ms"] = NOT_MADE["frame_count"]
MOST_PARTIAL = 3
LONGEST_NAME = 1000
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


@dataclass(frozen=True)
class Asked:
    """A body, read.

    Attributes:
        route: Of it.
        known: The model name.
        prompt: None for a variation.
        n: How many pictures.
        size: Width and height in pixels; None where it is up to the model, or the picture.
        quality, style, fidelity: As the wire names them.
        replied: How pictures come back.
        background: transparent, opaque or auto.
        format: Of the files; None where nothing is said.
        compression: Of jpeg and webp, 1 to 100; None where nothing is said.
        stream: Whether the answer is a stream of events.
        partial: Pictures of the work in progress that are wanted.
        person: What the client says of its own user, echoed.
    """

    route: Route
    known: Known
    prompt: str | None = None
    n: int = 1
    size: Size | None = None
    quality: str = "auto"
    style: str | None = None
    fidelity: str = "low"
    replied: Replied = "b64_json"
    background: str = "auto"
    format: Format | None = None
    compression: int | None = None
    stream: bool = False
    partial: int = 0
    person: str | None = None

    @property
    def rules(self) -> Rules:
        """Of the model name."""
        return self.known.rules


def model_of(fields: Fields, route: Route, table: Table, specs: Mapping[str, Spec], *, newer: bool = False) -> Known:
    """Return the model that a body names, or that of the original where it names none.

    Args:
        newer: Whether what else was sent is nothing that the oldest model takes.

    Raises:
        NotFound: there is no such model.
    """
    name = fields.text("model", LONGEST_NAME)
    if not name:
        only_new = any(fields.given(field) for field in GPT_FIELDS) or fields.flag("stream") is True
        finer = fields.raw("quality") in ("low", "medium", "high", "xhigh", "max")
        size = fields.raw("size") in ("auto", "1536x1024", "1024x1536")
        name = NEWER if route != "variation" and (newer or only_new or finer or size) else OLDEST
    known = table.find(name, specs)
    if route == "edit" and known.rules.name == "dall-e-3":
        raise FieldError("dall-e-3 edits no pictures; dall-e-2 and the gpt-image models do.", "model")
    if route == "variation" and known.rules.name not in ("dall-e-2", "own"):
        raise FieldError("Only dall-e-2 makes variations, and the names of our own models.", "model")
    return known


def read(fields: Fields, route: Route, known: Known) -> Asked:
    """Read every field of a body but its pictures.

    Raises:
        FieldError: one is missing, of the wrong kind, out of range, or not of this model; `param` names it.
    """
    rules = known.rules
    for field, who in SOME_HAVE.items():
        if field not in rules.fields and fields.given(field):
            said = f"Unknown parameter: '{field}'. {known.name} has none; {who} have it."
            raise FieldError(said, field, "unknown_parameter")
    prompt = None if route == "variation" else _prompt(fields, rules)
    n = fields.whole("n", 1, rules.most, 1)
    size = _size(fields, route, rules)
    quality = fields.choice("quality", rules.qualities, known.name) or "auto"
    style = fields.choice("style", ("vivid", "natural"))
    replied = fields.choice("response_format", ("url", "b64_json")) or rules.replied
    fields.choice("moderation", ("low", "auto"))
    fields.choice("complexity", ("low", "medium", "high"))
    for field, what in NOT_MADE.items():
        if fields.given(field):
            raise FieldError(f"'{field}' is about {what}, which are not made here.", field, "unsupported_value")
    form, compression = _file(fields)
    background = fields.choice("background", ("transparent", "opaque", "auto")) or "auto"
    if background == "transparent" and form == "jpeg":
        raise FieldError("A jpeg file holds no transparency; 'output_format' must be png or webp.", "output_format")
    stream = fields.flag("stream") or False
    if stream and not rules.fields & GPT_FIELDS:
        said = f"Unknown parameter: 'stream'. {known.name} has none; gpt-image models have it."
        raise FieldError(said, "stream", "unknown_parameter")
    return Asked(
        route,
        known,
        prompt,
        n,
        size,
        quality,
        style if style is not None else ("vivid" if rules.name == "dall-e-3" else None),
        fields.choice("input_fidelity", ("low", "high")) or "low",
        cast(Replied, replied),
        background,
        form,
        compression,
        stream,
        fields.whole("partial_images", 0, MOST_PARTIAL, 0),
        fields.text("safety_identifier", LONGEST_NAME) or fields.text("user", LONGEST_NAME) or None,
    )


def _prompt(fields: Fields, rules: Rules) -> str:
    prompt = fields.text("prompt", rules.longest)
    if prompt is None:
        raise missing("prompt")
    if not prompt.strip():
        raise FieldError("'prompt' is empty; say what the picture should show.", "prompt", "string_below_min_length")
    return prompt


def _size(fields: Fields, route: Route, rules: Rules) -> Size | None:
    """Return the size asked for. Where a picture is sent and nothing is said, its own size is meant."""
    value = fields.text("size")
    if value is None:
        return rules.usual if route == "generation" else None
    if value == "auto" and rules.auto:
        return None
    found = _SIZE.fullmatch(value)
    size = (int(found[1]), int(found[2])) if found else None
    if rules.sizes is not None:
        if size is None or size not in rules.sizes:
            allowed = [f"{wide}x{high}" for wide, high in rules.sizes] + (["auto"] if rules.auto else [])
            raise FieldError(f"'size' of {rules.name} is one of {', '.join(allowed)}, not {value[:40]!r}.", "size")
        return size
    if size is None:
        raise FieldError(f"'size' is auto or WIDTHxHEIGHT like 1024x1024, not {value[:40]!r}.", "size")
    wide, high = size
    if wide % rules.step or high % rules.step:
        raise FieldError(f"Both sides of 'size' must be multiples of {rules.step}: {value} is not.", "size")
    if max(wide / high, high / wide) > rules.ratio:
        raise FieldError(f"'size' may be {rules.ratio:g}:1 at most: {value} is not.", "size")
    if max(size) > rules.side or wide * high > rules.pixels:
        raise FieldError(f"'size' may have {rules.side} pixels a side and {rules.pixels} in all: {value}.", "size")
    return size


def _file(fields: Fields) -> tuple[Format | None, int | None]:
    """Return format and quality of the files. 100 is the default of the wire, and lossless for webp."""
    value = fields.choice("output_format", (*FORMATS, "gif", "svg"))
    if value in ("gif", "svg"):
        raise FieldError(
            f"No {value} files are made here; 'output_format' is one of {', '.join(FORMATS)}.",
            "output_format",
            "unsupported_value",
        )
    form, level = cast("Format | None", value), fields.whole("output_compression", 0, 100, 100)
    if form in (None, "png"):
        if level < 100:
            raise FieldError(
                "A png file loses nothing: 'output_compression' below 100 is of jpeg and webp.", "output_compression"
            )
        return form, None
    return form, max(1, level)
