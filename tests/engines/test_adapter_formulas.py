"""What our reader makes of factors, held to what LyCORIS, peft and diffusers themselves make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engines import adapters, tiny

from fantascope.adapter import Adapter
from fantascope.engines.adapters.read import PEFT, Parsed, open_file, parse
from fantascope.engines.adapters.write import diffusers, kohya, write_whole
from fantascope.engines.folder import write_safetensors

LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj"
POINT = "down_blocks.0.attentions.0.proj_in"
CONV = "down_blocks.1.resnets.0.conv1"


def read(path: Path, family: str = "sd1") -> Parsed:
    return parse(open_file(path), adapters.tree(family))


def arrays(state: Any) -> dict[str, np.ndarray]:
    return {name: tensor.detach().contiguous().numpy() for name, tensor in state.items()}


def shaken(module: torch.nn.Module) -> None:
    """Give every parameter of an adapter numbers of its own: half of them start at zero."""
    generator = torch.Generator().manual_seed(4)
    for name, parameter in module.named_parameters():
        if "org_module" not in name and "base_layer" not in name and parameter.requires_grad:
            noise = torch.randn(parameter.shape, generator=generator) * 0.3
            parameter.data = parameter.data * (1 + 0.2 * noise) if "dora" in name or "magnitude" in name else noise


def lycoris_modules() -> dict[str, tuple[str, Any, dict[str, Any]]]:
    pytest.importorskip("lycoris")
    from lycoris.modules.full import FullModule
    from lycoris.modules.locon import LoConModule
    from lycoris.modules.loha import LohaModule
    from lycoris.modules.lokr import LokrModule

    core = {"use_tucker": True}
    return {
        "lora": (LINEAR, LoConModule, {}),
        "locon": (CONV, LoConModule, {}),
        "locon with a core": (CONV, LoConModule, core),
        "loha": (LINEAR, LohaModule, {}),
        "loha of a convolution": (CONV, LohaModule, {}),
        "loha with a core": (CONV, LohaModule, core),
        "lokr": (LINEAR, LokrModule, {"factor": 4}),
        "lokr, both decomposed": (LINEAR, LokrModule, {"factor": 8, "decompose_both": True}),
        "lokr, both whole": (LINEAR, LokrModule, {"factor": 4, "full_matrix": True}),
        "lokr of a convolution": (CONV, LokrModule, {"factor": 4}),
        "lokr with a core": (CONV, LokrModule, core | {"factor": 2}),
        "full": (CONV, FullModule, {}),
        "dora": (LINEAR, LoConModule, {"weight_decompose": True}),
        "dora of columns": (LINEAR, LoConModule, {"weight_decompose": True, "wd_on_out": False}),
        "dora of a convolution": (CONV, LoConModule, {"weight_decompose": True}),
        "dora of a convolution's columns": (CONV, LoConModule, {"weight_decompose": True, "wd_on_out": False}),
        "dora of loha": (LINEAR, LohaModule, {"weight_decompose": True}),
        "dora of lokr": (CONV, LokrModule, {"weight_decompose": True, "factor": 4}),
    }


NAMES = (
    *("lora", "locon", "locon with a core", "loha", "loha of a convolution", "loha with a core"),
    *("lokr", "lokr, both decomposed", "lokr, both whole", "lokr of a convolution", "lokr with a core", "full"),
    *("dora", "dora of columns", "dora of a convolution", "dora of a convolution's columns"),
    *("dora of loha", "dora of lokr"),
)


@pytest.mark.parametrize("name", NAMES)
def test_as_lycoris(name: str, tmp_path: Path) -> None:
    where, kind, more = lycoris_modules()[name]
    layer = tiny.unet().get_submodule(where)
    weight = layer.weight.detach().clone()
    module = kind("x", layer, 1.0, lora_dim=3, alpha=1.5, **more).eval()
    if kind.__name__ == "FullModule":
        difference = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1)) * 0.1
        state, changed = {"diff": difference}, weight + difference
    else:
        shaken(module)
        state = module.custom_state_dict()
        with torch.no_grad():  # what it makes of an input tells its weight
            if weight.ndim == 2:
                changed = (module(torch.eye(weight.shape[1])) - layer.bias).T
            else:
                given = torch.randn(2, weight.shape[1], 5, 5, generator=torch.Generator().manual_seed(2))
                seen = module(given) - layer.bias[:, None, None]
    tensors = arrays({f"lora_unet_{where.replace('.', '_')}.{key}": value for key, value in state.items()})
    (delta,) = read(adapters.written(tmp_path / "a.safetensors", tensors)).deltas
    assert delta.decomposed == name.startswith("dora")
    assert delta.scale == (1.0 if name in ("full", "lokr, both whole") else 0.5)
    ours = weight + torch.from_numpy(delta.weight(weight.numpy))
    if weight.ndim == 2 or name == "full":
        torch.testing.assert_close(ours, changed, rtol=1e-4, atol=1e-5)
    else:
        torch.testing.assert_close(torch.nn.functional.conv2d(given, ours, padding=1), seen, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours, weight, atol=1e-3)


@pytest.mark.parametrize("more", [{}, {"use_rslora": True}, {"use_dora": True}, {"rank_pattern": {"conv1": 5}}])
def test_as_peft(more: dict[str, Any], tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    unet = tiny.unet()
    weights = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    targets = ["to_q", "to_out.0", "proj_in", "conv1"]
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=targets, init_lora_weights=False, **more)
    wrapped = peft.inject_adapter_in_model(config, unet)
    shaken(wrapped)
    state = peft.get_peft_model_state_dict(wrapped)
    packed = {
        f"unet.{name}": value for name, value in (("lora_alpha", 3), ("use_rslora", more.get("use_rslora", False)))
    }
    path = tmp_path / "a.safetensors"
    write_safetensors(
        path, arrays({f"unet.{name}": value for name, value in state.items()}), {PEFT: json.dumps(packed)}
    )
    found = read(path)
    layers = {name: m for name, m in wrapped.named_modules() if isinstance(m, peft.tuners.lora.LoraLayer)}
    assert {delta.module for delta in found.deltas} == set(layers)
    for delta in found.deltas:
        weight, layer = weights[f"{delta.module}.weight"], layers[delta.module]
        layer.merge()
        due = layer.get_base_layer().weight.detach() - weight
        torch.testing.assert_close(torch.from_numpy(delta.weight(weight.numpy)), due, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("family", "layout"), [("sd1", "diffusers"), ("sd1", "kohya"), ("sdxl", "diffusers")])
def test_diffusers_reads_what_we_write_as_we_do(family: str, layout: str, tmp_path: Path) -> None:
    """Both text encoders and the UNet, with a scale: the weights that diffusers makes of it are ours."""
    pytest.importorskip("peft")
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

    pairs = adapters.factors(family, wide=False)
    source = read(adapters.written(tmp_path / "a.safetensors", adapters.kohya(family, pairs, alpha=1.0)), family)
    tensors = diffusers(source, family) if layout == "diffusers" else kohya(source, family)
    write_whole(tmp_path / "out" / "b.safetensors", tensors, {})
    kind = StableDiffusionPipeline if family == "sd1" else StableDiffusionXLPipeline
    pipe = kind.from_pretrained(adapters.FAMILIES[family]())
    before = {p: {n: t.clone() for n, t in getattr(pipe, p).state_dict().items()} for p in source.parts}
    pipe.load_lora_weights(str(tmp_path / "out"), weight_name="b.safetensors")
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    for delta in source.deltas:
        states = getattr(pipe, delta.part).state_dict(), before[delta.part]
        after, base = (
            next(s[n] for n in (f"{delta.module}.weight", f"text_model.{delta.module}.weight") if n in s)
            for s in states
        )
        torch.testing.assert_close(after - base, torch.from_numpy(delta.weight()), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("layout", ["kohya", "diffusers"])
@pytest.mark.parametrize("family", ["sd1", "sdxl", "embedded"])
def test_written_and_read_again_it_is_the_same(family: str, layout: str, tmp_path: Path) -> None:
    pairs = {
        where: (down.astype(np.float16), up.astype(np.float16))
        for where, (down, up) in adapters.factors(family).items()
    }
    for alpha in (None, 0.75, 1.0):
        source = read(adapters.written(tmp_path / "a.safetensors", adapters.kohya(family, pairs, alpha)), family)
        tensors = kohya(source, family) if layout == "kohya" else diffusers(source, family)
        write_whole(tmp_path / "b.safetensors", tensors, {})
        again = read(tmp_path / "b.safetensors", family)
        assert [(one.part, one.module) for one in sorted(again.deltas, key=str)] == [
            (one.part, one.module) for one in sorted(source.deltas, key=str)
        ]
        due = {(one.part, one.module): one for one in source.deltas}
        exact = layout == "kohya" or alpha in (None, 0.75)  # 0.75 / 3 is a power of two
        for one in again.deltas:
            first, second = due[one.part, one.module].weight(), one.weight()
            (np.testing.assert_array_equal if exact else np.testing.assert_allclose)(
                second, first, *(() if exact else (1e-5,))
            )
        halves = [entry.dtype for name, entry in again.file.tensors.items() if not name.endswith("alpha")]
        if layout == "kohya" or alpha is None:
            assert set(halves) == {"F16"}
        elif alpha == 1.0:
            assert "F32" in halves


def test_other_kinds_keep_their_factors_in_kohyas_layout(tmp_path: Path) -> None:
    pytest.importorskip("lycoris")
    tensors: dict[str, np.ndarray] = {}
    for name in ("loha", "lokr of a convolution"):
        where, kind, more = lycoris_modules()[name]
        module = kind("x", tiny.unet().get_submodule(where), 1.0, lora_dim=3, alpha=1.5, **more)
        shaken(module)
        state = {f"lycoris_{where.replace('.', '_')}.{key}": value for key, value in module.custom_state_dict().items()}
        tensors |= arrays(state)
    source = read(adapters.written(tmp_path / "a.safetensors", tensors))
    write_whole(tmp_path / "b.safetensors", kohya(source, "sd1"), {})
    for one, two in zip(source.deltas, read(tmp_path / "b.safetensors").deltas, strict=True):
        np.testing.assert_array_equal(
            {d.module: d for d in source.deltas}[two.module].weight(), two.weight(), err_msg=one.module
        )


def test_the_record_is_frozen() -> None:
    assert Adapter.model_config["frozen"] and Adapter.model_config["extra"] == "forbid"
