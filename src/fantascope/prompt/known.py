"""Words that a checkpoint does not know: which they are, what is nearest, and reading the sure ones as known words.

A checkpoint that was taught some hundred names paints anything for a name it never met. So a prompt is gone through
word by word. A word for something known by another name (`automobile`), or for a kind of it (`poodle`), is read as the
known name, if it is the thing that is named and not part of a longer name (`automobile race`). The thesaurus says so
for certain where the usual sense of the word is meant; where it has other senses, the sentence encoder has to agree.
What stays unknown is named, with the nearest known name. Words that captions use are never touched.

Sources: Fellbaum (ed.), "WordNet" (1998), database 3.1, for the thesaurus (recipes/thesaurus.py makes it); Reimers &
Gurevych, "Sentence-BERT" (2019), for the encoder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.prompt.english import article, is_plural, singular
from fantascope.prompt.lexicon import (
    AT_PLACES,
    BARE_PLACES,
    BEFORE_COLOUR,
    COLOURS,
    FREE_STYLES,
    MANY,
    MASS,
    MOODS,
    NOT_PARTICIPLE,
    NUMBERS,
    PLACES,
    SHADES,
    SIZES,
    TIMES,
    WORN,
    names,
)
from fantascope.spec import Spec

Embed = Callable[[Sequence[str]], npt.NDArray[Any]]

THESAURUS = Path(__file__).with_name("thesaurus.json")
LONGEST = 5
"""Words of the longest name."""

SURE, LEAD = 0.82, 0.08
"""Cosine from which a word that no thesaurus holds is read as the nearest name, and how much nearer than the name of
another thing it has to be. Chosen on WordNet's nouns (bench/words.py --tune)."""

AGREES, ALMOST = 0.5, 0.6
"""Cosine from which the encoder agrees with an unusual sense: if its name is the nearest, or nearly (`NEARLY`)."""

NEARLY = 0.04

CLOSE = 0.28
"""Cosine from which a name is worth offering as the nearest."""

COUNTS = {
    2: ("a couple of", "a pair of", "a duo of", "a brace of", "a twosome of", "couple of", "pair of"),
    3: ("a trio of", "a threesome of", "a triplet of", "a triad of", "trio of"),
    4: ("a quartet of", "a foursome of", "a quartette of", "quartet of"),
}
"""Number -> ways to say it that are read as the number's own word."""

PAIRED = WORN | MANY | names("twin eye ear hand leg arm lung wing ski chopstick earring dice")
"""What comes in pairs by nature, in the singular: `a pair of gloves` is no count."""

SMALL_WORDS = names(
    """a an the and or of in on at by with without from to into onto over under above below behind beside between near
    next front top bottom left right side up down out off for as like is are be it its his her their my your our this
    that these those some any no not several many few lots lot group row pair couple trio no very more most one who
    which while during through across around against along toward towards inside outside middle center centre
    background foreground both each every all there here than then just only also made full filled covered"""
)
"""Words that name nothing."""

PICTURE_WORDS = names(
    """picture image photo photograph photography painting drawing illustration render rendering sketch art artwork icon
    poster print portrait style quality resolution detailed detail details hd uhd 4k 8k scene light lighting lit colour
    color colours colors coloured colored background backdrop shot view closeup close-up palette"""
)

_TOKEN = re.compile(r"(?<![\w<_])[^\W\d_]+(?:['’-][^\W\d_]+)*(?![\w>_])|(?<![\w_])\d+(?![\w_])")
_HIDDEN = re.compile(r"<[^<>]*>|__[^_\s][^\s]*?__|--\w.*|\bBREAK\b", re.DOTALL)
"""What is no text for the model: adapter names, wildcards, options of other grammars."""

_VERBS = names("sits stands runs walks flies jumps sleeps eats plays swims looks holds wears rides drives dances sings")


