"""Understanding an edit instruction: from words to a reading of the prompt, or a question.

The wordings are in `patterns`, tried in their order until one's action does not pass. Nothing is guessed: what is
    not understood, or understood in two ways, is asked back with proposals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fantascope.errors import InvalidValue, UnclearInstruction
from fantascope.prompt.instruct.ask import proposals
from fantascope.prompt.instruct.aspects import Found
from fantascope.prompt.instruct.clauses import clauses, plain
from fantascope.prompt.instruct.match import MEANT, Embed
from fantascope.prompt.instruct.patterns import COMPILED, NO_WISH
from fantascope.prompt.instruct.reading import Asked, Desk, Reading
from fantascope.prompt.parse import parse

LONGEST = 500
"""Characters of an instruction."""

LONGEST_PROMPT = 2000
"""Characters of a prompt."""

MOST = 8
"""Instructions in one text."""


def read_instruction(instruction: str, prompt: str, embed: Embed, *, it: str = "") -> Reading:
    """Return what one edit instruction asks of the picture that a prompt describes.

    Args:
        instruction: `change the astronaut to a cat`; 1 to 500 characters.
        prompt: What the picture shows; 1 to 2000 characters.
        embed: The sentence encoder: texts to unit vectors `(N, width)`.
        it: What a pronoun means, where something was named just before.

    Raises:
        UnclearInstruction: it is not understood, in two ways, asks for nothing new, or is several instructions.
        InvalidValue: the prompt is empty or too long.
    """
    _check(instruction, prompt, embed)
    single = clauses(instruction)
    if len(single) > 1:
        readings = _several(single[:3], prompt, embed, it)
        raise UnclearInstruction("This is more than one instruction; give them one at a time.", readings)
    return _read(single[0] if single else plain(instruction), prompt, embed, it)


def read_instructions(instruction: str, prompt: str, embed: Embed) -> tuple[Reading, ...]:
    """Return what every instruction of a text asks; each reads the prompt that the one before left.

    Raises as `read_instruction`; a text holds at most 8 instructions.

    Example:
        >>> read_instructions("remove the cat; make the dog bigger", "a cat and a dog", embed)[-1].after
        'a big dog'
    """
    _check(instruction, prompt, embed)
    single = clauses(instruction) or [plain(instruction)]
    if len(single) > MOST:
        raise UnclearInstruction(f"These are {len(single)} instructions; at most {MOST} go together.")
    readings: list[Reading] = []
    it = ""
    for clause in single:
        if readings and readings[-1].kind == "remove" and _SAME_AGAIN.fullmatch(clause):
            continue
        reading = _read(clause, readings[-1].after if readings else prompt, embed, it)
        readings.append(reading)
        it = _named_last(reading) or it
    return tuple(readings)


_SAME_AGAIN = re.compile(
    r"(?:remove|delete|erase|take|get rid of|drop) (?:it|them|him|her|that)(?: away| out| off)?", re.IGNORECASE
)


def _check(instruction: str, prompt: str, embed: Embed) -> None:
    if not prompt.strip() or len(prompt) > LONGEST_PROMPT or not parse(prompt).parts:
        raise InvalidValue(f"A prompt has 1 to {LONGEST_PROMPT} characters, and says something.", param="prompt")
    if not instruction.strip():
        raise _unclear("The instruction is empty.", "", prompt, embed)
    if len(instruction) > LONGEST:
        raise _unclear(
            f"An instruction has at most {LONGEST} characters; this one has {len(instruction)}.", "", prompt, embed
        )


def _named_last(reading: Reading) -> str:
    """What `it` means after a reading: what came in, or what was changed."""
    if reading.whole or reading.kind in ("remove", "background"):
        return ""
    if reading.kind in ("add", "replace"):
        return reading.value
    return _changed(reading)


def _changed(reading: Reading) -> str:
    """The words that stand in `after` where the target stood in `before`."""
    start, end = reading.span
    return reading.after[start : len(reading.after) - (len(reading.before) - end)]


def _read(clause: str, prompt: str, embed: Embed, it: str) -> Reading:
    """Read a single plain instruction."""
    if NO_WISH.match(clause):
        raise _unclear(f"I do not know what {_short(clause)!r} asks for.", clause, prompt, embed)
    desk = Desk(parse(prompt), embed, it, instead=bool(re.search(r"\binstead$", clause, re.IGNORECASE)))
    text = re.sub(r"[\s,]+instead$", "", clause, flags=re.IGNORECASE) if desk.instead else clause
    try:
        reading = _first(desk, text)
    except Asked as asked:
        choices = [_chosen(desk, text, choice) for choice in asked.choices]
        readings = [reading for reading in choices if reading]
        raise _unclear(asked.message, clause, prompt, embed, readings) from None
    if reading is None or reading.score < MEANT:
        raise _unclear(f"I do not know what {_short(clause)!r} asks for.", clause, prompt, embed)
    return reading


def _first(desk: Desk, text: str) -> Reading | None:
    """Return the reading of the first pattern that does not pass."""
    for pattern, action in COMPILED:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        found: Found = {name: words for name, words in match.groupdict().items() if words is not None}
        reading = action(desk, found)
        if reading:
            return reading
    return None


def _chosen(desk: Desk, text: str, choice: Mapping[str, int]) -> Reading | None:
    """Return the reading where a phrase is taken for a given part, if there is one."""
    try:
        return _first(replace(desk, chosen=choice), text)
    except Asked:
        return None


def _several(single: Sequence[str], prompt: str, embed: Embed, it: str) -> list[Reading]:
    readings = []
    for clause in single:
        try:
            readings.append(_read(clause, prompt, embed, it))
        except UnclearInstruction:
            continue
    return readings


def _unclear(
    message: str, clause: str, prompt: str, embed: Embed, readings: Sequence[Reading] = ()
) -> UnclearInstruction:
    """The question: the readings that there are, filled up with the nearest known wordings."""
    found = list(readings[:3])
    if not found:
        found = proposals(clause, prompt, embed, _wording)
    return UnclearInstruction(message, found, hint="Say it as one of these, or in other words.")


def _wording(text: str, prompt: str, embed: Embed) -> Reading | None:
    """Return the reading of a known wording, if it has one."""
    try:
        return _first(Desk(parse(prompt), embed), text)
    except Asked:
        return None


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "…"
