"""Bodies of the web UI become requests: what each field comes to, and what is refused, without a server."""

from __future__ import annotations

import base64
import math
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serve.a1111.shelf import Shelf, encoded

from fantascope.errors import Cancelled, FantascopeError, InvalidValue, PolicyRefused, TooMany, UnknownName
from fantascope.provenance.infotext import variation
from fantascope.receipt import Verdict
from fantascope.request import Fill, Imagine, Tile, Upscale, Vary
from fantascope.serve.a1111 import infotext, names, options, pictures, styles, translate
from fantascope.serve.a1111.bodies import Img2Img, Txt2Img, Unit, read
from fantascope.serve.a1111.control import router as controlnet_routes
from fantascope.serve.a1111.lists import router as listing_routes
from fantascope.serve.a1111.options import Wish
from fantascope.serve.a1111.painting import router as painting_routes
from fantascope.serve.a1111.replies import error_reply
from fantascope.serve.a1111.runs import Run
from fantascope.serve.a1111.tools import router as tool_routes
from fantascope.serve.hub import Event
from fantascope.spec import SPECS

EMBEDDED, SD15, ECHO, FLUX = (SPECS[name] for name in ("embedded", "sd15", "echo", "flux-schnell"))
CAT = {"prompt": "a cat"}


def imagined(body: dict[str, Any], wish: Wish = Wish(EMBEDDED)) -> translate.Plan:
    told = read(Txt2Img, CAT | body)
    translate.check(told)
    return translate.txt2img(told, (told.prompt or "", told.negative_prompt or ""), wish, (), False)


def painted(body: dict[str, Any], picture: Image.Image, shelf: Shelf) -> Any:
    told = read(Img2Img, CAT | body)
    translate.check(told)
    start = pictures.opened(encoded(picture), "init_images")
    texts = told.prompt or "", told.negative_prompt or ""
    plan, _ = translate.img2img(told, texts, Wish(EMBEDDED), start, shelf, False)
    return plan(()).request


# Text to image


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"n": 1, "seed": None, "steps": None, "guidance": None, "width": None, "sampler": None, "chaos": None}),
        ({}, {"grammar": "a1111", "model": "embedded", "negative_prompt": None, "schedule": None, "preview": False}),
        ({"batch_size": 3, "n_iter": 4}, {"n": 12}),
        ({"seed": -1}, {"seed": None}),
        ({"seed": 0}, {"seed": 0}),
        ({"steps": 7, "cfg_scale": 0, "width": 256, "height": 384}, {"steps": 7, "guidance": 0, "height": 384}),
        ({"sampler_name": "Euler a", "sampler_index": "DDIM"}, {"sampler": "euler_ancestral"}),
        ({"sampler_index": "DDIM"}, {"sampler": "ddim"}),
        ({"sampler_name": "DPM++ 2M Karras"}, {"sampler": "dpmpp_2m", "schedule": "karras"}),
        ({"sampler_name": "heun karras"}, {"sampler": "heun", "schedule": "karras"}),
        ({"sampler_name": "k_euler_a", "scheduler": "Karras"}, {"sampler": "euler_ancestral", "schedule": "karras"}),
        ({"sampler_name": "Euler", "scheduler": "automatic"}, {"sampler": "euler", "schedule": None}),
        ({"negative_prompt": "  "}, {"negative_prompt": None}),
        ({"prompt": "a <lora:ink:0.5> cat", "disable_extra_networks": True}, {"prompt": "a  cat"}),
        ({"subseed": 5, "subseed_strength": 0}, {"seed": None, "anchor": None, "chaos": None}),
        ({"seed": 4, "subseed": 5, "subseed_strength": 1}, {"seed": 5, "anchor": None, "chaos": None}),
        ({"steps": "12", "unknown": 1, "eta": 1, "s_churn": 0, "s_tmin": 3, "restore_faces": False}, {"steps": 12}),
        ({"batch_size": None, "steps": None}, {"n": 1, "steps": None}),
    ],
)
def test_fields_of_txt2img(body: dict[str, Any], fields: dict[str, Any]) -> None:
    request = imagined(body).request
    assert isinstance(request, Imagine)
    assert {name: getattr(request, name) for name in fields} == fields


