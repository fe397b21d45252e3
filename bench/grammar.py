"""Figures of the prompt grammars: the examples, round trips, malformed texts, and weights against the peer.

    python bench/grammar.py [--count 10000]

The peer is compel (MIT licence), over the embedded encoder's trained weights in torch; ours run on the graph engine.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from fantascope.errors import PromptError
from fantascope.prompt.grammar import a1111, dynamic, midjourney, permute, show, states, tree
from fantascope.prompt.grammar.wildcards import Wildcards

EXAMPLES: dict[str, list[tuple[str, str, float]]] = {
    "(x)": [("x", "all", 1.1)],
    "(x:1.3)": [("x", "all", 1.3)],
    "[x]": [("x", "all", 1 / 1.1)],
    "[a:b:0.25]": [("a", "1-5", 1), ("b", "6-20", 1)],
    "[a::9]": [("a", "1-9", 1), ("", "10-20", 1)],
    "[:b:9]": [("", "1-9", 1), ("b", "10-20", 1)],
    "[a|b]": [("a", "1,3,5,7,9,11,13,15,17,19", 1), ("b", "2,4,6,8,10,12,14,16,18,20", 1)],
}
"""A1111's forms -> what is said at which of 20 steps, with which weight."""

MIDJOURNEY = (
    "a --ar 139:100", "a --aspect 3:2", "a --chaos 100", "a --c 0", "a --stylize 1000", "a --s 0", "a --weird 3000",
    "a --w 0", "a --quality .25 --v 6", "a --q 4 --v 7", "a --seed 4294967295", "a --no b,c", "x.png a --iw 3",
    "a --tile",
    "a --stop 10", "a --repeat 40", "a --r 2", "a --sref 12 --sw 1000 --sv 4", "a --cref x.png --cw 100",
    "a --oref x.png --ow 1000", "a --p code", "a --style raw", "a --raw", "a --niji 6", "a --v 8.1", "a --draft",
    "a --exp 100", "a --fast", "a --relax", "a --turbo", "a::2 b::1", "a::10 b::-9", "{a, b} {c\\, d, e}",
)  # fmt: skip
REFUSED = (
    "a --ar 1.39:1",
    "a --chaos 101",
    "a --iw 4",
    "a::1 b::-1",
    "a::2 b --v 7",
    "a --stop 5",
    "a --seed 4294967296",
)
DYNAMIC = {"{a|b|c}": 3, "{2$$a|b|c}": 3, "{1-2$$ and $$a|b|c}": 6, "{3::a|1::b}": 2}


def steps_of(text: str) -> set[int]:
    """Read `all`, `1-5` or `1,3`."""
    if text == "all":
        return set(range(1, 21))
    low, _, high = text.partition("-")
    return set(range(int(low), int(high) + 1)) if high else {int(one) for one in text.split(",")}


def examples() -> tuple[int, int]:
    """Return how many of the stated examples are read as stated, and how many there are."""
    good = 0
    for text, due in EXAMPLES.items():
        said = [state for (state,) in states(a1111.parse(text), 20)]
        good += all(
            said[step - 1].plain == words and all(round(w - weight, 9) == 0 for _, w in (said[step - 1].sections[0]))
            for words, when, weight in due
            for step in steps_of(when)
        )
    parts = a1111.parse("a AND b :0.5 BREAK <lora:name:0.8>").parts
    good += len(parts) == 2 and len(a1111.parse("a BREAK b <lora:n:0.8>").parts[0].nodes) == 4
    for text in MIDJOURNEY:
        texts = permute.expand(text)
        good += all(midjourney.parse(midjourney.show(midjourney.parse(one))) == midjourney.parse(one) for one in texts)
    for text in REFUSED:
        good += raises(lambda text=text: midjourney.parse(text)) is True
    none = Wildcards(None).lines
    good += sum(len(dynamic.every(dynamic.parse(text), none)) == count for text, count in DYNAMIC.items())
    return good, len(EXAMPLES) + 1 + len(MIDJOURNEY) + len(REFUSED) + len(DYNAMIC)


def raises(run: Callable[[], Any]) -> bool | None:
    """Run and say whether a prompt error was raised; None stands for any other error, which is shown and counted."""
    try:
        run()
    except PromptError:
        return True
    except Exception as error:  # whatever it is, it is what this counts
        print(f"not a prompt error: {error!r}", file=sys.stderr)
        return None
    return False


