r"""Permutations, as Midjourney writes them: `a {red, green} {cat, dog}` is four prompts.

They nest and multiply, and are expanded before anything else is read. `\,`, `\{`, `\}` and `\\` are the characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from fantascope.errors import PromptError
from fantascope.prompt.grammar.texts import merged

MOST = 64
"""Prompts that one may stand for."""

DEEPEST = 16
LONGEST = 32_000

_TOKEN = re.compile(r"\\[,{}\\]|[{},]|[^\\{},]+|\\")


@dataclass(frozen=True)
class Choice:
    """`{a, b}`: one of several."""

    options: tuple[Pattern, ...]


Pattern = tuple["str | Choice", ...]


def parse(text: str, *, strict: bool = False) -> Pattern:
    """Read a text with permutations; a brace that does not pair is text, or with `strict` an error.

    Raises:
        PromptError: it is too long, too deep or (strict) malformed.
    """
    if len(text) > LONGEST:
        raise PromptError(f"The prompt has {len(text)} characters; at most {LONGEST} are allowed.")
    tokens = [(match[0], match.start()) for match in _TOKEN.finditer(text)]
    pairs = _pairs(tokens)

    def pattern(k: int, end: int, depth: int) -> Iterator[str | Choice]:
        while k < end:
            word, at = tokens[k]
            if k in pairs:
                if depth >= DEEPEST:
                    raise PromptError(f"Braces are nested more than {DEEPEST} deep.", text, at)
                yield choice(k + 1, pairs[k], depth + 1)
                k = pairs[k]
            elif word in "{}" and strict:
                raise PromptError(f"{word!r} has no partner; write \\{word} for the character.", text, at)
            else:
                yield word[1] if len(word) == 2 and word[0] == "\\" else word
            k += 1

    def choice(k: int, end: int, depth: int) -> Choice:
        options, first = [], k
        while k < end:
            if tokens[k][0] == ",":
                options.append(normal(pattern(first, k, depth), trim=True))
                first = k + 1
            k = pairs.get(k, k) + 1
        return Choice((*options, normal(pattern(first, end, depth), trim=True)))

    return normal(pattern(0, len(tokens), 0))


def _pairs(tokens: list[tuple[str, int]]) -> dict[int, int]:
    """Return the token of each opening brace that is closed -> that of its closing one."""
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for k, (word, _) in enumerate(tokens):
        if word == "{":
            opened.append(k)
        elif word == "}" and opened:
            pairs[opened.pop()] = k
    return pairs


def normal(parts: Iterable[str | Choice], *, trim: bool = False) -> Pattern:
    """Return a pattern in normal form: neighbouring texts are one and none is empty; `trim` bares its ends of space."""
    out = merged(parts)
    if trim and isinstance(out[0], str):
        out[0] = out[0].lstrip()
    if trim and isinstance(out[-1], str):
        out[-1] = out[-1].rstrip()
    return tuple(part for part in out if part != "")


def show(pattern: Pattern) -> str:
    """Print a pattern in its canonical form: `parse(show(pattern)) == pattern`."""
    return _show(pattern, False)


def _show(pattern: Pattern, within: bool) -> str:
    special = r"[,{}\\]" if within else r"[{}\\]"
    return "".join(
        re.sub(special, r"\\\g<0>", part)
        if isinstance(part, str)
        else "{" + ", ".join(_show(option, True) for option in part.options) + "}"
        for part in pattern
    )


def count(pattern: Pattern) -> int:
    """Return how many texts a pattern stands for."""
    total = 1
    for part in pattern:
        total *= 1 if isinstance(part, str) else sum(map(count, part.options))
    return total


def expand(text: str, *, strict: bool = False, most: int = MOST) -> list[str]:
    """Return every text that one stands for, the last choice changing fastest.

    Raises:
        PromptError: there are more than `most`, or as `parse` does.

    Example:
        >>> expand("a {red, green} cat")
        ['a red cat', 'a green cat']
    """
    pattern = parse(text, strict=strict)
    found = count(pattern)
    if found > most:
        told = str(found) if found < 10**9 else "more than a thousand million"
        raise PromptError(f"The permutations give {told} prompts; at most {most} are allowed.")
    return _texts(pattern)


def _texts(pattern: Pattern) -> list[str]:
    parts = [
        [part] if isinstance(part, str) else [t for option in part.options for t in _texts(option)] for part in pattern
    ]
    return ["".join(picked) for picked in product(*parts)]
