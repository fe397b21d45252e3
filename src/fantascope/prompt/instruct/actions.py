"""What an instruction's words do to a prompt: what the new words are (a colour, a time, a place) decides the edit.

Every action takes the desk and the groups of its pattern, and gives the reading, or None to pass the words on.
"""

from __future__ import annotations

import re

import fantascope.prompt.instruct.edits as edits
from fantascope.prompt.english import is_plural, number_of, singular, split_determiner
from fantascope.prompt.instruct.additions import RELATION, add
from fantascope.prompt.instruct.aspects import ASPECTS, Found, background, coloured, is_thing, of_whole
from fantascope.prompt.instruct.match import Match, is_pronoun, is_whole
from fantascope.prompt.instruct.reading import Desk, Reading
from fantascope.prompt.instruct.wishes import (
    backdrop_of,
    backdrop_or_thing,
    colour_of,
    is_adjective,
    size_of,
    spot_of,
    time_of,
    trimmed,
)
from fantascope.prompt.lexicon import COLOUR, LIGHTS, MASS, TIMES


def assign(desk: Desk, found: Found) -> Reading | None:
    """X shall be Y, whatever Y is."""
    x, y = found["x"].strip(" ,"), trimmed(found["y"].strip(" ,"))
    y = re.sub(r"\s+instead$", "", y, flags=re.IGNORECASE)
    for pattern, action in ASPECTS:
        match = pattern.fullmatch(x)
        if match:
            return action(desk, {**found, "x": next((g for g in match.groups() if g), x), "y": y})
    if x.lower() in TIMES and time_of(y):
        return edits.relight_time(desk, time_of(y))
    if is_pronoun(x) or is_whole(x):
        reading = of_whole(desk, y, free="feel" in found.get("verb", "") or is_whole(x))
        if reading or is_whole(x):
            return reading
    return _of_thing(desk, x, y, bare="bare" in found)


def whole(desk: Desk, found: Found) -> Reading | None:
    """`redo it as a sketch`: the whole picture, where the words are a style, a light, a time or a setting."""
    return of_whole(desk, re.sub(r"^(?:an? |the )(?=style of)", "", found["y"].strip(" ,")))


def lighten(desk: Desk, found: Found) -> Reading | None:
    """`brighten the scene`, `warm it up`."""
    x = found.get("x") or "it"
    if not (is_pronoun(x) or is_whole(x) or re.fullmatch(r"(?:the )?(?:colou?rs?|light(?:ing|s)?|tones?)", x)):
        return None
    light = {"brighten": "bright", "lighten": "bright", "darken": "dim"}.get(found["y"].lower(), found["y"].lower())
    return edits.relight(desk, LIGHTS[light])


def feel(desk: Desk, found: Found) -> Reading | None:
    """`make this scene feel warm and inviting`."""
    x = "the scene" if found["verb"].lower() in ("it", "this") else found["verb"]
    return assign(desk, {"x": x, "y": found["y"], "verb": "feel"})


def placed(desk: Desk, found: Found) -> Reading | None:
    """`the tree on the left`: a thing that is there, where it should be."""
    spot, size = spot_of(found["y"]), size_of(found["y"])
    if size:
        return edits.resize(desk, desk.find(found["x"]), size)
    return edits.move(desk, desk.find(found["x"], places=False), *spot) if spot else None


def _of_thing(desk: Desk, x: str, y: str, bare: bool = False) -> Reading | None:
    """What is said of one thing: a colour, a size, a number, a spot, a setting, a quality, or another thing."""
    colour, size, spot = colour_of(y), size_of(y), spot_of(y)
    if colour:
        return edits.recolour(desk, coloured(desk, x), colour)
    if size:
        return edits.resize(desk, desk.find(x), size)
    if spot and not (len(y.split()) == 1 and y.lower() in ("top", "bottom", "front")):
        return edits.move(desk, desk.find(x, places=False), *spot)
    number = number_of(y)
    if number is not None and y.lower() not in ("a", "an"):
        return edits.count(desk, desk.find(x), number)
    if y.lower() in ("darker", "lighter", "brighter"):
        return edits.describe(desk, desk.find(x), y.lower().removesuffix("er").replace("bright", "bright"))
    if is_pronoun(x) and not desk.it:
        x = _same_noun(desk, y) or x
    setting = backdrop_of(y) if re.match(r"(?:in|on|at|into|onto|to|under|inside|against) ", y) else None
    if setting:
        desk.find(x)
        return edits.background(desk, *setting)
    if not is_thing(y):
        return None
    if len(y.split()) == 1 and is_adjective(y):
        return edits.describe(desk, desk.find(x), y.lower())
    last = y.lower().split(" of ")[0].split()[-1]
    if bare and not split_determiner(y)[0] and not is_plural(last) and last not in MASS:
        return None
    return exchange(desk, desk.find(x), y)


def _same_noun(desk: Desk, y: str) -> str:
    """The part that `make it three eggs` means, where one alone is called so; or nothing."""
    determiner, rest = split_determiner(y)
    at = [k for k in desk.scene.things() if rest and singular(desk.part(k).head) == singular(rest.split()[-1].lower())]
    number = number_of(determiner)
    return desk.part(at[0]).text if len(at) == 1 and number is not None and number > 1 else ""


