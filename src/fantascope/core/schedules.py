"""Noise schedules: what weights were trained with, and the levels one sampling run goes through.

A noisy picture is `x = alpha * x0 + sigma * eps`, with `x0` of about unit variance and `eps` standard normal.
Variance-preserving models ("vp") hold `alpha² + sigma² = 1`, flow models `alpha + sigma = 1`. Everything here is
float64; data stays float32 and meets these numbers as Python floats.

Zero terminal SNR means that the last training level has `alpha = 0`. That level is kept exact. Only where the ratio
`sigma / alpha` must be finite (Karras levels, levels between two training steps, log-SNR) does `ALPHA_FLOOR` stand
in for 0: alpha² = 2⁻²⁴, the value that diffusers puts there.

Sources: Ho et al., "Denoising diffusion probabilistic models" (2020), section 4 (linear); Rombach et al.,
"High-resolution image synthesis with latent diffusion models" (2022), its code (scaled linear); Nichol & Dhariwal,
"Improved DDPM" (2021), equation 17 (cosine); Lin et al., "Common diffusion noise schedules and sample steps are
flawed" (2023), algorithm 1 (zero terminal SNR), table 2 (spacing); Karras et al., "Elucidating the design space of
diffusion-based generative models" (2022), equation 5; Esser et al., "Scaling rectified flow transformers" (2024),
section 5.3.2 (shift); Luo et al., "Latent consistency models" (2023), section 4.3 (the grid of a distillation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fantascope.errors import BrokenModelFile, InvalidValue, UnknownName, Unsupported

Floats = npt.NDArray[np.float64]
Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]
Spacing = Literal["leading", "trailing", "linspace"]

ALPHA_FLOOR = 2.0**-12
"""What stands in for an alpha of 0 where `sigma / alpha` must be finite."""

SPACINGS: tuple[Spacing, ...] = ("leading", "trailing", "linspace")
RHO = 7.0
"""Exponent of Karras' levels (2022, table 1)."""


@dataclass(frozen=True, eq=False)
class Training:
    """The noise that weights were trained with.

    Attributes:
        alphas: `(T,)`, falling with time: the share of the picture at time 0 … T - 1.
        sigmas: `(T,)`, rising with time: the share of the noise.
        prediction: What the network says: the noise, the velocity `alpha * eps - sigma * x0`, the picture, or
            (flow) `eps - x0`.
        kind: "vp" or "flow".
        spacing: How a run picks its times out of the T.
        steps_offset: Added to the times of `leading`.
        final_alpha: Where DDIM's last step ends: 1, or `alphas[0]` for weights with `set_alpha_to_one` false.
        shift: Of flow models: how far times are pushed towards noise, 1 is not at all.
        distilled: Times of the grid that a latent consistency model was distilled on, at most T.
    """

    alphas: Floats = field(repr=False)
    sigmas: Floats = field(repr=False)
    prediction: Prediction = "epsilon"
    kind: Literal["vp", "flow"] = "vp"
    spacing: Spacing = "leading"
    steps_offset: int = 0
    final_alpha: float = 1.0
    shift: float = 1.0
    distilled: int = 50

    @property
    def length(self) -> int:
        """T, the number of training times."""
        return len(self.alphas)

    @property
    def ratios(self) -> Floats:
        """`(T,)` rising and finite: `sigma / alpha`, with `ALPHA_FLOOR` for an alpha of 0."""
        return self.sigmas / np.where(self.alphas == 0, ALPHA_FLOOR, self.alphas)


@dataclass(frozen=True, eq=False)
class Levels:
    """One sampling run of N steps: step i leads from level i to level i + 1.

    Attributes:
        alphas: `(N + 1,)`, rising to 1. The run starts from `sigmas[0]` of noise; for text to image that is plain
            standard normal noise, since where `sigmas[0] < 1` the missing share is a picture of unit variance.
        sigmas: `(N + 1,)`, falling to 0.
        times: `(N,)`, what the network is told at level i; fractional where a level lies between training times.
        kind: Of the training.
    """

    alphas: Floats = field(repr=False)
    sigmas: Floats = field(repr=False)
    times: Floats = field(repr=False)
    kind: Literal["vp", "flow"] = "vp"

    @property
    def steps(self) -> int:
        return len(self.times)


def from_betas(betas: Floats, **more: Any) -> Training:
    """Return the training of variance-preserving weights: `betas` `(T,)` in 0 … 1, `more` as fields of `Training`."""
    kept = np.cumprod(1.0 - np.asarray(betas, np.float64))
    return Training(np.sqrt(kept), np.sqrt(1.0 - kept), **more)


