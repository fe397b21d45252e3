"""Guidance against diffusers, and what 1 and 0 mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

from fantascope.core.guidance import guided
from fantascope.core.seeds import noise

SHAPE = (4, 5, 3)
RAW = noise(range(4), SHAPE) * np.array([1, 2, 3, 0.5], np.float32)[:, None, None, None]
X = noise((8, 9), SHAPE)


def network(x: Any, time: float) -> Any:
    """Say something else for every row, and see that both halves are the same pictures."""
    assert (x[:2] == x[2:]).all() and time == 7.0
    return torch.from_numpy(RAW) * x if isinstance(x, torch.Tensor) else RAW * x


@pytest.mark.parametrize("rescale", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("guidance", [0.0, 0.5, 4.0, 20.0])
def test_is_that_of_diffusers(guidance: float, rescale: float) -> None:
    x = torch.from_numpy(X)
    uncond, cond = (torch.from_numpy(RAW) * torch.cat([x, x])).chunk(2)
    expected = rescale_noise_cfg(uncond + guidance * (cond - uncond), cond, rescale).numpy()
    tensors = guided(network, guidance, rescale)(x, 7.0)
    arrays = guided(network, guidance, rescale)(X, 7.0)
    assert tensors.dtype == torch.float32 and arrays.dtype == np.float32
    assert np.allclose(tensors.numpy(), expected, rtol=1e-5, atol=1e-6)
    assert np.allclose(arrays, expected, rtol=1e-5, atol=1e-6)


def test_one_is_off() -> None:
    assert guided(network, 1.0, 0.7) is network


def test_zero_says_what_is_said_without_the_condition() -> None:
    assert np.array_equal(guided(network, 0.0, 0.0)(X, 7.0), RAW[:2] * X)


def test_full_rescale_gives_every_picture_the_contrast_of_its_condition() -> None:
    mixed = guided(network, 9.0, 1.0)(X, 7.0)
    assert np.allclose(mixed.std((1, 2, 3)), (RAW[2:] * X).std((1, 2, 3)), rtol=1e-5)
