"""Places of models: what is opened, what is refused, what is hashed, and what a Spec is made of."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from tests.engines import tiny, tiny_ldm

from fantascope.engines import weights
from fantascope.engines.identify import find_licence, inspect
from fantascope.engines.latent_parts import files_of
from fantascope.engines.weights import open_place, sha256, weigh
from fantascope.errors import (
    BrokenModelFile,
    InvalidValue,
    LicenceMissing,
    ModelNotFound,
    UnsafeModelFile,
    Unsupported,
)
from fantascope.settings import Settings
from fantascope.spec import SPECS, Licence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the tiny SD 1.x folder that a test may spoil."""
    return Path(shutil.copytree(tiny.sd(), tmp_path / "model"))


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, offline=True)


def change(path: Path, **more: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | more))


def test_a_clean_folder_opens_and_lists_its_weights(folder: Path, settings: Settings) -> None:
    place = open_place(f"dir:{folder}", settings)
    assert [file.split("/")[0] for file in files_of(place)] == ["unet", "vae", "text_encoder"]
    found = weigh(tiny.spec_of(folder, "sd1"), place, files_of(place), settings)
    assert all(len(weight.sha256) == 64 and weight.licence == "CC0-1.0" for weight in found)


@pytest.mark.parametrize("source", ["", "sd15", "ftp:x", "dir:", "dir:a\0b", "hub:one", "hub:../../x", "hub:a/b/../c"])
def test_what_names_no_place(source: str, settings: Settings) -> None:
    with pytest.raises(InvalidValue):
        open_place(source, settings)


@pytest.mark.parametrize("source", ["dir:/nowhere/at/all", "file:/nowhere.safetensors", "embedded:nothing"])
def test_nothing_there(source: str, settings: Settings) -> None:
    with pytest.raises(ModelNotFound):
        open_place(source, settings)


def test_embedded_names_do_not_leave_their_folder(settings: Settings) -> None:
    with pytest.raises(InvalidValue):
        open_place("embedded:../../..", settings)


def test_hub_offline_says_how_to_fetch(settings: Settings) -> None:
    with pytest.raises(ModelNotFound, match="offline") as caught:
        open_place("hub:some-body/some-model@main", settings)
    assert caught.value.hint == "hf download some-body/some-model"


