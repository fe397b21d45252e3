"""Every sampler against diffusers' scheduler of the same name, on the same model and the same noise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from fantascope.core.denoise import denoise, predict
from fantascope.core.schedules import Levels, Training, flow, levels, training_from_config
from fantascope.core.seeds import noise, stream

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
"""Diffusers' own, with NumPy 2."""

SHAPE = (4, 6, 5)
SEEDS = (3, 11)
CLASSES = {
    "ddim": "DDIMScheduler",
    "euler": "EulerDiscreteScheduler",
    "euler_ancestral": "EulerAncestralDiscreteScheduler",
    "heun": "HeunDiscreteScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "lcm": "LCMScheduler",
}
KARRAS = ("euler", "heun", "dpmpp_2m")
"""Samplers whose scheduler has Karras levels."""
ZERO_SNR = ("ddim", "euler", "euler_ancestral", "dpmpp_2m", "lcm")
"""Samplers whose scheduler has zero terminal SNR."""
LATENT = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def scheduler(sampler: str, **config: Any) -> Any:
    """Make the scheduler that `sampler` is named after, with Stable Diffusion's betas."""
    cls = getattr(diffusers, CLASSES[sampler])
    if sampler == "ddim":
        config = {"clip_sample": False} | config
    return cls(**(LATENT | config))


def training_of(scheduler: Any) -> Training:
    """Read the scheduler's configuration as a checkpoint's file would be read."""
    return training_from_config({"_class_name": type(scheduler).__name__} | dict(scheduler.config))


def model_of(prediction: str) -> Callable[[Any, float], Any]:
    """A smooth nonlinear model of NumPy arrays and torch tensors; its noise is right where there is only noise."""

    def run(x: Any, time: float) -> Any:
        tanh, turn = sys.modules[type(x).__module__].tanh, time / 1000 * np.pi / 2
        if prediction == "epsilon":
            return float(np.sin(turn)) * x + float(0.2 * np.cos(turn)) * tanh(3 * x + 0.5)
        return tanh(1.5 * x + time / 1000) - 0.3

    return run


def theirs(
    scheduler: Any, steps: int, x: torch.Tensor, network: Callable[[Any, float], Any], noises: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Sample as a diffusers pipeline does; return the start as the network saw it, and the result."""
    scheduler.set_timesteps(steps)
    return stepped(scheduler, x, network, noises)


def stepped(
    scheduler: Any, x: torch.Tensor, network: Callable[[Any, float], Any], noises: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Sample with a scheduler whose times are set."""
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)
    left = iter(noises)
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(module(scheduler), "randn_tensor"):
            patch.setattr(module(scheduler), "randn_tensor", lambda *_, **__: torch.from_numpy(next(left)).to(x))
        x = x * getattr(scheduler, "init_noise_sigma", 1.0)
        start = None
        for time in scheduler.timesteps:
            seen = scheduler.scale_model_input(x, time) if hasattr(scheduler, "scale_model_input") else x
            start = seen if start is None else start
            x = scheduler.step(network(seen, float(time)), time, x).prev_sample
    assert start is not None
    return start.numpy(), x.numpy()


def module(scheduler: Any) -> Any:
    return sys.modules[type(scheduler).__module__]


class Double:
    """Stands in for torch inside a scheduler's module, so that what it casts to float32 stays float64."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def levels_of(scheduler: Any, steps: int) -> Levels:
    """Set a scheduler's times, make its own numbers float64, and read its levels out."""
    scheduler.set_timesteps(steps)
    times = scheduler.timesteps.double().numpy()
    if not hasattr(scheduler, "sigmas"):
        scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
        kept = scheduler.alphas_cumprod[scheduler.timesteps].numpy()
        last = 1.0 if "LCM" in type(scheduler).__name__ else float(scheduler.final_alpha_cumprod)
        kept = np.append(kept, last)
        return Levels(np.sqrt(kept), np.sqrt(1 - kept), times)
    scheduler.sigmas = scheduler.sigmas.double()
    sigmas = scheduler.sigmas.numpy()
    if "FlowMatch" in type(scheduler).__name__:
        return Levels(1 - sigmas, sigmas, times, "flow")
    if "Heun" in type(scheduler).__name__:
        sigmas, times = sigmas[[0, *range(1, len(sigmas) - 1, 2), -1]], times[[0, *range(1, len(times), 2)]]
    alphas = 1 / np.sqrt(1 + sigmas**2)
    return Levels(alphas, sigmas * alphas, times)


