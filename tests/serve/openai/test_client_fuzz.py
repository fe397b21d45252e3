"""Bodies drawn by chance, by a seed: whatever is sent, the server answers in the form of the wire, and never fails."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import httpx
import pytest
from tests.serve.openai.drawn import png

REQUESTS = 60
"""Of each seed."""

ODD: list[Any] = [
    *(None, "", 0, -1, 1.5, 1e308, True, [], {}, "\u0000", "\ud800", "💥", [[[]]], {"a": {"b": 1}}, 2**70, "NaN"),
    *("1024x1024", "../../x", "' OR 1=1 --", "auto", "file-" + "0" * 64, ["x"], {"file_id": 3}, {"image_url": None}),
]
FINE: dict[str, list[Any]] = {
    "model": ["dall-e-2-echo", "dall-e-3-echo", "gpt-image-1-echo", "echo"],
    "prompt": ["a cat", "add a hat"],
    "n": [1, 2],
    "size": ["256x256", "64x64", "1536x864", "512x512"],
    "quality": ["low", "auto", "hd"],
    "style": ["vivid"],
    "response_format": ["url", "b64_json"],
    "background": ["transparent", "opaque"],
    "moderation": ["low"],
    "output_format": ["png", "jpeg", "webp"],
    "output_compression": [0, 50, 100],
    "stream": [True, False],
    "partial_images": [0, 3],
    "user": ["u"],
    "input_fidelity": ["high"],
    "markup": ["x"],
    "svg": [{}],
}
CLEAR = png(64, 64, mode="RGBA", hole=(0, 0, 20, 20))
PICTURES = [png(64, 64), CLEAR, png(64, 32), b"x", b"", png(64, 64)[:100], png(64, 64, form="WEBP")]
URLS = [
    "data:image/png;base64," + base64.b64encode(CLEAR).decode(),
    "http://127.0.0.1/x",
    "data:,",
    "file:///etc/passwd",
]
JSON = {"content-type": "application/json"}


def body(dice: random.Random) -> dict[str, Any]:
    """Return fields, most of them fine."""
    out = {"model": dice.choice(FINE["model"]), "prompt": dice.choice(FINE["prompt"])}
    for name, values in FINE.items():
        share = dice.random()
        if share < 0.08:
            out[name] = dice.choice(values)
        elif share < 0.11:
            out[name] = dice.choice(ODD)
    return out


def form(dice: random.Random) -> dict[str, str]:
    """Return fields of a form."""
    given = {name: value for name, value in body(dice).items() if value is not None}
    said = {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}
    return {name: value.encode("utf-8", "replace").decode() for name, value in said.items()}


def sent(client: httpx.Client, dice: random.Random) -> httpx.Response:
    """Send something."""
    kind = dice.randrange(7)
    if kind == 0:
        return client.post("/v1/images/generations", content=json.dumps(body(dice)), headers=JSON)
    if kind in (1, 2):
        names = ["image", "image[]", "image[0]"]
        files: list[Any] = [
            (dice.choice(names), ("a.png", dice.choice(PICTURES))) for _ in range(dice.choice([0, 1, 1, 1, 2, 6]))
        ]
        files += [("mask", ("m.png", dice.choice(PICTURES)))] if dice.random() < 0.5 else [("z", ("z", b""))]
        return client.post(f"/v1/images/{'edits' if kind == 1 else 'variations'}", data=form(dice), files=files)
    if kind == 3:
        named = [dice.choice(ODD), [{"image_url": dice.choice(URLS)}], [{"image_url": URLS[0]}] * 2, [dice.choice(ODD)]]
        asked = body(dice) | {"images": dice.choice(named)}
        if dice.random() < 0.4:
            asked["mask"] = dice.choice([*ODD, {"image_url": dice.choice(URLS)}])
        return client.post("/v1/images/edits", content=json.dumps(asked), headers=JSON)
    if kind == 4:
        part = {"type": dice.choice(["text", "image_url", 3]), "text": dice.choice(ODD), "image_url": dice.choice(ODD)}
        judged = {"input": dice.choice([*ODD, ["a", dice.choice(ODD)], [part]]), "model": dice.choice([None, *ODD])}
        return client.post("/v1/moderations", content=json.dumps(judged), headers=JSON)
    if kind == 5:
        name = dice.choice(["file-" + "0" * 64, "x", "%00", "..%2f", "file-%f0%9f%92%a5", "a" * 3000])
        return client.request(dice.choice(["GET", "DELETE"]), f"/v1/{dice.choice(['files', 'models'])}/{name}")
    values = ["", "-1", "0", "1", "x", "asc", "vision", "file-" + "0" * 64, "9" * 30]
    asked = {
        name: dice.choice(values) for name in dice.sample(["limit", "order", "after", "purpose"], dice.randint(0, 4))
    }
    return client.get("/v1/files", params=asked)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_is_sent_makes_it_fail(named: Any, seed: int) -> None:
    dice, answers = random.Random(seed), set()
    with named.client() as plain:
        for number in range(REQUESTS):
            reply = sent(plain, dice)
            answers.add(reply.status_code)
            said = (seed, number, reply.status_code, reply.text[:300])
            assert reply.status_code < 500, said
            if reply.status_code >= 400:
                assert {"message", "type", "param", "code"} <= set(reply.json()["error"]), said
            assert '"server_error"' not in reply.text, said
    assert {200, 400, 404} <= answers
