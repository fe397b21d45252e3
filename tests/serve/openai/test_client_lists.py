"""Models, files and moderations through the official client."""

from __future__ import annotations

import base64
from typing import Any

import openai
import pytest
from tests.serve.openai.drawn import png

from fantascope.serve.openai.moderations import CATEGORIES


def test_models(client: openai.OpenAI) -> None:
    found = {model.id: model for model in client.models.list()}
    assert {"dall-e-2", "dall-e-3", "gpt-image-1", "embedded", "echo", "dall-e-2-echo"} <= set(found)
    assert {"omni-moderation-latest"} <= set(found)
    assert not {"annotators", "sd15-canny"} & set(found)
    for name, model in found.items():
        assert model.object == "model" and model.owned_by and isinstance(model.created, int)
        assert client.models.retrieve(name) == model
    assert found["dall-e-2-echo"].spec == "echo"  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("dall-e-9")
    assert caught.value.code == "model_not_found"


def test_files_come_and_go(client: openai.OpenAI) -> None:
    data = [png(80 + k, 80) for k in range(3)]
    kept = [client.files.create(file=(f"../{k}.png", one), purpose="vision") for k, one in enumerate(data)]
    for one, file in zip(data, kept, strict=True):
        assert (file.object, file.bytes, file.purpose, file.status) == ("file", len(one), "vision", "processed")
        assert "/" not in file.filename and file.filename.endswith(".png")
        assert client.files.retrieve(file.id) == file
        assert client.files.content(file.id).content == one
    ids = [file.id for file in kept]
    newest = client.files.list(limit=2, purpose="vision")
    assert [file.id for file in newest.data] == ids[:0:-1] and newest.has_more
    assert newest.get_next_page().data[0].id == ids[0]
    oldest = [file.id for file in client.files.list(order="asc", after=ids[0], purpose="vision", limit=100).data]
    assert oldest[:2] == ids[1:]
    assert client.files.list(purpose="batch").data == []
    assert {file.purpose for file in client.files.list(purpose="assistants_output", limit=5).data} <= {
        "assistants_output"
    }
    for name in ids:
        gone = client.files.delete(name)
        assert gone.deleted and gone.id == name
        with pytest.raises(openai.NotFoundError):
            client.files.content(name)


def test_files_that_are_none(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"file": ("x.png", png()), "purpose": "vision"}
    for body, param in (
        ({"purpose": "fine-tune"}, "purpose"),
        ({"file": ("x.jsonl", b"{}")}, "file"),
        ({"expires_after": {"anchor": "created_at", "seconds": 3600}}, "expires_after"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.files.create(**(asked | body))
        assert caught.value.param == param
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve("file-abc123")
    with pytest.raises(openai.BadRequestError):
        client.files.list(limit=0)


def test_a_moderation_of_texts(client: openai.OpenAI) -> None:
    reply = client.moderations.create(input=["a cat on a sofa", "a naked child", "slaughter all immigrants"])
    assert reply.id.startswith("modr-") and reply.model == "omni-moderation-latest"
    calm, minors, hate = reply.results
    assert (calm.flagged, minors.flagged, hate.flagged) == (False, True, True)
    assert minors.categories.sexual_minors and not minors.categories.hate
    assert hate.categories.hate or hate.categories.hate_threatening
    for result in reply.results:
        scores = result.category_scores.model_dump(by_alias=True)
        flags = result.categories.model_dump(by_alias=True)
        applied = result.category_applied_input_types.model_dump(by_alias=True)
        assert set(CATEGORIES) <= set(scores) and set(CATEGORIES) <= set(flags)
        for name in CATEGORIES:
            assert 0 <= scores[name] <= 1 and applied[name] == ["text"]
        assert result.flagged == any(flags[name] for name in CATEGORIES)
    assert max(calm.category_scores.model_dump().values()) < 0.5 < minors.category_scores.sexual_minors
    assert minors.fantascope["refused_by"][0]["rule"] == "sexual/minors"  # type: ignore[attr-defined]


def test_rules_beyond_the_categories_are_told_beside_them(client: openai.OpenAI) -> None:
    (result,) = client.moderations.create(input="a fake passport").results
    assert not result.flagged and not result.fantascope["allowed"]  # type: ignore[attr-defined]
    assert result.fantascope["refused_by"][0]["rule"] == "forgery"  # type: ignore[attr-defined]


def test_a_moderation_of_parts(client: openai.OpenAI) -> None:
    picture: Any = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(png()).decode()},
    }
    (result,) = client.moderations.create(input=[{"type": "text", "text": "a naked child"}, picture]).results
    assert result.flagged
    (alone,) = client.moderations.create(input=[picture], model="omni-moderation-2024-09-26").results
    applied = alone.category_applied_input_types
    assert not alone.flagged and applied.violence == [] and applied.hate == []
    assert applied.sexual == []  # no classifier is installed in this home, and nobody says it looked


def test_moderations_that_are_none(client: openai.OpenAI, named: Any) -> None:
    link: Any = {"type": "image_url", "image_url": {"url": "http://example.org/x.png"}}
    broken: Any = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    for wrong in (
        [],
        [link],
        [broken],
        [{"type": "audio"}],
        [{"type": "text"}],
        "x" * 32_001,
        ["a"] * 65,
        ["x" * 22_000] * 3,
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.moderations.create(input=wrong)
        assert caught.value.param == "input"
    with pytest.raises(openai.BadRequestError) as caught:
        client.moderations.create(input="a", model="gpt-4")
    assert caught.value.param == "model"
    with pytest.raises(openai.BadRequestError):
        client.moderations.create(input=[broken], model="text-moderation-latest")
    with named.client() as plain:
        assert plain.post("/v1/moderations", json={}).json()["error"]["code"] == "missing_required_parameter"
