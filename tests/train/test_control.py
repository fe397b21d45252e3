"""A control network on a tiny checkpoint: its pool, its training, its folder and graphs, and kinds of one's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
onnx = pytest.importorskip("onnx")

from PIL import Image  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from tests.data.conftest import VOCABULARY, root  # noqa: E402, F401
from tests.engines import tiny  # noqa: E402

from fantascope.cli.app import run as command  # noqa: E402
from fantascope.data.circles import COLOURS, agreement, circle, disc, write_circles  # noqa: E402
from fantascope.data.triples import load, read_triples  # noqa: E402
from fantascope.engines.compact import PACKED, compact  # noqa: E402
from fantascope.errors import BrokenModelFile, FantascopeError, InvalidPicture, InvalidValue, NotFound  # noqa: E402
from fantascope.train.checkpoint import WEIGHTS, hash_weights  # noqa: E402
from fantascope.train.control import (  # noqa: E402
    KINDS,
    ControlConfig,
    ControlPool,
    branch,
    conditioning,
    controlled,
    open_control,
    open_training,
    open_unet,
    paint,
    train_control,
    write_control,
)
from fantascope.train.control_watch import Watch, watched  # noqa: E402
from fantascope.train.export import export_control, export_graphs  # noqa: E402
from fantascope.train.fit import FitConfig  # noqa: E402
from fantascope.train.latents import Pool, write_pool  # noqa: E402
from fantascope.train.parts import autocast  # noqa: E402
from fantascope.train.report import read_log  # noqa: E402

SIDE = tiny.SIDE
SMALL = (4, 8, 8, 8)
FIT = FitConfig(steps=4, batch=4, warmup=1, ema=0.9, report_every=1, save_every=2)
TWO = ("canny", "segmentation")
TOLD: dict[str, Any] = {"told": {"kinds": list(TWO)}, "also": {"colours": torch.arange(768).view(256, 3).byte()}}
TOLERANCE = 2e-4
"""How far the graphs may be from torch, where the UNet says about 1: rounding of float32 in another order."""


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny checkpoint."""
    return shutil.copytree(tiny.embedded(), tmp_path / "checkpoint")


@pytest.fixture
def pool(folder: Path, tmp_path: Path) -> ControlPool:
    """Eight scenes with two maps each."""
    assert list(write_pool(_scenes, 8, folder, tmp_path / "pool", shard=5, **TOLD)) == [5, 8]
    return ControlPool(tmp_path / "pool", held=2)


def _scenes(first: int, last: int) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    for k in range(first, last):
        rng = np.random.default_rng(k)
        maps = rng.integers(0, 256, (2, SIDE, SIDE), dtype=np.uint8)
        yield rng.uniform(-1, 1, (3, SIDE, SIDE)).astype(np.float32), "red cat", {"map": maps, "kind": np.array([1, 0])}


def _pool(tmp_path: Path) -> ControlPool:
    return ControlPool(tmp_path / "pool", held=2)


def _train(run: Path, folder: Path, pool: ControlPool, **more: Any) -> Iterator[Any]:
    return train_control(ControlConfig(**({"fit": FIT, "widths": SMALL} | more)), run, folder, pool)


def test_a_map_has_three_channels_and_a_plane_a_kind() -> None:
    maps = torch.full((2, 3, 8, 8), 255, dtype=torch.uint8)
    given = conditioning(maps, torch.tensor([1, 0]), 3)
    assert given.shape == (2, 6, 8, 8) and given.dtype == torch.float32
    assert given[0].mean((1, 2)).tolist() == [1, 1, 1, 0, 1, 0] and given[1, 3].min() == 1
    assert torch.equal(conditioning(given[:, :3], torch.tensor([0, 0]), 1), given[:, :3])
    assert len(set(KINDS)) == len(KINDS) == 7


def test_the_pool_keeps_some_scenes_back_and_colours_regions(pool: ControlPool, tmp_path: Path, folder: Path) -> None:
    assert len(pool) == 6 and pool.kinds == TWO
    batches = pool.batches(3, 0)
    some = [next(batches) for _ in range(6)]
    again = pool.batches(3, 2)
    for batch in some[2:4]:
        for name, value in next(again).items():
            assert torch.equal(value, batch[name])
    shown = torch.cat([batch["latent"] for batch in some])
    assert not any(torch.equal(row, pool.latent[k]) for row in shown for k in (6, 7)), "a held scene was trained on"
    assert {int(k) for batch in some for k in batch["kind"]} == {0, 1}
    rows, first = torch.tensor([0, 1]), torch.tensor([0, 1])
    maps, kind = pool.maps(rows, first)
    assert maps.shape == (2, 3, SIDE, SIDE) and kind.tolist() == [1, 0]
    stored = pool.more["map"]
    assert torch.equal(maps[0, 1], pool.also["colours"][stored[0, 0].long()][..., 1]), "rows of the table"
    assert torch.equal(maps[1, 2], stored[1, 1]), "levels"
    assert pool.last(2)["kind"].tolist() == [0, 1]
    assert list(write_pool(lambda a, b: ((s[0], s[1]) for s in _scenes(a, b)), 4, folder, tmp_path / "plain")) == [4]
    assert len(Pool(tmp_path / "plain")) == 4
    with pytest.raises(BrokenModelFile, match="without maps"):
        ControlPool(tmp_path / "plain")


