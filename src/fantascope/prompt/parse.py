"""The parts of a prompt: its things, places, times, styles and lights, each with its place in the text.

A prompt is cut at commas and at the words that connect (`with`, `on`, `next to`, `walking through`, …). What lies
between two cuts is a part: a determiner, some words, the last of which names it. Rendering the parts again gives the
prompt with single blanks; a part that was not touched keeps its spelling.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fantascope.prompt.english import number_of, split_determiner
from fantascope.prompt.lexicon import (
    BARE_PLACES,
    BEFORE_COLOUR,
    COLOUR,
    CONNECTORS,
    DETERMINER,
    FREE_STYLES,
    LIGHTS,
    MANNERS,
    MEDIA,
    MOODS,
    NOT_PARTICIPLE,
    PLACES,
    QUALITY,
    SPOTS,
    STYLES,
    TIMES,
)

TAIL = frozenset(("style", "light", "quality", "backdrop", "time", "place"))
"""Kinds that behind a comma belong to the whole picture."""

SETTING = frozenset(("place", "backdrop", "time"))
LISTED = re.compile(r",|and|, and|&", re.IGNORECASE)

_STYLE = re.compile("|".join(f"(?:{pattern})" for pattern in STYLES), re.IGNORECASE)
_TIMES = frozenset((*TIMES, *TIMES.values(), "night sky", "stars", "in the dark"))
_WORD = re.compile(r"[^\s,]+")
_SCENIC = re.compile(
    r"(?:.*\b)?(?:in|on|at|by|through|across|under|against|into|inside|over|to|from|along)", re.IGNORECASE
)


@dataclass(frozen=True)
class Part:
    """A piece of a prompt.

    Attributes:
        kind: thing | place | backdrop | spot | time | manner | style | light | quality.
        text: The words, as written, without what connects them to the part before.
        lead: What connects: `,`, `and`, `on`, `walking through` …; empty for the first.
        start, end: Half-open range of characters in the prompt; 0, 0 for a part that was put in.
    """

    kind: str
    text: str
    lead: str = ""
    start: int = 0
    end: int = 0

    @property
    def determiner(self) -> str:
        """`a`, `the`, `two`, `a group of` …, in lower case, or nothing."""
        return split_determiner(self.text)[0]

    @property
    def words(self) -> tuple[str, ...]:
        """The words behind the determiner, in lower case."""
        return tuple(split_determiner(self.text)[1].lower().split())

    @property
    def head(self) -> str:
        """The word that names it."""
        return self.words[-1] if self.words else ""

    @property
    def number(self) -> int | None:
        """How many there are, where the words say it."""
        return number_of(self.determiner)


@dataclass(frozen=True)
class Scene:
    """A prompt in parts; `ending` is the punctuation behind the last."""

    text: str
    parts: tuple[Part, ...]
    ending: str = ""

    def things(self) -> list[int]:
        """Indices of what the picture is of; what a place is made of (`a field of roses`) is left out."""
        return [
            k
            for k, part in enumerate(self.parts)
            if part.kind == "thing"
            and not (part.lead.lower() == "of" and k and self.parts[k - 1].kind in ("place", "thing"))
        ]

    def group(self, at: int) -> int:
        """Return the index behind part `at` and what it is made of: `a bowl of apples` is one thing."""
        end = at + 1
        if self.parts[at].kind == "thing":
            while end < len(self.parts) and self.parts[end].lead.lower() == "of":
                end += 1
        return end

    def tail(self) -> int:
        """Return the index of the first part behind which there are only style, light and backdrop."""
        at = len(self.parts)
        while at > 1 and _closes(self.parts[at - 1]):
            at -= 1
        return at

    def span(self, at: int, end: int = 0) -> tuple[int, int]:
        """Return the characters that parts `at` … `end - 1` take."""
        return self.parts[at].start, self.parts[(end or at + 1) - 1].end

    def with_parts(self, parts: Sequence[Part]) -> str:
        """Return the prompt that these parts make."""
        text = ""
        for part in parts:
            lead = part.lead if text else ""
            if lead.startswith(","):
                text, lead = text + ",", lead[1:].strip()
            text = " ".join(piece for piece in (text, lead, part.text) if piece)
        first = self.text.lstrip()[:1]
        if first.isupper() and not self.text.isupper():
            text = text[:1].upper() + text[1:]
        return text + self.ending


def parse(prompt: str) -> Scene:
    """Cut a prompt into parts.

    Example:
        >>> [(part.kind, part.lead, part.text) for part in parse("a cat on a red chair, pixel art").parts]
        [('thing', '', 'a cat'), ('thing', 'on', 'a red chair'), ('style', ',', 'pixel art')]
    """
    body = prompt.rstrip()
    ending = re.sub(r"[^.!?]", "", body[len(body.rstrip(".!?;, ")) :])
    body = body.rstrip(".!?;, ")
    parts: list[Part] = []
    for lead, start, end in _cuts(body):
        text = body[start:end]
        medium = not parts and MEDIA.match(body) is not None
        parts.append(Part("style" if medium else _kind(text, lead, first=not parts), text, lead, start, end))
    return Scene(prompt, tuple(parts), ending)


def _closes(part: Part) -> bool:
    """Whether a part at the end says something of the whole picture rather than of what is in it."""
    if part.kind in ("style", "light", "quality"):
        return True
    return part.lead.startswith(",") and part.kind in TAIL


def _cuts(body: str) -> Iterator[tuple[str, int, int]]:
    """Yield (lead, start, end) of every part."""
    lead, start, at = "", 0, 0
    medium = MEDIA.match(body)
    if medium:
        yield "", medium.start(), medium.end()
        lead, at = "of", body.index("of", medium.end()) + 2
    at = start = _blank(body, at)
    fresh = True
    while at < len(body):
        if fresh and lead.startswith(","):
            close = body.find(",", at) % (len(body) + 1)
            if _whole(body[at:close]):
                at, fresh = close, False
                continue
        end = _connector(body, at, fresh, body[start:at])
        if end == at:
            word = _WORD.match(body, at)
            skip = DETERMINER.match(body, at) if at == start else None
            at = _blank(body, max(word.end() if word else at + 1, skip.end() if skip else 0))
            fresh = False
            continue
        if body[start:at].strip():
            yield lead, start, start + len(body[start:at].rstrip())
            lead = ""
        lead = _joined(lead, body[at:end])
        at = start = _blank(body, end)
        fresh = True
    if body[start:].strip() or lead:
        yield lead, start, len(body)


def _whole(piece: str) -> bool:
    """Whether what stands between two commas is one part, whatever words it has: `warm and inviting`."""
    low = piece.strip().lower()
    moods = low.split()
    return low.startswith("in the style of ") or (
        len(moods) > 1 and moods[-1] in MOODS and all(word in MOODS or word == "and" for word in moods)
    )


def _joined(lead: str, more: str) -> str:
    """Two connectors in a row: `, and`, `and holding`."""
    words = " ".join(more.split())
    return lead if lead and words == "," else f"{lead} {words}".strip()


def _blank(body: str, at: int) -> int:
    while at < len(body) and body[at].isspace():
        at += 1
    return at


def _connector(body: str, at: int, fresh: bool, before: str) -> int:
    """Return where the connector at `at` ends, or `at` if none stands there."""
    if body[at] == ",":
        return at + 1
    if before.strip() and COLOUR.fullmatch(split_determiner(before)[1]) and _colour_goes_on(body, at):
        return at
    match = CONNECTORS.match(body, at)
    word = _WORD.match(body, at)
    first = word.group().lower().rstrip(".;") if word else ""
    if first.endswith("ing") and not _participle(first, fresh, before):
        return at
    if match:
        return match.end()
    if word and first.endswith("ing"):
        follows = re.compile(r"\s+\w+ly(?=\s)").match(body, word.end())
        return follows.end() if follows else word.end()
    return at


def _colour_goes_on(body: str, at: int) -> bool:
    """`red and white`: the `and` joins two colours of one thing."""
    match = re.compile(r"(?:and|&) ", re.IGNORECASE).match(body, at)
    colour = match and COLOUR.match(body, match.end())
    return bool(colour and body[colour.end() : colour.end() + 1] == " ")


def _participle(word: str, fresh: bool, before: str) -> bool:
    """Whether a word in -ing says what the thing before it does, rather than naming or describing one."""
    if word in NOT_PARTICIPLE or len(word) < 5:
        return False
    if fresh:
        return not before.strip()
    words = split_determiner(before)[1].lower().split()
    described = words and (words[-1] in BEFORE_COLOUR or bool(COLOUR.fullmatch(words[-1])))
    return bool(words) and not described and DETERMINER.fullmatch(before.strip()) is None


def _kind(text: str, lead: str, first: bool) -> str:
    """Say what a piece is from its words and what stands before it."""
    low = " ".join(text.lower().split())
    rest = split_determiner(low)[1]
    head = rest.split()[-1] if rest else ""
    comma = lead.startswith(",") and lead in (",", ", in")
    if not rest or (low in MANNERS and not comma and lead):
        return "manner"
    if head in ("background", "backdrop") and rest != head:
        return "backdrop"
    if head in ("gradient",):
        return "backdrop"
    scenic = _SCENIC.fullmatch(lead) is not None
    if (scenic or comma) and (rest in SPOTS or rest in ("left side", "right side")):
        return "spot"
    if (scenic or comma) and (rest in _TIMES or low in _TIMES):
        return "time"
    tail = _tail_kind(low, rest, comma or (scenic and lead == "in"))
    if tail:
        return tail
    if (comma or scenic) and (head in PLACES or low in BARE_PLACES):
        return "place"
    return "thing"


def _tail_kind(low: str, rest: str, asked: bool) -> str:
    """Style, light or quality, for what stands behind a comma or `in`."""
    if not asked:
        return ""
    last = rest.split()[-1]
    if _STYLE.fullmatch(rest) or last == "style" or low in FREE_STYLES or "the style of" in low:
        return "style"
    if last in ("art", "painting", "drawing", "print", "render") and len(rest.split()) <= 3:
        return "style"
    if last in ("light", "lighting", "mood", "atmosphere", "lights") or low == "the dark" or rest in LIGHTS:
        return "light"
    if all(word in MOODS or word == "and" for word in rest.split()):
        return "light"
    return "quality" if QUALITY.fullmatch(rest) else ""


def noun_parts(value: str) -> list[Part]:
    """Return the parts of a phrase from an instruction."""
    return list(parse(value).parts)
