"""What nobody should send: every answer is an error that the client can read, and none is a bug of ours."""

from __future__ import annotations

import base64
import io
import random
import zlib
from typing import Any

import pytest
from PIL import Image

from fantascope.serve.a1111.bodies import Detect, ExtraBatch, ExtraSingle, Img2Img, Interrogate, Txt2Img


def encoded(picture: Image.Image, form: str = "PNG") -> str:
    file = io.BytesIO()
    picture.save(file, form)
    return base64.b64encode(file.getvalue()).decode()


def bomb() -> str:
    """A PNG of 60000 x 60000 pixels in a few kilobytes."""
    file = io.BytesIO()
    Image.new("1", (8, 8)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return base64.b64encode(bytes(data)).decode()


GOOD = encoded(Image.new("RGB", (64, 64), "red"))
SMALL = {"width": 64, "height": 64, "steps": 1}
PAINT, OVER, EXTRA, INFO = "sdapi/v1/txt2img", "sdapi/v1/img2img", "sdapi/v1/extra-single-image", "sdapi/v1/png-info"

ROWS: list[tuple[str, Any, int]] = [
    (PAINT, {}, 422),
    (PAINT, {"prompt": None}, 422),
    (PAINT, {"prompt": "a\u0000b"}, 422),
    (PAINT, {"prompt": "\ud800"}, 422),
    (PAINT, {"prompt": "a" * 40_000}, 422),
    (PAINT, {"prompt": "(" * 3000 + "cat"}, 422),
    (PAINT, {"prompt": "a (cat:99)"}, 422),
    (PAINT, {"prompt": "a cat <lora:nobody:1>"}, 422),
    (PAINT, {"prompt": "a cat <lora:../../etc/passwd:1>"}, 422),
    (PAINT, {"prompt": "a cat", "n_iter": 0}, 422),
    (PAINT, {"prompt": "a cat", "batch_size": 10**30}, 422),
    (PAINT, {"prompt": "a cat", "seed": 2**32}, 422),
    (PAINT, {"prompt": "a cat", "width": 100}, 422),
    (PAINT, {"prompt": "a cat", "sampler_name": "\ud800"}, 404),
    (PAINT, {"prompt": "a cat", "sampler_name": "'; DROP TABLE artifacts; --"}, 404),
    (PAINT, {"prompt": "a cat", "override_settings": {"sd_model_checkpoint": "../../etc/passwd"}}, 404),
    (PAINT, {"prompt": "a cat", "override_settings": {"\ud800": 1}}, 422),
    (PAINT, {"prompt": "a cat", "override_settings": []}, 422),
    (PAINT, {"prompt": "a cat", "styles": "ink"}, 422),
    (PAINT, {"prompt": "a cat", "alwayson_scripts": {"controlnet": {"args": [{"module": "canny"}]}}}, 422),
    (PAINT, {"prompt": "a cat", "alwayson_scripts": {"controlnet": 5}}, 422),
    (PAINT, {"prompt": "a cat", "alwayson_scripts": {"x": {"args": [1]}}}, 422),
    (PAINT, {"prompt": "a cat", "infotext": {"a": 1}}, 422),
    (PAINT, b'{"prompt": "a cat", "cfg_scale": 1e999}', 422),
    (PAINT, b'{"prompt": "a cat", "cfg_scale": NaN}', 422),
    (PAINT, b'{"prompt": "a cat"', 422),
    (PAINT, b"[" * 100_000, 422),
    (PAINT, b"[]", 422),
    (PAINT, b"\xff\xfe", 422),
    (OVER, {"prompt": "a cat"}, 404),
    (OVER, {"prompt": "a cat", "init_images": []}, 404),
    (OVER, {"prompt": "a cat", "init_images": [GOOD, GOOD]}, 501),
    (OVER, {"prompt": "a cat", "init_images": [5]}, 422),
    (OVER, {"prompt": "a cat", "init_images": ["/etc/passwd"]}, 422),
    (OVER, {"prompt": "a cat", "init_images": ["http://127.0.0.1/cat.png"]}, 403),
    (OVER, {"prompt": "a cat", "init_images": ["data:image/png;base64"]}, 422),
    (OVER, {"prompt": "a cat", "init_images": [bomb()]}, 422),
    (OVER, {"prompt": "a cat", "init_images": [GOOD[:60]]}, 422),
    (OVER, {"prompt": "a cat", "init_images": [encoded(Image.new("P", (9, 9)), "GIF")]}, 422),
    (OVER, {"prompt": "a cat", "init_images": [GOOD], "mask": encoded(Image.new("L", (64, 64)))}, 422),
    (OVER, {"prompt": "a cat", "init_images": [GOOD], "width": 8192, "height": 1, "resize_mode": 9}, 422),
    (EXTRA, {"image": ""}, 422),
    (EXTRA, {"image": GOOD, "upscaler_1": "R-ESRGAN 4x+"}, 422),
    (EXTRA, {"image": GOOD, "upscaler_1": "embedded 4x", "upscaling_resize": 8}, 422),
    (EXTRA, {"image": GOOD, "gfpgan_visibility": 1}, 422),
    ("sdapi/v1/extra-batch-images", {}, 422),
    ("sdapi/v1/extra-batch-images", {"imageList": [{"data": GOOD}] * 65}, 422),
    (INFO, {}, 422),
    (INFO, {"image": "x"}, 422),
    (INFO, {"image": bomb()}, 422),
    ("sdapi/v1/interrogate", {"image": "x"}, 422),
    ("sdapi/v1/interrogate", {"image": GOOD, "model": "deepdanbooru"}, 404),
    ("sdapi/v1/options", {"nothing": 1}, 422),
    ("sdapi/v1/options", [], 422),
    ("sdapi/v1/train/embedding", {}, 501),
    ("sdapi/v1/no-such-route", {}, 404),
    ("controlnet/detect", {"controlnet_module": "canny"}, 422),
    ("controlnet/detect", {"controlnet_module": "reference_only", "controlnet_input_images": [GOOD]}, 422),
    ("controlnet/detect", {"controlnet_module": "openpose", "controlnet_input_images": [GOOD]}, 404),
    ("controlnet/render_openpose_json", {"pose_data": 5}, 422),
    ("controlnet/render_openpose_json", b"[{]", 422),
    ("controlnet/render_openpose_json", b"[" * 100_000, 422),
    ("controlnet/render_openpose_json", [{"people": [], "canvas_width": 10**9, "canvas_height": 9}], 422),
    ("controlnet/render_openpose_json", [{"people": [{"pose_keypoints_2d": [1]}], "canvas_width": 64}], 422),
]


BODIES = (Txt2Img, Img2Img, ExtraSingle, ExtraBatch, Interrogate, Detect)
FIELDS = sorted({name for body in BODIES for name in body.model_fields} - {"n_iter", "steps"} | {"infotext"})


@pytest.fixture(scope="module")
def client(server: Any) -> Any:
    with server.client() as found:
        yield found


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_bad_input_is_an_error_that_says_what_was_wrong(client: Any, row: int) -> None:
    path, body, status = ROWS[row]
    told = {"content": body} if isinstance(body, bytes) else {"content": _ascii(body)}
    found = client.post(f"/{path}", headers={"Content-Type": "application/json"}, **told)
    assert found.status_code == status, found.text
    said = found.json()
    assert set(said) == {"error", "detail", "body", "errors", "fantascope"} and said["detail"]


def test_other_methods(client: Any) -> None:
    assert client.get("/sdapi/v1/txt2img").status_code == 405
    assert client.post("/sdapi/v1/progress").status_code == 405


def test_no_random_body_is_a_bug_of_ours(client: Any) -> None:
    """Fields of every kind at random: whatever comes, it is no status 500."""
    draw = random.Random(7)
    values: list[Any] = [
        None,
        0,
        -1,
        1,
        3,
        0.5,
        1e308,
        2**63,
        "",
        "x",
        "None",
        True,
        False,
        [],
        {},
        [1],
        {"a": 1},
        GOOD,
    ]
    paths = (PAINT, OVER, EXTRA, INFO, "sdapi/v1/extra-batch-images", "sdapi/v1/interrogate", "controlnet/detect")
    for _ in range(150):
        body = SMALL | {name: draw.choice(values) for name in draw.sample(FIELDS, draw.randint(1, 8))} | {"n_iter": 1}
        path = draw.choice(paths)
        found = client.post(f"/{path}", content=_ascii(body), headers={"Content-Type": "application/json"})
        assert found.status_code < 500 or found.status_code == 501, (path, body, found.text)


def _ascii(body: Any) -> bytes:
    """Return JSON in which what UTF-8 cannot hold is escaped."""
    import json

    return json.dumps(body).encode("ascii")
