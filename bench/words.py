"""How many words that no caption used are read as the right known name.

    python bench/words.py
    python bench/words.py --tune
    python bench/words.py --paint 80

The first prints the share of the vocabulary's `free` words (a test set that nothing else looks at) that are read as
their concept, and every one that is not. The second chooses the thresholds of `prompt/known.py` without them: it
prints, for nouns of WordNet whose concept is certain, how often the encoder alone finds it, at several thresholds. The
third paints prompts of `fantascope eval`'s free list both ways, from the same noise, and scores them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from fantascope.data.vocabulary import Concept, read_vocabulary
from fantascope.engines.detector import Detector
from fantascope.evaluate import run
from fantascope.evaluate.measure import painted as look
from fantascope.prompt.english import article, singular
from fantascope.prompt.known import Embed, Vocabulary, embedded_vocabulary, reword
from fantascope.request import Imagine
from fantascope.studio import Studio


def read_as(prompt: str, vocabulary: Vocabulary, embed: Embed) -> str | None:
    """The concept that the last noun of a prompt is read as, or None."""
    words = reword(prompt, vocabulary, embed).prompt.removeprefix("an image of ").split(" ")
    for at in range(len(words)):
        if (name := " ".join(words[at:]).lower()) in vocabulary.names:
            return vocabulary.names[name]
    return None


def free(concepts: dict[str, Concept], vocabulary: Vocabulary, embed: Embed) -> None:
    """Print the share of free words, alone and in the plural, that are read right."""
    rows, wrong = [], []
    for key, concept in concepts.items():
        pairs = zip(concept.free, concept.free_plurals, strict=True)
        for word, many in pairs:
            for prompt in (f"an image of {article(word)}", f"an image of two red {many}"):
                found = read_as(prompt, vocabulary, embed)
                same = found == key
                kind = found is not None and concepts[found].kind == concept.kind
                rows.append((same, kind, found is None))
                if not kind:
                    wrong.append(f"  {prompt} -> {found or 'left as it is'} (meant: {key})")
    same, kind, left = (sum(row[k] for row in rows) / len(rows) for k in range(3))
    print(f"{len(rows)} prompts with words that no caption used:")
    print(f"read as the concept {same:.3f}, or one of its kind {kind:.3f}; left as they are {left:.3f}")
    print("\n".join(wrong))


def tune(concepts: dict[str, Concept], vocabulary: Vocabulary, embed: Embed, most: int) -> None:
    """Print precision and recall of the encoder alone on WordNet's nouns; free words are left out."""
    test = {word for concept in concepts.values() for word in (*concept.free, *concept.free_plurals)}
    rng = np.random.default_rng(0)
    nouns = [(noun, key) for noun, key in vocabulary.sure.items() if noun not in test and len(noun.split()) == 1]
    nouns = [nouns[int(k)] for k in rng.permutation(len(nouns))[:most]]
    keys, bank = list(vocabulary.usual), vocabulary.bank(embed)
    cosines = embed([singular(noun) for noun, _ in nouns]) @ bank.T
    order = np.argsort(-cosines, axis=1)
    best = np.take_along_axis(cosines, order[:, :2], 1)
    right = np.array(
        [concepts[keys[row[0]]].kind == concepts[key].kind for row, (_, key) in zip(order, nouns, strict=True)]
    )
    print(f"{len(nouns)} nouns of WordNet, the encoder alone")
    print("cosine  lead   read  right")
    for least in (0.5, 0.6, 0.66, 0.7, 0.74, 0.78, 0.82):
        for lead in (0.0, 0.05, 0.08, 0.12):
            sure = (best[:, 0] >= least) & (best[:, 0] - best[:, 1] >= lead)
            print(f"{least:6.2f} {lead:5.2f} {sure.mean():6.3f} {right[sure].mean() if sure.any() else 0:6.3f}")


def painted(most: int) -> None:
    """Paint prompts of the free list as they are written and as they are read, and print the detector's scores."""
    with Studio() as studio, tempfile.TemporaryDirectory() as scratch:
        job = studio.resolve(Imagine(prompt="-", upscale=1, seed=0), typed=False)
        detector, wanted = Detector.load(studio.settings), run.Wanted(("free",), most, 1)
        rows = run.lists_of(run.prompts_of(detector.labels, read_vocabulary(), wanted), wanted)
        vocabulary = embedded_vocabulary()
        ways = {"as written": str, "read": lambda text: reword(text, vocabulary, studio.embed).prompt}
        with studio.engines.lease(job.spec, job.choice) as engine:
            for name, read in ways.items():
                folder, facts = Path(scratch) / name, run.facts_of(job.request, job.spec, wanted) | {"words": name}
                for _ in run.paint(engine, job.request, rows, folder, facts, read):
                    pass
                score = look(detector, rows["free"], folder, lambda *_: None).overall()
                print(f"{name:<11} {score.value:.3f} ({score.low:.3f}-{score.high:.3f}), {len(rows['free'])} pictures")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--paint", type=int, help="prompts of the free list to paint both ways")
    parser.add_argument("--nouns", type=int, default=3000, help="nouns of WordNet to tune with")
    args = parser.parse_args()
    if args.paint is not None:
        painted(args.paint)
        return
    concepts, vocabulary, studio = read_vocabulary(), embedded_vocabulary(), Studio()
    if args.tune:
        tune(concepts, vocabulary, studio.embed, args.nouns)
    else:
        free(concepts, vocabulary, studio.embed)


if __name__ == "__main__":
    main()
