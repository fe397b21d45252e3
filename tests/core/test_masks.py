"""Masks in the loop, NumPy and torch alike: what is held stays exactly, edges meet, strength cuts the run."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fantascope.core.arrays import around, roll
from fantascope.core.denoise import denoise, predict
from fantascope.core.masks import FORMED, held, latent_mask, later, rolled
from fantascope.core.samplers import SAMPLERS
from fantascope.core.schedules import flow, levels, scaled_linear, zero_terminal_snr
from fantascope.core.seeds import noise, stream

SHAPE = (4, 6, 8)
SEEDS = (3, 11)
KINDS = {
    "epsilon": scaled_linear(),
    "zero": zero_terminal_snr(scaled_linear(prediction="v_prediction", spacing="trailing")),
    "flow": flow(3.0),
}


def network(x: Any, time: float) -> Any:
    """A nonlinear model of NumPy arrays and torch tensors."""
    return sys.modules[type(x).__module__].tanh(1.5 * x + time / 1000) - 0.3


def as_numpy(x: Any) -> Any:
    return x


BOTH = pytest.mark.parametrize("make", [as_numpy, torch.from_numpy], ids=["numpy", "torch"])


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 4, 8]), st.integers(0, 2**32 - 1))
def test_a_cell_is_painted_as_much_as_the_most_of_its_pixels(high: int, wide: int, factor: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((high * factor, wide * factor)).astype(np.float32)
    cells = latent_mask(mask, factor)
    assert cells.shape == (1, 1, high, wide)
    assert cells.dtype == np.float32
    for y in range(high):
        for x in range(wide):
            assert cells[0, 0, y, x] == mask[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor].max()


@BOTH
@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize("training", KINDS.values(), ids=KINDS.keys())
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_held_comes_out_as_it_went_in(sampler: str, training: Any, strength: float, make: Any) -> None:
    picture = make(noise([5], SHAPE))
    mask = make(np.zeros((1, 1, *SHAPE[1:]), np.float32))
    mask[..., 3:] = 1
    mask[..., 2] = 0.5
    run = later(levels(training, 8, "default", sampler=sampler), strength)
    fresh = stream(SEEDS, SHAPE)
    start = float(run.alphas[0]) * picture + float(run.sigmas[0]) * make(noise(SEEDS, SHAPE))
    denoiser = held(predict(network, training), picture, mask)
    *_, last = denoise(denoiser, start, run, sampler, lambda step: make(fresh(step)))
    difference = abs(last.x - picture)
    assert float(difference[..., :2].max()) < 1e-4
    assert float(difference[..., 3:].mean()) > 0.05
    assert last.x.shape == (2, *SHAPE)


@BOTH
def test_held_mixes_by_share(make: Any) -> None:
    x0, guess = make(np.full((1, *SHAPE), 2, np.float32)), make(np.full((2, *SHAPE), 6, np.float32))
    for share, wanted in ((0.0, 2), (0.25, 3), (1.0, 6)):
        mask = make(np.full((1, 1, *SHAPE[1:]), share, np.float32))
        said = held(lambda *_: guess, x0, mask)(guess, 1.0, 1.0, 0.0)
        assert float(said.min()) == float(said.max()) == wanted


@BOTH
@pytest.mark.parametrize(("down", "right"), [(True, False), (False, True), (True, True)])
def test_rolling_changes_nothing_for_a_model_that_knows_no_edges(down: bool, right: bool, make: Any) -> None:
    x = make(noise(SEEDS, SHAPE))
    plain = predict(network, scaled_linear())
    for time in (999.0, 500.0, 301.0, 1.0):
        for sigma in (0.2, 0.95):
            said = rolled(plain, down, right)(x, 0.8, sigma, time)
            assert float(abs(said - plain(x, 0.8, sigma, time)).max()) == 0


@BOTH
def test_rolling_shows_the_seam_as_the_middle_late_and_never_early(make: Any) -> None:
    x = make(np.arange(2 * 4 * 6 * 8, dtype=np.float32).reshape(2, *SHAPE))
    seen: list[Any] = []

    def watch(given: Any, *_: float) -> Any:
        seen.append(given)
        return given

    times = [float(t) for t in range(0, 1000, 7)]
    for time in times:
        assert float(abs(rolled(watch, True, True)(x, 1, FORMED - 0.1, time) - x).max()) == 0
    half = roll(x, (3, 4))
    shifted = [bool((given == half).all()) for given in seen]
    assert all(flag or bool((given == x).all()) for flag, given in zip(shifted, seen, strict=True))
    assert 0.4 < np.mean(shifted) < 0.6, "every other time"
    seen.clear()
    for time in times:
        rolled(watch, True, True)(x, 1, FORMED + 0.01, time)
    assert all(bool((given == x).all()) for given in seen)


@BOTH
def test_roll_and_around(make: Any) -> None:
    plain = np.arange(2 * 4 * 6 * 8, dtype=np.float32).reshape(2, *SHAPE)
    x = make(plain)
    assert (np.asarray(roll(x, (2, -3))) == np.roll(plain, (2, -3), (2, 3))).all()
    assert roll(x, (0, 0)) is x
    for rows, columns in ((0, 0), (2, 3), (7, 9)):
        wide = np.asarray(around(x, rows, columns))
        assert (wide == np.pad(plain, ((0, 0), (0, 0), (rows, rows), (columns, columns)), "wrap")).all()


@pytest.mark.parametrize("training", KINDS.values(), ids=KINDS.keys())
@given(steps=st.integers(1, 60), strength=st.floats(0, 1))
def test_strength_is_a_share_of_the_steps(training: Any, steps: int, strength: float) -> None:
    run = levels(training, steps, "default", sampler="ddim")
    part = later(run, strength)
    assert part.kind == run.kind
    assert part.steps == (0 if strength == 0 else max(1, round(steps * strength)))
    first = run.steps - part.steps
    for name in ("alphas", "sigmas", "times"):
        assert (np.asarray(getattr(part, name)) == np.asarray(getattr(run, name))[first:]).all()


def test_all_of_the_strength_is_the_whole_run_and_more_is_no_more() -> None:
    run = levels(scaled_linear(), 12, "karras", sampler="euler")
    assert later(run, 1.0).steps == later(run, 1.5).steps == 12
    assert later(run, 1e-9).steps == 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_numpy_and_torch_agree_on_a_fill(sampler: str) -> None:
    training = scaled_linear()
    picture, mask = noise([5], SHAPE), np.zeros((1, 1, *SHAPE[1:]), np.float32)
    mask[..., 3:] = 1
    run = later(levels(training, 6, "default", sampler=sampler), 0.7)
    said = []
    for make in (as_numpy, torch.from_numpy):
        fresh = stream(SEEDS, SHAPE)
        start = float(run.alphas[0]) * make(picture) + float(run.sigmas[0]) * make(noise(SEEDS, SHAPE))
        denoiser = rolled(held(predict(network, training), make(picture), make(mask)), False, True)
        *_, last = denoise(denoiser, start, run, sampler, lambda step, make=make, fresh=fresh: make(fresh(step)))
        said.append(np.asarray(last.x))
    assert np.abs(said[0] - said[1]).max() < 1e-4
