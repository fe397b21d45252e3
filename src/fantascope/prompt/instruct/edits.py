"""The edits: each takes the desk and what was asked, and gives the reading with its new prompt."""

from __future__ import annotations

import re
from dataclasses import replace

from fantascope.prompt.english import (
    counted,
    is_plural,
    number_of,
    say_number,
    singular,
    split_determiner,
    with_article,
)
from fantascope.prompt.instruct.match import Match
from fantascope.prompt.instruct.reading import Asked, Desk, Reading, definite, put, reword
from fantascope.prompt.instruct.wishes import thing_for
from fantascope.prompt.lexicon import BEFORE_COLOUR, COLOUR, MUTUAL, RELATIONS, SIZES, SMALLER, SPOTS, WORN
from fantascope.prompt.parse import LISTED, SETTING, Part, parse

EMPTY = "an empty scene"
"""What is left when the only thing goes."""

_DAY = re.compile(
    r".*(?:night|daylight|noon|morning|evening|afternoon|sunset|sunrise|dusk|dawn|hour|stars|moonlight|day)$"
)
_SEASON = re.compile(r".*(?:winter|summer|spring|autumn|fall|christmas|halloween)$")
SKIES = frozenset(("sky", "stars"))
"""Heads of times that are seen behind things."""

_DEPTH = frozenset(("background", "foreground"))
_HELD = re.compile(r"(?:and )?(?:with|wearing|holding|carrying)", re.IGNORECASE)
_DROPPED_LEAD = re.compile(r"^(?:, ?and|,|and|&|with)\b ?|^,", re.IGNORECASE)


def replace_thing(desk: Desk, match: Match, value: str) -> Reading:
    """Put other words in the place of a part and of what it is made of."""
    part = desk.part(match.at)
    new = thing_for(part, value)
    end = desk.scene.group(match.at)
    target, span = desk.whole_group(match.at)
    parts = put(desk.scene.parts, match.at, end, [reword(part, new)])
    return desk.reading("replace", parts, f"replace {target!r} by {new!r}", span=span, value=new, score=match.score)


def recolour(desk: Desk, match: Match, colour: str) -> Reading:
    """Give a part a colour, in place of the one it has or where English puts one."""
    part = desk.part(match.at)
    determiner, rest = split_determiner(part.text)
    words = rest.split()
    before = COLOUR.search(" ".join(words[:-1]))
    if before:
        text = " ".join(words)
        text = f"{text[: before.start()]}{colour}{text[before.end() :]}"
    else:
        at = 0
        while at < len(words) - 1 and words[at].lower() in BEFORE_COLOUR:
            at += 1
        text = " ".join([*words[:at], colour, *words[at:]])
    return _described(desk, "recolour", match, _again(determiner, text), colour, f"make {part.text!r} {colour}")


def describe(desk: Desk, match: Match, adjective: str) -> Reading:
    """Say something more of a part: `a happy dog`."""
    part = desk.part(match.at)
    determiner, rest = split_determiner(part.text)
    new = _again(determiner, f"{adjective} {rest}")
    return _described(desk, "replace", match, new, new, f"replace {part.text!r} by {new!r}")


def resize(desk: Desk, match: Match, wish: tuple[str, int]) -> Reading:
    """Make a part bigger or smaller, by a step or to a named size."""
    part = desk.part(match.at)
    determiner, rest = split_determiner(part.text)
    words = rest.split()
    old = next((SIZES[word.lower()] for word in words[:-1] if word.lower() in SIZES), 2)
    how, value = wish
    if how == "step":
        new = {-1: min(1, old - 1), 1: max(3, old + 1)}[value]
    else:
        new = value
    size = SMALLER[max(0, min(4, new))]
    kept = [word for k, word in enumerate(words) if k == len(words) - 1 or word.lower() not in SIZES]
    said = f"make {part.text!r} {'bigger' if new < old else 'smaller'}"
    return _described(desk, "resize", match, _again(determiner, " ".join([size, *kept])), size, said)


