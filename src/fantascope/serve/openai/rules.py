"""Whose rules hold for a model name: the sizes, limits and fields of the models that scripts were written for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fantascope.request import MAX_SIDE, MAX_TEXT

Replied = Literal["url", "b64_json"]
Size = tuple[int, int]

MIB = 2**20
OWN = "own"


@dataclass(frozen=True)
class Rules:
    """What a family of models takes.

    Attributes:
        name: Of the family.
        longest: Characters of a prompt.
        most: Pictures of one request.
        sizes: The sizes there are, or None where any is allowed that `step`, `ratio` and `pixels` allow.
        usual: The size where none is given; None is `auto`.
        auto: Whether `auto` is a size.
        qualities: Values of `quality`.
        fields: Fields that only some families have, and this one has.
        replied: How pictures come where nobody says.
        uploads: Formats of pictures handed in.
        bytes: Of one of them.
        square: Whether they must be square.
        pictures: How many an edit takes.
        step: What the sides are multiples of.
        ratio: Most that one side may be of the other.
        pixels: Most of a picture.
        side: Most of one side.
    """

    name: str
    longest: int
    most: int
    sizes: tuple[Size, ...] | None
    usual: Size | None
    auto: bool
    qualities: tuple[str, ...]
    fields: frozenset[str]
    replied: Replied
    uploads: tuple[str, ...] = ("PNG", "WEBP", "JPEG")
    bytes: int = 50 * MIB
    square: bool = False
    pictures: int = 16
    step: int = 1
    ratio: float = MAX_SIDE
    pixels: int = MAX_SIDE * MAX_SIDE
    side: int = MAX_SIDE


GPT_FIELDS = frozenset(
    {
        "background",
        "complexity",
        "frame_count",
        "frame_duration_ms",
        "input_fidelity",
        "markup",
        "moderation",
        "output_compression",
        "output_format",
        "partial_images",
        "svg",
    }
)
"""Fields that only the GPT image models have."""

SOME_HAVE: dict[str, str] = {
    **dict.fromkeys(sorted(GPT_FIELDS), "gpt-image models"),
    "response_format": "dall-e-2 and dall-e-3",
    "style": "dall-e-3 and our own models",
}
"""Field -> who has it, for the fields that not every family has."""

_THREE: tuple[Size, ...] = ((1024, 1024), (1536, 1024), (1024, 1536))
_PLAIN = ("low", "medium", "high", "auto")
_ALL = ("low", "medium", "high", "xhigh", "max", "auto")

RULES: dict[str, Rules] = {
    rules.name: rules
    for rules in (
        Rules(
            "dall-e-2",
            longest=1000,
            most=10,
            sizes=((256, 256), (512, 512), (1024, 1024)),
            usual=(1024, 1024),
            auto=False,
            qualities=("standard", "auto"),
            fields=frozenset({"response_format"}),
            replied="url",
            uploads=("PNG",),
            bytes=4 * MIB,
            square=True,
            pictures=1,
        ),
        Rules(
            "dall-e-3",
            longest=4000,
            most=1,
            sizes=((1024, 1024), (1792, 1024), (1024, 1792)),
            usual=(1024, 1024),
            auto=False,
            qualities=("standard", "hd", "auto"),
            fields=frozenset({"response_format", "style"}),
            replied="url",
        ),
        Rules("gpt-image", MAX_TEXT, 10, _THREE, None, True, _PLAIN, GPT_FIELDS, "b64_json"),
        Rules(
            "gpt-image-2",
            MAX_TEXT,
            10,
            None,
            None,
            True,
            _ALL,
            GPT_FIELDS,
            "b64_json",
            step=16,
            ratio=3.0,
            pixels=3840 * 2160,
            side=3840,
        ),
        Rules(
            OWN,
            MAX_TEXT,
            10,
            None,
            None,
            True,
            (*_ALL, "standard", "hd"),
            GPT_FIELDS | {"response_format", "style"},
            "b64_json",
        ),
    )
}
