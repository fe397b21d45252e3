"""Streams through the official client: pictures of the work in progress, and how they end."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import numpy as np
import openai
import pytest
from tests.serve.openai.drawn import opened, png


@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
def test_as_many_partial_pictures_as_were_asked_for(client: openai.OpenAI, wanted: int) -> None:
    with client.images.generate(
        model="gpt-image-1", prompt="a yellow bus", stream=True, partial_images=wanted, output_format="webp"
    ) as stream:
        events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image"] * wanted + [
        "image_generation.completed"
    ]
    assert [event.partial_image_index for event in events[:-1]] == list(range(wanted))  # type: ignore[union-attr]
    pictures = [opened(base64.b64decode(event.b64_json)) for event in events]
    assert {(one.format, one.size) for one in pictures} == {("WEBP", (512, 512))}
    last = events[-1]
    assert (last.size, last.output_format, last.background, last.quality) == ("512x512", "webp", "opaque", "medium")
    assert last.type == "image_generation.completed" and last.usage.output_tokens == 1024
    arrays = [np.asarray(one.convert("RGB"), np.float32) for one in pictures]
    away = [float(np.abs(one - arrays[-1]).mean()) for one in arrays]
    assert away == sorted(away, reverse=True), "each is nearer to the end than the one before"


def test_an_edit_streams_by_its_own_names(client: openai.OpenAI) -> None:
    with client.images.edit(
        model="gpt-image-1-echo",
        image=png(),
        mask=png(mode="RGBA", hole=(0, 0, 128, 64)),
        prompt="a sun",
        stream=True,
        partial_images=2,
        user="somebody",
    ) as stream:
        events = list(stream)
    assert [event.type for event in events] == ["image_edit.partial_image"] * 2 + ["image_edit.completed"]
    last = events[-1]
    assert last.type == "image_edit.completed" and last.safety_identifier == "somebody"
    assert last.usage.input_tokens_details.image_tokens == 256


def test_a_stream_of_a_size_that_is_enlarged_and_of_several_pictures(named: Any) -> None:
    async def streamed() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{named.url}/v1", api_key=named.token, max_retries=0) as one:
            stream = await one.images.generate(
                model="gpt-image-1-echo", prompt="a cat", size="1536x1024", n=2, stream=True, partial_images=1
            )
            return [event async for event in stream]

    events = asyncio.run(streamed())
    assert [event.type.split(".")[1] for event in events] == ["partial_image", "completed", "completed"]
    assert {event.size for event in events[1:]} == {"1536x1024"}
    assert events[1].b64_json != events[2].b64_json


def test_what_is_refused_before_it_begins_is_an_error_like_any_other(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="gpt-image-1", prompt="a naked child", stream=True)
    assert caught.value.code == "moderation_blocked"


def test_what_fails_on_the_way_ends_the_stream_with_the_error(client: openai.OpenAI) -> None:
    blank = png(64, 64, mode="RGBA", hole=(0, 0, 64, 64))
    asked = {"model": "gpt-image-1", "image": blank, "prompt": "make it night", "background": "transparent"}
    with pytest.raises(openai.APIError), client.images.edit(**asked, stream=True) as stream:  # type: ignore[call-overload]
        list(stream)