def linear(beta_start: float = 0.0001, beta_end: float = 0.02, length: int = 1000, **more: Any) -> Training:
    """Betas on a line."""
    return from_betas(np.linspace(beta_start, beta_end, length), **more)


def scaled_linear(beta_start: float = 0.00085, beta_end: float = 0.012, length: int = 1000, **more: Any) -> Training:
    """Square roots of the betas on a line: Stable Diffusion's schedule."""
    return from_betas(np.linspace(math.sqrt(beta_start), math.sqrt(beta_end), length) ** 2, **more)


def cosine(length: int = 1000, max_beta: float = 0.999, **more: Any) -> Training:
    """Improved DDPM's schedule, `squaredcos_cap_v2` in diffusers."""
    share = np.cos((np.arange(length + 1) / length + 0.008) / 1.008 * math.pi / 2) ** 2
    return from_betas(np.minimum(1 - share[1:] / share[:-1], max_beta), **more)


def flow(shift: float = 1.0, length: int = 1000, **more: Any) -> Training:
    """Rectified flow: sigma runs over 1/T … 1, pushed towards noise by `shift`."""
    sigmas = _shifted(np.arange(1, length + 1) / length, shift)
    return Training(1 - sigmas, sigmas, **({"prediction": "flow"} | more), kind="flow", shift=shift)


def zero_terminal_snr(training: Training) -> Training:
    """Rescale a schedule so that its last level is pure noise (Lin et al. 2023, algorithm 1)."""
    first, last = training.alphas[0], training.alphas[-1]
    alphas = (training.alphas - last) * (first / (first - last))
    return replace(training, alphas=alphas, sigmas=np.sqrt(1 - alphas**2))


def levels(
    training: Training,
    steps: int,
    schedule: str = "default",
    spacing: Spacing | None = None,
    sampler: str | None = None,
) -> Levels:
    """Return the levels of one run.

    Args:
        training: What the weights were trained with.
        steps: N, from 1 to T.
        schedule: A name of `SCHEDULES`.
        spacing: Instead of the training's own.
        sampler: Lays out the times as diffusers' scheduler of this name does. `dpmpp_2m` counts the end as a
            point of its grid, `lcm` takes its times from the grid of its distillation, `ddim` ends at
            `final_alpha`; every other name, and none, takes the grid of the Euler schedulers.

    Raises:
        UnknownName: no such schedule or spacing.
        InvalidValue: `steps` out of range.

    Where diffusers is improved on: a run of one step starts from full noise with any spacing (there `leading` and
    `linspace` would start it at the clean end), and DDIM's steps meet its times where N does not divide T.
    """
    if schedule not in SCHEDULES:
        raise UnknownName("schedule", schedule, SCHEDULES)
    spacing = training.spacing if spacing is None else spacing
    if spacing not in SPACINGS:
        raise UnknownName("spacing", spacing, SPACINGS)
    most = training.distilled if sampler == "lcm" and training.kind == "vp" else training.length
    if not 1 <= steps <= most:
        raise InvalidValue(f"steps must be from 1 to {most} with these weights, not {steps}.", param="steps")
    if training.kind == "flow":
        return _flow_levels(training, steps, schedule)
    return SCHEDULES[schedule](training, _times(training, steps, spacing, sampler), sampler)


def _default(training: Training, times: Floats, sampler: str | None) -> Levels:
    """Levels of the training at these times; ratios of fractional ones are interpolated."""
    below = np.floor(times).astype(np.int64)
    ratios = np.interp(times, np.arange(training.length), training.ratios)
    whole = times == below
    alphas = np.where(whole, training.alphas[below], _alphas_of(ratios))
    sigmas = np.where(whole, training.sigmas[below], ratios * _alphas_of(ratios))
    return _ended(training, alphas, sigmas, times, sampler)


def _karras(training: Training, times: Floats, sampler: str | None) -> Levels:
    """Karras' levels between the ends of `times`, or (`dpmpp_2m`, whose times are whole) of the training."""
    table = training.ratios
    ends = np.interp(times[[0, -1]], np.arange(training.length), table)
    if sampler == "dpmpp_2m":
        ends = table[[-1, 0]]
    ratios = _karras_between(ends[0], ends[1], len(times))
    told = np.interp(np.log(ratios), np.log(table), np.arange(training.length))
    if sampler == "dpmpp_2m":
        told = told.round()
    return _ended(training, _alphas_of(ratios), ratios * _alphas_of(ratios), told, sampler)


