"""The collection: what is added, kept and found again; kill -9; merges, exports and fused checkpoints."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engines import adapters

from fantascope.adapter import collection, find_adapter, read_adapter
from fantascope.engines.adapters.collection import add_adapter, file_of, load_adapter, remove_adapter
from fantascope.engines.adapters.fuse import base_weights, fuse_folder, rewrite
from fantascope.engines.adapters.merge import merge
from fantascope.engines.adapters.read import open_file, parse
from fantascope.engines.adapters.write import export_adapter
from fantascope.engines.identify import inspect
from fantascope.engines.safefile import SafeFile
from fantascope.errors import (
    BrokenModelFile,
    FantascopeError,
    InvalidValue,
    LicenceMissing,
    ModelNotFound,
    UnknownName,
    UnsafeModelFile,
    Unsupported,
)
from fantascope.settings import Settings
from fantascope.spec import Licence


@pytest.fixture
def settings(home: Path) -> Settings:
    made = Settings(home=home)
    adapters.registered("sd1", made)
    return made


def file(path: Path, seed: int = 0, rank: int = 3, alpha: float | None = 1.5, **metadata: str) -> Path:
    return adapters.written(path, adapters.kohya("sd1", adapters.factors("sd1", rank, seed), alpha), **metadata)


def add(settings: Settings, path: Path, name: str = "ink", **more: Any) -> Any:
    given = {"name": name, "base": "tiny-sd1", "licence": "CC0-1.0", "settings": settings}
    return add_adapter(path, **(given | more))


def parsed(settings: Settings, name: str) -> Any:
    return load_adapter(find_adapter(name, settings.adapters), adapters.tree("sd1"), settings)


def test_a_record_says_what_is_in_the_file(settings: Settings, tmp_path: Path) -> None:
    said = {"ss_output_name": "Ink wash", "modelspec.trigger_phrase": "inkwash, sumi", "ss_network_dim": "3"}
    path = file(tmp_path / "a.safetensors", **said)
    made = add(settings, path, consent="own drawings", parents=("sha256:1",), samples="sha256:2")
    data = path.read_bytes()
    assert made.sha256 == hashlib.sha256(data).hexdigest()
    assert made.data_sha256 == hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
    assert (made.base, made.family, made.method, made.ranks, made.alpha) == ("tiny-sd1", "sd1", "locon", (3,), 1.5)
    assert (made.parts, made.title, made.trigger) == (("unet", "text_encoder"), "Ink wash", ("inkwash", "sumi"))
    assert (made.consent, made.parents, made.samples) == ("own drawings", ("sha256:1",), "sha256:2")
    assert made.licence == Licence(spdx="CC0-1.0", commercial=True) and not made.doubts
    assert made.metadata == said and made.created.endswith("+00:00")
    assert read_adapter(settings.adapters / "ink.json") == made == collection(settings.adapters)["ink"]
    assert file_of(made, settings).path.read_bytes() == data
    assert add(settings, path, "two", trigger=("a", "b")).trigger == ("a", "b")
    assert len(list((settings.adapters / "files").iterdir())) == 1  # one file, two records


def test_what_is_wrong_is_not_added(settings: Settings, tmp_path: Path) -> None:
    path = file(tmp_path / "a.safetensors")
    wrong: list[tuple[type[FantascopeError], dict[str, Any]]] = [
        (InvalidValue, {"name": "Not A Name"}),
        (UnknownName, {"base": "tiny-sd2"}),
        (Unsupported, {"base": "flux-schnell"}),
        (ModelNotFound, {"base": "sd15"}),
        (LicenceMissing, {"licence": " "}),
        (LicenceMissing, {"licence": "NOASSERTION"}),
        (InvalidValue, {"base": "embedded"}),
    ]
    for error, more in wrong:
        with pytest.raises(error):
            add(settings, path, **more)
    (tmp_path / "b.ckpt").write_bytes(path.read_bytes())
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnsafeModelFile):
        add(settings, tmp_path / "b.ckpt")
    with pytest.raises(BrokenModelFile):
        add(settings, tmp_path / "cut.safetensors")
    assert not collection(settings.adapters) and not (settings.adapters / "files").exists()
    add(settings, path)
    with pytest.raises(InvalidValue, match="already"):
        add(settings, file(tmp_path / "c.safetensors", seed=1))
    assert len(list((settings.adapters / "files").iterdir())) == 1


@pytest.mark.parametrize("where", ["os.fsync", "os.link", "pathlib.Path.write_text"])
def test_kill_9_leaves_nothing_half_added(where: str, settings: Settings, tmp_path: Path) -> None:
    path = file(tmp_path / "a.safetensors")
    module, _, name = where.rpartition(".")
    owner = "__import__('pathlib').Path" if module.startswith("pathlib") else "__import__('os')"
    code = (
        "import os, sys; from pathlib import Path; from fantascope.engines.adapters.collection import add_adapter; "
        "from fantascope.settings import Settings; "
        f"setattr({owner}, {name!r}, lambda *a, **k: os.kill(os.getpid(), 9)); "
        "add_adapter(Path(sys.argv[1]), name='ink', base='tiny-sd1', licence='MIT', "
        "settings=Settings(home=Path(sys.argv[2])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), str(settings.home)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not collection(settings.adapters)
    made = add(settings, path)
    assert collection(settings.adapters) == {"ink": made} and file_of(made, settings)


def test_of_two_that_add_one_name_one_wins(settings: Settings, tmp_path: Path) -> None:
    paths = [file(tmp_path / f"{k}.safetensors", seed=k) for k in range(4)]
    done: list[Any] = []

    def run(path: Path) -> None:
        try:
            done.append(add(settings, path))
        except InvalidValue as error:
            done.append(error)

    threads = [threading.Thread(target=run, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [one for one in done if not isinstance(one, InvalidValue)]
    assert len(winners) == 1 and find_adapter("ink", settings.adapters) == winners[0]
    assert file_of(winners[0], settings)


def test_removing_keeps_a_file_that_another_names(settings: Settings, tmp_path: Path) -> None:
    path = file(tmp_path / "a.safetensors")
    one, two = add(settings, path), add(settings, path, "two")
    remove_adapter("ink", settings)
    assert file_of(two, settings)
    kept = remove_adapter("two", settings)
    assert not kept.exists() and not collection(settings.adapters)
    with pytest.raises(UnknownName):
        remove_adapter("two", settings)
    with pytest.raises(ModelNotFound):
        file_of(one, settings)
    assert path.is_file()


def test_a_record_that_lies_is_found_out(settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = add(settings, file(tmp_path / "a.safetensors"))
    with pytest.raises(BrokenModelFile, match="names no file"):
        file_of(made.model_copy(update={"file": "../../../a.safetensors"}), settings)
    other = add(settings, file(tmp_path / "b.safetensors", seed=1), "chalk")
    with pytest.raises(BrokenModelFile, match="not the file"):
        file_of(made.model_copy(update={"file": other.file}), settings)
    (settings.adapters / "chalk.json").write_text("{}")
    (settings.adapters / "moved.json").write_text(made.model_dump_json())
    for name in ("chalk", "moved"):
        with pytest.raises(InvalidValue):
            find_adapter(name, settings.adapters)
    with pytest.raises(UnknownName):
        find_adapter("../adapters/ink", settings.adapters)
    assert set(collection(settings.adapters)) == {"ink"}
    assert "adapters remove chalk" in caplog.text and "takes the name 'ink'" in caplog.text
    remove_adapter("chalk", settings)


@pytest.mark.parametrize(
    ("stated", "metadata", "beside", "base", "commercial", "said"),
    [
        ("CC0-1.0", {"modelspec.license": "CC-BY-NC-4.0"}, {}, True, True, "the file says 'CC-BY-NC-4.0'"),
        ("CC0-1.0", {"modelspec.license": "cc0-1.0"}, {}, True, True, ""),
        ("MIT", {}, {"model": {"allowCommercialUse": ["Rent"]}}, True, False, "forbid selling pictures"),
        ("MIT", {}, {"model": {"allowCommercialUse": ["Image", "Rent"]}}, True, True, ""),
        ("MIT", {}, {"allowCommercialUse": "None"}, True, False, "forbid selling pictures"),
        ("MIT", {"allowCommercialUse": "{Image,Sell}"}, {}, True, True, ""),
        ("CC0-1.0", {"allowNoCredit": "false"}, {}, True, True, "ask for credit"),
        ("MIT", {}, {"civitai": {"model": {"allowDerivatives": False}}}, True, True, "no merges"),
        ("MIT", {}, {}, False, True, "forbids commercial use"),
        ("CC-BY-NC-4.0", {}, {}, True, False, ""),
    ],
)
def test_contradictions_are_shown(
    stated: str,
    metadata: dict[str, str],
    beside: dict[str, Any],
    base: bool,
    commercial: bool,
    said: str,
    settings: Settings,
    tmp_path: Path,
) -> None:
    spec = adapters.spec("sd1")
    licence = Licence(spdx="LicenseRef-base", commercial=base)
    (settings.models / "tiny-sd1.json").write_text(spec.model_copy(update={"licence": licence}).model_dump_json())
    path = file(tmp_path / "a.safetensors", **metadata)
    if beside:
        (tmp_path / "a.civitai.info").write_text(json.dumps(beside))
    made = add(settings, path, licence=stated)
    assert made.licence.commercial is commercial
    assert (len(made.doubts) == 0) if not said else (said in "; ".join(made.doubts))


def test_conditions_of_the_base_pass_on(settings: Settings, tmp_path: Path) -> None:
    spec = adapters.spec("sd1")
    licence = Licence(spdx="LicenseRef-RAIL", commercial=True, conditions="no harm")
    (settings.models / "tiny-sd1.json").write_text(spec.model_copy(update={"licence": licence}).model_dump_json())
    made = add(settings, file(tmp_path / "a.safetensors"), licence="MIT")
    assert "no harm" in made.doubts[0]
    assert not add(settings, file(tmp_path / "a.safetensors"), "b", licence="LicenseRef-RAIL").doubts


def sums(settings: Settings, *names: tuple[str, float]) -> dict[tuple[str, str], np.ndarray]:
    out: dict[tuple[str, str], np.ndarray] = {}
    for name, weight in names:
        for delta in parsed(settings, name).deltas:
            where = delta.part, delta.module
            out[where] = out.get(where, np.zeros(delta.layer.weight)) + weight * delta.weight().astype(np.float64)
    return out


def written(settings: Settings, tmp_path: Path, merged: Any) -> Any:
    path = adapters.written(tmp_path / "merged.safetensors", merged.tensors)
    return parse(open_file(path), adapters.tree("sd1"))


def test_add_is_exact_and_puts_ranks_side_by_side(settings: Settings, tmp_path: Path) -> None:
    for k, (name, rank) in enumerate((("ink", 3), ("chalk", 2))):
        add(settings, file(tmp_path / f"{k}.safetensors", k, rank), name)
    each = [(parsed(settings, "ink"), 0.7), (parsed(settings, "chalk"), -1.5)]
    merged = merge(each, "add", base_weights(adapters.spec("sd1"), settings))
    found, due = written(settings, tmp_path, merged), sums(settings, ("ink", 0.7), ("chalk", -1.5))
    assert (merged.ranks, merged.error, found.ranks) == ((5, 5), 0.0, (5,))
    assert {(d.part, d.module) for d in found.deltas} == set(due)
    for delta in found.deltas:
        np.testing.assert_allclose(delta.weight(), due[delta.part, delta.module], rtol=1e-4, atol=1e-5)


def test_svd_is_the_nearest_of_its_rank_and_says_how_near(settings: Settings, tmp_path: Path) -> None:
    for k, name in enumerate(("ink", "chalk")):
        add(settings, file(tmp_path / f"{k}.safetensors", k, 3), name)
    each = [(parsed(settings, "ink"), 1.0), (parsed(settings, "chalk"), 1.0)]
    base, due = base_weights(adapters.spec("sd1"), settings), sums(settings, ("ink", 1.0), ("chalk", 1.0))
    exact = merge(each, "svd", base, rank=6)
    assert exact.error < 1e-6
    merged = merge(each, "svd", base, rank=2)
    lost = whole = 0.0
    for delta in written(settings, tmp_path, merged).deltas:
        matrix = due[delta.part, delta.module].reshape(delta.layer.matrix)
        s = np.linalg.svd(matrix, compute_uv=False)
        missed = np.linalg.norm(matrix - delta.weight().reshape(matrix.shape))
        assert missed == pytest.approx(np.linalg.norm(s[2:]), rel=1e-3)
        lost, whole = lost + missed**2, whole + np.linalg.norm(matrix) ** 2
    assert merged.error == pytest.approx((lost / whole) ** 0.5, rel=1e-3)
    assert merge(each, "svd", base).ranks == (3, 3)  # the highest that went in


def test_ties_as_peft_has_it(settings: Settings, tmp_path: Path) -> None:
    import torch

    merging = pytest.importorskip("peft.utils.merge_utils")
    for k, name in enumerate(("ink", "chalk", "wash")):
        add(settings, file(tmp_path / f"{k}.safetensors", k), name)
    each = [(parsed(settings, name), 1.0) for name in ("ink", "chalk", "wash")]
    merged = merge(each, "ties", base_weights(adapters.spec("sd1"), settings), density=0.3)
    assert merged.ranks is None
    deltas = [{(d.part, d.module): torch.from_numpy(d.weight()) for d in one.deltas} for one, _ in each]
    for delta in written(settings, tmp_path, merged).deltas:
        tasks = [own[delta.part, delta.module] for own in deltas]
        due = merging.ties(tasks, torch.ones(3), 0.3)
        np.testing.assert_allclose(delta.weight(), due.numpy(), rtol=1e-5, atol=1e-6)
    ranked = merge(each, "ties", base_weights(adapters.spec("sd1"), settings), density=0.3, rank=4)
    assert ranked.ranks == (4, 4) and 0 < ranked.error < 1


def test_merging_kinds_that_are_no_products(settings: Settings, tmp_path: Path) -> None:
    """A DoRA and a whole difference with a LoRA: the sum is exact, as a whole difference."""
    layer = "mid_block.attentions.0.proj_in"
    head, pairs = f"lora_unet_{layer.replace('.', '_')}", adapters.factors("sd1")
    shape = adapters.tree("sd1").parts["unet"][layer].weight
    dora = adapters.kohya("sd1", {("unet", layer): pairs["unet", layer]})
    dora[f"{head}.dora_scale"] = np.full((shape[0], 1, 1, 1), 1.5, np.float32)
    dora["lora_unet_conv_in.diff_b"] = np.ones(32, np.float32)
    add(settings, adapters.written(tmp_path / "d.safetensors", dora), "dora")
    add(settings, file(tmp_path / "a.safetensors", 1))
    spec = adapters.spec("sd1")
    base = base_weights(spec, settings)
    found = written(
        settings, tmp_path, merge([(parsed(settings, "dora"), 0.5), (parsed(settings, "ink"), 1)], "add", base)
    )
    by_name = {delta.module: delta for delta in found.deltas}
    own = next(d for d in parsed(settings, "dora").deltas if d.module == layer)
    other = next(d for d in parsed(settings, "ink").deltas if d.module == layer)
    due = 0.5 * own.weight(lambda: base("unet", layer)) + other.weight()
    np.testing.assert_allclose(by_name[layer].weight(), due, rtol=1e-5, atol=1e-6)
    assert by_name[layer].kind == "full" and by_name["conv_in"].bias().tolist() == [0.5] * 32


def test_what_cannot_be_merged(settings: Settings, tmp_path: Path) -> None:
    add(settings, file(tmp_path / "a.safetensors"))
    add(settings, adapters.written(tmp_path / "b.safetensors", {"emb_params": np.ones((1, 32), np.float32)}), "zork")
    base, ink = base_weights(adapters.spec("sd1"), settings), parsed(settings, "ink")
    for error, each, method, more in (
        (UnknownName, [(ink, 1.0)], "dare", {}),
        (InvalidValue, [(ink, 1.0)], "add", {"rank": 3}),
        (InvalidValue, [(ink, 1.0)], "svd", {"rank": 0}),
        (InvalidValue, [(ink, 1.0)], "ties", {"density": 0.0}),
        (Unsupported, [(parsed(settings, "zork"), 1.0)], "add", {}),
    ):
        with pytest.raises(error):
            merge(each, method, base, **more)


def test_an_export_keeps_metadata_and_differences(settings: Settings, tmp_path: Path) -> None:
    add(settings, file(tmp_path / "a.safetensors", ss_network_dim="3"), trigger=("inkwash",), licence="MIT")
    made = find_adapter("ink", settings.adapters)
    for layout in ("kohya", "diffusers"):
        out = export_adapter(parsed(settings, "ink"), made, layout, tmp_path / f"{layout}.safetensors")
        again = add(settings, out, layout, licence="MIT")
        assert again.trigger == ("inkwash",) and not again.doubts
        assert again.metadata["ss_network_dim"] == "3" and again.metadata["modelspec.license"] == "MIT"
        due = sums(settings, ("ink", 1.0))
        for where, value in sums(settings, (layout, 1.0)).items():
            np.testing.assert_array_equal(value, due[where])
    with pytest.raises(InvalidValue, match="exists"):
        export_adapter(parsed(settings, "ink"), made, "kohya", tmp_path / "kohya.safetensors")
    with pytest.raises(UnknownName, match="kohya"):
        export_adapter(parsed(settings, "ink"), made, "koya", tmp_path / "x.safetensors")
    with pytest.raises(InvalidValue):
        export_adapter(parsed(settings, "ink"), made, "kohya", tmp_path / "x.ckpt")
    diff = {"lora_unet_conv_in.diff": np.ones((32, 4, 3, 3), np.float32)}
    add(settings, adapters.written(tmp_path / "b.safetensors", diff), "whole")
    with pytest.raises(Unsupported, match="unet conv_in"):
        export_adapter(
            parsed(settings, "whole"), find_adapter("whole", settings.adapters), "diffusers", tmp_path / "y.safetensors"
        )
    assert not (tmp_path / "y.safetensors").exists()


@pytest.mark.parametrize("layout", ["kohya", "diffusers"])
def test_textual_inversions_are_exported(layout: str, settings: Settings, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((2, 32)).astype(np.float32)
    add(settings, adapters.written(tmp_path / "b.safetensors", {"emb_params": vectors}), "zork", trigger=("<zork>",))
    made = find_adapter("zork", settings.adapters)
    out = export_adapter(parsed(settings, "zork"), made, layout, tmp_path / "out.safetensors")
    assert list(SafeFile.open(out).tensors) == ["emb_params" if layout == "kohya" else "<zork>"]
    again = add(settings, out, "again")
    assert again.trigger == ("<zork>",)
    np.testing.assert_array_equal(parsed(settings, "again").vectors["text_encoder"], vectors)


@pytest.mark.parametrize("family", ["sd1", "embedded"])
def test_a_fused_folder_is_a_model_with_parents(family: str, settings: Settings, tmp_path: Path) -> None:
    import torch

    from fantascope.engines.base import Choice
    from fantascope.engines.latent import TorchEngine
    from fantascope.request import Applied

    spec = adapters.registered(family, settings)
    path = adapters.written(tmp_path / "a.safetensors", adapters.kohya(family, adapters.factors(family)))
    made = add(settings, path, base=spec.name)
    each = [(Applied(name="ink", weight=0.5), made, load_adapter(made, adapters.tree(family), settings))]
    out = fuse_folder(spec, each, tmp_path / "fused", settings)
    added = inspect(f"dir:{out}", settings, name="fused")
    assert added.licence.spdx == "CC0-1.0"
    assert made.sha256 in (added.notes or "") and f"fused from {spec.name} and ink 0.5" in (added.notes or "")
    choice = Choice("latent", "cpu", "fp32", (), "torch")
    fused, plain = TorchEngine.load(added, choice, settings), TorchEngine.load(spec, choice, settings)
    with plain._dressed([Applied(name="ink", weight=0.5)]):
        assert plain._worn is not None
        plain._worn.at(0.5)
        for one, two in zip(fused.parts.modules(), plain.parts.modules(), strict=True):
            for name, tensor in two.state_dict().items():  # diffusers' BertModel wants a layer more, which is unused
                torch.testing.assert_close(one.state_dict()[name], tensor, rtol=1e-5, atol=1e-6)
    with pytest.raises(InvalidValue, match="exists"):
        fuse_folder(spec, each, out, settings)
    foreign = made.model_copy(update={"licence": Licence(spdx="MIT")})
    with pytest.raises(LicenceMissing, match=r"CC0-1\.0, MIT"):
        fuse_folder(spec, [(each[0][0], foreign, each[0][2])], tmp_path / "other", settings)
    assert not (tmp_path / "other").exists()
    assert not [left for left in tmp_path.iterdir() if left.name.startswith(".")]


def test_rewriting_rounds_once_in_the_files_own_format(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    random = torch.randn(64, 33, generator=torch.Generator().manual_seed(0))
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        state = {"text_model.a.weight": random.to(dtype), "b.weight": torch.ones(3, dtype=dtype)}
        save_file(state, tmp_path / "a.safetensors", metadata={"format": "pt"})
        rewrite(tmp_path / "a.safetensors", {"a.weight": lambda weight: weight * np.float32(1.01)})
        found = load_file(tmp_path / "a.safetensors")
        due = (state["text_model.a.weight"].float() * 1.01).to(dtype)
        assert torch.equal(found["text_model.a.weight"], due) and torch.equal(found["b.weight"], state["b.weight"])
