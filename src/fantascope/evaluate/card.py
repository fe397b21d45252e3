"""The detector's model card, written from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fantascope.evaluate.calibrate import KNOWN, STYLES, TRIED

Credits = Mapping[tuple[str, str, str, str], int]
"""Package, version, author and licence -> number of drawings."""


def detector_card(facts: Mapping[str, Any], credits: Credits) -> str:
    """Write the card.

    Args:
        facts: `objects`, `found`, `threshold`, `ceiling`, `wrong`, `samples`, `pictures`, `coloured` (pictures that the
            reader of colours learned from), `read` (share of unseen things that it reads right) and `seed`.
        credits: What it was trained on.
    """
    return "\n".join(_lines(facts, credits)) + "\n"


def _lines(facts: Mapping[str, Any], credits: Credits) -> Iterator[str]:
    yield "# Detector"
    yield ""
    yield "Finds drawn things in pictures of 128 px and says what they are, in which colour, and what they look like."
    yield "It exists to score pictures of the embedded checkpoint (`fantascope eval`) and for attribution. It has never"
    yield "seen a photograph, nor any drawing that the checkpoint was trained on."
    yield ""
    yield "- Weights: 1.2 M parameters, float16. Licence: Apache-2.0."
    yield f"- Trained on {facts['pictures']} pictures composed from the drawings below, seed {facts['seed']}."
    yield "- Every find is cut out and looked at twice more, at other sizes, once mirrored. Its colour is read from its"
    yield f"  pixels, too, by two small matrices trained on {facts['coloured']} more such pictures. Alone they are"
    yield f"  right for {facts['read']:.0%} of things in pictures as hard as those."
    yield f"- A find counts from score {facts['threshold']:g}, chosen on real pictures of its own."
    yield ""
    yield "## Drawings"
    yield ""
    yield "| package | version | author | licence | drawings |"
    yield "|---|---|---|---|---|"
    for (package, version, author, licence), count in sorted(credits.items()):
        yield f"| {package} | {version} | {author} | {licence} | {count} |"
    yield ""
    yield "## Ceiling"
    yield ""
    yield "How often its verdict is right on real pictures of the benchmark's own prompts, composed from the"
    yield f"checkpoint's drawings, whose styles it does not know ({facts['samples']} a prompt; whole vocabulary: one)."
    yield ""
    yield "| list | part | right | 95 % | pictures |"
    yield "|---|---|---|---|---|"
    for name, parts in facts["ceiling"].items():
        for part, row in parts.items():
            span = f"{row['low']:.3f}–{row['high']:.3f}"
            yield f"| {name} | {part} | {row['value']:.3f} | {span} | {row['n']} |"
    yield ""
    yield "## Wrong questions"
    yield ""
    yield "The same pictures, asked for what they do not show, each question one step from a right one; a yes is wrong."
    yield ""
    yield "| asked for | yes, of the questions | questions | pictures with one such yes or more | 95 % | pictures |"
    yield "|---|---|---|---|---|---|"
    for sort, row in facts["wrong"].items():
        one, any_ = row["questions"], row["pictures"]
        span = f"{any_['low']:.3f}–{any_['high']:.3f}"
        yield f"| {sort} | {one['value']:.4f} | {one['n']} | {any_['value']:.3f} | {span} | {any_['n']} |"
    yield ""
    yield "## Objects of the benchmark"
    yield ""
    yield f"A core concept is asked for if {STYLES} or more of the packages above have it and the detector finds it in"
    yield f"{KNOWN:.0%} of {3 * TRIED} real pictures: a third of it alone, of two of it, and of it in a named colour."
    yield f"{len(facts['objects'])} of {len(facts['found'])} candidates are: {', '.join(facts['objects'])}."
    yield ""
    left = {key: share for key, share in facts["found"].items() if key not in facts["objects"]}
    yield f"Left out, with the share found: {', '.join(f'{key} {share:.2f}' for key, share in left.items())}."
