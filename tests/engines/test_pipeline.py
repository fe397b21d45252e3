"""The pipeline engine on tiny random checkpoints of every family it names."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engines import tiny, tiny_ldm

from fantascope.artifact import Output, Step
from fantascope.engines.base import Choice, Engine, Inputs
from fantascope.engines.load import choose
from fantascope.engines.pipeline import PipelineEngine, pipeline_class
from fantascope.errors import BrokenModelFile, InvalidValue, ModelError, UnknownName, UnsafeModelFile, Unsupported
from fantascope.request import Edit
from fantascope.settings import Settings

CPU = Choice("pipeline", "cpu", "fp32", (), "torch")
FAMILIES: dict[str, tuple[Callable[[], Path], dict[str, Any]]] = {
    "sd3": (tiny.sd3, {}),
    "flux": (tiny.flux, {"guided": False, "negative": False}),
    "flux-dev": (lambda: tiny.flux(True), {"negative": False}),
    "qwen-image": (tiny.qwen_image, {}),
    "z-image": (tiny.z_image, {}),
    "sana": (tiny.sana, {}),
}
SMALL: dict[str, Any] = {"sampler": "pipeline", "width": 32, "height": 32, "steps": 2, "prompt": "a red cat"}


def load(name: str, home: Path) -> PipelineEngine:
    build, more = FAMILIES[name]
    return PipelineEngine.load(tiny.spec_of(build(), "pipeline", **more), CPU, Settings(home=home))


def paint(engine: PipelineEngine, **more: Any) -> list[np.ndarray]:
    return [event.pixels for event in engine.render(tiny.ask(**(SMALL | more))) if isinstance(event, Output)]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_paints_and_follows_its_request(name: str, home: Path) -> None:
    engine = load(name, home)
    guidance = 1.0 if name == "flux" else 4.0
    events = list(engine.render(tiny.ask(**SMALL, n=2, guidance=guidance)))
    assert [e.step for e in events if isinstance(e, Step)] == [0, 1, 2] * 2
    first, second = [e.pixels for e in events if isinstance(e, Output)]
    assert first.shape == (32, 32, 3) and first.dtype == np.uint8 and first.std() > 5
    assert (first != second).any()
    assert (paint(engine, seed=8, guidance=guidance)[0] == second).all(), "picture k is that of seed + k"
    assert (paint(engine, prompt="zzz", guidance=guidance)[0] != first).any()
    if name != "flux":
        assert (paint(engine, guidance=2.0)[0] != first).any()
    parts = {weight.part for weight in engine.ran().weights}
    assert {"transformer", "vae", "text_encoder"} <= parts and isinstance(engine, Engine)


@pytest.mark.parametrize("name", ["sd3", "qwen-image", "z-image", "sana"])
def test_negative_prompts_count(name: str, home: Path) -> None:
    engine = load(name, home)
    assert (paint(engine)[0] != paint(engine, negative_prompt="blue dog")[0]).any()


def test_z_image_guidance_is_ours(home: Path) -> None:
    """Guidance 1 is off everywhere: Z-Image's own scale is one less."""
    engine = load("z-image", home)
    assert engine.arguments(tiny.ask(**SMALL, guidance=1.0), 0)["guidance_scale"] == 0
    assert (paint(engine, guidance=1.0)[0] == paint(engine, guidance=1.0, negative_prompt="dog")[0]).all()


