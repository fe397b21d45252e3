"""A lesson as a request: one set of fields, ranges and defaults for the command and the wire."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fantascope.cli.personalise import OPTIONS
from fantascope.errors import InvalidValue, RequestError, UnknownName
from fantascope.personal.asked import MOST_SENT, NOT_OF_LESSONS, Personalise
from fantascope.personal.lesson import LESSONS, METHODS, Lesson
from fantascope.spec import SPECS

SAID: dict[str, Any] = {"photos": ("sha256:" + "a" * 64,), "name": "pomo", "kind": "alien"}


def test_the_request_and_the_command_say_the_same_as_the_lesson() -> None:
    lesson = {field.name: field.default for field in fields(Lesson)}
    asked = {name: field for name, field in Personalise.model_fields.items() if name not in NOT_OF_LESSONS}
    assert set(asked) <= set(lesson) and set(OPTIONS) >= set(asked)
    for name, field in asked.items():
        if not field.is_required():
            assert field.default == lesson[name] == OPTIONS[name][1], name
    assert set(lesson) - set(asked) - {"photos", "owner", "ticket"} == set(OPTIONS) - set(asked)


def test_every_default_of_a_base_may_be_asked_for() -> None:
    for family, methods in LESSONS.items():
        for method, told in methods.items():
            made = Personalise(**SAID, method=method, **told)
            assert made.lesson().method == method and method in METHODS, family
    assert Personalise(**SAID).lesson(run=Path("x")) == Lesson((), "pomo", "alien", run=Path("x"))
    assert SPECS["embedded"].family in LESSONS


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"photos": ()}, "photos"),
        ({"photos": ("a" * 64,) * (MOST_SENT + 1)}, "photos"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**9}, "steps"),
        ({"rate": float("inf")}, "rate"),
        ({"rank": 513}, "rank"),
        ({"samples": 9}, "samples"),
        ({"seed": -1}, "seed"),
        ({"name": "a" * 65}, "name"),
        ({"consent": "yes\x00"}, "consent"),
        ({"run": "/tmp/x"}, "run"),
        ({"device": "cuda"}, "device"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        Personalise(**SAID | wrong)
    assert caught.value.param == param


def test_a_word_that_is_none_of_the_choices_is_offered_them() -> None:
    with pytest.raises(UnknownName, match="lora"):
        Personalise(**SAID, method="lorra")
    with pytest.raises(InvalidValue, match="2 captions of 1 photos"):
        Personalise(**SAID, captions=("a", "b")).lesson()
