"""Control networks in one file, in the original key layout and in diffusers': what comes out is what was written."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.engines import tiny, tiny_ldm
from typer.testing import CliRunner

from fantascope.artifact import Artifact
from fantascope.engines.base import Steer
from fantascope.engines.identify import inspect
from fantascope.engines.latent_control import Branch, load_branch
from fantascope.engines.latent_control_file import config_of, family_of, names_of
from fantascope.errors import BrokenModelFile, UnsafeModelFile, Unsupported
from fantascope.settings import Settings
from fantascope.spec import Spec

HINT = {"conv_in": 0, "blocks.0": 2, "blocks.1": 4, "blocks.2": 6, "blocks.3": 8, "blocks.4": 10, "blocks.5": 12}
HINT |= {"conv_out": 14}
"""Layer of the hint encoder in diffusers -> its place in the original code's `input_hint_block`."""


def original(model: Any, prefix: str = "control_model.") -> dict[str, Any]:
    """Rename the keys of a ControlNetModel as its authors' code has them."""
    out, rest = {}, {}
    for name, value in model.state_dict().items():
        if found := re.match(r"controlnet_cond_embedding\.(.+)\.(weight|bias)$", name):
            out[f"{prefix}input_hint_block.{HINT[found[1]]}.{found[2]}"] = value
        elif found := re.match(r"controlnet_down_blocks\.(\d+)\.(.+)", name):
            out[f"{prefix}zero_convs.{found[1]}.0.{found[2]}"] = value
        elif name.startswith("controlnet_mid_block."):
            out[f"{prefix}middle_block_out.0.{name.removeprefix('controlnet_mid_block.')}"] = value
        else:
            rest[name] = value
    return out | {
        prefix + key.removeprefix("model.diffusion_model."): value
        for key, value in tiny_ldm.unet_keys(rest, model.config).items()
    }


@cache
def network(family: str) -> Any:
    """Return a random control network for a tiny checkpoint; its zero layers are not zero."""
    from diffusers import ControlNetModel

    model = ControlNetModel.from_unet(unet(family), conditioning_channels=3)
    torch.manual_seed(6)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def unet(family: str) -> Any:
    return (tiny.xl_parts() if family == "sdxl" else tiny.sd_parts(int(family[-1])))["unet"]


def written(path: Path, state: dict[str, Any]) -> Path:
    save_file({name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}, path)
    return path


def opened(path: Path, family: str, home: Path) -> Branch:
    """Put a file into the catalogue as `lines` and load it for a tiny model of a family."""
    settings = Settings(home=home)
    settings.models.mkdir(parents=True, exist_ok=True)
    spec = inspect(f"{'dir' if path.is_dir() else 'file'}:{path}", settings, "CC0-1.0", "lines")
    assert spec.family == "control"
    (settings.models / "lines.json").write_text(spec.model_dump_json(), "utf-8")
    steer = Steer("canny", np.zeros((64, 64, 3), np.uint8), network="lines")
    config = unet(family).config
    return load_branch(base_of(family), steer, settings, torch.device("cpu"), torch.float32, config)


def base_of(family: str) -> Spec:
    return tiny.spec_of(tiny.xl() if family == "sdxl" else tiny.sd(int(family[-1])), family)


@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("layout", ["control_model.", "", "diffusers", "whole"])
def test_what_comes_out_is_what_was_written(family: str, layout: str, home: Path, tmp_path: Path) -> None:
    model = network(family)
    if layout == "diffusers":
        state = dict(model.state_dict())
    else:
        state = original(model, "" if layout == "" else "control_model.")
    if layout == "whole":  # a training checkpoint has the base model and its noise schedule as well
        state |= load_file(tiny_ldm.file("sd1")) | {"betas": torch.ones(4), "alphas_cumprod": torch.ones(4)}
    branch = opened(written(tmp_path / "net.safetensors", state), family, home)
    found, due = branch.model.state_dict(), model.state_dict()
    assert found.keys() == due.keys() and all(torch.equal(found[key], due[key]) for key in due)
    x, t = torch.randn(1, 4, 8, 8, generator=torch.manual_seed(0)), torch.tensor([500.0])
    given, states = torch.rand(1, 3, 64, 64), torch.randn(1, 5, model.config.cross_attention_dim)
    added = {"text_embeds": torch.ones(1, 32), "time_ids": torch.ones(1, 6)} if family == "sdxl" else None
    with torch.no_grad():
        ours, theirs = (
            one(x, t, states, given, added_cond_kwargs=added, return_dict=False) for one in (branch.model, model)
        )
    pairs = zip((*ours[0], ours[1]), (*theirs[0], theirs[1]), strict=True)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in pairs)


