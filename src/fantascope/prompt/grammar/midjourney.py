"""Midjourney's prompt: pictures first, then the text, parameters last. `midjourney_request` says what each does here.

moon.png a cat on the moon::2 stars::1 --ar 3:2 --chaos 30 --no moustache
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from fantascope.errors import PromptError, nearest
from fantascope.prompt.grammar.tree import NUMBER, number

LONGEST = 32_000
MOST_PICTURES = 5
MOST_PIECES = 16
HEAVIEST = 10.0
"""Largest weight of a piece of a multi-prompt, either sign."""

Form = Literal["flag", "number", "whole", "ratio", "words", "word", "version", "code"]


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Attributes:
        form: What stands behind it: nothing, a number, `W:H`, words up to the next parameter, one word …
        does: What it does here, in a sentence.
        low, high: Range of a number.
        default: What holds without it.
        aliases: Other names.
        only: The only values, where there are few.
        refused: Whether it is refused by name; `does` says what comes nearest.
    """

    form: Form
    does: str
    low: float = 0
    high: float = 0
    default: str = ""
    aliases: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    refused: bool = False

    @property
    def range(self) -> str:
        """What may stand behind it, in words."""
        if self.only:
            return ", ".join(self.only)
        if self.form in ("number", "whole"):
            return f"{number(self.low)} to {number(self.high)}"
        told = {"ratio": "W:H", "words": "words", "word": "a value", "version": "5 to 8.9", "code": "a code"}
        return told.get(self.form, "")


PARAMETERS: dict[str, Parameter] = {
    "ar": Parameter(
        "ratio",
        "the size: nearest to that shape and to the model's usual area; refused with one picture, whose size is kept",
        default="1:1",
        aliases=("aspect",),
    ),
    "chaos": Parameter(
        "whole",
        "how far the four pictures' noises lie apart: 0 is three tenths of their own, 100 all of it (request: chaos)",
        high=100,
        default="100",
        aliases=("c",),
    ),
    "stylize": Parameter(
        "whole",
        "freedom: guidance times 1.3 at 0, 1 at 100, 0.5 at 1000, counted from 1; above 100 what the prompt leaves "
        "open is added, all of it at 1000 (as --expand)",
        high=1000,
        default="100",
        aliases=("s",),
    ),
    "weird": Parameter(
        "whole",
        "only 0: no mechanism here makes pictures odd; --chaos spreads them",
        high=3000,
        default="0",
        aliases=("w",),
    ),
    "quality": Parameter(
        "number", "steps: the model's usual ones times this", 0.25, 4, "1", ("q",), ("0.25", "0.5", "1", "2", "4")
    ),
    "seed": Parameter("whole", "the seed: same prompt and seed, same picture", 0, 2**32 - 1, "drawn"),
    "no": Parameter("words", "the negative prompt"),
    "iw": Parameter("number", "weight of the pictures: 1 - 0.3 times it is how much is painted over", 0, 3, "1"),
    "tile": Parameter("flag", "a picture whose edges meet (task tile)", default="off"),
    "stop": Parameter("whole", "the guess is taken after this share of the steps", 10, 100, "100"),
    "repeat": Parameter("whole", "so many requests, each with seeds of its own", 1, 40, "1", ("r",)),
    "raw": Parameter("flag", "as --stylize 0, unless that is given", default="off"),
    "style": Parameter("word", "raw, as --raw", only=("raw",)),
    "draft": Parameter("flag", "the model's version of four steps (embedded-few)", default="off"),
    "v": Parameter(
        "version", "none of Midjourney's models is here: only the ranges and :: follow it", aliases=("version",)
    ),
    "niji": Parameter("word", "as --v: no such model is here, and the usual one paints", only=("5", "6")),
    "fast": Parameter("flag", "nothing waits in a queue here: it is taken and changes nothing"),
    "relax": Parameter("flag", "nothing waits in a queue here: it is taken and changes nothing"),
    "turbo": Parameter("flag", "it is taken and changes nothing; --draft is faster"),
    "exp": Parameter("whole", "only 0; nearest: --stylize", high=100, default="0"),
    "sref": Parameter(
        "words", "no model here follows the style of a picture; nearest: the picture first, with --iw", refused=True
    ),
    "sw": Parameter("whole", "belongs to --sref", high=1000, default="100", refused=True),
    "sv": Parameter("whole", "belongs to --sref", 1, 6, "4", refused=True),
    "cref": Parameter(
        "words", "no model here keeps a character; nearest: fantascope personalise, or the picture first", refused=True
    ),
    "cw": Parameter("whole", "belongs to --cref", high=100, default="100", refused=True),
    "oref": Parameter(
        "words", "no model here keeps a thing; nearest: fantascope personalise, or the picture first", refused=True
    ),
    "ow": Parameter("whole", "belongs to --oref", 1, 1000, "100", refused=True),
    "p": Parameter("code", "profiles are Midjourney's own; nearest: an adapter (--adapter)", refused=True),
}
"""Every parameter by its name, in the order they are printed."""