def test_hub_snapshot_links_into_its_cache_are_followed(
    folder: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub's cache keeps blobs beside snapshots and links to them: these links are fine, others are not."""
    import huggingface_hub

    cache = tmp_path / "models--a--b"
    snapshot = cache / "snapshots" / "1234"
    blobs = Path(shutil.copytree(folder, cache / "blobs"))
    for path in blobs.rglob("*"):
        if path.is_file():
            link = snapshot / path.relative_to(blobs)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    asked: list[Any] = []

    def download(**arguments: Any) -> str:
        asked.append(arguments)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    place = open_place("hub:a/b@v1", settings)
    assert len(weigh(tiny.spec_of(folder, "sd1"), place, files_of(place), settings)) == 3
    assert all(arguments["local_files_only"] and arguments["revision"] == "v1" for arguments in asked)
    fetched = asked[-1]["allow_patterns"]
    assert "unet/*.safetensors" in fetched and not [p for p in fetched if "*.bin" in p or "*.py" in p or p == "*"]
    (snapshot / "unet" / "config.json").unlink()
    (snapshot / "unet" / "config.json").symlink_to(tiny.sd() / "unet" / "config.json")
    with pytest.raises(UnsafeModelFile, match="leads out"):
        open_place("hub:a/b@v1", settings)


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.pth", "model.bin", "model.pkl", "model.exe"])
def test_single_files_that_can_run_code(name: str, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModelFile) as caught:
        open_place(f"file:{tmp_path / name}", settings)
    assert "safetensors" in str(caught.value)


def test_a_component_that_is_a_pickle_only(folder: Path, settings: Settings) -> None:
    file = next((folder / "vae").glob("*.safetensors"))
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(UnsafeModelFile, match=r"\.bin only"):
        files_of(open_place(f"dir:{folder}", settings))


def test_a_pickle_beside_the_safetensors_is_left_alone(folder: Path, settings: Settings) -> None:
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert not [file for file in files_of(open_place(f"dir:{folder}", settings)) if file.endswith(".bin")]


def test_a_pickle_called_safetensors(folder: Path, settings: Settings) -> None:
    next((folder / "vae").glob("*.safetensors")).write_bytes(b"\x80\x04\x95" + b"x" * 40)
    with pytest.raises(UnsafeModelFile, match="another name"):
        open_place(f"dir:{folder}", settings)


def test_code_in_the_folder(folder: Path, settings: Settings) -> None:
    (folder / "unet" / "my_unet.py").write_text("print('hello')")
    with pytest.raises(UnsafeModelFile, match="none is run"):
        open_place(f"dir:{folder}", settings)


def test_code_in_a_hidden_folder_and_behind_a_link(folder: Path, settings: Settings) -> None:
    """Only what downloads leave at the top is skipped; a link to a folder would hide what lies in it."""
    for name in (".git/hooks", ".cache/huggingface"):
        (folder / name).mkdir(parents=True)
        (folder / name / "tool.py").write_text("print('hello')")
    assert open_place(f"dir:{folder}", settings).root == folder.resolve()
    (folder / "unet").rename(folder / ".x")
    (folder / "unet").symlink_to(".x")
    with pytest.raises(UnsafeModelFile, match="link to a folder"):
        open_place(f"dir:{folder}", settings)
    (folder / "unet").unlink()
    (folder / ".x" / "evil.py").write_text("print('hello')")
    with pytest.raises(UnsafeModelFile, match="none is run"):
        open_place(f"dir:{folder}", settings)


@pytest.mark.parametrize(
    ("file", "more"),
    [
        ("text_encoder/config.json", {"auto_map": {"AutoModel": "model.Model"}}),
        ("tokenizer/tokenizer_config.json", {"trust_remote_code": True}),
        ("model_index.json", {"_class_name": ["pipeline", "Mine"]}),
        ("model_index.json", {"unet": ["os", "system"]}),
        ("model_index.json", {"unet": ["my_module", "Unet"]}),
        ("model_index.json", {"unet": ["diffusers.utils", "Unet"]}),
    ],
)
def test_configurations_that_ask_for_code(file: str, more: dict[str, Any], folder: Path, settings: Settings) -> None:
    change(folder / file, **more)
    with pytest.raises(UnsafeModelFile):
        open_place(f"dir:{folder}", settings)


def test_modules_of_diffusers_pipelines_are_no_foreign_code(folder: Path, settings: Settings) -> None:
    change(folder / "model_index.json", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    assert open_place(f"dir:{folder}", settings).root == folder.resolve()


@pytest.mark.parametrize("text", ["{", "[1]", "\0", '{"a": ' + "[" * 100_000])
def test_broken_configurations(text: str, folder: Path, settings: Settings) -> None:
    (folder / "unet" / "config.json").write_text(text)
    with pytest.raises(BrokenModelFile, match="not a configuration"):
        open_place(f"dir:{folder}", settings)


@pytest.mark.parametrize("inner", ["unet/config.json", "vae/diffusion_pytorch_model.safetensors"])
def test_links_that_lead_out(inner: str, folder: Path, settings: Settings) -> None:
    (folder / inner).unlink()
    (folder / inner).symlink_to(tiny.sd() / inner)
    with pytest.raises(UnsafeModelFile, match="leads out"):
        open_place(f"dir:{folder}", settings)


@pytest.mark.parametrize("shard", ["../../other.safetensors", "stray.safetensors", None])
def test_a_list_of_shards_that_leads_elsewhere(shard: str | None, folder: Path, settings: Settings) -> None:
    shutil.copy(folder / "unet" / "diffusion_pytorch_model.safetensors", folder / "unet" / "stray.safetensors")
    index = folder / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": shard}}))
    with pytest.raises(BrokenModelFile, match="not a weights file beside it"):
        files_of(open_place(f"dir:{folder}", settings))


def test_an_adapter_that_points_to_another_model(folder: Path, settings: Settings) -> None:
    (folder / "text_encoder" / "adapter_config.json").write_text('{"base_model_name_or_path": "a/b"}')
    with pytest.raises(UnsafeModelFile, match="another model"):
        open_place(f"dir:{folder}", settings)


@pytest.mark.parametrize("relative", ["../x", "/etc/passwd", "unet/../../x", "a\\b", "c:x", ""])
def test_names_that_lead_out(relative: str, folder: Path, settings: Settings) -> None:
    with pytest.raises(UnsafeModelFile):
        open_place(f"dir:{folder}", settings).path(relative)


def test_pinned_hashes_hold_or_break(folder: Path, settings: Settings) -> None:
    place = open_place(f"dir:{folder}", settings)
    spec = tiny.spec_of(folder, "sd1")
    pins = {weight.path: weight.sha256 for weight in weigh(spec, place, files_of(place), settings)}
    pinned = spec.model_copy(update={"weights": pins})
    assert weigh(pinned, place, files_of(place), settings)
    file = folder / files_of(place)[0]
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(BrokenModelFile, match="was pinned to"):
        weigh(pinned, place, files_of(place), settings)


def test_no_licence_no_loading(folder: Path, settings: Settings) -> None:
    place = open_place(f"dir:{folder}", settings)
    spec = tiny.spec_of(folder, "sd1", licence=Licence(spdx=" "))
    with pytest.raises(LicenceMissing, match="states no licence"):
        weigh(spec, place, files_of(place), settings)


def test_large_hashes_are_remembered_until_the_file_changes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    monkeypatch.setattr(weights, "MEMO_FROM", 10)
    path = tmp_path / "large"
    path.write_bytes(b"a" * 20)
    first = sha256(path, settings)
    assert first == hashlib.sha256(b"a" * 20).hexdigest()
    stat = path.stat()
    memo = next((settings.cache / "sha256").iterdir())
    memo.write_text("b" * 64)
    assert sha256(path, settings) == "b" * 64, "remembered"
    memo.write_text("nonsense")
    assert sha256(path, settings) == first, "a spoilt memory is not believed"
    time.sleep(0.02)
    path.write_bytes(b"c" * 20)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert sha256(path, settings) == hashlib.sha256(b"c" * 20).hexdigest()


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MEMO_FROM", 10)
    (tmp_path / "file").write_bytes(b"a" * 20)
    assert len(sha256(tmp_path / "file", Settings(home=tmp_path / "file" / "home"))) == 64


@pytest.mark.parametrize(
    ("build", "family", "native"),
    [
        (tiny.xl, "sdxl", 64),
        (tiny.embedded, "embedded", 64),
        (tiny.sd3, "pipeline", 1024),
        (tiny.flux, "pipeline", 1024),
    ],
)
def test_inspect_names_the_family(build: Any, family: str, native: int, settings: Settings) -> None:
    spec = inspect(f"dir:{build()}", settings)
    assert (spec.family, spec.sizes.native, spec.licence.spdx) == (family, native, "CC0-1.0")
    assert spec.weights and all(len(value) == 64 for value in spec.weights.values())
    if family == "pipeline":
        assert spec.pipeline == {"sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline"}[spec.name]


def test_inspect_tells_flux_dev_from_schnell(settings: Settings) -> None:
    for distilled, like in ((True, SPECS["flux-dev"]), (False, SPECS["flux-schnell"])):
        spec = inspect(f"dir:{tiny.flux(distilled)}", settings, name="mine")
        assert (spec.guided, spec.defaults) == (like.guided, like.defaults)
    assert SPECS["flux-dev"].defaults != SPECS["flux-schnell"].defaults


def test_inspect_pins_graphs(folder: Path, settings: Settings) -> None:
    (folder / "unet" / "model.onnx").write_bytes(b"a graph")
    spec = inspect(f"dir:{folder}", settings, name="mine")
    assert {"unet/model.onnx", "unet/diffusion_pytorch_model.safetensors"} <= set(spec.weights)
    (folder / "unet" / "model.onnx").write_bytes(b"another")
    with pytest.raises(BrokenModelFile, match="was pinned to"):
        weigh(spec, open_place(spec.source, settings), ["unet/model.onnx"], settings)


@pytest.mark.parametrize(("width", "family"), [(768, "sd1"), (1024, "sd2")])
def test_inspect_tells_sd_by_the_width_of_its_text(width: int, family: str, folder: Path, settings: Settings) -> None:
    change(folder / "unet" / "config.json", cross_attention_dim=width)
    spec = inspect(f"dir:{folder}", settings, name="mine")
    assert (spec.family, spec.name, spec.defaults.sampler) == (family, "mine", "dpmpp_2m")


@pytest.mark.parametrize(("kind", "native"), [("sd1", 512), ("sd2", 768), ("sdxl", 1024)])
def test_inspect_reads_single_files(kind: str, native: int, settings: Settings) -> None:
    path = tiny_ldm.file(kind)
    with pytest.raises(LicenceMissing) as caught:
        inspect(f"file:{path}", settings)
    assert caught.value.hint == f"fantascope models add file:{path} --name NAME --licence SPDX-ID"
    spec = inspect(f"file:{path}", settings, licence="CC0-1.0")
    assert (spec.family, spec.defaults.width, list(spec.weights)) == (kind, native, [path.name])


def test_inspect_refuses_what_it_does_not_know(folder: Path, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="refiner"):
        inspect(f"file:{tiny_ldm.file('refiner')}", settings, licence="CC0-1.0")
    (folder / "README.md").unlink()
    (folder / "LICENSE").unlink()
    with pytest.raises(LicenceMissing):
        inspect(f"dir:{folder}", settings)


@pytest.mark.parametrize(
    ("card", "text", "spdx"),
    [
        ("---\nlicense: apache-2.0\n---\n", "", "Apache-2.0"),
        ("---\ntags: [x]\nlicense: 'creativeml-openrail-m'\n---\n", "", "LicenseRef-CreativeML-Open-RAIL-M"),
        ("license: mit\n", "", None),
        ("---\nlicense: other\n---\n", "", None),
        ("", "Apache License\n    Version 2.0, January 2004", "Apache-2.0"),
        ("", "MIT License\n\nPermission is hereby granted, free of charge, to any", "MIT"),
        (
            "",
            "Copyright (c) 2022\n\nCreativeML Open RAIL-M\ndated August 22, 2022",
            "LicenseRef-CreativeML-Open-RAIL-M",
        ),
        ("", "All rights reserved", None),
    ],
)
def test_licences_are_read_from_the_models_papers(
    card: str, text: str, spdx: str | None, folder: Path, settings: Settings
) -> None:
    (folder / "README.md").write_text(card)
    (folder / "LICENSE").write_text(text)
    assert find_licence(open_place(f"dir:{folder}", settings)) == spdx
