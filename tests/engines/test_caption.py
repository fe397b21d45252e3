"""Captions by a tiny random BLIP, built from the real classes with a tokenizer of its own."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fantascope.cli.app import run
from fantascope.engines.identify import inspect
from fantascope.engines.pipeline_caption import MOST, Captioner
from fantascope.engines.safefile import SafeFile
from fantascope.errors import (
    BrokenModelFile,
    LicenceMissing,
    MissingExtra,
    ModelError,
    ModelNotFound,
    UnsafeModelFile,
    Unsupported,
)
from fantascope.settings import Settings
from fantascope.spec import ENGINES_OF, SPECS, Spec

pytest.importorskip("torch")
pytest.importorskip("transformers")

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("a", "an", "the", "red", "blue", "green", "cat", "dog", "house", "on", "grass", "with", "sky", "and", "two")
SIDE = 32


def build(folder: Path, words: tuple[str, ...] = WORDS, says: str | None = None) -> Path:
    """Save a tiny random BLIP in the layout of the hub; `says` is the one word that it always says."""
    import torch
    from transformers import BertTokenizerFast, BlipConfig, BlipForConditionalGeneration, BlipImageProcessorPil

    folder.mkdir(parents=True)
    vocabulary = [*SPECIAL, *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    small: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2}
    small |= {"num_attention_heads": 4, "initializer_range": 0.5}  # so that a picture makes a difference
    marks = {"bos_token_id": len(vocabulary), "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3}
    text = small | marks | {"vocab_size": len(vocabulary) + 1, "max_position_embeddings": 24, "encoder_hidden_size": 32}
    config = BlipConfig(text_config=text, vision_config=small | {"image_size": SIDE, "patch_size": 8})
    torch.manual_seed(0)
    model = BlipForConditionalGeneration(config)
    if says is not None:
        with torch.no_grad():
            model.text_decoder.cls.predictions.decoder.bias[vocabulary.index(says)] = 1000.0
    model.save_pretrained(folder)
    BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("caption") / "blip")


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, offline=True, threads=1)


@pytest.fixture
def changed(blip: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a copy of the tiny model, with fields of its configuration changed."""

    def make(**fields: Any) -> Path:
        folder = Path(shutil.copytree(blip, tmp_path / "changed"))
        config = json.loads((folder / "config.json").read_text("utf-8"))
        (folder / "config.json").write_text(json.dumps(config | fields), "utf-8")
        return folder

    return make


def spec_of(folder: Path, settings: Settings) -> Spec:
    return inspect(f"dir:{folder}", settings, "CC0-1.0", "tiny")


def picture(seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (40, 60, 3), np.uint8)


def test_a_spec_says_what_the_model_is(blip: Path, settings: Settings) -> None:
    spec = spec_of(blip, settings)
    assert (spec.family, spec.sizes.native, spec.defaults.sampler) == ("caption", SIDE, "caption")
    assert list(spec.weights) == ["model.safetensors"]
    assert ENGINES_OF["caption"] == ()  # it paints nothing
    assert SPECS["blip"].family == "caption" and SPECS["blip"].licence.spdx == "BSD-3-Clause"
    with pytest.raises(LicenceMissing):
        inspect(f"dir:{blip}", settings)


def test_its_papers_state_the_licence(changed: Callable[..., Path], settings: Settings) -> None:
    folder = changed()
    (folder / "README.md").write_text("---\nlicense: bsd-3-clause\n---\nA model.", "utf-8")
    licence = inspect(f"dir:{folder}", settings).licence
    assert licence.spdx == "BSD-3-Clause" and licence.commercial


def test_captions_are_what_the_library_itself_says(blip: Path, settings: Settings) -> None:
    from transformers import BertTokenizerFast, BlipForConditionalGeneration, BlipImageProcessorPil, BlipProcessor

    pixels = picture()
    found = Captioner.load(spec_of(blip, settings), settings).caption(pixels)
    assert 1 <= len(found) <= MOST and len({one.words for one in found}) == len(found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(0 < one.score <= 1 and set(one.words.split()) <= set(WORDS) for one in found)
    reader = BlipProcessor(BlipImageProcessorPil.from_pretrained(blip), BertTokenizerFast.from_pretrained(blip))
    model = BlipForConditionalGeneration.from_pretrained(blip).eval()
    shown = reader(images=Image.fromarray(pixels), return_tensors="pt")
    told = model.generate(**shown, num_beams=MOST, num_return_sequences=MOST, do_sample=False, max_new_tokens=22)
    said = [" ".join(text.split()) for text in reader.batch_decode(told, skip_special_tokens=True)]
    assert [one.words for one in found] == list(dict.fromkeys(text for text in said if text))


def test_the_same_picture_gets_the_same_words_and_another_may_not(blip: Path, settings: Settings) -> None:
    spec = spec_of(blip, settings)
    first, second = Captioner.load(spec, settings), Captioner.load(spec, settings)
    one = first.caption(picture())
    first.caption(picture(1))
    assert one == first.caption(picture()) == second.caption(picture())
    scores = {first.caption(picture(seed))[0].score for seed in range(3)}
    assert len(scores) == 3  # it does look at the picture


def test_what_does_not_fit_together_is_refused(changed: Callable[..., Path], settings: Settings) -> None:
    from safetensors.numpy import load_file, save_file

    folder = changed()
    tensors = load_file(folder / "model.safetensors")
    del tensors["vision_model.post_layernorm.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(BrokenModelFile, match="post_layernorm"):
        Captioner.load(spec_of(folder, settings), settings)


def test_a_changed_file_is_not_the_one_that_was_added(changed: Callable[..., Path], settings: Settings) -> None:
    folder = changed()
    spec = spec_of(folder, settings)
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(BrokenModelFile, match="pinned"):
        Captioner.load(spec, settings)


def test_a_tokenizer_that_is_missing_or_of_another_model(changed: Callable[..., Path], settings: Settings) -> None:
    folder = changed()
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelNotFound, match="tokenizer"):
        Captioner.load(spec_of(folder, settings), settings)
    (folder / "vocab.txt").write_text("\n".join((*SPECIAL, *(f"word{k}" for k in range(90)))))
    with pytest.raises(BrokenModelFile, match="tokenizer of 95 words"):
        Captioner.load(spec_of(folder, settings), settings)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"architectures": ["BlipForQuestionAnswering"]}, ModelError),
        ({"model_type": "git"}, ModelError),
        ({"auto_map": {"AutoModel": "code.Model"}}, UnsafeModelFile),
        ({"vision_config": {"image_size": "large"}}, BrokenModelFile),
    ],
)
def test_other_models_are_not_added(
    fields: dict[str, Any], error: type[ModelError], changed: Callable[..., Path], settings: Settings
) -> None:
    with pytest.raises(error):
        spec_of(changed(**fields), settings)


