"""The text encoder without torch: its states and embeddings against transformers, and the windows of long texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.homes import lend

from fantascope.engines import words
from fantascope.engines.compact import expand
from fantascope.engines.words import READ, WINDOW, Words, shared_words
from fantascope.errors import BrokenModelFile, ModelNotFound
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED

TEXTS = ["a pink elephant on a blue background", "", "three yellow ducks", "Kätzchen, 日本, 🎈 naïve café"]
LONG = " ".join(["elephant on parade"] * 23)


@pytest.fixture(scope="module", params=["openvino", "onnxruntime"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Words:
    settings = Settings(home=lend(tmp_path_factory.mktemp("words")), threads=1, runtime=request.param)
    return Words.load(EMBEDDED, settings)


@pytest.fixture(scope="module")
def bert() -> Any:
    import torch
    from transformers import BertConfig, BertModel

    model = BertModel(BertConfig.from_json_file(EMBEDDED / "text_encoder/config.json"), add_pooling_layer=False).eval()
    weights = {k: torch.from_numpy(v) for k, v in expand(EMBEDDED / words.WEIGHTS).items()}
    assert not model.load_state_dict(weights, strict=False).unexpected_keys
    return model


def reference(bert: Any, loaded: Words, text: str, size: int, pad: bool = True) -> Any:
    """States of a text's windows as transformers computes them, one window at a time, and their masks."""
    import torch

    states, masks = [], []
    for row in loaded._windows(text, size):
        ids = row + [0] * (size - len(row)) if pad else row
        mask = [1] * len(row) + [0] * (len(ids) - len(row))
        with torch.no_grad():
            out = bert(input_ids=torch.tensor([ids]), attention_mask=torch.tensor([mask]))
        states.append(out.last_hidden_state[0].numpy())
        masks.append(mask)
    return np.concatenate(states), np.concatenate(masks)


def test_states_are_berts(loaded: Words, bert: Any) -> None:
    states = loaded.states(TEXTS)
    assert states.shape == (len(TEXTS), WINDOW, 384)
    for text, mine in zip(TEXTS, states, strict=True):
        theirs, _ = reference(bert, loaded, text, WINDOW)
        np.testing.assert_allclose(mine, theirs, atol=2e-4)


def test_a_long_text_is_read_in_windows_of_thirty(loaded: Words, bert: Any) -> None:
    assert len(loaded.tokens(LONG)) == 69
    states = loaded.states([LONG, "a cat"])
    assert states.shape == (2, 3 * WINDOW, 384)
    theirs, _ = reference(bert, loaded, LONG, WINDOW)
    np.testing.assert_allclose(states[0], theirs, atol=2e-4)
    empty = loaded.states([""])[0]
    assert np.array_equal(states[1], np.concatenate([loaded.states(["a cat"])[0], empty, empty]))


@pytest.mark.parametrize(("pieces", "windows"), [(0, 1), (1, 1), (30, 1), (31, 2), (60, 2), (61, 3)])
def test_how_many_windows(loaded: Words, pieces: int, windows: int) -> None:
    rows = loaded._windows(" ".join(["cat"] * pieces), WINDOW)
    assert len(rows) == windows
    assert all(row[0] == 101 and row[-1] == 102 and len(row) <= WINDOW for row in rows)
    assert sum(len(row) - 2 for row in rows) == pieces


def test_states_do_not_depend_on_the_company(loaded: Words) -> None:
    many = loaded.states(TEXTS)
    assert all(np.array_equal(loaded.states([text])[0], many[k]) for k, text in enumerate(TEXTS))


def test_embeddings_are_masked_means(loaded: Words, bert: Any) -> None:
    texts = [*TEXTS, LONG * 3]
    embedded = loaded.embed(texts)
    assert embedded.shape == (len(texts), 384)
    assert embedded.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-5)
    for text, mine in zip(texts, embedded, strict=True):
        states, mask = reference(bert, loaded, text, READ, pad=False)
        mean = states[mask == 1].mean(axis=0)
        assert mine @ mean / np.linalg.norm(mean) > 0.99999


def test_meaning_is_near(loaded: Words) -> None:
    cat, kitten, lorry = loaded.embed(["a cat", "a kitten", "a lorry"])
    assert cat @ kitten > 0.6 > 0.4 > cat @ lorry


def test_nothing_to_embed(loaded: Words) -> None:
    assert loaded.embed([]).shape == (0, 384)


def test_tokens(loaded: Words) -> None:
    assert loaded.tokens("Pink elephants paraded") == ["pink", "elephants", "parade", "##d"]
    assert loaded.tokens("") == []


def test_loaded_once(home: Path) -> None:
    settings = Settings(home=home, threads=1)
    first = shared_words(settings)
    assert shared_words(settings) is first
    assert len(first.id) == 64


def test_what_is_missing_or_broken_is_named(tmp_path: Path, home: Path) -> None:
    settings = Settings(home=home, threads=1)
    with pytest.raises(ModelNotFound, match=r"text_encoder/model\.onnx"):
        Words.load(tmp_path, settings)
    for name in (words.GRAPH, words.WEIGHTS, words.TOKENIZER):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((EMBEDDED / name).read_bytes())
    (tmp_path / words.GRAPH).write_bytes(b"no graph at all")
    with pytest.raises(BrokenModelFile, match=r"model\.onnx"):
        Words.load(tmp_path, settings)
    (tmp_path / words.TOKENIZER).write_text("{}", "utf-8")
    with pytest.raises(BrokenModelFile, match=r"tokenizer\.json"):
        Words.load(tmp_path, settings)
