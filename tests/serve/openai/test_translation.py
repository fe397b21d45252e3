"""What a body asks for becomes a request of ours: field by field, model by model, without a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fantascope.errors import NotFound
from fantascope.serve.fetch import FieldError
from fantascope.serve.openai.asked import Asked, Route, model_of, read
from fantascope.serve.openai.fields import Fields
from fantascope.serve.openai.plan import Plan, plan_edit, plan_generation, plan_variation, smaller
from fantascope.serve.openai.rules import RULES
from fantascope.serve.openai.sizes import fit, works
from fantascope.serve.openai.table import read_table
from fantascope.serve.openai.uploads import Sent
from fantascope.spec import SPECS

TABLE = read_table(Path("/nowhere"))
A, B, M = ("sha256:" + digit * 64 for digit in "abc")
SMALL, LARGE = Sent(A, 512, 512), Sent(B, 1024, 1024)


def asked(route: Route = "generation", **body: Any) -> Asked:
    """Read a JSON body."""
    fields = Fields(({} if route == "variation" else {"prompt": "a cat"}) | body)
    return read(fields, route, model_of(fields, route, TABLE, SPECS))


def made(route: Route = "generation", sent: tuple[Sent, ...] = (SMALL,), mask: str | None = None, **body: Any) -> Plan:
    """Plan a JSON body."""
    one = asked(route, **body)
    spec = SPECS[one.known.spec or "embedded"]
    if route == "generation":
        return plan_generation(one, spec, TABLE)
    if route == "variation":
        return plan_variation(one, spec, TABLE, sent[0])
    return plan_edit(one, spec, TABLE, sent, mask, lambda request: "dragon" not in getattr(request, "instruction", ""))


def told(request: Any) -> dict[str, Any]:
    """Return the fields of a request that are not as they always are."""
    return {k: v for k, v in request.model_dump(exclude_none=True).items() if v is not False and k != "prompt"}


BIG = {"width": 512, "height": 512, "upscale": 4, "format": "png"}

GENERATIONS: list[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]] = [
    ({}, {"n": 1, **BIG}, [{"task": "upscale", "factor": 2.0}]),
    ({"n": 3, "size": "512x512"}, {"n": 3, "width": 512, "height": 512, "upscale": 4}, []),
    ({"size": "256x256"}, {"n": 1, "width": 128, "height": 128, "upscale": 1, "format": "png"}, [{"factor": 2.0}]),
    ({"model": "dall-e-3"}, {"n": 1, **BIG}, [{"factor": 2.0}]),
    (
        {"model": "dall-e-3", "size": "1792x1024", "style": "natural", "quality": "hd"},
        {"n": 1, "width": 896, "height": 512, "upscale": 4, "steps": 30, "guidance": 2.8, "format": "png"},
        [{"factor": 2.0}],
    ),
    ({"model": "gpt-image-1"}, {"n": 1}, []),
    ({"model": "gpt-image-1", "size": "auto", "quality": "low"}, {"n": 1, "steps": 10}, []),
    ({"model": "gpt-image-1", "quality": "medium"}, {"n": 1}, []),
    ({"model": "gpt-image-1", "quality": "high"}, {"n": 1, "steps": 30}, []),
    ({"model": "gpt-image-2", "quality": "max"}, {"n": 1, "steps": 60}, []),
    ({"model": "embedded-few", "quality": "max"}, {"n": 1, "model": "embedded-few"}, []),
    ({"model": "gpt-image-1", "output_format": "webp"}, {"n": 1, "format": "webp", "quality": 100}, []),
    (
        {"model": "gpt-image-1", "output_format": "jpeg", "output_compression": 0},
        {"n": 1, "format": "jpeg", "quality": 1},
        [],
    ),
    (
        {"model": "gpt-image-1", "size": "1536x1024", "output_format": "jpeg", "output_compression": 70},
        {"n": 1, "width": 768, "height": 512, "upscale": 4, "format": "png"},
        [{"factor": 2.0, "format": "jpeg", "quality": 70}],
    ),
    ({"model": "gpt-image-1", "background": "transparent"}, {"task": "cutout", "n": 1}, []),
    (
        {"model": "gpt-image-1", "background": "transparent", "size": "1024x1024", "output_format": "webp"},
        {"task": "cutout", "n": 1, **BIG},
        [{"task": "upscale", "factor": 2.0, "format": "webp", "quality": 100}],
    ),
    ({"model": "gpt-image-1", "stream": True, "partial_images": 2}, {"n": 1, "preview": True}, []),
    ({"model": "gpt-image-1", "stream": True}, {"n": 1}, []),
    ({"background": "opaque"}, {"n": 1}, []),
    ({"model": "embedded", "size": "384x256"}, {"n": 1, "width": 192, "height": 128, "upscale": 1}, [{"factor": 2.0}]),
    (
        {"model": "sdxl", "size": "1792x1024"},
        {"n": 1, "model": "sdxl", "width": 1792, "height": 1024, "upscale": 1},
        [],
    ),
    ({"moderation": "low", "complexity": "high", "user": "u", "seed": 7, "nonsense": []}, {"n": 1}, []),
]


@pytest.mark.parametrize(("body", "first", "then"), GENERATIONS, ids=lambda value: str(value)[:60])
def test_a_generation(body: dict[str, Any], first: dict[str, Any], then: list[dict[str, Any]]) -> None:
    plan = made(**body)
    expected = {"task": "imagine"} | first
    if then:
        expected["format"] = "png"
    found = told(plan.first)
    if body.get("model") == "embedded" and then:
        found.pop("model"), expected.pop("model", None)
    assert found == expected
    stages = [told(stage(A)) for stage in plan.stages]
    assert len(stages) == len(then)
    for stage, wanted in zip(stages, then, strict=True):
        assert stage["picture"] == A
        assert {name: stage[name] for name in wanted} == wanted


EDITS: list[tuple[tuple[Sent, ...], str | None, dict[str, Any], dict[str, Any]]] = [
    ((SMALL,), None, {"prompt": "add a hat"}, {"task": "edit", "instruction": "add a hat", "picture": A}),
    ((SMALL,), M, {"prompt": "a hat on a cat"}, {"task": "fill", "picture": A, "mask": M}),
    ((SMALL,), M, {"prompt": "add a hat"}, {"task": "edit", "instruction": "add a hat", "picture": A, "mask": M}),
    ((SMALL,), M, {"prompt": "add a dragon"}, {"task": "fill", "picture": A, "mask": M}),
    ((SMALL,), M, {"prompt": "an additional hat"}, {"task": "fill", "picture": A, "mask": M}),
    ((replace(SMALL, clear=True),), None, {"prompt": "add a hat"}, {"task": "fill", "picture": A}),
    (
        (replace(SMALL, clear=True),),
        None,
        {"prompt": "add a hat", "model": "gpt-image-1"},
        {"task": "edit", "instruction": "add a hat", "picture": A},
    ),
    ((SMALL, LARGE), None, {"model": "gpt-image-1"}, {"task": "blend", "pictures": (A, B)}),
    (
        (SMALL, LARGE),
        None,
        {"model": "gpt-image-1", "input_fidelity": "high"},
        {"task": "blend", "pictures": (A, B), "strength": 0.49},
    ),
    ((SMALL,), None, {"prompt": "add a hat", "size": "512x512"}, {"task": "edit", "picture": A}),
    (
        (SMALL,),
        None,
        {"model": "gpt-image-1", "prompt": "make it night", "quality": "low"},
        {"task": "edit", "picture": A, "steps": 10},
    ),
]


@pytest.mark.parametrize(("sent", "mask", "body", "first"), EDITS, ids=lambda value: str(value)[:60])
def test_an_edit(sent: tuple[Sent, ...], mask: str | None, body: dict[str, Any], first: dict[str, Any]) -> None:
    plan = made("edit", sent, mask, **body)
    found = told(plan.first)
    assert {name: found[name] for name in first} == first
    assert set(found) - set(first) <= {"n", "instruction"}
    assert not plan.stages


def test_an_edit_for_a_larger_size_is_enlarged_and_a_transparent_one_is_cut_out_first() -> None:
    plan = made("edit", model="gpt-image-1", size="1024x1024", background="transparent", output_format="webp")
    cut, large = (stage(B) for stage in plan.stages)
    assert told(plan.first)["format"] == "png"
    assert told(cut) == {"task": "cutout", "picture": B, "format": "png"}
    assert told(large) == {"task": "upscale", "picture": B, "factor": 2.0, "format": "webp", "quality": 100}


def test_a_variation_and_its_sizes() -> None:
    assert told(made("variation", n=4).first) == {"task": "vary", "picture": A, "n": 4}
    (large,) = made("variation", size="1024x1024").stages
    assert told(large(B))["factor"] == 2.0
    assert smaller(asked("variation", size="256x256"), SMALL) == (256, 256)
    assert smaller(asked("variation", size="512x512"), SMALL) is None
    with pytest.raises(FieldError) as caught:
        smaller(asked("variation", size="256x256"), replace(SMALL, made=True))
    assert caught.value.param == "size"


WRONG: list[tuple[Route, dict[str, Any], str, str]] = [
    ("generation", {"prompt": None}, "prompt", "missing_required_parameter"),
    ("generation", {"prompt": " "}, "prompt", "string_below_min_length"),
    ("generation", {"prompt": 3}, "prompt", "invalid_type"),
    ("generation", {"prompt": "x" * 1001}, "prompt", "string_above_max_length"),
    ("generation", {"prompt": "x" * 4001, "model": "dall-e-3"}, "prompt", "string_above_max_length"),
    ("generation", {"prompt": "x" * 32001, "model": "gpt-image-1"}, "prompt", "string_above_max_length"),
    ("generation", {"n": 0}, "n", "integer_below_min_value"),
    ("generation", {"n": 11}, "n", "integer_above_max_value"),
    ("generation", {"n": "2"}, "n", "invalid_type"),
    ("generation", {"n": True}, "n", "invalid_type"),
    ("generation", {"n": 1.5}, "n", "invalid_type"),
    ("generation", {"n": 2, "model": "dall-e-3"}, "n", "integer_above_max_value"),
    ("generation", {"size": "1024"}, "size", "invalid_value"),
    ("generation", {"size": "auto", "model": "dall-e-2"}, "size", "invalid_value"),
    ("generation", {"size": "1536x1024", "model": "dall-e-2"}, "size", "invalid_value"),
    ("generation", {"size": "512x512", "model": "dall-e-3"}, "size", "invalid_value"),
    ("generation", {"size": "512x512", "model": "gpt-image-1"}, "size", "invalid_value"),
    ("generation", {"size": "1000x1000", "model": "gpt-image-2"}, "size", "invalid_value"),
    ("generation", {"size": "4096x1024", "model": "gpt-image-2"}, "size", "invalid_value"),
    ("generation", {"size": "3840x3840", "model": "gpt-image-2"}, "size", "invalid_value"),
    ("generation", {"size": "1024x01024", "model": "gpt-image-2"}, "size", "invalid_value"),
    ("generation", {"size": ["512x512"]}, "size", "invalid_type"),
    ("generation", {"quality": "hd"}, "quality", "invalid_value"),
    ("generation", {"quality": "low", "model": "dall-e-3"}, "quality", "invalid_value"),
    ("generation", {"quality": "max", "model": "gpt-image-1"}, "quality", "invalid_value"),
    ("generation", {"style": "vivid"}, "style", "unknown_parameter"),
    ("generation", {"style": "odd", "model": "dall-e-3"}, "style", "invalid_value"),
    ("generation", {"response_format": "png"}, "response_format", "invalid_value"),
    ("generation", {"response_format": "b64_json", "model": "gpt-image-1"}, "response_format", "unknown_parameter"),
    ("generation", {"background": "transparent", "model": "dall-e-2"}, "background", "unknown_parameter"),
    ("generation", {"background": "clear"}, "background", "invalid_value"),
    ("generation", {"background": "transparent", "output_format": "jpeg"}, "output_format", "invalid_value"),
    ("generation", {"output_format": "tiff"}, "output_format", "invalid_value"),
    ("generation", {"output_format": "svg"}, "output_format", "unsupported_value"),
    ("generation", {"output_compression": 101}, "output_compression", "integer_above_max_value"),
    ("generation", {"output_compression": 50}, "output_compression", "invalid_value"),
    ("generation", {"moderation": "off"}, "moderation", "invalid_value"),
    ("generation", {"stream": "yes"}, "stream", "invalid_type"),
    ("generation", {"stream": True, "model": "dall-e-2"}, "stream", "unknown_parameter"),
    ("generation", {"partial_images": 4}, "partial_images", "integer_above_max_value"),
    ("generation", {"partial_images": -1}, "partial_images", "integer_below_min_value"),
    ("generation", {"frame_count": 4}, "frame_count", "unsupported_value"),
    ("generation", {"svg": {"model": "x"}}, "svg", "unsupported_value"),
    ("edit", {"model": "dall-e-3"}, "model", "invalid_value"),
    ("edit", {"input_fidelity": "best"}, "input_fidelity", "invalid_value"),
    ("variation", {"model": "gpt-image-1"}, "model", "invalid_value"),
    ("variation", {"size": "1792x1024"}, "size", "invalid_value"),
]


@pytest.mark.parametrize(("route", "body", "param", "code"), WRONG, ids=lambda value: str(value)[:50])
def test_what_is_wrong_is_named(route: Route, body: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(FieldError) as caught:
        asked(route, **body)
    assert (caught.value.param, caught.value.said) == (param, code)


@pytest.mark.parametrize(
    ("sent", "mask", "body", "param"),
    [
        ((SMALL, LARGE), M, {"model": "gpt-image-1"}, "mask"),
        ((SMALL,) * 6, None, {"model": "gpt-image-1"}, "image"),
        ((SMALL, LARGE), None, {"model": "gpt-image-1", "prompt": "Add the hat of the second"}, "prompt"),
        ((SMALL,), None, {"model": "gpt-image-1", "size": "1536x1024"}, "size"),
        ((Sent(A, 128, 128),), None, {"size": "1024x1024"}, "size"),
        ((replace(SMALL, clear=True),), None, {"model": "gpt-image-1", "background": "opaque"}, "background"),
    ],
)
def test_what_cannot_go_together_is_named(sent: Any, mask: str | None, body: dict[str, Any], param: str) -> None:
    with pytest.raises(FieldError) as caught:
        made("edit", sent, mask, **body)
    assert caught.value.param == param


def test_without_a_model_the_oldest_is_meant_unless_a_field_is_newer() -> None:
    assert asked().known.name == "dall-e-2"
    assert asked(model=None, stream=False).known.name == "dall-e-2"
    for newer in ({"background": "auto"}, {"stream": True}, {"quality": "low"}, {"size": "1536x1024"}, {"svg": None}):
        expected = "dall-e-2" if newer == {"svg": None} else "gpt-image-1.5"
        assert asked(**newer).known.name == expected
    with pytest.raises(NotFound, match="dall-e-2"):
        asked(model="dalle-2")
    with pytest.raises(NotFound):
        asked(model="sd15-canny")


def test_a_form_says_numbers_in_words_and_says_nothing_twice() -> None:
    form = {"prompt": ["a cat"], "n": ["2"], "stream": ["true"], "partial_images": ["3"], "model": ["gpt-image-1"]}
    fields = Fields(form, form=True)
    one = read(fields, "edit", model_of(fields, "edit", TABLE, SPECS))
    assert (one.n, one.stream, one.partial) == (2, True, 3)
    with pytest.raises(FieldError) as caught:
        Fields({"n": ["1", "2"]}, form=True)
    assert caught.value.param == "n"
    nested = Fields({**form, "svg[model]": ["x"]}, form=True)
    with pytest.raises(FieldError) as caught:
        read(nested, "edit", model_of(nested, "edit", TABLE, SPECS))
    assert caught.value.param == "svg"


@pytest.mark.parametrize("name", ["embedded", "embedded-few", "echo", "sd15", "sdxl"])
def test_every_size_that_a_fit_is_found_for_is_met_exactly(name: str) -> None:
    spec, rules, found = SPECS[name], RULES["gpt-image-2"], 0
    for wide in range(256, 2049, 128):
        for high in range(256, 2049, 128):
            try:
                way = fit((wide, high), spec, rules)
            except FieldError as error:
                assert error.param == "size"
                continue
            found += 1
            assert way.size == (wide, high)
            assert 1 <= way.factor <= 4
            for side in (way.width, way.height):
                inner = side // way.upscale
                assert inner % spec.sizes.multiple == 0 and spec.sizes.min <= inner <= spec.sizes.max
    assert found > 10


def test_a_size_that_cannot_be_made_names_those_that_can() -> None:
    with pytest.raises(FieldError, match="sizes that work"):
        made(model="gpt-image-2", size="1536x864")
    for size in works((1536, 864), SPECS["embedded"], RULES["gpt-image-2"]):
        assert fit(size, SPECS["embedded"], RULES["gpt-image-2"]).size == size
    assert works((1, 1), SPECS["embedded"], RULES["dall-e-3"]) == [(1024, 1024), (1024, 1792), (1792, 1024)]
    assert all(rules.usual is None or fit(rules.usual, SPECS["embedded"], rules) for rules in RULES.values())
