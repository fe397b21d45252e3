"""The wire of the A1111 web UI, spoken by the client that people use: webuiapi against a real server."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import time
from typing import Any

import numpy as np
import pytest
import webuiapi
from PIL import Image, ImageDraw, PngImagePlugin

from fantascope.artifact import artifact_id
from fantascope.provenance.verify import signed_record

CAT = "a red cat on the grass"
SMALL: dict[str, Any] = {"width": 128, "height": 128, "steps": 4, "seed": 7}

pytestmark = pytest.mark.slow


def api_of(server: Any, token: str | None = None) -> webuiapi.WebUIApi:
    told = {"username": "anyone", "password": token or server.token}
    return webuiapi.WebUIApi(baseurl=f"{server.url}/sdapi/v1", sampler="Euler a", steps=4, **told)


@pytest.fixture(scope="module")
def api(server: Any) -> webuiapi.WebUIApi:
    return api_of(server)


@pytest.fixture(scope="module")
def guest(server: Any) -> webuiapi.WebUIApi:
    """Somebody who does not run the server."""
    return api_of(server, server.user("visitor"))


@pytest.fixture(scope="module")
def cat(api: webuiapi.WebUIApi) -> Image.Image:
    """A picture of the server's own, as a client has it."""
    image: Image.Image = api.txt2img(prompt=CAT, **SMALL | {"steps": 20}).image
    return image


def pixels(picture: Image.Image) -> Any:
    return np.asarray(picture.convert("RGB")).astype(int)


def same(one: Image.Image, other: Image.Image) -> bool:
    return bool((pixels(one) == pixels(other)).all())


def test_pictures_are_those_of_the_gallery_sealed_and_described(api: webuiapi.WebUIApi, server: Any) -> None:
    found = api.txt2img(prompt="a (red:1.2) cat", negative_prompt="blurry", batch_size=2, n_iter=1, **SMALL)
    assert [image.size for image in found.images] == [(128, 128)] * 2
    for encoded, name, text in zip(found.json["images"], found.info["artifacts"], found.info["infotexts"], strict=True):
        data = base64.b64decode(encoded)
        assert artifact_id(data) == name
        assert Image.open(io.BytesIO(data)).info["parameters"] == text
        record = signed_record(data, server.home / "keys")
        assert record.valid and record.receipt is not None
        assert record.receipt.request["grammar"] == "a1111"
    info = found.info
    assert info["all_seeds"] == [7, 8] and info["seed"] == 7
    assert info["all_prompts"] == ["a (red:1.2) cat"] * 2 and info["all_negative_prompts"] == ["blurry"] * 2
    assert (info["sampler_name"], info["steps"], info["cfg_scale"]) == ("Euler a", 4, 7.0)
    assert (info["width"], info["height"], info["sd_model_name"]) == (128, 128, "embedded")
    assert found.parameters["prompt"] == "a (red:1.2) cat" and found.parameters["seed"] == 7
    alone = api.txt2img(prompt="a (red:1.2) cat", negative_prompt="blurry", **SMALL | {"seed": 8})
    assert same(alone.image, found.images[1])


def test_marks_of_the_grammar_are_obeyed(api: webuiapi.WebUIApi) -> None:
    plain, turned = (api.txt2img(prompt=said, **SMALL).image for said in ("a cat", "a [cat|dog]"))
    assert not same(plain, turned)
    escaped = api.txt2img(prompt="a cat", negative_prompt="(dog:0.0)", **SMALL).info
    assert escaped["negative_prompt"] == "(dog:0.0)"


def test_a_random_seed_is_named_and_gives_the_picture_again(api: webuiapi.WebUIApi) -> None:
    first, second = (api.txt2img(prompt=CAT, **SMALL | {"seed": -1}) for _ in range(2))
    assert first.info["seed"] != second.info["seed"]
    assert same(api.txt2img(prompt=CAT, **SMALL | {"seed": first.info["seed"]}).image, first.image)


