"""The `pipeline` engine: any text-to-image pipeline of diffusers by class name (SD3, FLUX, Qwen-Image, Z-Image …).

The pipeline's own loop runs in a thread; what it calls back with after each step becomes a yielded `Step`, and closing
the iterator makes the next callback stop it. A field of the request that a pipeline cannot honour is refused by name.
"""

from __future__ import annotations

import gc
import inspect
import logging
import queue
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from PIL import Image

from fantascope.artifact import Output, Step
from fantascope.core.pixels import unblocked
from fantascope.core.seeds import noise
from fantascope.engines import compact
from fantascope.engines.base import Choice, Inputs
from fantascope.engines.latent_offload import free_on, size_of, verdict, within_memory
from fantascope.engines.latent_parts import DTYPES, compact_bert, quietly
from fantascope.engines.latent_upscaler import Upscaler, load_upscaler
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import Place, open_place, weigh
from fantascope.errors import BrokenModelFile, InvalidValue, ModelError, UnknownName, Unsupported
from fantascope.receipt import Ran, Weight
from fantascope.request import Painting, Request
from fantascope.settings import Settings
from fantascope.spec import INSTRUCT, Spec

log = logging.getLogger(__name__)

SCHEDULERS: dict[str, str] = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "lcm": "LCMScheduler",
}
"""Samplers that can be asked for on Stable Diffusion families; other families have their pipeline's own, `pipeline`."""

PLAIN_NOISE = {
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "SanaPipeline",
}
"""Pipelines that start from noise of the plain shape `(B, C, h, w)`, so that it can be ours; others draw from a CPU
generator that is seeded with the picture's seed."""


class Stopped(Exception):
    """Raised inside a pipeline's callback when nobody reads on."""


def _sized(request: Painting, size: tuple[int, int]) -> Painting:
    """Return the request at the size that the model works at."""
    sized: Painting = request.replace(width=size[0], height=size[1], upscale=1)
    return sized