def test_the_arc_between_two_seeds() -> None:
    request: Any = imagined({"seed": 4, "subseed": 5, "subseed_strength": 1 / 3}).request
    assert (request.anchor, request.seed) == (4, 5)
    assert request.chaos == pytest.approx(0.5)  # the sine of 30 degrees
    first: Any = imagined({"subseed": 5, "subseed_strength": 0.5}).request
    second: Any = imagined({"subseed": 5, "subseed_strength": 0.5}).request
    assert first.anchor != second.anchor and first.chaos == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        ({"restore_faces": True}, "restore_faces", "not restored"),
        ({"seed_resize_from_h": 512}, "seed_resize_from_h", "0 or -1"),
        ({"s_churn": 0.5}, "s_churn", "is 0"),
        ({"s_noise": 0.9}, "s_noise", "is 1"),
        ({"sampler_name": "Euler a", "eta": 0.5}, "eta", "eta is 1"),
        ({"refiner_checkpoint": "sdxl"}, "refiner_checkpoint", "no second model"),
        ({"script_name": "x/y/z plot"}, "script_name", "Script 'x/y/z plot' not found"),
        ({"batch_size": 64, "n_iter": 2}, "n_iter", "at most 64"),
        ({"sampler_name": "PLMS"}, "sampler", "no sampler 'PLMS'"),
        ({"sampler_name": "PLMS Karras"}, "sampler", "no sampler"),
        ({"scheduler": "SGM Uniform"}, "scheduler", "no scheduler"),
        ({"steps": 0}, "steps", "greater than or equal to 1"),
        ({"cfg_scale": -1}, "cfg_scale", "greater than or equal to 0"),
        ({"width": 10**6}, "width", "less than or equal to 8192"),
        ({"prompt": 5}, "prompt", "valid string"),
        ({"prompt": " "}, "prompt", "is empty"),
        ({"seed": -2}, "seed", "greater than or equal to 0"),
        ({"denoising_strength": 1.1}, "denoising_strength", "less than or equal to 1"),
        ({"enable_hr": True, "hr_upscaler": "R-ESRGAN 4x+"}, "hr_upscaler", "no upscaler 'R-ESRGAN 4x+'"),
        ({"enable_hr": True, "hr_scale": 5}, "hr_scale", "1 to 4 times"),
        ({"enable_hr": True, "hr_scale": 0.5}, "hr_scale", "1 to 4 times"),
        ({"enable_hr": True, "hr_resize_x": 600, "hr_resize_y": 700}, "hr_resize_x", "shape of the first"),
        ({"enable_hr": True, "hr_checkpoint_name": "sd15"}, "hr_checkpoint_name", "one model"),
        ({"enable_hr": True, "hr_sampler_name": "PLMS"}, "sampler", "no sampler"),
        ({"enable_hr": True, "tiling": True}, "tiling", "no second pass"),
    ],
)
def test_what_txt2img_refuses(body: dict[str, Any], param: str, told: str) -> None:
    with pytest.raises(FantascopeError) as caught:
        imagined(body)
    assert caught.value.param == param and told in caught.value.message
    assert error_reply(caught.value)[0] in (404, 422)


def test_what_a_text_says_of_a_variation_is_what_was_asked() -> None:
    for strength in (0.1, 0.5, 0.9):
        request: Any = imagined({"seed": 4, "subseed": 5, "subseed_strength": strength}).request
        assert variation(request.model_dump()) == strength
    assert variation(imagined({"seed": 4}).request.model_dump()) is None


def test_a_model_says_which_samplers_it_has() -> None:
    assert list(names.samplers(ECHO)) == ["echo"]
    assert imagined({"sampler_name": "pipeline"}, Wish(FLUX)).request.grammar is None  # type: ignore[attr-defined]
    with pytest.raises(UnknownName):
        imagined({"sampler_name": "Euler a"}, Wish(FLUX))


def test_options_reach_the_request() -> None:
    request: Any = imagined({}, Wish(SD15, clip_skip=1, format="jpeg", quality=80)).request
    assert (request.model, request.clip_skip, request.format, request.quality) == ("sd15", 1, "jpeg", 80)


