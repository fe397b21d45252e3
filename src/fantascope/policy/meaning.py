"""Meaning: how a piece of text lies between what the rules refuse and what is harmless, by sentence embeddings.

Three voices are added up for every rule, then squashed into 0 … 1 so that one half is even odds on the rules' own data:

- a line fitted by ridge regression between the rule's examples and its counterexamples;
- one such line for all rules together, between everything refused and everything harmless;
- the share of likeness: the mean of `exp(cosine / T)` over everything refused, against that over everything harmless.

The last two say whether a text is refused, the first by which rule: where a rule's line lies below the strongest one,
the rule loses `APART` times the difference.

Nearest-sentence rules were tried first: on prompts they had not seen, they refused three times as many harmless ones at
the same number of misses, because one shared noun is enough to be near.
Sources: Reimers & Gurevych 2019, section 4 (linear probes on frozen sentence embeddings); Nadaraya 1964 (kernels).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fantascope.errors import InvalidValue
from fantascope.policy.rules import Rules

VECTORS = Path(__file__).with_name("vectors.npz")
"""Vectors of the shipped rules' sentences and the lines fitted to them, so that nobody waits for them."""

Floats = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]
"""`embed(texts) -> (N, 384)` float32, rows of length 1: mean-pooled token states of all-MiniLM-L6-v2."""

RIDGE = 100.0
"""Weight of the penalty; the sentences together weigh as much as there are sentences."""

OTHERS = 0.2
"""Weight of other rules' examples among a rule's counterexamples: they are no harmless neighbours, only elsewhere."""

TEMPERATURE = 0.08
SHARE = 2.0
APART = 3.0
SLOPE, CENTRE = 4.0, 1.45
"""Score = 1 / (1 + exp(-SLOPE * (sum of voices - CENTRE)))."""


@dataclass(frozen=True)
class Fitted:
    """Sentences, their vectors `(S, 384)` and lines `(385, rules + 1)`: offsets in the last row, all rules last."""

    texts: tuple[str, ...]
    vectors: Floats
    lines: Floats


def sentences(rules: Rules) -> list[str]:
    """Return every sentence of the rules once."""
    texts = dict.fromkeys(rules.benign)
    for rule in rules.rules:
        texts |= dict.fromkeys((*rule.examples, *rule.counterexamples))
    return list(texts)


def load(rules: Rules, embed: Embed) -> Fitted:
    """Return what is fitted to these rules: from `VECTORS` where it was made for them, else made now.

    Only sentences that are not stored are embedded.

    Raises:
        InvalidValue: `embed` gives vectors of another shape.
    """
    texts = sentences(rules)
    stored, lines, made_for = _read(VECTORS)
    keys = [_key(rules.encoder, text) for text in texts]
    missing = [text for key, text in zip(keys, texts, strict=True) if key not in stored]
    if missing:
        fresh = zip(missing, _embed(embed, missing), strict=True)
        stored |= {_key(rules.encoder, text): vector for text, vector in fresh}
    vectors = np.stack([stored[key] for key in keys])
    if lines is None or made_for != _digest(rules):
        lines = fit(rules, texts, vectors)
    return Fitted(tuple(texts), vectors, lines)


def write(rules: Rules, embed: Embed, path: Path = VECTORS) -> int:
    """Embed every sentence anew, fit, write both to `path` and return the number of sentences."""
    texts = sentences(rules)
    vectors = _embed(embed, texts).astype(np.float16)
    lines = fit(rules, texts, vectors.astype(np.float32))
    keys = np.array([_key(rules.encoder, text) for text in texts])
    np.savez(path, keys=keys, vectors=vectors, lines=lines, made_for=np.array(_digest(rules)))
    return len(texts)


