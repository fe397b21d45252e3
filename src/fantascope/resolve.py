"""Resolve: one pure step that fills every open field of a request. The request is sent on unmodified after it."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fantascope.errors import InvalidValue, UnknownName, Unsupported
from fantascope.receipt import Verdict
from fantascope.request import AMOUNTS, MAX_SEED, STEERED, Painting, Request
from fantascope.settings import Settings
from fantascope.spec import ENGINES_OF, Spec, find_spec

if TYPE_CHECKING:
    from fantascope.adapter import Adapter
    from fantascope.engines.base import Choice

log = logging.getLogger(__name__)

SPOKEN = ("imagine", "vary", "fill", "expand", "blend", "upscale", "tile")
"""Tasks whose prompts may be in a grammar: all others read or rewrite them as plain sentences."""


@dataclass(frozen=True)
class Job:
    """A resolved request, the Spec it runs on and the engine chosen for it."""

    request: Any
    spec: Spec
    choice: Choice


@dataclass(frozen=True)
class Admitted:
    """A request that was resolved, judged and priced: what it costs, all its pictures together, in credits."""

    job: Job
    verdicts: tuple[Verdict, ...]
    quote: float


@dataclass(frozen=True)
class Given:
    """A picture that a request starts from: its size in pixels, upright, the prompt it was made from, if any, whether
    a part of it is transparent, and the grammar of the prompt, if it is not plain."""

    width: int
    height: int
    prompt: str | None = None
    clear: bool = False
    grammar: str | None = None

    @property
    def words(self) -> str | None:
        """The prompt without the marks of its grammar."""
        if self.prompt is None or self.grammar is None:
            return self.prompt
        from fantascope.prompt.grammar import readings

        return next(iter(readings(self.prompt, self.grammar)), None)


def resolve(
    request: Request, specs: dict[str, Spec], settings: Settings, given: Mapping[str, Given] | None = None
) -> Job:
    """Fill defaults from the Spec, check size and names, draw the seed, choose the engine.

    Args:
        given: Artifact id -> what is known of it, for every picture in the request.

    Raises:
        UnknownName: no such model, sampler or schedule; the nearest are offered.
        InvalidValue: a size, seed or option that this model cannot do; the message says what it can.
        Unsupported: no engine of this model can do the task.
    """
    from fantascope.engines.load import choose

    fields = request.model_dump()
    usual = getattr(request, "MODEL", settings.model)
    spec = _spec(fields["model"] if fields["model"] is not None else usual, specs)
    fields["model"] = spec.name
    _task(fields, given or {})
    for name, value in spec.defaults.of(request.task).items():
        if name in fields and fields[name] is None and name not in ("width", "height", "upscale"):
            fields[name] = value
    if isinstance(request, Painting):
        _names(fields, spec)
        _grammar(fields, request, spec, given or {})
    source = fields.get("picture")
    if source is not None and request.task != "tile":
        _own_size(request, fields, spec, (given or {})[source])
    elif isinstance(request, Painting):
        _size(fields, spec)
    if isinstance(request, Painting):
        _seed(fields)
        _limits(fields, spec)
    else:
        fields |= {"n": 1, "seed": 0, "upscale": 1}
    _format(fields, given or {})
    if fields.get("adapters"):
        _adapters(fields, spec, settings)
    choice = choose(spec, fields, settings)
    fields |= {"engine": choice.engine, "precision": choice.precision, "device": choice.device}
    return Job(type(request)(**fields), spec, choice)


def _task(fields: dict[str, Any], given: Mapping[str, Given]) -> None:
    """Fill what follows from other fields: the prompt of the picture, the strength that a name stands for."""
    source = fields.get("picture")
    if "prompt" not in fields:
        return
    if fields["task"] == "cutout" and source is None and not (fields["prompt"] or "").strip():
        raise InvalidValue(
            "There is nothing to cut out: give a picture, or a prompt to paint one from.", param="picture"
        )
    if fields.get("what") is not None and fields.get("mask") is not None:
        raise InvalidValue("Say what to take away, or give a mask: one of them.", param="what")
    if fields["prompt"] is None and source is not None:
        fields["prompt"] = given[source].prompt
    if fields["prompt"] is None:
        fields["prompt"] = next((one.prompt for one in given.values() if one.prompt), None) or ""
    if fields.get("amount") is not None:
        if fields["strength"] is not None and fields["strength"] != AMOUNTS[fields["amount"]]:
            raise InvalidValue("Give amount or strength, not both.", param="strength")
        fields["strength"] = AMOUNTS[fields["amount"]]
    weights = fields.get("weights")
    if weights is not None:
        if len(weights) != len(fields["pictures"]):
            raise InvalidValue(
                f"{len(weights)} weights are given for {len(fields['pictures'])} pictures.", param="weights"
            )
        if min(weights) < 0 or not 0 < sum(weights) < math.inf:
            raise InvalidValue("Weights are numbers from 0 on, and one of them is above it.", param="weights")


def _grammar(fields: dict[str, Any], request: Painting, spec: Spec, given: Mapping[str, Given]) -> None:
    """Settle how the prompts are read, check them, and turn the adapters they name into adapters of the request."""
    from fantascope.prompt.grammar import a1111, speech

    able = fields["task"] in SPOKEN and spec.family != "pipeline" and fields["engine"] != "pipeline"
    told, texts = request.grammar, (fields["prompt"], fields["negative_prompt"] or "")
    source = getattr(request, "picture", None)
    if told is None and able:
        inherited = request.prompt is None and source is not None and given[source].grammar == "a1111"
        told = "a1111" if inherited or any(map(a1111.is_explicit, texts)) else None
        if told is not None:
            log.info("grammar a1111: %s", "that of the picture" if inherited else "a prompt holds marks of it")
    fields["grammar"] = told
    if told != "a1111":
        return
    if fields["task"] not in SPOKEN:
        raise InvalidValue(
            f"The grammar a1111 is read by {', '.join(SPOKEN)}; {fields['task']!r} reads plain words.", param="grammar"
        )
    prompt = a1111.parse(texts[0])
    against = a1111.parse(texts[1], negative=True, param="negative_prompt")
    for one in (prompt, against):
        speech.states(one, fields["steps"])
    named = a1111.adapters(prompt)
    if named:
        fields["prompt"] = a1111.without_adapters(texts[0])
        whole = {"start": 0.0, "end": 1.0, "blocks": None}
        rows = [{"name": one.name, "weight": one.weight, **whole} for one in named]
        fields["adapters"] = (*(fields.get("adapters") or ()), *rows)


def _own_size(request: Any, fields: dict[str, Any], spec: Spec, picture: Given) -> None:
    """Give the file the size that the task makes of the picture's; the upscaler brings what the model cannot."""
    size = request.replace(**{name: fields[name] for name in ("factor",) if name in fields}).size_of(
        picture.width, picture.height
    )
    asked = fields["width"], fields["height"]
    if asked != (None, None) and asked != size:
        raise InvalidValue(
            f"The size follows from the picture: {size[0]}x{size[1]}, not {asked[0]}x{asked[1]}.", param="size"
        )
    if fields["upscale"] is None:
        large = max(size) > max(spec.sizes.working(*size))
        fields["upscale"] = spec.upscaler if spec.upscaler and large else 1
    elif fields["upscale"] not in (1, spec.upscaler):
        allowed = "1" if spec.upscaler is None else f"1 or {spec.upscaler}"
        raise InvalidValue(f"{spec.name} cannot upscale by {fields['upscale']}; allowed: {allowed}.", param="upscale")
    fields |= {"width": size[0], "height": size[1]}


