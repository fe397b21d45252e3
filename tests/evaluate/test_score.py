"""GenEval's rules on finds made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fantascope.engines.detector import Box, Found
from fantascope.evaluate.prompts import Asked, Want
from fantascope.evaluate.score import judge, stands


def found(kind: str, box: Box = (0, 0, 40, 40), colour: str = "red", score: float = 0.9) -> Found:
    return Found(kind, score, ((kind, 1.0),), box, colour, {colour: 1.0}, np.zeros(4, np.float32))


LEFT, RIGHT, TOP, LOW = (4, 40, 44, 80), (84, 40, 124, 80), (40, 4, 80, 44), (40, 84, 80, 124)
CAT, DOG = Want("cat"), Want("dog")


def passed(part: str, wants: tuple[Want, ...], seen: list[Found], relation: str = "") -> bool:
    return judge(Asked("x", part, "", wants, relation), seen, 0.3).passed


def test_single_object_is_there_or_not() -> None:
    assert passed("single object", (CAT,), [found("cat")])
    assert passed("single object", (CAT,), [found("cat"), found("cat", LEFT), found("dog")])
    assert not passed("single object", (CAT,), [found("dog")])
    assert not passed("single object", (CAT,), [])
    assert not passed("single object", (CAT,), [found("cat", score=0.29)])


def test_two_objects_must_both_be_there() -> None:
    assert passed("two objects", (CAT, DOG), [found("dog"), found("cat")])
    assert not passed("two objects", (CAT, DOG), [found("cat"), found("cat")])


@pytest.mark.parametrize(("there", "due"), [(2, False), (3, True), (4, False)])
def test_counting_is_exact(there: int, due: bool) -> None:
    seen = [found("cat")] * there + [found("dog"), found("cat", score=0.1)]
    assert passed("counting", (Want("cat", 3),), seen) is due


def test_colours() -> None:
    want = (Want("cat", colour="blue"),)
    assert passed("colours", want, [found("cat", colour="blue")])
    assert passed("colours", want, [found("cat", colour="red"), found("cat", colour="blue")])
    assert not passed("colours", want, [found("cat", colour="red"), found("dog", colour="blue")])
    mark = judge(Asked("x", "colours", "", want), [found("cat", colour="red")], 0.3)
    assert mark.why == "cat is red and not blue"


def test_colour_attribution_binds_colours_to_things() -> None:
    wants = (Want("cat", colour="blue"), Want("dog", colour="red"))
    assert passed("colour attribution", wants, [found("cat", colour="blue"), found("dog", colour="red")])
    assert not passed("colour attribution", wants, [found("cat", colour="red"), found("dog", colour="blue")])


@pytest.mark.parametrize(
    ("one", "two", "due"), [(LEFT, RIGHT, "left"), (RIGHT, LEFT, "right"), (TOP, LOW, "above"), (LOW, TOP, "below")]
)
def test_position(one: Box, two: Box, due: str) -> None:
    for relation in ("left", "right", "above", "below"):
        seen = [found("cat", one), found("dog", two)]
        assert passed("position", (CAT, DOG), seen, relation) is (relation == due)


def test_position_needs_a_margin() -> None:
    """Two boxes 40 px wide must be more than 8 px apart, middle from middle."""
    assert not stands(found("a", (0, 0, 40, 40)), "left", found("b", (8, 0, 48, 40)))
    assert stands(found("a", (0, 0, 40, 40)), "left", found("b", (9, 0, 49, 40)))
    assert not stands(found("a"), "left", found("b"))


def test_diagonal_counts_for_both_directions_unless_one_is_small() -> None:
    low_right = found("b", (60, 70, 100, 110))
    assert stands(found("a"), "left", low_right) and stands(found("a"), "above", low_right)
    far_right = found("b", (88, 20, 128, 60))
    assert stands(found("a"), "left", far_right) and not stands(found("a"), "above", far_right)


def test_position_takes_any_pair() -> None:
    seen = [found("cat", RIGHT), found("dog", TOP), found("cat", LEFT), found("dog", RIGHT)]
    assert passed("position", (CAT, DOG), seen, "left")
    mark = judge(Asked("x", "position", "", (CAT, DOG), "above"), seen[:1] + [found("dog", TOP)], 0.3)
    assert mark.why == "cat is not above"
