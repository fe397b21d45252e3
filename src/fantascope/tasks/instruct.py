"""Edits said in words: every turn finds its region in the picture, paints what is new there, and leaves the rest.

What is added, or replaces a thing that stands out from its ground, is painted by itself, cut out and laid in. Elsewhere
the region and a little around it are painted close up, by a prompt that names the new thing and the picture's setting,
so that it gets all of the model's resolution. What moves, grows or is dyed is cut out and put back, not painted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from fantascope.artifact import Artifact, Kept, Output, Step
from fantascope.core.colour import COLOURS, dyed, leading
from fantascope.engines.base import Engine, Inputs, LatentEngine
from fantascope.errors import InvalidPicture, InvalidValue, Unsupported
from fantascope.prompt.parse import parse
from fantascope.prompt.setting import alone_prompt, local_prompt
from fantascope.tasks.composite import composite
from fantascope.tasks.cutout import cut, healed
from fantascope.tasks.edit import find_mask, repaint, unchanged
from fantascope.tasks.pixels import Mask, Pixels, box_of, opaque, open_mask, open_pixels, resized
from fantascope.tasks.places import MANY, SIDES, at_thing, cells_to_mask, crowd, free_place, stand_of
from fantascope.tasks.region import WISHES, changed, disagreement, locate, main_part, region, several

Events = Iterator[Step | Output]
Sight = tuple[Mask, Mask, Pixels]

ALL_OVER = 0.8
"""How much of the picture is painted over where a turn changes all of it: its layout stays."""

DYED = 0.85
"""How much of a thing is painted over to give it another colour: its shape stays."""

AWAY = 0.5
"""How much of what was spread over a removed thing's place is painted over where the ground has texture."""

TEXTURE = 4.0
"""Contrast in levels of the ground from which it is painted and not only spread."""

FILLED = 0.4
"""Share of a region's edge that a thing may cover: beyond, the ground itself was taken for a thing."""

ROOM = 0.08
"""What a new thing gets around the old one's box on each side, as a share of its sides."""

GROWN = {"bigger": 1.4, "smaller": 0.65}


def edit(request: Any, engine: Engine, open_: Callable[[str], Artifact]) -> Events:
    """Do what an instruction was taken for, one turn after the other, `n` times with other noise.

    Raises:
        Unsupported: the engine does not show its parts, so the region cannot be found in it.
        InvalidValue: a turn means words that its prompt does not hold.
    """
    parent = open_pixels(open_(request.picture))
    for turn in request.turns:
        _check(turn)
    if request.strength == 0:
        yield from unchanged(request, parent)
        return
    mask = None
    if request.mask is not None:
        mask = open_mask(open_(request.mask), (parent.shape[1], parent.shape[0]))
    if not request.turns:
        yield from _followed(request, engine, parent, mask)
        return
    for k in range(request.n):
        yield from _turns(request, engine, parent, mask, k)


def _followed(request: Any, engine: Engine, parent: Pixels, mask: Mask | None) -> Events:
    """Let a model that follows instructions do it; what it left about as it was keeps its pixels."""
    size = parent.shape[1], parent.shape[0]
    work = engine.spec.sizes.working(*size)
    small = resized(opaque(parent), work)
    for event in engine.render(request, Inputs(size=work, pictures=small[None])):
        if isinstance(event, Output):
            where = mask if mask is not None else changed(small, event.pixels, size)
            pixels = composite(parent, resized(event.pixels, size), where, request.feather)
            event = replace(event, pixels=pixels, kept=Kept(where > 0))
        yield event


def erase(request: Any, engine: Engine, open_: Callable[[str], Artifact]) -> Events:
    """Take away what `what` was taken for; or, where a mask says where, paint what is around it on into it: its tones
    are spread over it, then painted over.

    Raises as `edit`, and as `fill` where there is a mask.
    """
    if request.turns:
        yield from edit(request, engine, open_)
        return
    parent = open_pixels(open_(request.picture))
    mask = find_mask(request, parent, open_)
    start = healed(opaque(parent), mask, request_tolerance(engine))
    yield from repaint(request, engine, parent, mask, request.region, start)


NEED_TARGET = ("replace", "recolour", "remove", "move", "resize", "count")
"""Kinds of turns that mean something in the picture."""


