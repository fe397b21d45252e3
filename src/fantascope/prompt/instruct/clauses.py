"""An instruction made plain: politeness and punctuation left out, several instructions taken apart."""

from __future__ import annotations

import re

_QUOTES = str.maketrans(
    {"’": "'", "‘": "'", "“": " ", "”": " ", '"': " ", "`": " ", "…": " ", "–": "-", "—": ",", "\u00a0": " "}
)
_QUOTED = re.compile(r"(?<!\w)'([^']{1,80})'(?!\w)")
_TAIL = re.compile(
    r"(?:[\s.!?;,:]|\b(?:please|pls|plz|thanks|thank you|thx|for me|if you can|if possible|now|ok|okay|again|tho|"
    r"though)$)+$",
    re.I,
)

POLITE = re.compile(
    r"^(?:(?:please|pls|plz|kindly|hey|hi|ok|okay|well|so|now|and|but|then|also|just|maybe|perhaps|hmm+|oh|actually|um+|"
    r"alright|great|nice|cool|good|thanks|yes|yeah|no wait|wait)[,!.]*\s+|"
    r"(?:could|can|would|will) (?:you|u|we|i)(?: (?:please|just|maybe|kindly|perhaps|possibly|also|now|try to|"
    r"go ahead and))*\s+|"
    r"(?:(?:do|would) you )?mind (?=\w+ing\b)|(?:i(?: would|'d)? (?:want|like|love|need|prefer|wish)|i wanna|"
    r"i'd rather|you should|you could|"
    r"you can|you need to|we should|we need to|let's|lets|let us|try to|try|i think you should) (?:you to |"
    r"for you to |it if you |to )?"
    r"(?=(?:change|replace|turn|swap|add|put|remove|delete|make|set|move|take|get rid|erase|paint|place|see|"
    r"switch|convert|"
    r"draw|insert|include|give|recolou?r|colou?r|transform|exchange|substitute|trying|do it|render|enlarge|"
    r"shrink|drop)\b))",
    re.IGNORECASE,
)  # fmt: skip
"""What may stand before an instruction without changing it."""

_GERUNDS = {
    "changing": "change", "replacing": "replace", "turning": "turn", "swapping": "swap", "adding": "add",
    "putting": "put", "removing": "remove", "deleting": "delete", "making": "make", "setting": "set",
    "moving": "move", "taking": "take", "getting": "get", "erasing": "erase", "painting": "paint",
    "placing": "place", "switching": "switch", "converting": "convert", "drawing": "draw", "giving": "give",
    "coloring": "color", "colouring": "colour", "transforming": "transform", "inserting": "insert",
    "including": "include", "shrinking": "shrink", "enlarging": "enlarge", "dropping": "drop",
}  # fmt: skip

VERBS = (
    "change|replace|turn|swap|switch|convert|transform|exchange|substitute|add|put|place|insert|include|draw|remove|"
    "delete|erase|take|get rid|drop|lose|make|set|move|shift|paint|colou?r|recolou?r|dye|tint|give|enlarge|shrink|"
    "let|render|redraw|redo|center|centre|hide|show|have|use|scale|bring|stick"
)
"""What an instruction begins with."""

_CUT = re.compile(
    rf"\s*(?:;|\.\s|,?\s*\b(?:and )?then\b|,?\s*\band also\b(?=\s+(?:{VERBS})\b)|,?\s*\band\b(?=\s+(?:please\s+|"
    rf"also\s+)?(?:{VERBS})\b)|"
    rf",(?=\s*(?:{VERBS})\b))[\s,]*",
    re.IGNORECASE,
)
_AGAIN = re.compile(rf"^(?P<verb>{VERBS})\b(?P<rest>.*?),? and (?P<more>(?:the|its|his|her|their) .+)$", re.IGNORECASE)
_FULL = re.compile(r"\s(?:to|into|with|by|for|in|on|at)\s", re.IGNORECASE)
_PLAIN = re.compile(r"remove|delete|erase|take|get rid|drop|lose|hide|shrink|enlarge", re.IGNORECASE)
_BETWEEN = re.compile(r"\bbetween\b|^(?:swap|switch|exchange)\s+(?:the )?\w+$", re.IGNORECASE)