def test_a_second_pass() -> None:
    body = {
        "enable_hr": True,
        "denoising_strength": 0.4,
        "steps": 8,
        "hr_prompt": "a tiger",
        "width": 512,
        "height": 256,
    }
    own, other = (imagined(body | {"hr_resize_x": 768}, Wish(spec, format="webp")).second for spec in (EMBEDDED, SD15))
    assert own is not None and other is not None and own.jobs == 2 and other.jobs == 1
    larger, over = own.enlarge("p", 3), own.paint("q", 3)
    assert isinstance(larger, Upscale) and isinstance(over, Vary)
    assert (larger.factor, larger.detail, larger.seed, larger.n, larger.format) == (1.5, 0, 3, 1, None)
    assert (over.strength, over.prompt, over.steps, over.format) == (0.4, "a tiger", 8, "webp")
    windows = other.enlarge("p", 3)
    assert (windows.factor, windows.detail, windows.prompt, windows.format) == (1.5, 0.4, "a tiger", "webp")
    bare = imagined(body | {"denoising_strength": 0}).second
    assert bare is not None and bare.jobs == 1 and bare.enlarge("p", 3).factor == 2


def test_the_older_way_to_say_a_second_pass() -> None:
    body = {"enable_hr": True, "width": 1024, "height": 1024, "firstphase_width": 512, "firstphase_height": 512}
    plan = imagined(body)
    assert (plan.request.width, plan.request.height) == (512, 512)  # type: ignore[attr-defined]
    assert plan.second is not None and plan.second.enlarge("p", 1).factor == 2


def test_a_tile_is_a_task_of_its_own() -> None:
    assert isinstance(imagined({"tiling": True}).request, Tile)


# From a picture


@pytest.mark.parametrize(
    ("body", "size", "kept"),
    [
        ({}, (48, 32), True),
        ({"width": 48, "height": 32}, (48, 32), True),
        ({"width": 64, "height": 64}, (64, 64), False),
        ({"width": 64}, (64, 32), False),
    ],
)
def test_a_picture_is_resized_only_where_it_must(body: dict[str, Any], size: Any, kept: bool) -> None:
    shelf, picture = Shelf(), Image.effect_noise((48, 32), 60).convert("RGB")
    request = painted(body, picture, shelf)
    assert isinstance(request, Vary) and request.strength == 0.75 and request.width is None
    assert shelf.open(request.picture).shape[1::-1] == size
    assert (shelf.kept[0][0] == base64.b64decode(encoded(picture))) == kept


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"strength": 1.0, "feather": 8, "region": "masked"}),
        ({"inpainting_fill": 1, "denoising_strength": 0.3}, {"strength": 0.3}),
        ({"inpainting_fill": 2, "denoising_strength": 0.3}, {"strength": 1.0}),
        ({"inpaint_full_res": False, "mask_blur": 0}, {"region": "whole", "feather": 0}),
        ({"mask_blur_x": 2, "mask_blur_y": 3}, {"feather": 6}),
        ({"inpaint_full_res": 1}, {"region": "masked"}),
    ],
)
def test_fields_of_a_mask(body: dict[str, Any], fields: dict[str, Any]) -> None:
    mask = Image.new("L", (48, 32))
    mask.paste(255, (0, 0, 10, 32))
    request = painted(body | {"mask": encoded(mask)}, Image.new("RGB", (48, 32), "red"), Shelf())
    assert isinstance(request, Fill)
    assert {name: getattr(request, name) for name in fields} == fields


def masks() -> list[tuple[str, Image.Image]]:
    """The same mask, left third, as clients write it."""
    light = Image.new("L", (48, 32))
    light.paste(255, (0, 0, 16, 32))
    clear = Image.new("RGBA", (48, 32), (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), (0, 0, 16, 32))
    return [("L", light), ("RGB", light.convert("RGB")), ("RGBA", light.convert("RGBA")), ("clear", clear)]


@pytest.mark.parametrize(("form", "mask"), masks())
def test_masks_of_every_form_mark_the_same(form: str, mask: Image.Image) -> None:
    for invert in (0, 1):
        shelf = Shelf()
        request = painted(
            {"mask": encoded(mask), "inpainting_mask_invert": invert}, Image.new("RGB", (48, 32), "red"), shelf
        )
        marked = shelf.open(request.mask)
        assert shelf.kept[int(request.mask[-1]) - 1][1] == "mask"
        assert (marked[:, :16] == (0 if invert else 255)).all() and (marked[:, 16:] == (255 if invert else 0)).all()