def _check(turn: Any) -> None:
    """Refuse a turn, which anybody may write, whose words are not in its prompt: nothing is guessed."""
    missing = [words for words in (turn.target, turn.anchor) if words.strip() and words not in turn.before]
    if missing or (turn.kind in NEED_TARGET and not turn.whole and not turn.target.strip()):
        what = repr(missing[0]) if missing else "what is meant"
        raise InvalidValue(f"A turn to {turn.kind!r} needs words of its `before`: {what} is not there.", param="turns")


def _turns(request: Any, engine: Engine, parent: Pixels, mask: Mask | None, index: int) -> Events:
    pixels, touched = parent, np.zeros(parent.shape[:2], bool)
    seed, every = request.seed + index, False
    for turn in request.turns:
        one = request.replace(n=1, seed=seed, prompt=turn.after)
        for event in _turn(one, engine, turn, pixels, mask):
            if isinstance(event, Output):
                pixels, every = event.pixels, every or event.kept is None
                touched = touched | (event.kept.touched if event.kept is not None else True)
            else:
                yield replace(event, index=index, total=request.n)
    yield Output(pixels, index=index, seed=seed, kept=None if every else Kept(touched))


def _turn(request: Any, engine: Engine, turn: Any, pixels: Pixels, mask: Mask | None) -> Events:
    """Do one turn; yields one output, of the picture's size."""
    if mask is not None:
        yield from repaint(request, engine, pixels, mask)
        return
    if not isinstance(engine, LatentEngine):
        raise Unsupported(
            f"The engine {engine.choice.engine!r} cannot find where an instruction means.",
            param="mask",
            hint="Give the region: --mask FILE.",
        )
    if turn.kind == "background":
        yield from _background(request, engine, turn, pixels)
    elif turn.whole:
        yield from _all_over(request, engine, pixels)
    elif turn.kind == "remove":
        yield from _away(request, engine, turn, pixels)
    elif turn.kind in ("move", "resize") and turn.target:
        yield from _shifted(request, engine, turn, pixels)
    elif turn.kind == "recolour" and turn.target:
        yield from _recoloured(request, engine, turn, pixels)
    elif turn.kind in ("replace", "add"):
        yield from _put_in(request, engine, turn, pixels)
    else:
        yield from repaint(request, engine, pixels, _where(request, engine, turn, pixels))


def _put_in(request: Any, engine: LatentEngine, turn: Any, pixels: Pixels) -> Events:
    """Paint a new thing: by itself, cut out and laid into its place where that is known to the pixel; else in place.

    A thing that is added is laid in; one that replaces another is where the old one stands out from its ground.
    """
    words, flat = _new_words(turn), opaque(pixels)
    old = np.zeros(flat.shape[:2], np.float32)
    if turn.kind == "replace":
        sight = _thing(request, engine, turn, pixels)
        mask = _without_others(engine, turn, pixels, sight)
        if not several(turn.target) and _stands_out(*sight[1:]):
            old = sight[1]
    else:
        mask = _where(request, engine, turn, pixels)
    close = request.replace(prompt=local_prompt(words, turn.after))
    if request.strength < 1 or (turn.kind == "replace" and (several(words) or not old.any())):
        yield from repaint(close, engine, pixels, mask, "masked")
        return
    alone = request.replace(prompt=alone_prompt(words, turn.after))
    for event in engine.render(alone, Inputs(size=engine.spec.sizes.working(1, 1))):
        if not isinstance(event, Output):
            yield event
            continue
        try:
            sprite = cut(event.pixels, request_tolerance(engine), crop=True)
        except InvalidPicture:
            yield from repaint(close, engine, pixels, mask, "masked")
            return
        base = healed(flat, old, request_tolerance(engine)) if old.any() else flat
        box = box_of(old > 0) if old.any() else box_of(mask > 0)
        new, touched = laid(base, sprite, box)
        if turn.kind == "add" and _behind(turn):
            new, touched = _under(flat, new, touched, request_tolerance(engine))
        touched = touched | (old > 0)
        yield replace(event, pixels=_onto(pixels, new, touched), kept=Kept(touched))


def _behind(turn: Any) -> bool:
    """Say whether a new thing is said to stand behind another."""
    return bool(turn.anchor) and stand_of(turn.after, turn.value, turn.anchor) == "behind"


def _under(flat: Pixels, new: Pixels, touched: Any, tolerance: float) -> tuple[Pixels, Any]:
    """Lay the things of a picture, where they stand out from its ground, over what was put in."""
    try:
        thing = cut(flat, tolerance, specks=False)
    except InvalidPicture:
        return new, touched
    share = thing[..., 3:].astype(np.float32) / 255
    mixed = np.clip(np.rint(new * (1 - share) + thing[..., :3] * share), 0, 255).astype(np.uint8)
    return mixed, touched & (share[..., 0] < 1)


