"""What an instruction names that is no thing: the background, the style, the light, a colour, a size, a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import fantascope.prompt.instruct.edits as edits
from fantascope.prompt.english import number_of, split_determiner
from fantascope.prompt.instruct.clauses import VERBS
from fantascope.prompt.instruct.match import Match
from fantascope.prompt.instruct.reading import Desk, Reading
from fantascope.prompt.instruct.wishes import (
    backdrop_of,
    backdrop_or_thing,
    colour_of,
    light_of,
    size_of,
    style_of,
    time_of,
)
from fantascope.prompt.lexicon import names

Found = Mapping[str, str]
Action = Callable[[Desk, Found], Reading | None]
BACK = re.compile(
    r"(?:the |its |this )?(?:whole |entire )?(?:background|backdrop|setting|scenery|surroundings)", re.IGNORECASE
)
_STYLE_WORD = re.compile(r"(?:the |its |this )?(?:art |drawing |visual )?(?:style|medium|technique)", re.IGNORECASE)
_LIGHT_WORD = re.compile(
    r"(?:the |its )?(?:overall )?(?:light(?:ing|s)?|mood|atmosphere|brightness|ambian?ence)", re.IGNORECASE
)
_TIME_WORD = re.compile(r"(?:the )?(?:weather|season|time(?: of (?:the )?(?:day|year))?)", re.IGNORECASE)
_COLOUR_OF = re.compile(r"(?:the )?(?:colou?r of (?P<of>.+)|(?P<own>.+?)(?:'s?)? colou?r)", re.IGNORECASE)
_SIZE_OF = re.compile(r"(?:the )?size of (?P<of>.+)", re.IGNORECASE)
_NUMBER_OF = re.compile(r"(?:the )?(?:number|amount|count) of (?P<of>.+)", re.IGNORECASE)
NOUN = re.compile(r"[^\W\d_][\w'-]*(?:,? (?:&|[\w'-]+)){0,11}|\d{1,3} [\w' -]+")
VAGUE = names(
    """something anything else better nicer different good best great else stuff things nothing more less it them this
    that one ones other improved fix worse again"""
)
_NO_NOUNS = names(
    """off away disappear vanish gone go should would could must let please instead is are was be not don't dont isn't
    i you we he she they why how what when where who because if"""
)
_NO_BEGIN = names(
    "and or but in on at to into onto under behind above below beside near off out up down with without of for"
)
_COMMAND = re.compile(
    rf"(?:{VERBS})\b(?! (?:of|in|on|and)\b)\s+(?:the|an?|it|this|that|them|in|some|out|off|away)\b", re.IGNORECASE
)


_ADRIFT = re.compile(
    r"(?<!of )(?<!in )(?<!on )(?<!at )(?<!by )(?<!to )(?<!with )(?<!and )(?<!from )(?<!under )(?<!over )(?<!into )"
    r"(?<!ing )(?<!near )(?<!behind )(?<!above )(?<!below )(?<!beside )(?<!through )\b(?:the|an?|only)\b"
)
"""An article in the middle, with nothing before it that connects: what comes first is a verb."""


def is_thing(words: str) -> bool:
    """Whether words can name a thing: none of them commands, points or hedges."""
    low = words.lower().split()
    rest = split_determiner(words.lower())[1]
    plain = set(rest.split())
    return (
        rest[:1].isalnum()
        and NOUN.fullmatch(words) is not None
        and not plain & (VAGUE | _NO_NOUNS)
        and low[0] not in _NO_BEGIN
        and _COMMAND.match(words) is None
        and _ADRIFT.search(" ".join(low[1:])) is None
    )


def coloured(desk: Desk, x: str) -> Match:
    """The thing that a colour belongs to: `change red to pink` names it by its colour."""
    old = colour_of(x)
    if old:
        fits = [k for k, part in enumerate(desk.scene.parts) if old in " ".join(part.words[:-1])]
        if len(fits) == 1:
            return Match(fits[0], 0.95)
    return desk.find(x)


def recolour(desk: Desk, found: Found) -> Reading | None:
    """`change the balloon from red to yellow`, `paint the house blue`."""
    if BACK.fullmatch(found["x"]):
        return background(desk, found)
    colour = colour_of(found["y"])
    return edits.recolour(desk, desk.find(found["x"]), colour) if colour else None


def background(desk: Desk, found: Found) -> Reading | None:
    setting = backdrop_or_thing(found["y"])
    return edits.background(desk, *setting) if setting and not set(found["y"].lower().split()) & VAGUE else None


def _style(desk: Desk, found: Found) -> Reading | None:
    style = style_of(found["y"]) or style_of(f"{found['y']} style")
    return edits.restyle(desk, *style) if style else None


def _light(desk: Desk, found: Found) -> Reading | None:
    light = light_of(found["y"], free=True)
    return edits.relight(desk, light) if light else _time(desk, found)


def _time(desk: Desk, found: Found) -> Reading | None:
    time = time_of(found["y"])
    return edits.relight_time(desk, time) if time else None


def _size(desk: Desk, found: Found) -> Reading | None:
    size = size_of(found["y"])
    return edits.resize(desk, desk.find(found["x"]), size) if size else None


def _number(desk: Desk, found: Found) -> Reading | None:
    number = number_of(found["y"])
    return edits.count(desk, desk.find(found["x"]), number) if number is not None else None


ASPECTS: tuple[tuple[re.Pattern[str], Action], ...] = (
    (BACK, background),
    (_STYLE_WORD, _style),
    (_LIGHT_WORD, _light),
    (_TIME_WORD, _time),
    (_COLOUR_OF, recolour),
    (_SIZE_OF, _size),
    (_NUMBER_OF, _number),
)
"""`X` that names a side of the picture or of a thing -> who reads `Y`."""


def of_whole(desk: Desk, y: str, free: bool = False) -> Reading | None:
    """What is said of the whole picture: a time, a style, a light or a setting."""
    style, time, light = style_of(y), time_of(y), light_of(y, free)
    if y.lower() in ("flat", "black and white", "monochrome", "sepia", "grayscale", "greyscale"):
        return edits.restyle(desk, *(style or (y.lower(), "")))
    if style:
        return edits.restyle(desk, *style)
    if time:
        return edits.relight_time(desk, time)
    if light:
        return edits.relight(desk, light)
    setting = None if colour_of(y) or re.match(r"an? |one |two |three ", y) else backdrop_of(y)
    return edits.background(desk, *setting) if setting else None