@dataclass(frozen=True)
class Vocabulary:
    """What a checkpoint knows, and a thesaurus about it.

    Attributes:
        names: Name, singular or plural, lower case -> its concept.
        usual: Concept -> its usual name and that name's plural.
        bare: Concepts whose names take no article.
        captions: Words that captions use beside names.
        phrases: What captions say behind and before names: `pixel art`, `warm light`.
        sure: Other noun, singular -> the concept that it names or is a kind of, by its usual sense.
        maybe: The same, by another of its senses.
        vectors: `(N, 384)` what the encoder makes of the usual names, in the order of `usual`, of unit length; without
            it they are asked of the encoder when needed.
    """

    names: Mapping[str, str]
    usual: Mapping[str, tuple[str, str]]
    bare: Collection[str] = frozenset()
    captions: Collection[str] = frozenset()
    phrases: Collection[str] = frozenset()
    sure: Mapping[str, str] = field(default_factory=dict)
    maybe: Mapping[str, str] = field(default_factory=dict)
    vectors: npt.NDArray[np.float32] | None = None

    @cached_property
    def left_alone(self) -> frozenset[str]:
        """Single words that are not names and are never read as one."""
        lexicon = (SMALL_WORDS, PICTURE_WORDS, COLOURS, SHADES, BEFORE_COLOUR, SIZES, NUMBERS, PLACES, BARE_PLACES)
        more = (AT_PLACES, TIMES, MOODS, FREE_STYLES)
        return frozenset(self.captions).union(*lexicon, *more)

    def bank(self, embed: Embed) -> npt.NDArray[Any]:
        """The vectors of the usual names."""
        return (
            self.vectors if self.vectors is not None else np.asarray(embed([name for name, _ in self.usual.values()]))
        )


@dataclass(frozen=True)
class Change:
    """Words that were read as others.

    Attributes:
        start, end: Half-open range of characters in the prompt as it was.
        said, read: The words, before and after.
        why: `thesaurus`, `encoder` or `number`.
        score: 1 for certain, else the cosine.
    """

    start: int
    end: int
    said: str
    read: str
    why: str
    score: float = 1.0


@dataclass(frozen=True)
class Unknown:
    """Words that are left as they are though nothing like them was taught; `nearest` are known names, nearest first."""

    start: int
    end: int
    words: str
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reworded:
    """A prompt in known words, what was changed in it, and what is still unknown."""

    prompt: str
    changes: tuple[Change, ...] = ()
    unknown: tuple[Unknown, ...] = ()


@dataclass(frozen=True)
class _Run:
    """Tokens that belong together: kind is name | number | noun | plain | strange."""

    kind: str
    text: str
    start: int
    end: int
    concept: str = ""
    sure: bool = True
    plural: bool = False


@lru_cache(maxsize=1)
def embedded_vocabulary() -> Vocabulary:
    """Return what the embedded checkpoint knows: `thesaurus.json` and `thesaurus.npz` beside this module."""
    data = json.loads(THESAURUS.read_text("utf-8"))
    concepts: dict[str, dict[str, list[str]]] = data["concepts"]
    known: dict[str, str] = {}
    for key, row in concepts.items():
        for name in (*row["names"], *row["plurals"]):
            known.setdefault(name.lower(), key)
    tables = [
        {noun: key for key, nouns in data[part].items() for noun in nouns.split(", ")} for part in ("sure", "maybe")
    ]
    with np.load(THESAURUS.with_suffix(".npz"), allow_pickle=False) as file:
        rows = file["vectors"].astype(np.float32)
    return Vocabulary(
        names=known,
        usual={key: (row["names"][0], row["plurals"][0]) for key, row in concepts.items()},
        bare=frozenset(key for key, row in concepts.items() if "bare" in row),
        captions=frozenset(data["captions"].split()),
        phrases=frozenset(data["phrases"].split(", ")),
        sure=tables[0],
        maybe=tables[1],
        vectors=rows / np.linalg.norm(rows, axis=1, keepdims=True),
    )