def laid(base: Pixels, sprite: Pixels, box: tuple[int, int, int, int]) -> tuple[Pixels, Any]:
    """Return `base (H, W, 3)` with a sprite `(h, w, 4)` in a box, standing on its lower edge, and where it lies.

    The sprite keeps its shape and is as large as the box allows.
    """
    left, top, right, bottom = box
    scale = min((right - left) / sprite.shape[1], (bottom - top) / sprite.shape[0])
    size = max(1, round(sprite.shape[1] * scale)), max(1, round(sprite.shape[0] * scale))
    small = resized(sprite, size)
    x, y = (left + right - size[0]) // 2, bottom - size[1]
    share = small[..., 3:].astype(np.float32) / 255
    out, touched = base.astype(np.float32), np.zeros(base.shape[:2], bool)
    window = (slice(y, y + size[1]), slice(x, x + size[0]))
    out[window] = out[window] * (1 - share) + small[..., :3] * share
    touched[window] = share[..., 0] > 0
    return np.clip(np.rint(out), 0, 255).astype(np.uint8), touched


def _recoloured(request: Any, engine: LatentEngine, turn: Any, pixels: Pixels) -> Events:
    """Give what leads in a thing that stands out another colour, lights and darks as they were; else paint it over."""
    _, mask, thing = _thing(request, engine, turn, pixels)
    name = next((word for word in turn.value.lower().replace("grey", "gray").split() if word in COLOURS), None)
    if name is None or not _stands_out(mask, thing):
        close = request.replace(prompt=local_prompt(_new_words(turn), turn.after), strength=min(request.strength, DYED))
        yield from repaint(close, engine, pixels, mask, "masked")
        return
    share = thing[..., 3:].astype(np.float32) / 255
    ground = healed(opaque(pixels), mask, request_tolerance(engine))
    solid = thing[..., 3] > 127
    lead = leading(thing[..., :3], solid)
    dye = dyed(thing[..., :3], solid & (lead > 0.5), COLOURS[name]) * lead[..., None]
    dye = dye + thing[..., :3] * (1 - lead[..., None])
    mixed = np.clip(np.rint(ground * (1 - share) + dye * share), 0, 255).astype(np.uint8)
    touched = thing[..., 3] > 0
    yield Output(_onto(pixels, mixed, touched), 0, request.seed, kept=Kept(touched))


def _stands_out(mask: Mask, thing: Pixels) -> bool:
    """Say whether a thing was cut from its ground: else its alpha is the region itself."""
    return bool(((thing[..., 3] > 0) != (mask > 0)).any())


def _all_over(request: Any, engine: Engine, pixels: Pixels, most: float = ALL_OVER) -> Events:
    size = pixels.shape[1], pixels.shape[0]
    work = engine.spec.sizes.working(*size)
    strength = min(request.strength, most)
    inputs = Inputs(size=work, pictures=resized(opaque(pixels), work)[None], strength=strength)
    for event in engine.render(request, inputs):
        yield replace(event, pixels=resized(event.pixels, size)) if isinstance(event, Output) else event


def _background(request: Any, engine: LatentEngine, turn: Any, pixels: Pixels) -> Events:
    """Paint all but the things: they are cut from a smooth ground and laid on a new one, or the model finds them.

    The new ground is that of a picture painted by the new prompt, its own things taken out of it.
    """
    flat = opaque(pixels)
    try:
        thing = cut(flat, request_tolerance(engine), specks=False)
    except InvalidPicture:
        scene, mask = parse(turn.before), np.ones(pixels.shape[:2], np.float32)
        for at in scene.things():
            mask = np.minimum(mask, 1 - _found(request, engine, turn.before, scene.parts[at].text, pixels))
        yield from repaint(request, engine, pixels, mask if mask.any() else np.ones_like(mask))
        return
    share = thing[..., 3:].astype(np.float32) / 255
    for event in _all_over(request, engine, flat, 1.0):
        if isinstance(event, Output):
            ground = healed(event.pixels, np.ones(share.shape[:2]), request_tolerance(engine))
            mixed = np.clip(np.rint(ground * (1 - share) + thing[..., :3] * share), 0, 255).astype(np.uint8)
            event = replace(event, pixels=_onto(pixels, mixed, share[..., 0] < 1), kept=Kept(share[..., 0] < 1))
        yield event