def test_an_untrained_network_changes_nothing(folder: Path) -> None:
    unet = open_unet(folder)
    model = branch(unet, KINDS, SMALL)
    x, times, text = torch.randn(2, 4, 8, 8), torch.tensor([10, 900]), torch.randn(2, 32, 32)
    with torch.no_grad(), autocast():
        plain = unet(x.contiguous(memory_format=torch.channels_last), times, text).sample.float()
    with torch.no_grad():
        said = controlled(unet, model, x, times, text, torch.rand(2, 3 + len(KINDS), SIDE, SIDE))
    assert torch.equal(said, plain)
    assert model.config.conditioning_channels == 10 and branch(unet, ("own",), SMALL).config.conditioning_channels == 3


def test_training_that_was_stopped_goes_on_to_the_same_bytes(folder: Path, pool: ControlPool, tmp_path: Path) -> None:
    whole = [event.loss for event in _train(tmp_path / "whole", folder, pool)]
    assert len(whole) == 4 and np.isfinite(whole).all()
    events = watched(_train(tmp_path / "parts", folder, pool), tmp_path / "parts", folder, pool, SMALL, Watch(2, 2, 2))
    assert [next(events).step for _ in range(3)] == [1, 2, 3]
    events.close()
    assert (tmp_path / "parts" / "pictures" / "0000002.png").is_file()
    assert [event.step for event in _train(tmp_path / "parts", folder, _pool(tmp_path))] == [3, 4]
    states = [(tmp_path / name / "state.safetensors").read_bytes() for name in ("whole", "parts")]
    assert states[0] == states[1]
    with pytest.raises(InvalidValue, match="dropped"):
        next(_train(tmp_path / "whole", folder, pool, dropped=0.1))


def test_training_leaves_the_unet_alone_and_the_map_comes_to_matter(
    folder: Path, pool: ControlPool, tmp_path: Path
) -> None:
    before = hash_weights(folder)
    fit = FitConfig(steps=8, batch=6, rate=5e-3, warmup=1, ema=0.5, report_every=8, save_every=8)
    list(_train(tmp_path / "run", folder, pool, fit=fit))
    assert hash_weights(folder) == before
    assert write_control(tmp_path / "run", folder, tmp_path / "out", TWO, SMALL, name="test", packed=True) == 8
    packed, record = open_control(tmp_path / "out")
    assert record["weights"].keys() == {PACKED}
    assert write_control(tmp_path / "run", folder, tmp_path / "out", TWO, SMALL, name="test") == 8
    model, record = open_control(tmp_path / "out")
    rounded, whole = packed.state_dict(), model.state_dict()
    off = max(float((rounded[name] - whole[name]).abs().max() / (whole[name].abs().max() + 1e-6)) for name in whole)
    assert 0 < off < 0.01, "int8 is off by more than a step"
    assert record["kinds"] == list(TWO) and record["name"] == "test"
    assert record["unet"] == before["unet/diffusion_pytorch_model.safetensors"]
    assert record["weights"] == hash_weights(tmp_path / "out")
    plain = diffusers.ControlNetModel.from_pretrained(tmp_path / "out", torch_dtype=torch.float32)
    assert plain.config.conditioning_channels == 5
    unet, training, text = open_unet(folder), open_training(folder), pool.text[:1].float()
    drawn = [
        paint(unet, model, training, text, pool.empty, torch.full((1, 5, SIDE, SIDE), level), [3], steps=3, scale=scale)
        for level, scale in ((0.0, 1.0), (1.0, 1.0), (0.0, 0.0), (1.0, 0.0))
    ]
    assert all(one.shape == (1, 4, 8, 8) for one in drawn)
    assert not torch.allclose(drawn[0], drawn[1], atol=1e-3), "the map does not matter"
    assert torch.equal(drawn[2], drawn[3]), "without strength the map matters"


def _random_control(folder: Path, out: Path, packed: bool = False) -> Any:
    """Write a control network whose outputs are far from zero."""
    from fantascope.train.checkpoint import write_module

    model = branch(open_unet(folder), KINDS, SMALL)
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if "controlnet_" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    write_module(model, out)
    if packed:
        whole = {name: tensor.numpy() for name, tensor in model.float().state_dict().items()}
        save_file(compact(whole), out / PACKED, metadata={"format": "pt"})
        (out / WEIGHTS).unlink()
    (out / "fantascope.json").write_text(json.dumps({"kinds": list(KINDS)}), "utf-8")
    return open_control(out)[0]