def count(desk: Desk, match: Match, number: int, *, relative: bool = False) -> Reading:
    """Have `number` of a part, or with `relative` so many more.

    Raises:
        Asked: the prompt does not say how many there are, or the number makes no sense.
    """
    part = desk.part(match.at)
    there = part.number
    if there is None and not is_plural(part.head):
        there = 1
    if relative:
        if there is None:
            raise Asked(f"The prompt does not say how many {part.head!r} there are.")
        number += there
    if number == 0:
        return remove(desk, match)
    if not 0 < number <= 999:
        raise Asked(f"{number} is no number of things.")
    new = counted(number, split_determiner(part.text)[1])
    return _described(desk, "count", match, new, say_number(number), f"have {new!r} instead of {part.text!r}")


def _again(determiner: str, rest: str) -> str:
    """A determiner before other words."""
    return with_article(f"{determiner} {rest}") if determiner else " ".join(rest.split())


def _described(desk: Desk, kind: str, match: Match, new: str, value: str, said: str) -> Reading:
    part = desk.part(match.at)
    if part.text[:1].isupper() and part.start == 0:
        new = new[:1].upper() + new[1:]
    parts = put(desk.scene.parts, match.at, match.at + 1, [reword(part, new)])
    return desk.reading(kind, parts, said, span=(part.start, part.end), value=value, score=match.score)


def remove(desk: Desk, match: Match) -> Reading:
    """Take a part away, with what it is made of, what it wears and where it stands; the setting stays."""
    parts, at = desk.scene.parts, match.at
    target, span = desk.whole_group(at)
    end = _behind(desk, at)
    if at and parts[at - 1].kind == "thing" and parts[at].lead.lower() == "of" and parts[at - 1].determiner == "":
        at -= 1
    rest = list(parts[end:])
    first = at == 0 or (at == 1 and parts[0].kind == "style")
    if first:
        rest = _first(rest, parts[at])
        kept = [*parts[:at], *rest]
    else:
        kept = [*_closed(list(parts[:at]), parts[at]), *_inherit(rest, parts[at])]
    return desk.reading("remove", kept, f"remove {target!r}", span=span, score=match.score)


def _behind(desk: Desk, at: int) -> int:
    """Return the index behind a part and what goes with it: what it is made of, wears and does, and its spot."""
    parts = desk.scene.parts
    end = desk.scene.group(at)
    if parts[at].kind == "place":
        while end < len(parts) and parts[end].lead.lower() == "of":
            end += 1
    while end < len(parts) and (
        parts[end].kind == "spot"
        or (parts[end].kind == "manner" and not parts[end].text)
        or (parts[end].lead.lower() == "wearing")
        or (parts[end].lead.lower() == "with" and singular(parts[end].head) in WORN and at == 0)
    ):
        end += 1
    return end


def _first(rest: list[Part], gone: Part) -> list[Part]:
    """What follows becomes the beginning; where only a time or a style follows, the scene is empty."""
    if (
        rest
        and rest[0].kind in ("thing", "place", "backdrop")
        and not (rest[0].lead.startswith(",") and rest[0].kind != "thing")
    ):
        return [replace(rest[0], lead=gone.lead), *rest[1:]]
    return [reword(gone, EMPTY), *rest]


def _closed(kept: list[Part], gone: Part) -> list[Part]:
    """`a cat, a dog and a bird` without the bird is `a cat and a dog`."""
    if gone.lead.lower() == "and" and len(kept) > 1 and kept[-1].lead == "," and kept[-1].kind == "thing":
        kept[-1] = replace(kept[-1], lead="and")
    return kept


def _inherit(rest: list[Part], gone: Part) -> list[Part]:
    """`with a ball and a hat` without the ball is `with a hat`."""
    if rest and _HELD.fullmatch(gone.lead) and rest[0].kind == "thing":
        lead = rest[0].lead
        if lead.lower() in ("and", ","):
            return [replace(rest[0], lead=gone.lead), *rest[1:]]
        if lead.lower().startswith("and "):
            return [replace(rest[0], lead=lead[4:]), *rest[1:]]
    return rest


