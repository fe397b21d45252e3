"""Requests: what a user can ask for, one frozen class per task, a union keyed by `task`.

`None` always means "not given": the Spec's default is filled in when the studio resolves the request.
`0` is a value. Text fields are typed `Text` and picture fields `Picture`, so that policy and ingest find
them by walking the types: a new field cannot be forgotten.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_serializer
from pydantic_core import PydanticCustomError

from fantascope.errors import InvalidValue, UnknownName
from fantascope.explain import explain

MAX_TEXT = 32_000
"""Longest text of any field, in characters (what GPT image models accept)."""

MAX_SEED = 2**32 - 1
MAX_SIDE = 8192
MAX_COUNT = 64
MOST_EXPANDED = 4
"""How many times as large as the picture an expansion may be, a side: beyond, the model sees almost nothing of it."""


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
EngineName = Literal["graph", "latent", "pipeline", "echo", "annotator"]


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
            raise explain(error, type(self)) from None

    @classmethod
    def fields_of(cls, kind: Kind) -> list[str]:
        """Return the names of the fields that hold `TEXT` or `PICTURE`."""
        return [name for name, field in cls.model_fields.items() if _marked(field, kind)]

    def walk(self, kind: Kind) -> Iterator[tuple[str, str]]:
        """Yield (field name, value) for every field of this kind that is set, lists item by item."""
        for name in self.fields_of(kind):
            value = getattr(self, name)
            for item in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(item, BaseModel):
                    marked = [inner for inner, field in type(item).model_fields.items() if _marked(field, kind)]
                    yield from ((name, getattr(item, inner)) for inner in marked)
                elif item is not None:
                    yield name, item

    def replace(self, **changes: Any) -> Any:
        """Return a validated copy with some fields changed."""
        plain = {"grammar": "plain"} if getattr(self, "grammar", None) == "plain" else {}
        return type(self)(**(self.model_dump() | plain | changes))


class Making(Request):
    """What every request that makes a picture has in common.

    Sizes are those of the file that is written; `upscale` says how much of it the Spec's upscaler does.
    """

    n: int | None = Field(None, ge=1, le=MAX_COUNT, description="how many pictures")
    width: int | None = Field(None, ge=1, le=MAX_SIDE, description="width of the file, pixels")
    height: int | None = Field(None, ge=1, le=MAX_SIDE, description="height of the file, pixels")
    upscale: Literal[1, 2, 4] | None = Field(None, description="factor the Spec's upscaler brings")
    seed: int | None = Field(None, ge=0, le=MAX_SEED, description="start of the noise")
    model: str | None = Field(None, description="name of a model (fantascope models list)")
    engine: EngineName | None = Field(None, description="graph, latent, pipeline, echo or annotator")
    precision: Precision | None = Field(None, description="fp32, bf16, fp16 or int8")
    device: str | None = Field(
        None, pattern=r"^(cpu|cuda(:\d+)?|mps|xpu(:\d+)?)$", description="cpu, cuda, cuda:1, mps"
    )
    format: Format | None = Field(None, description="png, jpeg or webp")
    quality: int | None = Field(None, ge=1, le=100, description="of jpeg and webp; webp at 100 is lossless")
    private: bool = Field(False, description="keep prompt and settings out of the file")
    preview: bool = Field(False, description="yield small previews on the way, at most six of each picture")


class Control(BaseModel):
    """What a picture is steered by: a map, or a picture that the map is drawn from.

    `weight` scales what the control network adds; it works from `start` to `end`, shares of the run. In `guess` mode
    the map leads where the prompt says nothing: it is added where the picture is guided to, not where it is led away
    from, and less at the finer levels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="canny, hough, softedge, scribble, pose …")
    picture: Picture = Field(description="a map, or with `derive` a picture")
    derive: bool = Field(False, description="draw the map from the picture first")
    weight: float = Field(1.0, ge=0, le=2, allow_inf_nan=False, description="how strongly, 0 to 2")
    start: float = Field(0.0, ge=0, le=1, allow_inf_nan=False, description="share of the run from which it works")
    end: float = Field(1.0, ge=0, le=1, allow_inf_nan=False, description="share of the run until which it works")
    guess: bool = Field(False, description="let the map lead where the prompt says nothing")
    network: str | None = Field(None, description="name of a control network; the model's own if not given")
    parameters: dict[str, int | float | str] | None = Field(None, description="of the annotator: low=100 …")


