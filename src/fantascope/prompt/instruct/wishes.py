"""What the new words of an instruction are: a colour, a size, a style, a light, a time, a place or a thing."""

from __future__ import annotations

import re

from fantascope.prompt.english import article, is_plural, plural, singular, split_determiner, with_article
from fantascope.prompt.instruct.match import SURE
from fantascope.prompt.lexicon import (
    AT_PLACES,
    BARE_PLACES,
    BEFORE_COLOUR,
    COLOUR,
    FREE_STYLES,
    LIGHTS,
    MASS,
    MOODS,
    ON_PLACES,
    PLACES,
    RESIZE,
    SIZES,
    SPOTS,
    STYLES,
    TIMES,
    names,
)
from fantascope.prompt.parse import Part

_SOFTENERS = re.compile(
    r"^(?:(?:also|just|a bit|a little(?: bit)?|a tad|slightly|somewhat|much|even|way|very|really|far|a lot|"
    r"look(?:s|ing)?|"
    r"feel(?:s|ing)?|seem|appear|be|being|become|more like|like|rather|quite|all|turned?|painted|coloured|"
    r"colored)\s+)+",
    re.IGNORECASE,
)
_SPOT = re.compile(
    r"(?:(?:over |more |further |all the way |a bit |a little )*(?:to|on|at|in|into|onto|"
    r"towards?)\s+)?(?:the\s+)?(?:very |far |upper |lower )?"
    r"(?P<spot>[a-z]+)(?:[ -]?hand)?(?:\s+(?:side|edge|part|half|corner))?(?:\s+of (?:the|this) (?:picture|image|"
    r"scene|frame|photo))?",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"(?P<lead>(?:somewhere |set |placed |standing |sitting )?(?:in front of|in|on|at|under|against|inside|by|"
    r"into|onto|to|among|"
    r"through|over|near|from))\s+(?P<rest>.+)",
    re.IGNORECASE,
)
_ADJECTIVE = re.compile(r"[a-z-]+(?:y|ful|ing|ed|ish|less|ous|ic|al|ive|ern)", re.IGNORECASE)
_BACKDROP = re.compile(r"(?:an? |the )?(?P<rest>.+?) (?:background|backdrop)", re.IGNORECASE)
_OF_TIME = re.compile(
    r"(?:(?:set )?(?:in|at|during|to|by|into|under)\s+)?(?:the\s+|an?\s+)?(?:early |"
    r"late )?(?P<time>[a-z]+(?: [a-z]+)?)",
    re.I,
)


def trimmed(words: str) -> str:
    """Leave out `a bit`, `much`, `look`, `be` … before what matters."""
    return _SOFTENERS.sub("", words.strip())


def colour_of(words: str) -> str:
    """Return the colour that the words are, in lower case, or nothing: `red`, `in red`, `a red colour`."""
    low = trimmed(words).lower()
    low = re.sub(r"^(?:in |into |to |an? |the )+", "", low)
    low = re.sub(r"\s+(?:colou?r|paint|one|ones|tone)$", "", low)
    low = re.sub(r"^colou?r\s+", "", low)
    return low if COLOUR.fullmatch(low) else ""


def size_of(words: str) -> tuple[str, int] | None:
    """Return ("step", -1 or 1) for `bigger` or `smaller`, ("place", k) for a size by name, or None."""
    low = re.sub(r"^(?:more |the )", "", trimmed(words).lower())
    low = re.sub(r"\s+(?:size|in size|one)$", "", low)
    if low in RESIZE and low not in ("up", "down"):
        return "step", RESIZE[low]
    return ("place", SIZES[low]) if low in SIZES else None


def spot_of(words: str) -> tuple[str, str] | None:
    """Return (place, phrase) for words that say where in the picture, or None: `to the left hand side`."""
    match = _SPOT.fullmatch(words.strip())
    return SPOTS.get(match["spot"].lower()) if match else None


def time_of(words: str) -> str:
    """Return the phrase for a time, season or weather: `sunset` and `at sunset` give `at sunset`; else nothing."""
    low = trimmed(words).lower().removesuffix(" now").removesuffix(" time").strip()
    match = _OF_TIME.fullmatch(low)
    if match is None:
        return ""
    if low in ("snow", "rain", "rainy", "snowy"):
        return TIMES.get(low, f"in the {low}")
    first, _, second = match["time"].partition(" ")
    return TIMES.get(match["time"], "") or (TIMES.get(first, "") if second in ("day", "weather", "scene") else "")


def light_of(words: str, free: bool = False) -> str:
    """Return the words for a light or a mood, or nothing; with `free`, any short adjectives count as a mood."""
    low = re.sub(r"^(?:an? |the |with |in |of )+", "", trimmed(words).lower().strip())
    low = trimmed(low)
    if low in LIGHTS:
        return LIGHTS[low]
    stem = low.removeprefix("more ")
    if re.fullmatch(r"(?:[a-z-]+ ){1,3}(?:light|lighting|lights|mood|atmosphere|ambience|ambiance)", stem):
        return "" if set(stem.split()) & _POINTING else stem
    words_of = re.split(r",? and |, | ", stem)
    if stem and all(word in MOODS for word in words_of):
        return LIGHTS.get(stem, stem)
    if (
        free
        and 0 < len(words_of) <= 4
        and not colour_of(stem)
        and all(_ADJECTIVE.fullmatch(word) or word in MOODS for word in words_of)
    ):
        return stem
    return ""


