"""Pictures through the official client, from the real server."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from PIL import Image
from tests.serve.openai.drawn import opened, png

pytestmark = pytest.mark.slow


def bytes_of(image: Any) -> bytes:
    """Return the file of a picture of a reply."""
    if image.b64_json is not None:
        return base64.b64decode(image.b64_json)
    return httpx.get(image.url, timeout=60).raise_for_status().content


def test_three_lines_of_an_old_script(client: openai.OpenAI) -> None:
    before = int(time.time())
    reply = client.images.generate(prompt="a pink elephant on a blue background")
    assert before <= reply.created <= time.time() + 1
    assert reply.data is not None and len(reply.data) == 1
    picture = opened(bytes_of(reply.data[0]))
    assert picture.size == (1024, 1024)
    blue = np.median(np.asarray(picture)[:80].reshape(-1, 3), axis=0)
    assert blue[2] > blue[0] + 60
    assert reply.data[0].b64_json is None and reply.data[0].revised_prompt is None
    assert (reply.size, reply.output_format, reply.background) == ("1024x1024", "png", "opaque")


def test_dall_e_3_says_what_was_painted(client: openai.OpenAI) -> None:
    reply = client.images.generate(
        model="dall-e-3-echo", prompt="a kitten", size="1792x1024", quality="hd", style="natural", user="somebody"
    )
    assert reply.data is not None and reply.data[0].revised_prompt == "a kitten"
    assert opened(bytes_of(reply.data[0])).size == (1792, 1024)
    assert reply.quality == "high" and reply.safety_identifier == "somebody"


def test_words_that_the_checkpoint_does_not_know_are_reworded_and_told(client: openai.OpenAI) -> None:
    reply = client.images.generate(prompt="an automobile at night", size="512x512", response_format="b64_json")
    assert reply.data is not None and reply.data[0].url is None
    assert reply.data[0].revised_prompt == "a car at night"


@pytest.mark.parametrize(("form", "kind"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_a_newer_model_sends_files_of_any_form(client: openai.OpenAI, form: Any, kind: str) -> None:
    reply = client.images.generate(
        model="gpt-image-1-echo", prompt="a cat", size="1536x1024", quality="low", output_format=form
    )
    assert reply.data is not None and reply.data[0].url is None
    picture = opened(bytes_of(reply.data[0]))
    assert (picture.format, picture.size, reply.output_format, reply.quality) == (kind, (1536, 1024), form, "low")
    usage = reply.usage
    assert usage is not None and usage.output_tokens == 96 * 64 and usage.input_tokens_details.image_tokens == 0
    assert usage.input_tokens == usage.input_tokens_details.text_tokens == 2
    assert usage.total_tokens == 96 * 64 + 2


def test_compression_makes_smaller_files(client: openai.OpenAI) -> None:
    sizes = []
    for level in (90, 10):
        reply = client.images.generate(
            model="gpt-image-1-echo", prompt="a cat", output_format="jpeg", output_compression=level
        )
        assert reply.data is not None
        sizes.append(len(bytes_of(reply.data[0])))
    assert sizes[1] < sizes[0]


def test_a_transparent_background(client: openai.OpenAI) -> None:
    reply = client.images.generate(
        model="gpt-image-1", prompt="a yellow duck", background="transparent", output_format="webp"
    )
    assert reply.data is not None and reply.background == "transparent"
    alpha = np.asarray(opened(bytes_of(reply.data[0])).convert("RGBA"))[..., 3]
    assert alpha[:8, :8].max() == 0 and (alpha > 250).mean() > 0.05


def test_the_same_from_many_at_once(named: Any) -> None:
    async def many() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{named.url}/v1", api_key=named.token, max_retries=0) as one:
            asked = [one.images.generate(model="gpt-image-1-echo", prompt=f"cat {k}") for k in range(6)]
            return list(await asyncio.gather(*asked))

    replies = asyncio.run(many())
    assert len({reply.data[0].b64_json for reply in replies}) == 6


def test_an_address_needs_no_token_but_its_signature(client: openai.OpenAI) -> None:
    reply = client.images.generate(model="dall-e-2-echo", prompt="a cat", size="256x256")
    assert reply.data is not None and reply.data[0].url is not None
    url = reply.data[0].url
    assert httpx.get(url).headers["content-type"] == "image/png"
    assert httpx.get(url[:-2] + "xx").status_code == 404
    until = int(httpx.URL(url).params["until"])
    assert abs(until - time.time() - 3600) < 60


def test_fields_that_nobody_knows_are_left_alone(client: openai.OpenAI) -> None:
    raw = client.images.with_raw_response.generate(
        model="dall-e-2-echo",
        prompt="a cat",
        size="256x256",
        extra_body={"seed": "x", "nonsense": {"a": [1]}, "n": None},
    )
    assert raw.status_code == 200 and raw.headers["content-type"] == "application/json"
    reply = raw.parse()
    assert reply.data is not None and len(reply.data) == 1
    assert reply.data[0].file_id.startswith("file-")


def test_a_request_sent_again_with_its_key_is_done_once(client: openai.OpenAI, named: Any) -> None:
    key = {"Idempotency-Key": "the same letter twice"}
    asked = {"model": "dall-e-2-echo", "prompt": "a cat", "extra_headers": key, "response_format": "b64_json"}
    first, second = (client.images.generate(**asked) for _ in range(2))
    assert first.data is not None and second.data is not None
    assert first.data[0].b64_json == second.data[0].b64_json and first.created == second.created
    with pytest.raises(openai.ConflictError):
        client.images.generate(**(asked | {"prompt": "a dog"}))


def test_an_edit_said_in_words_leaves_the_rest(client: openai.OpenAI) -> None:
    made = client.images.generate(model="gpt-image-1", prompt="a pink elephant on a blue background")
    assert made.data is not None
    before = bytes_of(made.data[0])
    reply = client.images.edit(model="gpt-image-1", image=("a.png", before), prompt="change the elephant to a cat")
    assert reply.data is not None and reply.data[0].revised_prompt == "a cat on a blue background"
    old, new = np.asarray(opened(before)), np.asarray(opened(bytes_of(reply.data[0])))
    assert old.shape == new.shape
    same = (old == new).all(2)
    assert 0.1 < same.mean() < 0.98
    assert reply.usage is not None and reply.usage.input_tokens_details.image_tokens == 32 * 32


def test_a_mask_says_where(client: openai.OpenAI) -> None:
    picture, hole = png(), (0, 0, 128, 64)
    reply = client.images.edit(
        model="dall-e-2-echo",
        image=picture,
        mask=png(mode="RGBA", hole=hole),
        prompt="a sun over a disc",
        n=2,
        size="256x256",
        response_format="b64_json",
    )
    assert reply.data is not None and len(reply.data) == 2
    old, new = np.asarray(opened(picture)), np.asarray(opened(bytes_of(reply.data[0])).convert("RGB"))
    changed = (old != new).any(2)
    assert changed[:64, :128].mean() > 0.5 and not changed[64:].any() and not changed[:, 128:].any()


def test_a_transparent_part_is_a_mask_to_the_oldest_model(client: openai.OpenAI) -> None:
    picture = png(mode="RGBA", hole=(0, 0, 128, 64))
    reply = client.images.edit(model="dall-e-2-echo", image=picture, prompt="a sun", response_format="b64_json")
    assert reply.data is not None
    old, new = np.asarray(opened(picture)), np.asarray(opened(bytes_of(reply.data[0])).convert("RGBA"))
    assert new[..., 3].min() == 255 and (old[64:] == new[64:]).all()


def test_a_smaller_result_is_of_a_smaller_picture_and_mask(client: openai.OpenAI) -> None:
    picture, mask = png(512, 512), png(512, 512, mode="RGBA", hole=(0, 0, 256, 128))
    reply = client.images.edit(
        model="dall-e-2-echo", image=picture, mask=mask, prompt="a sun", size="256x256", response_format="b64_json"
    )
    assert reply.data is not None
    old = np.asarray(opened(picture).resize((256, 256), Image.Resampling.LANCZOS))
    new = np.asarray(opened(bytes_of(reply.data[0])).convert("RGB"))
    assert new.shape == (256, 256, 3) and (old[68:] == new[68:]).all() and (old[:60, :120] != new[:60, :120]).any()
    made = client.files.create(file=("a.png", bytes_of(reply.data[0])), purpose="vision")
    assert made.purpose == "assistants_output", "the same bytes are the same file"


def test_without_a_model_an_edit_of_a_jpeg_goes_by_the_newer_rules(client: openai.OpenAI) -> None:
    jpeg, mask = png(320, 192, form="JPEG"), png(320, 192, mode="RGBA", hole=(0, 0, 128, 64))
    reply = client.images.edit(image=("a.jpg", jpeg, "image/jpeg"), mask=mask, prompt="a sun over a disc")
    assert reply.data is not None and reply.data[0].url is None and reply.size == "320x192"


def test_several_pictures_are_blended(client: openai.OpenAI) -> None:
    reply = client.images.edit(
        model="gpt-image-1-echo",
        image=[png(), png(300, 200), ("c.jpg", png(form="JPEG"), "image/jpeg")],
        prompt="discs",
        size="1024x1024",
        input_fidelity="high",
    )
    assert reply.data is not None and opened(bytes_of(reply.data[0])).size == (1024, 1024)
    assert reply.usage is not None and reply.usage.input_tokens_details.image_tokens == 256 + 19 * 13 + 256


def test_pictures_by_name_and_by_data_url(client: openai.OpenAI) -> None:
    kept = client.files.create(file=("disc.png", png()), purpose="vision")
    mask = "data:image/png;base64," + base64.b64encode(png(mode="RGBA", hole=(0, 0, 128, 64))).decode()
    body = {
        "model": "gpt-image-1-echo",
        "prompt": "a sun",
        "images": [{"file_id": kept.id}],
        "mask": {"image_url": mask},
    }
    reply = client.post("/images/edits", body=body, cast_to=openai.types.ImagesResponse)
    assert reply.data is not None and opened(bytes_of(reply.data[0])).size == (256, 256)
    for wrong, param in (
        ({"images": [{"file_id": "file-" + "0" * 64}]}, "images"),
        ({"images": [{"image_url": "http://127.0.0.1:1/x.png"}]}, "images"),
        ({"images": [3]}, "images"),
        ({"mask": {"image_url": "data:image/png;base64,AAAA"}}, "mask"),
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            client.post("/images/edits", body=body | wrong, cast_to=openai.types.ImagesResponse)
        assert caught.value.status_code in (400, 404) and caught.value.param == param


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_variations(client: openai.OpenAI) -> None:
    for size, expected in ((None, 256), ("512x512", 512)):
        asked: dict[str, Any] = {"model": "dall-e-2-echo", "response_format": "b64_json", "n": 2}
        reply = client.images.create_variation(image=png(), **(asked | ({"size": size} if size else {})))
        assert reply.data is not None and len(reply.data) == 2
        assert {opened(bytes_of(one)).size for one in reply.data} == {(expected, expected)}
    small = client.images.create_variation(image=png(512, 512), size="256x256", model="dall-e-2-echo")
    assert small.data is not None and opened(bytes_of(small.data[0])).size == (256, 256)


def test_what_one_user_made_another_does_not_find(
    named: Any, client: openai.OpenAI, client_of: Callable[[str], openai.OpenAI]
) -> None:
    kept = client.files.create(file=("disc.png", png(96, 96)), purpose="vision")
    with client_of(named.user("wire-other")) as other:
        assert kept.id not in [one.id for one in other.files.list()]
        for look in (other.files.retrieve, other.files.content, other.files.delete):
            with pytest.raises(openai.NotFoundError):
                look(kept.id)
        with pytest.raises(openai.NotFoundError):
            other.post(
                "/images/edits",
                body={"model": "gpt-image-1-echo", "prompt": "a", "images": [{"file_id": kept.id}]},
                cast_to=openai.types.ImagesResponse,
            )
    assert client.files.retrieve(kept.id).id == kept.id
