"""What comes in, goes, or goes somewhere else.

Every action takes the desk and the groups of its pattern, and gives the reading, or None to pass the words on.
"""

from __future__ import annotations

import re
from dataclasses import replace

import fantascope.prompt.instruct.edits as edits
from fantascope.prompt.english import number_of, singular, split_determiner
from fantascope.prompt.instruct.aspects import BACK, NOUN, VAGUE, Found, background, is_thing, of_whole
from fantascope.prompt.instruct.match import IT, Match, by_words, is_pronoun, is_whole
from fantascope.prompt.instruct.reading import Asked, Desk, Reading
from fantascope.prompt.instruct.wishes import (
    backdrop_of,
    colour_of,
    light_of,
    spot_of,
    time_of,
)
from fantascope.prompt.knowledge import ALIVE
from fantascope.prompt.lexicon import RELATIONS, SKY

_BODY = re.compile(
    r"(?:(?:its|his|her|their|the) |(?P<owner>.+?)'s? )(?:head|neck|face|back|body|feet|eyes|nose|ears|arm|hand)s?",
    re.IGNORECASE,
)
_HOST = re.compile(r"(?:the )?(?:head|neck|face|body|feet|eyes|nose) of (?P<owner>.+)", re.IGNORECASE)
RELATION = re.compile(
    rf"^(?P<y>.+?)\s+(?:(?:standing|sitting|flying|placed|right|directly|just|hanging|lying|floating|hovering)\s+)?"
    rf"(?P<relation>{'|'.join(sorted(RELATIONS, key=len, reverse=True))})\s+(?P<anchor>.+)$",
    re.IGNORECASE,
)


def add(desk: Desk, found: Found) -> Reading | None:
    """Something new, at a spot, beside a thing, or anywhere."""
    y = re.sub(r"^(?:in|also|me|us|there|with)\s+|\s+(?:too|as well|somewhere|missing)$", "", found["y"].strip(" ,"))
    y = re.sub(r"\s+(?:to|in|into|on) (?:the |this |my )?(?:picture|image|scene|photo|it|whole thing)$", "", y)
    if not y:
        return None
    more = re.fullmatch(
        r"(?:(?P<n>\w+) (?:more|extra|additional|other)|(?P<another>another)) (?P<what>.+)", y, re.IGNORECASE
    )
    if more:
        return _more(desk, 1 if more["another"] else number_of(more["n"]), more["what"])
    related = RELATION.match(y)
    reading = related and _related(desk, related["y"], related["relation"].lower(), related["anchor"], found)
    if reading:
        return reading
    style = light_of(y) if re.search(r"light|mood|atmosphere", y) else ""
    if style:
        return edits.relight(desk, style)
    back = re.fullmatch(r"(?P<y>.+ (?:background|backdrop))", y, re.IGNORECASE)
    if back:
        return background(desk, {"x": "", "y": back["y"]})
    if not is_thing(y):
        return None
    things = desk.scene.things()
    if edits.is_worn(y) and len(things) == 1 and singular(desk.part(things[0]).head) in ALIVE:
        return edits.give(desk, Match(things[0], 0.9), y)
    return edits.add(desk, y)


def there_be(desk: Desk, found: Found) -> Reading | None:
    """`there should be six eggs`: so many of what is there, or something new."""
    determiner, rest = split_determiner(found["y"])
    number = number_of(determiner)
    at = [k for k in desk.scene.things() if rest and by_words(rest.lower().split(), desk.part(k)) >= 0.98]
    if number is not None and len(at) == 1:
        return edits.count(desk, Match(at[0], 0.9), number)
    return add(desk, found)


def _related(desk: Desk, y: str, relation: str, anchor: str, found: Found) -> Reading | None:
    """`Y on ANCHOR`: at a spot, in a place, worn, or beside a thing."""
    if not (is_thing(y) or is_pronoun(y)):
        return None
    spot = spot_of(f"{relation} {anchor}")
    sky = split_determiner(anchor.lower())[1] in SKY
    known = desk.named(y)
    definite = y.lower().startswith(("the ", "this ", "that ", "it", "them")) and (known is not None or is_pronoun(y))
    if definite and not found.get("sure"):
        return move(desk, {"x": y, "y": f"{relation} {anchor}"})
    if spot:
        return edits.add_at(desk, y, *spot)
    body = _BODY.fullmatch(anchor) or _HOST.fullmatch(anchor)
    if body:
        return edits.give(desk, desk.find(body["owner"] or "it"), y)
    at = None if is_pronoun(anchor) else desk.named(anchor)
    setting = backdrop_of(f"{relation} {anchor}")
    if at is not None and desk.part(at).kind == "place" and relation in ("in", "on", "at", "into"):
        return replace(edits.add(desk, y), place="top" if sky else "")
    if at is None and (sky or setting) and not is_pronoun(anchor):
        return edits.add_at(desk, y, "top" if sky else "", f"{relation} {anchor}")
    match = desk.find(anchor)
    part = desk.part(match.at)
    worn = relation == "to" or (relation in ("on", "onto", "upon") and edits.is_worn(y))
    if worn and part.kind == "thing":
        return edits.give(desk, match, y)
    relation = {"onto": "on", "upon": "on", "into": "in", "besides": "beside"}.get(relation, relation)
    return edits.add_beside(desk, y, relation, match)