def exchange(desk: Desk, match: Match, y: str) -> Reading | None:
    """A thing becomes another; the same noun in another colour or number is no other thing."""
    part = desk.part(match.at)
    if part.kind in ("place", "backdrop"):
        setting = backdrop_of(y) if part.kind == "place" else backdrop_or_thing(y)
        if setting:
            return edits.background(desk, *setting, at=match.at, score=match.score)
    determiner, rest = split_determiner(y)
    if not rest or rest.lower() in ("one", "ones") or not is_thing(y):
        return None
    words = rest.lower().split()
    if singular(words[-1]) == singular(part.head) and len(words) <= len(part.words) + 2:
        number = number_of(determiner) if determiner else None
        colour = COLOUR.search(" ".join(words[:-1]))
        there = part.number if part.number is not None else 1
        sized = [size for size in map(size_of, words[:-1]) if size]
        if sized and not colour:
            return edits.resize(desk, match, sized[0])
        if colour and colour.group() not in " ".join(part.words):
            return edits.recolour(desk, match, colour.group())
        if number is not None and number != there and determiner not in ("a", "an"):
            return edits.count(desk, match, number)
    return edits.replace_thing(desk, match, y)


def make(desk: Desk, found: Found) -> Reading | None:
    """`make X Y`: where X ends is where the prompt's name for it ends, or where Y begins."""
    words = found["rest"].split()
    words = words[:-1] if words[-1].lower() == "instead" else words
    for k in range(len(words) - 1, 0, -1):
        x, y = " ".join(words[:k]), " ".join(words[k:])
        known = is_pronoun(x) or is_whole(x) or any(pattern.fullmatch(x) for pattern, _ in ASPECTS)
        if known or desk.named(x) is not None:
            return assign(desk, {**found, "x": x, "y": y, "bare": y})
    for k in range(2 if split_determiner(found["rest"])[0] else 1, len(words)):
        x, y = " ".join(words[:k]), " ".join(words[k:])
        if colour_of(y) or size_of(y) or re.match(r"(?:an?|one|two|three|four|five|into|be|look|to) ", y):
            return assign(desk, {**found, "x": x, "y": y})
    return None


def want(desk: Desk, found: Found) -> Reading | None:
    """`a red hat`, `five wolves`, `more light`: wished for by name alone."""
    y = trimmed(found["y"].strip(" ,"))
    reading = of_whole(desk, y)
    if reading:
        return reading
    related = RELATION.match(y)
    if related and desk.named(related["anchor"]) is not None:
        text = _same_noun(desk, related["y"])
        if text:
            return exchange(desk, desk.find(text), related["y"])
    if (
        related
        and is_thing(related["y"])
        and (found.get("sure") or spot_of(f"{related['relation']} {related['anchor']}"))
    ):
        return add(desk, found)
    back = re.fullmatch(r"(?:with |on |against )?(?P<y>.+ (?:background|backdrop))", y, re.IGNORECASE)
    if back:
        return background(desk, {"x": "", "y": back["y"]})
    determiner, rest = split_determiner(y)
    if determiner in ("the", "this", "that") or not (is_thing(y) or len(y.split()) == 1):
        return None
    if not rest or (not determiner and len(rest.split()) < 2):
        size = size_of(y)
        if size:
            return edits.resize(desk, desk.find("it"), size)
        return assign(desk, {"x": "it", "y": y}) if desk.instead else None
    at = [
        k
        for k, part in enumerate(desk.scene.parts)
        if part.kind == "thing" and singular(part.head) == singular(rest.split()[-1])
    ]
    if len(at) == 1:
        return exchange(desk, Match(at[0], 0.9), y)
    if desk.instead:
        return assign(desk, {"x": "it", "y": y})
    if related and desk.named(related["anchor"]) is not None:
        return add(desk, found)
    return None


def resize(desk: Desk, found: Found) -> Reading | None:
    """`enlarge X`, `scale X down`."""
    up = re.search(r"enlarge|up|grow|increase|bigger|blow", found["verb"] + found.get("way", ""), re.IGNORECASE)
    return edits.resize(desk, desk.find(found["x"]), ("step", -1 if up else 1))


def count(desk: Desk, found: Found) -> Reading | None:
    """`three cats instead of two`, `only two balloons`."""
    determiner, rest = split_determiner(found["y"].strip())
    number = number_of(determiner)
    if number is None or not rest:
        return None
    return edits.count(desk, desk.find(rest), number)


def no_but(desk: Desk, found: Found) -> Reading | None:
    """`no kite, a balloon instead`."""
    return assign(desk, found) if desk.instead else None


def too(desk: Desk, found: Found) -> Reading | None:
    """`too dark`, `the boat is too big`: the opposite is asked for."""
    x, y = found.get("x", "it"), found["y"].lower()
    light, size = _TOO.get(y), size_of(y)
    if size and size[1] != 2:
        return edits.resize(desk, desk.find(x), ("step", 1 if size[1] < 2 else -1))
    return edits.relight(desk, light) if light and (is_pronoun(x) or is_whole(x)) else None


_TOO = {
    "dark": "bright light", "dim": "bright light", "bright": "dim light", "light": "dim light",
    "cold": "warm light", "cool": "warm light", "warm": "cold light",
}  # fmt: skip
"""What is too much -> the light that is wished for."""


def centre(desk: Desk, found: Found) -> Reading | None:
    """`center the dog`."""
    return edits.move(desk, desk.find(found["x"], places=False), "centre", "in the center")
