"""The anatomy of a prompt: subject, medium, style, artist, website, resolution, details, colour and lighting.

A prompt is a subject and, behind commas, what else is said of the picture. `dissect` says which words are which part;
`parse_anatomy` gives them as a value; `Anatomy.prompt` writes that value in one canonical form, which reads as the same
value again. The words of the parts are data (anatomy.toml); artists are handed in, since it is policy that says whose
works are free.

Source: the nine keyword classes that guides to prompting share (subject, medium, style, artist, website, resolution,
additional details, colour, lighting): a checklist, of which nothing but the subject is required.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from fantascope.errors import InvalidValue, UnknownName
from fantascope.prompt.english import article
from fantascope.prompt.lexicon import COLOUR

PARTS = ("subject", "medium", "style", "artist", "website", "resolution", "details", "colour", "lighting")
"""The parts, in the order that guides list them in."""

WRITTEN = ("style", "artist", "lighting", "colour", "details", "resolution", "website")
"""The order in which what stands behind the subject is written."""

JUDGED = ("website", "resolution", "lighting", "colour", "medium", "style", "details")
"""The order in which the tables of the parts are asked whose a phrase is."""

_BY = re.compile(
    r"(?:(?:painted|drawn|made|illustrated) )?(?:by|in the style of|in the manner of|after|à la) (.+)", re.I
)
_NOBODY = re.compile(
    r"(?i:an?|the|some|his|her|its|their|my|our|your|this|that|one|two|three|four|several|many) (?![A-Z])"
    r"|(?i:night|day|hand|land|sea|water|air|road|rail|train|tram|bus|car|boat|ship|plane|bike|bicycle|foot|rain|dark)$"
)
"""What is no name behind `by` or `after`: `the sea` (but `the Brothers Grimm` is one), `night`, `train`."""

_SITE = re.compile(r"(?:(?:trending|featured|popular|posted|seen) on|from|on) (.+)", re.I)
_OF = re.compile(r"\s+of\s+(?=\S)", re.I)
_TAIL = re.compile(r"\s+(?=(?:in|by|at|under|with|on|painted|drawn|illustrated|trending)\s)", re.I)
_UNCOUNTED = (
    "art",
    "origami",
    "oil",
    "ink",
    "charcoal",
    "gouache",
    "acrylic",
    "canvas",
    "glass",
    "embroidery",
    "claymation",
)
_JOINING = frozenset(("of", "by", "on", "with", "at", "and", "under", "from", "a", "an"))
_OPEN, _CLOSE = "([{<", ")]}>"


@dataclass(frozen=True)
class Words:
    """What belongs to one part: the question it answers, terms that are offered, others that are recognised, last words
    that make any phrase this part, and where all that comes from."""

    says: str
    source: str
    terms: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Piece:
    """A stretch of a prompt and the part that it is; `inside` says that it lies in a piece of another part."""

    part: str
    text: str
    start: int
    end: int
    inside: bool = False


@dataclass(frozen=True)
class Anatomy:
    """A prompt in its parts. The subject is kept word for word; every other part is a list of phrases without commas.

    Raises:
        InvalidValue: a phrase is empty or holds a comma or a line feed.
    """

    subject: str = ""
    medium: tuple[str, ...] = ()
    style: tuple[str, ...] = ()
    artist: tuple[str, ...] = ()
    website: tuple[str, ...] = ()
    resolution: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    colour: tuple[str, ...] = ()
    lighting: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for part in PARTS[1:]:
            for phrase in self.of(part):
                if list(_segments(phrase)) != [(0, len(phrase))]:
                    raise InvalidValue(
                        f"A phrase of {part} is words without a comma or a stop behind them, not {phrase!r}.",
                        param=part,
                    )

    def of(self, part: str) -> tuple[str, ...]:
        """Return the phrases of a part; the subject alone, or nothing."""
        if part not in PARTS:
            raise UnknownName("part", part, PARTS, param="part")
        value: str | tuple[str, ...] = getattr(self, part)
        return ((value,) if value else ()) if isinstance(value, str) else value

    def missing(self) -> tuple[str, ...]:
        """Return the parts that nothing is said of; a subject that names a colour says one."""
        return tuple(
            part for part in PARTS if not self.of(part) and not (part == "colour" and COLOUR.search(self.subject))
        )

    def without(self, part: str) -> Anatomy:
        """Return the anatomy with one part left out."""
        empty: Any = "" if part == "subject" else ()
        return replace(self, **{part: empty})

    def adding(self, part: str, *phrases: str) -> Anatomy:
        """Return the anatomy with more phrases in one part."""
        more: Any = (*self.of(part), *phrases)
        return replace(self, **{part: more})

    def prompt(self) -> str:
        """Write the prompt: `MEDIUM of SUBJECT, style, by artist, lighting, colour, details, resolution, website`.

        Example:
            >>> Anatomy("a cat", medium=("oil painting",), lighting=("warm light",)).prompt()
            'an oil painting of a cat, warm light'
        """
        medium, more = self.medium[:1], self.medium[1:]
        if self.subject:
            head = [f"{_some(medium[0])} of {self.subject}" if medium else self.subject]
        else:
            head = [*medium]
        tail = [*more]
        for part in WRITTEN:
            tail += [f"by {name}" if part == "artist" else name for name in self.of(part)]
        return ", ".join([*head, *tail])


def _some(medium: str) -> str:
    """A medium with its article, where it takes one: `an oil painting`, `pixel art`."""
    return medium if medium.lower().split()[-1] in _UNCOUNTED else article(medium)


@dataclass(frozen=True)
class Lexicon:
    """The words of every part, and whose works are free: `artists` may be offered."""

    parts: dict[str, Words]
    artists: tuple[str, ...] = ()
    _known: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for part in reversed(JUDGED):
            for term in (*self.parts[part].terms, *self.parts[part].also):
                self._known[term] = part

    def offered(self, part: str) -> tuple[str, ...]:
        """Return the terms that are offered for a part."""
        if part not in self.parts:
            raise UnknownName("part", part, PARTS, param="part")
        return self.artists if part == "artist" else self.parts[part].terms

    def part_of(self, phrase: str) -> str:
        """Return the part that a phrase behind a comma is; nothing where the tables do not say."""
        low = " ".join(phrase.lower().split())
        bare = re.sub(r"^(?:in|with|an?|the|some|very) ", "", re.sub(r"^(?:in|with) ", "", low))
        for words in (low, bare):
            if words in self._known:
                return self._known[words]
        site = _SITE.fullmatch(low)
        if site and self._known.get(site[1]) == "website":
            return "website"
        by = _BY.fullmatch(" ".join(phrase.split()))
        if by:
            name = by[1].lower()
            if self._known.get(name.removeprefix("the ")) in ("style", "medium"):
                return "style"
            lit = self._known.get(name) == "lighting"
            return "lighting" if lit else "" if _NOBODY.match(by[1]) else "artist"
        last = bare.split()[-1] if bare else ""
        ends = next((part for part in JUDGED if last in self.parts[part].ends), "")
        if ends and (_JOINING & set(bare.split()) or len(bare.split()) > 4):
            return ""
        return ends or ("colour" if COLOUR.fullmatch(bare) and bare not in ("gold", "silver", "orange") else "")


@lru_cache(maxsize=8)
def read_lexicon(artists: tuple[str, ...] = ()) -> Lexicon:
    """Read anatomy.toml.

    Args:
        artists: Names that may be offered: policy says which.
    """
    rows = tomllib.loads(Path(__file__).with_name("anatomy.toml").read_text("utf-8"))
    parts = {
        part: Words(row["says"], row["source"], *(tuple(row.get(key, ())) for key in ("terms", "also", "ends")))
        for part, row in rows.items()
    }
    return Lexicon({part: parts[part] for part in PARTS}, artists)


def dissect(prompt: str, lexicon: Lexicon | None = None) -> tuple[Piece, ...]:
    """Say which words of a prompt are which part, in their order; colours in the subject come as pieces inside it.

    Example:
        >>> [(p.part, p.text) for p in dissect("an oil painting of a red cat, warm light")]
        [('medium', 'oil painting'), ('subject', 'a red cat'), ('colour', 'red'), ('lighting', 'warm light')]
    """
    words = read_lexicon() if lexicon is None else lexicon
    found: list[Piece] = []
    named = False
    for start, end in _segments(prompt):
        part = words.part_of(prompt[start:end])
        if part:
            found.append(_piece(part, prompt, *_bare(part, prompt, start, end, words)))
            continue
        if named:
            found.append(_piece("details", prompt, start, end))
            continue
        found.extend(_subject(prompt, start, end, words))
        named = any(piece.part == "subject" for piece in found)
    return tuple(found)


def parse_anatomy(prompt: str, lexicon: Lexicon | None = None) -> Anatomy:
    """Return a plain prompt as its parts."""
    pieces = [piece for piece in dissect(prompt, lexicon) if not piece.inside]
    parts: dict[str, list[str]] = {field.name: [] for field in fields(Anatomy)}
    for piece in pieces:
        parts[piece.part].append(" ".join(piece.text.split()))
    subject = parts.pop("subject")
    return Anatomy(subject[0] if subject else "", **{part: tuple(dict.fromkeys(each)) for part, each in parts.items()})


def _piece(part: str, prompt: str, start: int, end: int, inside: bool = False) -> Piece:
    return Piece(part, prompt[start:end], start, end, inside)


def _segments(prompt: str) -> Iterator[tuple[int, int]]:
    """Yield what stands between commas and line feeds outside brackets, without blanks and closing stops."""
    start, inside = 0, _inside(prompt)
    for at, char in enumerate(prompt + ","):
        if at < len(prompt) and not (char in ",\n" and not inside[at]):
            continue
        left, right = start, at
        while left < right and (prompt[left].isspace() or prompt[left] in ",;"):
            left += 1
        while right > left and (prompt[right - 1].isspace() or prompt[right - 1] in ".;,"):
            right -= 1
        if left < right:
            yield left, right
        start = at + 1


def _inside(prompt: str) -> list[bool]:
    """Say of every character whether it stands in brackets that are closed."""
    inside, opened = [False] * len(prompt), list[int]()
    for at, char in enumerate(prompt):
        if char in _OPEN:
            opened.append(at)
        elif char in _CLOSE:
            while opened and _OPEN.index(prompt[opened[-1]]) != _CLOSE.index(char):
                opened.pop()
            if opened:
                since = opened.pop()
                inside[since : at + 1] = [True] * (at + 1 - since)
    return inside


def _bare(part: str, prompt: str, start: int, end: int, lexicon: Lexicon) -> tuple[int, int]:
    """Leave out what only joins a phrase: `by` before an artist, the article before a medium."""
    text = prompt[start:end]
    match = (
        _BY.fullmatch(text)
        if part == "artist"
        else re.fullmatch(r"(?:an? +)+(.+)", text, re.I)
        if part == "medium"
        else None
    )
    return (start + match.start(1), end) if match else (start, end)


def _subject(prompt: str, start: int, end: int, lexicon: Lexicon) -> Iterator[Piece]:
    """Cut a medium off the front of the segment that holds the subject, and what joins on off its end."""
    inside = _inside(prompt)
    for match in _OF.finditer(prompt, start, end):
        if inside[match.start()]:
            break
        left, right = _bare("medium", prompt, start, match.start(), lexicon)
        if lexicon.part_of(prompt[left:right]) in ("medium",):
            yield _piece("medium", prompt, left, right)
            start = match.end()
        break
    tail: list[Piece] = []
    while cut := _cut(prompt, start, end, lexicon):
        tail.insert(0, cut[0])
        end = cut[1]
    part = lexicon.part_of(prompt[start:end])
    if part:
        yield _piece(part, prompt, *_bare(part, prompt, start, end, lexicon))
        yield from tail
        return
    yield _piece("subject", prompt, start, end)
    for match in COLOUR.finditer(prompt[start:end]):
        yield _piece("colour", prompt, start + match.start(), start + match.end(), inside=True)
    yield from tail


def _cut(prompt: str, start: int, end: int, lexicon: Lexicon) -> tuple[Piece, int] | None:
    """Cut the last phrase off a subject if it is another part: `in warm light`, `by Claude Monet`, `at night`."""
    inside = _inside(prompt)
    for match in reversed(list(_TAIL.finditer(prompt, start, end))):
        text = prompt[match.end() : end]
        part = "" if inside[match.start()] else lexicon.part_of(text)
        if (
            part in ("medium", "style", "artist", "website", "lighting", "resolution")
            and prompt[start : match.start()].strip()
        ):
            left, right = _bare(part, prompt, match.end(), end, lexicon)
            if (
                part in ("medium", "style", "lighting")
                and text.lower().startswith("in ")
                and text.lower() not in lexicon._known
            ):
                left += 3
            return _piece(part, prompt, left, right), match.start()
    return None
