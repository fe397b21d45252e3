"""GenEval's rules: from what the detector found in a picture to passed or not, and why not.

- **single object, two objects**: every kind asked for is there, once at least.
- **counting**: exactly as many as asked for.
- **colours, colour attribution**: as many finds of the kind in the colour as asked for.
- **position**: the middle of some find of the first kind lies on the asked side of one of the second, by a margin.

Source: Ghosh et al., "GenEval" (2023), section 3.2 and appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fantascope.engines.detector import Found
from fantascope.evaluate.prompts import Asked, Want

MARGIN = 0.1
"""Share of two boxes' sides that their middles must be apart."""

MAIN = 0.5
"""Least share of the way between two middles that must lie along the asked direction."""


@dataclass(frozen=True)
class Mark:
    """Whether a picture passed, and what was wrong with it."""

    passed: bool
    why: str = ""


def judge(asked: Asked, found: Sequence[Found], threshold: float) -> Mark:
    """Judge what was found in a picture of a prompt; finds below the threshold do not count."""
    seen = [one for one in found if one.score >= threshold]
    groups = []
    for want in asked.wants:
        group = [one for one in seen if one.kind == want.kind]
        wrong = _group(want, group, exactly=asked.part == "counting")
        if wrong:
            return Mark(False, wrong)
        groups.append(group)
    if asked.relation and not any(stands(one, asked.relation, two) for one in groups[0] for two in groups[1]):
        return Mark(False, f"{asked.wants[0].kind} is not {asked.relation}")
    return Mark(True)


def _group(want: Want, group: Sequence[Found], *, exactly: bool) -> str:
    """Say what is wrong with the finds of a kind, or nothing."""
    if len(group) < want.count or (exactly and len(group) != want.count):
        return f"{len(group)} and not {want.count} {want.kind}" if group else f"no {want.kind}"
    if want.colour is not None and sum(one.colour == want.colour for one in group) < want.count:
        return f"{want.kind} is {', '.join(sorted({one.colour for one in group}))} and not {want.colour}"
    return ""


def stands(one: Found, relation: str, two: Found) -> bool:
    """Whether a find stands left, right, above or below of another, seen from their middles.

    Along each axis the way between the middles counts only beyond a tenth of both sides together; what is left must
    point, for more than a half, in the asked direction.
    """
    across, down = (_apart(one, two, axis) for axis in (0, 1))
    long = math.hypot(across, down)
    if long == 0:
        return False
    way = {"left": -across, "right": across, "above": -down, "below": down}[relation]
    return way / long > MAIN


def _apart(one: Found, two: Found, axis: int) -> float:
    middles = [(found.box[axis] + found.box[axis + 2]) / 2 for found in (one, two)]
    sides = sum(found.box[axis + 2] - found.box[axis] for found in (one, two))
    far = middles[0] - middles[1]
    return max(abs(far) - MARGIN * sides, 0.0) * (1 if far > 0 else -1)