def _spec(name: str, specs: dict[str, Spec]) -> Spec:
    """Find the Spec by name. A place is not a name: a model enters the catalogue first, checked and with a licence."""
    if name.split(":", 1)[0] in ("dir", "file", "hub"):
        raise UnknownName(
            "model", name, specs, hint=f"Add it first: fantascope models add {name} --name NAME [--licence SPDX-ID]"
        )
    spec = find_spec(name, specs)
    if not ENGINES_OF[spec.family]:
        does = {"control": "it steers other models", "caption": "it says what a picture shows (prompt describe)"}
        raise Unsupported(
            f"{name!r} paints nothing: {does[spec.family]}.", param="model", hint="fantascope models list"
        )
    return spec


def _names(fields: dict[str, Any], spec: Spec) -> None:
    """Check sampler and schedule against what the family can run."""
    if spec.family in ("pipeline", "echo"):
        samplers, schedules = {spec.defaults.sampler}, {spec.defaults.schedule}
    else:
        from fantascope.core.samplers import SAMPLERS
        from fantascope.core.schedules import SCHEDULES

        samplers, schedules = set(SAMPLERS), set(SCHEDULES)
    for kind, known in (("sampler", samplers), ("schedule", schedules)):
        if fields[kind] not in known:
            raise UnknownName(kind, fields[kind], known, param=kind)