def test_variations_lead_from_one_seed_to_another(api: webuiapi.WebUIApi) -> None:
    def varied(strength: float) -> webuiapi.WebUIApiResult:
        return api.txt2img(prompt=CAT, subseed=99, subseed_strength=strength, sampler_name="DDIM", **SMALL)

    start, end = (api.txt2img(prompt=CAT, sampler_name="DDIM", **SMALL | {"seed": seed}).image for seed in (7, 99))
    assert same(varied(0).image, start) and same(varied(1).image, end)
    near, far = varied(0.2), varied(0.8)
    assert (near.info["all_seeds"], near.info["all_subseeds"]) == ([7], [99])
    assert "Seed: 7, " in near.info["infotexts"][0]
    assert "Variation seed: 99, Variation seed strength: 0.2, " in near.info["infotexts"][0]
    away = [np.abs(pixels(one.image) - pixels(start)).mean() for one in (near, far)]
    assert 0 < away[0] < away[1]


def test_what_is_not_sent_is_the_models_to_fill_in(server: Any) -> None:
    with server.client() as client:
        found = client.post("/sdapi/v1/txt2img", json={"prompt": CAT, "seed": 1, "unheard_of": {"a": 1}}).json()
    assert Image.open(io.BytesIO(base64.b64decode(found["images"][0]))).size == (512, 512)
    told = found["parameters"]
    assert (told["steps"], told["cfg_scale"], told["sampler_name"], told["width"]) == (20, 4.0, "DDIM", 512)
    assert "unheard_of" not in told and (told["n_iter"], told["batch_size"]) == (1, 1)


def test_every_sampler_that_is_listed_paints(api: webuiapi.WebUIApi) -> None:
    names = api.util_get_sampler_names()
    assert {"Euler a", "DDIM", "DPM++ 2M", "DPM++ 2M Karras", "LCM"} <= set(names)
    tiny = SMALL | {"steps": 2}
    told = {name: api.txt2img(prompt="a cat", sampler_name=name, **tiny).info["infotexts"][0] for name in names}
    assert "Sampler: DPM++ 2M, Schedule type: Karras" in told["DPM++ 2M Karras"]
    karras = api.txt2img(prompt="a cat", sampler_name="DPM++ 2M", scheduler="karras", **tiny).info["infotexts"][0]
    assert karras == told["DPM++ 2M Karras"]


def test_a_second_pass_is_larger_and_still_one_cat(api: webuiapi.WebUIApi) -> None:
    found = api.txt2img(
        prompt=CAT, enable_hr=True, hr_scale=2, denoising_strength=0.4, hr_second_pass_steps=5, batch_size=2, **SMALL
    )
    assert [image.size for image in found.images] == [(256, 256)] * 2
    assert found.info["all_seeds"] == [7, 8] and len(found.info["jobs"]) == 5
    assert found.info["denoising_strength"] == 0.4 and "Steps: 5, " in found.info["infotexts"][0]
    first = api.txt2img(prompt=CAT, **SMALL).image.resize((256, 256), Image.Resampling.LANCZOS)
    away = np.abs(pixels(first) - pixels(found.image)).mean()
    assert 0 < away < 25, "painted over, and the same picture"


def test_a_tile_meets_itself(api: webuiapi.WebUIApi) -> None:
    def seam(picture: Image.Image) -> float:
        rows = pixels(picture)
        inside = np.abs(np.diff(rows, axis=1)).mean()
        return float(np.abs(rows[:, 0] - rows[:, -1]).mean() / max(inside, 1e-6))

    more = SMALL | {"steps": 20}
    tiled, plain = (api.txt2img(prompt="green leaves", tiling=tiling, **more).image for tiling in (True, False))
    assert tiled.size == (128, 128) and not same(tiled, plain)
    assert seam(tiled) < 4


