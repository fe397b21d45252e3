"""English just large enough for prompts: articles, plurals, numbers, and how many letters two words differ by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from fantascope.prompt.lexicon import COLOURS, DETERMINER, IRREGULAR, MANY, MASS, NUMBERS

_SINGULARS = {plural: one for one, plural in IRREGULAR.items()}
_KEEP = ("ss", "us", "is", "as", "os")
_CONSONANT = ("uni", "ufo", "euro", "one-", "one ", "use", "usu", "ute", "eucal", "ukulele", "u-")
_SILENT = ("hour", "honest", "heir", "honor", "honour", "x-ray", "mp3", "8", "11 ", "18 ", "xmas", "fbi")


def article(noun: str) -> str:
    """Return the noun phrase with its indefinite article.

    Example:
        >>> article("owl"), article("unicorn"), article("hourglass")
        ('an owl', 'a unicorn', 'an hourglass')
    """
    low = noun.lower()
    plain_un = low.startswith(("unin", "unim", "unid")) and not low.startswith("unidir")
    vowel = low[:1] in tuple("aeiou") and (plain_un or not low.startswith(_CONSONANT))
    return f"{'an' if vowel or low.startswith(_SILENT) else 'a'} {noun}"


@lru_cache(maxsize=4096)
def singular(word: str) -> str:
    """Return a noun's singular in lower case; a word that is no plural stays as it is.

    Example:
        >>> singular("cherries"), singular("wolves"), singular("glass"), singular("Boxes")
        ('cherry', 'wolf', 'glass', 'box')
    """
    word = word.lower()
    if word in _SINGULARS:
        return _SINGULARS[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(_KEEP):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zzes")):
        return word[:-2]
    return word[:-1]


def plural(word: str) -> str:
    """Return a noun's plural; its case and a word that is one already stay.

    Example:
        >>> plural("cat"), plural("puppy"), plural("snowman"), plural("jeans")
        ('cats', 'puppies', 'snowmen', 'jeans')
    """
    low = word.lower()
    if is_plural(low) or low in MASS:
        return word
    if low in IRREGULAR:
        return IRREGULAR[low]
    if low.endswith("y") and low[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    return word + ("es" if low.endswith(("s", "x", "z", "ch", "sh")) else "s")


def is_plural(word: str) -> bool:
    """Tell whether a noun is in the plural."""
    low = word.lower()
    return low in MANY or (singular(low) != low) or (low in _SINGULARS and IRREGULAR.get(low) != low)


def number_of(word: str) -> int | None:
    """Return the number a word or numeral says, `a` and `an` included, or None."""
    low = word.lower()
    if low in ("a", "an", "single", "only one"):
        return 1
    if low in ("a couple of", "a pair of", "both"):
        return 2
    if low in ("a trio of",):
        return 3
    if low.isascii() and low.isdigit() and len(low) <= 3:
        return int(low)
    return NUMBERS.get(low)


def say_number(number: int) -> str:
    """Return a number in words up to sixteen, in digits beyond."""
    return next((name for name, k in NUMBERS.items() if k == number), str(number))


def split_determiner(phrase: str) -> tuple[str, str]:
    """Cut a noun phrase into its determiner (or number, or `a group of`), in lower case, and the rest.

    Example:
        >>> split_determiner("A group of cats"), split_determiner("red car")
        (('a group of', 'cats'), ('', 'red car'))
    """
    match = DETERMINER.match(phrase)
    if match is None or not phrase[match.end() :].strip():
        return "", phrase.strip()
    return match.group().lower(), phrase[match.end() :].strip()


def counted(number: int, nouns: str) -> str:
    """Return `number` of the things named: the last word in singular or plural, with an article for one."""
    words = nouns.split()
    last = words[-1]
    if number == 1:
        if last.lower() not in MANY:
            words[-1] = singular(last) if is_plural(last) else last
        return article(" ".join(words))
    words[-1] = plural(last)
    return f"{say_number(number)} {' '.join(words)}"


def with_article(phrase: str, proper: bool = False) -> str:
    """Return a noun phrase a prompt can hold: an article where one is missing, `a` and `an` as the next word wants.

    Args:
        phrase: A noun phrase as somebody wrote it.
        proper: A name in capitals takes no article.
    """
    head, rest = split_determiner(phrase)
    if head in ("a", "an"):
        return article(rest)
    if head or not rest:
        return " ".join(phrase.split())
    last = re.split(r" (?:of|with|in|on|from|wearing|holding) ", rest)[0].split()[-1]
    bare = is_plural(last) or last.lower() in MASS or last.lower() in COLOURS - {"orange"}
    return rest if bare or (proper and rest[:1].isupper()) else article(rest)


def distance(one: str, other: str, most: int = 2) -> int:
    """Return how many letters must change, be put in, left out or swapped with the next one; `most + 1` at most.

    Source: Damerau, "A technique for computer detection and correction of spelling errors" (1964).
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    rows: list[Sequence[int]] = [range(len(other) + 1)]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return min(rows[-1][-1], most + 1)