class PipelineEngine:
    """A loaded diffusers pipeline; paints one picture after another."""

    supports = frozenset({"imagine", "edit"})
    rowwise = False

    def __init__(
        self, spec: Spec, choice: Choice, pipe: Any, upscaler: Upscaler | None, weights: tuple[Weight, ...]
    ) -> None:
        self.spec, self.pipe, self.weights = spec, pipe, weights
        self.device, self.dtype = torch.device(choice.device), DTYPES[choice.precision]
        self.upscaler = upscaler.to(self.device) if upscaler is not None else None
        modules = [part for part in pipe.components.values() if isinstance(part, torch.nn.Module)]
        offload, why = verdict(size_of(modules), free_on(self.device))
        log.info("%s", why)
        if offload:
            pipe.enable_model_cpu_offload(device=self.device)
        else:
            pipe.to(self.device)
        pipe.set_progress_bar_config(disable=True)
        self.choice = replace(choice, reasons=(*choice.reasons, why))
        self.parameters = frozenset(inspect.signature(type(pipe).__call__).parameters)
        self._scheduler = pipe.scheduler

    @classmethod
    def load(cls, spec: Spec, choice: Choice, settings: Settings) -> PipelineEngine:
        """Open, check, hash and load the folder that the Spec names.

        Raises:
            Unsupported: a single file, a refiner, a delta, or a class that is no text-to-image pipeline of diffusers.
            ModelError: see `weights.open_place` and `weights.weigh`.
        """
        if settings.threads > 0:
            torch.set_num_threads(settings.threads)
        if spec.refiner is not None:
            raise Unsupported(
                f"The engine 'pipeline' runs no refiner, and {spec.name!r} has one.", hint="--engine latent"
            )
        if spec.delta is not None:
            raise Unsupported(
                f"The engine 'pipeline' adds nothing to weights, and {spec.name!r} needs it.", hint="--engine latent"
            )
        place = open_place(spec.source, settings)
        if place.single:
            raise Unsupported("The engine 'pipeline' needs a diffusers folder; single files run on 'latent'.")
        index = place.config("model_index.json")
        known = spec.pipeline if spec.pipeline is not None else str(index.get("_class_name"))
        kind = pipeline_class(known)
        files = files_of(place, index)
        upscales = place.has("upscaler/config.json")
        weights = weigh(spec, place, [*files, *(place.weights_of("upscaler") if upscales else [])], settings)
        given: dict[str, Any] = {}
        if "text_encoder/model.int8.safetensors" in files:
            given["text_encoder"] = compact_bert(place, "text_encoder").to(DTYPES[choice.precision])
        variant = "fp16" if any(".fp16." in file for file in files) else None
        arguments = {"dtype": DTYPES[choice.precision], "variant": variant, **given}
        try:
            with quietly():
                pipe = kind.from_pretrained(str(place.root), use_safetensors=True, local_files_only=True, **arguments)
        except (OSError, ValueError, TypeError, RuntimeError, KeyError, AttributeError, ImportError) as error:
            raise BrokenModelFile(f"{place.root} cannot be loaded as {known}: {_first_line(error)}") from error
        check_whole(place, pipe)
        with within_memory(torch.device(choice.device)):
            return cls(spec, choice, pipe, load_upscaler(place) if upscales else None, weights)

    def render(self, request: Request, inputs: Inputs = Inputs()) -> Iterator[Step | Output]:
        """Yield a `Step` after every sampler step and one `Output` per picture of a resolved request.

        Raises:
            Unsupported: the pipeline cannot honour a field; `param` names it.
            InvalidValue: the size is not one of this model's.
            ModelError: the device has not enough memory.
        """
        assert isinstance(request, Painting) and request.n is not None and request.steps is not None
        assert request.seed is not None and request.upscale is not None
        assert request.width is not None and request.height is not None
        if inputs.size is not None:
            request = _sized(request, inputs.size)
        self.check(request)
        steps, factor, total, first = request.steps, request.upscale, request.n, request.seed
        assert steps is not None and factor is not None and total is not None and first is not None
        for index in range(total):
            seed = first + index
            yield Step(step=0, steps=steps, stage="encode", index=index, total=total)
            pixels = None
            with within_memory(self.device):
                for event in bridge(self.pipe, self.arguments(request, seed, inputs)):
                    if isinstance(event, int):
                        yield Step(step=min(event, steps), steps=steps, index=index, total=total)
                    else:
                        pixels = self._enlarged(event, factor)
            assert pixels is not None
            if pixels.shape[:2] != (request.height, request.width):
                made = f"{pixels.shape[1]}x{pixels.shape[0]}"
                raise Unsupported(
                    f"{type(self.pipe).__name__} gave {made} instead of {request.width}x{request.height}."
                )
            yield Output(pixels=pixels, index=index, seed=seed)

    def check(self, request: Painting) -> None:
        """Refuse what this pipeline cannot honour; see `render`."""
        name, spec = type(self.pipe).__name__, self.spec
        refused: dict[str, str] = {}
        if request.negative_prompt and (not spec.negative or "negative_prompt" not in self.parameters):
            refused["negative_prompt"] = "negative prompts"
        if request.clip_skip not in (None, 0) and not self._skips():
            refused["clip_skip"] = "CLIP skip"
        if request.guidance_rescale not in (None, 0) and "guidance_rescale" not in self.parameters:
            refused["guidance_rescale"] = "guidance rescale"
        if request.upscale not in (1, self.upscaler.factor if self.upscaler is not None else 1):
            refused["upscale"] = f"upscaling by {request.upscale}"
        if request.guidance is not None and not self._guides(request.guidance):
            refused["guidance"] = f"guidance of {request.guidance:g}"
        if self._sampler(request.sampler) is None:
            refused["sampler"] = f"the sampler {request.sampler!r}, only {', '.join(self._samplers())}"
        if request.schedule not in (None, "default") and not self._karras(request):
            refused["schedule"] = f"the schedule {request.schedule!r} with this sampler"
        for param, what in refused.items():
            raise Unsupported(f"{name} of {spec.name!r} has no {what}.", param=param)
        self._check_length(request)
        assert request.upscale is not None
        sizes, factor = spec.sizes, request.upscale
        for param, side in (("width", request.width), ("height", request.height)):
            assert side is not None
            if side % (sizes.multiple * factor) or not sizes.min <= side // factor <= sizes.max:
                raise InvalidValue(
                    f"{param} {side} is not a multiple of {sizes.multiple * factor} in "
                    f"{sizes.min * factor} … {sizes.max * factor}.",
                    param=param,
                )

    def _check_length(self, request: Painting) -> None:
        """Refuse a prompt that no text encoder would read to its end: the pipeline would cut it silently."""
        most = inspect.signature(type(self.pipe).__call__).parameters.get("max_sequence_length")
        for param in ("prompt", "negative_prompt"):
            rooms = []
            for name in ("tokenizer", "tokenizer_2", "tokenizer_3"):
                tokenizer = getattr(self.pipe, name, None)
                if tokenizer is None:
                    continue
                limit = int(tokenizer.model_max_length)
                if most is not None and not type(tokenizer).__name__.startswith("CLIP"):
                    limit = min(limit, int(most.default))
                rooms.append((limit - len(tokenizer(getattr(request, param) or "", verbose=False)["input_ids"]), limit))
            if rooms and max(rooms)[0] < 0:
                over, limit = -max(rooms)[0], max(rooms)[1]
                name = type(self.pipe).__name__
                raise Unsupported(f"{name} reads at most {limit} tokens; {param} has {over} more.", param=param)

    def arguments(self, request: Painting, seed: int, inputs: Inputs = Inputs()) -> dict[str, Any]:
        """Return the arguments of the pipeline's call for one picture: only what its signature has."""
        assert request.width is not None and request.height is not None and request.upscale is not None
        height, width = request.height // request.upscale, request.width // request.upscale
        found: dict[str, Any] = {
            "prompt": request.prompt,
            "height": height,
            "width": width,
            "num_inference_steps": request.steps,
            "generator": [torch.Generator("cpu").manual_seed(seed)],
            "output_type": "np",
            "use_resolution_binning": False,
            **self._guidance(request),
        }
        if inputs.pictures is not None:
            found["image"] = Image.fromarray(inputs.pictures[0])
        if request.negative_prompt:
            found["negative_prompt"] = request.negative_prompt
        if request.guidance_rescale not in (None, 0):
            found["guidance_rescale"] = request.guidance_rescale
        if request.clip_skip not in (None, 0):
            found["clip_skip"] = request.clip_skip
        if type(self.pipe).__name__ in PLAIN_NOISE:
            network = getattr(self.pipe, "unet", None) or self.pipe.transformer
            factor = int(self.pipe.vae_scale_factor)
            start = noise([seed], (int(network.config.in_channels), height // factor, width // factor))
            found["latents"] = torch.from_numpy(start).to(self.dtype)
        self.pipe.scheduler = self._sampler(request.sampler, request.schedule)
        return {name: value for name, value in found.items() if name in self.parameters}

    def _guides(self, guidance: float) -> bool:
        """Say whether this guidance can be had: ours is off at 1, and pipelines treat what is below 1 as off."""
        if not self.spec.guided:
            return guidance in (self.spec.defaults.guidance, 1.0)
        return self._distilled() or guidance >= 1

    def _distilled(self) -> bool:
        """Say whether the network takes the guidance as an input."""
        transformer = getattr(self.pipe, "transformer", None)
        return bool(getattr(getattr(transformer, "config", None), "guidance_embeds", False))

    def _guidance(self, request: Painting) -> dict[str, Any]:
        """Translate our guidance, `uncond + g (cond - uncond)`, to the pipeline's own argument."""
        if not self.spec.guided:
            return {"guidance_scale": self.spec.defaults.guidance}
        if type(self.pipe).__name__.startswith("ZImage"):
            # Z-Image computes cond + w (cond - uncond), which is ours with g = w + 1.
            assert request.guidance is not None
            return {"guidance_scale": request.guidance - 1}
        if self._distilled() or "true_cfg_scale" not in self.parameters:
            return {"guidance_scale": request.guidance}
        if request.guidance == 1:
            return {"true_cfg_scale": 1.0}
        return {"true_cfg_scale": request.guidance, "negative_prompt": " "}

    def _samplers(self) -> tuple[str, ...]:
        return ("pipeline",) if self.spec.family == "pipeline" else ("pipeline", *SCHEDULERS)

    def _sampler(self, name: str | None, schedule: str | None = None) -> Any:
        """Return the scheduler for a sampler's name, or None when this family has no such sampler."""
        if name in (None, "pipeline"):
            return self._scheduler
        if name not in self._samplers():
            return None
        more = {"use_karras_sigmas": True} if schedule == "karras" else {}
        return getattr(import_module("diffusers"), SCHEDULERS[name]).from_config(self._scheduler.config, **more)

    def _karras(self, request: Painting) -> bool:
        return (
            request.schedule == "karras"
            and request.sampler in ("euler", "heun", "dpmpp_2m")
            and self.spec.family != "pipeline"
        )

    def _skips(self) -> bool:
        """Say whether CLIP skip works: diffusers' SD pipeline reads an attribute that newer CLIP models lack."""
        encoder = getattr(self.pipe, "text_encoder", None)
        plain = type(self.pipe).__name__ == "StableDiffusionPipeline"
        return "clip_skip" in self.parameters and (not plain or hasattr(encoder, "text_model"))

    @torch.no_grad()
    def _enlarged(self, picture: Any, factor: int) -> Any:
        """Return a `(H, W, 3)` float picture in 0 … 1 as uint8, enlarged by the upscaler where it is asked."""
        if factor > 1:
            assert self.upscaler is not None
            small = torch.from_numpy(picture).permute(2, 0, 1)[None].to(self.device) * 2 - 1
            large = unblocked(small.float().cpu().numpy(), self.upscaler(small).float().cpu().numpy())
            picture = (large[0].transpose(1, 2, 0) + 1) / 2
        return np.ascontiguousarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))

    def ran(self) -> Ran:
        """Say what runs here; a pipeline paints one picture at a time, so the batch shape is always the same."""
        return Ran(
            engine="pipeline",
            runtime="torch",
            device=self.choice.device,
            precision=self.choice.precision,
            threads=torch.get_num_threads(),
            exactness="batch-exact" if self.device.type == "cpu" else "close",
            weights=self.weights,
            versions={name: version(name) for name in ("torch", "diffusers", "transformers", "numpy")},
            reasons=self.choice.reasons,
        )

    def close(self) -> None:
        """Let go of the pipeline and give its memory back."""
        self.pipe = self._scheduler = self.upscaler = None
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def bridge(pipe: Any, arguments: dict[str, Any]) -> Iterator[Any]:
    """Run a pipeline in a thread; yield the number of each step that was done, then the picture `(H, W, 3)` in 0 … 1.

    After each step the pipeline waits until the next event is asked for. Closing the iterator stops it there, and waits
    for its end.
    """
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stop, asked = threading.Event(), threading.Semaphore(0)

    def done(_: Any, step: int, time: Any, state: dict[str, Any]) -> dict[str, Any]:
        events.put(step + 1)
        asked.acquire()
        if stop.is_set():
            raise Stopped
        return state

    def work() -> None:
        try:
            events.put(pipe(**arguments, callback_on_step_end=done).images[0])
        except BaseException as error:
            events.put(error)

    thread = threading.Thread(target=work, name="fantascope-pipeline", daemon=True)
    thread.start()
    try:
        while True:
            event = events.get()
            if isinstance(event, (ModelError, torch.OutOfMemoryError)):
                raise event
            if isinstance(event, BaseException):
                raise Unsupported(f"{type(pipe).__name__} failed: {_first_line(event)}") from event
            yield event
            if not isinstance(event, int):
                return
            asked.release()
    finally:
        stop.set()
        asked.release()
        thread.join()