def _session(runtime: str, path: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    names = [output.name for output in onnx.load(str(path), load_external_data=False).graph.output]
    if runtime == "onnxruntime":
        onnxruntime = pytest.importorskip("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda given: dict(zip(names, session.run(None, given), strict=True))
    openvino = pytest.importorskip("openvino")
    exact = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    compiled = openvino.Core().compile_model(str(path), "CPU", exact)
    return lambda given: dict(zip(names, map(compiled(given).__getitem__, compiled.outputs), strict=True))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_both_graphs_say_what_torch_says(folder: Path, tmp_path: Path, runtime: str, packed: bool) -> None:
    model, unet = _random_control(folder, tmp_path / "out", packed), open_unet(folder)
    export_graphs(folder)
    written = export_control(folder, tmp_path / "out")
    assert set(written) == {"control", "unet"}
    assert all(path.stat().st_size < 100_000 for path in written.values()), "a graph holds weights"
    run = {name: _session(runtime, path) for name, path in written.items()}
    plain = _session(runtime, folder / "unet" / "model.onnx")
    for rows, high, wide in ((2, 8, 8), (1, 12, 8)):
        rng = np.random.default_rng(rows)
        sample = rng.standard_normal((rows, 4, high, wide)).astype(np.float32)
        states = rng.standard_normal((rows, 32, 32)).astype(np.float32)
        times = np.array([10, 900][:rows], np.float32)
        drawn = rng.uniform(0, 1, (rows, 3 + len(KINDS), 8 * high, 8 * wide)).astype(np.float32)
        given = {"sample": sample, "timestep": times, "states": states}
        x, t, text, cond = (torch.from_numpy(part) for part in (sample, times, states, drawn))
        with torch.no_grad():
            down, mid = model(x, t, text, cond, conditioning_scale=0.7, return_dict=False)
            due = unet(x, t, text, down_block_additional_residuals=down, mid_block_additional_residual=mid).sample
            free = unet(x, t, text).sample
        added = run["control"](given | {"map": drawn, "scale": np.full(rows, 0.7, np.float32)})
        assert list(added) == [*(f"down_{k}" for k in range(len(down))), "mid"]
        for mine, theirs in zip(added.values(), [*down, mid], strict=True):
            assert np.abs(mine - theirs.numpy()).max() < TOLERANCE * max(1, theirs.abs().max())
        said = run["unet"](given | added)["prediction"]
        assert np.abs(said - due.numpy()).max() < TOLERANCE * max(1, due.abs().max())
        assert (due - free).abs().mean() > 0.01, "the control changes nothing"
        nothing = run["control"](given | {"map": drawn, "scale": np.zeros(rows, np.float32)})
        assert not any(value.any() for value in nothing.values())
        assert np.abs(run["unet"](given | nothing)["prediction"] - plain(given)["prediction"]).max() < 1e-6


def test_circles_are_drawn_as_they_are_called() -> None:
    made = circle(3, 64)
    inside, ground = made.caption.removesuffix(" background").split(" circle with ")
    assert made.picture.shape == made.outline.shape == (64, 64, 3)
    middle = np.argwhere(disc(made.outline)).mean(0).round().astype(int)
    assert tuple(made.picture[middle[0], middle[1]]) == COLOURS[inside] and tuple(made.picture[0, 0]) == COLOURS[ground]
    assert COLOURS["pale golden rod"] == (238, 232, 170) and COLOURS["old lace"] == (253, 245, 230)
    assert min(agreement(circle(k, 64).picture, circle(k, 64).outline) for k in range(20)) > 0.9
    assert np.mean([agreement(circle(k, 64).picture, circle(k + 1, 64).outline) for k in range(20)]) < 0.5
    assert agreement(made.picture, np.zeros_like(made.outline)) == 0
    assert agreement(np.full_like(made.picture, 9), made.outline) == 0
    assert np.array_equal(circle(3, 64).picture, made.picture)


GOOD = {"source": "source/0.png", "target": "target/0.png", "prompt": "a circle"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2 is not JSON"),
        ("[]", "not an object with the texts source, target, prompt"),
        (json.dumps(GOOD | {"prompt": 3}), "not an object"),
        (json.dumps(GOOD | {"source": "../0.png"}), "lies outside"),
        (json.dumps(GOOD | {"source": "/etc/hostname"}), "lies outside"),
        (json.dumps(GOOD | {"target": "target/9.png"}), "there is no"),
    ],
)
def test_a_bad_line_of_triples_is_named(tmp_path: Path, line: str, told: str) -> None:
    list(write_circles(tmp_path, 1, 32))
    with (tmp_path / "prompt.json").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(FantascopeError, match=told):
        read_triples(tmp_path)


def test_triples_that_are_no_pictures_or_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"prompt\.json"):
        read_triples(tmp_path)
    list(write_circles(tmp_path, 2, 32))
    rows = read_triples(tmp_path)
    picture, caption, more = next(load(rows, 16))
    assert picture.shape == (3, 16, 16) and picture.min() >= -1 and picture.max() <= 1
    assert caption == circle(0).caption and more["map"].shape == (1, 3, 16, 16) and more["map"].max() > 100
    Image.new("RGB", (32, 20)).save(rows[0].source)
    with pytest.raises(InvalidPicture, match="32x20"):
        next(load(rows, 16))
    rows[0].source.write_bytes(b"no picture")
    with pytest.raises(InvalidPicture, match="no picture that can be read"):
        next(load(rows, 16))
    (tmp_path / "prompt.json").write_text("\n", "utf-8")
    with pytest.raises(InvalidValue, match="names no picture"):
        read_triples(tmp_path)