def _onto(pixels: Pixels, new: Pixels, touched: Any) -> Pixels:
    """Return the picture with new pixels where it is touched; they are opaque."""
    out = np.where(touched[..., None], new, pixels[..., :3])
    if pixels.shape[2] == 4:
        out = np.dstack([out, np.where(touched, 255, pixels[..., 3])])
    return np.ascontiguousarray(out, np.uint8)


def request_tolerance(engine: Any) -> float:
    """Return how far a colour may be from the background's, as the Spec says for cutouts."""
    return float(engine.spec.defaults.of("cutout")["tolerance"])


def _away(request: Any, engine: LatentEngine, turn: Any, pixels: Pixels) -> Events:
    """Spread what is around a thing over its place; where that has texture, paint it on."""
    _, mask, _ = _thing(request, engine, turn, pixels)
    start = healed(opaque(pixels), mask, request_tolerance(engine))
    if _texture(opaque(pixels), mask) < TEXTURE:
        yield Output(composite(pixels, start, mask, request.feather), 0, request.seed, kept=Kept(mask > 0))
        return
    calm = request.replace(prompt=local_prompt("", turn.after), strength=min(request.strength, AWAY))
    yield from repaint(calm, engine, pixels, mask, "whole", start)


def _texture(pixels: Pixels, mask: Mask) -> float:
    """Return the contrast of what lies around a region, in levels: what is left when its tones are taken off."""
    left, top, right, bottom = box_of(mask > 0)
    pad = max(8, (right - left) // 4)
    part = (slice(max(0, top - pad), bottom + pad), slice(max(0, left - pad), right + pad))
    around = pixels[part].astype(np.float32)
    small = resized(pixels[part], (max(1, around.shape[1] // 16), max(1, around.shape[0] // 16)))
    smooth = resized(small, (around.shape[1], around.shape[0])).astype(np.float32)
    outside = mask[part] == 0
    return float(np.median(np.abs(around - smooth).mean(2)[outside])) if outside.any() else 0.0


def _shifted(request: Any, engine: LatentEngine, turn: Any, pixels: Pixels) -> Events:
    """Cut a thing out, heal its place, and put it back elsewhere or in another size."""
    size = pixels.shape[1], pixels.shape[0]
    flat = opaque(pixels)
    _, found, whole = _thing(request, engine, turn, pixels)
    left, top, right, bottom = box_of(whole[..., 3] > 0)
    thing = whole[top:bottom, left:right]
    bare = healed(flat, found, request_tolerance(engine))
    if turn.kind == "resize":
        scale = GROWN["smaller" if "small" in f"{turn.value} {turn.said}" else "bigger"]
        scale = min(scale, size[0] / thing.shape[1], size[1] / thing.shape[0])
        thing = resized(thing, (max(1, round(thing.shape[1] * scale)), max(1, round(thing.shape[0] * scale))))
        spot = (left + right - thing.shape[1]) // 2, (top + bottom - thing.shape[0]) // 2
    else:
        work = engine.spec.sizes.working(*size)
        cells = free_place(crowd(resized(bare, work), request_tolerance(engine)), turn.place)
        there = box_of(cells_to_mask(cells, size) > 0)
        spot = (there[0] + there[2] - thing.shape[1]) // 2, (there[1] + there[3] - thing.shape[0]) // 2
        if turn.place in ("left", "right"):
            spot = spot[0], top
        elif turn.place in ("top", "bottom"):
            spot = left, spot[1]
    x = min(max(0, spot[0]), size[0] - thing.shape[1])
    y = min(max(0, spot[1]), size[1] - thing.shape[0])
    mask, painted = found.copy(), bare.astype(np.float32)
    window = (slice(y, y + thing.shape[0]), slice(x, x + thing.shape[1]))
    share = thing[..., 3:].astype(np.float32) / 255
    painted[window] = painted[window] * (1 - share) + thing[..., :3] * share
    mask[window] = np.maximum(mask[window], share[..., 0] > 0)
    done = np.clip(np.rint(painted), 0, 255).astype(np.uint8)
    yield Output(_onto(pixels, done, mask > 0), 0, request.seed, kept=Kept(mask > 0))


def _thing(request: Any, engine: LatentEngine, turn: Any, pixels: Pixels) -> Sight:
    """Return what the model found of the target `(H, W)`, its region `(H, W)`, and itself on transparency `(H, W, 4)`.

    Where it stands out from its ground, the region is its outline and a little around it; else what the model found.
    """
    flat = opaque(pixels)
    cells = locate(engine, request, _small(engine, pixels), turn.before, turn.target)
    found = region(cells, (pixels.shape[1], pixels.shape[0]))
    try:
        thing = cut(flat, request_tolerance(engine))
        thing[..., 3] = np.where(found > 0, thing[..., 3], 0)
        if not several(turn.target):
            thing[..., 3] = main_part(thing[..., 3], cells)
        edge = (found > 0) & (np.asarray(Image.fromarray(found).filter(ImageFilter.MinFilter(5))) == 0)
        solid = thing[..., 3] > 127
        if not solid.any() or (solid & edge).sum() > FILLED * edge.sum():
            raise InvalidPicture("The region holds nothing that stands out.")
    except InvalidPicture:
        return found, found, np.dstack([flat, np.rint(found * 255).astype(np.uint8)])
    outline = Image.fromarray(np.where(thing[..., 3] > 0, 255, 0).astype(np.uint8))
    rim = 2 * max(2, min(found.shape) // 42) + 1
    return found, (np.asarray(outline.filter(ImageFilter.MaxFilter(rim))) > 0).astype(np.float32), thing


def _without_others(engine: LatentEngine, turn: Any, pixels: Pixels, sight: Sight) -> Mask:
    """Return the box of a thing that stands out, with a little around it, and without other things in it.

    What does not stand out keeps the region that the model found.
    """
    found, own, thing = sight
    if several(turn.target) or not _stands_out(own, thing):
        return found
    try:
        every = cut(opaque(pixels), request_tolerance(engine))[..., 3]
    except InvalidPicture:
        return found
    others = Image.fromarray(np.where((every > 0) & (thing[..., 3] == 0), 255, 0).astype(np.uint8))
    around = np.asarray(others.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(9))) > 0
    left, top, right, bottom = box_of(own > 0)
    wide, high = round((right - left) * ROOM), round((bottom - top) * ROOM)
    box = np.zeros_like(found)
    box[max(0, top - high) : bottom + high, max(0, left - wide) : right + wide] = 1
    return np.where(around & ~(thing[..., 3] > 0), 0, np.maximum(box, own)).astype(np.float32)


def _found(request: Any, engine: LatentEngine, prompt: str, target: str, pixels: Pixels) -> Mask:
    small = _small(engine, pixels)
    return region(locate(engine, request, small, prompt, target), (pixels.shape[1], pixels.shape[0]))


def _small(engine: Any, pixels: Pixels) -> Pixels:
    return resized(opaque(pixels), engine.spec.sizes.working(pixels.shape[1], pixels.shape[0]))


def _where(request: Any, engine: LatentEngine, turn: Any, pixels: Pixels) -> Mask:
    """Return the region of a turn `(H, W)`, 1 inside: its target, found by the model, or room for what is new."""
    size, small = (pixels.shape[1], pixels.shape[0]), _small(engine, pixels)
    if turn.target and turn.kind != "add":
        sight = _thing(request, engine, turn, pixels)
        if turn.kind == "count":
            room = free_place(crowd(small, request_tolerance(engine)), "")
            return np.maximum(sight[0], cells_to_mask(room, size))
        return _without_others(engine, turn, pixels, sight)
    if turn.kind != "add":
        return region(disagreement(engine, request, small, turn.before, [turn.after]), size)
    full = crowd(small, request_tolerance(engine))
    if turn.anchor:
        stand = stand_of(turn.after, turn.value, turn.anchor)
        cells = locate(engine, request, small, turn.before, turn.anchor)
        ground = region(cells, (cells.shape[1], cells.shape[0]), grow=0)
        return cells_to_mask(at_thing(full, ground, stand), size)
    wish = disagreement(engine, request, small, turn.before, [turn.after], WISHES)
    more = MANY if several(turn.value) or " and " in turn.value else 1.0
    return cells_to_mask(free_place(full, turn.place, wish, (SIDES[0] * more, SIDES[1])), size)


def _new_words(turn: Any) -> str:
    """Return the words for what is painted: what came in, or what the target is called now."""
    if turn.kind == "add":
        return str(turn.value)
    start = turn.before.find(turn.target)
    behind = len(turn.before) - start - len(turn.target)
    words = turn.after[start : len(turn.after) - behind]
    return words if words.strip() else str(turn.value)
