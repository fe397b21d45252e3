"""Painting over the parts of a latent engine: encode, noise, denoise, decode, upscale.

One function for every engine that has parts, so that the loop is the same code whatever runs it; and for every task:
what differs between text to image, variations, fills and tiles is what `Inputs` says, in front of one `denoise`.
Requests of different people that agree on what must agree go through it together, each with the events it has alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from fantascope.artifact import Output, Step
from fantascope.core.arrays import around, concat
from fantascope.core.denoise import Network, State, denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.masks import held, latent_mask, later, rolled
from fantascope.core.pixels import from_pixels, to_pixels, unblocked
from fantascope.core.schedules import Levels, levels
from fantascope.core.seeds import gathered, noise, stream
from fantascope.engines.base import Array, Conditions, Inputs, LatentEngine, Rowwise, Said, Steer
from fantascope.engines.spoken import Clock, spoken
from fantascope.request import Imagine

log = logging.getLogger(__name__)

PREVIEW_SIDE = 128
"""Longest side of a step preview in pixels."""

PREVIEWS = 6
"""Most previews of one picture. Each is decoded and judged: one with every step would take longer than the steps."""

MARGIN = 4
"""Cells by which a picture without seams is continued around its edges before it is decoded."""


AGREE = (
    "width",
    "height",
    "upscale",
    "steps",
    "sampler",
    "schedule",
    "guidance",
    "guidance_rescale",
    "clip_skip",
)
"""Fields of `Imagine` in which requests must agree to share a batch."""

PLAIN: dict[str, tuple[Any, ...]] = {
    "controls": (None, ()),
    "adapters": (None, ()),
    "grammar": (None, "plain"),
    "chaos": (None, 1),
    "stop": (None, 1),
}
"""Fields of `Imagine` that must have one of these values in a request that shares a batch."""

FREE = (
    "task",
    "prompt",
    "negative_prompt",
    "said",
    "n",
    "seed",
    "anchor",
    "preview",
    "format",
    "quality",
    "private",
    "model",
    "engine",
    "precision",
    "device",
)
"""Fields of `Imagine` that may differ: a picture's own, what is done with it later, and what named the engine."""


def batch_key(request: Any) -> tuple[Any, ...] | None:
    """Return what requests that share a batch have in common; None for one that must be painted alone.

    Args:
        request: A resolved request of any task. It must be for the same engine: the key does not say which.
    """
    if type(request) is not Imagine or request.n is None or request.seed is None:
        return None
    if any(getattr(request, name) not in plain for name, plain in PLAIN.items()):
        return None
    return tuple(getattr(request, name) for name in AGREE)


@dataclass
class Share:
    """The pictures of one request that go through the network together, alone or beside those of others.

    Attributes:
        request: Resolved.
        first: Which picture of the request the first of them is.
        count: How many.
        conditions: What its texts became: unconditional rows, then conditional ones; None before they are encoded.
        gone: Set when nobody wants them any more, by whichever thread; its events end then.
    """

    request: Any
    first: int
    count: int
    conditions: Conditions | None = None
    gone: bool = False

    @property
    def seeds(self) -> list[int]:
        """One a picture."""
        return [self.request.seed + self.first + k for k in range(self.count)]

    def encode(self, engine: LatentEngine) -> Conditions:
        """Encode its texts, once."""
        if self.conditions is None:
            texts = [self.request.prompt] * self.count
            if self.request.guidance != 1:
                texts = [self.request.negative_prompt or ""] * self.count + texts
            self.conditions = engine.encode_text(texts, self.request)
        return self.conditions


def shares(engine: LatentEngine, request: Any) -> list[Share]:
    """Cut a request into what goes through the network at once: `engine.batch_limit` pictures, and the rest."""
    limit = engine.batch_limit(request)
    return [Share(request, first, min(limit, request.n - first)) for first in range(0, request.n, limit)]


def paint(engine: LatentEngine, request: Any, inputs: Inputs | None = None) -> Iterator[Step | Output]:
    """Yield a `Step` after every sampler step and one `Output` per picture of a resolved request.

    Picture k starts from the noise of `seed + k`. All pictures of the request go through the network
    together, as far as `engine.batch_limit` lets them.

    Args:
        engine: Loaded parts; arrays stay where the engine computes until they are decoded.
        request: A request of `request.Painting` without open defaults.
        inputs: What it starts from beside noise.
    """
    work = prepare(engine, request, inputs if inputs is not None else Inputs())
    for share in shares(engine, request):
        for _, event in batch(engine, work, [share]):
            yield event


