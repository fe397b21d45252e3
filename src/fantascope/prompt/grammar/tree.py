"""What an A1111 prompt is made of, as frozen values, and its canonical text: `parse(show(prompt)) == prompt`.

A node is text, a weighted group, a change at a step, a change at every step, the name of an adapter, or a break.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import groupby

UP, DOWN = 1.1, 1 / 1.1
"""What `(a)` and `[a]` multiply by."""

NUMBER = r"(?:\d{1,15}\.?\d{0,20}|\.\d{1,20})"
"""A number without a sign; its length is bounded."""

KEYWORD = re.compile(r"(?<!\w)(AND|BREAK)(?!\w)")
_WEIGHTED = re.compile(rf":\s*[+-]?{NUMBER}\s*\Z")


@dataclass(frozen=True)
class Text:
    """Words, without escapes."""

    text: str


@dataclass(frozen=True)
class Group:
    """Parts that weigh `weight` times as much: `(a)`, `[a]`, `(a:1.3)`."""

    parts: tuple[Node, ...]
    weight: float


@dataclass(frozen=True)
class Schedule:
    """`[before:after:when]`: the one until step `when`, then the other. Below 1 it is a share of the steps."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    when: float


@dataclass(frozen=True)
class Alternate:
    """`[a|b]`: one after the other, a new one at every step."""

    options: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True)
class Adapter:
    """`<lora:name:weight>`: an adapter; it holds for the whole run, wherever it stands."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Break:
    """`BREAK`: what follows begins a new window of tokens."""


Node = Text | Group | Schedule | Alternate | Adapter | Break


@dataclass(frozen=True)
class Part:
    """One of the texts that `AND` puts together, and how much of it."""

    nodes: tuple[Node, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Prompt:
    """A prompt: one part, or several put together by `AND`."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        return show(self)


def show(prompt: Prompt) -> str:
    """Print a prompt in its canonical form."""
    several = len(prompt.parts) > 1
    return " AND ".join(_part(part) if several else _nodes(part.nodes) for part in prompt.parts)


def number(value: float) -> str:
    """Print a number without an exponent, so that reading it gives the same number."""
    return format(Decimal(repr(float(value))), "f").removesuffix(".0")


def walk(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield every node, outer ones before what is in them."""
    for node in nodes:
        yield node
        yield from walk(inside(node))


def inside(node: Node) -> tuple[Node, ...]:
    """Return the nodes inside a node, in the order they stand."""
    match node:
        case Group(parts=parts):
            return parts
        case Schedule(before=before, after=after):
            return before + after
        case Alternate(options=options):
            return tuple(one for option in options for one in option)
    return ()


def joined(nodes: Iterable[Node], *, trim: bool = False) -> tuple[Node, ...]:
    """Return nodes in normal form: neighbouring texts are one, none is empty, and no space stands beside a break.

    Args:
        trim: Whether the whole begins and ends without a space, too.
    """
    out: list[Node] = []
    for is_text, run in groupby(nodes, lambda node: isinstance(node, Text)):
        group = list(run)
        out += [Text("".join(one.text for one in group if isinstance(one, Text)))] if is_text else group
    for k, node in enumerate(out):
        if not isinstance(node, Text):
            continue
        text = node.text
        if (k == 0 and trim) or (k > 0 and isinstance(out[k - 1], Break)):
            text = text.lstrip()
        if (k == len(out) - 1 and trim) or (k < len(out) - 1 and isinstance(out[k + 1], Break)):
            text = text.rstrip()
        out[k] = replace(node, text=text)
    return tuple(node for node in out if node != Text(""))


def _part(part: Part) -> str:
    text = _nodes(part.nodes)
    clear = part.weight == 1 and not _ends_in_number(part.nodes)
    return text if clear else f"{text} :{number(part.weight)}"


def _ends_in_number(nodes: tuple[Node, ...]) -> bool:
    return bool(nodes) and isinstance(nodes[-1], Text) and _WEIGHTED.search(nodes[-1].text) is not None


def _nodes(nodes: tuple[Node, ...], apart: bool = False) -> str:
    """Print nodes; `apart` where a `:` or `|` of a text would be taken for a mark."""
    return "".join(_node(node, apart) for node in nodes)


def _node(node: Node, apart: bool) -> str:
    match node:
        case Text(text=text):
            return _escaped(text, apart)
        case Group(parts=parts, weight=weight):
            return _group(parts, weight)
        case Schedule(before=before, after=after, when=when):
            return f"[{_nodes(before, True)}:{_nodes(after, True)}:{number(when)}]"
        case Alternate(options=options):
            return f"[{'|'.join(_nodes(option, True) for option in options)}]"
        case Adapter(name=name, weight=weight):
            return f"<lora:{name}:{number(weight)}>"
        case Break():
            return " BREAK "


def _group(parts: tuple[Node, ...], weight: float) -> str:
    if weight == UP and not _ends_in_number(parts):
        return f"({_nodes(parts)})"
    plain = not any(mark in one.text for one in parts if isinstance(one, Text) for mark in ":|")
    if weight == DOWN and plain:
        return f"[{_nodes(parts)}]"
    return f"({_nodes(parts)}:{number(weight)})"


def _escaped(text: str, apart: bool) -> str:
    text = re.sub(r"[\\()\[\]]|<(?=lora:)", r"\\\g<0>", text)
    if apart:
        text = re.sub(r"[:|]", r"\\\g<0>", text)
    return KEYWORD.sub(r"\\\1", text)