def test_a_mask_goes_the_way_of_its_picture() -> None:
    mask = Image.new("L", (96, 64))
    mask.paste(255, (0, 0, 48, 64))
    shelf = Shelf()
    body = {"mask": encoded(mask), "inpaint_full_res": False, "width": 64, "height": 64, "resize_mode": 1}
    request = painted(body, Image.new("RGB", (48, 32), "red"), shelf)
    marked = shelf.open(request.mask)
    assert marked.shape == (64, 64) and marked[:, :30].min() > 200 and marked[:, 34:].max() < 60


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"initial_noise_multiplier": 1.1}, "initial_noise_multiplier"),
        ({"resize_mode": 4}, "resize_mode"),
        ({"inpainting_fill": 9}, "inpainting_fill"),
        ({"mask": "http://169.254.169.254/mask.png"}, "mask"),
        ({"mask": "%%%"}, "mask"),
        ({"mask": base64.b64encode(b"no picture").decode()}, "mask"),
        ({"tiling": True, "mask": encoded(Image.new("L", (48, 32), 255))}, "tiling"),
    ],
)
def test_what_img2img_refuses(body: dict[str, Any], param: str) -> None:
    with pytest.raises(FantascopeError) as caught:
        painted(body, Image.new("RGB", (48, 32), "red"), Shelf())
    assert caught.value.param == param and error_reply(caught.value)[0] in (403, 422)


def test_ways_to_another_size() -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, :10] = 200
    cut = pictures.resized(picture, (10, 10), pictures.CROP)
    filled = pictures.resized(picture, (20, 20), pictures.FILL)
    squeezed = pictures.resized(picture, (10, 20), pictures.LATENT)
    assert cut.shape == (10, 10, 3) and (filled[0] == filled[5]).all() and squeezed.shape == (20, 10, 3)
    assert pictures.cut_to(picture, (5, 5)).shape == (10, 10, 3)