Say = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def call(*words: object, code: int = 0) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert command([*map(str, words), "--json"]) == code, capsys.readouterr()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


SHORT = ("--steps", 2, "--batch", 2, "--report-every", 1, "--save-every", 1, "--pictures", 1, "--held", 2)


@pytest.mark.parametrize("build", [tiny.embedded, tiny.sd, lambda: tiny.sd(2)], ids=["embedded", "sd1", "sd2"])
def test_a_kind_of_ones_own_from_triples(tmp_path: Path, say: Say, build: Callable[[], Path]) -> None:
    checkpoint = shutil.copytree(build(), tmp_path / "ck")
    say("data", "circles", "--out", tmp_path / "circles", "--count", 5, "--size", 64)
    places = ("--checkpoint", checkpoint, "--run", tmp_path / "run", "--triples", tmp_path / "circles")
    rows = say(
        "train", "control", *places, *SHORT, "--agreement", "circle", "--kind", "circle", "--out", tmp_path / "o"
    )
    assert [row["step"] for row in rows if row["event"] == "step"] == [1, 2]
    assert all(0 <= row["figures"]["agreement"] <= 1 for row in rows if row["event"] == "step")
    assert [row["step"] for row in read_log(tmp_path / "run" / "agreement")] == [1, 2]
    assert (tmp_path / "run" / "agreement" / "curve.png").is_file()
    model, record = open_control(tmp_path / "o")
    assert record["kinds"] == ["circle"] and model.config.conditioning_channels == 3
    assert rows[-1]["event"] == "no graphs"
    (refused,) = say("train", "control", *places, "--pool", tmp_path, code=2)
    assert "one of them" in refused["message"]
    (refused,) = say("train", "control", *places, "--agreement", "square", code=2)
    assert "circle" in refused["message"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_from_drawings_to_a_control_network(tmp_path: Path, root: Path, say: Say) -> None:  # noqa: F811
    pytest.importorskip("cv2")
    from fantascope.spec import EMBEDDED

    words = tmp_path / "vocabulary.toml"
    words.write_text(VOCABULARY, "utf-8")
    checkpoint = shutil.copytree(EMBEDDED, tmp_path / "ck")
    made = ("--pool", tmp_path / "pool", "--checkpoint", checkpoint)
    encoded = say("data", "control", root, *made, "--scenes", 5, "--shard", 3, "--vocabulary", words)
    assert [row["stored"] for row in encoded] == [3, 5]
    pool = ControlPool(tmp_path / "pool")
    assert pool.kinds == KINDS and pool.more["map"].shape == (5, 3, 128, 128)
    assert all(len(set(row.tolist())) == 3 for row in pool.more["kind"]), "a kind twice of one scene"
    rows = say("train", "control", *made, "--run", tmp_path / "run", *SHORT, "--out", tmp_path / "out")
    assert [row["part"] for row in rows if row["event"] == "graph"] == ["control", "unet", "few"]
    with Image.open(tmp_path / "run" / "pictures" / "0000002.png") as sheet:
        assert sheet.size == (512, 128)
    record = json.loads((tmp_path / "out" / "fantascope.json").read_text("utf-8"))
    assert record["weights"] == hash_weights(tmp_path / "out") and "control.onnx" in record["weights"]
    assert record["training_ledger"] == (EMBEDDED / "ledger.jsonl.root").read_text("utf-8").strip()
    assert (tmp_path / "out" / "diffusion_pytorch_model.safetensors").stat().st_size < 12_000_000
    whole = json.loads((checkpoint / "fantascope.json").read_text("utf-8"))
    assert "unet/model.control.onnx" in whole["weights"]
