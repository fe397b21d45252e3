"""What an instruction was taken for, and the desk it is read at: prompt, encoder, and what `it` means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from fantascope.prompt.english import split_determiner
from fantascope.prompt.instruct.match import MARGIN, MEANT, Embed, Match, is_pronoun, matches
from fantascope.prompt.parse import Part, Scene

KINDS = ("replace", "add", "remove", "recolour", "restyle", "relight", "background", "move", "count", "resize")
PLACES = ("", "left", "right", "top", "bottom", "background", "foreground", "centre")


@dataclass(frozen=True)
class Reading:
    """An edit instruction, understood.

    Attributes:
        kind: One of `KINDS`.
        before, after: The prompt as it is, and as the picture will be described after the edit. They differ.
        target: The words of `before` that are meant; empty where something is added or the whole picture changes.
        span: Half-open range of characters: `before[slice(*span)] == target`.
        value: The new words; empty for a removal.
        place: Where an addition or a move goes, one of `PLACES`.
        whole: Whether every pixel may change, or only the target's region.
        score: How sure the reading is, 0 to 1.
        said: What will be done, in a plain sentence.
        anchor, anchor_span: The thing an addition stands beside, on or under, and its characters in `before`.
    """

    kind: str
    before: str
    after: str
    target: str
    span: tuple[int, int]
    value: str
    place: str
    whole: bool
    score: float
    said: str
    anchor: str = ""
    anchor_span: tuple[int, int] = (0, 0)


class Asked(Exception):
    """Reading stops: `message` says why, `choices` what a phrase of the instruction may mean."""

    def __init__(self, message: str, choices: Sequence[Mapping[str, int]] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.choices = tuple(choices)


@dataclass(frozen=True)
class Desk:
    """Where one instruction is read.

    Attributes:
        scene: The prompt in parts.
        embed: The sentence encoder.
        it: What a pronoun means when something was named just before; empty if nothing was.
        chosen: Phrase -> the part it is taken for, when the reader was told.
        instead: Whether the instruction said `instead`.
    """

    scene: Scene
    embed: Embed
    it: str = ""
    chosen: Mapping[str, int] = field(default_factory=dict)
    instead: bool = False

    def part(self, at: int) -> Part:
        """Return a part of the prompt."""
        return self.scene.parts[at]

    def find(self, phrase: str, *, places: bool = True) -> Match:
        """Return the part that a phrase means.

        Raises:
            Asked: no part is near enough, or two are equally near.
        """
        phrase = phrase.strip()
        if phrase in self.chosen:
            return Match(self.chosen[phrase], 0.9)
        meant = self.it if self.it and is_pronoun(phrase) else phrase
        found = matches(meant, self.scene, self.embed, places=places)
        good = [match for match in found if match.score >= MEANT]
        if not good:
            raise Asked(
                f"Nothing in {self.scene.text.strip()!r} is called {phrase!r}.", [{phrase: m.at} for m in found[:3]]
            )
        rivals = [match for match in good if good[0].score - match.score < MARGIN]
        if len(rivals) > 1:
            names = " or ".join(repr(self.part(match.at).text) for match in rivals[:3])
            raise Asked(f"{phrase!r} could be {names}.", [{phrase: match.at} for match in rivals[:3]])
        return good[0]

    def named(self, phrase: str) -> int | None:
        """Return the part whose words or common names a phrase surely is, or None."""
        if not phrase.strip() or is_pronoun(phrase):
            return None
        found = matches(phrase, self.scene, _no_encoder)
        return found[0].at if found and found[0].score >= 0.85 else None

    def whole_group(self, at: int) -> tuple[str, tuple[int, int]]:
        """Return the words of a part and of what it is made of, and their place."""
        span = self.scene.span(at, self.scene.group(at))
        return self.scene.text[slice(*span)], span

    def reading(
        self,
        kind: str,
        parts: Sequence[Part],
        said: str,
        *,
        span: tuple[int, int] = (0, 0),
        value: str = "",
        place: str = "",
        whole: bool = False,
        score: float = 1.0,
        anchor: int | None = None,
    ) -> Reading:
        """Return a reading whose new prompt is made of these parts.

        Raises:
            Asked: that prompt is the old one.
        """
        before = self.scene.text
        after = self.scene.with_parts(parts)
        if " ".join(after.split()).casefold() == " ".join(before.split()).casefold():
            raise Asked(f"The prompt {before.strip()!r} says that already.")
        at = self.scene.span(anchor) if anchor is not None else (0, 0)
        return Reading(
            kind, before, after, before[slice(*span)], span, value, place, whole, round(score, 3), said,
            before[slice(*at)], at,
        )  # fmt: skip


def put(parts: Sequence[Part], start: int, end: int, new: Sequence[Part]) -> list[Part]:
    """Return the parts with `start` … `end - 1` replaced."""
    return [*parts[:start], *new, *parts[end:]]


def reword(part: Part, text: str) -> Part:
    """Return the part with other words."""
    return replace(part, text=text)


def definite(part: Part) -> str:
    """Return a part's words with `the` before them, in place of an article or a number; a bare number is the noun."""
    return f"the {split_determiner(part.text)[1]}"


def _no_encoder(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Vectors that are near to nothing: words must match by themselves."""
    return np.zeros((len(texts), 1), np.float32)
