"""Error rates of the policy in force, on prompts it was tuned on and on prompts it was not.

    python bench/policy.py                  rates by category, both parts
    python bench/policy.py --failures       and every tuning prompt that is judged wrongly (never the held-out ones)
    python bench/policy.py --write-vectors  embed the rules' sentences again into policy/vectors.npz, after a change

The prompts are tests/policy/benign.tsv (each must pass) and refuse.tsv (each must be refused). benign-held.tsv and
refuse-held.tsv are held out: no phrase, sentence or threshold was changed because of them. The second set came later
and was measured before anything was changed for it; then it was cut in two by the hash of each prompt: one half was
tuned on (`-second-tuning`), the other was not (`-second-held`).
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fantascope.policy.meaning import VECTORS, Embed, Floats, write
from fantascope.policy.pieces import pieces
from fantascope.policy.rules import ARTISTS, RULES, read_rules
from fantascope.policy.text import Policy

ROUNDS = 50
PARTS = {
    "tuned on": "",
    "held out": "-held",
    "second set, tuned on": "-second-tuning",
    "second set, held out": "-second-held",
}
"""What is said of a part -> how its files end."""

SETS = Path(__file__).parent.parent / "tests" / "policy"


@dataclass
class Rate:
    """Prompts of a kind: how many, how many judged wrongly, how many refused by the rule of their own category."""

    prompts: int = 0
    wrong: int = 0
    own: int = 0
    failures: list[str] = field(default_factory=list)


def prompts(name: str, part: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, prompt) of a part of a set, `benign` or `refuse`."""
    for line in (SETS / f"{name}{PARTS[part]}.tsv").read_text("utf-8").splitlines():
        kind, prompt = line.split("\t")
        yield kind, prompt


def remembered(embed: Embed, texts: Iterable[str]) -> Embed:
    """Return `embed` with every piece of these texts embedded beforehand, many at a time."""
    parts = list(dict.fromkeys(text[span.start : span.end] for text in texts for span in pieces(text)))
    known = dict(zip(parts, embed(parts), strict=True))

    def recall(wanted: Sequence[str]) -> Floats:
        return np.stack([known[text] if text in known else embed([text])[0] for text in wanted])

    return recall


def rates(policy: Policy, embed: Embed | None, name: str, part: str) -> dict[str, Rate]:
    """Judge one part of a set and return the rates by kind."""
    out: dict[str, Rate] = defaultdict(Rate)
    for kind, prompt in prompts(name, part):
        refused = [v for v in policy.check_text(prompt, field="prompt", embed=embed) if not v.allowed]
        rate = out[kind]
        rate.prompts += 1
        rate.own += any(verdict.rule == kind for verdict in refused)
        if bool(refused) != (name == "refuse"):
            rate.wrong += 1
            rate.failures.append(
                f"{prompt}  <- {refused[0].rule} {refused[0].score} {refused[0].words}" if refused else prompt
            )
    return out


def total(by_kind: dict[str, Rate]) -> Rate:
    """Add up the kinds."""
    return Rate(*(sum(getattr(rate, name) for rate in by_kind.values()) for name in ("prompts", "wrong", "own")))


def show(policy: Policy, embed: Embed | None, failures: bool) -> None:
    """Print the tables."""
    for part in PARTS:
        for name, said in (("benign", "refused, though harmless"), ("refuse", "passed, though it should not")):
            by_kind = rates(policy, embed, name, part)
            every = total(by_kind)
            print(f"\n{part} · {name}: {said}")
            for kind, rate in [*by_kind.items(), ("all", every)]:
                own = f"  own category named {rate.own}/{rate.prompts}" if name == "refuse" else ""
                print(f"  {kind:24} {rate.wrong:3} of {rate.prompts:3}  {rate.wrong / rate.prompts:6.1%}{own}")
                for line in rate.failures if failures and "tuned" in part else []:
                    print(f"      {line}")


def speed(embed: Embed) -> None:
    """Print what a check costs beside the embedding."""
    text = "a castle on a hill above the sea at sunset, oil painting, golden light, highly detailed"
    embedding = [0.0]

    def timed(texts: Sequence[str]) -> Floats:
        start = time.perf_counter()
        vectors = embed(texts)
        embedding[0] += time.perf_counter() - start
        return vectors

    start = time.perf_counter()
    policy = Policy(read_rules(RULES, ARTISTS))
    loaded = time.perf_counter() - start
    start = time.perf_counter()
    policy.check_text(text, field="prompt", embed=timed)
    first = time.perf_counter() - start - embedding[0]
    embedding[0] = 0.0
    start = time.perf_counter()
    for _ in range(ROUNDS):
        policy.check_text(text, field="prompt", embed=timed)
    whole = time.perf_counter() - start
    print(f"\nrules read in {loaded * 1e3:.1f} ms; the first check compiles and loads vectors: {first * 1e3:.1f} ms")
    print(
        f"a check: {(whole - embedding[0]) / ROUNDS * 1e3:.2f} ms, its embedding {embedding[0] / ROUNDS * 1e3:.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--failures", action="store_true", help="list the tuning prompts judged wrongly")
    parser.add_argument("--phrases-only", action="store_true", help="judge without the text encoder")
    parser.add_argument("--write-vectors", action="store_true", help="renew policy/vectors.npz")
    parser.add_argument("--strictness", default="standard", help="open, standard or strict")
    options = parser.parse_args()
    from fantascope.engines.words import shared_words
    from fantascope.settings import Settings

    policy, embed = Policy.load(strictness=options.strictness), shared_words(Settings.from_env()).embed
    print(f"policy {policy.version}, sha256 {policy.hash}")
    if options.write_vectors:
        print(f"{write(policy.data, embed)} vectors written to {VECTORS}")
    every = [prompt for name in ("benign", "refuse") for part in PARTS for _, prompt in prompts(name, part)]
    show(policy, None if options.phrases_only else remembered(embed, every), options.failures)
    speed(embed)


if __name__ == "__main__":
    main()