def test_a_picture_is_painted_over_at_the_size_that_is_asked(api: webuiapi.WebUIApi, cat: Image.Image) -> None:
    kept = api.img2img(images=[cat], prompt="a blue dog", denoising_strength=0, **SMALL)
    assert same(kept.image, cat) and kept.parameters["init_images"] is None
    over = api.img2img(images=[cat], prompt="a blue dog", denoising_strength=0.6, include_init_images=True, **SMALL)
    assert not same(over.image, cat) and over.info["denoising_strength"] == 0.6
    assert over.parameters["init_images"][0].startswith("data:image/png;base64,")
    for mode in (0, 1, 2, 3):
        sized = api.img2img(
            images=[cat], prompt=CAT, resize_mode=mode, denoising_strength=0, **SMALL | {"width": 192, "height": 96}
        )
        assert sized.image.size == (192, 96)
        rows = pixels(sized.image)
        flat = not np.diff(rows[:, :48], axis=1).any() and not np.diff(rows[:, 144:], axis=1).any()
        assert flat == (mode == 2), "only the edges that are drawn out are flat"


def test_a_region_is_painted_and_nothing_else(api: webuiapi.WebUIApi, cat: Image.Image) -> None:
    mask = Image.new("L", cat.size, 0)
    ImageDraw.Draw(mask).rectangle((32, 32, 95, 95), fill=255)
    inside = np.asarray(mask) > 0

    def changed(**more: Any) -> Any:
        found = api.img2img(images=[cat], mask_image=mask, prompt="a yellow ball", mask_blur=0, **SMALL | more).image
        assert found.size == cat.size
        return np.abs(pixels(found) - pixels(cat)).max(2) > 0

    alone = changed()
    assert alone[inside].mean() > 0.5 and not alone[~inside].any()
    other = changed(inpainting_mask_invert=1, inpaint_full_res=False)
    assert other[~inside].mean() > 0.5 and not other[inside].any()
    assert not changed(inpainting_fill=1, denoising_strength=0).any()
    assert changed(width=512, height=512).shape == (128, 128), "the region alone: the picture keeps its size"


def test_larger_pictures(api: webuiapi.WebUIApi, cat: Image.Image) -> None:
    upscaler = api.get_upscalers()[1]["name"]
    assert same(api.extra_single_image(cat).image, cat), "no upscaler, no change"
    large = api.extra_single_image(cat, upscaler_1=upscaler, upscaling_resize=1.5).image
    assert large.size == (192, 192)
    small = large.resize(cat.size, Image.Resampling.LANCZOS)
    assert np.abs(pixels(small) - pixels(cat)).mean() < 12
    told = {"resize_mode": 1, "upscaling_resize_w": 256, "upscaling_resize_h": 192}
    assert api.extra_single_image(cat, upscaler_1=upscaler, **told).image.size == (256, 192)
    both = api.extra_batch_images([cat, cat.resize((64, 32))], upscaler_1=upscaler).images
    assert [one.size for one in both] == [(256, 256), (128, 64)]


def test_what_a_file_says(api: webuiapi.WebUIApi, cat: Image.Image) -> None:
    ours = api.png_info(cat)
    assert ours.info == cat.info["parameters"]
    assert ours.parameters["Prompt"] == CAT and ours.parameters["Sampler"] == "Euler a"
    assert (ours.parameters["Size-1"], ours.parameters["Size-2"], ours.parameters["RNG"]) == ("128", "128", "CPU")
    text = "a dog\nNegative prompt: bad\nSteps: 30, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1, Size: 512x768"
    chunk, file = PngImagePlugin.PngInfo(), io.BytesIO()
    chunk.add_text("parameters", text)
    chunk.add_text("Software", "NovelAI")
    Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=chunk)
    theirs = api.png_info(Image.open(file))
    assert theirs.info == text and theirs.json["items"] == {"Software": "NovelAI"}
    assert theirs.parameters["Negative prompt"] == "bad" and theirs.parameters["Size-2"] == "768"
    assert (theirs.parameters["RNG"], theirs.parameters["Clip skip"]) == ("GPU", "1")
    assert api.png_info(Image.new("RGB", (8, 8))).info == ""


def test_a_picture_is_made_again_from_its_text(server: Any, cat: Image.Image) -> None:
    with server.client() as client:
        body = {"infotext": cat.info["parameters"], "seed": None}
        found = client.post("/sdapi/v1/txt2img", json=body).json()
    assert same(Image.open(io.BytesIO(base64.b64decode(found["images"][0]))), cat)