def paint_together(engine: Rowwise, requests: Sequence[Any]) -> Iterator[tuple[int, Step | Output]]:
    """Yield `(k, event)`: the events that `paint` yields for request k alone, in their order, the pixels equal.

    Args:
        engine: One whose rows do not depend on the rows beside them.
        requests: Resolved requests of one `batch_key`. The pictures that one has in a batch alone stay together;
            what is left of `engine.batch_limit` is filled with those of others.
    """
    keys = {batch_key(request) for request in requests}
    assert engine.rowwise and len(keys) == 1 and None not in keys, "these cannot be painted together"
    waiting = [(k, shares(engine, request)) for k, request in enumerate(requests)]
    work = prepare(engine, requests[0], Inputs())
    while waiting:
        chosen = company(engine, [parts[0] for _, parts in waiting])
        together = [waiting[place] for place in chosen]
        engine.begin(requests[0], sum(parts[0].count for _, parts in together))
        for place, event in batch(engine, work, [parts[0] for _, parts in together]):
            yield together[place][0], event
        waiting = [one for place, one in enumerate(waiting) if place not in chosen]
        waiting += [(k, parts[1:]) for k, parts in together if len(parts) > 1]


def company(engine: LatentEngine, waiting: Sequence[Share]) -> list[int]:
    """Return the places of those that go together: the first, and who makes the most of the room beside it.

    Of two ways to fill it, those go who came earlier. Texts of another number of token windows do not fit: they would
    be padded, and that changes the picture. Company makes batches of 2, 4, 8 … pictures or the limit, no others: each
    count is a program of its own, with the weights in it.
    """
    limit, length = engine.batch_limit(waiting[0].request), _length(engine, waiting[0])
    ways: dict[int, list[int]] = {waiting[0].count: [0]}
    for place, share in enumerate(waiting[1:], 1):
        if limit in ways:
            break
        fits = [count for count in ways if count + share.count <= limit]
        if fits and _length(engine, share) == length:
            for count in fits:
                ways.setdefault(count + share.count, [*ways[count], place])
    full = [count for count in ways if count & (count - 1) == 0 or count == limit]
    return ways[max(full)] if full else [0]


def _length(engine: LatentEngine, share: Share) -> int | None:
    """Return how many tokens long the states of a share are; None where its texts cannot be encoded.

    Then it fits to nobody and meets the error alone, when its turn comes.
    """
    try:
        return int(share.encode(engine).states.shape[1])
    except Exception as error:
        log.info("a text cannot be encoded: %s", type(error).__name__)
        return None


@dataclass(frozen=True)
class Work:
    """What a run needs to know of its inputs.

    Attributes:
        shape: Of one latent, `(C, h, w)`.
        steps: Levels the run goes through: none where the picture is to stay.
        start: Mixed latents of the pictures `(1, C, h, w)`, or None.
        mask: `(1, 1, h, w)`, or None where everything is painted.
        wrap, steers: As in `Inputs`.
        said: What is said at each step, where that is more than the request's prompts.
    """

    shape: tuple[int, int, int]
    steps: Levels
    start: Array = None
    mask: Array = None
    wrap: tuple[bool, bool] = (False, False)
    steers: tuple[Steer, ...] = ()
    said: tuple[Said, ...] = ()


