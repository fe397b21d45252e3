"""Adapter files in every layout: read into one normal form, or refused by the name of what does not fit."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from tests.engines import adapters, tiny, tiny_ldm

from fantascope.engines.adapters.read import CONFIG, PEFT, Parsed, check_numbers, open_file, parse, scaling_of
from fantascope.engines.adapters.tree import blocks_of, layers_of, tree_of
from fantascope.engines.safefile import SafeFile
from fantascope.errors import (
    BrokenModelFile,
    FantascopeError,
    InvalidValue,
    ModelNotFound,
    UnsafeModelFile,
    Unsupported,
)
from fantascope.settings import Settings

LAYER = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
KOHYA = "lora_unet_" + LAYER.replace(".", "_")


def read(path: Path, family: str = "sd1") -> Parsed:
    return parse(open_file(path), adapters.tree(family))


def pair(rank: int = 2, side: int = 32) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    shapes = {"lora_down.weight": (rank, side), "lora_up.weight": (32, rank)}
    return {f"{KOHYA}.{end}": random.standard_normal(shape).astype(np.float32) for end, shape in shapes.items()}


@pytest.mark.parametrize(
    ("family", "layout"),
    [
        *(("sd1", name) for name in adapters.LAYOUTS),
        *(("sdxl", name) for name in adapters.LAYOUTS),
        ("embedded", "diffusers"),
        ("embedded", "kohya"),
    ],
)
def test_every_layout_gives_the_same_differences(family: str, layout: str, tmp_path: Path) -> None:
    pairs = adapters.factors(family)
    assert {part for part, _ in pairs} == set(adapters.tree(family).parts)
    found = read(adapters.written(tmp_path / "a.safetensors", adapters.LAYOUTS[layout](family, pairs)), family)
    assert {(delta.part, delta.module) for delta in found.deltas} == set(pairs)
    assert (found.method, found.ranks, found.parts) == ("locon", (3,), tuple(adapters.tree(family).parts))
    for delta in found.deltas:
        due = adapters.product(*pairs[delta.part, delta.module], delta.layer.weight)
        np.testing.assert_array_equal(delta.weight(), due)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_single_files_have_the_layers_of_the_modules(kind: str, home: Path) -> None:
    tree = tree_of(tiny.spec_of(tiny_ldm.file(kind), kind), Settings(home=home))
    modules = tiny_ldm.modules(kind)
    for part, layers in tree.parts.items():
        real = layers_of({name: tuple(p.shape) for name, p in modules[part].named_parameters()})
        assert layers == real, part


def test_the_scale_is_alpha_by_rank(tmp_path: Path) -> None:
    for alpha, scale in ((1.0, 0.5), (None, 1.0), (0.0, 1.0), (4.0, 2.0)):
        more = {} if alpha is None else {f"{KOHYA}.alpha": np.array(alpha, np.float32)}
        (delta,) = read(adapters.written(tmp_path / "a.safetensors", pair() | more)).deltas
        assert delta.scale == scale
        up, down = pair()[f"{KOHYA}.lora_up.weight"], pair()[f"{KOHYA}.lora_down.weight"]
        np.testing.assert_allclose(delta.weight(), scale * up @ down, rtol=1e-6)


def test_a_peft_configuration_gives_alpha(tmp_path: Path) -> None:
    tensors = {
        f"base_model.model.{LAYER}.{end}": value
        for end, value in zip(("lora_A.weight", "lora_B.weight"), pair().values(), strict=True)
    }
    path = adapters.written(tmp_path / "adapter_model.safetensors", tensors)
    assert read(path).deltas[0].scale == 1
    config = {"lora_alpha": 6, "r": 2, "use_rslora": True, "alpha_pattern": {"to_k": 100}}
    (tmp_path / CONFIG).write_text(json.dumps(config))
    file = open_file(path)
    (delta,) = parse(file, adapters.tree("sd1"), scaling_of(file, tmp_path)).deltas
    assert delta.scale == pytest.approx(6 / 2**0.5)
    packed = {"unet.lora_alpha": 5, "unet.r": 2, "unet.alpha_pattern": {"attn1.to_q": 3.0}}
    tensors = {name.replace("base_model.model.", "unet."): value for name, value in tensors.items()}
    inside = adapters.written(tmp_path / "b.safetensors", tensors, **{PEFT: json.dumps(packed)})
    assert read(inside).deltas[0].scale == 1.5
    for said in ("[]", "{", json.dumps({"unet.lora_alpha": "many"})):
        with pytest.raises(BrokenModelFile):
            read(adapters.written(tmp_path / "c.safetensors", tensors, **{PEFT: said}))


def test_biases_and_whole_differences(tmp_path: Path) -> None:
    random, name = np.random.default_rng(0), "lora_unet_conv_in"
    shape = adapters.tree("sd1").parts["unet"]["conv_in"].weight
    diff, bias = random.standard_normal(shape).astype(np.float16), random.standard_normal(32).astype(np.float32)
    found = read(adapters.written(tmp_path / "a.safetensors", {f"{name}.diff": diff, f"{name}.diff_b": bias}))
    (delta,) = found.deltas
    assert (found.method, found.ranks, delta.rank, delta.scale) == ("full", (), None, 1.0)
    np.testing.assert_array_equal(delta.weight(), diff.astype(np.float32))
    np.testing.assert_array_equal(delta.bias(), bias)
    norm = "lora_unet_conv_norm_out"
    tensors = {f"{norm}.w_norm": bias, f"{norm}.b_norm": bias} | pair()
    found = read(adapters.written(tmp_path / "b.safetensors", tensors))
    assert found.method == "mixed" and {delta.module for delta in found.deltas} == {"conv_norm_out", LAYER}


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({f"{KOHYA}x.alpha": np.zeros(1, np.float32)}, InvalidValue, f"{KOHYA}x.alpha"),
        ({"lora_unet_down_blocks_9_conv.lora_up.weight": np.zeros((4, 2), np.float32)}, InvalidValue, "down_blocks_9"),
        ({f"{KOHYA}.lora_down.weight": np.zeros((2, 48), np.float32)}, InvalidValue, LAYER),
        ({f"{KOHYA}.lora_down.weight": np.zeros((5, 32), np.float32)}, InvalidValue, LAYER),
        ({f"{KOHYA}.lora_up.weight": np.zeros((31, 2), np.float32)}, InvalidValue, "31x32"),
        ({f"{KOHYA}.lora_mid.weight": np.zeros((3, 2, 3, 3), np.float32)}, InvalidValue, "core"),
        ({f"{KOHYA}.hada_w1_a": np.zeros((2, 2), np.float32)}, InvalidValue, "mixes factors of lora and loha"),
        ({f"{KOHYA}.dora_scale": np.ones((7, 1), np.float32)}, InvalidValue, "magnitude 7x1"),
        ({f"{KOHYA}.diff_b": np.zeros(32, np.float32)}, InvalidValue, "bias"),
        ({f"{KOHYA}.oft_blocks": np.zeros((2, 2), np.float32)}, Unsupported, "OFT"),
        ({f"{KOHYA}.something": np.zeros(2, np.float32)}, Unsupported, f"{KOHYA}.something"),
        ({f"{KOHYA}.alpha": np.array(np.nan, np.float32)}, BrokenModelFile, "alpha"),
        ({f"unet.{LAYER}.lora_A.weight": np.zeros((2, 32), np.float32)}, BrokenModelFile, "twice"),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha": np.ones(1, np.float32)}, InvalidValue, "lora_te2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    change: dict[str, np.ndarray], error: type[FantascopeError], said: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        read(adapters.written(tmp_path / "a.safetensors", pair() | change))
    assert said in caught.value.message


def test_a_missing_factor_is_refused(tmp_path: Path) -> None:
    for end, lacking in (("lora_down.weight", "up"), ("lora_up.weight", "down")):
        with pytest.raises(InvalidValue, match=f"{LAYER}.*lacks its {lacking}"):
            read(adapters.written(tmp_path / "a.safetensors", {f"{KOHYA}.{end}": pair()[f"{KOHYA}.{end}"]}))


def test_another_family_is_refused_and_says_what_it_was_made_for(tmp_path: Path) -> None:
    tensors = adapters.original("sdxl", adapters.factors("sdxl"))
    path = adapters.written(tmp_path / "a.safetensors", tensors, ss_base_model_version="sdxl_base_v1-0")
    with pytest.raises(InvalidValue, match="sdxl_base_v1-0"):
        read(path, "sd1")


def test_a_key_that_fits_two_encoders_is_refused(tmp_path: Path) -> None:
    head = "base_model.model.text_model.encoder.layers.0.mlp.fc1"
    tensors = {
        f"{head}.lora_A.weight": np.ones((1, 32), np.float32),
        f"{head}.lora_B.weight": np.ones((64, 1), np.float32),
    }
    path = adapters.written(tmp_path / "a.safetensors", tensors)
    assert read(path).parts == ("text_encoder",)
    with pytest.raises(InvalidValue, match="text_encoder and text_encoder_2"):
        read(path, "sdxl")


def test_bad_files(tmp_path: Path) -> None:
    import torch

    with pytest.raises(ModelNotFound):
        open_file(tmp_path / "none.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes(pickle.dumps({"a": 1}))
    (tmp_path / "c.pt").write_bytes(b"anything")
    for name in ("a.safetensors", "b.safetensors", "c.pt"):
        with pytest.raises(UnsafeModelFile):
            open_file(tmp_path / name)
    with pytest.raises(BrokenModelFile, match="no weights"):
        open_file(adapters.written(tmp_path / "d.safetensors", {}))
    with pytest.raises(BrokenModelFile, match="I8"):
        open_file(adapters.written(tmp_path / "e.safetensors", {"lora_unet_conv_in.diff": np.zeros(3, np.int8)}))
    for bad in (np.nan, np.inf, -np.inf):
        tensors = pair()
        tensors[f"{KOHYA}.lora_up.weight"][3, 1] = bad
        with pytest.raises(BrokenModelFile, match="lora_up"):
            check_numbers(open_file(adapters.written(tmp_path / "f.safetensors", tensors)))


@examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_a_truncated_file_is_never_read(share: float, tmp_path: Path) -> None:
    whole = adapters.written(tmp_path / "a.safetensors", pair()).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BrokenModelFile):
        read(tmp_path / "cut.safetensors")


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_choices_of_layers_ranks_and_layouts(data: st.DataObject, tmp_path: Path) -> None:
    every = adapters.factors("sdxl", rank=data.draw(st.integers(1, 5)), seed=data.draw(st.integers(0, 9)))
    chosen = data.draw(st.lists(st.sampled_from(sorted(every)), min_size=1, max_size=6, unique=True))
    pairs = {where: every[where] for where in chosen}
    layout, alpha = data.draw(st.sampled_from(sorted(adapters.LAYOUTS))), data.draw(st.sampled_from([None, 0.5, 8.0]))
    tensors = adapters.LAYOUTS[layout]("sdxl", pairs, alpha=alpha)
    path = adapters.written(tmp_path / "a.safetensors", tensors)
    scale = (
        1.0 if alpha is None or layout in ("diffusers", "old", "comfy") else alpha / len(next(iter(pairs.values()))[0])
    )
    for delta in read(path, "sdxl").deltas:
        due = scale * adapters.product(*pairs[delta.part, delta.module], delta.layer.weight)
        np.testing.assert_allclose(delta.weight(), due, rtol=1e-5, atol=1e-6)
    lost = data.draw(st.sampled_from([name for name in sorted(tensors) if not name.endswith("alpha")]))
    adapters.written(path, {name: value for name, value in tensors.items() if name != lost})
    if len(tensors) > 2 + (alpha is not None):
        with pytest.raises(FantascopeError):
            read(path, "sdxl")


@examples(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=60), dotted=st.booleans())
def test_a_strange_key_is_refused_and_named(key: str, dotted: bool, tmp_path: Path) -> None:
    name = f"{key}.lora_down.weight" if dotted else f"a.{key}"
    tensors = pair() | {name: np.zeros((2, 32), np.float32)}
    with pytest.raises((InvalidValue, Unsupported, BrokenModelFile)) as caught:
        read(adapters.written(tmp_path / "a.safetensors", tensors))
    assert repr(name) in caught.value.message


def test_textual_inversions(tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).standard_normal((3, 32)).astype(np.float32)

    def inversion(family: str, **tensors: np.ndarray) -> Parsed:
        return read(adapters.written(tmp_path / "a.safetensors", tensors), family)

    for name, word in (("emb_params", None), ("clip_l", None), ("<zork>", "<zork>"), ("<a.b>", "<a.b>")):
        found = inversion("sd1", **{name: vectors})
        assert (found.method, found.word, found.parts) == ("textual-inversion", word, ("text_encoder",))
        np.testing.assert_array_equal(found.vectors["text_encoder"], vectors)
    assert inversion("embedded", **{"<zork>": vectors[0]}).vectors["text_encoder"].shape == (1, 32)
    both = inversion("sdxl", clip_l=vectors, clip_g=vectors[::-1])
    np.testing.assert_array_equal(both.vectors["text_encoder_2"], vectors[::-1])
    with pytest.raises(InvalidValue, match="no vectors for text_encoder_2"):
        inversion("sdxl", clip_l=vectors)
    with pytest.raises(BrokenModelFile, match="as many vectors"):
        inversion("sdxl", clip_l=vectors, clip_g=vectors[:1])
    with pytest.raises(InvalidValue, match="33 numbers a token"):
        inversion("sd1", emb_params=np.zeros((1, 33), np.float32))


@pytest.mark.parametrize(
    ("module", "blocks"),
    [
        ("down_blocks.1.attentions.0.proj_in", ("down_1.0", "down_1")),
        ("up_blocks.2.resnets.1.conv1", ("up_2.1", "up_2")),
        ("down_blocks.0.downsamplers.0.conv", ("down_0",)),
        ("mid_block.resnets.1.conv1", ("mid",)),
        ("time_embedding.linear_1", ("other",)),
    ],
)
def test_blocks(module: str, blocks: tuple[str, ...]) -> None:
    assert blocks_of("unet", module) == blocks
    assert blocks_of("text_encoder", module) == ("text",)


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = adapters.written(tmp_path / "a.safetensors", pair())
    code = (
        "import sys; from pathlib import Path; from fantascope.engines.adapters.tree import *; "
        "from fantascope.engines.adapters.read import *; from fantascope.settings import Settings; "
        "from fantascope.engines.adapters import collection, fuse, merge, write; "
        "from fantascope.spec import Spec; spec = Spec.model_validate_json(sys.argv[1]); "
        "parse(open_file(Path(sys.argv[2])), tree_of(spec, Settings(home=Path(sys.argv[2]).parent))); "
        "assert not {'torch', 'diffusers', 'transformers', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, adapters.spec("sd1").model_dump_json(), str(path)], check=True)


def test_metadata_are_kept(tmp_path: Path) -> None:
    path = adapters.written(tmp_path / "a.safetensors", pair(), ss_network_dim="2")
    assert SafeFile.open(path).metadata["ss_network_dim"] == "2"