Block = Annotated[str, Field(pattern=r"^(text|mid|other|(down|up)_\d{1,2}(\.\d{1,2})?)$")]


class Applied(BaseModel):
    """An adapter of the collection, at work.

    `weight` scales what it adds; it works in the network that paints from `start` to `end`, shares of the run, while
    texts are read once, with it. `blocks` weighs parts on top of that: `down_0`, `mid`, `up_2`, finer `down_1.0`,
    `text` for the text encoders and `other` for the rest; what is not named has 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=64, description="name of an adapter (fantascope adapters list)")
    weight: float = Field(1.0, ge=-4, le=4, allow_inf_nan=False, description="how strongly, -4 to 4")
    start: float = Field(0.0, ge=0, le=1, allow_inf_nan=False, description="share of the run from which it works")
    end: float = Field(1.0, ge=0, le=1, allow_inf_nan=False, description="share of the run until which it works")
    blocks: dict[Block, Annotated[float, Field(ge=-4, le=4, allow_inf_nan=False)]] | None = Field(
        None, description="weights of blocks: down_0, mid, up_2, text …"
    )

    def works(self, share: float) -> bool:
        """Say whether it works at a share of the run, 0 … 1."""
        return self.start <= share <= self.end


LATER: dict[str, tuple[Any, ...]] = {
    "adapters": (None, (), []),
    "grammar": (None, "plain"),
    "chaos": (None, 1.0),
    "anchor": (None,),
    "stop": (None, 1.0),
    "said": (None,),
}
"""Fields that came after the first records -> the values with which a record is what it was without them."""


class Painting(Making):
    """What every request that paints has in common.

    Picture k of a request starts from the noise of `seed + k`, so a seed means the same picture whatever `n`.
    """

    prompt: Text | None = Field(None, description="what the picture should show")
    negative_prompt: Text | None = Field(None, description="what it should not show")
    steps: int | None = Field(None, ge=1, le=1000, description="sampler steps")
    guidance: float | None = Field(
        None, ge=0, le=100, allow_inf_nan=False, description="classifier-free guidance, 1 is off"
    )
    guidance_rescale: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="pull contrast back by this share (0 is off)"
    )
    sampler: str | None = Field(None, description="ddim, euler, euler_ancestral, heun, dpmpp_2m, lcm")
    schedule: str | None = Field(None, description="spacing of noise levels: default, karras")
    clip_skip: int | None = Field(None, ge=0, le=11, description="text encoder layers left out at the end")
    controls: tuple[Control, ...] | None = Field(None, max_length=4, description="maps that steer the picture")
    adapters: tuple[Applied, ...] | None = Field(None, max_length=16, description="adapters that change the model")
    grammar: Literal["plain", "a1111"] | None = Field(
        None, description="how the prompts are read: plain, or a1111 with its weights and changes on the way"
    )
    chaos: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="how far apart the pictures start: 0 alike, 1 each its own"
    )
    anchor: int | None = Field(None, ge=0, le=MAX_SEED, description="seed of the start that chaos leads away from")
    stop: float | None = Field(
        None, ge=0.1, le=1, allow_inf_nan=False, description="share of the steps after which the guess is taken"
    )
    said: Text | None = Field(None, description="the prompt as it was written, before it was expanded or reworded")

    @model_serializer(mode="wrap")
    def _lean(self, dump: Any) -> dict[str, Any]:
        """Leave out what changes nothing: records from before there were these fields keep their id."""
        data: dict[str, Any] = dump(self)
        return {name: value for name, value in data.items() if name not in LATER or value not in LATER[name]}


class Imagine(Painting):
    """Text to image."""

    task: Literal["imagine"] = "imagine"
    prompt: Prompt = Field(description="what the picture should show")


class Editing(Painting):
    """What every request that starts from a picture has in common.

    The file has the picture's own size, unless the task is to change it: width and height are filled in when the
    request is resolved. A prompt that is not given is the picture's own; of a picture from elsewhere it is described.
    """

    picture: Picture = Field(description="the picture: a file, or an id of the gallery")

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the file, pixels, for a picture of this size."""
        return width, height


Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

AMOUNTS: dict[str, float] = {"subtle": 0.5, "strong": 0.8}
"""What the names of a variation's strength stand for."""