class Host(BaseHTTPRequestHandler):
    """Answers every address with one picture."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(base64.b64decode(encoded(Image.new("RGB", (5, 4)))))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_addresses_are_fetched_from_listed_hosts_alone() -> None:
    with HTTPServer(("127.0.0.1", 0), Host) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        name = f"127.0.0.1:{host.server_port}"
        body = {"init_images": [f"http://{name}/a.png"], "prompt": f"http://{name}/a.png"}
        assert pictures.brought(body, (), 1000) is body
        found = pictures.brought(body, (name,), 1000)
        unit_ = {"alwayson_scripts": {"controlnet": {"args": [{"image": {"image": f"http://{name}/"}}]}}}
        inner = pictures.brought(unit_, (name,), 1000)["alwayson_scripts"]["controlnet"]["args"][0]["image"]["image"]
        with pytest.raises(FantascopeError):
            pictures.brought({"mask": "http://localhost/a.png"}, (name,), 1000)
        host.shutdown()
    assert pictures.opened(found["init_images"][0], "image").size == (5, 4) and found["prompt"] == body["prompt"]
    assert pictures.opened(inner, "image").size == (5, 4)


# Options, styles, texts, errors


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"sd_model_checkpoint": names.title(EMBEDDED)}, {"sd_model_checkpoint": "embedded"}),
        ({"sd_model_checkpoint": names.weights_hash(EMBEDDED)}, {"sd_model_checkpoint": "embedded"}),
        ({"sd_model_checkpoint": "models/sd15.safetensors"}, {"sd_model_checkpoint": "sd15"}),
        ({"CLIP_stop_at_last_layers": 2.0}, {"CLIP_stop_at_last_layers": 2}),
        ({"samples_format": "JPG", "samples_save": False}, {"samples_format": "jpeg"}),
        ({"sd_vae": "Automatic", "eta_noise_seed_delta": 0, "filter_nsfw_content": False}, {}),
        ({"live_previews_enable": True, "outdir_samples": "/etc"}, {"live_previews_enable": True}),
    ],
)
def test_options(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert options.check(given, SPECS) == kept


@pytest.mark.parametrize(
    "given",
    [
        {"sd_vae": "vae-ft-mse"},
        {"face_restoration": True},
        {"CLIP_stop_at_last_layers": 0},
        {"CLIP_stop_at_last_layers": "2"},
        {"samples_format": "gif"},
        {"jpeg_quality": 101},
        {"live_previews_enable": 1},
        {"sd_model_checkpoint": "annotators"},
        {"sd_model_checkpoint": 5},
        {"no_such_option": 1},
    ],
)
def test_options_that_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(FantascopeError):
        options.check(given, SPECS)


def test_options_that_are_shown_can_be_sent_back() -> None:
    shown = options.shown({}, SPECS, "embedded")
    assert options.wish_of(options.check(shown, SPECS), {}, SPECS, "sd15").spec is EMBEDDED


def test_styles(tmp_path: Any) -> None:
    assert styles.styles_in(tmp_path) == {}
    (tmp_path / "styles.csv").write_text(
        '\ufeffname,prompt,negative_prompt\nink,"{prompt}, ink",\nsad,rain,sun\n', "utf-8"
    )
    known = styles.styles_in(tmp_path)
    assert styles.styled("a cat", "", ["ink", "sad", "None"], known) == ("a cat, ink, rain", "sun")
    assert styles.styled("", "dog", ["sad"], known) == ("rain", "dog, sun")
    (tmp_path / "styles.csv").write_bytes(b"\xff\xfe\x00")
    assert styles.styles_in(tmp_path) == {}


def test_a_text_fills_what_was_not_sent() -> None:
    text = (
        "a dog\nNegative prompt: bad\nSteps: 30, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768, Clip skip: 2"
    )
    found = infotext.filled({"infotext": text, "seed": 5, "steps": None})
    told = read(Txt2Img, found)
    assert (told.prompt, told.negative_prompt, told.seed, told.steps) == ("a dog", "bad", 5, 30)
    assert (told.width, told.height, told.sampler_name) == (512, 768, "Euler a")
    assert told.override_settings == {"CLIP_stop_at_last_layers": 2}
    with pytest.raises(InvalidValue):
        infotext.filled({"infotext": 5})


def test_errors_as_clients_of_the_web_ui_know_them() -> None:
    verdict = Verdict(rule="r", allowed=False, score=1, threshold=0.5, reason="No.")
    rows: list[tuple[FantascopeError, int, str]] = [
        (UnknownName("sampler", "PLMS", ["Euler"]), 404, "Sampler not found"),
        (UnknownName("model", "x", ["y"]), 404, "Model not found"),
        (UnknownName("style", "x", ["y"]), 422, "There is no style 'x'. Known: y."),
        (InvalidValue("No.", param="steps"), 422, "No."),
        (PolicyRefused(verdict), 403, "No."),
        (TooMany("Wait."), 429, "Wait."),
        (Cancelled("Gone."), 409, "Gone."),
    ]
    for error, status, detail in rows:
        found, body = error_reply(error)
        assert (found, body["detail"], body["error"], body["body"]) == (status, detail, error.code, "")
        assert error.message in body["errors"] and body["fantascope"]["status"] == status


# Progress


def test_progress_of_two_passes() -> None:
    run = Run("scripts_txt2img", total=4, first=2)
    assert run.progress(None)["progress"] == 0.01
    run.jobs.append("one")
    facts = {"steps": 10, "stage": "denoise", "total": 2}
    half = run.progress(Event(1, "step", {"step": 5, "index": 0, "count": 2, **facts}))
    assert half["progress"] == pytest.approx(0.26) and half["state"]["sampling_step"] == 5
    kept = run.progress(Event(2, "kept", {"index": 0, "artifact": "x"}))
    assert kept["progress"] == pytest.approx(0.26) and kept["state"]["job_no"] == 1
    assert run.progress(Event(3, "done", {}))["progress"] == pytest.approx(0.51)
    run.jobs.append("two")
    assert run.progress(None)["progress"] == pytest.approx(0.51)
    run.jobs.append("three")
    last = run.progress(Event(1, "step", {"step": 10, "index": 0, "count": 1, **facts, "total": 1}))
    assert last["progress"] == 1.0 and last["state"]["job_no"] == 3


# The page


def test_the_page_names_every_field() -> None:
    page = (Path(__file__).parents[3] / "docs" / "a1111.md").read_text("utf-8")
    for body in (Txt2Img, Img2Img, Unit):
        missing = [name for name in body.model_fields if f"`{name}`" not in page]
        assert not missing, (body.__name__, missing)
    parts = (controlnet_routes, listing_routes, painting_routes, tool_routes)
    paths = {route.path.removeprefix("/sdapi/v1/") for part in parts for route in part.routes}  # type: ignore[attr-defined]
    assert len(paths) > 40
    for path in paths:
        assert path.rpartition("/")[2] in page or path.startswith(("create/", "train/")), path
