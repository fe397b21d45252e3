"""Figures against values known from elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from fantascope.evaluate.statistics import (
    bootstrap,
    clustered,
    frechet,
    halved,
    kernel_distance,
    nearest,
    psnr,
    spread,
    ssim,
    wilson,
)


@pytest.mark.parametrize(
    ("passed", "n", "low", "high"),
    [(0, 10, 0.0, 0.27753), (5, 10, 0.23659, 0.76341), (10, 10, 0.72247, 1.0), (81, 263, 0.25530, 0.36621)],
)
def test_wilson(passed: int, n: int, low: float, high: float) -> None:
    """The last row is Newcombe (1998), table I, method 3."""
    figure = wilson(passed, n)
    assert figure.value == passed / n and figure.n == n
    assert figure.low == pytest.approx(low, abs=1e-4) and figure.high == pytest.approx(high, abs=1e-4)
    assert wilson(0, 0).n == 0


def test_pictures_of_one_prompt_are_worth_less_than_as_many_prompts() -> None:
    together = clustered([[True] * 4] * 10 + [[False] * 4] * 10)
    assert together.value == 0.5 and together.n == 80
    assert (together.low, together.high) == pytest.approx((wilson(10, 20).low, wilson(10, 20).high))
    mixed = clustered([[True, False, True, False]] * 20)
    assert (mixed.low, mixed.high) == (wilson(40, 80).low, wilson(40, 80).high)
    assert clustered([[True]]).low == wilson(1, 1).low and clustered([]).n == 0


def test_bootstrap_covers_the_mean_of_a_normal_sample() -> None:
    values = np.random.default_rng(0).normal(3, 2, 400)
    figure = bootstrap(values)
    assert figure.value == pytest.approx(values.mean())
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.15)
    assert bootstrap(values) == figure
    assert bootstrap([]).n == 0


def test_frechet_of_two_gaussians() -> None:
    """Diagonal ones: squares of the differences of means and of deviations."""
    rng = np.random.default_rng(1)
    one = rng.normal(0, 1, (200_000, 3)) * [1, 2, 3]
    other = rng.normal(0, 1, (200_000, 3)) * [2, 2, 1] + [1, 0, 2]
    assert frechet(one, other) == pytest.approx(1 + 4 + 1 + 0 + 4, rel=0.02)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)


def test_frechet_of_turned_gaussians() -> None:
    rng = np.random.default_rng(2)
    flat = rng.normal(0, 1, (200_000, 2)) * [3, 1]
    assert frechet(flat, flat[:, ::-1]) == pytest.approx(2 * (3 - 1) ** 2, rel=0.02)


def test_kernel_distance_is_unbiased_at_nothing_and_grows() -> None:
    rng = np.random.default_rng(3)

    def draw(shift: float) -> np.ndarray:
        rows = rng.normal(0, 1, (300, 8)) + shift
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    same = [kernel_distance(draw(0), draw(0)) for _ in range(20)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 20**0.5 + 1e-4
    assert min(same) < 0 < kernel_distance(draw(0), draw(0.2)) < kernel_distance(draw(0), draw(0.5))


def test_half_samples_give_the_spread_of_a_distance() -> None:
    """Of a difference of means: the standard error is known."""
    rng = np.random.default_rng(4)
    one, other = rng.normal(0, 1, (400, 1)), rng.normal(0.5, 1, (400, 1))
    figure = halved(lambda a, b: float(b.mean() - a.mean()), one, other, rounds=400)
    assert figure.value == pytest.approx(0.5, abs=0.2) and figure.n == 400
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * (2 / 400) ** 0.5, rel=0.15)


def test_spread_and_nearest() -> None:
    rows = np.eye(3, dtype=np.float32)
    assert spread(rows) == pytest.approx(1)
    assert spread(np.ones((4, 1))) == pytest.approx(0)
    assert np.allclose(nearest(rows, rows[:2]), [0, 0, 1])


def test_psnr_and_ssim() -> None:
    rng = np.random.default_rng(5)
    one = rng.integers(0, 246, (64, 64, 3), np.uint8)
    assert psnr(one, one) == 99 and ssim(one, one) == pytest.approx(1)
    assert psnr(one, one + 10) == pytest.approx(20 * np.log10(25.5))
    noisy = np.clip(one + rng.normal(0, 40, one.shape), 0, 255).astype(np.uint8)
    assert 0.3 < ssim(one, noisy) < 0.95
    flat = np.full((32, 32, 3), 100, np.uint8)
    grey = np.full((32, 32, 3), 150, np.uint8)
    small = (0.01 * 255) ** 2
    assert ssim(flat, grey) == pytest.approx((2 * 100 * 150 + small) / (100**2 + 150**2 + small))
