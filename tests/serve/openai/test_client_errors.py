"""Everything that can be wrong, through the official client: it raises what it raises at the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
import pytest
from tests.serve.openai.drawn import png

GPT, OLD, THREE = "gpt-image-1-echo", "dall-e-2-echo", "dall-e-3-echo"
MASK = png(mode="RGBA", hole=(0, 0, 128, 64))


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 11}, "n", "integer_above_max_value"),
        ({"n": 2, "model": THREE}, "n", "integer_above_max_value"),
        ({"size": "300x300"}, "size", "invalid_value"),
        ({"size": "2048x2048", "model": GPT}, "size", "invalid_value"),
        ({"prompt": ""}, "prompt", "string_below_min_length"),
        ({"prompt": "x" * 1001}, "prompt", "string_above_max_length"),
        ({"prompt": "a\x00b"}, "prompt", "invalid_value"),
        ({"model": "dall-e-9"}, "model", "model_not_found"),
        ({"style": "vivid"}, "style", "unknown_parameter"),
        ({"quality": "ultra"}, "quality", "invalid_value"),
        ({"background": "transparent", "output_format": "jpeg", "model": GPT}, "output_format", "invalid_value"),
        ({"response_format": "url", "model": GPT}, "response_format", "unknown_parameter"),
    ],
)
def test_a_generation(client: openai.OpenAI, body: dict[str, Any], param: str, code: str) -> None:
    asked: dict[str, Any] = {"model": OLD, "prompt": "a cat"} | body
    with pytest.raises(openai.APIStatusError) as caught:
        client.images.generate(**asked)
    error = caught.value
    assert type(error) is (openai.NotFoundError if code == "model_not_found" else openai.BadRequestError)
    assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"mask": png()}, "mask"),
        ({"mask": png(mode="RGBA")}, "mask"),
        ({"mask": png(128, 128, mode="RGBA", hole=(0, 0, 64, 64))}, "mask"),
        ({"mask": b"no picture"}, "mask"),
        ({"mask": png(mode="RGBA", hole=(0, 0, 9, 9), form="WEBP")}, "mask"),
        ({"image": png(200, 100)}, "image"),
        ({"image": png(form="JPEG")}, "image"),
        ({"image": b"no picture"}, "image"),
        ({"image": b""}, "image"),
        ({"image": png()[:300]}, "image"),
        ({"image": [png(), png()]}, "image"),
        ({"image": []}, "image"),
        ({"image": [png()] * 17, "model": GPT}, "image"),
        ({"prompt": " "}, "prompt"),
        ({"size": "1024x1536", "model": GPT, "mask": openai.omit}, "size"),
        ({"model": THREE}, "model"),
        ({"model": GPT, "extra_body": {"markup": "x"}}, "markup"),
        ({"mask": openai.omit, "prompt": "a sunlit lounge with a pool", "model": "dall-e-2"}, "prompt"),
    ],
    ids=range(18),
)
def test_an_edit(client: openai.OpenAI, body: dict[str, Any], param: str) -> None:
    asked: dict[str, Any] = {"model": OLD, "prompt": "a cat", "image": png(), "mask": MASK} | body
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(**asked)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_variation(client: openai.OpenAI) -> None:
    for body, param in (({"image": png(90, 80)}, "image"), ({"model": GPT}, "model"), ({"n": 11}, "n")):
        asked: dict[str, Any] = {"model": OLD, "image": png()} | body
        with pytest.raises(openai.BadRequestError) as caught:
            client.images.create_variation(**asked)
        assert caught.value.param == param


def test_an_instruction_that_is_not_understood_comes_with_readings(client: openai.OpenAI) -> None:
    made = client.images.generate(model="gpt-image-1", prompt="a pink elephant on a blue background")
    assert made.data is not None
    body = {"model": "gpt-image-1", "prompt": "a sunlit lounge", "images": [{"file_id": made.data[0].file_id}]}  # type: ignore[attr-defined]
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/images/edits", body=body, cast_to=openai.types.ImagesResponse)
    assert caught.value.code == "unclear_instruction" and isinstance(caught.value.body, dict)
    assert all(reading["said"] and reading["after"] for reading in caught.value.body["readings"])
    assert 1 <= len(caught.value.body["readings"]) <= 3


@pytest.mark.parametrize(
    ("model", "code", "kind"),
    [
        ("dall-e-2", "content_policy_violation", "invalid_request_error"),
        ("dall-e-3", "content_policy_violation", "invalid_request_error"),
        ("gpt-image-1", "moderation_blocked", "image_generation_user_error"),
    ],
)
def test_a_refusal_names_its_rule(client: openai.OpenAI, model: str, code: str, kind: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=model, prompt="a naked child")
    error = caught.value
    assert (error.code, error.type, error.param) == (code, kind, "prompt") and isinstance(error.body, dict)
    assert error.body["rule"] == "sexual/minors" and error.body["score"] >= error.body["threshold"]
    assert error.body["words"] and error.body["hint"]


def test_tokens_addresses_and_methods(named: Any, client: openai.OpenAI) -> None:
    for key in ("wrong", "fs-" + "x" * 43):
        with pytest.raises(openai.AuthenticationError) as caught:
            client.with_options(api_key=key).models.list()
        assert (caught.value.code, caught.value.type) == ("invalid_api_key", "invalid_request_error")
    with pytest.raises(openai.NotFoundError):
        client.post("/images/animations", body={}, cast_to=object)
    with named.client() as plain:
        assert plain.get("/v1/images/generations").status_code == 405
        for body, kind in (
            (b"{", "application/json"),
            (b"[]", "application/json"),
            (b'{"n": NaN}', "application/json"),
            (b"[" * 100_000, "application/json"),
            (b"--x\r\n", "multipart/form-data"),
            (b"--x\r\nnothing", "multipart/form-data; boundary=x"),
        ):
            for route in ("generations", "edits", "variations"):
                reply = plain.post(f"/v1/images/{route}", content=body, headers={"Content-Type": kind})
                assert reply.status_code == 400, (body[:20], route, reply.text)
                assert set(reply.json()["error"]) >= {"message", "type", "param", "code"}
        missing = plain.post("/v1/images/generations", json={})
        assert missing.json()["error"]["param"] == "prompt"
        bare = plain.post("/v1/images/edits", files={"x": b""}, data={"prompt": "a cat"})
        assert bare.json()["error"]["param"] == "image"


def test_no_credit_is_a_rate_limit_to_the_client(named: Any, client_of: Callable[[str], openai.OpenAI]) -> None:
    with client_of(named.user("wire-poor", "free")) as poor:
        with pytest.raises(openai.RateLimitError) as caught:
            for _ in range(2):
                poor.images.generate(prompt="a cat", n=10, model="echo")
        assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")
