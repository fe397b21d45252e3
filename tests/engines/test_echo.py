"""The echo engine: deterministic, told apart by what matters, cancelled by closing."""

from __future__ import annotations

import numpy as np
import pytest
from tests.engines.tiny import ask

from fantascope.artifact import Output, Step
from fantascope.engines.base import Choice, Engine
from fantascope.engines.echo import EchoEngine
from fantascope.settings import Settings
from fantascope.spec import SPECS


@pytest.fixture
def engine() -> EchoEngine:
    return EchoEngine.load(SPECS["echo"], Choice("echo", "cpu", "fp32"), Settings())


def pixels(engine: EchoEngine, **more: object) -> list[np.ndarray]:
    return [event.pixels for event in engine.render(ask(**more)) if isinstance(event, Output)]


def test_is_an_engine_and_says_what_ran(engine: EchoEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.ran().exactness == "bit-exact" and engine.ran().weights[0].sha256


def test_same_request_same_pixels_and_a_batch_is_its_pictures(engine: EchoEngine) -> None:
    batch = pixels(engine, n=3, seed=5)
    assert len(batch) == 3
    for k, picture in enumerate(batch):
        assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
        assert (picture == pixels(engine, n=1, seed=5 + k)[0]).all()
    assert (batch[0] != batch[1]).any()


@pytest.mark.parametrize("change", [{"prompt": "other"}, {"steps": 4}, {"guidance": 2.0}, {"negative_prompt": "x"}])
def test_what_matters_changes_the_picture(engine: EchoEngine, change: dict[str, object]) -> None:
    assert (pixels(engine)[0] != pixels(engine, **change)[0]).any()


@pytest.mark.parametrize("change", [{"preview": True}, {"private": True}])
def test_what_does_not_matter_leaves_it(engine: EchoEngine, change: dict[str, object]) -> None:
    assert (pixels(engine)[0] == pixels(engine, **change)[0]).all()


def test_steps_are_yielded_with_previews_and_closing_stops(engine: EchoEngine) -> None:
    run = engine.render(ask(n=2, preview=True))
    first, second = next(run), next(run)
    assert isinstance(first, Step) and (first.stage, first.step, first.total) == ("encode", 0, 2)
    assert isinstance(second, Step) and second.step == 1 and second.preview.shape == (1, 32, 32, 3)
    run.close()
    assert list(run) == []


def test_odd_sizes(engine: EchoEngine) -> None:
    assert pixels(engine, width=1, height=513)[0].shape == (513, 1, 3)
