"""Noise schedules: against diffusers' numbers, against their laws, and what is refused."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fantascope.core.samplers import SAMPLERS
from fantascope.core.schedules import (
    CONFIGS,
    SCHEDULES,
    SPACINGS,
    cosine,
    flow,
    levels,
    linear,
    scaled_linear,
    training_from_config,
    zero_terminal_snr,
)
from fantascope.errors import BrokenModelFile, FantascopeError, InvalidValue, UnknownName, Unsupported

pytestmark = pytest.mark.filterwarnings("ignore:__array_.* (implementation|must accept):DeprecationWarning")
"""Diffusers' own, with NumPy 2."""


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize(
    ("build", "config"),
    [
        (scaled_linear, {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}),
        (linear, {"beta_schedule": "linear"}),
        (cosine, {"beta_schedule": "squaredcos_cap_v2"}),
    ],
)
def test_builders_are_those_of_diffusers(build: Any, config: dict[str, Any], zero: bool) -> None:
    """Within the rounding of diffusers' float32 products."""
    config |= {"rescale_betas_zero_snr": zero, "set_alpha_to_one": False}
    kept = diffusers.DDIMScheduler(**config).alphas_cumprod.double().numpy()
    built = zero_terminal_snr(build()) if zero else build()
    read = training_from_config({"_class_name": "DDIMScheduler"} | config)
    assert np.array_equal(built.alphas, read.alphas) and np.array_equal(built.sigmas, read.sigmas)
    assert read.final_alpha == read.alphas[0]
    assert np.allclose(read.alphas**2, kept, rtol=2e-4, atol=1e-9)
    assert np.allclose(read.sigmas**2, 1 - kept, rtol=1e-3, atol=1e-6)
    assert not zero or (read.alphas[-1] == 0 and read.sigmas[-1] == 1)


# LMSDiscreteScheduler cannot even be made without SciPy.
@pytest.mark.parametrize("name", sorted(CONFIGS.keys() - {"LMSDiscreteScheduler"}))
def test_what_a_file_leaves_out_means_what_it_means_in_diffusers(name: str) -> None:
    reference = getattr(diffusers, name)()
    left_out = training_from_config({"_class_name": name})
    said = training_from_config({"_class_name": name, "clip_sample": False} | dict(reference.config, clip_sample=False))
    if left_out.kind == "flow":
        assert np.allclose(left_out.sigmas[::-1], reference.sigmas[: left_out.length].numpy(), rtol=1e-6)
    else:
        assert np.allclose(left_out.alphas, np.sqrt(reference.alphas_cumprod.double().numpy()), rtol=1e-4)
        default = inspect.signature(type(reference).__init__).parameters.get("timestep_spacing")
        assert left_out.spacing == ("linspace" if default is None else default.default)
    for field in ("prediction", "kind", "spacing", "steps_offset", "final_alpha", "shift", "distilled"):
        assert getattr(left_out, field) == getattr(said, field), field


SD15 = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}


def test_the_file_of_a_known_checkpoint() -> None:
    training = training_from_config(SD15)
    assert (training.prediction, training.spacing, training.steps_offset) == ("epsilon", "leading", 1)
    assert training.final_alpha == training.alphas[0] == pytest.approx(np.sqrt(1 - 0.00085))
    run = levels(training, 20, sampler="ddim")
    assert run.times[[0, 1, -1]].tolist() == [951, 901, 1]
    assert run.alphas[-1] == training.final_alpha


def test_listed_betas() -> None:
    betas = [0.1, 0.2, 0.5]
    training = training_from_config({"trained_betas": betas, "num_train_timesteps": 3})
    assert training.alphas**2 == pytest.approx([0.9, 0.72, 0.36])
    assert levels(training, 3, sampler="lcm").times.tolist() == [2, 1, 0]