def add(desk: Desk, value: str) -> Reading:
    """Put something into the picture, nowhere in particular: beside what it is of, before where that is."""
    scene = desk.scene
    new = [with_article(part.text) for part in parse(value).parts if part.text]
    if not all(LISTED.fullmatch(part.lead) for part in parse(value).parts[1:]):
        new = [with_article(value)]
    at = next((k for k, part in enumerate(scene.parts) if part.kind in SETTING and k > 0), scene.tail())
    at = min(at, scene.tail())
    if scene.parts and scene.parts[0].kind == "backdrop":
        at, scene = 0, replace(scene, parts=(replace(scene.parts[0], lead="on"), *scene.parts[1:]))
    head, rest = list(scene.parts[:at]), scene.parts[at:]
    first = 1 if head and head[0].kind == "style" else 0
    listed = len(head) > first and all(
        part.kind == "thing" and (k == first or LISTED.fullmatch(part.lead))
        for k, part in enumerate(head)
        if k >= first
    )
    if (head and head[-1].text == EMPTY) or (len(head) == 0):
        head = head[:-1]
        made = [Part("thing", text, "and" if k else "") for k, text in enumerate(new)]
    else:
        made = [Part("thing", text, "and") for text in new]
    if listed or len(made) > 1:
        begin = first + 1 if listed else len(head) + 1
        whole = [*head, *made]
        head, made = (
            [replace(part, lead=",") if begin <= k < len(whole) - 1 else part for k, part in enumerate(whole)],
            [],
        )
    parts = [*head, *made, *rest]
    said = " and ".join(repr(text) for text in new)
    return desk.reading("add", parts, f"add {said}", value=" and ".join(new))


def add_at(desk: Desk, value: str, place: str, phrase: str) -> Reading:
    """Put something at a spot of the picture: `with a moon in the background`."""
    scene, at = desk.scene, desk.scene.tail()
    lead = "and" if any(part.lead.lower() == "with" for part in scene.parts[:at]) else "with"
    new = with_article(value)
    parts = put(scene.parts, at, at, [Part("thing", f"{new} {phrase}", lead)])
    return desk.reading("add", parts, f"add {new!r} {phrase}", value=new, place=place)


def add_beside(desk: Desk, value: str, relation: str, match: Match) -> Reading:
    """Put something on, under, next to … a thing that is there."""
    scene, at = desk.scene, match.at
    anchor, new = desk.part(at), with_article(value)
    free = at == 0 or LISTED.fullmatch(anchor.lead) or scene.parts[at - 1].kind == "style"
    if not free or anchor.kind != "thing":
        lead = "and" if anchor.kind == "thing" else "with"
        said = Part("thing", f"{new} {relation} {definite(anchor)}", lead)
        parts = put(scene.parts, scene.tail(), scene.tail(), [said])
    elif relation in MUTUAL:
        end = scene.group(at)
        parts = put(scene.parts, end, end, [Part("thing", new, relation)])
    else:
        text = anchor.text[:1].lower() + anchor.text[1:] if at == 0 else anchor.text
        parts = put(
            scene.parts, at, at + 1, [Part("thing", new, anchor.lead), replace(anchor, lead=relation, text=text)]
        )
    said_so = f"add {new!r} {relation} {anchor.text!r}"
    place = RELATIONS.get(relation, "")
    return desk.reading("add", parts, said_so, value=new, place=place, score=match.score, anchor=at)


def is_worn(value: str) -> bool:
    """Whether words name something to wear: `a red hat`, `glasses`; a glass is not."""
    rest = split_determiner(value)[1].lower().split(" of ")[0].split()
    one = singular(rest[-1]) if rest else ""
    return one in WORN and (one not in ("glass", "shade", "short", "pant") or rest[-1] != one)