def test_a_picture_is_described(api: webuiapi.WebUIApi) -> None:
    apple = api.txt2img(prompt="a red apple on a white background", **SMALL | {"steps": 20}).image
    said = api.interrogate(apple).info
    assert "red" in said or "apple" in said
    with pytest.raises(RuntimeError, match="Model not found"):
        api.interrogate(apple, model="deepdanbooru")


def ring(left: bool) -> Image.Image:
    """A map of strokes: a circle in one half."""
    drawn = Image.new("RGB", (128, 128))
    ImageDraw.Draw(drawn).ellipse((8, 36, 60, 92) if left else (68, 36, 120, 92), outline=(255, 255, 255), width=2)
    return drawn


def middle(picture: Image.Image) -> float:
    """Where what is red is, 0 left to 1 right."""
    rows = pixels(picture)
    red = np.clip(rows[..., 0] - rows[..., 1:].max(2), 0, None)
    return float((red.sum(0) * np.arange(128)).sum() / max(1, red.sum()) / 128)


@pytest.mark.parametrize("left", [True, False])
def test_a_unit_steers(api: webuiapi.WebUIApi, left: bool) -> None:
    model = next(name for name in api.controlnet_model_list() if "scribble" in name)
    unit = webuiapi.ControlNetUnit(image=ring(left), model=model, resize_mode="Just Resize")
    told = SMALL | {"steps": 12}
    found = api.txt2img(prompt="a red ball on a white background", controlnet_units=[unit], **told).image
    assert (middle(found) < 0.45) if left else (middle(found) > 0.55)


def test_a_module_draws_the_map_that_steers(api: webuiapi.WebUIApi, cat: Image.Image) -> None:
    edges = api.controlnet_detect([cat], module="canny", threshold_a=100, threshold_b=200).image
    assert edges.size == cat.size and set(np.unique(pixels(edges))) <= {0, 255} and pixels(edges).max() == 255
    model = api.controlnet_model_list()[0]
    drawn, given = (
        webuiapi.ControlNetUnit(image=image, module=module, model=model, threshold_a=100, threshold_b=200)
        for image, module in ((cat, "canny"), (edges, "none"))
    )
    one, other = (api.txt2img(prompt="a dog", controlnet_units=[unit], **SMALL).image for unit in (drawn, given))
    plain = api.txt2img(prompt="a dog", **SMALL).image
    away, unlike = (np.abs(pixels(one) - pixels(rest)).mean() for rest in (other, plain))
    assert away < 2 < unlike, "the mark differs, since the records do; a unit is for its own request"
    edited = api.img2img(images=[cat], prompt="a dog", controlnet_units=[drawn], denoising_strength=0.8, **SMALL)
    assert edited.image.size == cat.size


def test_poses_are_drawn(server: Any) -> None:
    row = [float(v) for k in range(18) for v in (20 + 5 * k, 30 + 4 * k, 1)]
    document = {"canvas_width": 128, "canvas_height": 128, "people": [{"pose_keypoints_2d": row}]}
    with server.client() as client:
        found = client.post("/controlnet/render_openpose_json", json=[document]).json()
        assert client.post("/controlnet/render_openpose_json", json=[]).json() == {"info": "No pose data detected."}
    drawn = Image.open(io.BytesIO(base64.b64decode(found["images"][0])))
    assert drawn.size == (128, 128) and pixels(drawn).max() == 255


