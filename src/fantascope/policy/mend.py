"""Mending: reading a text through spellings that hide words from phrases and from the text encoder alike.

`na ked`, `(na:1.2)(ked:1.2)`, `n*ked`, `n4k3d` and `nаked` with a Cyrillic letter all become `naked`. A word is mended
only into one that some rule looks for, and two words that are ordinary by themselves stay two (`a pen is on a table`),
so a text that hides nothing stays as it is. What is mended is judged as a second reading beside the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from fantascope.policy.phrases import LEET_TABLES, Phrase, bases, fold
from fantascope.spec import EMBEDDED

MOST = 5
"""Pieces that one word may be split into."""

SURE = 7
"""Letters from which a word that is looked for counts, though both its halves are ordinary words (`pass port`)."""

LEAST = 4
"""Letters of the shortest word that is mended."""

COMMON = 12_000
"""Words of the encoder's vocabulary, the most frequent first, that count as ordinary."""

_VOCABULARY = EMBEDDED / "tokenizer" / "vocab.txt"
_SHORT = frozenset(("a", "i", "an", "as", "at", "be", "by", "do", "go", "he", "hi", "if", "in", "is", "it", "me", "my",
                    "no", "of", "oh", "on", "or", "so", "to", "up", "us", "we"))  # fmt: skip
_WEIGHT = re.compile(r":\s*[\d.]+\s*(?=[)\]}])")
_BRACKET = re.compile(r"[()\[\]{}<>]")
_PIECE = re.compile(r"[^\s,;]+")
_MASK = re.compile(r"[*#_%?•×]")
_LETTERS = re.compile(r"[a-z]+")


def words_of(phrases: Iterable[Phrase]) -> dict[int, dict[str, None]]:
    """Return every word that these phrases look for, by its number of letters, in the order of the phrases."""
    found: dict[int, dict[str, None]] = {}
    for phrase in phrases:
        for element in phrase:
            for options in element.values() if not isinstance(element, int) else ():
                for word in (word.removeprefix("=") for option in options for word in option):
                    found.setdefault(len(word), {})[word] = None
    return found


def mended(text: str, wanted: Mapping[int, Mapping[str, None]]) -> str | None:
    """Return how a text reads once its spelling is undone; None where there is nothing to undo.

    Args:
        text: Any text.
        wanted: What `words_of` returned.
    """
    folded = fold(text)[0]
    bare = _BRACKET.sub("", _WEIGHT.sub("", folded))
    pieces = [match.group() for match in _PIECE.finditer(bare)]
    read = [_unmasked(piece, wanted) for piece in pieces]
    out = list(_joined(read, wanted))
    plain = [match.group() for match in _PIECE.finditer(folded)]
    changed = out != plain and any(_looked_for(word, wanted) and word not in plain for word in out)
    return " ".join(out) if changed else None


def _looked_for(word: str, wanted: Mapping[int, Mapping[str, None]]) -> bool:
    letters = word.strip(".!?'\"-")
    return len(letters) >= LEAST and any(base in wanted.get(len(base), ()) for base in bases(letters))


def _unmasked(piece: str, wanted: Mapping[int, Mapping[str, None]]) -> str:
    """Return the word that a piece stands for: dots left out, digits read as letters, masked letters filled in."""
    if _LETTERS.fullmatch(piece):
        return piece
    core = piece.strip(".!?'\":-").replace("'", "")
    letters = sum(char.isalpha() for char in core)
    for table in LEET_TABLES if letters * 2 >= len(core) > letters else ():
        word = "".join(char for char in core.translate(table) if char.isalpha())
        if word != core and not _MASK.search(core) and _looked_for(word, wanted):
            return word
    if _MASK.search(core) and len(core) >= LEAST and len(_MASK.findall(core)) * 2 <= len(core):
        shape = re.compile("".join("[a-z]" if _MASK.match(char) else re.escape(char) for char in core))
        for ending in ("", "s", "d", "ed", "ing"):
            for word in wanted.get(len(core) - len(ending), ()):
                if shape.fullmatch(word + ending):
                    return word + ending
    return piece


def _joined(pieces: list[str], wanted: Mapping[int, Mapping[str, None]]) -> Iterator[str]:
    at = 0
    while at < len(pieces):
        for count in range(min(MOST, len(pieces) - at), 1, -1):
            parts = pieces[at : at + count]
            word = "".join(parts)
            if not word.isalpha() or not _looked_for(word, wanted):
                continue
            ordinary = all(part in _SHORT or (len(part) > 2 and part in _ordinary()) for part in parts)
            if not ordinary or (count == 2 and len(word) >= SURE):
                yield word
                at += count
                break
        else:
            yield pieces[at]
            at += 1


@lru_cache(maxsize=1)
def _ordinary(path: Path = _VOCABULARY) -> frozenset[str]:
    """Return the most frequent whole words of the encoder's vocabulary, which is sorted by frequency."""
    words = (word for word in path.read_text("utf-8").splitlines() if word.isascii() and word.isalpha())
    return frozenset([word for word, _ in zip((w for w in words if len(w) > 2), range(COMMON), strict=False)])