def give(desk: Desk, match: Match, value: str) -> Reading:
    """Give a thing something to wear or to have."""
    scene, at = desk.scene, match.at
    new = with_article(value)
    worn = is_worn(value)
    lead = "wearing" if worn else "with"
    end = scene.group(at)
    while end < len(scene.parts) and scene.parts[end].lead.lower() in ("wearing", "with", "and wearing"):
        lead = "and" if scene.parts[end].lead.lower().endswith(lead) else f"and {lead}" if worn else "and"
        end += 1
    parts = put(scene.parts, end, end, [Part("thing", new, lead)])
    said = f"add {new!r} to {desk.part(at).text!r}"
    return desk.reading("add", parts, said, value=new, score=match.score, anchor=at)


def move(desk: Desk, match: Match, place: str, phrase: str) -> Reading:
    """Put a thing at another spot of the picture."""
    scene = desk.scene
    end = scene.group(match.at)
    target, span = desk.whole_group(match.at)
    stop = end
    while stop < len(scene.parts) and scene.parts[stop].kind == "spot":
        old = SPOTS.get(split_determiner(scene.parts[stop].text)[1].split()[0].lower(), ("", ""))[0]
        if (old in _DEPTH) == (place in _DEPTH) or "centre" in (old, place):
            break
        stop += 1
    gone = stop < len(scene.parts) and scene.parts[stop].kind == "spot"
    lead, _, text = phrase.partition(" ")
    parts = put(scene.parts, stop if gone else end, stop + 1 if gone else end, [Part("spot", text, lead)])
    return desk.reading(
        "move", parts, f"move {target!r} to the {place}", span=span, value=phrase, place=place, score=match.score
    )


def move_beside(desk: Desk, match: Match, relation: str, anchor: Match) -> Reading:
    """Put a thing next to, on, under … another one that is there."""
    target, span = desk.whole_group(match.at)
    text = desk.part(anchor.at).text
    without = remove(desk, match).after
    there = Desk(parse(without), desk.embed)
    again = add_beside(there, target, relation, there.find(text))
    parts = parse(again.after).parts
    said = f"move {target!r} {relation} {text!r}"
    return desk.reading(
        "move", parts, said, span=span, value=relation, place=RELATIONS.get(relation, ""), score=match.score,
        anchor=anchor.at,
    )  # fmt: skip


def background(desk: Desk, lead: str, words: str, at: int | None = None, score: float = 1.0) -> Reading:
    """Put the picture in another setting, or on another backdrop; part `at` gives way, or the setting there is."""
    scene = desk.scene
    keep = at is not None
    if at is None:
        at = next((k for k, part in enumerate(scene.parts) if part.kind in ("backdrop", "place") and k > 0), None)
    if at is None and scene.parts and scene.parts[0].kind in ("backdrop", "place"):
        at = 0
    said = f"change the background to {words!r}"
    kind = "backdrop" if words.endswith("background") else "place"
    if at is None and kind == "backdrop":  # a night sky is a time in words, and the background in the picture
        at = next((k for k, part in enumerate(scene.parts) if k and part.kind == "time" and part.head in SKIES), None)
    if at is None:
        end = next((k for k, part in enumerate(scene.parts) if part.kind == "time" and k > 0), scene.tail())
        end = min(end, scene.tail())
        parts = put(scene.parts, end, end, [Part(kind, words, lead)])
        return desk.reading("background", parts, said, value=words, score=score)
    old = scene.parts[at]
    end = at + 1
    while not keep and end < len(scene.parts) and scene.parts[end].lead.lower() == "of":
        end += 1
    target = scene.span(at, end)
    if old.lead.startswith(",") and kind == "backdrop" and not old.determiner:
        new = Part(kind, split_determiner(words)[1], old.lead)
    else:
        new = Part(kind, words, _lead(old, lead, kind) if at and old.lead else "")
    return desk.reading("background", put(scene.parts, at, end, [new]), said, span=target, value=words, score=score)


