"""What an A1111 prompt says at every step of a run, and all that it can be read as.

Sources of the meaning: A1111's prompt parser (changes on the way, steps counted from 1); Liu et al., "Compositional
visual generation with composable diffusion models" (2022), equation 11 (`AND`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fantascope.errors import PromptError
from fantascope.prompt.grammar.a1111 import parse
from fantascope.prompt.grammar.tree import Alternate, Break, Group, Node, Part, Prompt, Schedule, Text, walk

MOST_STATES = 64
"""Different texts that one prompt may go through in a run: each is encoded."""

MOST_LIGHT = 64
"""Pieces below weight 1 in one text: each is encoded once more."""

HEAVIEST = 100.0
"""Largest product of nested weights, either sign."""

MOST_STEPS = 1000
"""Steps of a run."""

Section = tuple[tuple[str, float], ...]
"""Pieces of text with their weights: one or more windows of tokens."""


@dataclass(frozen=True)
class State:
    """What one part of a prompt says at a step: `sections`, each begun in a new window, and the part's `weight`."""

    sections: tuple[Section, ...]
    weight: float = 1.0

    @property
    def plain(self) -> str:
        """The words, without any mark."""
        return " ".join("".join(text for text, _ in section) for section in self.sections)

    @property
    def even(self) -> bool:
        """Whether nothing weighs more than anything else, in one stretch of text."""
        return len(self.sections) == 1 and all(weight == 1 for _, weight in self.sections[0])


def states(prompt: Prompt, steps: int) -> list[tuple[State, ...]]:
    """Return what is said at each of `steps` steps, part by part.

    Raises:
        PromptError: it goes through more than `MOST_STATES` texts, or a piece of it weighs too much.
    """
    parts = [_part_states(part, steps) for part in prompt.parts]
    return [tuple(part[step] for part in parts) for step in range(steps)]


def readings(
    text: str, grammar: str | None, *, negative: bool = False, steps: int = MOST_STEPS, share: float = 1.0
) -> list[str]:
    """Return every plain text that a prompt says in a run: without marks, one a state and part, and all words in a row.

    So no word can be hidden by spreading it over brackets, alternatives, steps or parts. A plain text has one reading:
    itself.

    Args:
        negative: Whether it is a negative prompt.
        steps: Of the run.
        share: How much of them is run, where a picture is painted over.

    Raises:
        PromptError: as `parse` and `states` do.
    """
    if grammar != "a1111":
        return [text]
    prompt = parse(text, negative=negative)
    run = {steps} | ({max(1, int(steps * share) + k) for k in (-1, 0, 1, 2)} if share < 1 else set())
    found = dict.fromkeys(
        state.plain
        for part in prompt.parts
        for length in sorted(run, reverse=True)
        for state in dict.fromkeys(_part_states(part, length))
    )
    said = [text for part in prompt.parts for text in _words(part.nodes)]
    found |= dict.fromkeys((" ".join(" ".join(said).split()), "".join(said)))
    return [one for one in found if one.strip()]


def _words(nodes: tuple[Node, ...]) -> Iterator[str]:
    for node in walk(nodes):
        if isinstance(node, Text):
            yield node.text


def _part_states(part: Part, steps: int) -> list[State]:
    """Return the state of a part at every step; equal choices give one object."""
    moving = [node for node in walk(part.nodes) if isinstance(node, (Schedule, Alternate))]
    made: dict[tuple[int, ...], State] = {}
    out: list[State] = []
    for step in range(1, steps + 1 if moving else 2):
        key = tuple(_chosen(node, step, steps) for node in moving)
        if key not in made:
            if len(made) >= MOST_STATES:
                raise PromptError(f"The prompt goes through more than {MOST_STATES} different texts.")
            made[key] = State(_sections(part.nodes, step, steps), part.weight)
        out.append(made[key])
    return out if moving else out * steps


def _chosen(node: Schedule | Alternate, step: int, steps: int) -> int:
    """Return which of a node's texts holds at a step, counted from 1."""
    if isinstance(node, Alternate):
        return (step - 1) % len(node.options)
    last = int(node.when * steps) if node.when < 1 else int(node.when)
    return int(step > last)


def _sections(nodes: tuple[Node, ...], step: int, steps: int) -> tuple[Section, ...]:
    sections: list[list[tuple[str, float]]] = [[]]
    light = 0
    for piece in _pieces(nodes, step, steps, 1.0):
        if piece is None:
            sections.append([])
            continue
        text, weight = piece
        if abs(weight) > HEAVIEST:
            raise PromptError(f"{text!r:.60} weighs {weight:g}; nested weights may multiply to {HEAVIEST:g}.")
        last = sections[-1]
        if last and last[-1][1] == weight:
            last[-1] = last[-1][0] + text, weight
        else:
            light += weight < 1
            last.append(piece)
    if light > MOST_LIGHT:
        raise PromptError(f"{light} pieces weigh less than 1; at most {MOST_LIGHT} may.")
    return tuple(map(tuple, sections))


def _pieces(nodes: tuple[Node, ...], step: int, steps: int, weight: float) -> Iterator[tuple[str, float] | None]:
    """Yield pieces of text with their weights, and None where a new window begins."""
    for node in nodes:
        match node:
            case Text(text=text):
                yield text, weight
            case Group(parts=parts, weight=own):
                yield from _pieces(parts, step, steps, weight * own)
            case Schedule(before=before, after=after):
                yield from _pieces(after if _chosen(node, step, steps) else before, step, steps, weight)
            case Alternate(options=options):
                yield from _pieces(options[_chosen(node, step, steps)], step, steps, weight)
            case Break():
                yield None
