"""What is found in a prompt: its parts, what is wrong with its form, and the words that a model does not know."""

from __future__ import annotations

import re
from typing import Any

PAIRS = {")": "(", "]": "[", "}": "{"}
HEAVIEST = 2.0
"""Weight of a word in brackets above which a picture falls apart."""

_WEIGHT = re.compile(r":\s*(-?\d+(?:\.\d+)?)\s*\)")


def problems(prompt: str, grammar: str | None = None) -> list[str]:
    """Say what is wrong with the form of a prompt: brackets out of balance, weights out of range, nothing in it."""
    found: list[str] = [] if prompt.strip() else ["The prompt is empty."]
    opened: list[tuple[str, int]] = []
    escaped = False
    for at, char in enumerate(prompt):
        if escaped or char == "\\":
            escaped = not escaped and char == "\\"
            continue
        if char in PAIRS.values():
            opened.append((char, at))
        elif char in PAIRS:
            if not opened or opened[-1][0] != PAIRS[char]:
                found.append(f"The bracket {char!r} at character {at + 1} closes nothing.")
            else:
                opened.pop()
    found += [f"The bracket {char!r} at character {at + 1} is never closed." for char, at in opened]
    for match in _WEIGHT.finditer(prompt):
        if not 0 <= float(match[1]) <= HEAVIEST:
            found.append(f"The weight {match[1]} at character {match.start(1) + 1} is not from 0 to {HEAVIEST:g}.")
    if not found and grammar is not None:
        found += _unreadable(prompt, grammar)
    return found


def _unreadable(prompt: str, grammar: str) -> list[str]:
    from fantascope.errors import FantascopeError
    from fantascope.prompt.grammar import readings

    try:
        readings(prompt, grammar)
    except FantascopeError as error:
        return [error.message]
    return []


def found_in(prompt: str, spec: Any, embed: Any, grammar: str | None = None) -> dict[str, Any]:
    """Return the pieces of a prompt, the parts that are missing, what is read as other words and what is unknown."""
    from fantascope.errors import FantascopeError
    from fantascope.prompt.anatomy import dissect, parse_anatomy
    from fantascope.prompt.grammar import readings
    from fantascope.prompt.known import reword, strange_words, vocabulary_of
    from fantascope.wording import lexicon

    words, known = lexicon(), vocabulary_of(spec)
    try:
        said = readings(prompt, grammar)
    except FantascopeError:
        said = [prompt]
    told: dict[str, Any] = {
        "prompt": prompt,
        "model": spec.name,
        "pieces": [vars(piece) for piece in dissect(prompt, words)],
        "missing": list(parse_anatomy(prompt, words).missing()),
        "readings": said if said != [prompt] else [],
        "changes": [],
        "unknown": [],
        "untaught": [],
    }
    if known is None:
        return told
    read = reword(prompt, known, embed)
    taken = [(one.start, one.end) for one in read.changes] + [(one.start, one.end) for one in read.unknown]
    strange = [
        prompt[a:b] for a, b in strange_words(prompt, known) if not any(a < end and start < b for start, end in taken)
    ]
    told |= {"changes": [vars(one) for one in read.changes], "unknown": [vars(one) for one in read.unknown]}
    return told | {"untaught": list(dict.fromkeys(strange))}
