"""How well people in a picture stand as they were asked to: joints found again, against those given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

from fantascope.annotate import Person, Pose, Tools, find_pose
from fantascope.annotate.pixels import resized

NEAR = 0.15
"""How far a joint may be off, of the height of the person as given."""

SEEN = 512
"""Short side at which a picture is looked at, px."""

MOST = 4
"""People that are told apart."""


def joints_met(asked: Pose, picture: Any, tools: Tools | None = None) -> float:
    """Share of the joints asked for that are found within `NEAR` of a person's height, 0..1.

    People are found by the pose network (`find_pose`) and paired with those asked for so that most joints are met; a
    person who is not found meets none.

    Args:
        asked: Joints on a canvas of the picture's shape.
        picture: (H, W, 3) uint8.
        tools: Where the network's files are.

    Raises:
        ModelNotFound: They are not there; the message says how to get them.

    Source: Yang & Ramanan, "Articulated human detection with flexible mixtures of parts" (2013), section 5 (PCK).
    """
    people = [person for person in asked.people if any(person.joints())][:MOST]
    if not people:
        return 1.0
    scale = max(1, round(SEEN / min(picture.shape[:2])))
    size = (picture.shape[1] * scale, picture.shape[0] * scale)
    found = find_pose(resized(picture, size, "cubic"), people=len(people), confidence=0.3, tools=tools)
    ratio = asked.width / found.width
    table = [[_met(one, other, ratio) for other in found.people] for one in people]
    due = sum(joint is not None for person in people for joint in person.joints())
    return _best(table) / due


def _best(table: Sequence[Sequence[int]]) -> int:
    """The most joints met by pairing rows with different columns."""
    columns = range(len(table[0]) if table else 0)
    spare = [None] * len(table)
    orders = set(permutations([*columns, *spare], len(table)))
    return max(sum(0 if k is None else row[k] for row, k in zip(table, order, strict=True)) for order in orders)


def _met(one: Person, other: Person, ratio: float) -> int:
    given = [joint for joint in one.joints() if joint is not None]
    tall = max(max(y for _, y in given) - min(y for _, y in given), 1.0)
    pairs = zip(one.joints(), other.joints(), strict=True)
    return sum(
        math.dist(a, (b[0] * ratio, b[1] * ratio)) <= NEAR * tall for a, b in pairs if a is not None and b is not None
    )