NAMES: dict[str, str] = {name: name for name in PARAMETERS} | {
    alias: name for name, parameter in PARAMETERS.items() for alias in parameter.aliases
}

_MARK = re.compile(r"(?:(?<=\s)|\A)(?:--|—)([A-Za-z]+)(?=\s|\Z)")
_PICTURE = re.compile(r"(?:https?://\S+|sha256:[0-9a-f]{6,64}|\S+\.(?:png|jpe?g|webp|gif))(?=\s|\Z)", re.IGNORECASE)
_WEIGHT = re.compile(rf"::([+-]?{NUMBER})?")


@dataclass(frozen=True)
class Piece:
    """A text of a multi-prompt and its weight."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class Midjourney:
    """A prompt, read: pictures, pieces of text, and parameters by name in the order of `PARAMETERS`, as texts."""

    pictures: tuple[str, ...]
    pieces: tuple[Piece, ...]
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def several(self) -> bool:
        """Whether it is a multi-prompt."""
        return len(self.pieces) > 1

    def get(self, name: str) -> str | None:
        """Return what stands behind a parameter, None where it is not given."""
        return dict(self.parameters).get(name)

    def number(self, name: str) -> float | None:
        """Return the number behind a parameter, None where it is not given."""
        told = self.get(name)
        return float(told) if told is not None else None


def parse(text: str) -> Midjourney:
    """Read a prompt whose permutations are expanded.

    Raises:
        PromptError: a parameter is unknown, twice there, or out of range; text stands behind the parameters; weights
            do not sum to more than 0; it is too long.
    """
    if len(text) > LONGEST:
        raise PromptError(f"The prompt has {len(text)} characters; at most {LONGEST} are allowed.")
    marks = list(_MARK.finditer(text))
    front = text[: marks[0].start()] if marks else text
    found: dict[str, str] = {}
    for mark, following in zip(marks, [*marks[1:], None][: len(marks)], strict=True):
        told = mark[1].lower()
        if told not in NAMES:
            near = nearest(told, NAMES)
            allowed = ", ".join(f"--{one}" for one in (near if near else PARAMETERS))
            raise PromptError(f"There is no parameter --{told}; nearest: {allowed}.", text, mark.start())
        name = NAMES[told]
        if name in found:
            raise PromptError(f"--{name} is given twice.", text, mark.start())
        value = text[mark.end() : following.start() if following is not None else len(text)]
        found[name] = _value(name, " ".join(value.split()), text, mark.start())
    pictures, words = _pictures(front)
    whole = Midjourney(pictures, _pieces(words), tuple((name, found[name]) for name in PARAMETERS if name in found))
    _fits(whole, text)
    return whole


def _pictures(front: str) -> tuple[tuple[str, ...], str]:
    pictures: list[str] = []
    words = front.strip()
    while found := _PICTURE.match(words):
        pictures.append(found[0])
        words = words[found.end() :].lstrip()
    if len(pictures) > MOST_PICTURES:
        raise PromptError(f"{len(pictures)} pictures are given; at most {MOST_PICTURES} are taken.", front)
    return tuple(pictures), words


def _pieces(words: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    at = 0
    for mark in _WEIGHT.finditer(words):
        pieces.append(Piece(" ".join(words[at : mark.start()].split()), float(mark[1]) if mark[1] is not None else 1.0))
        at = mark.end()
        if abs(pieces[-1].weight) > HEAVIEST:
            told = f"A weight is -{HEAVIEST:g} to {HEAVIEST:g}, not {mark[1]}."
            raise PromptError(told, words, mark.start())
    rest = " ".join(words[at:].split())
    if rest or not pieces:
        pieces.append(Piece(rest))
    if len(pieces) > MOST_PIECES:
        raise PromptError(f"A multi-prompt has at most {MOST_PIECES} pieces, not {len(pieces)}.", words)
    if any(not piece.text for piece in pieces) and len(pieces) > 1:
        raise PromptError("A piece of the multi-prompt says nothing.", words)
    if sum(piece.weight for piece in pieces) <= 0:
        raise PromptError("The weights of a multi-prompt have to sum to more than 0.", words)
    return tuple(pieces)


def _value(name: str, told: str, text: str, at: int) -> str:
    """Return what stands behind a parameter in canonical form."""
    parameter = PARAMETERS[name]
    if parameter.form == "words":
        if not told:
            raise PromptError(f"--{name} needs {parameter.range} behind it.", text, at)
        return told
    if parameter.form in ("flag", "code") and not told:
        return ""
    wrong = PromptError(f"--{name} takes {parameter.range or 'no value'}, not {told!r:.60}.", text, at)
    if " " in told or not told or parameter.form == "flag":
        raise wrong
    if parameter.form == "ratio":
        found = re.fullmatch(r"(\d{1,5}):(\d{1,5})", told)
        if found is None or int(found[1]) == 0 or int(found[2]) == 0:
            raise wrong
        return f"{int(found[1])}:{int(found[2])}"
    if parameter.form in ("number", "whole", "version"):
        pattern = {"number": NUMBER, "whole": r"\d{1,10}", "version": r"[5-8](?:\.\d)?"}[parameter.form]
        if re.fullmatch(pattern, told) is None:
            raise wrong
        value = float(told)
        if parameter.form != "version" and not parameter.low <= value <= parameter.high:
            raise wrong
        told = number(value)
    if parameter.only and told not in parameter.only:
        raise wrong
    return told


def _fits(whole: Midjourney, text: str) -> None:
    """Check what depends on the version, and what belongs together."""
    version = whole.number("v")
    if version is not None and version >= 7 and whole.several:
        raise PromptError("Version 7 and later take no :: weights.", text)
    quality = whole.get("quality")
    if version is not None and quality is not None:
        only = ("1", "2", "4") if version >= 7 else ("0.25", "0.5", "1")
        if quality not in only:
            raise PromptError(f"--quality of version {version:g} is {', '.join(only)}, not {quality}.", text)
    weight = whole.number("iw")
    if weight is not None and not whole.pictures:
        raise PromptError("--iw weighs pictures, and none stands before the text.", text)
    if weight is not None and version is not None and version < 6 and weight > 2:
        raise PromptError(f"--iw of version {version:g} is 0 to 2, not {weight:g}.", text)


def show(prompt: Midjourney) -> str:
    """Print a prompt in its canonical form: `parse(show(prompt)) == prompt`."""
    first = prompt.pieces[0]
    if prompt.several or first.weight != 1:
        text = " ".join(map(_piece, prompt.pieces))
    else:
        text = first.text
    marks = (f"--{name} {value}".rstrip() for name, value in prompt.parameters)
    return " ".join(part for part in (*prompt.pictures, text, *marks) if part)


def _piece(piece: Piece) -> str:
    apart = " " if piece.text.endswith(":") else ""
    return f"{piece.text}{apart}::{number(piece.weight)}"


def table() -> str:
    """Return the table of parameters for the docs."""
    rows = ["| parameter | values | without it | what it does here |", "|---|---|---|---|"]
    for name, one in PARAMETERS.items():
        names = ", ".join(f"`--{each}`" for each in (name, *one.aliases))
        does = f"refused: {one.does}" if one.refused else one.does
        rows.append(f"| {names} | {one.range} | {one.default} | {does} |")
    return "\n".join(rows)
