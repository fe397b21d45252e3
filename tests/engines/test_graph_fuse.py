"""Adapters on exported graphs: the same picture as on modules, nothing left behind, and the cache is not believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engines import adapters

from fantascope.artifact import Output
from fantascope.engines.adapters.collection import add_adapter
from fantascope.engines.adapters.tree import tree_of
from fantascope.engines.base import Choice
from fantascope.engines.graph import GraphEngine
from fantascope.engines.graph_fuse import KEPT, obstacle
from fantascope.engines.latent import TorchEngine
from fantascope.engines.load import choose
from fantascope.errors import InvalidValue, Unsupported
from fantascope.request import Applied, Imagine
from fantascope.settings import Settings
from fantascope.spec import SPECS

SPEC = SPECS["embedded"]
FIELDS: dict[str, Any] = {"n": 1, "width": 128, "height": 128, "upscale": 1, "steps": 2, "guidance": 4.0, "seed": 7}
FIELDS |= {"guidance_rescale": 0.7, "sampler": "ddim", "schedule": "default", "clip_skip": 0, "prompt": "a pink cat"}
INK = Applied(name="ink", weight=0.8, blocks={"mid": 0.5})


@pytest.fixture
def settings(warm: Path, tmp_path: Path) -> Settings:
    """A studio with an adapter of the UNet that ships: projections, convolutions and a bias."""
    made = Settings(home=warm, threads=1)
    random, out, layers = np.random.default_rng(0), {}, tree_of(SPEC, made).parts["unet"]
    for name, layer in layers.items():
        if name.endswith(("to_q", "to_v", "conv1")):
            rows, *columns = layer.weight
            down = random.standard_normal((4, *columns)) / np.prod(columns) ** 0.5
            out[f"unet.{name}.lora_A.weight"] = down.astype(np.float32)
            up = random.standard_normal((rows, 4, *[1] * (len(columns) - 1))) * 0.1
            out[f"unet.{name}.lora_B.weight"] = up.astype(np.float32)
    out["lora_unet_conv_in.diff_b"] = np.full(layers["conv_in"].weight[0], 0.01, np.float32)
    path = adapters.written(tmp_path / "ink.safetensors", out)
    add_adapter(path, name="ink", base="embedded", licence="CC0-1.0", settings=made)
    return made


def graph(settings: Settings) -> GraphEngine:
    return GraphEngine.load(SPEC, Choice("graph", "cpu", "fp32", (), "openvino"), settings)


def painted(engine: Any, *worn: Applied) -> np.ndarray:
    request = Imagine(**FIELDS, adapters=worn or None)
    (pixels,) = [event.pixels for event in engine.render(request) if isinstance(event, Output)]
    return pixels.astype(int)


def test_as_on_modules_and_gone_afterwards(settings: Settings) -> None:
    engine = graph(settings)
    plain, worn = painted(engine), painted(engine, INK)
    weight = engine.ran().weights[-1]
    assert (weight.part, weight.scale, weight.licence) == ("adapter ink", 0.8, "CC0-1.0")
    assert (painted(engine) == plain).all()
    assert not [one for one in engine.ran().weights if one.part.startswith("adapter")]
    assert (painted(engine, INK) == worn).all()
    engine.close()
    modules = TorchEngine.load(SPEC, Choice("latent", "cpu", "fp32", (), "torch"), settings)
    due = painted(modules, INK)
    apart = np.abs(painted(modules) - plain)
    assert np.abs(worn - due).max() <= apart.max() + 4 and np.abs(worn - due).mean() <= apart.mean() + 0.3
    assert np.abs(worn - plain).mean() > 0.5


def test_a_spoilt_copy_is_made_again_and_old_ones_go(settings: Settings) -> None:
    engine = graph(settings)
    worn = painted(engine, INK)
    engine.close()
    (folder,) = (settings.cache / "fused").iterdir()
    weights = folder / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1000:] = bytes(1000)
    weights.write_bytes(data)
    (settings.cache / "graphs").unlink()  # lent: the home has nothing compiled any more
    for kept in settings.cache.rglob("*"):
        if kept.is_file() and folder not in kept.parents:
            kept.unlink()
    engine = graph(settings)
    assert (painted(engine, INK) == worn).all()
    for k in range(KEPT + 1):
        engine._worn(Imagine(**FIELDS, adapters=(Applied(name="ink", weight=k / 10),))).files(  # type: ignore[union-attr]
            *(engine.place.path(name) for name in engine._files("unet"))
        )
    engine.close()
    assert len(list((settings.cache / "fused").iterdir())) == KEPT


def test_a_block_that_is_not_there_is_refused(settings: Settings) -> None:
    engine = graph(settings)
    with pytest.raises(InvalidValue, match="no block 'up_9'"):
        painted(engine, Applied(name="ink", blocks={"up_9": 0.0}))
    engine.close()
    assert not list((settings.cache / "fused").glob("*"))


def test_what_graphs_cannot_take_goes_to_the_modules(settings: Settings, tmp_path: Path) -> None:
    path = adapters.written(tmp_path / "z.safetensors", {"<zork>": np.ones((1, 384), np.float32)})
    add_adapter(path, name="zork", base="embedded", licence="CC0-1.0", settings=settings)
    assert choose(SPEC, {"adapters": [INK.model_dump()]}, settings).engine == "graph"
    for fields, why in (
        ({"adapters": [{"name": "zork"}]}, "reads texts"),
        ({"adapters": [{"name": "ink", "start": 0.5, "end": 1.0}]}, "switch during a run"),
        ({"adapters": [{"name": "ink"}, {"name": "oil"}]}, "not in the collection"),
    ):
        choice = choose(SPEC, fields, settings)
        assert choice.engine == "latent" and why in choice.reasons[0]
    for fields in (
        {"adapters": [{"name": "ink"}], "precision": "int8"},
        {"adapters": [{"name": "ink"}], "engine": "graph", "controls": [{"kind": "canny", "network": None}]},
    ):
        with pytest.raises(Unsupported):
            choose(SPEC, fields, settings)
    few = SPEC.model_copy(update={"delta": "unet/few/x.safetensors"})
    assert "on top of a delta" in (obstacle([{"name": "ink"}], few, settings) or "")
