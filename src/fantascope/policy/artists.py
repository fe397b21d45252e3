"""Artists: whose style a text asks for, and whether it may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fantascope.policy.phrases import Cover, Index, Span, Token, compile_name
from fantascope.policy.rules import TERM, Artist

THRESHOLD = 0.5
STYLE, KEYWORD, SUBJECT = 1.0, 0.9, 0.2
"""Scores: a style is asked for; a full name stands in the prompt as a keyword; the person is what the picture shows."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_BEFORE = _set("by like inspired imitating mimicking channeling channelling copying style")
_STYLE_WORDS = _set("style styles manner spirit aesthetic look technique vein art work works")
_AFTER = _set("style styled styles inspired esque like aesthetic vibe vibes look technique")
_WORKS = _set("painting artwork drawing illustration print sketch photo photograph film movie")
_LISTS = _set("and or meets x plus")
_LINKS = _set("and or the of von a by artist painter photographer director great")
_SHOWN = _set("portrait photo photograph picture statue bust sculpture caricature painting drawing")
_DOES = _set("in at on sitting standing working holding wearing walking giving speaking smiling")
_PLACES = _set("museum exhibition retrospective foundation gallery biography documentary")
_PERSON = _set("artist painter photographer director illustrator sculptor the a young old")
_NOT_A_WORK = _DOES | _set("a the his her by")


@dataclass(frozen=True)
class Named:
    """An artist that a text names."""

    artist: Artist
    span: Span
    score: float
    free: bool

    def why(self) -> str:
        """Say in one sentence how the name is used and what follows."""
        artist = self.artist
        if self.free:
            return f"{artist.name} died in {artist.died}; the works are in the public domain."
        if self.score < THRESHOLD:
            return f"{artist.name} is what the picture shows, not a style that is asked for."
        how = "asks for the style of" if self.score == STYLE else "names, as a style keyword,"
        if artist.died is None:
            return f"The text {how} {artist.name}, a living artist. Styles of the living are theirs to give."
        return (
            f"The text {how} {artist.name}, who died in {artist.died}; "
            f"the works are protected until the end of {artist.died + TERM}."
        )


class Artists:
    """The table of artists, ready to be found in texts."""

    def __init__(self, artists: Sequence[Artist], year: int) -> None:
        self.year = year
        self._index: Index[tuple[Artist, bool]] = Index()
        for artist in artists:
            for full, names in ((True, (artist.name, *artist.names)), (False, artist.surnames)):
                for name in names:
                    for spelling in dict.fromkeys((name, "".join(name.split()))):
                        self._index.add((artist, full), compile_name(spelling))

    def find(self, tokens: Sequence[Token]) -> Iterator[Named]:
        """Yield every artist a text names, the longest name at a place only, in the order of the text."""
        hits = sorted(self._index.find(tokens), key=lambda hit: (hit[2] - hit[3], hit[2]))
        taken = Cover()
        found: list[Named] = []
        for (artist, full), span, first, end in hits:
            if taken.touches(span):
                continue
            taken.add(span)
            score = _use(tokens, first, end, full)
            if score > 0:
                found.append(Named(artist, span, score, artist.free(self.year)))
        yield from sorted(found, key=lambda named: named.span.start)


def _use(tokens: Sequence[Token], first: int, end: int, full: bool) -> float:
    """Score how a name is used; a surname counts only where a style is asked for."""
    before = [token.word for token in tokens[max(0, first - 6) : first]][::-1]
    after = [token.word for token in tokens[end : end + 2]]
    if _asks(before) or (after and (after[0] in _AFTER or _work(after))):
        return STYLE
    if not full:
        return 0.0
    shown = [word for word in before if word not in _PERSON][:2]
    is_shown = before[:1] == ["about"] or (len(shown) == 2 and shown[0] == "of" and shown[1] in _SHOWN)
    if is_shown or (after and after[0] in _PLACES | _DOES | _WORKS):
        return SUBJECT
    return KEYWORD


def _asks(before: Sequence[str]) -> bool:
    """Tell whether the words before a name (nearest first) ask for a style: `by X`, `style of A and X`."""
    listed = before[:1] and before[0] in _LISTS
    for word, earlier in zip(before[:5], [*before[1:], ""], strict=False):
        if word in _BEFORE or (word == "of" and earlier in _STYLE_WORDS) or (word == "la" and earlier == "a"):
            return True
        if word not in _LINKS and not listed:
            return False
    return False


def _work(after: Sequence[str]) -> bool:
    """`a Rothko painting` is one by Rothko; in `Hockney painting in his studio` he paints."""
    return after[0] in _WORKS and (len(after) == 1 or after[1] not in _NOT_A_WORK)