def _lead(old: Part, lead: str, kind: str) -> str:
    """What connects a new setting: what the thing does there stays, `walking through` a desert, `walking on` blue."""
    first, _, rest = old.lead.partition(" ")
    if first.lower().endswith("ing") and rest:
        return old.lead if kind == "place" and rest == "through" else f"{first} {lead}".strip()
    return lead


def relight_time(desk: Desk, phrase: str) -> Reading:
    """Make it another time of day, season or weather."""
    scene = desk.scene
    said = f"show the whole picture {phrase}"
    sort = _sort(phrase)
    lead, _, text = phrase.partition(" ")
    new = Part("time", text, lead)
    for k, part in enumerate(scene.parts):
        if part.kind == "time" and _sort(part.text.lower()) == sort:
            start = scene.text.lower().rfind(part.lead.lower(), 0, part.start) if part.lead not in ("", ",") else -1
            span = (start if start >= 0 else part.start, part.end)
            first = "" if k == 0 else part.lead if part.lead == "," else lead
            made = replace(new, lead=first) if k else reword(part, f"an empty scene {phrase}")
            return desk.reading(
                "relight", put(scene.parts, k, k + 1, [made]), said, span=span, value=phrase, whole=True
            )
    for k, part in enumerate(scene.parts):
        if part.kind == "backdrop" and k:
            parts = put(scene.parts, k, k + 1, [new])
            return desk.reading("relight", parts, said, span=(part.start, part.end), value=phrase, whole=True)
    at = scene.tail()
    return desk.reading("relight", put(scene.parts, at, at, [new]), said, value=phrase, whole=True)


def _sort(phrase: str) -> str:
    return "day" if _DAY.match(phrase) else "season" if _SEASON.match(phrase) else "weather"


def relight(desk: Desk, words: str) -> Reading:
    """Give the whole picture another light or mood."""
    scene = desk.scene
    said = f"give the whole picture {words!r}"
    for k, part in enumerate(scene.parts):
        if part.kind == "light" and k:
            lead = part.lead if part.lead.startswith(",") else ","
            new = Part("light", words, lead)
            parts = put(scene.parts, k, k + 1, [new])
            return desk.reading("relight", parts, said, span=(part.start, part.end), value=words, whole=True)
    at = len(scene.parts)
    while at > 1 and scene.parts[at - 1].kind == "quality":
        at -= 1
    return desk.reading("relight", put(scene.parts, at, at, [Part("light", words, ",")]), said, value=words, whole=True)


def restyle(desk: Desk, suffix: str, prefix: str) -> Reading:
    """Draw the whole picture in another style: said at the prompt's beginning where one is, else behind a comma."""
    scene = desk.scene
    said = f"draw the whole picture as {suffix!r}"
    for k, part in enumerate(scene.parts):
        if part.kind != "style":
            continue
        span = (part.start, part.end)
        parts = list(scene.parts)
        if k == 0 and prefix:
            parts[0] = reword(part, prefix)
        elif k == 0 and len(parts) > 1:
            parts = [replace(parts[1], lead=""), *parts[2:]]
            return desk.reading("restyle", _with_style(parts, suffix), said, span=span, value=suffix, whole=True)
        else:
            parts[k] = Part("style", suffix, ",")
        return desk.reading("restyle", parts, said, span=span, value=suffix, whole=True)
    return desk.reading("restyle", _with_style(list(scene.parts), suffix), said, value=suffix, whole=True)


def _with_style(parts: list[Part], suffix: str) -> list[Part]:
    at = len(parts)
    while at > 1 and parts[at - 1].kind in ("quality", "light"):
        at -= 1
    return put(parts, at, at, [Part("style", suffix, ",")])


def number_in(words: str) -> int | None:
    """Return the number that words begin with or are, or None."""
    determiner, rest = split_determiner(words)
    return number_of(determiner) if determiner else number_of(rest)