def fit(rules: Rules, texts: Sequence[str], vectors: Floats) -> Floats:
    """Fit the lines `(385, rules + 1)` by weighted ridge regression on targets +1 and -1; offsets are not penalised."""
    place = {text: n for n, text in enumerate(texts)}
    ones = np.ones((len(texts), 1))
    x = np.hstack([vectors.astype(np.float64), ones])
    refused = np.zeros((len(texts), len(rules.rules) + 1), dtype=bool)
    for n, rule in enumerate(rules.rules):
        refused[[place[text] for text in rule.examples], n] = True
    refused[:, -1] = refused.any(axis=1)
    penalty = RIDGE * np.eye(x.shape[1])
    penalty[-1, -1] = 0
    columns = []
    for n in range(refused.shape[1]):
        mine = refused[:, n]
        weight = np.where(mine, 0.5 / max(1, mine.sum()), 0.5 / max(1, (~mine).sum())) * len(texts)
        weight[refused[:, -1] & ~mine] *= OTHERS
        weighted = x * weight[:, None]
        columns.append(np.linalg.solve(weighted.T @ x + penalty, weighted.T @ np.where(mine, 1.0, -1.0)))
    return np.stack(columns, axis=1).astype(np.float32)


class Meaning:
    """The fitted rules, ready to score vectors."""

    def __init__(self, rules: Rules, embed: Embed) -> None:
        self._fitted = load(rules, embed)
        place = {text: n for n, text in enumerate(self._fitted.texts)}
        self._refused = sorted({place[text] for rule in rules.rules for text in rule.examples})
        self._harmless = sorted(set(range(len(place))) - set(self._refused))
        self._own = [[place[text] for text in (*rule.examples, *rule.counterexamples)] for rule in rules.rules]
        self._silent = [n for n, rule in enumerate(rules.rules) if not rule.examples]

    def scores(self, vectors: Floats) -> Floats:
        """Return the score of every piece for every rule, `(pieces, rules)` in 0 … 1."""
        lines = vectors @ self._fitted.lines[:-1] + self._fitted.lines[-1]
        like = np.exp(vectors @ self._fitted.vectors.T / TEMPERATURE)
        near, far = like[:, self._refused].mean(axis=1), like[:, self._harmless].mean(axis=1)
        own, all_rules = lines[:, :-1], lines[:, -1]
        strongest = own.max(axis=1)
        total = strongest + all_rules + SHARE * near / (near + far)
        voices = total[:, None] - APART * (strongest[:, None] - own)
        scores: Floats = 1 / (1 + np.exp(-SLOPE * (voices - CENTRE)))
        scores[:, self._silent] = 0
        return scores

    def nearest(self, vector: Floats, rule: int) -> str:
        """Return the sentence of this rule (by number) that is nearest to a vector, whichever side it is on."""
        own = self._own[rule]
        return self._fitted.texts[own[int((self._fitted.vectors[own] @ vector).argmax())]] if own else ""


def _key(encoder: str, text: str) -> str:
    return hashlib.sha256(f"{encoder}\n{text}".encode()).hexdigest()[:16]


def _digest(rules: Rules) -> str:
    """What the lines depend on: encoder, sentences and the constants above."""
    parts = [[rule.id, rule.examples, rule.counterexamples] for rule in rules.rules]
    return hashlib.sha256(json.dumps([rules.encoder, RIDGE, OTHERS, rules.benign, parts]).encode()).hexdigest()


def _read(path: Path) -> tuple[dict[str, Floats], Floats | None, str]:
    """Return stored vectors by key, lines and what they were made for; nothing where the file is missing or broken."""
    try:
        with np.load(path, allow_pickle=False) as data:
            vectors = dict(zip(data["keys"].tolist(), data["vectors"].astype(np.float32), strict=True))
            return vectors, data["lines"].astype(np.float32), str(data["made_for"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return {}, None, ""


def _embed(embed: Embed, texts: Sequence[str]) -> Floats:
    vectors = np.asarray(embed(texts), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise InvalidValue(f"The text encoder gave {vectors.shape} for {len(texts)} texts, not one vector each.")
    return vectors