def pipeline_class(name: str) -> Any:
    """Return diffusers' pipeline class of that name.

    Raises:
        UnknownName: diffusers has no such pipeline.
        Unsupported: it does not make pictures from text alone, or cannot be stopped between steps.
    """
    diffusers = import_module("diffusers")
    kind = getattr(diffusers, name, None) if name.endswith("Pipeline") else None
    if kind is None:
        raise UnknownName("pipeline", name, [known for known in dir(diffusers) if known.endswith("Pipeline")])
    parameters = inspect.signature(kind.__call__).parameters
    if name in INSTRUCT and {"prompt", "image", "num_inference_steps"} <= set(parameters):
        return kind
    if not {"prompt", "height", "width", "num_inference_steps"} <= set(parameters) or "num_frames" in parameters:
        raise Unsupported(f"{name} does not make pictures from text alone.", param="model")
    if "callback_on_step_end" not in parameters:
        raise Unsupported(
            f"{name} has no callback_on_step_end, so that a run could neither be followed nor stopped.", param="model"
        )
    return kind


def files_of(place: Place, index: dict[str, Any]) -> list[str]:
    """Return the weight files of every model component that `model_index.json` names."""
    files: list[str] = []
    for name, entry in index.items():
        modelled = isinstance(entry, list) and entry[0] is not None and place.has(f"{name}/config.json")
        if modelled and not str(entry[1]).endswith(("Tokenizer", "TokenizerFast", "Processor", "Scheduler")):
            files += place.weights_of(name)
    return files


def check_whole(place: Place, pipe: Any) -> None:
    """Refuse a component whose files hold fewer numbers than it has weights: the loader makes up what is missing.

    Raises:
        BrokenModelFile: as said; quantised components store fewer numbers by design and are not counted.
    """
    for name, module in pipe.components.items():
        if not isinstance(module, torch.nn.Module) or getattr(module, "hf_quantizer", None) is not None:
            continue
        stored = sum(compact.numbers(SafeFile.open(place.path(file))) for file in place.weights_of(name))
        held = sum(parameter.numel() for parameter in module.parameters())
        if stored < held:
            raise BrokenModelFile(f"{place.root / name} lacks tensors: {held} numbers are due, {stored} are stored.")


def _first_line(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__
