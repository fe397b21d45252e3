"""Adapters on loaded modules: what they change, when, and that nothing of them stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engines import adapters, tiny, tiny_ldm

from fantascope.artifact import Output, Step
from fantascope.engines.adapters.collection import add_adapter
from fantascope.engines.adapters.delta import EPSILON
from fantascope.engines.base import Choice
from fantascope.engines.latent import TorchEngine
from fantascope.engines.latent_encode import encode
from fantascope.engines.load import Engines
from fantascope.errors import BrokenModelFile, InvalidValue, UnknownName
from fantascope.request import Applied
from fantascope.settings import Settings

CPU = Choice("latent", "cpu", "fp32", (), "torch")


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def added(settings: Settings, family: str, name: str, tensors: dict[str, np.ndarray], **more: Any) -> Any:
    base = adapters.registered(family, settings)
    settings.home.mkdir(exist_ok=True)
    file = adapters.written(settings.home / f"{name}.safetensors", tensors)
    return add_adapter(file, name=name, base=base.name, licence="CC0-1.0", settings=settings, **more)


def lora(settings: Settings, family: str, name: str, seed: int = 0, **more: Any) -> adapters.Factors:
    """Add a LoRA of convolutions and projections and return its factors."""
    pairs = adapters.factors(family, seed=seed, **more)
    added(settings, family, name, adapters.kohya(family, pairs))
    return pairs


def engine(family: str, settings: Settings, choice: Choice = CPU) -> TorchEngine:
    return TorchEngine.load(adapters.spec(family), choice, settings)


def painted(run: TorchEngine, *worn: Applied, **more: Any) -> np.ndarray:
    request = tiny.ask(**({"adapters": worn or None} | more))
    (pixels,) = [event.pixels for event in run.render(request) if isinstance(event, Output)]
    return pixels


@contextmanager
def by_hand(run: TorchEngine, pairs: adapters.Factors, weight: float) -> Iterator[None]:
    """Add factors to modules the plain way."""
    modules = {"unet": run.parts.unet} | {encoder.folder: encoder.model for encoder in run.parts.encoders}
    kept = []
    for (part, name), (down, up) in pairs.items():
        state = dict(modules[part].named_parameters())
        parameter = next(state[n] for n in (f"{name}.weight", f"text_model.{name}.weight") if n in state)
        kept.append((parameter, parameter.data.clone()))
        parameter.data += weight * torch.from_numpy(adapters.product(down, up, tuple(parameter.shape)))
    yield
    for parameter, before in kept:
        parameter.data = before


@pytest.mark.parametrize("family", ["sd1", "sdxl", "embedded"])
def test_the_picture_is_that_of_the_changed_weights(family: str, settings: Settings) -> None:
    pairs, run = lora(settings, family, "ink"), engine(family, settings)
    before, plain = run.fingerprint(), painted(run)
    changed = painted(run, Applied(name="ink", weight=-0.7))
    assert run.fingerprint() == before
    assert (painted(run) == plain).all()
    with by_hand(run, pairs, -0.7):
        due = painted(run)
    assert np.abs(changed.astype(int) - due).max() <= 1
    assert np.abs(changed.astype(int) - plain).max() > 4


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_bit_comes_back_whatever_happens(precision: str, settings: Settings) -> None:
    lora(settings, "sd1", "ink")
    run = engine("sd1", settings, Choice("latent", "cpu", precision, (), "torch"))
    before, places = run.fingerprint(), [p.data_ptr() for p in run.parts.unet.parameters()]
    with run.adapted([Applied(name="ink", start=0.0)]):
        assert run.fingerprint() != before  # the text encoder
    with pytest.raises(ZeroDivisionError), run.adapted([Applied(name="ink")]):
        raise ZeroDivisionError
    if precision != "fp16":
        events = run.render(tiny.ask(adapters=(Applied(name="ink"),), steps=9))
        for event in events:
            if isinstance(event, Step) and event.step == 2:
                assert run.fingerprint() != before
                break
        events.close()
    assert run.fingerprint() == before
    assert [p.data_ptr() for p in run.parts.unet.parameters()] == places
    assert run._worn is None


def test_weight_zero_is_nothing_and_is_not_told(settings: Settings) -> None:
    lora(settings, "sd1", "ink")
    run = engine("sd1", settings)
    plain = painted(run)
    assert (painted(run, Applied(name="ink", weight=0)) == plain).all()
    assert not [weight for weight in run.ran().weights if weight.part.startswith("adapter")]


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_checkpoint_in_one_file_takes_them_too(family: str, settings: Settings) -> None:
    spec = tiny.spec_of(tiny_ldm.file(family), family, name="tiny-file")
    settings.models.mkdir(parents=True)
    (settings.models / "tiny-file.json").write_text(spec.model_dump_json(), "utf-8")
    pairs = adapters.factors(family)
    file = adapters.written(settings.home / "ink.safetensors", adapters.original(family, pairs))
    add_adapter(file, name="ink", base="tiny-file", licence="CC0-1.0", settings=settings)
    run = TorchEngine.load(spec, CPU, settings)
    before, worn = run.fingerprint(), painted(run, Applied(name="ink"))
    assert run.fingerprint() == before
    with by_hand(run, pairs, 1.0):
        assert np.abs(worn.astype(int) - painted(run)).max() <= 1


def test_several_do_not_depend_on_their_order(settings: Settings) -> None:
    first, second = lora(settings, "sd1", "ink", 0), lora(settings, "sd1", "chalk", 1)
    run = engine("sd1", settings)
    ink, chalk = Applied(name="ink", weight=0.8), Applied(name="chalk", weight=0.5)
    both = painted(run, ink, chalk)
    assert (both == painted(run, chalk, ink)).all()
    with by_hand(run, first, 0.8), by_hand(run, second, 0.5):
        assert np.abs(both.astype(int) - painted(run)).max() <= 1
    assert np.abs(both.astype(int) - painted(run, ink)).max() > 2


def seen_steps(run: TorchEngine, *worn: Applied, **more: Any) -> list[float]:
    """Return, for every step, how far a weight of the network is from itself, in units of what `ink` adds to it."""
    parameter = run.parts.unet.get_parameter("down_blocks.0.attentions.0.proj_in.weight")
    original, forward, seen = parameter.data.clone(), run.parts.unet.forward, []

    def watched(*args: Any, **named: Any) -> Any:
        seen.append(float((parameter.data - original).norm()))
        return forward(*args, **named)

    run.parts.unet.forward = watched
    painted(run, *worn, steps=10, **more)
    run.parts.unet.forward = forward
    unit = max(seen)
    return [round(value / unit, 3) if unit else 0.0 for value in seen]


def test_start_and_end_switch_during_the_run(settings: Settings) -> None:
    lora(settings, "sd1", "ink", text=False)
    run = engine("sd1", settings)
    assert seen_steps(run, Applied(name="ink")) == [1.0] * 10
    assert seen_steps(run, Applied(name="ink", start=0.35)) == [0.0] * 3 + [1.0] * 7
    assert seen_steps(run, Applied(name="ink", end=0.25)) == [1.0] * 2 + [0.0] * 8
    assert [w.part for w in run.ran().weights if w.part.startswith("adapter")] == ["adapter ink"]
    assert seen_steps(run, Applied(name="ink", end=0.05)) == [0.0] * 10
    assert not [w for w in run.ran().weights if w.part.startswith("adapter")]  # it was never at work


def test_blocks_weigh_parts(settings: Settings) -> None:
    pairs = lora(settings, "sd1", "ink")
    run = engine("sd1", settings)
    none = {"text": 0.0, "mid": 0.0, "other": 0.0, "down_0": 0.0, "down_1": 0.0, "up_0": 0.0, "up_1": 0.0}
    assert (painted(run, Applied(name="ink", blocks=none)) == painted(run)).all()
    own = {where: pair for where, pair in pairs.items() if where[1].startswith("up_blocks.1.")}
    up = painted(run, Applied(name="ink", blocks=none | {"up_1": 1.0}))
    with by_hand(run, own, 1.0):
        assert np.abs(up.astype(int) - painted(run)).max() <= 1
    finer = painted(run, Applied(name="ink", blocks=none | {"up_1": 1.0, "up_1.0": 0.0}))
    assert (finer != up).any()
    with pytest.raises(InvalidValue, match=r"no block 'up_7'; it has down_0, down_1, mid"):
        painted(run, Applied(name="ink", blocks={"up_7": 1.0}))


def test_a_dora_is_weighted_by_its_whole_difference(settings: Settings) -> None:
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"
    pairs = {("unet", layer): adapters.factors("sd1")["unet", layer]}
    head = f"lora_unet_{layer.replace('.', '_')}"
    magnitude = np.linspace(0.5, 2, 32, dtype=np.float32)[:, None]
    added(settings, "sd1", "dora", adapters.kohya("sd1", pairs) | {f"{head}.dora_scale": magnitude})
    run = engine("sd1", settings)
    weight = run.parts.unet.get_parameter(f"{layer}.weight").data.clone()
    whole = weight + torch.from_numpy(adapters.product(*pairs["unet", layer], (32, 32)))
    due = whole * torch.from_numpy(magnitude) / (whole.norm(dim=1, keepdim=True) + EPSILON)
    for share in (0.0, 0.5, 1.0):
        with run._dressed([Applied(name="dora", weight=share)]):
            assert run._worn is not None
            run._worn.at(0.5)
            now = run.parts.unet.get_parameter(f"{layer}.weight").data
            torch.testing.assert_close(now, weight + share * (due - weight))


def test_a_request_does_not_leave_its_adapter_to_the_next(settings: Settings) -> None:
    lora(settings, "sd1", "ink")
    engines, spec = Engines(settings), adapters.spec("sd1")
    with engines.lease(spec, CPU) as run:
        plain = painted(run)
        worn = painted(run, Applied(name="ink"))
        parts = [weight.part for weight in run.ran().weights]
        assert parts[-1] == "adapter ink"
    with engines.lease(spec, CPU) as again:
        assert again is run
        assert (painted(again) == plain).all() and (worn != plain).any()
        assert [weight.part for weight in again.ran().weights] == parts[:-1]
        network = again.network(tiny.ask(), again.encode_text(["a", "b"], tiny.ask()))
        before = again.fingerprint()
        network(torch.zeros(2, 4, 8, 8), 500.0)  # a network asked outside of a run meets no adapter either
        assert again.fingerprint() == before
    engines.close()


def test_the_record_names_what_was_loaded(settings: Settings) -> None:
    record = added(settings, "sd1", "ink", adapters.kohya("sd1", adapters.factors("sd1")))
    run = engine("sd1", settings)
    painted(run, Applied(name="ink", weight=0.5))
    weight = run.ran().weights[-1]
    assert (weight.sha256, weight.scale, weight.licence) == (record.sha256, 0.5, "CC0-1.0")
    path = settings.adapters / "files" / record.file
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    before = run.fingerprint()
    with pytest.raises(BrokenModelFile, match="not the file that 'ink' was added with"):
        painted(run, Applied(name="ink"))
    with pytest.raises(UnknownName, match="Did you mean ink"):
        painted(run, Applied(name="inc"))
    assert run.fingerprint() == before


def test_what_does_not_fit_the_loaded_model_changes_nothing(settings: Settings) -> None:
    """Another model of the same family, with a layer of another shape: refused by its name, and nothing applied."""
    lora(settings, "sd1", "ink")
    run = engine("sd1", settings)
    layer = run.parts.unet.up_blocks[1].attentions[0].proj_in
    layer.weight = torch.nn.Parameter(torch.zeros(64, 32, 1, 1), requires_grad=False)
    before = run.fingerprint()
    with pytest.raises(InvalidValue, match=r"unet up_blocks\.1\.attentions\.0\.proj_in"):
        painted(run, Applied(name="ink"))
    assert run.fingerprint() == before


@pytest.mark.parametrize("family", ["sd1", "sdxl", "embedded"])
def test_a_learned_word_reads_as_the_words_it_is_made_of(family: str, settings: Settings) -> None:
    run = engine(family, settings)
    rows, keys = {}, {"sd1": ("emb_params",), "sdxl": ("clip_l", "clip_g"), "embedded": ("<zork>",)}[family]
    for key, encoder in zip(keys, run.parts.encoders, strict=True):
        ids = encoder.tokenise("red cat")
        rows[key] = encoder.model.get_input_embeddings().weight[ids].numpy()
    record = added(settings, family, "zork", rows, trigger=("<zork>",))
    assert record.method == "textual-inversion" and record.tokens == len(ids)
    before = run.fingerprint()
    with run._dressed([Applied(name="zork")]):
        assert run.fingerprint() == before
        for encoder in run.parts.encoders:
            texts = (
                ["a <Zork> on a mat", "a mat", "<zork>, <zork>"],
                ["a red cat on a mat", "a mat", "red cat, red cat"],
            )
            (learned, pooled), (plain, due) = (encode(encoder, text, 0, family != "sdxl", run.device) for text in texts)
            torch.testing.assert_close(learned, plain)
            if due is not None:
                torch.testing.assert_close(pooled, due)
        assert run.ran().weights[-1].part == "embedding zork"
    assert not run.parts.encoders[0].learned
    long = "<zork> " * 60
    with run._dressed([Applied(name="zork")]):
        assert run.encode_text([long, ""], tiny.ask()).states.shape[1] > 77 * (family != "embedded")


def test_a_word_inside_another_is_not_it(settings: Settings) -> None:
    run = engine("sd1", settings)
    added(settings, "sd1", "zork", {"emb_params": np.ones((1, 32), np.float32)}, trigger=("zork",))
    encoder = run.parts.encoders[0]
    with run._dressed([Applied(name="zork")]):
        top = encoder.model.get_input_embeddings().num_embeddings
        assert max(encoder._ids("zorka azork")) < top
        assert encoder._ids("ZORK,zork").count(top) == 2
