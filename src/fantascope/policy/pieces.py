"""Pieces of a text: a short text is one; of a longer one its sentences, clauses and sliding windows are judged too."""

from __future__ import annotations

import re

from fantascope.policy.phrases import Span

WINDOW = 12
"""Words of the shortest window; the next one starts half a window on. A text no longer than this is one piece: shorter
pieces lose what makes a prompt harmless (`the victims of a shooting` of `a vigil for the victims of a shooting`)."""

CLAUSE = 4
"""Words of the shortest clause that is judged by itself."""

MOST = 48
"""Pieces of one text at most: a longer text gets longer windows, so the cost of judging is bounded."""

WHOLE = 48
"""Words up to which a text is also judged as a whole: beyond, a mean over so much says little."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_BREAK = re.compile(r"[,.;:!?|()\[\]\n]")


def pieces(text: str) -> list[Span]:
    """Return the pieces of a text to compare with the rules' sentences; a text without a word has none."""
    words = [Span(match.start(), match.end()) for match in _WORD.finditer(text)]
    if not words:
        return []
    whole = Span(words[0].start, words[-1].end)
    if len(words) <= WINDOW:
        return [whole]
    found = dict.fromkeys(_clauses(text, words))
    if len(words) <= WHOLE:
        found[whole] = None
    if len(found) > MOST // 2:
        found = {}
    size = WINDOW
    while len(words) / (size // 2) > MOST // 2:
        size *= 2
    for at in range(0, len(words) - size // 2, size // 2):
        found[Span(words[at].start, words[min(at + size, len(words)) - 1].end)] = None
    return list(found)


def grouped(items: list[Span]) -> list[Span]:
    """Return the items of a list; of more than `MOST`, neighbours together, so the cost of judging is bounded."""
    size = -(-len(items) // MOST)
    return [Span(items[at].start, items[min(at + size, len(items)) - 1].end) for at in range(0, len(items), size or 1)]


def _clauses(text: str, words: list[Span]) -> list[Span]:
    out: list[Span] = []
    first = 0
    for n, word in enumerate(words):
        if n + 1 == len(words) or _BREAK.search(text, word.end, words[n + 1].start):
            if n - first + 1 >= CLAUSE:
                out.append(Span(words[first].start, word.end))
            first = n + 1
    return out
