"""Memory: engines leave when there is too much of it or they are told to, and accounts share what is loaded."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.homes import lend

from fantascope.artifact import Output
from fantascope.engines import load
from fantascope.engines.base import Choice
from fantascope.engines.detector import Detector
from fantascope.engines.echo import EchoEngine
from fantascope.engines.load import Engines
from fantascope.engines.memory import Once, resident
from fantascope.engines.words import shared_words
from fantascope.request import Imagine
from fantascope.settings import Settings
from fantascope.spec import SPECS, Spec

ECHO = Choice("echo", "cpu", "fp32")
GRAPH = Choice("graph", "cpu", "fp32", (), "openvino")


def spec(name: str) -> Spec:
    return SPECS["echo"].model_copy(update={"name": name})


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the Specs whose engines were closed."""
    names: list[str] = []
    monkeypatch.setattr(EchoEngine, "close", lambda self: names.append(self.spec.name))
    return names


def use(engines: Engines, *names: str) -> None:
    for name in names:
        with engines.lease(spec(name), ECHO):
            pass


def test_what_was_used_least_recently_leaves_until_there_is_room(
    home: Path, closed: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    held = [100 << 20]
    monkeypatch.setattr(load, "resident", lambda: held[0] - (30 << 20) * len(closed))
    engines = Engines(Settings(home=home), limit=9, memory=100 << 20)
    use(engines, "a", "b", "c", "d", "a")
    assert closed == []
    held[0] = 150 << 20
    with caplog.at_level(logging.INFO, "fantascope"):
        use(engines, "d")
    assert closed == ["b", "c"]
    assert "this process holds 150 MB and may hold 100: the least recently used engine goes" in caplog.messages


def test_those_in_use_and_the_last_stay_however_much_it_is(home: Path, closed: list[str]) -> None:
    engines = Engines(Settings(home=home), limit=9, memory=1)
    use(engines, "a")
    assert closed == [] and len(engines) == 1
    with engines.lease(spec("b"), ECHO):
        assert closed == ["a"]
        use(engines, "c")
        assert closed == ["a"] and len(engines) == 2
    assert closed == ["a", "b"]


def test_a_system_that_does_not_tell_keeps_its_engines(
    home: Path, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fantascope.engines.memory.STATM", home / "none")
    assert resident() is None
    engines = Engines(Settings(home=home), limit=9, memory=1)
    use(engines, "a", "b")
    engines.drop()
    assert closed == ["a", "b"]


def test_dropping_gives_memory_back_and_works_on(
    tmp_path: Path, home: Path, closed: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=lend(tmp_path / "lent"), threads=1)
    request = Imagine(
        prompt="a cat",
        n=1,
        seed=1,
        width=96,
        height=96,
        upscale=1,
        steps=1,
        guidance=4.0,
        guidance_rescale=0.7,
        sampler="ddim",
        schedule="default",  # type: ignore[arg-type]
    )

    def picture() -> Any:
        with engines.lease(SPECS["embedded"], GRAPH) as engine:
            return next(event.pixels for event in engine.render(request) if isinstance(event, Output))

    engines = Engines(settings, limit=9)
    first, warm = picture(), resident()
    with engines.lease(spec("used"), ECHO), caplog.at_level(logging.INFO, "fantascope"):
        engines.drop()
        assert closed == [] and len(engines) == 1, "one in use stays"
    after = resident()
    assert warm is not None and after is not None and warm - after > 50 << 20
    assert any(message.startswith("engines were dropped: this process held") for message in caplog.messages)
    assert (picture() == first).all()
    engines.close()


def test_accounts_share_what_is_loaded(warm: Path) -> None:
    """Settings of two people differ in user and plan, and in nothing that is loaded."""
    one = Settings(home=warm, threads=1)
    other = replace(one, user="other", plan="free", commercial=True)
    assert shared_words(one) is shared_words(other)
    assert shared_words(one) is shared_words(one, runtime="openvino"), "the runtime that is chosen is the one named"
    assert Detector.load(one) is Detector.load(other)
    assert load.key_of(SPECS["embedded"], GRAPH) == load.key_of(SPECS["embedded"], replace(GRAPH, reasons=("x",)))


def test_the_classifier_is_shared(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fantascope.engines.classifier import Classifier

    made: list[Settings] = []
    monkeypatch.setattr(
        Classifier, "_open", classmethod(lambda cls, settings, place: made.append(settings) or object())
    )
    one = Settings(home=home)
    assert Classifier.load(one) is Classifier.load(replace(one, user="other", plan="free"))
    assert Classifier.load(one) is not Classifier.load(Settings(home=home / "elsewhere"))
    assert len(made) == 2


def test_once_loads_again_when_a_file_changed_and_lets_the_old_one_go(tmp_path: Path) -> None:
    things, file = Once[list[str]](), tmp_path / "weights"
    file.write_text("a")

    def read() -> list[str]:
        return [file.read_text()]

    first = things.get("key", [file], read)
    assert things.get("key", [file], read) is first == ["a"]
    file.write_text("bb")
    assert things.get("key", [file], read) == ["bb"]
    assert len(things._loaded) == 1
    things.forget()
    assert things._loaded == {}


def test_once_keeps_nothing_of_what_failed() -> None:
    things = Once[int]()
    with pytest.raises(ZeroDivisionError):
        things.get("key", [], lambda: 1 // 0)
    assert things.get("key", [], lambda: 3) == 3