def test_progress_while_it_paints_then_interrupt(server: Any) -> None:
    token = server.user("watcher")
    api, other = api_of(server, token), api_of(server)
    api.set_options({"live_previews_enable": True})
    assert api.get_progress()["state"]["job_count"] == 0
    found: list[Any] = []
    body = {"prompt": CAT, "n_iter": 6, **SMALL, "steps": 60}
    work = threading.Thread(target=lambda: found.append(api.txt2img(**body)))
    work.start()
    seen: list[dict[str, Any]] = []
    end = time.monotonic() + 60
    while not (seen and seen[-1]["current_image"] and seen[-1]["state"]["sampling_step"] > 2):
        assert time.monotonic() < end and work.is_alive()
        seen.append(api.get_progress())
        time.sleep(0.02)
    last = seen[-1]
    assert 0 < last["progress"] < 1 and last["eta_relative"] > 0
    assert (last["state"]["job_count"], last["state"]["sampling_steps"]) == (6, 60)
    assert Image.open(io.BytesIO(base64.b64decode(last["current_image"]))).size[0] >= 8
    assert [one["progress"] for one in seen] == sorted(one["progress"] for one in seen)
    assert other.get_progress()["progress"] == 0, "nobody sees another's run"
    assert api.session.post(f"{api.baseurl}/skip").status_code == 501, "the pictures of a run are one job"
    assert other.interrupt() == {} and work.is_alive(), "nobody ends another's run"
    assert api.interrupt() == {}
    work.join(30)
    assert not work.is_alive()
    assert found[0].info["interrupted"] is True and len(found[0].images) < 6
    assert len(found[0].info["all_seeds"]) == len(found[0].images)
    api.util_wait_for_ready(0.05)


def test_an_interrupted_second_pass_leaves_the_first(guest: webuiapi.WebUIApi) -> None:
    api = guest
    found: list[Any] = []
    body = {"prompt": CAT, "enable_hr": True, "hr_second_pass_steps": 200, "batch_size": 2, **SMALL}
    work = threading.Thread(target=lambda: found.append(api.txt2img(**body)))
    work.start()
    end = time.monotonic() + 60
    while not (at := api.session.get(f"{api.baseurl}/progress?skip_current_image=true").json())["progress"] > 0.5:
        assert time.monotonic() < end and work.is_alive() and at["current_image"] is None
        time.sleep(0.02)
    api.interrupt()
    work.join(30)
    assert found[0].info["interrupted"] is True and found[0].info["all_seeds"] == [7, 8]
    assert [image.size for image in found[0].images] == [(256, 256), (128, 128)] or found[0].image.size == (128, 128)


def test_options_are_each_callers_own(server: Any, cat: Image.Image) -> None:
    mine, theirs = api_of(server, server.user("ann")), api_of(server)
    assert mine.util_get_current_model().startswith("embedded [")
    mine.util_set_model("echo")
    assert mine.get_options()["sd_model_checkpoint"] == "echo"
    assert theirs.util_get_current_model().startswith("embedded [")
    assert mine.util_get_sampler_names() == ["echo"]
    told = {"width": 64, "height": 64, "cfg_scale": 1}
    assert mine.txt2img(prompt=CAT, sampler_name="echo", **told).info["sd_model_name"] == "echo"
    once = mine.txt2img(prompt=CAT, override_settings={"sd_model_checkpoint": "embedded"}, **SMALL)
    assert once.info["sd_model_name"] == "embedded"
    assert mine.get_options()["sd_model_checkpoint"] == "echo"
    mine.set_options(mine.get_options() | {"samples_format": "jpg", "sd_model_checkpoint": "embedded.safetensors"})
    assert mine.txt2img(prompt=CAT, **SMALL).image.format == "JPEG"
    refused = mine.set_options({"samples_format": "png", "sd_model_chekpoint": "x"})
    assert "no option 'sd_model_chekpoint'" in refused["detail"]
    assert mine.get_options()["samples_format"] == "jpg", "all of them or none"
    assert "GPU" in mine.set_options({"randn_source": "GPU"})["detail"]


def test_styles_of_the_operator(server: Any, api: webuiapi.WebUIApi) -> None:
    (server.home / "styles.csv").write_text('name,prompt,negative_prompt\nink,"{prompt}, an ink drawing",photo\n')
    assert api.get_prompt_styles() == [
        {"name": "ink", "prompt": "{prompt}, an ink drawing", "negative_prompt": "photo"}
    ]
    found = api.txt2img(prompt="a cat", styles=["ink"], **SMALL)
    assert found.info["prompt"] == "a cat, an ink drawing" and "Negative prompt: photo" in found.info["infotexts"][0]
    with pytest.raises(RuntimeError, match="There is no style"):
        api.txt2img(prompt="a cat", styles=["oil"], **SMALL)


