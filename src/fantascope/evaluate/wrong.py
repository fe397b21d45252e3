"""Wrong questions about real pictures: what a detector must refuse.

A ceiling says how often a right picture passes. An eye that lets everything pass would have the best of all, so the
same pictures are also judged by prompts that they do not show, each but one step from the prompt that they do show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from fantascope.core.colour import COLOURS
from fantascope.engines.detector import Found
from fantascope.evaluate.prompts import Asked, Want
from fantascope.evaluate.score import judge
from fantascope.evaluate.statistics import Figure, clustered

SORTS = ("another thing", "another colour", "colours exchanged", "another number", "another side")

SIDES = {
    "left": ("right", "above"),
    "right": ("left", "below"),
    "above": ("below", "left"),
    "below": ("above", "right"),
}
"""Relation -> the opposite one, and one across."""


def wrong(asked: Asked, objects: Sequence[str]) -> Iterator[tuple[str, Asked]]:
    """Every wrong question that is one step from a right one, with its sort (one of `SORTS`).

    Args:
        asked: What a picture shows.
        objects: The kinds that may be asked for; each that is not wanted takes the place of each that is.
    """
    kinds = {want.kind for want in asked.wants}
    for at, want in enumerate(asked.wants):
        for kind in objects:
            if kind not in kinds:
                yield "another thing", _with(asked, at, replace(want, kind=kind))
        for colour in COLOURS if want.colour is not None else ():
            if colour != want.colour:
                yield "another colour", _with(asked, at, replace(want, colour=colour))
        if asked.part == "counting":
            for count in (want.count - 1, want.count + 1):
                yield "another number", _with(asked, at, replace(want, count=count))
    if len(asked.wants) == 2 and asked.wants[0].colour != asked.wants[1].colour:
        one, two = asked.wants
        wants = (replace(one, colour=two.colour), replace(two, colour=one.colour))
        yield "colours exchanged", replace(asked, wants=wants)
    for relation in SIDES.get(asked.relation, ()):
        yield "another side", replace(asked, relation=relation)


def _with(asked: Asked, at: int, want: Want) -> Asked:
    return replace(asked, wants=(*asked.wants[:at], want, *asked.wants[at + 1 :]))


def accepted(
    seen: Sequence[tuple[Asked, Sequence[Found]]], objects: Sequence[str], threshold: float
) -> dict[str, tuple[Figure, Figure]]:
    """How often wrong questions about real pictures are answered with yes, by sort; 0 is best.

    Args:
        seen: What each picture shows, and what was found in it.
        objects: See `wrong`.
        threshold: Score from which finds count.

    Returns:
        The share of the questions, and the share of the pictures of which one such question or more got a yes.
    """
    said: dict[str, dict[str, list[list[bool]]]] = {}
    for asked, found in seen:
        answers: dict[str, list[bool]] = {}
        for sort, question in wrong(asked, objects):
            answers.setdefault(sort, []).append(judge(question, found, threshold).passed)
        for sort, answered in answers.items():
            said.setdefault(sort, {}).setdefault(asked.id, []).append(answered)
    return {
        sort: (
            clustered([[answer for answers in pictures for answer in answers] for pictures in said[sort].values()]),
            clustered([[any(answers) for answers in pictures] for pictures in said[sort].values()]),
        )
        for sort in SORTS
        if sort in said
    }