@pytest.mark.parametrize(
    ("name", "asked", "param"),
    [
        ("flux", {"negative_prompt": "dog", "guidance": 1.0}, "negative_prompt"),
        ("flux", {"guidance": 7.0}, "guidance"),
        ("sd3", {"guidance": 0.5}, "guidance"),
        ("sd3", {"sampler": "euler"}, "sampler"),
        ("sd3", {"schedule": "karras"}, "schedule"),
        ("sd3", {"guidance_rescale": 0.5}, "guidance_rescale"),
        ("qwen-image", {"clip_skip": 1}, "clip_skip"),
        ("sana", {"upscale": 4, "width": 128, "height": 128}, "upscale"),
        ("qwen-image", {"prompt": "cat " * 1000}, "prompt"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(name: str, asked: dict[str, Any], param: str, home: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        paint(load(name, home), **asked)
    assert caught.value.param == param


@pytest.mark.parametrize("side", [36, 4, 4096])
def test_sizes_are_checked(side: int, home: Path) -> None:
    with pytest.raises(InvalidValue) as caught:
        paint(load("sd3", home), width=side)
    assert caught.value.param == "width"


def test_closing_stops_within_one_step(home: Path) -> None:
    engine = load("sd3", home)
    seen: list[float] = []
    forward = engine.pipe.transformer.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        seen.append(1)
        return forward(*args, **kwargs)

    engine.pipe.transformer.forward = counted
    run = engine.render(tiny.ask(**(SMALL | {"steps": 400})))
    told = [next(run) for _ in range(3)][-1]
    assert isinstance(told, Step) and told.step == 2
    time.sleep(0.1)
    run.close()
    stopped = len(seen)
    assert 2 <= stopped <= told.step + 2
    assert not [thread for thread in threading.enumerate() if thread.name == "fantascope-pipeline"]
    assert len(seen) == stopped
    assert paint(engine)[0].shape == (32, 32, 3), "and the engine is as good as before"


def test_what_a_pipeline_raises_reaches_the_caller(home: Path) -> None:
    engine = load("sd3", home)

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("the kernel said no")

    engine.pipe.transformer.forward = failing
    with pytest.raises(Unsupported, match="the kernel said no"):
        paint(engine)


def test_too_little_memory_is_told_as_such(home: Path) -> None:
    engine = load("sd3", home)

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.\nMore words")

    engine.pipe.transformer.forward = failing
    with pytest.raises(ModelError, match="not enough memory") as caught:
        paint(engine)
    assert type(caught.value) is ModelError and caught.value.hint is not None and "smaller" in caught.value.hint


def test_reasons_are_those_of_the_choice_and_its_own(home: Path) -> None:
    choice = Choice("pipeline", "cpu", "fp32", ("asked for",), "torch")
    engine = PipelineEngine.load(tiny.spec_of(tiny.sana(), "pipeline"), choice, Settings(home=home))
    first, *own = engine.ran().reasons
    assert first == "asked for" and len(own) == 1 and own[0].startswith("no offload")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "euler_ancestral", "lcm"])
def test_stable_diffusion_takes_samplers(sampler: str, home: Path) -> None:
    engine = PipelineEngine.load(tiny.spec_of(tiny.sd(), "sd1"), CPU, Settings(home=home))
    asked = {"sampler": sampler, "width": 64, "height": 64, "steps": 3}
    assert (paint(engine, **asked)[0] != paint(engine, **(asked | {"sampler": "ddim"}))[0]).any()
    if sampler in ("heun", "dpmpp_2m"):
        assert (paint(engine, **asked)[0] != paint(engine, **asked, schedule="karras")[0]).any()


def test_a_prompt_that_would_be_cut_is_refused(home: Path) -> None:
    engine = PipelineEngine.load(tiny.spec_of(tiny.sd(), "sd1"), CPU, Settings(home=home))
    with pytest.raises(Unsupported, match="at most 77 tokens") as caught:
        paint(engine, prompt="cat " * 100, sampler="ddim", width=64, height=64)
    assert caught.value.param == "prompt"


def test_refiner_and_single_files_are_for_latent(home: Path) -> None:
    with pytest.raises(Unsupported, match="single files"):
        PipelineEngine.load(tiny.spec_of(tiny_ldm.file("sd1"), "sd1"), CPU, Settings(home=home))
    with pytest.raises(Unsupported, match="refiner"):
        PipelineEngine.load(tiny.spec_of(tiny.xl(), "sdxl", refiner="dir:x"), CPU, Settings(home=home))


def test_only_text_to_image_pipelines_of_diffusers() -> None:
    with pytest.raises(UnknownName) as caught:
        pipeline_class("FluxPipelin")
    assert "FluxPipeline" in caught.value.nearest
    with pytest.raises(UnknownName):
        pipeline_class("os")
    with pytest.raises(Unsupported, match="LDMTextToImagePipeline has no callback_on_step_end"):
        pipeline_class("LDMTextToImagePipeline")
    for name in ("StableVideoDiffusionPipeline", "WanPipeline", "AudioLDM2Pipeline"):
        with pytest.raises(Unsupported, match="from text alone"):
            pipeline_class(name)


@pytest.mark.parametrize("part", ["transformer", "text_encoder", "vae"])
def test_a_missing_tensor_is_not_made_up(part: str, home: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny.z_image(), tmp_path / "less"))
    file = next((folder / part).glob("*.safetensors"))
    state = load_file(file)
    del state[sorted(state)[0]]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(BrokenModelFile, match="lacks tensors"):
        PipelineEngine.load(tiny.spec_of(folder, "pipeline"), CPU, Settings(home=home))


def test_a_pickled_component_is_refused(home: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "pickled"
    shutil.copytree(tiny.sana(), folder)
    weights = next((folder / "transformer").glob("*.safetensors"))
    weights.rename(weights.with_name("diffusion_pytorch_model.bin"))
    with pytest.raises(UnsafeModelFile, match="can run any code"):
        PipelineEngine.load(tiny.spec_of(folder, "pipeline"), CPU, Settings(home=home))


def test_a_model_that_follows_instructions_edits_a_picture(home: Path) -> None:
    kind = "StableDiffusionInstructPix2PixPipeline"
    spec = tiny.spec_of(tiny.pix2pix(), "pipeline", pipeline=kind)
    assert spec.follows
    engine = PipelineEngine.load(spec, CPU, Settings(home=home))
    picture = np.random.default_rng(0).integers(0, 255, (1, 32, 48, 3), np.uint8)
    asked = Edit(**(tiny.ask(**SMALL).model_dump() | {"task": "edit", "picture": "x", "instruction": "make it red"}))

    def edited(picture: np.ndarray, **more: Any) -> np.ndarray:
        outputs = engine.render(asked.replace(**more), Inputs(size=(48, 32), pictures=picture))
        return next(event.pixels for event in outputs if isinstance(event, Output))

    first = edited(picture)
    assert first.shape == (32, 48, 3)
    assert (edited(picture) == first).all()
    assert (edited(255 - picture) != first).any(), "the picture is seen"
    assert (edited(picture, prompt="zzz") != first).any(), "the instruction is seen"
    with pytest.raises(Unsupported, match="follows instructions"):
        choose(spec, {"task": "imagine"}, Settings(home=home))
