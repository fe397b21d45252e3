r"""Dynamic prompts, in the format of sd-dynamic-prompts: one text stands for many.

    {a|b|c}                one of them
    {3::a|1::b}            one of them, a three times as often
    {2$$a|b|c}             two of them, joined by a comma
    {1-2$$ and $$a|b|c}    one or two of them, joined by " and "
    __name__               a line of the file name.txt in the folder of wildcards
    # …                    a comment, to the end of the line

`\{`, `\}`, `\|`, `\#`, `\$`, `\_` and `\\` are the characters. What is drawn follows from the seed alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from random import Random

from fantascope.errors import PromptError
from fantascope.prompt.grammar.texts import merged
from fantascope.prompt.grammar.tree import NUMBER, number
from fantascope.prompt.grammar.wildcards import NAME

LONGEST = 32_000
DEEPEST = 16
"""Variants inside variants."""

MOST = 256
"""Texts that `every` gives."""

MOST_PICKED = 32
"""Options that a variant takes together."""

CHAIN = 8
"""Wildcards whose lines name wildcards."""

MOST_USED = 4096
"""Wildcards that one text uses."""

COMMA = ","
HEAVIEST = 1e6

Lines = Callable[[str], tuple[str, ...]]
"""Gives the possibilities of a wildcard."""

_TOKEN = re.compile(rf"\\[{{}}|#$_\\]|#[^\n]*|__(?P<name>{NAME})__|\$\$|[{{}}|]|[^\\{{}}|#$_]+|.", re.DOTALL)
_BOUND = re.compile(r"\s*(?:(\d{1,4})?\s*-\s*(\d{1,4})?|(\d{1,4}))\s*")
_WEIGHT = re.compile(rf"\s*({NUMBER})\s*::")


@dataclass(frozen=True)
class Wildcard:
    """`__name__`."""

    name: str


@dataclass(frozen=True)
class Variants:
    """`{low-high$$separator$$a|b}`: some of the options, each with its weight."""

    options: tuple[tuple[float, Pattern], ...]
    low: int = 1
    high: int = 1
    separator: str = COMMA


Pattern = tuple["str | Wildcard | Variants", ...]


def parse(text: str, *, strict: bool = False) -> Pattern:
    """Read a dynamic prompt; a brace that does not pair is text, or with `strict` an error.

    Raises:
        PromptError: it is too long, too deep, has impossible bounds or weights, holds a variable, or (strict) is
            malformed.
    """
    if len(text) > LONGEST:
        raise PromptError(f"The prompt has {len(text)} characters; at most {LONGEST} are allowed.")
    return _Parser(text, strict).pattern()


@dataclass(frozen=True)
class _Token:
    text: str
    at: int
    name: str | None = None

    @property
    def plain(self) -> str:
        """The characters that are meant."""
        return self.text[1:] if len(self.text) == 2 and self.text[0] == "\\" else self.text


class _Parser:
    def __init__(self, text: str, strict: bool) -> None:
        self.text, self.strict = text, strict
        found = [_Token(m[0], m.start(), m["name"]) for m in _TOKEN.finditer(text)]
        self.tokens = [token for token in found if not token.text.startswith("#")]
        self.pairs: dict[int, int] = {}
        opened: list[int] = []
        for k, token in enumerate(self.tokens):
            if token.text == "{":
                opened.append(k)
            elif token.text == "}" and opened:
                self.pairs[opened.pop()] = k

    def pattern(self) -> Pattern:
        return normal(self._parts(0, len(self.tokens), 0))

    def _parts(self, k: int, end: int, depth: int) -> Iterator[str | Wildcard | Variants]:
        while k < end:
            token = self.tokens[k]
            if k in self.pairs:
                before = self.tokens[k - 1].text if k > 0 else ""
                if before == "$":
                    raise PromptError("Variables ${…} are not read; write {a|b} or a wildcard.", self.text, token.at)
                if depth >= DEEPEST:
                    raise PromptError(f"Variants are nested more than {DEEPEST} deep.", self.text, token.at)
                yield self._variants(k, self.pairs[k], depth + 1)
                k = self.pairs[k]
            elif token.name is not None:
                yield Wildcard(token.name)
            elif token.text in ("{", "}") and self.strict:
                told = f"{token.text!r} has no partner; write \\{token.text} for the character."
                raise PromptError(told, self.text, token.at)
            else:
                yield token.plain
            k += 1

    def _variants(self, opening: int, end: int, depth: int) -> Variants:
        first, low, high, separator = opening + 1, 1, 1, COMMA
        marks = [k for k in self._own(first, end) if self.tokens[k].text in ("$$", "|")]
        if marks and self.tokens[marks[0]].text == "$$":
            bound = _BOUND.fullmatch("".join(token.text for token in self.tokens[first : marks[0]]))
            if bound is not None:
                count = sum(self.tokens[k].text == "|" for k in marks) + 1
                low, high = self._bounds(bound, count, self.tokens[opening])
                first = marks[0] + 1
                if len(marks) > 1 and self.tokens[marks[1]].text == "$$":
                    separator = "".join(token.plain for token in self.tokens[first : marks[1]])
                    first = marks[1] + 1
        options = []
        for k in (*[k for k in marks if self.tokens[k].text == "|" and k >= first], end):
            options.append(self._option(first, k, depth))
            first = k + 1
        return Variants(tuple(options), low, high, separator)

    def _bounds(self, bound: re.Match[str], count: int, token: _Token) -> tuple[int, int]:
        if bound[3] is not None:
            low = high = int(bound[3])
        else:
            low, high = int(bound[1] or 0), int(bound[2]) if bound[2] is not None else min(count, MOST_PICKED)
        if low > high or high > MOST_PICKED:
            told = f"A variant takes LOW-HIGH options, at most {MOST_PICKED}, not {low}-{high}."
            raise PromptError(told, self.text, token.at)
        return low, high

    def _own(self, k: int, end: int) -> Iterator[int]:
        """Yield the tokens at this level: what stands in inner variants is passed over."""
        while k < end:
            yield k
            k = self.pairs.get(k, k) + 1

    def _option(self, first: int, end: int, depth: int) -> tuple[float, Pattern]:
        weight = 1.0
        head = self.tokens[first] if first < end and first not in self.pairs else None
        found = _WEIGHT.match(head.text) if head is not None and head.name is None else None
        rest: list[str | Wildcard | Variants] = []
        if head is not None and found is not None:
            weight = float(found[1])
            if not 0 < weight <= HEAVIEST:
                raise PromptError(f"The weight of an option is above 0 and at most {HEAVIEST:g}.", self.text, head.at)
            rest.append(head.text[found.end() :])
            first += 1
        return weight, normal([*rest, *self._parts(first, end, depth)])


def normal(parts: Iterable[str | Wildcard | Variants]) -> Pattern:
    """Return a pattern in normal form: neighbouring texts are one, and none is empty."""
    return tuple(part for part in merged(parts) if part != "")


def show(pattern: Pattern) -> str:
    """Print a pattern in its canonical form: `parse(show(pattern)) == pattern`."""
    return "".join(_shown(part) for part in pattern)


def _shown(part: str | Wildcard | Variants) -> str:
    if isinstance(part, str):
        return _escaped(part)
    if isinstance(part, Wildcard):
        return f"__{part.name}__"
    bounds = ""
    if (part.low, part.high) != (1, 1) or part.separator != COMMA:
        bounds = f"{part.low}-{part.high}$$" if part.low != part.high else f"{part.low}$$"
        bounds += "" if part.separator == COMMA else f"{_escaped(part.separator)}$$"
    return "{" + bounds + "|".join(_option(weight, option) for weight, option in part.options) + "}"


def _option(weight: float, option: Pattern) -> str:
    text = show(option)
    clear = weight == 1 and not (option and isinstance(option[0], str) and _WEIGHT.match(option[0]))
    return text if clear else f"{number(weight)}::{text}"


def _escaped(text: str) -> str:
    return re.sub(r"[{}|#$_\\]", r"\\\g<0>", text)


class Book:
    """The wildcards of one expansion: each is read once, and only so many are used.

    Args:
        lines: Gives the possibilities of a wildcard.
    """

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.left = MOST_USED
        self._options: dict[str, tuple[tuple[float, Pattern], ...]] = {}
        self._counts: dict[str, int] = {}

    def options(self, name: str, chain: tuple[str, ...]) -> tuple[tuple[float, Pattern], ...]:
        """Return what a wildcard stands for: each of its lines, with its weight if it begins with one.

        Raises:
            PromptError: it is not there, goes in circles, or too many were used.
        """
        if name in chain or len(chain) >= CHAIN:
            raise PromptError(f"The wildcard __{name}__ goes in circles: {' -> '.join((*chain, name))}.")
        self.left -= 1
        if self.left < 0:
            raise PromptError(f"The dynamic prompt uses more than {MOST_USED} wildcards.")
        if name not in self._options:
            self._options[name] = tuple(map(_line, self.lines(name)))
        return self._options[name]

    def count(self, name: str, chain: tuple[str, ...]) -> int:
        """Return how many texts a wildcard stands for."""
        if name not in self._counts:
            inner = (*chain, name)
            self._counts[name] = sum(count(one, self, inner) for _, one in self.options(name, chain))
        return self._counts[name]


def _line(line: str) -> tuple[float, Pattern]:
    found = _WEIGHT.match(line)
    if found is None:
        return 1.0, parse(line)
    weight = float(found[1])
    if not 0 < weight <= HEAVIEST:
        raise PromptError(f"The weight of an option is above 0 and at most {HEAVIEST:g}.", line)
    return weight, parse(line[found.end() :])


def pick(pattern: Pattern, seed: int, lines: Lines) -> str:
    """Return one text that a pattern stands for: which one follows from the seed.

    Args:
        lines: Gives the possibilities of a wildcard.

    Raises:
        PromptError: a wildcard is not there, goes in circles, or the text grows beyond `LONGEST`.

    Example:
        >>> pick(parse("a {red|green} cat"), 3, Wildcards(None).lines)
        'a red cat'
    """
    draw = Random(seed)  # noqa: S311 - what is drawn has to follow from the seed
    return _tidy(_bounded(_drawn(pattern, draw, Book(lines), ())))


def _drawn(pattern: Pattern, draw: Random, book: Book, chain: tuple[str, ...]) -> Iterator[str]:
    for part in pattern:
        match part:
            case str():
                yield part
            case Wildcard(name=name):
                (option,) = _some(book.options(name, chain), 1, draw)
                yield from _drawn(option, draw, book, (*chain, name))
            case Variants(options=options, low=low, high=high, separator=separator):
                most = min(high, len(options))
                few = min(low, most)
                number = few + int(draw.random() * (most - few + 1))
                picked = [_bounded(_drawn(option, draw, book, chain)) for option in _some(options, number, draw)]
                yield separator.join(picked)


def _bounded(pieces: Iterable[str]) -> str:
    """Join pieces of text, never more than `LONGEST` characters."""
    out, length = [], 0
    for piece in pieces:
        length += len(piece)
        if length > LONGEST:
            raise PromptError(f"The dynamic prompt grows beyond {LONGEST} characters.")
        out.append(piece)
    return "".join(out)


def _some(options: Iterable[tuple[float, Pattern]], number: int, draw: Random) -> list[Pattern]:
    """Draw so many different options by their weights, in the order they are drawn."""
    left, out = list(options), []
    for _ in range(number):
        at = draw.random() * sum(weight for weight, _ in left)
        k = 0
        while k < len(left) - 1 and at >= left[k][0]:
            at -= left[k][0]
            k += 1
        out.append(left.pop(k)[1])
    return out


def count(pattern: Pattern, book: Book, chain: tuple[str, ...] = ()) -> int:
    """Return how many texts a pattern stands for, each set of options counted once."""
    total = 1
    for part in pattern:
        if isinstance(part, Wildcard):
            total *= book.count(part.name, chain)
        elif isinstance(part, Variants):
            total *= _sets([count(option, book, chain) for _, option in part.options], part.low, part.high)
    return total


def _sets(counts: list[int], low: int, high: int) -> int:
    """Return the sum over sets of `low` to `high` options of the product of their counts."""
    sums = [1] + [0] * min(high, len(counts))
    for one in counts:
        for k in range(len(sums) - 1, 0, -1):
            sums[k] += sums[k - 1] * one
    return sum(sums[min(low, len(sums) - 1) :])


def every(pattern: Pattern, lines: Lines, most: int = MOST) -> list[str]:
    """Return every text that a pattern stands for, in order, options in the order they are written.

    Raises:
        PromptError: there are more than `most`, or as `pick` does.

    Example:
        >>> every(parse("{2$$a|b|c}"), Wildcards(None).lines)
        ['a,b', 'a,c', 'b,c']
    """
    found = count(pattern, Book(lines))
    if found > most:
        raise PromptError(f"The dynamic prompt stands for {_short(found)} texts; at most {most} are made.")
    return list(dict.fromkeys(_tidy(text) for text in _all(pattern, Book(lines), ())))


def _short(found: int) -> str:
    return str(found) if found < 10**9 else "more than a thousand million"


def _all(pattern: Pattern, book: Book, chain: tuple[str, ...]) -> list[str]:
    parts: list[list[str]] = []
    for part in pattern:
        match part:
            case str():
                parts.append([part])
            case Wildcard(name=name):
                options = book.options(name, chain)
                parts.append([text for _, one in options for text in _all(one, book, (*chain, name))])
            case Variants(options=options, low=low, high=high, separator=separator):
                most = min(high, len(options))
                texts = [_all(option, book, chain) for _, option in options] if most > 0 else []
                sets = [one for number in range(min(low, most), most + 1) for one in combinations(texts, number)]
                parts.append([_bounded([separator.join(picked)]) for one in sets for picked in product(*one)])
    return [_bounded(picked) for picked in product(*parts)]


def _tidy(text: str) -> str:
    """Take away the blank ends of lines that comments leave."""
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