def style_of(words: str) -> tuple[str, str] | None:
    """Return (words behind a comma, words before `of` or nothing) for a style, or None."""
    low = " ".join(trimmed(words).lower().split())
    made = re.fullmatch(r"(?:an? |the )?(?P<what>painting|drawing|sketch) (?:in|with|using) (?P<how>[\w ]+)", low)
    low = f"{made['how']} {made['what']}" if made else low
    named = re.fullmatch(r"(?:in |into |with |to )*(?:the )?style of (?P<who>.+)", low)
    who = named["who"] if named else low
    who = re.sub(r"^(?:in |into |as |to |with |like |using |an? |the |some )+", "", who)
    who = re.sub(r"(?<=\w) (?:look|effect|technique|version|picture|image|theme|styled)$", " style", who)
    for pattern, forms in STYLES.items():
        if re.fullmatch(pattern, who):
            return forms
    if named:
        return (f"in the style of {named['who']}", "") if len(low) <= 80 else None
    pieces = who.split()
    if not pieces or len(pieces) > 4 or set(pieces) & _POINTING or _VERB.match(who):
        return None
    if pieces[0] in FREE_STYLES and (len(pieces) == 1 or pieces[-1] in _STYLE_NOUNS):
        return (who if len(pieces) > 1 else f"{who} style"), ""
    if pieces[-1] == "style" and len(pieces) > 1:
        return who, ""
    return (who, "") if pieces[-1] in ("painting", "artwork", "engraving", "poster", "print") else None


_POINTING = names("the this that it its needs need is more less should of with to me my your")
_VERB = re.compile(r"(?:\w+en|make|change|turn|give|use|set|do|show|have|put|add|like|want)\b(?! )|(?:\w{4,}en) ", re.I)
_STYLE_NOUNS = names("style art drawing painting print poster illustration look")


_NO_PLACE = _POINTING | names("put make set add change turn move take get give draw show have want remove be not and")


def backdrop_of(words: str) -> tuple[str, str] | None:
    """Return (lead, words) of a setting in the words of a prompt, or None where the words name none.

    `blue` -> `on`, `a blue background` · `the desert` -> `in`, `the desert` · `on the beach` -> `on`, `the beach`
    """
    text = re.sub(r"^(?:with|of|like)\s+", "", words.strip())
    match = _BACKDROP.fullmatch(re.sub(r"^(?:on|against|to|in)\s+", "", text))
    colour = colour_of(match["rest"] if match else text)
    if colour:
        return "on", article(f"{colour} background")
    if match and re.fullmatch(r"\w[\w' -]*", match["rest"]) and not set(match["rest"].lower().split()) & _NO_PLACE:
        return "on", article(f"{match['rest']} background")
    said = _PREPOSITION.fullmatch(text)
    rest = said["rest"] if said else text
    low = rest.lower().removesuffix(" instead").strip()
    determiner, noun = split_determiner(low)
    if re.fullmatch(r"\w[\w' -]*", noun) is None or len(noun.split()) > 6 or set(noun.split()) & _NO_PLACE:
        return None
    head = noun.split(" of ")[0].split()[-1] if noun else ""
    if head not in PLACES:
        return None
    if low in BARE_PLACES:
        return "", low
    lead = said["lead"].lower().split(" ")[-1] if said else ""
    if lead in ("", "into", "onto", "to", "from"):
        lead = "on" if head in ON_PLACES else "at" if head in AT_PLACES and not determiner else "in"
    named = determiner or head in MASS or noun.endswith("space") or head in AT_PLACES or (is_plural(head))
    return lead, low if named else article(low)


def backdrop_or_thing(words: str) -> tuple[str, str] | None:
    """As `backdrop_of`, and where the words name no place, what the picture stands against."""
    setting = backdrop_of(words)
    if setting or not words.strip():
        return setting
    time = time_of(words)
    if time:
        lead, _, rest = time.partition(" ")
        return lead, rest
    if "," in words or set(words.lower().split()) & (_NO_PLACE - {"and", "the"}):
        return None
    return "against", with_article(re.sub(r"^(?:on|against|to|in|with)\s+", "", words.strip()))


def is_adjective(word: str) -> bool:
    """Whether a single word describes rather than names."""
    low = word.lower()
    if low in BEFORE_COLOUR or low in MOODS:
        return True
    return len(low) > 4 and low not in SURE and _ADJECTIVE.fullmatch(low) is not None


def thing_for(part: Part, words: str) -> str:
    """Return new words in place of a part: number and article follow the part where the words have none.

    Example:
        >>> thing_for(Part("thing", "three ducks"), "swans"), thing_for(Part("thing", "a duck"), "owl")
        ('three swans', 'an owl')
    """
    value = " ".join(words.split())
    determiner, rest = split_determiner(value)
    many = (part.number or 0) > 1 or part.determiner.endswith(" of") or part.determiner in ("some", "several", "many")
    if determiner:
        return with_article(determiner + " " + rest)
    if many:
        last = rest.split()[-1]
        return f"{part.determiner} {rest[: len(rest) - len(last)]}{plural(last)}"
    if not part.determiner and singular(part.head) != part.head and len(rest.split()) == 1 and not is_plural(rest):
        return with_article(rest)
    return with_article(rest, proper=True)
