"""Phrases: words in order, found in a text however it is spelled.

A text is folded before the search, and only for it: compatibility forms (full width, mathematical letters), combining
marks, zero-width characters and look-alike letters of other scripts become plain ones (after Unicode TR 36 and 39).
Then it is cut into words twice: as written, and with letters set apart (`n.u.d.e`, `n u d e`) joined and digits that
stand for letters read as letters. Every word keeps its place in the original text: a match names words that are there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

USUAL = 40
"""Letters of a word that is worth remembering."""

GAP, WIDE_GAP = 4, 12
"""How many words `...` and `......` may skip."""

_LOOKALIKES = str.maketrans(
    "аеорсухіјѕԁһӏвкмнтгпαβεικνορτυχγηωłøđıħŀ’‘ʼ",
    "aeopcyxijsdhlbkmhtrnabeikvoptuxynwlodihl'''",
)
_APART = str.maketrans("/.-", "   ")
_LEET = str.maketrans("0134578@$!|", "oleasbbasii")
_LEET_I = str.maketrans("0134578@$!|", "oieastbasil")
LEET_TABLES = (_LEET, _LEET_I)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_CHUNK = re.compile(r"[^\s,;:()\[\]{}\"<>/\\]+")
_STOP = re.compile(r"[.;!?\n]")
_PATTERN = re.compile(r"\{[^{}]*\}|<\w+>|\.{6}|\.{3}|=?[^\s{}<>=]+")
_RUN = re.compile(r"(.)\1{2,}")


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text: its first spelling, what phrases may call it, its place, and whether a sentence ends behind it.

    `keys` holds the base forms it may be an inflection of, and `=` before every spelling it may stand for.
    """

    word: str
    keys: frozenset[str]
    start: int
    end: int
    stop: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A match: half-open range of characters in the original text."""

    start: int
    end: int


class Cover:
    """The characters of a text that some spans lie on: asking costs the span's length, however many there are."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._marks = bytearray()
        for span in spans:
            self.add(span)

    def add(self, span: Span) -> None:
        """Lay a span on the text."""
        self._marks.extend(bytes(max(0, span.end - len(self._marks))))
        self._marks[span.start : span.end] = b"\1" * (span.end - span.start)

    def touches(self, span: Span) -> bool:
        """Tell whether a span shares a character with one that was added."""
        return self._marks.find(1, span.start, span.end) >= 0


T = TypeVar("T")

Choice = Mapping[str, tuple[tuple[str, ...], ...]]
Element = Choice | int
"""Alternatives by first word, each a sequence of words; or a gap: words to skip at most, negative across sentences."""

Phrase = tuple[Element, ...]


def fold(text: str) -> tuple[str, Sequence[int]]:
    """Return the folded text and, for each of its characters, the place in `text` it comes from."""
    if text.isascii():
        return text.lower(), range(len(text))
    chars: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        plain = _plain(char)
        chars.append(plain)
        places += [place] * len(plain)
    return "".join(chars), places


@lru_cache(maxsize=8192)
def _plain(char: str) -> str:
    parts = unicodedata.normalize("NFKD", char).casefold().translate(_LOOKALIKES)
    return "".join(part for part in parts if unicodedata.category(part) not in ("Mn", "Me", "Cf"))


def tokenise(text: str) -> tuple[list[Token], list[Token]]:
    """Return the words of a text as written, and as read through spacing, separators and digits for letters."""
    folded, places = fold(text)
    plain = [_token(folded, places, m.start(), m.end(), _as_written(m.group())) for m in _WORD.finditer(folded)]
    return plain, list(_joined(folded, places))


Spelled = tuple[str, frozenset[str]]
"""The first spelling of a word, and the keys of all (see `Token`)."""


def _token(folded: str, places: Sequence[int], start: int, end: int, spelled: Spelled) -> Token:
    stop = _STOP.search(folded, end, end + 2) is not None
    return Token(*spelled, places[start], places[end - 1] + 1, stop)


def _spelled(spellings: Iterable[str]) -> Spelled:
    forms = dict.fromkeys(spellings)
    keys = {"=" + form for form in forms}.union(*(bases(form) for form in forms))
    return next(iter(forms), ""), frozenset(keys)


def _once(spell: Callable[[str], Spelled]) -> Callable[[str], Spelled]:
    """Remember what words of usual length are: a text repeats its words."""
    known = lru_cache(maxsize=8192)(spell)
    return lambda word: known(word) if len(word) <= USUAL else spell(word)


@_once
def _as_written(word: str) -> Spelled:
    return _spelled(_forms(word))


@_once
def _as_read(chunk: str) -> Spelled:
    return _spelled(_read(chunk))


def _forms(word: str) -> Iterator[str]:
    yield word
    if "'" in word:
        yield word.replace("'", "")
        yield word.split("'")[0]
    if _RUN.search(word):
        yield _RUN.sub(r"\1", word)
        yield _RUN.sub(r"\1\1", word)


def _joined(folded: str, places: Sequence[int]) -> Iterator[Token]:
    """Chunks without the marks inside; three or more single letters in a row become one word."""
    run: list[tuple[int, int]] = []
    for match in _CHUNK.finditer(folded):
        start, end = _trimmed(folded, *match.span())
        if start == end:
            continue
        if end - start == 1:
            if run and folded[run[-1][1] : start].isspace() and start - run[-1][1] > 1:
                yield from _merge(folded, places, run)
                run = []
            run.append((start, end))
            continue
        yield from _merge(folded, places, run)
        run = []
        yield _token(folded, places, start, end, _as_read(folded[start:end]))
    yield from _merge(folded, places, run)