def _size(fields: dict[str, Any], spec: Spec) -> None:
    """Fill and check the size of the file and the factor of the upscaler.

    Without a factor, the upscaler works when both sides are within its reach, so that a small size means
    the model's native picture.
    """
    if fields["width"] is None and fields["height"] is None:
        factor = fields["upscale"] if fields["upscale"] is not None else spec.defaults.upscale
        native = spec.defaults.width // spec.defaults.upscale, spec.defaults.height // spec.defaults.upscale
        fields |= {"width": native[0] * factor, "height": native[1] * factor}
    width = fields["width"] if fields["width"] is not None else fields["height"]
    height = fields["height"] if fields["height"] is not None else fields["width"]
    factor = fields["upscale"]
    if factor is None:
        factor = spec.upscaler if spec.upscaler and min(width, height) > spec.sizes.max else 1
        if (
            spec.upscaler
            and factor == 1
            and not _fits(width, height, 1, spec)
            and _fits(width, height, spec.upscaler, spec)
        ):
            factor = spec.upscaler
    if factor not in (1, spec.upscaler):
        allowed = "1" if spec.upscaler is None else f"1 or {spec.upscaler}"
        raise InvalidValue(f"{spec.name} cannot upscale by {factor}; allowed: {allowed}.", param="upscale")
    if not _fits(width, height, factor, spec):
        raise InvalidValue(_no_size(width, height, factor, spec), param="size")
    fields |= {"width": width, "height": height, "upscale": factor}


def _fits(width: int, height: int, factor: int, spec: Spec) -> bool:
    sizes = spec.sizes
    step = sizes.multiple * factor
    return all(side % step == 0 and sizes.min * factor <= side <= sizes.max * factor for side in (width, height))


def _no_size(width: int, height: int, factor: int, spec: Spec) -> str:
    """Say which sizes the model can paint and which is nearest."""
    sizes = spec.sizes
    step, low, high = sizes.multiple * factor, sizes.min * factor, sizes.max * factor
    near = [min(high, max(low, round(side / step) * step)) for side in (width, height)]
    also = f" (or {sizes.min} to {sizes.max} in steps of {sizes.multiple} without its upscaler)" if factor > 1 else ""
    return (
        f"{spec.name} cannot paint {width}x{height}: each side must be {low} to {high} in steps of {step}{also}. "
        f"Nearest: {near[0]}x{near[1]}."
    )


def _seed(fields: dict[str, Any]) -> None:
    last = MAX_SEED - fields["n"] + 1
    if fields["seed"] is None:
        fields["seed"] = secrets.randbelow(last + 1)
    elif fields["seed"] > last:
        raise InvalidValue(
            f"Seed {fields['seed']} with {fields['n']} pictures passes {MAX_SEED}; the highest is {last}.", param="seed"
        )
    chaos, anchor = fields.get("chaos"), fields.get("anchor")
    if chaos is None and anchor is not None:
        raise InvalidValue("An anchor says where chaos leads away from; no chaos is given.", param="anchor")
    if chaos is not None and anchor is None:
        fields["anchor"] = fields["seed"]


def _limits(fields: dict[str, Any], spec: Spec) -> None:
    """Refuse what the model would have to ignore: nothing that was asked for is dropped in silence."""
    if fields["controls"] and fields["task"] not in STEERED:
        able = ", ".join(STEERED)
        raise InvalidValue(f"Maps steer {able}; the task {fields['task']!r} takes none.", param="controls")
    if not spec.negative and fields["negative_prompt"]:
        raise InvalidValue(f"{spec.name} takes no negative prompt.", param="negative_prompt")
    if fields["negative_prompt"] and fields["guidance"] <= 1:
        raise InvalidValue(
            f"A negative prompt works through guidance above 1; guidance is {fields['guidance']:g}.",
            param="negative_prompt",
        )
    if not spec.guided and fields["guidance"] not in (0, 1):
        raise InvalidValue(f"{spec.name} is distilled: it takes no guidance.", param="guidance")


