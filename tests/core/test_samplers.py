"""Samplers against exact solutions, and against what they promise."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from fantascope.core.denoise import denoise, predict
from fantascope.core.samplers import SAMPLERS
from fantascope.core.schedules import Levels, Training, flow, levels, scaled_linear, zero_terminal_snr
from fantascope.core.seeds import noise, stream
from fantascope.errors import InvalidValue, UnknownName

SHAPE = (4, 6, 5)
SEEDS = (3, 11)


def network(x: Any, time: float) -> Any:
    """A nonlinear model of NumPy arrays and torch tensors."""
    return sys.modules[type(x).__module__].tanh(1.5 * x + time / 1000) - 0.3


def result(denoiser: Any, x: Any, run: Levels, sampler: str, fresh: Any = None) -> Any:
    *_, last = denoise(denoiser, x, run, sampler, fresh)
    return last.x


TRAININGS = {
    "epsilon": scaled_linear(),
    "zero": zero_terminal_snr(scaled_linear(prediction="v_prediction", spacing="trailing")),
    "flow": flow(3.0),
}


def raw_of(training: Training, guess: Any) -> Any:
    """Turn an exact guess of x0 into the network of this training, which knows its level from the time."""

    def network(x: Any, time: float) -> Any:
        if training.kind == "flow":
            alpha, sigma = 1 - time / training.length, time / training.length
        else:
            ratio = np.exp(np.interp(time, np.arange(training.length), np.log(training.ratios)))
            alpha, sigma = 1 / np.sqrt(1 + ratio**2), ratio / np.sqrt(1 + ratio**2)
            if time == training.length - 1:
                alpha, sigma = training.alphas[-1], training.sigmas[-1]
        x0 = guess(x, alpha, sigma)
        eps = (x - alpha * x0) / sigma
        return {"epsilon": eps, "v_prediction": alpha * eps - sigma * x0, "flow": eps - x0}[training.prediction]

    return network


@pytest.mark.parametrize("schedule", ["default", "karras"])
@pytest.mark.parametrize("training", TRAININGS.values(), ids=TRAININGS.keys())
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_lands_on_the_data(sampler: str, training: Training, schedule: str) -> None:
    """With the exact guess for three narrow Gaussians, every picture ends at one of them, and all of them are met."""
    modes, width = np.array([[-1.5, 0.5], [0.4, 1.2], [1.2, -1.1]]), 0.02

    def guess(x: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
        flat = x.reshape(-1, 1, 2)
        spread = alpha**2 * width**2 + sigma**2
        far = -((flat - alpha * modes) ** 2).sum(2) / (2 * spread)
        weights = np.exp(far - far.max(1, keepdims=True))
        means = modes + (alpha * width**2 / spread) * (flat - alpha * modes)
        return ((weights[..., None] * means).sum(1) / weights.sum(1)[:, None]).reshape(x.shape)

    seeds, shape = range(60), (2, 1, 1)
    run = levels(training, 40, schedule, sampler=sampler)
    denoiser = predict(raw_of(training, guess), training)
    fresh = stream(seeds, shape)
    points = result(denoiser, noise(seeds, shape).astype(np.float64), run, sampler, fresh).reshape(-1, 1, 2)
    distances = np.linalg.norm(points - modes, axis=2)
    assert distances.min(1).max() < 0.15
    assert np.bincount(distances.argmin(1), minlength=3).min() >= 8


@pytest.mark.parametrize(
    ("sampler", "order"), [("ddim", 1), ("euler", 1), ("heun", 2), ("dpmpp_2m", 2)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("kind", ["vp", "flow"])
def test_order_of_accuracy(sampler: str, order: int, kind: Any) -> None:
    """Data that is one Gaussian has an exact path; twice the steps leave half the error, or a quarter."""
    mean, width = 0.7, 0.5

    def guess(x: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
        spread = alpha**2 * width**2 + sigma**2
        return mean + (alpha * width**2 / spread) * (x - alpha * mean)

    def error(steps: int) -> float:
        sigmas = np.linspace(0.98, 0, steps + 1)
        alphas = 1 - sigmas if kind == "flow" else np.sqrt(1 - sigmas**2)
        z = noise((1,), (1, 2, 2)).astype(np.float64)
        x = alphas[0] * mean + np.sqrt(alphas[0] ** 2 * width**2 + sigmas[0] ** 2) * z
        run = Levels(alphas, sigmas, np.zeros(steps), kind)
        got = result(lambda x, alpha, sigma, _: guess(x, alpha, sigma), x, run, sampler)
        return float(np.abs(got - (mean + width * z)).max())

    assert abs(np.log2(error(160) / error(320)) - order) < 0.4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_numpy_and_torch_agree(sampler: str) -> None:
    training = TRAININGS["zero"]
    run = levels(training, 6, sampler=sampler)
    x, fresh = noise(SEEDS, SHAPE), stream(SEEDS, SHAPE)
    ours = result(predict(network, training), x, run, sampler, fresh)
    tensors = result(
        predict(network, training), torch.from_numpy(x), run, sampler, lambda i: torch.from_numpy(fresh(i))
    )
    assert tensors.dtype == torch.float32
    assert np.allclose(tensors.numpy(), ours, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_is_the_same_in_any_batch(sampler: str) -> None:
    training = TRAININGS["zero"]
    denoiser = predict(network, training)
    run = levels(training, 6, sampler=sampler)
    both = result(denoiser, noise(SEEDS, SHAPE), run, sampler, stream(SEEDS, SHAPE))
    alone = result(denoiser, noise(SEEDS[1:], SHAPE), run, sampler, stream(SEEDS[1:], SHAPE))
    assert np.array_equal(both[1:], alone)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_states_count_steps_and_hand_out_the_guess(sampler: str) -> None:
    training = TRAININGS["zero"]
    start = noise(SEEDS, SHAPE)
    before = start.copy()
    states = list(
        denoise(
            predict(network, training),
            start,
            levels(training, 5, sampler=sampler),
            sampler,
            stream(SEEDS, SHAPE),
        )
    )
    assert [(s.step, s.steps) for s in states] == [(i, 5) for i in range(1, 6)]
    assert np.array_equal(states[-1].x, states[-1].denoised)
    assert not np.array_equal(states[0].x, states[0].denoised)
    assert np.array_equal(start, before)


def test_closing_cancels() -> None:
    asked = []

    def network(x: Any, time: float) -> Any:
        asked.append(time)
        return x

    training = TRAININGS["zero"]
    states = denoise(predict(network, training), noise(SEEDS, SHAPE), levels(training, 5), "euler")
    next(states)
    states.close()
    assert len(asked) == 1
    assert next(states, None) is None


def test_unknown_sampler_is_refused_at_once() -> None:
    with pytest.raises(UnknownName, match="euler"):
        denoise(lambda x, *_: x, noise((1,), SHAPE), levels(TRAININGS["zero"], 2), "eular")


@pytest.mark.parametrize("sampler", ["euler_ancestral", "lcm"])
def test_noise_is_asked_for_by_name(sampler: str) -> None:
    with pytest.raises(InvalidValue, match="noise"):
        result(lambda x, *_: x, noise((1,), SHAPE), levels(TRAININGS["zero"], 2), sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_pure_noise_is_a_start_for_everyone(sampler: str, prediction: Any) -> None:
    """An alpha of exactly 0 gives finite pictures, whatever the network predicts."""
    training = zero_terminal_snr(scaled_linear(prediction=prediction, spacing="trailing"))
    for schedule in ("default", "karras"):
        run = levels(training, 7, schedule, sampler=sampler)
        denoiser = predict((lambda x, _: x) if prediction == "epsilon" else network, training)
        got = result(denoiser, noise(SEEDS, SHAPE), run, sampler, stream(SEEDS, SHAPE))
        assert np.isfinite(got).all() and np.abs(got).max() < 100


def test_core_needs_numpy_alone() -> None:
    code = (
        "import sys, fantascope.core.denoise, fantascope.core.guidance, fantascope.core.seeds;"
        "print(*sorted({m.partition('.')[0] for m in sys.modules} & {'torch', 'diffusers', 'pydantic', 'PIL'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