def test_a_pickle_is_not_loaded(changed: Callable[..., Path], settings: Settings) -> None:
    folder = changed()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnsafeModelFile, match="pytorch_model"):
        spec_of(folder, settings)


def test_a_painter_writes_no_captions(settings: Settings) -> None:
    with pytest.raises(Unsupported, match="writes no captions"):
        Captioner.load(SPECS["embedded"], settings)


def test_the_missing_extra_is_named(blip: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, find = spec_of(blip, settings), importlib.util.find_spec
    absent = {"transformers"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in absent else find(name, *rest))
    with pytest.raises(MissingExtra) as caught:
        Captioner.load(spec, settings)
    assert caught.value.extra == "torch" and "pip install" in str(caught.value.hint)


def test_offline_a_hub_model_is_read_from_the_cache_alone(
    blip: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    with pytest.raises(ModelNotFound, match="offline"):
        Captioner.load(SPECS["blip"], settings)
    folder = tmp_path / "hub" / "models--some--blip"
    shutil.copytree(blip, folder / "snapshots" / "1234")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("1234", "ascii")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    spec = inspect("hub:some/blip", settings, "CC0-1.0", "cached")
    assert Captioner.load(spec, settings).caption(picture()) == Captioner.load(
        spec_of(blip, settings), settings
    ).caption(picture())


def test_from_a_hub_only_what_is_needed_is_asked_for(
    blip: Path, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import huggingface_hub

    from fantascope.engines.weights import open_place

    snapshot = Path(shutil.copytree(blip, tmp_path / "models--a--b" / "snapshots" / "1234"))
    asked: list[Any] = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda **told: asked.append(told) or str(snapshot))
    open_place("hub:a/b", Settings(home=home))
    assert "model*.safetensors" in asked[-1]["allow_patterns"] and not asked[-1]["local_files_only"]
    assert not [name for name in asked[-1]["allow_patterns"] if name.endswith((".bin", ".py", ".h5"))]


def test_describe_with_a_model_that_was_added(
    blip: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "picture.png"
    Image.fromarray(picture()).save(file)
    assert run(["models", "add", f"dir:{blip}", "--name", "words", "--licence", "CC0-1.0"]) == 0
    assert run(["models", "list"]) == 0 and "words" in capsys.readouterr().out
    assert run(["prompt", "describe", str(file), "--model", "words", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    expected = Captioner.load(spec_of(blip, Settings(home=home)), Settings(home=home, threads=1)).caption(picture())
    assert [one["prompt"] for one in told["readings"]] == [one.words for one in expected]
    assert told["by"] == "words" and told["weights"][0]["sha256"] == _sha(blip)
    assert run(["prompt", "describe", str(file), "--model", "words"]) == 0
    said = capsys.readouterr()
    assert expected[0].words in said.out and "machine" in said.err
    assert run(["prompt", "describe", str(file), "--model", "echo"]) != 0
    assert "writes no captions" in capsys.readouterr().err


def test_a_caption_is_judged_where_it_becomes_a_prompt(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = tmp_path / "picture.png", build(tmp_path / "rogue", (*WORDS, "a fake passport"), "a fake passport")
    Image.fromarray(picture()).save(file)
    run(["models", "add", f"dir:{folder}", "--name", "rogue", "--licence", "CC0-1.0"])
    assert run(["prompt", "describe", str(file), "--model", "rogue", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["readings"][0]["prompt"]
    assert "a fake passport" in said
    assert run(["imagine", said, "--model", "echo"]) != 0
    assert "policy_refused" in capsys.readouterr().err


def test_a_licence_that_forbids_the_use_is_refused(
    blip: Path, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "picture.png"
    Image.fromarray(picture()).save(file)
    run(["models", "add", f"dir:{blip}", "--name", "words", "--licence", "CC-BY-NC-4.0"])
    monkeypatch.setenv("FANTASCOPE_COMMERCIAL", "1")
    assert run(["prompt", "describe", str(file), "--model", "words"]) != 0
    assert "does not allow commercial use" in capsys.readouterr().err


def test_a_captioning_model_paints_nothing(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["imagine", "a cat", "--model", "blip"]) != 0
    assert "paints nothing: it says what a picture shows" in capsys.readouterr().err


def _sha(folder: Path) -> str:
    import hashlib

    assert SafeFile.open(folder / "model.safetensors").tensors
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
