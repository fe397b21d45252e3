"""Wrong questions: one step from the right one, and counted once each."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fantascope.core.colour import COLOURS
from fantascope.engines.detector import Box, Found
from fantascope.evaluate.prompts import Asked, Want
from fantascope.evaluate.wrong import accepted, wrong

OBJECTS = ("cat", "dog", "car", "bus")
BOTH = Asked("x", "colour attribution", "", (Want("cat", colour="red"), Want("dog", colour="blue")))
BESIDE = Asked("y", "position", "", (Want("cat"), Want("dog")), "left")
THREE = Asked("z", "counting", "", (Want("cat", 3),))


def found(kind: str, colour: str, box: Box = (0, 0, 40, 40)) -> Found:
    return Found(kind, 0.9, ((kind, 1.0),), box, colour, {colour: 1.0}, np.zeros(4, np.float32))


RIGHT = [found("cat", "red"), found("dog", "blue", (60, 0, 100, 40))]


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        (BOTH, {"another thing": 4, "another colour": 2 * (len(COLOURS) - 1), "colours exchanged": 1}),
        (BESIDE, {"another thing": 4, "another side": 2}),
        (THREE, {"another thing": 3, "another number": 2}),
        (Asked("w", "single object", "", (Want("car"),)), {"another thing": 3}),
    ],
)
def test_every_wrong_question_is_one_step_away(asked: Asked, due: dict[str, int]) -> None:
    questions = list(wrong(asked, OBJECTS))
    assert Counter(sort for sort, _ in questions) == due
    assert len({question for _, question in questions}) == len(questions) and asked not in dict(questions).values()


def test_an_eye_that_sees_what_is_there_says_no() -> None:
    rates = accepted([(BOTH, RIGHT), (BESIDE, RIGHT)], OBJECTS, 0.3)
    assert {sort: (one.value, some.value) for sort, (one, some) in rates.items()} == dict.fromkeys(rates, (0.0, 0.0))
    assert rates["another thing"][0].n == 8 and rates["another thing"][1].n == 2


def test_an_eye_that_sees_everything_is_found_out() -> None:
    everything = [found(kind, colour) for kind in OBJECTS for colour in COLOURS]
    rates = accepted([(BOTH, everything)], OBJECTS, 0.3)
    assert all(one.value == some.value == 1 for one, some in rates.values())
    confused = [found("cat", "red"), found("dog", "red"), found("dog", "blue")]
    one, some = accepted([(BOTH, confused)], OBJECTS, 0.3)["another colour"]
    assert one.value == pytest.approx(1 / (2 * (len(COLOURS) - 1))) and some.value == 1
