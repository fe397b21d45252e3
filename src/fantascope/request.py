"""Requests: what a user can ask for, one frozen class per task, a union keyed by `task`.

`None` always means "not given": the Spec's default is filled in when the studio resolves the request.
`0` is a value. Text fields are typed `Text` and picture fields `Picture`, so that policy and ingest find
them by walking the types: a new field cannot be forgotten.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from fantascope.errors import InvalidValue, RequestError, UnknownName

MAX_TEXT = 32_000
"""Longest text of any field, in characters (what GPT image models accept)."""

MAX_SEED = 2**32 - 1
MAX_SIDE = 8192
MAX_COUNT = 64


class Kind(str):
    """Marks what a string field holds, so that it can be found by walking the types."""


TEXT, PICTURE = Kind("text"), Kind("picture")


def _clean(text: str) -> str:
    """Refuse what no prompt means: NUL, control characters, lone surrogates, absurd length."""
    if len(text) > MAX_TEXT:
        raise PydanticCustomError(
            "too_long", "is {n} characters long; at most {limit} are allowed", {"n": len(text), "limit": MAX_TEXT}
        )
    for at, char in enumerate(text):
        if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs"):
            raise PydanticCustomError(
                "control_character",
                "holds the control character U+{point} at position {at}; only text, line feeds and tabs are allowed",
                {"point": f"{ord(char):04X}", "at": at},
            )
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty", "is empty; say what the picture should show")
    return text


Text = Annotated[str, TEXT, AfterValidator(_clean)]
"""A text that a person wrote: judged by policy wherever it stands."""

Prompt = Annotated[str, TEXT, AfterValidator(_clean), AfterValidator(_said)]
"""A `Text` that may not be empty."""

Picture = Annotated[str, PICTURE]
"""A picture: a file path when asked, an artifact id (`sha256:…`) once resolved."""

Format = Literal["png", "jpeg", "webp"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
EngineName = Literal["graph", "latent", "pipeline", "echo"]


class Request(BaseModel):
    """Base of all requests: frozen, unknown fields refused.

    Raises:
        RequestError: a field is unknown, out of range or of the wrong kind; `param` names it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)

    task: str

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise _explain(error, type(self)) from None

    @classmethod
    def fields_of(cls, kind: Kind) -> list[str]:
        """Return the names of the fields that hold `TEXT` or `PICTURE`."""
        return [name for name, field in cls.model_fields.items() if _marked(field, kind)]

    def walk(self, kind: Kind) -> Iterator[tuple[str, str]]:
        """Yield (field name, value) for every field of this kind that is set, lists item by item."""
        for name in self.fields_of(kind):
            value = getattr(self, name)
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if item is not None:
                    yield name, item

    def replace(self, **changes: Any) -> Any:
        """Return a validated copy with some fields changed."""
        return type(self)(**(self.model_dump() | changes))


class Imagine(Request):
    """Text to image.

    Sizes are those of the file that is written; `upscale` says how much of it the Spec's upscaler does.
    Picture k of a request starts from the noise of `seed + k`, so a seed means the same picture whatever `n`.
    """

    task: Literal["imagine"] = "imagine"
    prompt: Prompt = Field(description="what the picture should show")
    negative_prompt: Text | None = Field(None, description="what it should not show")
    n: int | None = Field(None, ge=1, le=MAX_COUNT, description="how many pictures")
    width: int | None = Field(None, ge=1, le=MAX_SIDE, description="width of the file, pixels")
    height: int | None = Field(None, ge=1, le=MAX_SIDE, description="height of the file, pixels")
    upscale: Literal[1, 2, 4] | None = Field(None, description="factor the Spec's upscaler brings")
    steps: int | None = Field(None, ge=1, le=1000, description="sampler steps")
    guidance: float | None = Field(
        None, ge=0, le=100, allow_inf_nan=False, description="classifier-free guidance, 1 is off"
    )
    guidance_rescale: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="pull contrast back by this share (0 is off)"
    )
    sampler: str | None = Field(None, description="ddim, euler, euler_ancestral, heun, dpmpp_2m, lcm")
    schedule: str | None = Field(None, description="spacing of noise levels: default, karras")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="start of the noise")
    clip_skip: int | None = Field(None, ge=0, le=11, description="text encoder layers left out at the end")
    model: str | None = Field(None, description="name of a model (fantascope models list)")
    engine: EngineName | None = Field(None, description="graph, latent, pipeline or echo")
    precision: Precision | None = Field(None, description="fp32, bf16, fp16 or int8")
    device: str | None = Field(
        None, pattern=r"^(cpu|cuda(:\d+)?|mps|xpu(:\d+)?)$", description="cpu, cuda, cuda:1, mps"
    )
    format: Format | None = Field(None, description="png, jpeg or webp")
    quality: int | None = Field(None, ge=1, le=100, description="of jpeg and webp; webp at 100 is lossless")
    private: bool = Field(False, description="keep prompt and settings out of the file")
    preview: bool = Field(False, description="yield a small preview with every step")


REQUESTS: dict[str, type[Request]] = {"imagine": Imagine}


def parse_request(data: dict[str, Any]) -> Request:
    """Build the request that `data["task"]` names (`imagine` when it is missing).

    Raises:
        UnknownName: no such task.
        RequestError: as the request class says.
    """
    if not isinstance(data, dict):
        raise InvalidValue(f"A request is an object with fields, not {type(data).__name__}.")
    task = data.get("task", "imagine")
    if task not in REQUESTS:
        raise UnknownName("task", str(task), REQUESTS)
    return REQUESTS[task](**data)


def _marked(field: Any, kind: Kind) -> bool:
    if any(mark is kind for mark in field.metadata):
        return True
    return _holds(field.annotation, kind)


def _holds(annotation: Any, kind: Kind) -> bool:
    if any(mark is kind for mark in getattr(annotation, "__metadata__", ())):
        return True
    return any(_holds(inner, kind) for inner in getattr(annotation, "__args__", ()))


def _explain(error: ValidationError, cls: type[Request]) -> RequestError:
    """Turn pydantic's report into one error that names the first field that is wrong."""
    first = error.errors(include_url=False)[0]
    param = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        known = [name for name in cls.model_fields if name != "task"]
        return UnknownName("field", str(param), known, param=param)
    value = first.get("input")
    if first["type"] == "literal_error":
        allowed = [part.strip("' ") for part in first["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return UnknownName(str(param), str(value), allowed, param=param)
    if first["type"] == "missing":
        return InvalidValue(f"{param} is missing.", param=param)
    said = first["msg"][0].lower() + first["msg"][1:]
    shown = "" if isinstance(value, str) and first["type"] in ("too_long", "empty") else f" (given: {_short(value)})"
    return InvalidValue(f"{param}: {said}{shown}.", param=param)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
