"""The graph engine on the embedded checkpoint: exact whatever the batch, quick the second time, honest when broken."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.homes import lend

from fantascope.artifact import Output, Step
from fantascope.engines.base import Choice, LatentEngine
from fantascope.engines.graph import PARTS, GraphEngine
from fantascope.engines.graph_runtime import HEADER, OpenVino, Source, open_runtime
from fantascope.errors import BrokenModelFile, InvalidValue, Unsupported
from fantascope.request import Applied, Imagine
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED, SPECS

SPEC = SPECS["embedded"]
FIELDS: dict[str, Any] = {"n": 1, "width": 128, "height": 128, "upscale": 1, "steps": 3, "guidance": 4.0, "seed": 7}
FIELDS |= {"guidance_rescale": 0.7, "sampler": "ddim", "schedule": "default"}


def wish(prompt: str = "a pink elephant", **fields: Any) -> Imagine:
    return Imagine(prompt=prompt, **(FIELDS | fields))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=lend(tmp_path_factory.mktemp("graph")), threads=1)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[GraphEngine]:
    loaded = GraphEngine.load(SPEC, Choice("graph", "cpu", "fp32", ("asked",), "openvino"), settings)
    yield loaded
    loaded.close()


def pictures(engine: GraphEngine, request: Imagine) -> list[Any]:
    return [event.pixels for event in engine.render(request) if isinstance(event, Output)]


def data(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_is_a_latent_engine(engine: GraphEngine) -> None:
    assert isinstance(engine, LatentEngine)
    assert (engine.latent_channels, engine.latent_factor) == (8, 8)
    assert engine.training_schedule.prediction == "v_prediction"
    assert engine.training_schedule.alphas[-1] == 0


def test_render_yields_steps_and_pictures(engine: GraphEngine) -> None:
    events = list(engine.render(wish(n=2, upscale=4, width=512, height=384)))
    outputs = [event for event in events if isinstance(event, Output)]
    assert [output.seed for output in outputs] == [7, 8]
    assert all(output.pixels.shape == (384, 512, 3) and output.pixels.dtype == np.uint8 for output in outputs)
    assert [event.step for event in events if isinstance(event, Step) and event.stage == "denoise"] == [1, 2, 3]
    assert all(output.pixels.std() > 1 for output in outputs)
    assert not np.array_equal(outputs[0].pixels, outputs[1].pixels)


def test_the_prompt_and_the_negative_prompt_matter(engine: GraphEngine) -> None:
    plain, other, without = (
        pictures(engine, request)[0]
        for request in (wish(), wish("a green frog on a red background"), wish(negative_prompt="pink"))
    )
    assert not np.array_equal(plain, other)
    assert not np.array_equal(plain, without)


def test_same_pixels_alone_or_in_a_batch(engine: GraphEngine) -> None:
    together = pictures(engine, wish(n=5))
    alone = [pictures(engine, wish(seed=7 + k))[0] for k in range(5)]
    assert all(np.array_equal(a, b) for a, b in zip(together, alone, strict=True))


def test_same_pixels_compiled_or_from_the_cache_with_any_threads(engine: GraphEngine, home: Path) -> None:
    request = wish(upscale=4, width=512, height=512)
    want = pictures(engine, request)[0]
    kept: list[set[Path]] = []
    for threads in (1, 1, 2):
        loaded = GraphEngine.load(SPEC, engine.choice, Settings(home=home, threads=threads))
        assert np.array_equal(pictures(loaded, request)[0], want)
        loaded.close()
        kept.append(set((home / "cache" / "graphs").iterdir()))
    assert len(kept[0]) == 3
    assert kept[0] == kept[1] <= kept[2]


def test_onnxruntime_agrees(engine: GraphEngine, settings: Settings) -> None:
    other = GraphEngine.load(SPEC, Choice("graph", "cpu", "fp32", (), "onnxruntime"), settings)
    request = wish("a cat " * 20, n=2, upscale=4, width=512, height=512)
    for mine, theirs in zip(pictures(other, request), pictures(engine, request), strict=True):
        difference = np.abs(mine.astype(int) - theirs)
        assert difference.max() <= 2
        assert difference.mean() < 0.01
    assert other.ran().runtime == "onnxruntime"
    other.close()


def test_bf16_is_near(engine: GraphEngine, settings: Settings) -> None:
    if "bf16" not in open_runtime("openvino", settings).precisions:
        pytest.skip("this processor has no bfloat16")
    half = GraphEngine.load(SPEC, Choice("graph", "cpu", "bf16", (), "openvino"), settings)
    mine, theirs = (pictures(e, wish())[0].astype(float) for e in (half, engine))
    assert 0 < np.abs(mine - theirs).mean() < 8
    half.close()


def test_sizes_and_long_prompts_get_programs_of_their_own(engine: GraphEngine) -> None:
    long = "an elephant " * 40
    assert pictures(engine, wish(long, width=160, height=96))[0].shape == (96, 160, 3)
    assert engine.encode_text([long, ""], wish()).states.shape == (2, 96, 384)
    before = set(engine._programs)
    assert pictures(engine, wish(long, width=160, height=96, seed=9))[0].shape == (96, 160, 3)
    assert set(engine._programs) == before


def test_rows_must_match(engine: GraphEngine) -> None:
    network = engine.network(wish(), engine.encode_text(["a cat"], wish()))
    with pytest.raises(InvalidValue, match="2 latents met 1 rows"):
        network(data(2, 8, 16, 16), 500.0)


def test_closing_cancels(engine: GraphEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    build = engine.network

    def counted(request: Any, conditions: Any) -> Any:
        network = build(request, conditions)

        def run(x: Any, t: float) -> Any:
            nonlocal calls
            calls += 1
            return network(x, t)

        return run

    monkeypatch.setattr(engine, "network", counted)
    events = engine.render(wish(steps=50))
    assert [next(events).step for _ in range(3)] == [0, 1, 2]
    events.close()
    assert calls == 2


def test_upscale_by_two_is_the_mean_of_four(engine: GraphEngine) -> None:
    picture = np.tanh(data(1, 3, 128, 128))
    large, half = engine.upscale(picture, 4), engine.upscale(picture, 2)
    assert large.shape == (1, 3, 512, 512)
    np.testing.assert_allclose(half, large.reshape(1, 3, 256, 2, 256, 2).mean(axis=(3, 5)), atol=1e-6)
    with pytest.raises(Unsupported, match="3 times"):
        engine.upscale(picture, 3)


def test_encode_then_decode_gives_the_picture_back(engine: GraphEngine) -> None:
    rows = np.linspace(-0.8, 0.8, 128, dtype=np.float32)
    picture = np.broadcast_to(rows, (2, 3, 128, 128)).copy()
    latents = engine.encode_image(picture)
    assert latents.shape == (2, 8, 16, 16)
    assert np.abs(engine.decode(latents) - picture).mean() < 0.1


def test_ran_names_every_file_with_its_hash(engine: GraphEngine) -> None:
    pictures(engine, wish(upscale=4, width=512, height=512))
    ran = engine.ran()
    assert (ran.engine, ran.runtime, ran.precision, ran.threads) == ("graph", "openvino", "fp32", 1)
    assert {"openvino", "numpy", "processor"} == set(ran.versions)
    paths = {weight.path for weight in ran.weights}
    assert {name for part in ("text", "unet", "decoder", "upscaler") for name in PARTS[part]} <= paths
    for weight in ran.weights:
        assert weight.sha256 == hashlib.sha256((EMBEDDED / weight.path).read_bytes()).hexdigest()
        assert weight.licence == SPEC.licence.spdx


def test_a_wrong_hash_is_refused(settings: Settings) -> None:
    pinned = SPEC.model_copy(update={"weights": {PARTS["unet"][1]: "0" * 64}})
    engine = GraphEngine.load(pinned, Choice("graph", "cpu", "fp32", (), "openvino"), settings)
    with pytest.raises(BrokenModelFile, match="pinned"):
        pictures(engine, wish())
    engine.close()


def test_adapters_and_unknown_precisions_are_refused(engine: GraphEngine, settings: Settings) -> None:
    with pytest.raises(Unsupported, match="latent") as refused:
        engine.adapted([Applied(name="ink")])
    assert "fantascope[torch]" in str(refused.value)
    for runtime, precision in (("onnxruntime", "bf16"), ("openvino", "fp16")):
        with pytest.raises(Unsupported, match=precision):
            GraphEngine.load(SPEC, Choice("graph", "cpu", precision, (), runtime), settings)


@pytest.fixture
def small() -> tuple[Source, dict[str, tuple[int, ...]]]:
    graph, weights = (EMBEDDED / name for name in PARTS["upscaler"])
    return Source(graph, weights, "test"), {"pictures": (1, 3, 32, 32)}


def damage(file: Path, how: str) -> None:
    content = file.read_bytes()
    middle = HEADER + len(content) // 2
    ways = {
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "truncated": content[: len(content) // 2],
        "empty": b"",
        "foreign": hashlib.sha256(b"junk" * 99).hexdigest().encode() + b"junk" * 99,
    }
    file.write_bytes(ways[how])


@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "foreign"])
def test_a_damaged_cache_costs_time_only(how: str, home: Path, small: Any, caplog: pytest.LogCaptureFixture) -> None:
    runtime = OpenVino(Settings(home=home, threads=1))
    picture = data(1, 3, 32, 32)
    want = runtime.compile(*small, "fp32")(pictures=picture)
    (file,) = (home / "cache" / "graphs").iterdir()
    whole = file.read_bytes()
    damage(file, how)
    with caplog.at_level(logging.INFO, "fantascope"):
        assert np.array_equal(runtime.compile(*small, "fp32")(pictures=picture), want)
    assert "compiling again" in caplog.text
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert abs(len(file.read_bytes()) - len(whole)) < 1000, "the compiler numbers names anew"
    caplog.clear()
    assert np.array_equal(runtime.compile(*small, "fp32")(pictures=picture), want)
    assert "compiling again" not in caplog.text


def test_an_unwritable_cache_costs_time_only(home: Path, small: Any, caplog: pytest.LogCaptureFixture) -> None:
    home.mkdir()
    (home / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.INFO, "fantascope"):
        program = OpenVino(Settings(home=home, threads=1)).compile(*small, "fp32")
    assert program(pictures=data(1, 3, 32, 32)).shape == (1, 3, 128, 128)
    assert "is not kept" in caplog.text


def test_new_weights_are_not_taken_from_the_cache_of_old_ones(home: Path, small: Any) -> None:
    runtime = OpenVino(Settings(home=home, threads=1))
    source, shapes = small
    runtime.compile(source, shapes, "fp32")
    runtime.compile(Source(source.path, source.weights, "other weights"), shapes, "fp32")
    runtime.compile(source, {"pictures": (1, 3, 16, 32)}, "fp32")
    assert len(list((home / "cache" / "graphs").iterdir())) == 3


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_file_that_is_no_graph(name: str, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    weights = EMBEDDED / PARTS["upscaler"][1]
    header = weights.read_bytes()[: 8 + int.from_bytes(weights.read_bytes()[:8], "little")]
    path.write_bytes(b"\x08\x07nonsense" + hashlib.sha256(header).hexdigest().encode())
    with pytest.raises(BrokenModelFile, match=f"cannot .*{path.name}"):
        open_runtime(name, Settings(home=home, threads=1)).compile(Source(path, weights, "x"), {"x": (1,)}, "fp32")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_graph_of_other_weights_is_refused(name: str, home: Path, small: Any) -> None:
    source, shapes = small
    with pytest.raises(BrokenModelFile, match="not its weights file"):
        other = Source(source.path, EMBEDDED / PARTS["unet"][1], "x")
        open_runtime(name, Settings(home=home, threads=1)).compile(other, shapes, "fp32")


def test_openvino_comes_without_its_tools_and_can_be_imported_whole_later() -> None:
    code = """