@pytest.mark.parametrize("name", ["DDIM", "EulerDiscrete", "DPMSolverMultistep", "LCM"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_times_are_those_of_diffusers(name: str, spacing: Any) -> None:
    sampler = {"DDIM": "ddim", "EulerDiscrete": "euler", "DPMSolverMultistep": "dpmpp_2m", "LCM": "lcm"}[name]
    reference = getattr(diffusers, f"{name}Scheduler")(timestep_spacing=spacing, steps_offset=1)
    training = training_from_config({"_class_name": f"{name}Scheduler"} | dict(reference.config, clip_sample=False))
    for steps in (2, 3, 4, 7, 20, 25, 30, 48, 50) + ((99, 333, 499) if sampler != "lcm" else ()):
        reference.set_timesteps(steps)
        # DDIM rounds the times of `linspace`; between training steps our levels are interpolated.
        off = 0.5 if (sampler, spacing) == ("ddim", "linspace") else 1e-3
        ours = levels(training, steps, sampler=sampler).times
        # Of 499 steps `trailing`, rounding makes 500 in diffusers.
        assert np.abs(ours - reference.timesteps.double().numpy()[:steps]).max() <= off, steps


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from([linear, scaled_linear, cosine, flow]),
    st.booleans(),
    st.floats(0.2, 20),
    st.integers(0, 5),
    st.sampled_from(SPACINGS),
    st.integers(1, 1000),
    st.sampled_from([*SCHEDULES]),
    st.sampled_from([None, *SAMPLERS]),
)
def test_levels_go_from_noise_to_the_picture(
    build: Any, flag: bool, shift: float, offset: int, spacing: Any, steps: int, schedule: str, sampler: str | None
) -> None:
    training = build(shift) if build is flow else build(steps_offset=offset, spacing=spacing)
    if flag and build is not flow:
        training = zero_terminal_snr(training)
        training = replace(training, final_alpha=float(training.alphas[0]))
    if sampler == "lcm":
        steps = min(steps, 50)
    run = levels(training, steps, schedule, sampler=sampler)
    assert run.steps == steps and len(run.alphas) == len(run.sigmas) == steps + 1
    assert np.isfinite(run.alphas).all() and np.isfinite(run.sigmas).all()
    # DDIM's own end can be the level before it, to the last bit or nearly.
    assert (np.diff(run.alphas) >= -1e-12).all() and (np.diff(run.sigmas) <= 1e-12).all()
    assert (np.diff(run.sigmas[:-1] / np.maximum(run.alphas[:-1], 2**-12)) < 0).all()
    assert (np.diff(run.times) <= (0 if schedule == "karras" else -1e-9)).all()
    assert run.times[-1] >= 0 and run.times[0] <= training.length - (training.kind == "vp")
    assert (run.sigmas[:-1] > 0).all() and run.alphas[0] >= 0
    end = training.final_alpha if sampler == "ddim" else 1.0
    assert run.alphas[-1] == end and run.sigmas[-1] == pytest.approx(np.sqrt(1 - end**2))
    total = run.alphas + run.sigmas if training.kind == "flow" else run.alphas**2 + run.sigmas**2
    assert np.allclose(total, 1, atol=1e-12)


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp_2m"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_no_time_comes_twice(spacing: Any, sampler: str) -> None:
    training = scaled_linear(steps_offset=1)
    for steps in (*range(2, 1000, 9), 998, 999, 1000):
        assert (np.diff(levels(training, steps, spacing=spacing, sampler=sampler).times) < 0).all(), steps


@pytest.mark.parametrize("sampler", [None, *SAMPLERS])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_one_step_starts_from_full_noise(spacing: Any, sampler: str | None) -> None:
    run = levels(scaled_linear(steps_offset=1), 1, spacing=spacing, sampler=sampler)
    assert run.times.tolist() == [999.0]


def test_zero_terminal_snr_starts_without_a_trace_of_the_picture() -> None:
    run = levels(zero_terminal_snr(scaled_linear(spacing="trailing")), 10)
    assert (run.alphas[0], run.sigmas[0], run.times[0]) == (0.0, 1.0, 999.0)


@pytest.mark.parametrize(
    ("config", "error", "said"),
    [
        ({"_class_name": "EDMEulerScheduler"}, UnknownName, "EDMEulerScheduler"),
        ({"beta_schedul": "linear"}, UnknownName, "beta_schedule"),
        ({"beta_schedule": "sigmoid"}, UnknownName, "sigmoid"),
        ({"prediction_type": "v-prediction"}, UnknownName, "v_prediction"),
        ({"timestep_spacing": "trailling"}, UnknownName, "trailing"),
        ({"timestep_type": "continuous"}, Unsupported, "timestep_type"),
        ({"thresholding": True}, Unsupported, "thresholding"),
        ({"clip_sample": True}, Unsupported, "clip_sample"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True}, Unsupported, "dynamic"),
        ({"num_train_timesteps": 10**12}, BrokenModelFile, "num_train_timesteps"),
        ({"beta_start": "0.1"}, BrokenModelFile, "beta_start"),
        ({"beta_end": float("nan")}, BrokenModelFile, "beta_end"),
        ({"steps_offset": -1}, BrokenModelFile, "steps_offset"),
        ({"trained_betas": [0.1, 0.2]}, BrokenModelFile, "trained_betas"),
        ({"trained_betas": "all of them"}, BrokenModelFile, "trained_betas"),
        ({"kind": "flow"}, UnknownName, "kind"),
    ],
    ids=str,
)
def test_files_that_are_refused(config: dict[str, Any], error: type[FantascopeError], said: str) -> None:
    with pytest.raises(error, match=said):
        training_from_config(config)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
fields = ["_class_name", "beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type"]
fields += ["trained_betas", "steps_offset", "shift", "timestep_spacing", "clip_sample", "original_inference_steps"]


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(fields), json, max_size=3))
def test_any_file_is_read_or_refused(config: dict[str, Any]) -> None:
    try:
        training = training_from_config(config)
    except FantascopeError:
        return
    assert np.isfinite(training.alphas).all() and np.isfinite(training.sigmas).all()


@pytest.mark.parametrize("steps", [-1, 0, 1001])
def test_steps_out_of_range(steps: int) -> None:
    with pytest.raises(InvalidValue, match="1 to 1000"):
        levels(scaled_linear(), steps)


def test_a_consistency_model_has_as_many_steps_as_its_distillation() -> None:
    with pytest.raises(InvalidValue, match="1 to 50"):
        levels(scaled_linear(), 51, sampler="lcm")


def test_unknown_names() -> None:
    with pytest.raises(UnknownName, match="karras"):
        levels(scaled_linear(), 5, "karas")
    with pytest.raises(UnknownName, match="trailing"):
        levels(scaled_linear(), 5, spacing="trail")  # type: ignore[arg-type]
