"""Which engine is chosen and why, and the cache that lends engines to one user at a time."""

from __future__ import annotations

import importlib.util
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.engines import tiny

from fantascope.engines import load
from fantascope.engines.base import Choice
from fantascope.engines.echo import EchoEngine
from fantascope.engines.load import Engines, choose, cpu_precision
from fantascope.errors import MissingExtra, ModelNotFound, UnknownName, Unsupported
from fantascope.settings import Settings
from fantascope.spec import SPECS, Spec

ECHO = Choice("echo", "cpu", "fp32")


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, offline=True)


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make packages look as if they were not installed."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in names else real(name, *rest))


@pytest.fixture
def graphed(monkeypatch: pytest.MonkeyPatch) -> Spec:
    """The embedded Spec on a machine where its graphs are."""
    monkeypatch.setattr(load, "_graphs", lambda spec: True)
    return SPECS["embedded"]


def test_embedded_takes_its_graphs(graphed: Spec, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fantascope"):
        choice = choose(graphed, {}, settings)
    assert (choice.engine, choice.device, choice.runtime) == ("graph", "cpu", "openvino")
    assert choice.precision == cpu_precision()[0]
    assert choice.reasons[0] == "engine graph: the first choice for embedded"
    assert set(choice.reasons) <= set(caplog.messages)


def test_what_graph_lacks_goes_to_the_next_and_says_so(graphed: Spec, settings: Settings) -> None:
    for fields, why in (
        ({"precision": "fp16"}, "fp16"),
        ({"adapters": [{"name": "a"}]}, "adapters"),
        ({"clip_skip": 1}, "CLIP skip"),
    ):
        choice = choose(graphed, fields, settings)
        assert choice.engine == "latent"
        assert choice.reasons[0].startswith("not graph: ") and why in choice.reasons[0]
        assert "next choice" in choice.reasons[1]
    assert choose(graphed, {"clip_skip": 0, "adapters": []}, settings).engine == "graph"


def test_what_was_asked_for_is_done_or_refused(graphed: Spec, settings: Settings) -> None:
    assert choose(graphed, {"engine": "latent", "device": "cpu", "precision": "fp32"}, settings).reasons == ()
    for fields, param in (
        ({"engine": "echo"}, "engine"),
        ({"engine": "graph", "precision": "fp16"}, "precision"),
        ({"engine": "graph", "device": "cuda"}, "device"),
        ({"engine": "graph", "adapters": [{"name": "a"}]}, "adapters"),
        ({"engine": "graph", "clip_skip": 2}, "clip_skip"),
        ({"device": "xpu:7", "engine": "latent"}, "device"),
    ):
        with pytest.raises(Unsupported) as caught:
            choose(graphed, fields, settings)
        assert caught.value.param == param
    with pytest.raises(UnknownName):
        choose(graphed, {"engine": "latnt"}, settings)
    with pytest.raises(Unsupported, match="int8"):
        choose(SPECS["sd15"], {"precision": "int8"}, settings)


def test_missing_extras_are_named(graphed: Spec, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "torch")
    assert choose(graphed, {}, settings).engine == "graph"
    for spec, fields in ((SPECS["sd15"], {}), (graphed, {"engine": "latent"}), (graphed, {"precision": "fp16"})):
        with pytest.raises(MissingExtra) as caught:
            choose(spec, fields, settings)
        assert caught.value.hint == "pip install 'fantascope[torch]'"


def test_runtimes_in_turn(graphed: Spec, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(graphed, {}, Settings(home=home, runtime="onnxruntime")).runtime == "onnxruntime"
    without(monkeypatch, "openvino")
    assert choose(graphed, {}, Settings(home=home)).runtime == "onnxruntime"
    without(monkeypatch, "openvino", "onnxruntime")
    choice = choose(graphed, {}, Settings(home=home))
    assert choice.engine == "latent" and choice.reasons[0].startswith("not graph: ")


def test_onnx_runtime_gets_a_precision_that_it_has(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with bfloat16 instructions gives nothing to a runtime that cannot use them."""
    monkeypatch.setattr(load, "cpu_flags", lambda: frozenset({"amx_bf16"}))
    settings = Settings(home=home, offline=True, runtime="onnxruntime")
    choice = choose(SPECS["embedded"], {}, settings)
    assert (choice.engine, choice.runtime, choice.precision) == ("graph", "onnxruntime", "fp32")
    assert "precision fp32: ONNX Runtime has no bf16" in choice.reasons
    engines = Engines(settings)
    with engines.lease(SPECS["embedded"], choice) as engine:
        ran = engine.ran()
        assert (ran.runtime, ran.precision, ran.reasons) == ("onnxruntime", "fp32", choice.reasons)
    engines.close()
    assert choose(SPECS["embedded"], {"precision": "bf16"}, settings).engine == "latent"
    assert choose(SPECS["embedded"], {}, Settings(home=home, runtime="openvino")).precision == "bf16"


def test_graphs_are_looked_for(tmp_path: Path, settings: Settings) -> None:
    spec = tiny.spec_of(tmp_path, "embedded")
    assert choose(spec, {}, settings).engine == "latent"
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "model.onnx").write_bytes(b"")
    assert choose(spec, {}, settings).engine == "graph"


@pytest.mark.parametrize(
    ("flags", "precision"),
    [({"avx2"}, "fp32"), ({"avx512_bf16"}, "bf16"), ({"amx_bf16", "avx2"}, "bf16"), (set(), "fp32")],
)
def test_cpu_precision(flags: set[str], precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "cpu_flags", lambda: frozenset(flags))
    found, why = cpu_precision()
    assert found == precision and why.startswith(f"precision {precision}: ")


@pytest.mark.parametrize(
    ("found", "capability", "device", "precision"),
    [
        ("cuda", (9, 0), "cuda", "bf16"),
        ("cuda", (7, 5), "cuda", "fp16"),
        ("mps", None, "mps", "fp32"),
        ("xpu", None, "xpu", "bf16"),
    ],
)
def test_devices_in_order(
    found: str, capability: Any, device: str, precision: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(load, "_present", lambda torch, kind: kind == found)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    choice = choose(SPECS["sd15"], {}, settings)
    assert (choice.device, choice.precision) == (device, precision)
    assert any(reason.startswith(f"device {device}: ") for reason in choice.reasons)
    with pytest.raises(Unsupported, match="no device"):
        choose(SPECS["sd15"], {"device": {"cuda": "mps"}.get(found, "cuda")}, settings)


def test_same_spec_and_choice_same_engine(settings: Settings) -> None:
    engines = Engines(settings)
    with engines.lease(SPECS["echo"], ECHO) as one:
        assert isinstance(one, EchoEngine)
    with engines.lease(SPECS["echo"], Choice("echo", "cpu", "fp32", ("other words",))) as two:
        assert two is one
    changed = SPECS["echo"].model_copy(update={"title": "another"})
    with engines.lease(changed, ECHO) as three:
        assert three is not one


def test_one_user_at_a_time(settings: Settings) -> None:
    engines, inside, most = Engines(settings), [0], [0]

    def use() -> None:
        with engines.lease(SPECS["echo"], ECHO):
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.005)
            inside[0] -= 1

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1 and len(engines) == 1


def test_a_thread_that_left_a_run_open_is_told_so(settings: Settings) -> None:
    """The thread that holds an engine is refused; another one waits until it is given back."""
    engines = Engines(settings)
    left = engines.lease(SPECS["echo"], ECHO)
    left.__enter__()
    with pytest.raises(Unsupported, match="busy") as caught, engines.lease(SPECS["echo"], ECHO):
        pass
    assert caught.value.hint is not None and "Close the other run first" in caught.value.hint
    got = threading.Event()

    def use() -> None:
        with engines.lease(SPECS["echo"], ECHO):
            got.set()

    thread = threading.Thread(target=use)
    thread.start()
    assert not got.wait(0.05)
    left.__exit__(None, None, None)
    assert got.wait(10)
    thread.join()
    with engines.lease(SPECS["echo"], ECHO) as engine:
        assert engine.spec.name == "echo"


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the Specs whose engines were closed."""
    names: list[str] = []
    monkeypatch.setattr(EchoEngine, "close", lambda self: names.append(self.spec.name))
    return names


def spec(name: str) -> Spec:
    return SPECS["echo"].model_copy(update={"name": name})


def test_the_least_recently_used_goes_first_and_never_one_in_use(settings: Settings, closed: list[str]) -> None:
    engines = Engines(settings, limit=2)
    for name in ("a", "b", "a", "c"):
        with engines.lease(spec(name), ECHO):
            pass
    assert closed == ["b"]
    with engines.lease(spec("a"), ECHO), engines.lease(spec("c"), ECHO), engines.lease(spec("d"), ECHO):
        assert closed == ["b"] and len(engines) == 3
    assert len(closed) == 2 and len(engines) == 2


def test_a_gpu_is_emptied_before_another_engine_is_loaded(
    settings: Settings, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    construct, gpu = load.construct, Choice("echo", "cuda", "fp32")

    def loading(spec: Spec, choice: Choice, settings: Settings) -> Any:
        closed.append(f"load {spec.name}")
        return construct(spec, choice, settings)

    monkeypatch.setattr(load, "construct", loading)
    engines = Engines(settings, limit=3)
    for name, choice in (("a", ECHO), ("b", gpu), ("b", gpu)):
        with engines.lease(spec(name), choice):
            pass
    assert closed == ["load a", "load b"]
    with engines.lease(spec("c"), gpu):
        assert closed == ["load a", "load b", "b", "load c"]
        with engines.lease(spec("d"), gpu):
            assert closed[4:] == ["load d"], "one that is in use stays"


def test_close_waits_for_those_in_use(settings: Settings, closed: list[str]) -> None:
    engines = Engines(settings)
    with engines.lease(spec("a"), ECHO):
        pass
    with engines.lease(spec("b"), ECHO):
        engines.close()
        assert closed == ["a"]
    assert closed == ["a", "b"] and len(engines) == 0


def test_a_failed_load_leaves_nothing_and_frees_the_lock(settings: Settings) -> None:
    engines = Engines(settings)
    gone = tiny.spec_of(Path("/nowhere"), "sd1")
    for _ in range(2):
        with pytest.raises(ModelNotFound), engines.lease(gone, Choice("latent", "cpu", "fp32", (), "torch")):
            pass
    assert len(engines) == 0


def test_an_error_inside_a_lease_gives_the_engine_back(settings: Settings) -> None:
    engines = Engines(settings)
    with pytest.raises(ZeroDivisionError), engines.lease(SPECS["echo"], ECHO):
        1 / 0  # noqa: B018
    with engines.lease(SPECS["echo"], ECHO) as engine:
        assert engine.spec.name == "echo"


def test_choosing_and_echo_load_no_torch() -> None:
    """The cold start: neither the chooser nor the file checks import torch, diffusers or transformers."""
    import subprocess
    import sys

    code = (
        "import sys; from fantascope.engines import load, weights, echo, identify, compact;"
        "from fantascope.settings import Settings; from fantascope.spec import SPECS;"
        "load.choose(SPECS['echo'], {}, Settings());"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'huggingface_hub', 'openvino') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