def adapters_of(request: Any, settings: Settings) -> list[Adapter]:
    """Return the records of the adapters that a request names.

    Raises:
        UnknownName: one is not in the collection.
    """
    if not getattr(request, "adapters", None):
        return []
    from fantascope.adapter import find_adapters

    return find_adapters([applied.name for applied in request.adapters], settings.adapters, settings.sees)


def _adapters(fields: dict[str, Any], spec: Spec, settings: Settings) -> None:
    """Check that the adapters are in the collection, and that the model can take them and the prompt calls for them."""
    from fantascope.adapter import find_adapters

    said = f"{fields['prompt']} {fields['negative_prompt'] or ''}".lower()
    still = fields.get("strength") == 0 or fields.get("detail") == 0
    if still or (fields["task"] == "cutout" and fields["picture"] is not None):
        raise InvalidValue("Nothing is painted here, so there is nothing for an adapter to do.", param="adapters")
    names = [applied["name"] for applied in fields["adapters"]]
    for name in names:
        if names.count(name) > 1:
            raise InvalidValue(f"The adapter {name!r} is given twice; give it once, with one weight.", param="adapters")
    found = find_adapters(names, settings.adapters, settings.sees)
    for applied, adapter in zip(fields["adapters"], found, strict=True):
        if adapter.family != spec.family:
            raise InvalidValue(
                f"The adapter {adapter.name!r} was made for {adapter.base!r} ({adapter.family}) and does not fit "
                f"{spec.name!r} ({spec.family}).",
                param="adapters",
                hint=f"--model {adapter.base}",
            )
        if applied["start"] > applied["end"]:
            raise InvalidValue(f"The adapter {adapter.name!r} would end before it starts.", param="adapters")
        if adapter.method != "textual-inversion":
            continue
        if (applied["weight"], applied["start"], applied["end"], applied["blocks"]) != (1, 0, 1, None):
            raise InvalidValue(
                f"{adapter.name!r} is a textual inversion: its word works with the rest of the text, and takes no "
                "weight, no start and end, and no blocks.",
                param="adapters",
            )
        if not any(word.lower() in said for word in adapter.trigger):
            raise InvalidValue(
                f"The adapter {adapter.name!r} works where the prompt says {' or '.join(map(repr, adapter.trigger))}; "
                "it does not say so.",
                param="adapters",
            )


def _format(fields: dict[str, Any], given: Mapping[str, Given]) -> None:
    """Refuse a file that would lose what the task promises: pixels that stay as they are, or transparency."""
    form, source = fields["format"], fields.get("picture")
    picture = given.get(source) if source is not None else None
    clear = picture is not None and picture.clear and fields["task"] in ("upscale", "expand")
    if form == "jpeg" and (clear or fields["task"] == "cutout"):
        raise InvalidValue(
            "A jpeg file holds no transparency, and this picture has some.", param="format", hint="Use png or webp."
        )
    if _keeps(fields, picture) and (form == "jpeg" or (form == "webp" and fields["quality"] < 100)):
        raise InvalidValue(
            f"What this leaves alone keeps its pixels byte for byte, and a lossy {form} file would change them.",
            param="format",
            hint="Use --format png, or --format webp --quality 100.",
        )


def _keeps(fields: dict[str, Any], picture: Given | None) -> bool:
    """Say whether a task leaves pixels of its picture alone."""
    match fields["task"]:
        case "fill" | "erase":
            return True
        case "expand":
            return fields["zoom"] is None
        case "edit":
            whole = any(turn["whole"] and turn["kind"] != "background" for turn in fields["turns"] or ())
            return fields["mask"] is not None or fields["strength"] == 0 or not whole
        case "vary":
            return bool(fields["strength"] == 0)
        case "upscale":
            own = picture is not None and (fields["width"], fields["height"]) == (picture.width, picture.height)
            return bool(own and fields["detail"] == 0)
        case "cutout":
            return picture is not None
    return False