WORDS = [
    "a cat",
    "red",
    " ",
    "AND",
    "b:2",
    "|",
    "x(y",
    "\\",
    "日本",
    "<lora:x>",
    "BREAK it",
    ", ",
    "$$",
    "{",
    "__a__",
    "#1",
]


def tree_of(draw: random.Random, depth: int = 0) -> tuple[tree.Node, ...]:
    """Return random nodes of an A1111 prompt in normal form."""
    nodes: list[tree.Node] = []
    for _ in range(draw.randrange(4)):
        kind = draw.randrange(6 if depth < 4 else 3)
        if kind == 0:
            nodes.append(tree.Adapter("n", round(draw.uniform(-4, 4), 3)))
        elif kind == 1:
            nodes.append(tree.Break())
        elif kind == 2:
            nodes.append(tree.Text("".join(draw.choices(WORDS, k=3))))
        elif kind == 3:
            nodes.append(
                tree.Group(
                    tree_of(draw, depth + 1), draw.choice([1.1, 1 / 1.1, 1.0, 0.0, 1e-7, round(draw.uniform(-9, 9), 4)])
                )
            )
        elif kind == 4:
            when = draw.choice([round(draw.random(), 3), float(draw.randrange(40))])
            nodes.append(tree.Schedule(tree_of(draw, depth + 1), tree_of(draw, depth + 1), when))
        else:
            nodes.append(tree.Alternate(tuple(tree_of(draw, depth + 1) for _ in range(draw.randrange(2, 4)))))
    return tree.joined(nodes)


def prompt_of(draw: random.Random) -> tree.Prompt:
    """Return a random A1111 prompt."""
    parts = [tree.joined(tree_of(draw), trim=True) for _ in range(draw.choice([1, 1, 2, 3]))]
    weight = (lambda: round(draw.uniform(-2, 2), 2)) if len(parts) > 1 else (lambda: 1.0)
    return tree.Prompt(tuple(tree.Part(nodes, weight()) for nodes in parts))


def dynamic_of(draw: random.Random, depth: int = 0) -> dynamic.Pattern:
    """Return a random dynamic prompt in normal form."""
    parts: list[Any] = []
    for _ in range(draw.randrange(4)):
        kind = draw.randrange(3 if depth < 3 else 2)
        if kind == 0:
            parts.append("".join(draw.choices(WORDS, k=2)))
        elif kind == 1:
            parts.append(dynamic.Wildcard("animals/dog"))
        else:
            options = tuple((draw.choice([1.0, 2.5]), dynamic_of(draw, depth + 1)) for _ in range(draw.randrange(1, 4)))
            low = draw.randrange(3)
            parts.append(
                dynamic.Variants(options, low, low + draw.randrange(2), draw.choice([",", " and ", "", "|", "$$", "{"]))
            )
    return dynamic.normal(parts)


def permuted_of(draw: random.Random, depth: int = 0) -> permute.Pattern:
    """Return random permutations in normal form."""
    parts: list[Any] = []
    for _ in range(draw.randrange(4)):
        if draw.random() < 0.6 or depth > 2:
            parts.append("".join(draw.choices(WORDS, k=2)))
        else:
            parts.append(permute.Choice(tuple(permuted_of(draw, depth + 1) for _ in range(draw.randrange(1, 4)))))
    return permute.normal(parts, trim=depth > 0)


def midjourney_of(draw: random.Random) -> midjourney.Midjourney:
    """Return a random Midjourney prompt."""
    pieces = [
        midjourney.Piece(f"w{draw.randrange(9)} cat", round(draw.uniform(0.1, 9), 2))
        for _ in range(draw.randrange(1, 4))
    ]
    if len(pieces) == 1:
        pieces = [midjourney.Piece(pieces[0].text)]
    told = {"ar": f"{draw.randrange(1, 99)}:{draw.randrange(1, 99)}", "chaos": str(draw.randrange(101)), "tile": "",
            "no": "hats, big shoes", "seed": str(draw.randrange(2**32)), "raw": "", "quality": "0.5"}  # fmt: skip
    names = [name for name in midjourney.PARAMETERS if name in told and draw.random() < 0.4]
    pictures = ("a.png",) * draw.randrange(3)
    return midjourney.Midjourney(pictures, tuple(pieces), tuple((name, told[name]) for name in names))


