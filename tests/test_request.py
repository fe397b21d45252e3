"""Requests: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.errors import FantascopeError, InvalidValue, RequestError, UnknownName
from fantascope.request import (
    MAX_TEXT,
    PICTURE,
    REQUESTS,
    TEXT,
    Blend,
    Cutout,
    Edit,
    Erase,
    Expand,
    Fill,
    Imagine,
    Request,
    Turn,
    Upscale,
    Vary,
    parse_request,
)


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
    assert Imagine.fields_of(TEXT) == ["prompt", "negative_prompt", "said"]
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


EDITS = {name: cls for name, cls in REQUESTS.items() if "picture" in cls.model_fields or "pictures" in cls.model_fields}


@pytest.mark.parametrize("task", EDITS)
def test_every_picture_of_an_edit_is_found_by_its_type(task: str) -> None:
    named = [name for name in ("picture", "pictures", "mask") if name in EDITS[task].model_fields]
    assert [name for name in EDITS[task].fields_of(PICTURE) if name in ("picture", "pictures", "mask")] == named
    assert "prompt" in EDITS[task].fields_of(TEXT) or task == "annotate"


def test_every_text_of_a_turn_is_found_by_its_type() -> None:
    turn = Turn(kind="add", before="b", after="a", target="t", value="v", anchor="n", said="not a person's words")
    request = Edit(picture="p", instruction="i", before="o", turns=(turn, turn))
    found = list(request.walk(TEXT))
    assert [value for name, value in found if name == "turns"] == ["b", "a", "t", "v", "n"] * 2
    assert {"instruction", "before"} <= {name for name, _ in found}
    assert list(request.walk(PICTURE)) == [("picture", "p")]
    assert list(Blend(pictures=("a", "b", "a")).walk(PICTURE)) == [("pictures", name) for name in "aba"]
    assert parse_request(request.model_dump(mode="json")) == request


@pytest.mark.parametrize(
    ("task", "fields", "param"),
    [
        (Vary, {"strength": -0.01}, "strength"),
        (Vary, {"strength": 1.01}, "strength"),
        (Vary, {"strength": math.nan}, "strength"),
        (Vary, {"amount": "weak"}, "amount"),
        (Fill, {"feather": -1}, "feather"),
        (Fill, {"feather": 257}, "feather"),
        (Fill, {"region": "half"}, "region"),
        (Expand, {"left": -1}, "left"),
        (Expand, {"left": 8193}, "left"),
        (Expand, {"zoom": 1}, "zoom"),
        (Expand, {"zoom": 4.01}, "zoom"),
        (Expand, {"zoom": math.nan}, "zoom"),
        (Expand, {"pan": "in"}, "pan"),
        (Upscale, {"factor": math.inf}, "factor"),
        (Cutout, {"tolerance": 1.5}, "tolerance"),
        (Edit, {"instruction": "x", "turns": ({"kind": "add"},)}, "turns"),
        (Edit, {"instruction": "x", "turns": ({"kind": "add", "before": "\0", "after": ""},)}, "turns"),
        (Edit, {"instruction": "\0"}, "instruction"),
        (Erase, {"what": "\x1b"}, "what"),
    ],
)
def test_bad_fields_of_edits_are_named(task: Any, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        task(picture="p", **fields)
    assert caught.value.param == param
    assert "\x1b" not in str(caught.value)


@given(
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.tuples(*[st.integers(0, 9000)] * 4),
    st.sampled_from([None, "left", "right", "up", "down"]),
)
def test_an_expansion_adds_what_was_asked_or_says_why_not(
    width: int, height: int, sides: tuple[int, int, int, int], pan: str | None
) -> None:
    fields = dict(zip(("left", "top", "right", "bottom"), sides, strict=True))
    try:
        request = Expand(picture="p", pan=pan, **fields)  # type: ignore[arg-type]
        wide, high = request.size_of(width, height)
    except InvalidValue as error:
        assert error.param in (*fields, "expand", "size")
        return
    left, top, right, bottom = request.sides(width, height)
    assert (wide, high) == (width + left + right, height + top + bottom)
    assert max(wide, high) <= 8192
    assert wide <= 4 * width
    assert high <= 4 * height
    assert left >= sides[0] and top >= sides[1] and right >= sides[2] and bottom >= sides[3]
    assert sum((left, top, right, bottom)) > 0
