"""Noise: the same numbers for ever, normal, and of one picture alone."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from fantascope.core.seeds import _log, noise, stream

SHAPE = (4, 16, 16)


def test_golden() -> None:
    """If this fails, every picture anyone made gets another start: do not change the numbers, find the cause."""
    start, fresh = noise([0, 7, 2**32 - 1], SHAPE), stream([7], SHAPE)(3)
    assert np.array_equal(start[1, 0, 0, :4], np.array([0.70834404, -0.38957822, -1.5245351, -1.8051144], np.float32))
    assert (
        hashlib.sha256(start.astype("<f4").tobytes()).hexdigest()
        == "e6109e11ed7fc22712f9db86b018f61ea4fe55f6c8104b34d1a4254f77bd4f91"
    )
    assert (
        hashlib.sha256(fresh.astype("<f4").tobytes()).hexdigest()
        == "66a2e2f24879d59a5e6a68b55bc8b64145b194a0fd5959e2b29458152c666ff1"
    )


def test_shape_and_type() -> None:
    rows = noise([1, 2, 3], SHAPE)
    assert rows.shape == (3, *SHAPE) and rows.dtype == np.float32 and rows.flags["C_CONTIGUOUS"]
    assert noise([1], (1, 1, 1)).shape == (1, 1, 1, 1)


def test_a_picture_is_its_seed() -> None:
    rows = noise([5, 6, 5], SHAPE)
    assert np.array_equal(rows[0], rows[2]) and not np.array_equal(rows[0], rows[1])
    assert np.array_equal(rows[1:2], noise([6], SHAPE))


def test_every_step_has_noise_of_its_own() -> None:
    fresh = stream([5, 6], SHAPE)
    draws = [noise([5, 6], SHAPE), *(fresh(i) for i in range(50))]
    flat = np.stack(draws).reshape(102, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(102)).max() < 0.2
    assert np.array_equal(fresh(30), stream([6, 5], SHAPE)(30)[::-1])


def test_is_normal() -> None:
    """Kolmogorov's distance and the first moments of a million numbers, each within about four standard errors."""
    values = np.sort(noise(range(16), (4, 128, 128)).ravel().astype(np.float64))
    n = len(values)
    exact = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in values[:: n // 2048]])
    assert np.abs(exact - np.arange(n)[:: n // 2048] / n).max() < 2.2 / math.sqrt(n)
    assert abs(values.mean()) < 4 / math.sqrt(n)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs((values**4).mean() - 3) < 4 * math.sqrt(96 / n)
    assert 4.3 < np.abs(values).max() < 6.5


@pytest.mark.parametrize("x", [2.0**-104, 1e-9, 0.3, math.sqrt(0.5), 0.999999, 1 - 2.0**-53])
def test_logarithm(x: float) -> None:
    assert _log(np.array([x]))[0] == pytest.approx(math.log(x), rel=1e-15, abs=0)
