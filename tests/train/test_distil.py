"""Distillation on a tiny checkpoint: few steps come to end where many do, and every engine paints with the result."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")
pytest.importorskip("onnx")

from safetensors.numpy import load_file, save_file  # noqa: E402
from tests.engines import tiny  # noqa: E402

from fantascope.artifact import Output  # noqa: E402
from fantascope.cli import train as cli  # noqa: E402
from fantascope.cli.app import run as command  # noqa: E402
from fantascope.core.schedules import levels  # noqa: E402
from fantascope.engines.base import Choice  # noqa: E402
from fantascope.engines.graph import GraphEngine  # noqa: E402
from fantascope.engines.latent import TorchEngine  # noqa: E402
from fantascope.engines.load import choose  # noqa: E402
from fantascope.engines.lora import BASE, fuse, layers_of  # noqa: E402
from fantascope.engines.pipeline import PipelineEngine  # noqa: E402
from fantascope.engines.safefile import SafeFile  # noqa: E402
from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound, Unsupported  # noqa: E402
from fantascope.settings import Settings  # noqa: E402
from fantascope.spec import EMBEDDED, FEW, SPECS, Spec, few_steps  # noqa: E402
from fantascope.train import distil  # noqa: E402
from fantascope.train.distil import FewConfig, TeacherConfig, Trajectories, write_trajectories  # noqa: E402
from fantascope.train.export import export_few, export_graphs  # noqa: E402
from fantascope.train.fit import FitConfig, load_weights  # noqa: E402
from fantascope.train.lowrank import LowRank, low_rank, write_delta  # noqa: E402
from fantascope.train.quantise import export_int8, input_ranges  # noqa: E402

UNET = "unet/diffusion_pytorch_model.safetensors"
NUMBERS = 60_000
CAPTIONS = [("cat", 1), ("red cat", 2), ("cat", 3), ("red", 4), ("a cat", 5), ("cat red", 6)]
FIT = FitConfig(steps=6, batch=4, rate=2e-3, warmup=1, decay=0.0, ema=0.9, report_every=1, save_every=2)


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
def paths(folder: Path, tmp_path: Path) -> Trajectories:
    """Trajectories of two captions more than are trained on."""
    assert list(write_trajectories(CAPTIONS, folder, tmp_path / "pool", batch=3, shard=4)) == [4, 6]
    return Trajectories(tmp_path / "pool", held=2)


def _random_delta(folder: Path, numbers: int = NUMBERS) -> Any:
    """Give the checkpoint a delta whose product is as large as a tenth of the weights; return the summed UNet."""
    model = distil.student(folder, numbers)
    torch.manual_seed(4)
    for module in model.modules():
        if isinstance(module, LowRank):
            torch.nn.init.normal_(module.up, std=0.05)
    write_delta(model, folder / UNET, folder / FEW)
    return model


def _spec(folder: Path, **more: Any) -> Spec:
    return tiny.spec_of(folder, "embedded", upscaler=4, **({"delta": FEW} | more))


def test_waypoints_are_what_a_run_of_few_steps_visits(folder: Path, paths: Trajectories) -> None:
    training = distil._training(folder)
    few = levels(training, 4, sampler="ddim")
    assert paths.times.tolist() == few.times.tolist() == [999, 749, 499, 249]
    assert paths.waypoint.shape == (6, 5, 4, 8, 8) and paths.text.shape[0] == 5, "equal captions are stored once"
    model, (states, empty) = distil._unet(folder), (torch.randn(2, 32, 32), torch.randn(1, 32, 32))
    one = distil.paint(model, training, states, empty, [7, 8], TeacherConfig(4, 4, 1.0, 0.0))
    x = one[:, 0]
    for k in range(4):
        step = torch.full((2,), k)
        x = paths.move(x, distil.velocity(model, x, paths.times[step], states), step)
        assert torch.allclose(x, one[:, k + 1], atol=1e-5), "the step of the loss is not the sampler's"
    many = distil.paint(model, training, states, empty, [7, 8], TeacherConfig())
    assert torch.equal(many[:, 0], one[:, 0]) and not torch.allclose(many[:, 1], one[:, 1], atol=1e-3)
    with pytest.raises(InvalidValue, match="666"):
        distil.paint(model, training, states, empty, [7, 8], TeacherConfig(20, 3))


def test_painting_that_was_stopped_goes_on_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    def bytes_of(pool: Path) -> list[bytes]:
        return [path.read_bytes() for path in sorted(pool.glob("*.safetensors"))]

    def paint(pool: str, captions: Any = CAPTIONS, config: TeacherConfig = TeacherConfig(8)) -> Any:
        return write_trajectories(captions, folder, tmp_path / pool, config, batch=2, shard=2)

    assert list(paint("whole")) == [2, 4, 6]
    stopped = paint("cut")
    next(stopped)
    stopped.close()
    kept = (tmp_path / "cut" / "0000.safetensors").stat().st_mtime_ns
    with pytest.raises(BrokenModelFile, match="2 of 6"):
        Trajectories(tmp_path / "cut")
    assert list(paint("cut")) == [2, 4, 6] and bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")
    assert (tmp_path / "cut" / "0000.safetensors").stat().st_mtime_ns == kept, "what was there was painted again"
    next(paint("cut", config=TeacherConfig(8, guidance=2.0)))
    with pytest.raises(BrokenModelFile, match="another way"):
        Trajectories(tmp_path / "cut")
    assert list(paint("cut", CAPTIONS[:2]))[-1] == len(Trajectories(tmp_path / "cut")) == 2
    with pytest.raises(ModelNotFound):
        Trajectories(tmp_path)


def test_batches_are_the_same_from_any_step_and_leave_out_what_is_held(paths: Trajectories) -> None:
    source = paths.batches(3, 0)
    whole = [next(source) for _ in range(8)]
    again = paths.batches(3, 5)
    for batch in whole[5:]:
        other = next(again)
        assert all(torch.equal(batch[name], other[name]) for name in batch)
    seen = torch.cat([batch["there"] for batch in whole]).flatten(1)
    trained, held = (paths.waypoint[part, 1:].flatten(0, 1).flatten(1) for part in (slice(4), slice(4, 6)))
    assert (torch.cdist(seen.float(), trained.float()).min(dim=1).values < 1e-3).all()
    assert torch.cdist(seen.float(), held.float()).min() > 1e-3
    for batch in whole:
        first = batch["step"] == 0
        assert torch.equal(batch["before"][first], batch["here"][first])
    with pytest.raises(InvalidValue, match="4 trajectories"):
        next(paths.batches(17, 0))


def test_training_that_was_stopped_goes_on_to_the_same_bytes(folder: Path, paths: Trajectories, tmp_path: Path) -> None:
    config = FewConfig(FIT, NUMBERS)
    assert [event.step for event in distil.train_few(config, tmp_path / "whole", folder, paths)] == [1, 2, 3, 4, 5, 6]
    stopped = distil.train_few(config, tmp_path / "cut", folder, paths)
    assert [next(stopped).step for _ in range(3)] == [1, 2, 3]
    stopped.close()
    assert [event.step for event in distil.train_few(config, tmp_path / "cut", folder, paths)] == [3, 4, 5, 6]
    whole, cut = ((tmp_path / name / "state.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    names = set(load_file(tmp_path / "cut" / "state.safetensors"))
    assert all(".original" not in name for name in names), "the base was trained, too"
    with pytest.raises(InvalidValue, match="own"):
        next(distil.train_few(FewConfig(FIT, NUMBERS, 0.25), tmp_path / "cut", folder, paths))
    base = load_file(folder / UNET)
    save_file(base | {"conv_in.bias": base["conv_in.bias"] + 1}, folder / UNET, metadata={"format": "pt"})
    with pytest.raises(InvalidValue, match="another UNet"):
        next(distil.train_few(config, tmp_path / "new", folder, paths))


def test_few_steps_come_to_end_where_many_do(folder: Path, paths: Trajectories, tmp_path: Path) -> None:
    fit = FitConfig(24, 6, 4e-3, warmup=1, decay=0.0, ema=0.8, report_every=4, save_every=24)
    config = FewConfig(fit, NUMBERS, own=0.25)
    measured = Trajectories(tmp_path / "pool", held=6)
    before = distil.distance(distil.student(folder, NUMBERS), measured)
    losses = [event.loss for event in distil.train_few(config, tmp_path / "run", folder, paths)]
    student = distil.student(folder, NUMBERS)
    load_weights(student, tmp_path / "run")
    assert losses[-1] < 0.6 * losses[0]
    assert distil.distance(student, measured) < 0.8 * before


def test_the_file_holds_the_student(folder: Path) -> None:
    from diffusers import UNet2DConditionModel

    student = _random_delta(folder)
    file = SafeFile.open(folder / FEW)
    assert file.metadata[BASE] == hashlib.sha256((folder / UNET).read_bytes()).hexdigest()
    assert sum(entry.length for entry in file.tensors.values()) <= 2 * NUMBERS
    assert {entry.dtype for entry in file.tensors.values()} == {"F16"}
    assert file.tensors["unet.conv_in.lora_A.weight"].shape[1:] == (4, 3, 3)
    assert file.tensors["unet.conv_in.lora_B.weight"].shape[::2] == (32, 1)
    given = torch.randn(2, 4, 8, 8), torch.tensor([999, 249]), torch.randn(2, 32, 32)
    plain = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval()
    with torch.no_grad():
        wanted, before = student(*given).sample, plain(*given).sample
        fuse(plain, file)
        found = plain(*given).sample
    scale = (wanted - before).norm()
    assert scale > 0.05 * wanted.norm()
    assert (found - wanted).norm() < 5e-3 * scale


def test_a_run_goes_on_from_the_factors_of_an_earlier_version(
    folder: Path, paths: Trajectories, tmp_path: Path
) -> None:
    earlier = _random_delta(folder)
    old = shutil.copy(folder / FEW, tmp_path / "old.safetensors")
    still = FewConfig(FitConfig(1, 4, 0.0, warmup=1, decay=0.0, ema=0.0), NUMBERS, start=old)
    list(distil.train_few(still, tmp_path / "run", folder, paths))
    started = distil.student(folder, NUMBERS)
    load_weights(started, tmp_path / "run")
    given = torch.randn(1, 4, 8, 8), torch.tensor([500]), torch.randn(1, 32, 32)
    with torch.no_grad():
        wanted, plain = earlier(*given).sample, distil.student(folder, NUMBERS)(*given).sample
        assert (started(*given).sample - wanted).norm() < 5e-3 * (wanted - plain).norm()
    with pytest.raises(InvalidValue, match="numbers"):
        next(distil.train_few(FewConfig(FIT, NUMBERS // 2, start=old), tmp_path / "new", folder, paths))


def test_ranks_keep_to_the_budget() -> None:
    def size(numbers: int) -> tuple[int, int]:
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Linear(8, 2))
        rank = low_rank(model, numbers)
        return rank, sum(p.numel() for p in model.parameters() if p.requires_grad)

    assert size(45) == (1, 45) and size(89) == (1, 45) and size(90) == (2, 90)
    assert size(125) == (3, 125), "the small layer stops at its full rank"
    assert size(10**6)[0] == 8
    with pytest.raises(InvalidValue, match="45 numbers"):
        size(44)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_engines_agree_and_say_what_they_loaded(folder: Path, home: Path, runtime: str) -> None:
    _random_delta(folder)
    export_graphs(folder)
    settings = Settings(home=home, threads=1)
    request = tiny.ask("red cat", n=2, steps=4, guidance=1.0)

    def pixels(engine: Any) -> Any:
        said = np.stack([event.pixels for event in engine.render(request) if isinstance(event, Output)])
        return said.astype(int), engine.ran().weights

    graph = GraphEngine.load(_spec(folder), Choice("graph", "cpu", "fp32", (), runtime), settings)
    latent = TorchEngine.load(_spec(folder), Choice("latent", "cpu", "fp32", (), "torch"), settings)
    plain = GraphEngine.load(_spec(folder, delta=None), Choice("graph", "cpu", "fp32", (), runtime), settings)
    (mine, drawn), (theirs, loaded), (other, without) = map(pixels, (graph, latent, plain))
    assert np.abs(mine - theirs).max() <= 2 and np.abs(mine - theirs).mean() < 0.05
    assert np.abs(mine - other).mean() > 0.5, "the delta changes nothing"
    for weights in (drawn, loaded):
        digests = {weight.path: weight.sha256 for weight in weights}
        assert digests[FEW] == hashlib.sha256((folder / FEW).read_bytes()).hexdigest() and UNET in digests
        assert len({weight.part for weight in weights if "unet" in weight.part}) == len(digests.keys() & _unets(folder))
    assert "unet/few.onnx" in {w.path for w in drawn} and "unet/model.onnx" not in {w.path for w in drawn}
    assert FEW not in {w.path for w in without}
    for engine in (graph, latent, plain):
        engine.close()


def _unets(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in (folder / "unet").rglob("*") if path.is_file()}


def test_a_graph_shares_its_weights_and_is_rounded_like_the_base(folder: Path, home: Path) -> None:
    _random_delta(folder)
    export_graphs(folder)
    assert (folder / "unet" / "few.onnx").stat().st_size < 150_000
    with pytest.raises(Unsupported, match="int8"):
        GraphEngine.load(_spec(folder), Choice("graph", "cpu", "int8", (), "openvino"), Settings(home=home))
    for few in (True, False):
        export_int8(folder, input_ranges(folder, ["red cat"], 4, 1.0, few=few), few=few)
    settings, request = Settings(home=home, threads=1), tiny.ask("red cat", steps=4, guidance=1.0)

    def said(spec: Spec, precision: str) -> Any:
        engine = GraphEngine.load(spec, Choice("graph", "cpu", precision, (), "openvino"), settings)
        network = engine.network(request, engine.encode_text(["red cat"], request))
        out = network(np.random.default_rng(0).standard_normal((1, 4, 8, 8)).astype(np.float32), 749.0)
        assert any(weight.path == FEW for weight in engine.ran().weights) == (spec.delta is not None)
        engine.close()
        return out

    def lost(spec: Spec) -> float:
        exact = said(spec, "fp32")
        return float(np.linalg.norm(said(spec, "int8") - exact) / np.linalg.norm(exact))

    # How much depends on the processor: one without VNNI adds pairs of products in 16 bits.
    assert 0 < lost(_spec(folder)) < max(0.1, 1.5 * lost(_spec(folder, delta=None)))


def _other_base(folder: Path) -> None:
    base = load_file(folder / UNET)
    save_file(base | {"conv_in.bias": base["conv_in.bias"] + 1}, folder / UNET, metadata={"format": "pt"})


def _alphas(folder: Path) -> None:
    save_file(load_file(folder / FEW) | {"unet.conv_in.alpha": np.ones(1, np.float32)}, folder / FEW)


def _half(folder: Path) -> None:
    save_file({name: t for name, t in load_file(folder / FEW).items() if "conv_in.lora_A" not in name}, folder / FEW)


def _stranger(folder: Path) -> None:
    factors = {f"unet.nowhere.lora_{k}.weight": np.ones((2, 2), np.float16) for k in "AB"}
    save_file(load_file(folder / FEW) | factors, folder / FEW)


@pytest.mark.parametrize(
    ("spoil", "error", "told"),
    [
        (_other_base, BrokenModelFile, "made for other weights"),
        (_alphas, Unsupported, "without alphas"),
        (_half, BrokenModelFile, "do not fit"),
        (_stranger, BrokenModelFile, "nowhere"),
    ],
)
def test_a_delta_that_does_not_fit_is_refused(
    folder: Path, home: Path, spoil: Callable[[Path], None], error: type[Exception], told: str
) -> None:
    _random_delta(folder)
    spoil(folder)
    settings = Settings(home=home)
    with pytest.raises(error, match=told):
        TorchEngine.load(_spec(folder), Choice("latent", "cpu", "fp32", (), "torch"), settings)
    if spoil is not _other_base:
        with pytest.raises((BrokenModelFile, Unsupported)):
            export_few(folder)


def test_graphs_of_another_delta_and_engines_without_one_are_refused(folder: Path, home: Path) -> None:
    settings = Settings(home=home, threads=1)
    _random_delta(folder)
    export_graphs(folder)
    assert choose(_spec(folder), {}, settings).engine == "graph"
    _random_delta(folder, NUMBERS // 2)
    engine = GraphEngine.load(_spec(folder), Choice("graph", "cpu", "fp32", (), "openvino"), settings)
    with pytest.raises(BrokenModelFile, match="exported for another pytorch_lora"):
        list(engine.render(tiny.ask("cat", guidance=1.0)))
    engine.close()
    (folder / "unet" / "few.onnx").unlink()
    choice = choose(_spec(folder), {}, settings)
    assert choice.engine == "latent" and "no exported graphs" in choice.reasons[0]
    with pytest.raises(Unsupported, match="pipeline"):
        PipelineEngine.load(_spec(folder), Choice("pipeline", "cpu", "fp32", (), "torch"), settings)


def test_the_catalogue_has_few_steps_where_the_record_has_the_weights() -> None:
    plain = SPECS["embedded"].model_copy(update={"weights": {UNET: "0" * 64}})
    assert few_steps(plain) == []
    (few,) = few_steps(plain.model_copy(update={"weights": {UNET: "0" * 64, FEW: "1" * 64}}))
    assert (few.name, few.source, few.delta) == ("embedded-few", "embedded:embedded", FEW)
    assert (few.defaults.steps, few.defaults.guidance, few.defaults.guidance_rescale) == (4, 1.0, 0.0)
    assert few.defaults.width == plain.defaults.width and few.weights[FEW] == "1" * 64
    assert ("embedded-few" in SPECS) == (FEW in SPECS["embedded"].weights) == (EMBEDDED / FEW).is_file()


def test_the_stages_from_the_command_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ledger.jsonl", "ledger.jsonl.root", "fantascope.json"):
        shutil.copyfile(EMBEDDED / name, folder / name)
    monkeypatch.setattr(cli, "captions", lambda count, first, vocabulary=None: CAPTIONS[:count])
    places = ["--checkpoint", folder, "--pool", tmp_path / "pool", "--json"]

    def say(*words: object) -> list[dict[str, Any]]:
        assert command([*map(str, words)]) == 0, capsys.readouterr().err
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    painted = say("train", "trajectories", *places, "--count", 5, "--shard", 3)
    assert [row["stored"] for row in painted] == [3, 5]
    steps = ["--steps", 2, "--batch", 4, "--numbers", NUMBERS, "--held", 1, "--report-every", 1]
    rows = say("train", "distil", *places, "--run", tmp_path / "run", *steps)
    assert [row["step"] for row in rows if row["event"] == "step"] == [1, 2]
    assert rows[-1]["event"] == "distilled" and rows[-1]["distance"] != rows[-1]["before"]
    record = json.loads((folder / "fantascope.json").read_text("utf-8"))
    assert {FEW, "unet/few.onnx"} <= set(record["weights"])
    assert len(layers_of(SafeFile.open(folder / FEW))) == sum(
        name.endswith("lora_A.weight") for name in load_file(folder / FEW)
    )
    assert [row["part"] for row in say("train", "int8", folder, "--prompts", 1, "--steps", 2, "--json")] == [
        "unet",
        "few",
    ]
