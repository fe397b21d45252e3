"""What a subject may be called, what it may be, and how its pictures are captioned."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

import numpy as np

from fantascope.core.colour import COLOURS
from fantascope.data.vocabulary import read_vocabulary
from fantascope.errors import InvalidValue, UnknownName, nearest
from fantascope.prompt import lexicon
from fantascope.prompt.english import singular, with_article
from fantascope.spec import EMBEDDED, Spec, valid_name

COMMON = 9000
"""A word among so many first rows of the text encoder's vocabulary, which is sorted by use, is a common one."""

Embed = Callable[[Sequence[str]], Any]
"""Texts to rows of unit length whose product says how near their meanings are."""

PLAIN_WORDINGS = ("{a} on a {ground} background", "{said}, {ground} background", "{a} against a {ground} background")
WORDINGS = ("{a}", "a picture of {a}", "{said}")
PHOTO_WORDINGS = ("a photo of {a}", "a close-up photo of {a}", "{a}", "a picture of {a}")
"""How pictures on a plain ground, and all others, are captioned; the last are for bases that learnt from photos."""


@cache
def _known_words() -> dict[str, str]:
    """Word of the embedded vocabulary -> what it is."""
    known = {}
    for concept in read_vocabulary().values():
        for word in (*concept.names, *concept.plurals, *concept.free, *concept.free_plurals):
            known[word.lower()] = concept.names[0]
    return known


@cache
def _common_words() -> frozenset[str]:
    rows = (EMBEDDED / "tokenizer" / "vocab.txt").read_text("utf-8").splitlines()[:COMMON]
    tables = (lexicon.COLOURS, lexicon.SHADES, lexicon.BEFORE_COLOUR, COLOURS)
    return frozenset(rows) | {word for table in tables for word in table}


def check_name(name: str, taken: Collection[str]) -> str:
    """Return a name for a subject if prompts can use it.

    Args:
        taken: Names of adapters and models that are there.

    Raises:
        InvalidValue: It is no word of small letters and digits, a word that means something already, or taken.
    """
    valid_name(name)
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or len(name) < 2:
        raise InvalidValue(
            f"{name!r} cannot be the word for a subject: it starts with a letter and has two letters or digits.",
            param="name",
            hint=f"--name {_offer(re.sub('[^a-z0-9]', '', name) or 'pomo', taken)}",
        )
    why = ""
    one = singular(name.replace("-", " ").replace("_", " "))
    if one in _known_words() or name in _known_words():
        why = f"is a word for {_known_words().get(one, _known_words().get(name))!r}, which the base knows already"
    elif name in _common_words():
        why = "is a common word, and prompts that use it for what it means would change"
    elif name in taken:
        raise InvalidValue(
            f"There is an adapter or a model {name!r} already.",
            param="name",
            hint=f"--name {_offer(name, taken)}, or remove it: fantascope adapters remove {name}",
        )
    if why:
        raise InvalidValue(
            f"{name!r} {why}. A subject needs a word of its own.", param="name", hint=f"--name {_offer(name, taken)}"
        )
    return name


def _offer(name: str, taken: Collection[str]) -> str:
    """A name like this one that is free."""
    stem = re.sub(r"[^a-z]", "", name)[:8] or "pomo"
    offers = [f"{stem}zo", f"{stem}ix", f"z{stem}o", *(f"{stem}zo{k}" for k in range(2, 99))]
    free = (
        one for one in offers if one not in taken and one not in _common_words() and singular(one) not in _known_words()
    )
    return next(free, "pomo")


def check_class(kind: str, spec: Spec, embed: Embed) -> str:
    """Return the class of a subject if the base knows it; of a base whose vocabulary is not known, anything.

    Raises:
        InvalidValue: It is empty.
        UnknownName: The embedded checkpoint does not know it; the nearest that it knows, by meaning and by letters.
    """
    kind = " ".join(kind.lower().split())
    if not kind:
        raise InvalidValue("The class is empty; say what the subject is: --class dog.", param="class")
    if spec.family != "embedded":
        return kind
    known = _known_words()
    if kind in known or singular(kind) in known:
        return kind if kind in known else singular(kind)
    usual = sorted(set(known.values()))
    rows = np.asarray(embed([f"a {word}" for word in [kind, *usual]]))
    near = [usual[k] for k in np.argsort(-(rows[1:] @ rows[0]), kind="stable")[:3]]
    error = UnknownName("class", kind, usual, param="class")
    error.nearest = list(dict.fromkeys([*near, *nearest(kind, usual, 1)]))
    error.message = f"{spec.name!r} does not know the class {kind!r}. The nearest it knows: {', '.join(error.nearest)}."
    error.hint = f"--class {_quoted(near[0])}"
    raise error


def _quoted(word: str) -> str:
    return f"'{word}'" if " " in word else word


def captions(name: str, kind: str, ground: str = "", *, photos: bool = False) -> tuple[str, ...]:
    """Several wordings for a picture of a subject, or of its class where `name` is empty.

    Args:
        ground: Name of the colour that it stands on; empty if it is not plain.
        photos: Whether the base learnt from photos.
    """
    said = f"{name} {kind}".strip()
    wordings = PLAIN_WORDINGS if ground else PHOTO_WORDINGS if photos else WORDINGS
    return tuple(wording.format(a=with_article(said), said=said, ground=ground) for wording in wordings)


def own_caption(caption: str, name: str, kind: str, ground: str = "", was: str = "") -> str:
    """A caption that somebody wrote; one that does not name the subject gets its name in front.

    Args:
        ground, was: The colours that the subject stands on and stood on: `on a red background` changes with them.
    """
    if ground and ground != was:
        caption, changed = re.subn(
            rf"\ban? {was} background" if was else "$^", with_article(f"{ground} background"), caption
        )
        caption = caption if changed else f"{caption}, {ground} background"
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", caption, re.IGNORECASE):
        return caption
    return f"{with_article(f'{name} {kind}')}, {caption}"
