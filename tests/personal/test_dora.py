"""DoRA as it is trained: what peft computes from the same weights, and what the file brings back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tests.engines import tiny  # noqa: E402
from torch import nn  # noqa: E402

from fantascope.settings import Settings  # noqa: E402
from fantascope.train.personal.lora import Dora, put_on, take_off  # noqa: E402

LAYERS = {
    "linear": lambda: nn.Linear(12, 7),
    "linear without bias": lambda: nn.Linear(5, 9, bias=False),
    "convolution": lambda: nn.Conv2d(6, 8, 3, stride=2, padding=1),
    "convolution of 1 by 1": lambda: nn.Conv2d(6, 4, 1, bias=False),
}


def seen(layer: nn.Module) -> Any:
    """Something that a layer takes."""
    shape = (3, layer.in_features) if isinstance(layer, nn.Linear) else (3, layer.in_channels, 6, 6)
    return torch.randn(shape)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("name", list(LAYERS))
def test_it_is_what_peft_computes(name: str, dropout: float) -> None:
    peft = pytest.importorskip("peft")
    torch.manual_seed(3)
    layer = LAYERS[name]()
    x = seen(layer)
    config = peft.LoraConfig(r=3, lora_alpha=6, use_dora=True, target_modules=["0"], lora_dropout=dropout)
    theirs = peft.get_peft_model(nn.Sequential(layer), config)
    own: Dora = Dora(layer, 3, 6.0, dropout)
    module = theirs.base_model.model[0]
    with torch.no_grad():
        module.lora_B["default"].weight.normal_()
        module.lora_magnitude_vector["default"].weight.mul_(
            torch.rand(own.magnitude.shape).add(0.5).view_as(module.lora_magnitude_vector["default"].weight)
        )
        own.down.weight.copy_(module.lora_A["default"].weight)
        own.up.weight.copy_(module.lora_B["default"].weight)
        own.magnitude.copy_(module.lora_magnitude_vector["default"].weight.flatten())
    said = []
    for model in (theirs, own):
        model.train()
        torch.manual_seed(5)
        said.append(model(x))
        said[-1].square().sum().backward()
    assert torch.allclose(*said, rtol=1e-4, atol=1e-4)
    for mine, other in (
        (own.down, module.lora_A["default"]),
        (own.up, module.lora_B["default"]),
    ):
        assert torch.allclose(mine.weight.grad, other.weight.grad, rtol=1e-3, atol=1e-3)
    due = module.lora_magnitude_vector["default"].weight.grad.flatten()
    assert torch.allclose(own.magnitude.grad, due, rtol=1e-3, atol=1e-3)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.integers(0, 999), st.floats(0.01, 8))
def test_lengths_are_those_of_the_changed_weight(rows: int, columns: int, rank: int, seed: int, alpha: float) -> None:
    torch.manual_seed(seed)
    own = Dora(nn.Linear(columns, rows), rank, alpha, 0.0)
    nn.init.normal_(own.up.weight)
    due = (own.layer.weight + own.scale * own.up.weight @ own.down.weight).norm(dim=1)
    assert torch.allclose(own.lengths(), due, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", list(LAYERS))
def test_it_starts_as_the_layer_itself(name: str) -> None:
    layer = LAYERS[name]()
    x = seen(layer)
    assert torch.equal(Dora(layer, 2, 2.0, 0.0)(x), layer(x))


def test_the_file_is_read_as_it_was_learnt(tmp_path: Path) -> None:
    """By this project's reader, from the file's tensors alone, and by diffusers with peft."""
    pytest.importorskip("peft")
    from safetensors.torch import load_file

    from fantascope.engines.adapters.read import open_file, parse
    from fantascope.engines.adapters.tree import tree_of
    from fantascope.train.fit import FitConfig
    from fantascope.train.personal.base import answer, open_base, text_of
    from fantascope.train.personal.learn import PersonalConfig, Shot, encode_shots, train_personal
    from fantascope.train.personal.save import write_adapter

    settings, spec = Settings(home=tmp_path / "home"), tiny.spec_of(tiny.sd(), "sd1", name="small")
    base = open_base(spec, settings)
    unet = base.parts.unet
    told, x, times = text_of(base, ["a cat"]), torch.randn(1, 4, 8, 8), torch.tensor([500])

    def says() -> Any:
        with torch.no_grad():
            return answer(base, x, times, told, autocast=False)

    plain = says()
    config = PersonalConfig(FitConfig(4, 2, 2e-2, ema=0), rank=4, alpha=8, targets="all", prior=0, dora=True)
    subject = encode_shots(base, [Shot(np.zeros((64, 64, 3), np.uint8), ("a pomo cat",))], [""])
    learner, events = train_personal(base, config, tmp_path / "run", subject, None, "pomo", "cat")
    assert torch.equal(says(), plain)
    list(events)
    learnt = says()
    path = write_adapter(learner, base, tmp_path / "a.safetensors", {"trigger": "pomo", "licence": "CC0-1.0"})
    layers = learner.layers["unet"]
    assert any(not torch.equal(layer.magnitude, layer.lengths()) for layer in layers.values())
    take_off(unet, layers)
    assert torch.equal(says(), plain)
    change = (learnt - plain).abs().max()

    parsed = parse(open_file(path), tree_of(spec, settings), {})
    assert parsed.method == "dora" and len(parsed.deltas) == len(layers)
    kept = {name: value.clone() for name, value in unet.state_dict().items()}
    with torch.no_grad():
        for delta in parsed.deltas:
            weight = unet.get_submodule(delta.module).weight
            weight += torch.from_numpy(delta.weight(weight.numpy))
    assert change > 1e-2 and (says() - learnt).abs().max() < 0.02 * change
    unet.load_state_dict(kept)

    unet.load_lora_adapter(load_file(path), prefix="unet")
    assert (says() - learnt).abs().max() < 0.02 * change


def test_factors_of_a_model_are_decomposed_where_asked() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    made = put_on(model, lambda name, layer: True, 2, 2.0, dora=True)
    assert all(isinstance(layer, Dora) for layer in made.values())
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {f"{k}.{part}" for k in "01" for part in ("down.weight", "up.weight", "magnitude")}