def vocabulary_of(spec: Spec) -> Vocabulary | None:
    """Return what a model says that it knows, or None: only the embedded checkpoint does."""
    return embedded_vocabulary() if (spec.family, spec.kind) == ("embedded", "embedded") else None


def reword(prompt: str, vocabulary: Vocabulary, embed: Embed, keep: Collection[str] = ()) -> Reworded:
    """Read the words of a prompt that name something known as the names it is known by.

    Args:
        prompt: Any text; weights in brackets, adapters, wildcards and options of other grammars stay as they are.
        vocabulary: What the checkpoint knows.
        embed: The sentence encoder, `embed(texts) -> (N, 384)` of unit length; asked only where it is needed.
        keep: Words that stay, such as the trigger words of adapters.

    Example:
        >>> reword("a kitty in an automobile", embedded_vocabulary(), embed).prompt
        'a cat in a car'
    """
    runs = _runs(prompt, vocabulary, {word.lower() for phrase in keep for word in phrase.split()})
    doubts = [at for at, run in enumerate(runs) if _asks(at, runs, prompt, vocabulary)]
    nearest = _nearest([runs[at].text for at in doubts], vocabulary, embed) if doubts else []
    found = dict(zip(doubts, nearest, strict=True))
    changes: list[Change] = []
    unknown: list[Unknown] = []
    for at, run in enumerate(runs):
        if run.kind == "number" and _counts(at, runs, prompt):
            changes.append(Change(run.start, run.end, prompt[run.start : run.end], run.concept, "number"))
        elif run.kind == "noun" and run.sure and _named(at, runs, prompt):
            changes.append(_change(run, run.concept, "thesaurus", 1.0, prompt, vocabulary))
        elif at in found:
            near = found[at]
            concept, score = _meant(run, near, vocabulary)
            if concept:
                changes.append(_change(run, concept, "encoder", score, prompt, vocabulary))
            else:
                close = tuple(vocabulary.usual[key][0] for key, cosine in near[:3] if cosine >= CLOSE)
                unknown.append(Unknown(run.start, run.end, prompt[run.start : run.end], close))
    return Reworded(_written(prompt, changes), tuple(changes), tuple(unknown))


def strange_words(prompt: str, vocabulary: Vocabulary) -> list[tuple[int, int]]:
    """Return the ranges of all words, adjectives and verbs among them, that neither captions nor names use."""
    runs = _runs(prompt, vocabulary, set())
    return [(run.start, run.end) for run in runs if run.kind in ("noun", "strange")]


def told(said: str, read: str) -> str:
    """Say what differs between a prompt as it was written and as it was read: `kitty read as cat`."""
    before, after = said.replace(",", " ,").split(), read.replace(",", " ,").split()
    steps = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        old, new = (" ".join(words).replace(" ,", ",").strip(",. ") for words in (before[a:b], after[c:d]))
        if kind == "insert":
            steps.append(f"added: {new}")
        elif kind == "delete":
            steps.append(f"left out: {old}")
        elif kind == "replace" and old != new:
            steps.append(f"{old} read as {new}")
    return "; ".join(steps)


def _runs(prompt: str, vocabulary: Vocabulary, keep: Collection[str]) -> list[_Run]:
    """Cut a prompt into runs: the longest name, number or noun at every place, else a word."""
    hidden = [match.span() for match in _HIDDEN.finditer(prompt)]
    tokens = [m for m in _TOKEN.finditer(prompt) if not any(a < m.end() and m.start() < b for a, b in hidden)]
    runs: list[_Run] = []
    at = 0
    while at < len(tokens):
        most = 1
        while most < LONGEST and at + most < len(tokens) and _joined(prompt, tokens[at + most - 1], tokens[at + most]):
            most += 1
        size, run = next(
            (size, run)
            for size in range(most, 0, -1)
            if (run := _run(prompt, tokens[at : at + size], vocabulary, keep)) is not None
        )
        runs.append(run)
        at += size
    return runs


