"""Grammars of a surface: what one Midjourney or dynamic prompt is as requests."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

from fantascope.errors import PromptError
from fantascope.prompt.grammar import dynamic, midjourney, permute
from fantascope.prompt.grammar.midjourney import PARAMETERS, Midjourney
from fantascope.prompt.grammar.tree import Part, Prompt, Text, show
from fantascope.prompt.grammar.wildcards import Wildcards
from fantascope.request import MAX_SEED, Blend, Imagine, Painting, Tile, Vary
from fantascope.spec import Sizes, Spec

GRID = 4
"""Pictures of one Midjourney prompt."""

MOST_REQUESTS = 64

LEAST_APART = 0.3
"""Share of their own noise that pictures have at `--chaos 0`."""


@dataclass(frozen=True)
class Reading:
    """What a prompt was read as: requests, in the order they are to be run, and what there is to say of it.

    `expansions` says of each request how much of what its prompt leaves open is to be added first, 0 … 1.
    """

    requests: tuple[Painting, ...]
    notes: tuple[str, ...] = ()
    expansions: tuple[float, ...] = ()


def read_midjourney(text: str, spec: Spec, specs: Mapping[str, Spec], given: Mapping[str, Any]) -> Reading:
    """Read a Midjourney prompt: permutations first, then each prompt with its parameters.

    Args:
        spec: The model that is asked for; defaults that parameters scale are its.
        specs: The catalogue, for `--draft`.
        given: Fields of the request that were given besides; they hold against what a parameter says.

    Raises:
        PromptError: see `midjourney.parse`; or a parameter has no meaning here, which is said with the nearest that
            has one.
        RequestError: the request would be wrong.
    """
    requests: list[Painting] = []
    expansions: list[float] = []
    notes: dict[str, None] = {}
    for one in permute.expand(text):
        prompt = midjourney.parse(one)
        _refuse(prompt)
        repeat = int(prompt.get("repeat") or 1)
        for k in range(repeat):
            requests.append(_request(prompt, spec, specs, given, k, notes))
            expansions.append(_expansion(prompt, requests[-1]))
            if len(requests) > MOST_REQUESTS:
                raise PromptError(f"The prompt stands for more than {MOST_REQUESTS} requests.", text)
    return Reading(tuple(requests), tuple(notes), tuple(expansions))


def _expansion(prompt: Midjourney, request: Painting) -> float:
    """Return how much `--stylize` adds to a prompt of plain words: nothing up to 100, all that is missing at 1000."""
    stylize = prompt.number("stylize")
    if stylize is None or not isinstance(request, Imagine) or request.grammar == "a1111":
        return 0.0
    return max(0.0, (stylize - 100) / 900)


def _refuse(prompt: Midjourney) -> None:
    for name, value in prompt.parameters:
        parameter = PARAMETERS[name]
        if parameter.refused or (name in ("weird", "exp") and value != "0"):
            raise PromptError(f"--{name} is not done here: {parameter.does}.", f"--{name} {value}".strip())


def _request(
    prompt: Midjourney, spec: Spec, specs: Mapping[str, Spec], given: Mapping[str, Any], k: int, notes: dict[str, None]
) -> Painting:
    fields: dict[str, Any] = {"n": GRID, **_texts(prompt)}
    for name in ("v", "niji", "fast", "relax", "turbo"):
        if prompt.get(name) is not None:
            notes[f"--{f'{name} {prompt.get(name)}'.strip()}: {PARAMETERS[name].does}"] = None
    if prompt.get("draft") is not None:
        fast = f"{spec.name.removesuffix('-few')}-few"
        if fast not in specs:
            raise PromptError(f"--draft: {spec.name} has no version of four steps; embedded has one.", "--draft")
        spec = specs[fast]
        fields["model"] = spec.name
    fields |= _scaled(prompt, spec)
    seed = prompt.get("seed")
    if seed is not None:
        count = given.get("n")
        fields["seed"] = (int(seed) + k * (GRID if count is None else int(count))) % (MAX_SEED + 1)
    request, more = _start(prompt)
    if prompt.get("ar") is not None:
        fields |= _size(prompt, spec, request, notes)
    told = {name: value for name, value in given.items() if value is not None and name != "prompt"}
    return request(**(fields | more | told))


def _texts(prompt: Midjourney) -> dict[str, Any]:
    """Return prompt, negative prompt and grammar: pieces with weights guide together, their weights summing to 1."""
    against = prompt.get("no")
    if not prompt.several:
        text = prompt.pieces[0].text
        plain = {"prompt": text, "grammar": "plain"} if text else {}
        return plain | ({"negative_prompt": against} if against is not None else {})
    total = sum(piece.weight for piece in prompt.pieces)
    parts = tuple(Part((Text(piece.text),), round(piece.weight / total, 4)) for piece in prompt.pieces)
    fields: dict[str, Any] = {"prompt": show(Prompt(parts)), "grammar": "a1111"}
    return fields | ({"negative_prompt": show(Prompt((Part((Text(against),)),)))} if against is not None else {})


def _scaled(prompt: Midjourney, spec: Spec) -> dict[str, Any]:
    """Return the fields that scale what the model does by default."""
    fields: dict[str, Any] = {}
    raw = prompt.get("raw") is not None or prompt.get("style") is not None
    stylize = prompt.number("stylize")
    stylize = 0.0 if stylize is None and raw else stylize
    usual = spec.defaults.guidance
    if stylize is not None and stylize != 100:
        if not spec.guided or usual in (0, 1):
            raise PromptError(f"--stylize works through guidance, and {spec.name} takes none.", "--stylize")
        factor = 1.3 - 0.3 * stylize / 100 if stylize < 100 else 1 - 0.5 * (stylize - 100) / 900
        fields["guidance"] = round(1 + (usual - 1) * factor, 3)
    quality, chaos, stop = (prompt.number(name) for name in ("quality", "chaos", "stop"))
    if quality is not None:
        fields["steps"] = min(1000, max(1, round(spec.defaults.steps * quality)))
    if chaos is not None:
        fields["chaos"] = round(LEAST_APART + (1 - LEAST_APART) * chaos / 100, 4)
    if stop is not None:
        fields["stop"] = stop / 100
    return fields


def _start(prompt: Midjourney) -> tuple[type[Painting], dict[str, Any]]:
    """Return the kind of request, and what pictures make of it."""
    for picture in prompt.pictures:
        if picture.lower().startswith(("http://", "https://")):
            raise PromptError("Pictures are not fetched from the network; save it and give the file.", picture)
    weight = prompt.number("iw")
    strength = {"strength": round(1 - 0.3 * (1.0 if weight is None else weight), 4)}
    tiled = prompt.get("tile") is not None
    if tiled and len(prompt.pictures) > 1:
        raise PromptError("--tile takes one picture at most.", "--tile")
    if tiled:
        return Tile, {"picture": prompt.pictures[0], **strength} if prompt.pictures else {}
    if len(prompt.pictures) > 1:
        return Blend, {"pictures": prompt.pictures, **strength}
    return (Vary, {"picture": prompt.pictures[0], **strength}) if prompt.pictures else (Imagine, {})


def _size(prompt: Midjourney, spec: Spec, request: type[Painting], notes: dict[str, None]) -> dict[str, int]:
    if request is Vary:
        raise PromptError("--ar: the size follows from the picture; leave it out, or expand the picture.", "--ar")
    wide, high = map(int, (prompt.get("ar") or "1:1").split(":"))
    width, height = _nearest(spec.sizes, wide / high)
    scale = spec.defaults.upscale
    if abs(width * high - height * wide) > 0.01 * height * wide:
        notes[f"--ar {wide}:{high}: {width * scale}x{height * scale} is the nearest that {spec.name} paints"] = None
    return {"width": width * scale, "height": height * scale}


def _nearest(sizes: Sizes, shape: float) -> tuple[int, int]:
    """Return the size that a model paints nearest to a shape, width over height, and to its native area."""
    step = sizes.multiple
    sides = range(-(-sizes.min // step) * step, sizes.max + 1, step)

    def far(size: tuple[int, int]) -> float:
        wide, high = size
        return 4 * abs(log(wide / high / shape)) + abs(log(wide * high / sizes.native**2))

    around = ((wide, round(wide / shape / step) * step + k * step) for wide in sides for k in (-1, 0, 1))
    edges = ((wide, high) for wide in sides for high in (sides[0], sides[-1]))
    return min((size for size in (*around, *edges) if size[1] in sides), key=far)


def read_dynamic(text: str, wildcards: Wildcards, given: Mapping[str, Any], *, every: bool = False) -> Reading:
    """Read a dynamic prompt: one text a picture, drawn by its seed; or with `every` all texts there are.

    Args:
        given: Fields of the request; `n` says how many texts are drawn, `seed` from which on; one is drawn where it is
            not given.

    Raises:
        PromptError: see `dynamic.parse`, `dynamic.pick` and `dynamic.every`.
    """
    pattern = dynamic.parse(text)
    told = {name: value for name, value in given.items() if value is not None and name not in ("prompt", "n")}
    seed, count = given.get("seed"), given.get("n")
    first = secrets.randbelow(MAX_SEED + 1 - MOST_REQUESTS) if seed is None else int(seed)
    if every:
        texts = dynamic.every(pattern, wildcards.lines)
    else:
        many = 1 if count is None else int(count)
        if many > MOST_REQUESTS:
            raise PromptError(f"At most {MOST_REQUESTS} texts are drawn at once, not {many}.")
        texts = [dynamic.pick(pattern, first + k, wildcards.lines) for k in range(many)]
    requests = [
        Imagine(**(told | {"prompt": text, "n": 1} | ({} if every else {"seed": first + k})))
        for k, text in enumerate(texts)
    ]
    return Reading(tuple(requests))