import sys
from fantascope.engines.graph_runtime import import_openvino
binding = import_openvino()
assert "openvino" not in sys.modules and "openvino.tools" not in sys.modules, "the whole package came"
assert "openvino_telemetry" not in sys.modules
import openvino
assert openvino.Core is not None and import_openvino() is binding
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


SIGNALLED = """
import gc, signal, sys
from pathlib import Path
from fantascope.engines.graph_runtime import OpenVino, Source
from fantascope.settings import Settings

graph, weights, home = map(Path, sys.argv[1:4])
source, settings = Source(graph, weights, "x"), Settings(home=home, threads=1)
older = OpenVino(settings)
first = older.compile(source, {"pictures": (1, 3, 32, 32)}, "fp32")
newer = OpenVino(settings)
second = newer.compile(source, {"pictures": (1, 3, 64, 64)}, "fp32")
del first, older
gc.collect()
del second, newer
gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("heard"))
signal.raise_signal(signal.SIGINT)
"""


def test_ctrl_c_is_heard_after_engines_have_gone(home: Path) -> None:
    """Two cores of OpenVINO of which the older goes first would leave signals without a stack."""
    words = [str(EMBEDDED / "upscaler" / name) for name in ("model.onnx", "model.safetensors")]
    done = subprocess.run([sys.executable, "-c", SIGNALLED, *words, str(home)], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "heard"), done.stderr