def prepare(engine: LatentEngine, request: Any, inputs: Inputs) -> Work:
    """Read what a run starts from; requests of one `batch_key` without inputs have the same."""
    factor = engine.latent_factor
    size = (
        inputs.size
        if inputs.size is not None
        else (request.width // request.upscale, request.height // request.upscale)
    )
    shape = (engine.latent_channels, size[1] // factor, size[0] // factor)
    steps = levels(engine.training_schedule, request.steps, request.schedule, sampler=request.sampler)
    if request.grammar == "a1111":
        assert inputs.said is not None, "a task forgot what the prompts say"
    if inputs.pictures is None:
        said = tuple(inputs.said(steps.steps)) if inputs.said is not None else ()
        return Work(shape, steps, wrap=inputs.wrap, steers=inputs.steers, said=said)
    pictures = engine.from_numpy(from_pixels(inputs.pictures))
    start = sum(share * engine.encode_image(pictures[k : k + 1]) for k, share in enumerate(inputs.weights))
    mask = None if inputs.mask is None else engine.from_numpy(latent_mask(inputs.mask, factor))
    steps = later(steps, inputs.strength)
    said = tuple(inputs.said(steps.steps)) if inputs.said is not None else ()
    return Work(shape, steps, start, mask, inputs.wrap, inputs.steers, said)


def batch(engine: LatentEngine, work: Work, parts: Sequence[Share]) -> Iterator[tuple[int, Step | Output]]:
    """Paint what goes through the network together; yield `(k, event)` for share k.

    Shares that are gone get no more events; when all are, it ends.
    """
    request, starts = parts[0].request, [sum(share.count for share in parts[:k]) for k in range(len(parts))]
    total = work.steps.steps if request.stop is None else math.ceil(request.stop * work.steps.steps)

    def step(share: Share, number: int, stage: str = "denoise", preview: Any = None) -> Step:
        return Step(number, total, stage, share.first, share.count, share.request.n, preview)

    for k, share in enumerate(parts):
        yield k, step(share, 0, "encode")
    latents = work.start
    for state in _denoised(engine, work, parts):
        latents, due = state.x, previewed(state.step, total)
        for k, share in enumerate(parts):
            if not share.gone:
                guess = state.denoised[starts[k] : starts[k] + share.count]
                seen = _preview(engine, guess) if due and share.request.preview else None
                yield k, step(share, state.step, preview=seen)
        if all(share.gone for share in parts):
            return
        if state.step == total < work.steps.steps:
            latents = state.denoised
            break
    for k, share in enumerate(parts):
        for row, seed in enumerate(share.seeds, starts[k]):
            if share.gone:
                break
            yield k, step(share, total, "decode")
            one = latents[row : row + 1] if len(latents) > 1 else latents
            sides = [MARGIN if wrapped else 0 for wrapped in work.wrap[::-1]]
            picture = engine.decode(around(one, *sides) if any(sides) else one)
            if request.upscale > 1:
                yield k, step(share, total, "upscale")
            pixels = _finished(engine, picture, request.upscale, sides)
            index = share.first + row - starts[k]
            yield k, Output(pixels=pixels, index=index, seed=seed, batch=share.count, first=share.first)


def _finished(engine: LatentEngine, picture: Array, factor: int, sides: Sequence[int]) -> Any:
    """Return a decoded picture, enlarged and without its margins, as `(H, W, 3)` uint8."""
    if factor > 1:
        large = engine.upscale(picture, factor)
        pixels = to_pixels(unblocked(engine.to_numpy(picture), engine.to_numpy(large)))[0]
    else:
        pixels = to_pixels(engine.to_numpy(picture))[0]
    down, right = (side * engine.latent_factor * factor for side in sides)
    return pixels[down : pixels.shape[0] - down, right : pixels.shape[1] - right]


def _denoised(engine: LatentEngine, work: Work, parts: Sequence[Share]) -> Iterator[State]:
    """Run the sampler; the guided network sees unconditional rows first, then conditional ones."""
    if work.steps.steps == 0:
        return iter(())
    request, seeds = parts[0].request, [seed for share in parts for seed in share.seeds]
    clock = Clock()
    network = spoken(engine, request, work.said, len(seeds), work.steers, clock) if work.said else None
    denoiser = predict(network or _guided(engine, work, parts), engine.training_schedule)
    if any(work.wrap):
        denoiser = rolled(denoiser, down=work.wrap[1], right=work.wrap[0])
    start = engine.from_numpy(_noise(request, seeds, work.shape))
    fresh = stream(seeds, work.shape)
    if work.start is not None:
        start = float(work.steps.alphas[0]) * work.start + float(work.steps.sigmas[0]) * start
    if work.mask is not None:
        denoiser = held(denoiser, work.start, work.mask)
    states = denoise(denoiser, start, work.steps, request.sampler, lambda step: engine.from_numpy(fresh(step)))
    return clock.told(states) if network is not None else states


def _noise(request: Any, seeds: list[int], shape: tuple[int, int, int]) -> Any:
    """Return the noise pictures start from, drawn together where the request says so."""
    if request.chaos is None or request.chaos == 1:
        return noise(seeds, shape)
    return gathered(seeds, shape, request.anchor if request.anchor is not None else seeds[0], request.chaos)


def _guided(engine: LatentEngine, work: Work, parts: Sequence[Share]) -> Network:
    """Return the network for the prompts as they are, the same at every step."""
    request = parts[0].request
    free = request.guidance == 1
    conditions = _joined([share.encode(engine) for share in parts], 1 if free else 2)
    if work.steers:
        network = engine.steered(request, conditions, work.steers)
    else:
        network = engine.network(request, conditions)
    return network if free else guided(network, request.guidance, request.guidance_rescale)


def _joined(each: Sequence[Conditions], sides: int) -> Conditions:
    """Put conditions below each other: all their first `1 / sides` of rows, then all their second."""
    if len(each) == 1:
        return each[0]
    joined: dict[str, Array] = {}
    for name in ("states", "pooled", "sizes"):
        rows = [getattr(one, name) for one in each]
        if rows[0] is not None:
            cut = [
                one[side * len(one) // sides : (side + 1) * len(one) // sides] for side in range(sides) for one in rows
            ]
            joined[name] = reduce(concat, cut)
    return Conditions(**joined)


def previewed(step: int, total: int) -> bool:
    """Say whether a picture of `total` steps is previewed after `step`: each, or the first and few more, evenly."""
    return total <= PREVIEWS or (step - 1) * PREVIEWS // total > (step - 2) * PREVIEWS // total


def _preview(engine: LatentEngine, guess: Array) -> Any:
    """Decode the guess so far, small: `(count, h, w, 3)` uint8."""
    pixels = to_pixels(engine.to_numpy(engine.decode(guess)))
    step = max(1, -(-max(pixels.shape[1:3]) // PREVIEW_SIDE))
    return np.ascontiguousarray(pixels[:, ::step, ::step])