def _joined(prompt: str, one: re.Match[str], two: re.Match[str]) -> bool:
    gap = prompt[one.end() : two.start()]
    return bool(gap) and gap.isspace()


def _run(prompt: str, tokens: Sequence[re.Match[str]], vocabulary: Vocabulary, keep: Collection[str]) -> _Run | None:
    """What these tokens are together; a single one is always something."""
    start, end = tokens[0].start(), tokens[-1].end()
    text = " ".join(token.group().lower().replace("’", "'") for token in tokens)
    spaced = text.replace("-", " ")
    kept = any(token.group().lower() in keep for token in tokens)
    for spelling in (text, spaced):
        if spelling in vocabulary.names:
            return _Run("name", text, start, end, vocabulary.names[spelling])
    number = next((count for count, ways in COUNTS.items() if text in ways), None)
    if number is not None:
        return _Run("number", text, start, end, next(name for name, k in NUMBERS.items() if k == number))
    if len(tokens) == 1 and (kept or text in vocabulary.left_alone or text.isdigit() or text.endswith(("'s", "ly"))):
        return _Run("plain", text, start, end)
    *first, last = spaced.split()
    head = vocabulary.names.get(last) or vocabulary.names.get(singular(last)) if first else None
    for one in dict.fromkeys((last, singular(last), last.removesuffix("es"))):
        noun = " ".join([*first, one])
        concept = vocabulary.sure.get(noun) or (vocabulary.maybe.get(noun) if head is None else None)
        if concept is not None and concept != head and not kept:
            return _Run("noun", noun, start, end, concept, noun in vocabulary.sure, one != last or is_plural(last))
    return _Run("strange", text, start, end) if len(tokens) == 1 else None


def _beside(at: int, step: int, runs: Sequence[_Run], prompt: str) -> _Run | None:
    """The run right before or behind another, with nothing but a blank between them."""
    if not 0 <= at + step < len(runs):
        return None
    one, two = sorted((runs[at], runs[at + step]), key=lambda run: run.start)
    gap = prompt[one.end : two.start]
    return runs[at + step] if gap and gap.isspace() else None


def _named(at: int, runs: Sequence[_Run], prompt: str) -> bool:
    """Whether a run is the thing that is named: no name stands right before it, and no other noun right behind."""
    run = runs[at]
    said = prompt[run.start : run.end]
    before, behind = _beside(at, -1, runs, prompt), _beside(at, 1, runs, prompt)
    opens = before is None and not prompt[: run.start].rstrip(" \t\n([{\"'").endswith(
        tuple("abcdefghijklmnopqrstuvwxyz")
    )
    if said[:1].isupper() and not opens and not prompt.isupper() and not prompt.istitle():
        return False
    if before is not None and before.kind in ("name", "noun") and before.text not in COLOURS:
        return False
    return behind is None or behind.kind in ("plain", "number") or _acts(behind)


def _acts(run: _Run) -> bool:
    """Whether a word says what the thing before it does."""
    word = run.text
    return run.kind == "strange" and (
        (word.endswith("ing") and word not in NOT_PARTICIPLE) or word.endswith("ed") or word in _VERBS
    )


def _asks(at: int, runs: Sequence[_Run], prompt: str, vocabulary: Vocabulary) -> bool:
    """Whether the encoder is asked what a run means: a noun with several senses, or a stranger that is a thing."""
    run = runs[at]
    if run.kind == "noun" and not run.sure:
        return _named(at, runs, prompt)
    if run.kind != "strange" or _acts(run) or not _named(at, runs, prompt) or len(run.text) < 2:
        return False
    before = _beside(at, -1, runs, prompt)
    if before is None:
        # Alone behind a comma stands an adjective more often than a thing.
        return prompt[: run.start].rstrip().endswith(tuple("([{|")) or not prompt[: run.start].strip()
    return before.kind == "number" or before.text in _POINTS or before.text in _DESCRIBES or before.kind == "strange"


