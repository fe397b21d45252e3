"""Meaning: how near a piece of text is to the sentences of each rule, by cosine of sentence embeddings."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fantascope.errors import InvalidValue
from fantascope.policy.rules import Rules

VECTORS = Path(__file__).with_name("vectors.npz")
"""Vectors of the shipped rules' sentences, so that nobody waits for them."""

Floats = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]
"""`embed(texts) -> (N, 384)` float32, rows of length 1: mean-pooled token states of all-MiniLM-L6-v2."""

MARGIN = 0.1
"""From how near on a counterexample pulls a score down (`_score`)."""


def keys(rules: Rules) -> list[tuple[str, str]]:
    """Return (key, sentence) of every sentence of the rules: the key is the sha256 of encoder and sentence, 16 digits."""
    sentences = dict.fromkeys(rules.benign)
    for rule in rules.rules:
        sentences |= dict.fromkeys((*rule.examples, *rule.counterexamples))
    return [(hashlib.sha256(f"{rules.encoder}\n{text}".encode()).hexdigest()[:16], text) for text in sentences]


def read_vectors(path: Path) -> dict[str, Floats]:
    """Return the stored vectors by key; none where there is no such file or it is broken: they can be made again."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return dict(zip(data["keys"].tolist(), data["vectors"].astype(np.float32), strict=True))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}


def write_vectors(rules: Rules, embed: Embed, path: Path) -> int:
    """Embed every sentence of the rules, write the vectors to `path` as float16 and return how many there are."""
    pairs = keys(rules)
    vectors = embed([text for _, text in pairs]).astype(np.float16)
    np.savez(path, keys=np.array([key for key, _ in pairs]), vectors=vectors)
    return len(pairs)


class Meaning:
    """The sentences of all rules as one matrix.

    Vectors that are not in `VECTORS` (somebody changed a rule) are embedded here, once.

    Raises:
        InvalidValue: `embed` gives vectors of another shape.
    """

    def __init__(self, rules: Rules, embed: Embed) -> None:
        stored = read_vectors(VECTORS)
        pairs = keys(rules)
        missing = [(key, text) for key, text in pairs if key not in stored]
        if missing:
            stored |= dict(zip([key for key, _ in missing], _embed(embed, [text for _, text in missing]), strict=True))
        self.matrix = np.stack([stored[key] for key, _ in pairs])
        self.texts = [text for _, text in pairs]
        place = {text: n for n, (_, text) in enumerate(pairs)}
        benign = [place[text] for text in rules.benign]
        self._examples = [np.array([place[text] for text in rule.examples], dtype=np.intp) for rule in rules.rules]
        self._counter = [
            np.array([*(place[text] for text in rule.counterexamples), *benign], dtype=np.intp) for rule in rules.rules
        ]

    def scores(self, vectors: Floats) -> Floats:
        """Return the score of every piece for every rule, `(pieces, rules)` in 0 … 1."""
        cosines = vectors @ self.matrix.T
        columns = [
            _score(cosines[:, near], cosines[:, far]) for near, far in zip(self._examples, self._counter, strict=True)
        ]
        return np.stack(columns, axis=1)

    def nearest(self, vector: Floats, rule: int) -> str:
        """Return the sentence of this rule (by number) that is nearest to a vector, whichever side it is on."""
        columns = np.concatenate([self._examples[rule], self._counter[rule]])
        return self.texts[int(columns[(self.matrix[columns] @ vector).argmax()])]


def _score(near: Floats, far: Floats) -> Floats:
    """Cosine to the nearest example, less what the nearest counterexample lacks to be `MARGIN` farther away."""
    if near.shape[1] == 0:
        return np.zeros(len(near), dtype=np.float32)
    best = near.max(axis=1)
    if far.shape[1]:
        best = best - np.maximum(0, far.max(axis=1) + MARGIN - best)
    return np.clip(best, 0, 1).astype(np.float32)


def _embed(embed: Embed, texts: Sequence[str]) -> Floats:
    vectors = np.asarray(embed(texts), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InvalidValue(f"The text encoder gave {vectors.shape} for {len(texts)} texts, not one vector each.")
    return vectors
