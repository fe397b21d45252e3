"""Single-file checkpoints in the original key layout give the same modules as the ones they were written from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.engines import tiny, tiny_ldm

from fantascope.artifact import Output
from fantascope.engines import latent_ldm as ldm
from fantascope.engines.base import Choice
from fantascope.engines.latent import TorchEngine
from fantascope.engines.latent_parts import clip_tokenizer
from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile, Unsupported
from fantascope.settings import Settings

CPU = Choice("latent", "cpu", "fp32", (), "torch")


def load(path: Path, family: str, home: Path, **more: object) -> TorchEngine:
    return TorchEngine.load(tiny.spec_of(path, family, **more), CPU, Settings(home=home))


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_modules_are_those_the_file_was_written_from(kind: str, home: Path) -> None:
    engine, theirs = load(tiny_ldm.file(kind), kind, home), tiny_ldm.modules(kind)
    ours = {"unet": engine.parts.unet, "vae": engine.parts.vae}
    ours |= {encoder.folder: encoder.model for encoder in engine.parts.encoders}
    assert set(ours) == set(theirs)
    for name, module in theirs.items():
        expected, found = module.state_dict(), ours[name].state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected), name
    x, t = torch.randn(1, 4, 8, 8, generator=torch.manual_seed(0)), torch.tensor([500.0])
    states = torch.randn(1, 5, theirs["unet"].config.cross_attention_dim)
    added = {"text_embeds": torch.ones(1, 32), "time_ids": torch.ones(1, 6)} if kind == "sdxl" else None
    with torch.no_grad():
        a, b = (net(x, t, states, added_cond_kwargs=added).sample for net in (ours["unet"], theirs["unet"]))
        assert torch.allclose(a, b, atol=1e-6)
        assert torch.allclose(ours["vae"].decode(x).sample, theirs["vae"].decode(x).sample, atol=1e-6)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_paints(kind: str, home: Path) -> None:
    engine = load(tiny_ldm.file(kind), kind, home)
    outputs = [event for event in engine.render(tiny.ask(steps=2)) if isinstance(event, Output)]
    assert outputs[0].pixels.shape == (64, 64, 3) and outputs[0].pixels.std() > 5


def test_refiner_file_refines(home: Path) -> None:
    base = tiny_ldm.file("sdxl")
    plain = load(base, "sdxl", home)
    refined = load(base, "sdxl", home, refiner=f"file:{tiny_ldm.file('refiner')}", refiner_start=0.5)
    a, b = (next(e for e in engine.render(tiny.ask(steps=4)) if isinstance(e, Output)) for engine in (plain, refined))
    assert (a.pixels != b.pixels).any()
    assert [weight.part for weight in refined.ran().weights] == ["sdxl", "refiner/refiner"]


@pytest.mark.parametrize(
    ("kind", "marks", "native", "prediction", "zero"),
    [
        ("sd1", (), 512, "epsilon", False),
        ("sd2", (), 512, "epsilon", False),
        ("sd2", (), 768, "v_prediction", False),
        ("sdxl", (), 1024, "epsilon", False),
        ("sdxl", ("v_pred", "ztsnr"), 1024, "v_prediction", True),
    ],
)
def test_schedule_follows_family_and_marks(
    kind: str, marks: tuple[str, ...], native: int, prediction: str, zero: bool
) -> None:
    config = ldm.scheduler_config(SafeFile.open(tiny_ldm.file(kind, marks)), kind, native)
    assert (config["prediction_type"], config["rescale_betas_zero_snr"]) == (prediction, zero)


def test_missing_tensor_is_broken_and_named(home: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(tiny_ldm.file("sd1"))
    del state["model.diffusion_model.out.2.bias"]
    save_file(state, tmp_path / "less.safetensors")
    with pytest.raises(BrokenModelFile, match="do not fit together"):
        load(tmp_path / "less.safetensors", "sd1", home)


def test_other_layouts_are_unsupported(home: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"double_blocks.0.weight": torch.zeros(2, 2)}, tmp_path / "flux.safetensors")
    with pytest.raises(Unsupported, match="SD 1"):
        load(tmp_path / "flux.safetensors", "sd1", home)


def test_shipped_clip_tokenizer_has_the_known_ids() -> None:
    """Ids of the published vocabulary: 49406 and 49407 are the marks, 320 is "a", 1125 "photo", 2368 "cat"."""
    tokenizer = clip_tokenizer()
    assert len(tokenizer) == 49408
    assert tokenizer("A photo of a  CAT").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