def _trimmed(folded: str, start: int, end: int) -> tuple[int, int]:
    """Leave out marks at both ends; `@` and `$` may be a first letter, and a chunk without a letter keeps its end."""
    while start < end and not (folded[start].isalnum() or folded[start] in "_@$"):
        start += 1
    last = end
    while last > start and not (folded[last - 1].isalnum() or folded[last - 1] == "_"):
        last -= 1
    return start, last if last > start else end


def _merge(folded: str, places: Sequence[int], run: list[tuple[int, int]]) -> Iterator[Token]:
    if len(run) < 3:
        for start, end in run:
            yield _token(folded, places, start, end, _as_read(folded[start:end]))
        return
    word = "".join(folded[start:end] for start, end in run)
    forms = [*_read(word), *(_read(word[1:]) if word[0] in "ai" else ())]
    yield _token(folded, places, run[0][0], run[-1][1], _spelled(forms))


def _read(chunk: str) -> Iterator[str]:
    """Spellings of a chunk: marks left out, digits and signs read as the letters they look like."""
    for table in ({}, _LEET, _LEET_I):
        word = "".join(char for char in chunk.translate(table) if char.isalnum())
        yield from _forms(word)


def bases(word: str) -> set[str]:
    """Return what a word may be a usual inflection of: plural, past, -ing, doubled consonants and silent e included.

    Example:
        >>> sorted(bases("stabbing"))
        ['stab', 'stabb', 'stabbe', 'stabbing']
    """
    found = {word}
    if word.endswith("s"):
        found.add(word[:-1])
    for ending in ("es", "ed", "ing"):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 3:
            continue
        found |= {stem, stem + "e"}
        if stem[-1] == stem[-2]:
            found.add(stem[:-1])
        if stem[-1] == "i":
            found.add(stem[:-1] + "y")
    return found


@lru_cache(maxsize=8192)
def _words(text: str, exact: bool) -> tuple[str, ...]:
    mark = "=" if exact else ""
    return tuple(mark + word for word in fold(text)[0].translate(_APART).split())


def compile_name(name: str) -> Phrase:
    """Return the phrase that is this name, letter for letter."""
    return (_choice((_words(name, True),)),)


@lru_cache(maxsize=4096)
def _choice(options: tuple[tuple[str, ...], ...]) -> Choice:
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for option in options:
        found[option[0]] = (*found.get(option[0], ()), option)
    return found


def compile_phrase(pattern: str, lists: Mapping[str, Sequence[str]]) -> list[Phrase]:
    """Read one pattern of rules.toml; optional parts give several phrases.

    Raises:
        ValueError: an unknown list, or a gap at an end.
    """
    phrases: list[list[Element]] = [[]]
    for part in _PATTERN.findall(pattern):
        optional = False
        element: Element
        if set(part) == {"."}:
            element = GAP if len(part) == 3 else -WIDE_GAP
        elif part[0] == "<":
            if part[1:-1] not in lists:
                raise ValueError(f"there is no list {part[1:-1]!r}")
            element = _choice(tuple(_words(item, False) for item in lists[part[1:-1]]))
        elif part[0] == "{":
            options = [option.strip() for option in part[1:-1].split("|")]
            optional = "" in options
            element = _choice(tuple(_words(option.lstrip("="), option[0] == "=") for option in options if option))
        else:
            element = _choice((_words(part.lstrip("="), part[0] == "="),))
        phrases = [phrase + [element] for phrase in phrases] + (phrases if optional else [])
    if any(not p or isinstance(p[0], int) or isinstance(p[-1], int) for p in phrases):
        raise ValueError("a phrase starts and ends with a word")
    return [tuple(phrase) for phrase in phrases]


class Index(Generic[T]):
    """Phrases of many owners, found in one pass: a text of n words costs n look-ups."""

    def __init__(self) -> None:
        self._by_word: dict[str, list[tuple[T, Phrase]]] = {}

    def add(self, owner: T, phrase: Phrase) -> None:
        """Add a phrase of `owner`."""
        first = phrase[0]
        assert not isinstance(first, int)
        for word in first:
            self._by_word.setdefault(word, []).append((owner, phrase))

    def find(self, tokens: Sequence[Token]) -> Iterator[tuple[T, Span, int, int]]:
        """Yield (owner, span of characters, first token, token behind the last) of every match."""
        begun: dict[frozenset[str], list[tuple[T, Phrase]]] = {}
        for at, token in enumerate(tokens):
            if token.keys not in begun:
                begun[token.keys] = [
                    each for key in sorted(token.keys & self._by_word.keys()) for each in self._by_word[key]
                ]
            for owner, phrase in begun[token.keys]:
                end = _match(phrase, 0, tokens, at)
                if end:
                    yield owner, Span(token.start, tokens[end - 1].end), at, end


def _match(phrase: Phrase, k: int, tokens: Sequence[Token], at: int) -> int:
    """Return the token behind the match of `phrase[k:]` at `at`, or 0."""
    if k == len(phrase):
        return at
    element = phrase[k]
    if isinstance(element, int):
        for skipped in range(abs(element) + 1):
            if at + skipped >= len(tokens) or (element > 0 and tokens[at + skipped - 1].stop):
                return 0
            end = _match(phrase, k + 1, tokens, at + skipped)
            if end:
                return end
        return 0
    if at >= len(tokens):
        return 0
    for first in sorted(tokens[at].keys & element.keys()):
        for option in element[first]:
            end = at + len(option)
            if end <= len(tokens) and all(option[n] in tokens[at + n].keys for n in range(1, len(option))):
                found = _match(phrase, k + 1, tokens, end)
                if found:
                    return found
    return 0