@pytest.mark.slow
def test_an_adapter_of_the_collection_is_named_in_the_prompt(
    server: Any, guest: webuiapi.WebUIApi, tmp_path: Any
) -> None:
    from tests.engines import adapters

    from fantascope import Settings
    from fantascope.engines.adapters.collection import add_adapter

    settings = Settings(home=server.home)
    adapters.registered("embedded", settings)
    file = adapters.written(tmp_path / "ink.safetensors", adapters.kohya("embedded", adapters.factors("embedded")))
    add_adapter(file, name="ink", base="tiny-embedded", licence="CC0-1.0", settings=settings)
    api = guest
    assert [row["name"] for row in api.get_loras()] == ["ink"]
    told = {"override_settings": {"sd_model_checkpoint": "tiny-embedded"}, **SMALL, "width": 64, "height": 64}
    worn, plain = (api.txt2img(prompt=said, **told) for said in ("a cat <lora:ink:0.8>", "a cat"))
    assert not same(worn.image, plain.image)
    assert "a cat <lora:ink:0.8>" in worn.info["infotexts"][0] and "Lora hashes" in worn.info["infotexts"][0]
    with pytest.raises(RuntimeError, match="Did you mean ink"):
        api.txt2img(prompt="a cat <lora:inc:1>", **told)


def test_who_may(server: Any, api: webuiapi.WebUIApi, guest: webuiapi.WebUIApi) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer no"}):
        with server.client(None) as client:
            client.headers.update(headers)
            for path in ("progress", "options", "sd-models", "samplers"):
                assert client.get(f"/sdapi/v1/{path}").status_code == 401
            refused = client.post("/sdapi/v1/txt2img", json={"prompt": CAT})
            assert refused.status_code == 401 and refused.json()["detail"]
    assert guest.session.post(f"{guest.baseurl}/unload-checkpoint").status_code == 403
    for path in ("server-kill", "server-restart", "server-stop"):
        assert api.session.post(f"{api.baseurl}/{path}").status_code == 403
    assert api.session.post(f"{api.baseurl}/unload-checkpoint").json() == {}
    assert api.session.post(f"{api.baseurl}/reload-checkpoint").json() == {}
    assert api.refresh_checkpoints() is None
    assert guest.get_progress()["progress"] == 0


def test_one_key_makes_one_picture(server: Any) -> None:
    with server.client() as client:
        body = {"prompt": CAT, "enable_hr": True, "denoising_strength": 0.3, **SMALL, "seed": -1}
        headers = {"Idempotency-Key": hashlib.sha256(b"a1111").hexdigest()}
        one, other = (client.post("/sdapi/v1/txt2img", json=body, headers=headers).json() for _ in range(2))
    assert one["images"] == other["images"]


def test_every_list_of_the_client(api: webuiapi.WebUIApi) -> None:
    assert {row["model_name"] for row in api.get_sd_models()} >= {"embedded", "embedded-few", "sd15"}
    assert api.has_controlnet and "controlnet" in api.get_scripts()["img2img"]
    for empty in (api.get_sd_vae, api.get_hypernetworks, api.get_face_restorers, api.get_realesrgan_models):
        assert empty() == []
    assert api.get_embeddings() == {"loaded": {}, "skipped": {}}
    assert api.get_memory()["ram"]["used"] > 10**7
    assert api.util_get_scheduler_names() == ["automatic", "karras"]
    assert api.get_latent_upscale_modes() == [{"name": "Latent"}]
    assert api.get_cmd_flags()["api"] is True and api.controlnet_version() == 2
    assert {"none", "canny", "scribble"} <= set(api.controlnet_module_list())
    types = api.custom_get("controlnet/control_types")["control_types"]
    assert types["Canny"]["default_option"] == "canny" and "canny" in types["All"]["module_list"]
    assert api.custom_get("controlnet/settings") == {"control_net_unit_count": 4}
    assert api.session.get(f"{api.baseurl}/script-info").json()[0]["is_alwayson"] is True
    assert api.session.get(f"{api.baseurl}/extensions").json() == []