class Vary(Editing):
    """Another picture like this one: its noise level is raised by `strength` and it is painted again from there."""

    task: Literal["vary"] = "vary"
    amount: Literal["subtle", "strong"] | None = Field(None, description="subtle or strong, instead of a strength")
    strength: Strength | None = Field(None, description="0 keeps the picture, 1 keeps nothing")


class Turn(BaseModel):
    """One change, understood: what the picture showed, what it is to show, and what in it is meant.

    `kind` is replace, add, remove, recolour, restyle, relight, background, move, count or resize; `target` the words of
    `before` that are meant; `anchor` what an addition stands beside; `place` where something goes; `whole` says that
    every pixel may change; `said` is the change in a plain sentence; `by` names who understood it: the grammar, or a
    language model.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    before: Text
    after: Text
    target: Text = ""
    value: Text = ""
    place: str = ""
    anchor: Text = ""
    whole: bool = False
    said: str = ""
    by: str = "grammar"


class Masked(Editing):
    """Edits of a region: a mask says where, and all else keeps its pixels."""

    mask: Picture | None = Field(
        None, description="where to edit: transparent (alpha 0), or white where it has no alpha; else the picture's own"
    )
    strength: Strength | None = Field(None, description="how much of what was there is painted over, 1 is all")
    feather: int | None = Field(None, ge=0, le=256, description="width of the soft edge inside the region, pixels")
    region: Literal["whole", "masked"] | None = Field(
        None, description="paint the whole picture, or the region alone at full resolution"
    )


class Fill(Masked):
    """Paint a region anew."""

    task: Literal["fill"] = "fill"


class Erase(Masked):
    """Take something away and paint what is behind it."""

    task: Literal["erase"] = "erase"
    what: Text | None = Field(None, description="what to take away, instead of a mask")
    before: Text | None = Field(None, description="what the picture shows now; its own prompt if not given")
    turns: tuple[Turn, ...] | None = Field(None, description="what `what` was taken for")


class Expand(Editing):
    """Paint on beyond the edges. The picture inside keeps its pixels, unless `zoom` makes it smaller.

    Raises:
        InvalidValue: nothing is added, or the result would have more than `MAX_SIDE` pixels a side.
    """

    task: Literal["expand"] = "expand"
    left: int | None = Field(None, ge=0, le=MAX_SIDE, description="pixels to add on the left")
    right: int | None = Field(None, ge=0, le=MAX_SIDE, description="pixels to add on the right")
    top: int | None = Field(None, ge=0, le=MAX_SIDE, description="pixels to add at the top")
    bottom: int | None = Field(None, ge=0, le=MAX_SIDE, description="pixels to add at the bottom")
    zoom: float | None = Field(
        None, gt=1, le=4, allow_inf_nan=False, description="zoom out: the picture shrinks by this in a file of its size"
    )
    pan: Literal["left", "right", "up", "down"] | None = Field(None, description="add a half on this side")
    strength: Strength | None = Field(None, description="how much of what was carried outwards is painted over")
    feather: int | None = Field(None, ge=0, le=256, description="width of the soft edge, pixels")

    def sides(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return what is added on the left, top, right and bottom of a picture of this size, pixels."""
        left, top, right, bottom = (side or 0 for side in (self.left, self.top, self.right, self.bottom))
        half = {"left": (width // 2, 0, 0, 0), "right": (0, 0, width // 2, 0)}
        half |= {"up": (0, height // 2, 0, 0), "down": (0, 0, 0, height // 2)}
        more = half.get(self.pan or "", (0, 0, 0, 0))
        return left + more[0], top + more[1], right + more[2], bottom + more[3]

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        sides = self.sides(width, height)
        if self.zoom is None and not any(sides):
            raise InvalidValue(
                "Nothing is to be added.",
                param="expand",
                hint="Give --left, --right, --top, --bottom, --pan or --zoom.",
            )
        if self.zoom is not None and any(sides):
            raise InvalidValue("Zoom out, or add to the sides: one of them.", param="zoom")
        wide, high = width + sides[0] + sides[2], height + sides[1] + sides[3]
        if max(wide, high) > MAX_SIDE:
            raise InvalidValue(f"The result would have {wide}x{high} pixels; a side may have {MAX_SIDE}.", param="size")
        if max(wide / width, high / height) > MOST_EXPANDED:
            raise InvalidValue(
                f"The result would be more than {MOST_EXPANDED} times as large as the picture a side; "
                "expand it in several turns.",
                param="size",
            )
        return wide, high


class Blend(Painting):
    """One picture out of two to five: their latents are mixed, and the mixture is painted over."""

    task: Literal["blend"] = "blend"
    pictures: tuple[Picture, ...] = Field(min_length=2, max_length=5, description="two to five pictures")
    weights: tuple[float, ...] | None = Field(None, description="how much of each, in their order; equal if not given")
    strength: Strength | None = Field(None, description="how much is painted over: 0 is the bare mixture")


class Upscale(Editing):
    """The picture, larger; with `detail`, painted over at the new size to bring detail."""

    task: Literal["upscale"] = "upscale"
    factor: float | None = Field(None, ge=1, le=4, allow_inf_nan=False, description="1.5 to 4 times the sides")
    detail: Strength | None = Field(None, description="strength of painting over at the new size, 0 is off")

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        factor = 2.0 if self.factor is None else self.factor
        wide, high = round(width * factor), round(height * factor)
        if max(wide, high) > MAX_SIDE:
            raise InvalidValue(
                f"The result would have {wide}x{high} pixels; a side may have {MAX_SIDE}.", param="factor"
            )
        return wide, high


class Cutout(Editing):
    """What stands before a plain background, on transparency: of a picture, or generated from a prompt."""

    task: Literal["cutout"] = "cutout"
    picture: Picture | None = Field(  # type: ignore[assignment]
        None, description="the picture; without one, the prompt is painted first"
    )
    tolerance: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="how far a colour may be from the background's, 0 to 1"
    )
    crop: bool = Field(False, description="cut the file to the thing")


class Tile(Painting):
    """A picture whose edges meet without a seam."""

    task: Literal["tile"] = "tile"
    prompt: Prompt = Field(description="what the picture should show")
    picture: Picture | None = Field(None, description="a picture to make seamless")
    axes: Literal["x", "y", "both"] | None = Field(None, description="x, y or both")
    strength: Strength | None = Field(None, description="of painting over a given picture")


class Edit(Editing):
    """A change said in words: *change the astronaut to a cat*.

    When it is resolved, `instruction` has been read: `turns` says what was understood, `prompt` what the new picture
    shows, `before` what the old one does.
    """

    task: Literal["edit"] = "edit"
    instruction: Prompt = Field(description="what to change: change X to Y, add Z, remove X, make it night …")
    before: Text | None = Field(None, description="what the picture shows now; its own prompt if not given")
    turns: tuple[Turn, ...] | None = Field(None, description="what the instruction was taken for")
    mask: Picture | None = Field(None, description="where to edit; found by the model if not given")
    strength: Strength | None = Field(None, description="how much of what was there is painted over, 1 is all")
    feather: int | None = Field(None, ge=0, le=256, description="width of the soft edge inside the region, pixels")


class Annotate(Making):
    """A control map of a picture: its edges, lines, pose, regions …, or a document of joints or strokes, rendered.

    The map has the picture's size.
    """

    MODEL: ClassVar[str] = "annotators"

    task: Literal["annotate"] = "annotate"
    kind: str = Field(description="canny, hough, softedge, scribble, pose …")
    picture: Picture | None = Field(None, description="the picture: a file, or an id of the gallery")
    document: Text | None = Field(None, description="joints (pose) or strokes (sketch) as JSON, instead of a picture")
    parameters: dict[str, int | float | str] | None = Field(None, description="the kind's own: low=100 …")

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of the map of a picture, pixels."""
        return width, height


STEERED = ("imagine", "vary", "fill")
"""Tasks that maps steer."""

REQUESTS: dict[str, type[Request]] = {
    "imagine": Imagine,
    "vary": Vary,
    "fill": Fill,
    "expand": Expand,
    "erase": Erase,
    "blend": Blend,
    "upscale": Upscale,
    "cutout": Cutout,
    "tile": Tile,
    "edit": Edit,
    "annotate": Annotate,
}


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
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_marked(field, kind) for field in annotation.model_fields.values())
    return any(_holds(inner, kind) for inner in getattr(annotation, "__args__", ()))