def _more(desk: Desk, number: int | None, what: str) -> Reading | None:
    """`one more duck`: of what is there; or a first one."""
    if number is None:
        return None
    related = RELATION.match(what)
    noun = related["y"] if related else what
    at = [
        k
        for k, part in enumerate(desk.scene.parts)
        if part.kind == "thing" and by_words(split_determiner(noun.lower())[1].split(), part) >= 0.9
    ]
    if len(at) == 1 and not related:
        return edits.count(desk, Match(at[0], 0.95), number, relative=True)
    if len(at) > 1:
        raise Asked(
            f"{noun!r} could be {' or '.join(repr(desk.part(k).text) for k in at[:3])}.", [{noun: k} for k in at[:3]]
        )
    return edits.add(desk, f"{'a' if number == 1 else number} {what}")


def give(desk: Desk, found: Found) -> Reading | None:
    """`give X Y`, X a thing or a pronoun; Y a colour is a colour."""
    words = found["rest"].split()
    for k in range(len(words) - 1, 0, -1):
        x, y = " ".join(words[:k]), " ".join(words[k:])
        if (
            is_pronoun(x)
            or is_whole(x)
            or desk.named(x) is not None
            or (k < len(words) and words[k].lower() in ("a", "an", "some"))
        ):
            if is_pronoun(x) or is_whole(x):
                reading = of_whole(desk, y)
                if reading:
                    return reading
            if is_whole(x):
                return None
            painted = re.sub(r"\s+(?:coat(?: of paint)?|paint ?job|coating|tint|look)$", "", y)
            colour = colour_of(painted) if painted != y or "colo" in y or colour_of(y) == y.lower() else ""
            if colour:
                return edits.recolour(desk, desk.find(x), colour)
            return edits.give(desk, desk.find(x, places=False), y) if is_thing(y) else None
    return None


def given(desk: Desk, found: Found) -> Reading | None:
    """`let the girl have an umbrella`."""
    return give(desk, {"rest": f"{found['x']} {found['y']}"})


def ask_for(desk: Desk, found: Found) -> Reading | None:
    """`can we have a balloon`."""
    return None if "that" in found["y"].split() else add(desk, found)


def remove(desk: Desk, found: Found) -> Reading | None:
    """Something goes."""
    x = re.sub(r"\s+(?:from|out of) (?:the |this )?(?:picture|image|scene|photo|it|there)$", "", found["x"].strip(" ,"))
    x = re.sub(r"\s+(?:away|out|off|completely|entirely|anymore|any more|at all|altogether)$", "", x)
    x = re.sub(r"^(?:out|off|away|any)\s+", "", x)
    if BACK.fullmatch(x):
        return edits.background(desk, "on", "a white background")
    determiner, rest = split_determiner(x)
    number = number_of(determiner) if determiner not in ("a", "an", "") else None
    if number is None and not determiner and x.lower().startswith("one of the "):
        number, rest = 1, x[11:]
    if number is not None:
        match = desk.find(re.sub(r"^of the ", "", rest))
        if (desk.part(match.at).number or number) != number:
            return edits.count(desk, match, -number, relative=True)
        return edits.remove(desk, match)
    x = re.sub(r"^(?:.+?)'s (?=\w)", "", x)
    if determiner in ("a", "an") and (desk.part(desk.find(rest).at).number or 1) > 1:
        return edits.count(desk, desk.find(rest), -1, relative=True)
    return edits.remove(desk, desk.find(x)) if NOUN.fullmatch(x) and x.lower() not in VAGUE - IT else None


def less(desk: Desk, found: Found) -> Reading | None:
    """`one less duck`."""
    number = number_of(found["n"])
    return edits.count(desk, desk.find(found["x"]), -number, relative=True) if number else None


def move(desk: Desk, found: Found) -> Reading | None:
    """A thing that is there goes somewhere else: a spot, beside another, or the setting changes around it."""
    x, y = found["x"].strip(), found["y"].strip()
    spot = spot_of(y)
    if spot:
        return edits.move(desk, desk.find(x, places=False), *spot)
    related = re.match(
        rf"(?P<relation>{'|'.join(sorted(RELATIONS, key=len, reverse=True))})\s+(?P<anchor>.+)$", y, re.IGNORECASE
    )
    if related is None:
        return None
    named = desk.named(related["anchor"])
    time = time_of(y)
    if time and named is None:
        return edits.relight_time(desk, time)
    setting = backdrop_of(y)
    if setting and (named is None or desk.part(named).kind != "thing"):
        if not is_whole(x) and not (is_pronoun(x) and not desk.it):
            desk.find(x)
        return edits.background(desk, *setting)
    relation = {"onto": "on", "into": "in", "to": "next to"}.get(
        related["relation"].lower(), related["relation"].lower()
    )
    return edits.move_beside(desk, desk.find(x, places=False), relation, desk.find(related["anchor"]))
