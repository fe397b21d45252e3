"""Requests: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.errors import FantascopeError, InvalidValue, RequestError, UnknownName
from fantascope.request import MAX_TEXT, PICTURE, TEXT, Imagine, Request, parse_request


def test_nothing_given_is_none_and_zero_is_a_value() -> None:
    request = Imagine(prompt="a cat", seed=0, guidance=0)
    assert request.seed == 0
    assert request.guidance == 0
    assert request.steps is None


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"prompt": ""}, "prompt", "empty"),
        ({"prompt": "  \n"}, "prompt", "empty"),
        ({"prompt": "x" * 100_000}, "prompt", str(MAX_TEXT)),
        ({"prompt": "a\0b"}, "prompt", "U+0000"),
        ({"prompt": "a\x1b[2Jb"}, "prompt", "U+001B"),
        ({"prompt": "a\ud800b"}, "prompt", "U+D800"),
        ({"prompt": 5}, "prompt", "string"),
        ({}, "prompt", "missing"),
        ({"prompt": "a", "steps": 0}, "steps", "1"),
        ({"prompt": "a", "steps": 10**9}, "steps", "1000"),
        ({"prompt": "a", "guidance": math.nan}, "guidance", "finite"),
        ({"prompt": "a", "guidance": math.inf}, "guidance", "finite"),
        ({"prompt": "a", "guidance": -1}, "guidance", "0"),
        ({"prompt": "a", "seed": -1}, "seed", "0"),
        ({"prompt": "a", "seed": 2**32}, "seed", str(2**32 - 1)),
        ({"prompt": "a", "n": 0}, "n", "1"),
        ({"prompt": "a", "width": 0}, "width", "1"),
        ({"prompt": "a", "width": -512}, "width", "1"),
        ({"prompt": "a", "width": 10**9}, "width", "8192"),
        ({"prompt": "a", "format": "gif"}, "format", "png"),
        ({"prompt": "a", "precision": "fp61"}, "precision", "fp16"),
        ({"prompt": "a", "quality": 101}, "quality", "100"),
        ({"prompt": "a", "device": "../../etc"}, "device", "match"),
        ({"prompt": "a", "stepz": 4}, "stepz", "steps"),
        ({"prompt": "a", "negative_prompt": "\x07"}, "negative_prompt", "U+0007"),
    ],
)
def test_bad_fields_are_named(fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        Imagine(**fields)
    assert caught.value.param == param
    assert words in str(caught.value)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 400


def test_every_text_field_is_found_by_its_type() -> None:
    assert Imagine.fields_of(TEXT) == ["prompt", "negative_prompt"]
    assert Imagine.fields_of(PICTURE) == ["controls"]
    request = Imagine(prompt="a", negative_prompt="b")
    assert list(request.walk(TEXT)) == [("prompt", "a"), ("negative_prompt", "b")]


def test_requests_are_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        Imagine(prompt="a").prompt = "b"  # type: ignore[misc]


def test_unknown_task_offers_the_nearest() -> None:
    with pytest.raises(UnknownName, match="imagine"):
        parse_request({"task": "imagin", "prompt": "a"})
    with pytest.raises(InvalidValue):
        parse_request([])  # type: ignore[arg-type]


@given(st.text(max_size=200))
def test_any_text_is_taken_or_refused_in_words(text: str) -> None:
    try:
        request = Imagine(prompt=text)
    except FantascopeError as error:
        assert error.param == "prompt"
    else:
        assert request.prompt == text
        assert parse_request(request.model_dump(mode="json")) == request


@pytest.mark.parametrize("text", ["فيل وردي على خلفية زرقاء", "פיל ורוד", "🐘🎉👩‍🚀", "象\tелефант\nelefante"])
def test_all_scripts_are_welcome(text: str) -> None:
    assert Imagine(prompt=text).prompt == text


@given(
    st.fixed_dictionaries(
        {"prompt": st.just("a cat")},
        optional={
            "steps": st.integers(1, 1000),
            "guidance": st.floats(0, 100),
            "seed": st.integers(0, 2**32 - 1),
            "n": st.integers(1, 64),
            "private": st.booleans(),
            "format": st.sampled_from(["png", "jpeg", "webp"]),
        },
    )
)
def test_json_round_trip(fields: dict[str, Any]) -> None:
    request: Request = Imagine(**fields)
    assert parse_request(request.model_dump(mode="json")) == request
    assert request.replace() == request