REAL: dict[str, dict[str, Any]] = {
    "sd1": {"cross_attention_dim": 768},
    "sd2": {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
    "sdxl": {
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
"""Settings of the published networks of each family that are not ControlNetModel's defaults."""


EXTRA = {f"add_embedding.linear_{k}.{kind}" for k in (1, 2) for kind in ("weight", "bias")}
"""What diffusers' converter of control networks leaves out: it was written before SDXL."""


@pytest.mark.parametrize("family", REAL)
def test_real_sizes_are_read_off_and_diffusers_renames_alike(family: str) -> None:
    """Networks of the published sizes, without memory; diffusers' own converter is the second opinion."""
    from diffusers import ControlNetModel
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    with torch.device("meta"):
        model = ControlNetModel(**REAL[family])
    state = original(model)
    names = names_of(state.keys(), "net")
    assert names is not None and set(names.values()) == set(model.state_dict()) and set(names) == set(state)
    assert len(set(names.values())) == len(names)
    shapes = {ours: tuple(state[theirs].shape) for theirs, ours in names.items()}
    config = config_of(shapes, dict(model.config), "net")
    with torch.device("meta"):
        again = ControlNetModel.from_config(config)
    told = dict(again.config)
    del told["_use_default_values"]
    depths = dict(model.config) | {"transformer_layers_per_block": told["transformer_layers_per_block"]}
    assert {name: depths[name] for name in told} == told
    assert {key: value.shape for key, value in again.state_dict().items()} == {
        key: value.shape for key, value in model.state_dict().items()
    }
    assert family_of(names, shapes) == family
    theirs = convert_controlnet_checkpoint({key: key for key in state}, model.config)
    assert theirs == {ours: old for old, ours in names.items() if ours in theirs}
    assert {ours for ours in names.values() if ours not in theirs} <= EXTRA


@pytest.mark.parametrize(
    ("gone", "more", "told"),
    [
        ("zero_convs.1.0.bias", "", "lacks 'controlnet_down_blocks.1.bias'"),
        ("input_hint_block.6.weight", "", "lacks"),
        ("middle_block.1.transformer_blocks.0.attn1.to_q.weight", "", "mid_block.attentions.0.*to_q"),
        ("", "input_blocks.1.0.spare.weight", "no known part: 'control_model.input_blocks.1.0.spare.weight'"),
        ("", "zero_convs.99.0.weight", "'control_model.zero_convs.99.0.weight'"),
        ("", "time_embed.0.scale", "no known part"),
    ],
)
def test_missing_and_left_over_keys_are_named(gone: str, more: str, told: str, home: Path, tmp_path: Path) -> None:
    state = original(network("sd1"))
    if gone:
        del state[f"control_model.{gone}"]
    if more:
        state[f"control_model.{more}"] = torch.zeros(3)
    with pytest.raises(BrokenModelFile, match=told):
        opened(written(tmp_path / "net.safetensors", state), "sd1", home)


def test_a_stranger_key_beside_the_network_is_named(home: Path, tmp_path: Path) -> None:
    state = original(network("sd1")) | {"stowaway.weight": torch.zeros(1)}
    with pytest.raises(BrokenModelFile, match=r"stowaway\.weight"):
        opened(written(tmp_path / "net.safetensors", state), "sd1", home)


@pytest.mark.parametrize(
    ("key", "what"), [("lora_controlnet", "Control-LoRA"), ("difference", "differences"), ("task_embedding", "union")]
)
def test_other_things_that_steer_are_told_apart(key: str, what: str, home: Path, tmp_path: Path) -> None:
    state = original(network("sd1"), "") | {key: torch.zeros(1)}
    with pytest.raises(Unsupported, match=what):
        opened(written(tmp_path / "net.safetensors", state), "sd1", home)


def test_another_family_is_refused_by_name(home: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "net.safetensors", original(network("sd1")))
    with pytest.raises(Unsupported, match="made for another model: its cross_attention_dim"):
        opened(path, "sdxl", home)


@pytest.mark.parametrize("name", ["control_v11p_sd15_canny.pth", "control_sd15_canny.ckpt"])
def test_pickles_are_refused_with_the_command_that_converts_them(name: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeModelFile) as caught:
        inspect(f"file:{tmp_path / name}", Settings(home=home), "CC0-1.0")
    assert caught.value.hint is not None and "save_file" in caught.value.hint


def test_a_folder_of_a_network_with_kinds_of_its_own(home: Path, tmp_path: Path) -> None:
    """What `train control` writes can be added by itself: its record says which kinds it takes."""
    import json

    from diffusers import ControlNetModel

    folder = tmp_path / "own"
    ControlNetModel.from_unet(unet("sd1"), conditioning_channels=5).save_pretrained(folder)
    with pytest.raises(BrokenModelFile, match="takes maps of 5 channels and names 0 kinds"):
        opened(folder, "sd1", home)
    (folder / "fantascope.json").write_text(json.dumps({"kinds": ["canny", "circle"]}), "utf-8")
    assert opened(folder, "sd1", home).kinds == ("canny", "circle")


def test_a_hub_repository_of_one_network_is_fetched(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repositories of control networks have no index of components: settings and weights lie at the root."""
    import huggingface_hub

    from fantascope.engines.weights import open_place

    snapshot = tmp_path / "models--a--b" / "snapshots" / "1"
    network("sd1").save_pretrained(snapshot)
    asked: list[Any] = []

    def download(**arguments: Any) -> str:
        asked.append(arguments)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert open_place("hub:a/b", Settings(home=home)).has("config.json")
    assert "diffusion_pytorch_model*.safetensors" in asked[-1]["allow_patterns"]
    assert "*.bin" not in asked[-1]["allow_patterns"]


def test_on_the_command_line_from_file_to_picture(home: Path, tmp_path: Path) -> None:
    """A file is added, a map steers a picture by it, and the receipt names its hash."""
    from fantascope import Imagine, Studio
    from fantascope.cli.app import app
    from fantascope.request import Control

    path = written(tmp_path / "control_v11p_sd15_canny.safetensors", original(network("sd1")))
    folder = tmp_path / "folder"
    network("sd1").save_pretrained(folder)
    (home / "models").mkdir(parents=True)
    (home / "models" / "tiny.json").write_text(
        base_of("sd1").model_copy(update={"name": "tiny"}).model_dump_json(), "utf-8"
    )
    run = CliRunner()
    for source, name in ((f"file:{path}", "edges"), (f"dir:{folder}", "edges-folder")):
        added = run.invoke(app, ["models", "add", source, "--name", name, "--licence", "CC0-1.0"])
        assert added.exit_code == 0, added.output
    drawn = tmp_path / "map.png"
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[20:40, 20:24] = 255
    Image.fromarray(pixels).save(drawn)
    asked: dict[str, Any] = {"prompt": "a cat", "model": "tiny", "seed": 3, "steps": 2}
    made: dict[str | None, Artifact] = {}
    with Studio(Settings(home=home)) as studio:
        for net in (None, "edges", "edges-folder"):
            controls = () if net is None else (Control(kind="canny", picture=str(drawn), network=net),)
            request = Imagine(**asked, controls=controls)
            (made[net],) = [event for event in studio.run(request) if isinstance(event, Artifact)]
    plain, single, unpacked = (pixels_of(made[name]) for name in (None, "edges", "edges-folder"))
    assert (plain != single).any() and np.abs(single - unpacked).max() <= 2
    receipt = made["edges"].receipt
    assert receipt is not None
    (weight,) = [one for one in receipt.ran.weights if one.part == "control canny"]
    assert weight.path == path.name and weight.licence == "CC0-1.0"


def pixels_of(artifact: Artifact) -> Any:
    import io

    return np.asarray(Image.open(io.BytesIO(artifact.data)).convert("RGB")).astype(int)
