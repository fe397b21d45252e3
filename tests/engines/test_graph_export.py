"""Exported graphs: structure only, equal to the torch modules, and refused where they cannot be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fantascope.engines.compact import PACKED
from fantascope.engines.graph import PARTS
from fantascope.engines.graph_runtime import Source, open_runtime
from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile, ModelNotFound, UnsafeModelFile, Unsupported
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED

onnx = pytest.importorskip("onnx")
torch = pytest.importorskip("torch")

from fantascope.train.export import export_graphs  # noqa: E402
from fantascope.train.quantise import export_int8, input_ranges  # noqa: E402


def data(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


CASES: dict[str, dict[str, Any]] = {
    "unet": {"sample": data(2, 8, 16, 12), "timestep": np.float32([999, 20.5]), "states": data(2, 64, 384)},
    "decoder": {"latents": data(1, 8, 16, 12)},
    "encoder": {"pictures": np.tanh(data(2, 3, 96, 128))},
    "upscaler": {"pictures": np.tanh(data(2, 3, 32, 24))},
}


@pytest.fixture(scope="module")
def wanted() -> dict[str, Any]:
    """What the torch modules say to `CASES`."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    from fantascope.train.upscale import load_upscaler

    unet = UNet2DConditionModel.from_pretrained(EMBEDDED / "unet", torch_dtype=torch.float32).eval()
    vae = AutoencoderKL.from_pretrained(EMBEDDED / "vae", torch_dtype=torch.float32).eval()
    scale = vae.config.scaling_factor
    given = {part: [torch.from_numpy(a) for a in arrays.values()] for part, arrays in CASES.items()}
    with torch.no_grad():
        said = {
            "unet": unet(*given["unet"]).sample,
            "decoder": vae.decode(given["decoder"][0] / scale).sample,
            "encoder": vae.encode(given["encoder"][0]).latent_dist.mean * scale,
            "upscaler": load_upscaler(EMBEDDED / "upscaler")(given["upscaler"][0]),
        }
    return {part: value.numpy() for part, value in said.items()}


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("part", CASES)
def test_a_graph_equals_its_module(part: str, runtime: str, wanted: dict[str, Any], warm: Path) -> None:
    arrays = CASES[part]
    source = Source(*(EMBEDDED / name for name in PARTS[part]), part)
    program = open_runtime(runtime, Settings(home=warm, threads=1)).compile(
        source, {name: array.shape for name, array in arrays.items()}, "fp32"
    )
    said = program(**arrays)
    assert said.shape == wanted[part].shape
    assert np.linalg.norm(said - wanted[part]) < 1e-5 * np.linalg.norm(wanted[part])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the embedded checkpoint without its graphs."""
    copy = tmp_path / "checkpoint"
    shutil.copytree(EMBEDDED, copy, ignore=shutil.ignore_patterns("*.onnx", "*.jsonl"))
    return copy


def test_the_shipped_graphs_are_what_the_export_writes(folder: Path) -> None:
    for part, path in export_graphs(folder).items():
        assert path.read_bytes() == (EMBEDDED / path.relative_to(folder)).read_bytes(), (
            f"export the graphs again: {part}"
        )


@pytest.mark.parametrize("part", [part for part in PARTS if (EMBEDDED / PARTS[part][0]).is_file()])
def test_a_graph_holds_no_weights(part: str) -> None:
    graph, weights = (EMBEDDED / name for name in PARTS[part])
    weights = weights.with_name(PACKED) if part == "control" else weights
    assert graph.stat().st_size < 120_000
    tensors = SafeFile.open(weights).tensors
    outside = 0
    for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            assert tensor.ByteSize() < 2_000
            continue
        facts = {entry.key: entry.value for entry in tensor.external_data}
        entry = tensors[tensor.name]
        assert facts == {"location": weights.name, "offset": str(entry.start), "length": str(entry.length)}
        outside += entry.length
    assert outside > 100_000


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ("unet/config.json", {"down_block_types": ["DownBlock2D", "AttnDownBlock2D", "CrossAttnDownBlock2D"]}),
        ("unet/config.json", {"use_linear_projection": True}),
        ("unet/config.json", {"resnet_time_scale_shift": "scale_shift"}),
        ("vae/config.json", {"latents_mean": [0.0] * 4}),
        ("vae/config.json", {"up_block_types": ["AttnUpDecoderBlock2D"] * 4}),
        ("text_encoder/config.json", {"hidden_act": "relu"}),
        ("upscaler/config.json", {"scale": 2}),
    ],
)
def test_what_the_graphs_cannot_hold_is_refused(folder: Path, config: str, changes: dict[str, Any]) -> None:
    edit(folder / config, **changes)
    with pytest.raises(Unsupported):
        export_graphs(folder)


def test_a_tensor_too_few_or_too_many_is_refused(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / PARTS["upscaler"][1]
    tensors = load_file(path)
    save_file(tensors | {"extra": np.zeros(3, np.float16)}, path)
    with pytest.raises(BrokenModelFile, match="leaves out 1 tensors, extra"):
        export_graphs(folder)
    del tensors["body.0.weight"]
    save_file(tensors, path)
    with pytest.raises(BrokenModelFile, match=r"body\.0\.weight"):
        export_graphs(folder)
    path.write_bytes(b"\xff" * 20)
    with pytest.raises((BrokenModelFile, UnsafeModelFile)):
        export_graphs(folder)
    path.unlink()
    with pytest.raises(ModelNotFound):
        export_graphs(folder)


def test_a_whole_picture_equals_the_latent_engines(warm: Path) -> None:
    """Text, guidance, sampler, decoder and upscaler together, on both engines in float32."""
    from fantascope.artifact import Output
    from fantascope.engines.base import Choice
    from fantascope.engines.graph import GraphEngine
    from fantascope.engines.latent import TorchEngine
    from fantascope.request import Imagine
    from fantascope.spec import SPECS

    settings = Settings(home=warm, threads=1)
    request = Imagine(
        prompt="a pink elephant on a blue background, " * 5,
        n=2,
        width=512,
        height=512,
        upscale=4,
        steps=4,
        guidance=4.0,
        guidance_rescale=0.7,
        sampler="dpmpp_2m",
        schedule="default",
        clip_skip=0,
        seed=7,
    )
    graph = GraphEngine.load(SPECS["embedded"], Choice("graph", "cpu", "fp32", (), "openvino"), settings)
    latent = TorchEngine.load(SPECS["embedded"], Choice("latent", "cpu", "fp32", (), "torch"), settings)
    pairs = zip(*(filter(lambda e: isinstance(e, Output), e.render(request)) for e in (graph, latent)), strict=True)
    for mine, theirs in pairs:
        difference = np.abs(mine.pixels.astype(int) - theirs.pixels)
        assert difference.max() <= 2
        assert difference.mean() < 0.01
    graph.close()
    latent.close()


@pytest.mark.slow
def test_the_int8_graph_is_near_and_as_exact(folder: Path, warm: Path) -> None:
    """Calibrated on one prompt: its noisy steps within a tenth of float32's, the same alone and in a batch."""
    from tokenizers import Tokenizer

    from fantascope.train.text import encode_text, load_text_encoder

    prompt = "a pink elephant on a blue background"
    ranges = input_ranges(folder, [prompt], steps=2)
    assert ranges["mid_block.resnets.0.conv1"][0] < 0 < ranges["mid_block.resnets.0.conv1"][1]
    export_graphs(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    states = encode_text(load_text_encoder(folder), tokenizer, [prompt, ""]).numpy()
    case = {"sample": data(2, 8, 16, 16), "timestep": np.float32([999, 900]), "states": states}
    arrays = {name: np.concatenate([array, array[::-1]]) for name, array in case.items()}
    settings = Settings(home=warm, threads=1)
    for name in ("openvino", "onnxruntime"):
        runtime = open_runtime(name, settings)
        plain = Source(*(folder / name for name in PARTS["unet"]), "fp32")
        rounded = Source(export_int8(folder, ranges), plain.weights, "int8")
        assert rounded.path.stat().st_size < 300_000
        shapes = {name: array.shape for name, array in arrays.items()}
        want, said = (
            runtime.compile(plain, shapes, "fp32")(**arrays),
            runtime.compile(rounded, shapes, "int8")(**arrays),
        )
        assert 0 < np.linalg.norm(said - want) < 0.1 * np.linalg.norm(want)
        two = {name: array[:2] for name, array in arrays.items()}
        alone = runtime.compile(rounded, {name: array.shape for name, array in two.items()}, "int8")(**two)
        assert np.array_equal(alone, said[:2])


def test_the_engine_paints_in_int8_where_there_is_a_graph(folder: Path, warm: Path) -> None:
    from fantascope.artifact import Output
    from fantascope.engines.base import Choice
    from fantascope.engines.graph import GraphEngine
    from fantascope.request import Imagine
    from fantascope.spec import SPECS

    spec = SPECS["embedded"].model_copy(update={"source": f"dir:{folder}", "weights": {}})
    settings = Settings(home=warm, threads=1)
    choice = Choice("graph", "cpu", "int8", (), "openvino")
    with pytest.raises(Unsupported, match="int8"):
        GraphEngine.load(spec, choice, settings)
    export_graphs(folder)
    export_int8(folder, input_ranges(folder, ["a cat"], steps=2))
    request = Imagine(
        prompt="a cat", n=1, width=128, height=128, upscale=1, steps=2, guidance=3.0, guidance_rescale=0.0
    )
    request = request.replace(sampler="ddim", schedule="default", seed=1)
    engine = GraphEngine.load(spec, choice, settings)
    (output,) = (event for event in engine.render(request) if isinstance(event, Output))
    assert output.pixels.std() > 1
    assert engine.ran().precision == "int8"
    assert "unet/model.int8.onnx" in {weight.path for weight in engine.ran().weights}
    engine.close()
