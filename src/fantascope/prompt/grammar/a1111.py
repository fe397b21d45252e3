r"""The prompt grammar of A1111: weights, changes on the way, `AND`, `BREAK` and names of adapters.

    (a)  (a:1.3)  [a]      weighs 1.1, 1.3, 1/1.1 times as much; nested, the weights multiply
    [a:b:0.5] [a::9] [:b:9]   from one text to another, at a share of the steps (below 1) or after a step (from 1 on)
    [a|b]                  one, then the other, a new one at every step
    a AND b :0.5           both at once, each guiding by itself
    a BREAK b              b begins a new window of tokens
    <lora:name:0.8>        the adapter of this name
    \( \) \[ \] \: \|      the character itself

Brackets that do not pair are read as A1111 reads them: an opening one holds to the end, a closing one is text. With
`strict` they are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fantascope.errors import PromptError
from fantascope.prompt.grammar.tree import (
    DOWN,
    NUMBER,
    UP,
    Adapter,
    Alternate,
    Break,
    Group,
    Node,
    Part,
    Prompt,
    Schedule,
    Text,
    joined,
    walk,
)

LONGEST = 32_000
"""Characters of a prompt."""

DEEPEST = 32
"""Brackets inside brackets."""

MOST_PARTS = 16
"""Texts that `AND` puts together."""

HEAVIEST = 10.0
"""Largest weight of one mark, either sign."""

TAG_WEIGHT = 4.0
"""Largest weight of an adapter, either sign."""

_TOKEN = re.compile(
    r"\\.|<lora:(?P<tag>[^<>\n]{0,200})>|(?<!\w)(?:AND|BREAK)(?!\w)|[()\[\]:|]|[^\\()\[\]:|<AB]+|.", re.DOTALL
)
_WEIGHT = re.compile(rf"\s*([+-]?{NUMBER})\s*")
_WHEN = re.compile(rf"\s*({NUMBER})\s*")
_CLOSES = {"(": ")", "[": "]"}

_EXPLICIT = re.compile(
    rf"(?<!\\)(?:\([^()]*:\s*[+-]?{NUMBER}\s*\)|\[[^\[\]]*:\s*{NUMBER}\s*\]|\[[^\[\]|]*\|[^\[\]]*\]|<lora:[^<>\n]+>)"
)
_BETWEEN = re.compile(r"\s(?:AND|BREAK)\s")


@dataclass(frozen=True)
class _Mark:
    """A `:` or `|` that may yet turn out to mean something."""

    char: str


@dataclass(frozen=True)
class _Token:
    text: str
    at: int
    tag: str | None = None


_Item = Node | _Mark


def is_explicit(text: str) -> bool:
    """Say whether a text holds marks of this grammar that nobody writes by chance.

    These are a weight with a number, a change on the way, `AND` or `BREAK` between spaces, or an adapter. Bare brackets
    are none: `a cat (asleep)` is plain. Where everything is in capitals, `AND` is a word.
    """
    if len(text) > LONGEST:
        return False
    return _EXPLICIT.search(text) is not None or (not text.isupper() and _BETWEEN.search(text) is not None)


def parse(text: str, *, strict: bool = False, negative: bool = False, param: str = "prompt") -> Prompt:
    """Read a prompt.

    Args:
        text: The prompt.
        strict: Whether brackets that do not pair, and marks that mean nothing, are errors.
        negative: Whether it is a negative prompt: there `AND` is a word, as in A1111, and adapters are refused.
        param: The field meant, for errors.

    Raises:
        PromptError: it is too long or too deep, a weight is out of range, or (strict) it is malformed.
    """
    if len(text) > LONGEST:
        raise PromptError(f"The prompt has {len(text)} characters; at most {LONGEST} are allowed.", param=param)
    return _Parser(text, strict, negative, param).prompt()


class _Parser:
    def __init__(self, text: str, strict: bool, negative: bool, param: str) -> None:
        self.text, self.strict, self.negative, self.param = text, strict, negative, param
        self.tokens = [_Token(m[0], m.start(), m["tag"]) for m in _TOKEN.finditer(text)]
        self.k = 0
        self.opened: list[_Token] = []

    def prompt(self) -> Prompt:
        parts: list[list[_Item]] = [[]]
        while self.k < len(self.tokens):
            token = self.tokens[self.k]
            if token.text == "AND" and not self.negative:
                self.k += 1
                parts.append([])
                if len(parts) > MOST_PARTS:
                    raise self._error(f"AND puts at most {MOST_PARTS} texts together.", token)
            else:
                parts[-1].append(self._item())
        return Prompt(tuple(self._part(items, len(parts) > 1) for items in parts))

    def _part(self, items: list[_Item], several: bool) -> Part:
        weight = 1.0
        ending = _ending(items, _WEIGHT) if several else None
        if ending is not None:
            weight, items = self._checked(float(ending)), items[:-2]
        return Part(joined(_as_text(items), trim=True), weight)

    def _item(self) -> _Item:
        token = self.tokens[self.k]
        self.k += 1
        if token.tag is not None:
            return self._adapter(token)
        if token.text in _CLOSES:
            return self._brackets(token)
        if token.text in ":|":
            return _Mark(token.text)
        if token.text == "BREAK":
            return Break()
        if token.text in (")", "]") and self.strict:
            raise self._error(f"{token.text!r} closes nothing; write \\{token.text} for the character.", token)
        return Text(token.text[1:] if token.text[0] == "\\" and len(token.text) > 1 else token.text)

    def _brackets(self, opening: _Token) -> Node:
        self.opened.append(opening)
        if len(self.opened) > DEEPEST:
            raise self._error(f"Brackets are nested more than {DEEPEST} deep.", opening)
        items: list[_Item] = []
        closed = False
        while self.k < len(self.tokens):
            text = self.tokens[self.k].text
            if text == _CLOSES[opening.text]:
                self.k += 1
                closed = True
                break
            if text in (")", "]") and any(_CLOSES[outer.text] == text for outer in self.opened[:-1]):
                break
            items.append(self._item())
        self.opened.pop()
        if not closed and self.strict:
            raise self._error(f"{opening.text!r} is never closed; write \\{opening.text} for the character.", opening)
        return self._round(items, closed) if opening.text == "(" else self._square(items, closed, opening)

    def _round(self, items: list[_Item], closed: bool) -> Node:
        ending = _ending(items, _WEIGHT) if closed else None
        if ending is None:
            return Group(joined(_as_text(items)), UP)
        return Group(joined(_as_text(items[:-2])), self._checked(float(ending)))

    def _square(self, items: list[_Item], closed: bool, opening: _Token) -> Node:
        if closed and _Mark("|") in items:
            options: list[list[_Item]] = [[]]
            for item in items:
                if item == _Mark("|"):
                    options.append([])
                else:
                    options[-1].append(item)
            return Alternate(tuple(joined(_as_text(option)) for option in options))
        colons = items.count(_Mark(":"))
        ending = _ending(items, _WHEN) if closed and colons in (1, 2) else None
        if ending is None:
            if self.strict and colons:
                raise self._error("[ … ] with ':' is [before:after:when], when being a number from 0 on.", opening)
            return Group(joined(_as_text(items)), DOWN)
        fields = items[:-2]
        cut = fields.index(_Mark(":")) if colons == 2 else -1
        return Schedule(joined(_as_text(fields[: max(cut, 0)])), joined(_as_text(fields[cut + 1 :])), float(ending))

    def _adapter(self, token: _Token) -> Adapter:
        if self.negative:
            raise self._error("An adapter stands in the prompt, not in the negative prompt.", token)
        assert token.tag is not None
        name, mark, told = token.tag.partition(":")
        weight = _WEIGHT.fullmatch(told) if mark else None
        if not name.strip() or (mark and weight is None):
            raise self._error("An adapter is <lora:NAME> or <lora:NAME:WEIGHT>, with one number as weight.", token)
        value = float(weight[1]) if weight is not None else 1.0
        if abs(value) > TAG_WEIGHT:
            raise self._error(f"The weight of an adapter is -{TAG_WEIGHT:g} to {TAG_WEIGHT:g}.", token)
        return Adapter(name, value)

    def _checked(self, weight: float) -> float:
        if abs(weight) > HEAVIEST:
            raise self._error(f"A weight is -{HEAVIEST:g} to {HEAVIEST:g}, not {weight:g}.", self.tokens[self.k - 1])
        return weight

    def _error(self, message: str, token: _Token) -> PromptError:
        return PromptError(message, self.text, token.at, param=self.param)


def _ending(items: list[_Item], form: re.Pattern[str]) -> str | None:
    """Return the number that items end in, after a colon, or None."""
    if len(items) < 2 or items[-2] != _Mark(":"):
        return None
    last = items[-1]
    found = form.fullmatch(last.text) if isinstance(last, Text) else None
    return found[1] if found is not None else None


def _as_text(items: list[_Item]) -> list[Node]:
    """Return nodes, with marks that meant nothing as text."""
    return [Text(item.char) if isinstance(item, _Mark) else item for item in items]


def adapters(prompt: Prompt) -> list[Adapter]:
    """Return the adapters a prompt names, in their order; one that is named twice has its last weight."""
    found: dict[str, Adapter] = {}
    for part in prompt.parts:
        for node in walk(part.nodes):
            if isinstance(node, Adapter):
                found[node.name] = node
    return list(found.values())


def without_adapters(text: str) -> str:
    """Return a prompt without the names of adapters; all else stays as it is written."""
    return "".join(match[0] for match in _TOKEN.finditer(text) if match["tag"] is None).strip()