def result(denoiser: Any, x: Any, run: Levels, sampler: str, fresh: Any = None) -> Any:
    *_, last = denoise(denoiser, x, run, sampler, fresh)
    return last.x


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference, relative to the largest number."""
    assert np.isfinite(a).all() and np.isfinite(b).all()
    return float(np.abs(a - b).max() / np.abs(b).max())


def cases() -> list[Any]:
    rows = []
    for sampler in CLASSES:
        for spacing in ("trailing", "leading") + (() if sampler in ("ddim", "lcm") else ("linspace",)):
            for prediction in ("epsilon", "v_prediction"):
                config = {"prediction_type": prediction, "timestep_spacing": spacing, "steps_offset": 1}
                rows.append((sampler, config))
                if sampler in KARRAS:
                    rows.append((sampler, config | {"use_karras_sigmas": True}))
                # DDIM and LCM divide the noise out by alpha itself there.
                if sampler in ZERO_SNR and (prediction != "epsilon" or sampler not in ("ddim", "lcm")):
                    rows.append((sampler, config | {"rescale_betas_zero_snr": True}))
    return [pytest.param(s, c, id=f"{s}-{'-'.join(map(str, c.values()))}") for s, c in rows]


@pytest.mark.parametrize(("sampler", "config"), cases())
def test_steps_are_those_of_diffusers(sampler: str, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """On the same levels, in float64: within 1e-7."""
    reference = scheduler(sampler, **config)
    monkeypatch.setattr(module(reference), "torch", Double())
    training = training_of(reference)
    model = model_of(training.prediction)
    for steps in (1, 4, 10):
        run = levels_of(reference, steps)
        fresh = stream(SEEDS, SHAPE)
        noises = [fresh(i).astype(np.float64) for i in range(steps)]
        x = torch.from_numpy(noise(SEEDS, SHAPE)).double()
        start, expected = stepped(reference, x, model, noises)
        ours = result(predict(model, training), start, run, sampler, lambda i, n=noises: n[i])
        assert ours.dtype == np.float64
        assert apart(ours, expected) < 1e-7, steps


@pytest.mark.parametrize(("sampler", "config"), cases())
def test_pictures_are_those_of_diffusers(sampler: str, config: dict[str, Any]) -> None:
    """On our own levels, read from the same configuration, in float32: within 1e-4.

    With zero terminal SNR diffusers puts 2⁻¹² for an alpha of 0 (not in DDIM and LCM), we do not: within 1e-3.
    """
    reference = scheduler(sampler, **config)
    training = training_of(reference)
    model = model_of(training.prediction)
    zero = config.get("rescale_betas_zero_snr", False)
    schedule = "karras" if config.get("use_karras_sigmas") else "default"
    # One step starts from full noise here with any spacing; DDIM misses its own times where steps do not divide 1000.
    counts = [4, 10, 25]
    counts += [1] if config["timestep_spacing"] == "trailing" or sampler == "lcm" else []
    counts += [7] if sampler != "ddim" else []
    for steps in counts:
        fresh = stream(SEEDS, SHAPE)
        x = torch.from_numpy(noise(SEEDS, SHAPE))
        start, expected = theirs(reference, steps, x, model, [fresh(i) for i in range(steps)])
        run = levels(training, steps, schedule, sampler=sampler)
        ours = result(predict(model, training), start, run, sampler, fresh)
        assert ours.dtype == np.float32
        assert apart(ours, expected) < (1e-3 if zero else 1e-4), steps


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("karras", [False, True])
def test_flow_is_that_of_diffusers(shift: float, karras: bool) -> None:
    reference = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift, use_karras_sigmas=karras)
    training = training_of(reference)
    model = model_of("flow")
    for steps in (1, 4, 10):
        x = torch.from_numpy(noise(SEEDS, SHAPE))
        start, expected = theirs(reference, steps, x, model, [])
        run = levels(training, steps, "karras" if karras else "default", sampler="euler")
        assert apart(result(predict(model, training), start, run, "euler"), expected) < 1e-5


def test_flow_by_heun_is_that_of_diffusers() -> None:
    reference = diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0)
    model = model_of("flow")
    run = levels_of(reference, 6)
    start, expected = stepped(reference, torch.from_numpy(noise(SEEDS, SHAPE)), model, [])
    assert apart(result(predict(model, flow(3.0)), start, run, "heun"), expected) < 1e-5


def test_flow_by_dpmpp_is_that_of_diffusers() -> None:
    reference = scheduler("dpmpp_2m", prediction_type="flow_prediction", use_flow_sigmas=True)
    reference.set_timesteps(8)
    sigmas = reference.sigmas.double().numpy()
    # The scheduler tells the network whole times.
    run = Levels(1 - sigmas, sigmas, reference.timesteps.double().numpy(), "flow")
    model = model_of("flow")
    start, expected = stepped(reference, torch.from_numpy(noise(SEEDS, SHAPE)), model, [])
    assert apart(result(predict(model, flow()), start, run, "dpmpp_2m"), expected) < 1e-4


def test_ddim_ends_where_the_weights_say() -> None:
    """Stable Diffusion's files say `set_alpha_to_one: false`: the last step ends at the first training level."""
    reference = scheduler("ddim", set_alpha_to_one=False, steps_offset=1)
    training = training_of(reference)
    model = model_of("epsilon")
    start, expected = theirs(reference, 5, torch.from_numpy(noise(SEEDS, SHAPE)), model, [])
    ours = result(predict(model, training), start, levels(training, 5, sampler="ddim"), "ddim")
    elsewhere = result(predict(model, training), start, levels(training, 5, sampler="euler"), "ddim")
    assert apart(ours, expected) < 1e-4 < 1e-3 < apart(elsewhere, expected)
