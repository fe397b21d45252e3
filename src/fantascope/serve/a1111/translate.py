"""Bodies of the web UI become requests. It decides nothing: what was not sent is the model's to fill in.

Where the web UI has a default that is part of what a field means, it is kept: `denoising_strength` 0.75, `hr_scale` 2,
`mask_blur` 4, `inpainting_fill` 0, `inpaint_full_res`. 512x512, 50 steps, CFG 7 and Euler are what it has for any
model; here the model is known, and its own defaults stand for them.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fantascope.serve.a1111.names as names
import fantascope.serve.a1111.pictures as pictures
from fantascope.errors import InvalidValue
from fantascope.prompt.grammar import a1111
from fantascope.request import MAX_COUNT, MAX_SEED, MAX_SIDE, Control, Fill, Imagine, Request, Tile, Upscale, Vary
from fantascope.serve.a1111.bodies import Img2Img, Painting, Txt2Img
from fantascope.serve.a1111.options import Wish
from fantascope.serve.a1111.pictures import Given, Size, Take
from fantascope.spec import Spec
from fantascope.tasks.pixels import Pixels

STRENGTH = 0.75
HR_SCALE = 2.0
BLUR = 4.0
FEATHER = 2.0
"""Pixels of soft edge inside the region for one of `mask_blur`: a blur fades within two of its sigmas."""

ORIGINAL = 1
"""`inpainting_fill` that keeps what was there; the others discard it."""

MOST_FACTOR = 4.0

Neutral = Callable[[Any], bool]
REFUSED: tuple[tuple[str, Neutral, str], ...] = (
    ("restore_faces", lambda v: not v, "Faces are not restored here: restore_faces is false."),
    ("seed_resize_from_h", lambda v: v <= 0, "Noise of another size is not given: seed_resize_from_h is 0 or -1."),
    ("seed_resize_from_w", lambda v: v <= 0, "Noise of another size is not given: seed_resize_from_w is 0 or -1."),
    ("s_churn", lambda v: v == 0, "Samplers add no churn here: s_churn is 0."),
    ("s_noise", lambda v: v == 1, "Samplers add noise as it is: s_noise is 1."),
    ("s_min_uncond", lambda v: v == 0, "Guidance works at every step: s_min_uncond is 0."),
    ("initial_noise_multiplier", lambda v: v == 1, "Noise is added as it is: initial_noise_multiplier is 1."),
    ("refiner_checkpoint", lambda v: v.strip().casefold() in names.NOTHING, "There is no second model for last steps."),
)
"""Fields that cannot be obeyed -> the values with which nothing is asked for."""


@dataclass(frozen=True)
class Second:
    """The second pass of `enable_hr`: every picture of the first is enlarged, and painted over at the new size.

    A model without an upscaler paints over window by window, at its own resolution. One with an upscaler has that for
    the resolution and paints the whole over: in windows of it, it would see its prompt in each.

    Attributes:
        larger: Fields of `Upscale`.
        over: Fields of `Vary` for what was enlarged; None where it is not painted over, or was already.
    """

    larger: dict[str, Any]
    over: dict[str, Any] | None

    @property
    def jobs(self) -> int:
        """How many jobs a picture needs."""
        return 1 if self.over is None else 2

    def enlarge(self, picture: str, seed: int) -> Upscale:
        """Return the request that enlarges a picture of the first pass."""
        return Upscale(picture=picture, seed=seed, n=1, **self.larger)

    def paint(self, picture: str, seed: int) -> Vary:
        """Return the request that paints over what was enlarged."""
        assert self.over is not None
        return Vary(picture=picture, seed=seed, n=1, **self.over)


@dataclass(frozen=True)
class Plan:
    """What a body comes to: a request, and a second pass if there is one; `text` is the prompt with its styles."""

    request: Request
    text: str
    second: Second | None = None


def check(body: Painting) -> None:
    """Refuse what cannot be obeyed: nothing that was asked for is dropped in silence.

    Raises:
        InvalidValue: names the field.
    """
    for name, neutral, told in REFUSED:
        value = getattr(body, name, None)
        if value is not None and not neutral(value):
            raise InvalidValue(told, param=name)
    if body.script_name:
        raise InvalidValue(
            f"Script {body.script_name[:100]!r} not found; there is none to choose.", param="script_name"
        )
    if (body.batch_size or 1) * (body.n_iter or 1) > MAX_COUNT:
        raise InvalidValue(f"batch_size times n_iter is at most {MAX_COUNT}.", param="n_iter")


def txt2img(body: Txt2Img, texts: tuple[str, str], wish: Wish, controls: tuple[Control, ...], preview: bool) -> Plan:
    """Return what a body of txt2img asks for.

    Args:
        texts: Prompt and negative prompt, with styles.
        wish: What options say.
        preview: Whether steps show what they are at.

    Raises:
        RequestError: a field cannot be obeyed; `param` names it.
    """
    body = _firstphase(body)
    fields = painting(body, texts, wish) | {"preview": preview, "width": body.width, "height": body.height}
    second = _second(body, texts, wish) if body.enable_hr else None
    if second is not None:
        fields |= {"format": None, "quality": None}
    if body.tiling:
        if controls or second is not None:
            raise InvalidValue("A picture that tiles takes no maps and no second pass.", param="tiling")
        return Plan(Tile(**fields), texts[0])
    return Plan(Imagine(**fields, controls=controls or None), texts[0], second)


def img2img(
    body: Img2Img, texts: tuple[str, str], wish: Wish, start: Given, take: Take, preview: bool
) -> tuple[Callable[[tuple[Control, ...]], Plan], Size]:
    """Keep the pictures of a body of img2img; return what makes its request of controls, and the picture's size.

    Raises:
        RequestError: as `txt2img` says.
    """
    fields = painting(body, texts, wish) | {"preview": preview}
    strength = STRENGTH if body.denoising_strength is None else body.denoising_strength
    mode = body.resize_mode or pictures.JUST
    alone = body.mask is not None and body.inpaint_full_res is not False
    size = start.size if alone else _asked(body, start.size)
    mask = None if not body.mask else _mask(body, start, size, mode)
    fields["picture"] = pictures.kept(start, size, mode, take)
    if mask is not None:
        fields |= _inpainting(body, strength) | {"mask": take(pictures.png(mask), "mask")}

    def plan(controls: tuple[Control, ...]) -> Plan:
        if body.tiling and (mask is not None or controls):
            raise InvalidValue("A picture that tiles takes no mask and no maps.", param="tiling")
        if body.tiling:
            sized = {"width": size[0], "height": size[1], "prompt": texts[0]}
            return Plan(Tile(**(fields | sized), strength=strength), texts[0])
        if mask is not None:
            return Plan(Fill(**fields, controls=controls or None), texts[0])
        return Plan(Vary(**fields, strength=strength, controls=controls or None), texts[0])

    return plan, size


def painting(body: Painting, texts: tuple[str, str], wish: Wish) -> dict[str, Any]:
    """Return the fields of `Painting` that a body and options say; None where they say nothing."""
    sampler, schedule = _sampler(body.sampler_name or body.sampler_index, body.scheduler, wish.spec)
    _check_eta(body, sampler or wish.spec.defaults.sampler)
    prompt = a1111.without_adapters(texts[0]) if body.disable_extra_networks else texts[0]
    return {
        "n": (body.batch_size or 1) * (body.n_iter or 1),
        **_seeds(body),
        "model": wish.spec.name,
        "format": wish.format,
        "quality": wish.quality,
        "prompt": prompt if prompt.strip() or isinstance(body, Txt2Img) else None,
        "negative_prompt": texts[1] if texts[1].strip() else None,
        "grammar": None if wish.spec.family == "pipeline" else "a1111",
        "steps": body.steps,
        "guidance": body.cfg_scale,
        "sampler": sampler,
        "schedule": schedule,
        "clip_skip": wish.clip_skip,
    }


def _sampler(name: str | None, scheduler: str | None, spec: Spec) -> tuple[str | None, str | None]:
    """Return our sampler and schedule; None where nobody names one."""
    found: tuple[str | None, str | None] = (None, None) if not name else names.find_sampler(name, spec)
    schedule = names.find_schedule(scheduler)
    return found[0], schedule if schedule is not None else found[1]


def _check_eta(body: Painting, sampler: str) -> None:
    """Refuse an `eta` that would matter: only an ancestral sampler takes one here, and takes all of it."""
    if body.eta is not None and sampler == "euler_ancestral" and body.eta != 1:
        raise InvalidValue("Euler a adds all of its noise: eta is 1. Without noise it is Euler.", param="eta")


def _seeds(body: Painting) -> dict[str, Any]:
    """Return seed, anchor and chaos.

    The web UI paints variations of a seed from between its noise and that of `subseed`, along the arc: sin of the rest
    of the way times the one, sin of the way times the other. Ours mixes sqrt(1 - c^2) of the anchor's with c of the
    seed's own, which is the same for c = sin(way). So the web UI's seed is the anchor, and its subseed the seed.
    """
    seed = None if body.seed in (None, -1) else body.seed
    if not body.subseed_strength:
        return {"seed": seed}
    subseed = None if body.subseed in (None, -1) else body.subseed
    if body.subseed_strength == 1:
        return {"seed": subseed}
    anchor = secrets.randbelow(MAX_SEED + 1) if seed is None else seed
    return {"seed": subseed, "anchor": anchor, "chaos": math.sin(body.subseed_strength * math.pi / 2)}


def _firstphase(body: Txt2Img) -> Txt2Img:
    """Read the older way to say a second pass: `firstphase_*` is the size of the first, the size that of the second."""
    if not body.enable_hr or not (body.firstphase_width or body.firstphase_height):
        return body
    sizes = {"hr_resize_x": body.width, "hr_resize_y": body.height}
    return body.model_copy(
        update=sizes | {"width": body.firstphase_width or None, "height": body.firstphase_height or None}
    )


def _second(body: Txt2Img, texts: tuple[str, str], wish: Wish) -> Second:
    upscaler = (body.hr_upscaler or "").strip()
    if not upscaler.casefold().startswith(names.LATENT.casefold()):
        names.find_upscaler(upscaler, wish.spec, "hr_upscaler")
    if (body.hr_checkpoint_name or "").strip().casefold() not in names.SAME:
        raise InvalidValue("Both passes are painted by one model.", param="hr_checkpoint_name")
    first = painting(body, texts, wish)
    sampler, schedule = first["sampler"], first["schedule"]
    if (body.hr_sampler_name or "").strip().casefold() not in names.SAME:
        sampler, schedule = names.find_sampler(str(body.hr_sampler_name), wish.spec)
    told = names.find_schedule(body.hr_scheduler)
    own = (body.hr_prompt or "").strip(), (body.hr_negative_prompt or "").strip()
    keep = ("model", "format", "quality", "grammar", "guidance", "clip_skip", "prompt", "negative_prompt")
    strength = STRENGTH if body.denoising_strength is None else body.denoising_strength
    factor, whole = _factor(body, wish.spec), wish.spec.upscaler is not None
    changes = {
        "steps": body.hr_second_pass_steps if body.hr_second_pass_steps else body.steps,
        "sampler": sampler,
        "schedule": told if told is not None else schedule,
        **({"prompt": own[0]} if own[0] else {}),
        **({"negative_prompt": own[1]} if own[1] else {}),
    }
    fields = {name: first[name] for name in keep} | changes
    over = fields | {"strength": strength} if whole and strength else None
    files = {"format": None, "quality": None} if over is not None else {}
    return Second(fields | files | {"factor": factor, "detail": 0 if whole else strength}, over)


def size_of(body: Txt2Img, spec: Spec) -> Size:
    """Return the size of the first pass; a side that was not sent is as the other."""
    wide, high = body.width, body.height
    if wide is None and high is None:
        return spec.defaults.width, spec.defaults.height
    square = wide if wide is not None else high
    assert square is not None
    return square, high if high is not None else square


def _factor(body: Txt2Img, spec: Spec) -> float:
    """Return how much larger the second pass is.

    Raises:
        InvalidValue: it has another shape, or is more than can be done.
    """
    usual = size_of(body, spec)
    wide, high = body.hr_resize_x or 0, body.hr_resize_y or 0
    factor = HR_SCALE if body.hr_scale is None else body.hr_scale
    if wide or high:
        factor = wide / usual[0] if wide else high / usual[1]
        if high and round(usual[1] * factor) != high:
            raise InvalidValue(
                f"The second pass has the shape of the first, {usual[0]}x{usual[1]}; {wide}x{high} has not.",
                param="hr_resize_x",
            )
    if not 1 <= factor <= MOST_FACTOR or max(usual) * factor > MAX_SIDE:
        raise InvalidValue(
            f"The second pass is 1 to {MOST_FACTOR:g} times as large as the first, and a side has at most {MAX_SIDE} "
            f"pixels; this would be {factor:g} times {usual[0]}x{usual[1]}.",
            param="hr_scale",
        )
    return factor


def _asked(body: Img2Img, own: Size) -> Size:
    """Return the size that the picture is brought to; its own where none was sent."""
    return (own[0] if body.width is None else body.width), (own[1] if body.height is None else body.height)


def _mask(body: Img2Img, start: Given, size: Size, mode: int) -> Pixels:
    """Return the mask in the size that the picture is painted at, white where it is to change."""
    mask = pictures.mask_of(pictures.opened(str(body.mask), "mask"))
    if (mask.shape[1], mask.shape[0]) != start.size:
        mask = pictures.resized(mask, start.size, pictures.JUST)
    if size != start.size:
        mask = pictures.resized(mask, size, mode)
    return 255 - mask if body.inpainting_mask_invert else mask


def _inpainting(body: Img2Img, strength: float) -> dict[str, Any]:
    """Return how a region is painted. What is discarded is painted from noise, whatever the strength."""
    sides = [blur for blur in (body.mask_blur_x, body.mask_blur_y) if blur is not None]
    blur = body.mask_blur if body.mask_blur is not None else max(sides, default=BLUR)
    return {
        "strength": strength if body.inpainting_fill == ORIGINAL else 1.0,
        "feather": round(FEATHER * blur),
        "region": "masked" if body.inpaint_full_res is not False else "whole",
    }