GRAMMARS: dict[str, tuple[Callable[[random.Random], Any], Callable[[str], Any], Callable[[Any], str]]] = {
    "a1111": (prompt_of, a1111.parse, show),
    "midjourney": (midjourney_of, midjourney.parse, midjourney.show),
    "permutations": (permuted_of, permute.parse, permute.show),
    "dynamic": (dynamic_of, dynamic.parse, dynamic.show),
}
MARKS = [*"()[]{}|:,\\<>#$_-— ab7.\n\x00日", "::", "$$", "__", " AND ", " BREAK ", "<lora:", ":1.3)", ":0.5]", "1-2$$"]
MARKS += [" --ar 3:2", " --no x", " --chaos ", " --v 7", " --", "1e9", "\ud800", "((((", "[a:b:", "nan)"]


def round_trips(count: int) -> dict[str, int]:
    """Return by grammar how many random prompts come back from print as they were."""
    draw = random.Random(1)
    found = {}
    for name, (make, read, printed) in GRAMMARS.items():
        prompts = [make(draw) for _ in range(count)]
        found[name] = sum(read(printed(prompt)) == prompt for prompt in prompts)
    return found


def malformed(count: int) -> dict[str, tuple[int, int, int]]:
    """Return by grammar how many malformed texts were read, refused by a prompt error, or raised something else."""
    draw, none = random.Random(2), Wildcards(None).lines
    runs: dict[str, Callable[[str], Any]] = {
        "a1111": lambda text: states(a1111.parse(text), 20),
        "midjourney": midjourney.parse,
        "permutations": permute.expand,
        "dynamic": lambda text: dynamic.every(dynamic.parse(text), none),
    }
    found = {}
    for name, run in runs.items():
        texts = ["".join(draw.choices(MARKS, k=draw.randrange(30))) for _ in range(count)]
        told = [raises(lambda text=text, run=run: run(text)) for text in texts]
        found[name] = told.count(False), told.count(True), told.count(None)
    return found


def agreement() -> dict[str, float]:
    """Return the largest difference from compel, how far weights move states, and the mean and size of plain states."""
    import numpy as np
    import torch
    from compel.embeddings_provider import EmbeddingsProvider
    from tests.engines.test_weights import PIECES, Bert

    from fantascope.core.weighting import Weighted
    from fantascope.engines.words import shared_words
    from fantascope.settings import Settings

    words = shared_words(Settings.from_env())
    bert = Bert(words)
    provider = EmbeddingsProvider(tokenizer=bert, text_encoder=bert, padding_attention_mask_value=0, device="cpu")
    worst, moved, plains = 0.0, [], []
    for pieces in PIECES:
        texts, weights = zip(*pieces, strict=True)
        with torch.no_grad():
            theirs = provider.get_embeddings_for_weighted_prompt_fragments([list(texts)], [list(weights)])[0].numpy()
        ours = words.states([Weighted((tuple(pieces),))])[0]
        plain = words.states(["".join(texts)])[0]
        worst = max(worst, float(np.abs(ours - theirs).max()))
        moved.append(float(np.abs(ours - plain).mean()))
        plains.append(plain)
    return {
        "largest difference of weighted states from compel's": worst,
        "what the weights move states by, mean": float(np.mean(moved)),
        "mean of the embedded encoder's states, over which A1111's way would divide": float(np.mean(plains)),
        "standard deviation of these states": float(np.std(plains)),
    }


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=10_000, help="random prompts of each kind and grammar")
    count = options.parse_args().count
    started = time.perf_counter()
    good, every = examples()
    print("| what | figure |\n|---|---|")
    print(f"| stated examples that are read as stated | {good} of {every} |")
    for name, same in round_trips(count).items():
        print(f"| {name}: random prompts that come back from print as they were | {same} of {count} |")
    for name, told in malformed(count).items():
        print(f"| {name}: malformed texts read / refused / anything else | {' / '.join(map(str, told))} |")
    for name, value in agreement().items():
        print(f"| {name} | {value:.2g} |")
    print(f"\n{time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