def plain(instruction: str) -> str:
    """Return an instruction without quotes, politeness and the marks at its end, in lower case where it shouts.

    Example:
        >>> plain("Could you please CHANGE the dog to a 'cat'?")
        'CHANGE the dog to a cat'
    """
    text = " ".join(instruction.translate(_QUOTES).split())
    text = re.sub(r"\s+([,;])", r"\1", _QUOTED.sub(r"\1", text))
    words = text.split()
    capitals = sum(word[:1].isupper() for word in words)
    if text.isupper() or capitals > max(1, len(words) // 2):
        text = text.lower()
    while True:
        shorter = POLITE.sub("", _TAIL.sub("", text), count=1).strip()
        if shorter == text:
            break
        text = shorter
    first, _, rest = text.partition(" ")
    return f"{_GERUNDS.get(first.lower(), first)} {rest}".strip()


def clauses(instruction: str) -> list[str]:
    """Return the single instructions that a text gives, in its order; a verb said once counts for all.

    Example:
        >>> clauses("change the dog to a cat and the ball to a star, then make it night")
        ['change the dog to a cat', 'change the ball to a star', 'make it night']
    """
    found: list[str] = []
    whole = plain(instruction)
    for piece in [whole] if _INSTEAD.match(whole) else _CUT.split(instruction):
        text = plain(piece)
        while text:
            match = _AGAIN.match(text)
            rest = match["rest"].strip() if match else ""
            if match is None or not _stands(match["verb"], rest, match["more"]):
                found += _spread(text)
                break
            found.append(f"{match['verb']} {rest}")
            text = f"{match['verb']} {match['more']}"
            if _PLAIN.fullmatch(match["verb"]) and match["verb"].lower() in ("take", "get rid"):
                text = f"remove {match['more']}"
    return found


_EACH = re.compile(
    r"^(?P<verb>make|paint|colou?r|turn|dye) (?P<one>(?:the|its|his|her) [\w-]+) and "
    r"(?P<two>(?:the|its|his|her) [\w-]+) (?P<rest>(?!and\b).+)$",
    re.IGNORECASE,
)
_BOTH = re.compile(
    r"^make (?P<x>.+?) (?P<one>bigger|larger|smaller|[a-z]+) and (?P<two>bigger|larger|smaller)$|"
    r"^make (?P<x2>.+?) (?P<one2>bigger|larger|smaller) and (?P<two2>[a-z]+)$",
    re.IGNORECASE,
)


def _spread(text: str) -> list[str]:
    """`make the dog and the cat red`, `make the hat bigger and red`: two instructions each."""
    each, both = _EACH.match(text), _BOTH.match(text)
    if each:
        return [f"{each['verb']} {each[k]} {each['rest']}" for k in ("one", "two")]
    if both:
        x, one, two = (both[k] or both[f"{k}2"] for k in ("x", "one", "two"))
        return [f"make {x} {one}", f"make {x} {two}"]
    return [text]


_INSTEAD = re.compile(r"(?:instead of|rather than|in place of) [^,;.]+, [^,;.]+$", re.IGNORECASE)


def _stands(verb: str, rest: str, more: str) -> bool:
    """Whether what stands before `and the …` is an instruction of its own."""
    if not rest or _BETWEEN.search(f"{verb} {rest}"):
        return False
    if _PLAIN.fullmatch(verb):
        return True
    if verb.lower() in ("add", "insert", "include", "draw", "show", "have", "use", "let"):
        return False
    words = (
        3 if verb.lower() in ("make", "paint", "color", "colour", "dye", "tint", "give", "recolor", "recolour") else 9
    )
    if len(rest.split()) >= words and len(more.split()) >= words:
        return True
    return bool(_FULL.search(f" {rest} ") and _FULL.search(f" {more} "))