_POINTS = names("a an the of and with some several many few his her its their my your our this that these those in on")
_POINTS |= frozenset(NUMBERS) | frozenset("23456789")
_DESCRIBES = COLOURS | SHADES | BEFORE_COLOUR | frozenset(SIZES) | MOODS


def _counts(at: int, runs: Sequence[_Run], prompt: str) -> bool:
    """Whether words for a number count what follows them: things in the plural that are no pair by nature."""
    words: list[str] = []
    for step in range(1, 5):
        if at + step >= len(runs) or _beside(at + step - 1, 1, runs, prompt) is None:
            break
        if runs[at + step].text in SMALL_WORDS:
            break
        words.extend(prompt[runs[at + step].start : runs[at + step].end].lower().split())
        if runs[at + step].kind in ("name", "noun"):
            break
    if not words or not is_plural(words[-1]) or words[-1] in MASS:
        return False
    return singular(words[-1]) not in PAIRED and words[-1] not in PAIRED


def _nearest(words: Sequence[str], vocabulary: Vocabulary, embed: Embed) -> list[list[tuple[str, float]]]:
    """The concepts nearest to every word by cosine, nearest first: at most eight."""
    keys = list(vocabulary.usual)
    singulars = [word if word in vocabulary.maybe else singular(word) for word in words]
    cosines = np.asarray(embed(singulars), np.float32) @ vocabulary.bank(embed).T
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :8]
    return [[(keys[k], float(row[k])) for k in best] for row, best in zip(cosines, order, strict=True)]


def _meant(run: _Run, near: Sequence[tuple[str, float]], vocabulary: Vocabulary) -> tuple[str, float]:
    """The concept that a doubtful word is read as, and the cosine; nothing where it is not sure."""
    (best, cosine), second = near[0], near[1][1]
    if run.kind == "noun":
        own = next((value for key, value in near[:3] if key == run.concept), 0.0)
        agrees = (own >= AGREES and best == run.concept) or (own >= ALMOST and own >= cosine - NEARLY)
        return (run.concept, own) if agrees else ("", 0.0)
    head = vocabulary.usual[best][0].split()[-1]
    rival = next((value for key, value in near[1:] if vocabulary.usual[key][0].split()[-1] != head), second)
    return (best, cosine) if cosine >= SURE and cosine - rival >= LEAD else ("", 0.0)


def _change(run: _Run, concept: str, why: str, score: float, prompt: str, vocabulary: Vocabulary) -> Change:
    """Put a concept's usual name where a run is, in its number and case, and set the article before it right."""
    one, many = vocabulary.usual[concept]
    plural = run.plural or (run.kind == "strange" and is_plural(run.text))
    read = many if plural and concept not in vocabulary.bare else one
    start = run.start
    lead = re.search(r"\b(an?)(\s+)$", prompt[:start], re.IGNORECASE)
    if prompt[start].isupper():
        read = read[:1].upper() + read[1:]
    right = "" if concept in vocabulary.bare else article(read).split(" ")[0]
    if lead is not None and not plural and right != lead[1].lower():
        start = lead.start()
        head = right + lead[2] if right else ""
        head = head.capitalize() if prompt[start].isupper() else head
        read = head + read if head else read[:1].upper() + read[1:] if prompt[start].isupper() else read
    return Change(start, run.end, prompt[start : run.end], read, why, round(score, 3))


def _written(prompt: str, changes: Sequence[Change]) -> str:
    return "".join(_pieces(prompt, changes))


def _pieces(prompt: str, changes: Sequence[Change]) -> Iterator[str]:
    at = 0
    for change in sorted(changes, key=lambda one: one.start):
        yield prompt[at : change.start]
        yield change.read
        at = change.end
    yield prompt[at:]
