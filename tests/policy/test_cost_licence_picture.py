"""Quotes, licences and the seat for judging pictures."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.errors import InvalidPicture, InvalidValue
from fantascope.policy import Policy, check_licence, check_pictures, quote
from fantascope.policy.cost import read_tariff
from fantascope.receipt import Verdict
from fantascope.request import Imagine
from fantascope.spec import SPECS, Licence

SD = SPECS["sd15"]


def resolved(**changes: int) -> Imagine:
    return Imagine(**({"prompt": "a cat", "n": 1, "width": 512, "height": 512, "upscale": 1, "steps": 30} | changes))


@pytest.mark.parametrize(
    ("changes", "credits"),
    [
        ({}, "1.000"),
        ({"n": 4}, "4.000"),
        ({"steps": 15}, "0.500"),
        ({"steps": 10}, "0.334"),
        ({"width": 1024}, "2.000"),
        ({"width": 1024, "height": 1024, "upscale": 2}, "1.050"),
        ({"width": 2048, "height": 2048, "upscale": 4}, "1.100"),
        ({"steps": 1}, "0.100"),
        ({"n": 3, "steps": 1}, "0.300"),
    ],
)
def test_quotes(changes: dict[str, int], credits: str) -> None:
    assert str(quote(resolved(**changes), SD)) == credits


def test_the_default_of_every_model_costs_one_credit() -> None:
    for spec in SPECS.values():
        usual = spec.defaults
        request = resolved(width=usual.width, height=usual.height, upscale=usual.upscale, steps=usual.steps)
        assert quote(request, spec) == 1, spec.name


@given(st.integers(1, 64), st.integers(1, 8192), st.integers(1, 8192), st.integers(1, 1000))
def test_more_never_costs_less(n: int, width: int, height: int, steps: int) -> None:
    price = quote(resolved(n=n, width=width, height=height, steps=steps), SD)
    assert price == price.quantize(Decimal("0.001")) and price >= n * Decimal("0.1")
    assert quote(resolved(n=min(64, n + 1), width=width, height=height, steps=steps), SD) >= price
    assert quote(resolved(n=n, width=width, height=height, steps=min(1000, steps + 1)), SD) >= price


def test_an_unresolved_request_is_our_bug() -> None:
    with pytest.raises(AssertionError, match="resolved"):
        quote(Imagine(prompt="a cat"), SD)


PRICES = 'least = "1"\nupscale = "1"\nversion = "1"\n'


@pytest.mark.parametrize("text", ["", PRICES, PRICES + 'picture = "x"', PRICES + 'picture = "-1"', "picture = "])
def test_malformed_tariff(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tariff.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidValue, match="not a tariff"):
        read_tariff(path)


@pytest.mark.parametrize(
    ("licence", "commercial", "allowed", "said"),
    [
        (Licence(spdx="Apache-2.0", commercial=True), True, True, "commercial use allowed"),
        (Licence(spdx="Apache-2.0", commercial=True), None, True, "Apache-2.0"),
        (Licence(spdx="CC-BY-NC-4.0", commercial=False), True, False, "does not allow commercial use"),
        (Licence(spdx="CC-BY-NC-4.0", commercial=False), False, True, "not for commercial use"),
        (Licence(spdx="CC-BY-NC-4.0", commercial=False), None, True, "not for commercial use"),
        (Licence(spdx="LicenseRef-X", conditions="below 1 M"), True, True, "Conditions: below 1 M"),
        (Licence(spdx="LicenseRef-X"), None, True, "you have to read"),
        (Licence(spdx=""), None, False, "states no licence"),
        (Licence(spdx="NOASSERTION"), False, False, "states no licence"),
    ],
)
def test_licences(policy: Policy, licence: Licence, commercial: bool | None, allowed: bool, said: str) -> None:
    spec = SD.model_copy(update={"licence": licence})
    verdict = policy.check_licence(spec, commercial=commercial)
    assert verdict == check_licence(spec, commercial=commercial, policy=policy.hash)
    assert verdict.allowed is allowed and said in verdict.reason and verdict.subject == "sd15"
    assert (verdict.score >= verdict.threshold) is not allowed
    assert (verdict.offer is None) is allowed


def too_dark(picture: np.ndarray) -> Verdict:
    score = 1 - float(picture.mean()) / 255
    return Verdict(allowed=score < 0.9, rule="dark", score=score, threshold=0.9, reason="mean brightness")


def test_every_judge_sees_every_picture(policy: Policy) -> None:
    pictures = np.stack([np.full((4, 6, 3), value, np.uint8) for value in (255, 0, 200)])
    verdicts = policy.check_pictures(pictures, [too_dark])
    assert [(v.subject, v.allowed) for v in verdicts] == [
        ("picture 1", False),
        ("picture 0", True),
        ("picture 2", True),
    ]
    assert all(verdict.policy == policy.hash for verdict in verdicts)


def test_one_picture_and_no_judge() -> None:
    picture = np.zeros((2, 2, 4), np.uint8)
    assert check_pictures(picture, []) == []
    assert check_pictures(picture, [too_dark])[0].score == 1.0


def test_a_judge_cannot_change_the_picture() -> None:
    def vandal(picture: np.ndarray) -> Verdict:
        picture[:] = 0
        return too_dark(picture)

    with pytest.raises(ValueError, match="read-only"):
        check_pictures(np.ones((2, 2, 3), np.uint8), [vandal])


@pytest.mark.parametrize("pixels", [np.zeros((2, 2, 3)), np.zeros((2, 2, 2), np.uint8), [np.zeros((2, 2), np.uint8)],
                                    np.zeros((0, 2, 3), np.uint8)])  # fmt: skip
def test_what_is_no_picture(pixels: object) -> None:
    with pytest.raises(InvalidPicture, match="picture 0 is"):
        check_pictures(pixels, [too_dark])