SCHEDULES: dict[str, Callable[[Training, Floats, str | None], Levels]] = {"default": _default, "karras": _karras}
"""How the levels of a run are spaced, by name."""


def _times(training: Training, steps: int, spacing: Spacing, sampler: str | None) -> Floats:
    """Return the falling times `(N,)` of a run, in 0 … T - 1."""
    total = training.length
    if sampler == "lcm":
        stride = total // training.distilled
        picked = np.floor(np.linspace(0, training.distilled, steps, endpoint=False))
        return (training.distilled - picked) * stride - 1
    if steps == 1:
        return np.array([total - 1.0])
    ended = sampler == "dpmpp_2m"
    points = min(steps + ended, total)
    if spacing == "linspace":
        times = np.linspace(0, total - 1, points)[::-1][:steps]
        return times.round() if ended else times
    if spacing == "trailing":
        return np.arange(total, 0, -total / steps)[:steps].round() - 1
    rising = np.arange(ended, steps + ended) * (total // points)
    return np.asarray(rising + min(training.steps_offset, total - 1 - rising[-1]), np.float64)[::-1]


def _ended(training: Training, alphas: Floats, sigmas: Floats, times: Floats, sampler: str | None) -> Levels:
    """Append the level that the last step leads to."""
    final = training.final_alpha if sampler == "ddim" else 1.0
    return Levels(np.append(alphas, final), np.append(sigmas, math.sqrt(1 - final**2)), times)


def _flow_levels(training: Training, steps: int, schedule: str) -> Levels:
    """Levels of a flow model. The lowest sigma is shifted twice, as in diffusers."""
    sigmas = _shifted(np.linspace(1.0, training.sigmas[0], steps), training.shift)
    if schedule == "karras":
        sigmas = _karras_between(sigmas[0], sigmas[-1], steps)
    ended = np.append(sigmas, 0.0)
    return Levels(1 - ended, ended, sigmas * training.length, "flow")


def _shifted(sigmas: Floats, shift: float) -> Floats:
    # Written so that a sigma of 1 stays exactly 1.
    return shift * sigmas / (shift * sigmas + (1 - sigmas))


def _alphas_of(ratios: Floats) -> Floats:
    return 1 / np.sqrt(1 + ratios**2)


def _karras_between(high: float, low: float, steps: int) -> Floats:
    high, low = high ** (1 / RHO), low ** (1 / RHO)
    return (high + np.linspace(0, 1, steps) * (low - high)) ** RHO


_LEADING = {"timestep_spacing": "leading"}
_LINSPACE = {"timestep_spacing": "linspace"}
_LATENT_BETAS = {"beta_start": 0.00085, "beta_end": 0.012}
_CONSISTENCY = _LEADING | _LATENT_BETAS | {"beta_schedule": "scaled_linear"}

CONFIGS: dict[str, dict[str, Any]] = {
    "DDIMScheduler": _LEADING,
    "DDPMScheduler": _LEADING,
    "PNDMScheduler": _LEADING | {"set_alpha_to_one": False},
    "LCMScheduler": _CONSISTENCY,
    "TCDScheduler": _CONSISTENCY,
    "LMSDiscreteScheduler": _LINSPACE,
    "EulerDiscreteScheduler": _LINSPACE,
    "EulerAncestralDiscreteScheduler": _LINSPACE,
    "HeunDiscreteScheduler": _LINSPACE | _LATENT_BETAS,
    "KDPM2DiscreteScheduler": _LINSPACE | _LATENT_BETAS,
    "KDPM2AncestralDiscreteScheduler": _LINSPACE | _LATENT_BETAS,
    "DPMSolverMultistepScheduler": _LINSPACE,
    "DPMSolverSinglestepScheduler": _LINSPACE,
    "DEISMultistepScheduler": _LINSPACE,
    "UniPCMultistepScheduler": _LINSPACE,
    "FlowMatchEulerDiscreteScheduler": {"kind": "flow"},
    "FlowMatchHeunDiscreteScheduler": {"kind": "flow"},
}
"""The scheduler classes whose files are read, and what such a file means by the fields it leaves out."""

_COMMON: dict[str, Any] = {
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "original_inference_steps": 50,
    "shift": 1.0,
}
"""What is read, and what a file means that leaves it out."""

_ONLY: dict[str, tuple[Any, ...]] = {
    "clip_sample": (False, None),
    "thresholding": (False, None),
    "timestep_type": ("discrete",),
    "timestep_scaling": (10, None),
    "variance_type": ("fixed_small", None),
    "final_sigmas_type": ("zero", None),
    "use_flow_sigmas": (False, None),
    "use_dynamic_shifting": (False, None),
    "shift_terminal": (None,),
    "invert_sigmas": (False, None),
    "sigma_min": (None,),
    "sigma_max": (None,),
}
"""What would change the pictures in a way that is not done here, with the values that do not."""

_LEFT_TO_THE_RUN = frozenset(
    {
        "algorithm_type",
        "base_image_seq_len",
        "base_shift",
        "clip_sample_range",
        "disable_corrector",
        "dynamic_thresholding_ratio",
        "euler_at_final",
        "flow_shift",
        "interpolation_type",
        "lambda_min_clipped",
        "lower_order_final",
        "max_image_seq_len",
        "max_shift",
        "predict_x0",
        "sample_max_value",
        "skip_prk_steps",
        "solver_order",
        "solver_p",
        "solver_type",
        "stochastic_sampling",
        "time_shift_type",
        "timestep_spacing",
        "use_beta_sigmas",
        "use_exponential_sigmas",
        "use_karras_sigmas",
        "use_lu_lambdas",
    }
)
"""What says how to sample, which the request does here, or qualifies what `_ONLY` keeps off."""


def training_from_config(config: Mapping[str, Any]) -> Training:
    """Read a diffusers `scheduler_config.json`.

    Args:
        config: The file as plain data. Fields that start with an underscore are notes, but for `_class_name`.

    Raises:
        UnknownName: a scheduler class, field, beta schedule, prediction or spacing that is not known here.
        Unsupported: a field asks for something that would change the pictures and is not done here.
        BrokenModelFile: a field is not a number or far out of range.

    Example:
        >>> training_from_config({"_class_name": "DDIMScheduler", "prediction_type": "v_prediction"}).length
        1000
    """
    name = str(config.get("_class_name", "DDIMScheduler"))
    if name not in CONFIGS:
        raise UnknownName("scheduler", name, CONFIGS)
    for key, value in config.items():
        if key in _ONLY and value not in _ONLY[key]:
            raise Unsupported(f"The scheduler field {key} = {value!r} is not supported; only {_ONLY[key][0]!r} is.")
        if not key.startswith("_") and key not in {*_ONLY, *_COMMON, *_LEFT_TO_THE_RUN}:
            raise UnknownName("scheduler field", key, {*_ONLY, *_COMMON, *_LEFT_TO_THE_RUN})
    known = _COMMON | CONFIGS[name] | dict(config)
    length = int(_number(known, "num_train_timesteps", 1, 100_000))
    if known.get("kind") == "flow":
        return flow(_number(known, "shift", 1e-3, 1e3), length)
    more = {
        "prediction": _name(known, "prediction_type", ("epsilon", "v_prediction", "sample")),
        "spacing": _name(known, "timestep_spacing", SPACINGS),
        "steps_offset": int(_number(known, "steps_offset", 0, length - 1)),
        "distilled": min(int(_number(known, "original_inference_steps", 1, 100_000)), length),
    }
    training = _trained(known, length, more)
    if known["rescale_betas_zero_snr"]:
        training = zero_terminal_snr(training)
    return training if known["set_alpha_to_one"] else replace(training, final_alpha=float(training.alphas[0]))


def _trained(known: Mapping[str, Any], length: int, more: Mapping[str, Any]) -> Training:
    listed = known["trained_betas"]
    if listed is not None:
        if not isinstance(listed, list) or len(listed) != length:
            raise BrokenModelFile(f"The scheduler field trained_betas must be a list of {length} numbers.")
        return from_betas(np.array([_number({"trained_betas": b}, "trained_betas", 1e-9, 1) for b in listed]), **more)
    rule = _name(known, "beta_schedule", ("linear", "scaled_linear", "squaredcos_cap_v2"))
    if rule == "squaredcos_cap_v2":
        return cosine(length, **more)
    start, end = _number(known, "beta_start", 1e-9, 0.999), _number(known, "beta_end", 1e-9, 0.999)
    return (linear if rule == "linear" else scaled_linear)(start, end, length, **more)


def _number(known: Mapping[str, Any], key: str, low: float, high: float) -> float:
    value = known[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise BrokenModelFile(f"The scheduler field {key} must be a number from {low:g} to {high:g}, not {value!r}.")
    return value


def _name(known: Mapping[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    if known[key] not in allowed:
        raise UnknownName(key.replace("_", " "), str(known[key]), allowed)
    return str(known[key])
