"""Weights of words: against compel on a real encoder, on all engines alike, and in what is painted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tests.engines import tiny  # noqa: E402

from fantascope.core.weighting import Weighted, cut, states  # noqa: E402
from fantascope.engines.base import Choice  # noqa: E402
from fantascope.engines.words import WINDOW, Words, shared_words  # noqa: E402
from fantascope.settings import Settings  # noqa: E402
from fantascope.spec import EMBEDDED  # noqa: E402

PIECES: list[list[tuple[str, float]]] = [
    [("a red car", 1.4), (" on the grass", 1.0)],
    [("a cat", 0.5), (" and ", 1.0), ("a dog", 1.3), (" in the snow", 0.8)],
    [("three yellow ducks", 0.0), (", a pond", 1.0)],
    [("a moon", 1.0), (" a star", 2.0), (" a sun", 0.25)],
]


def said(*pieces: tuple[str, float]) -> Weighted:
    return Weighted((pieces,))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    return shared_words(Settings(home=tmp_path_factory.getbasetemp() / "graphs", threads=1))


def peer(encoder: Any, pieces: list[tuple[str, float]], *, large: bool = False) -> Any:
    """Return what compel makes of the same pieces with the same CLIP model."""
    compel = pytest.importorskip("compel.embeddings_provider")
    kind = compel.ReturnedEmbeddingsType
    provider = compel.EmbeddingsProvider(
        tokenizer=tiny.clip_words(),
        text_encoder=encoder.model,
        truncate=False,
        returned_embeddings_type=kind.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        if large
        else kind.LAST_HIDDEN_STATES_NORMALIZED,
        split_long_text_mode=compel.SplitLongTextMode.BRUTAL,
    )
    texts, weights = zip(*pieces, strict=True)
    with torch.no_grad():
        return provider.get_embeddings_for_weighted_prompt_fragments([list(texts)], [list(weights)])[0]


@pytest.fixture(scope="module")
def clips() -> tuple[Any, Any]:
    """CLIP models of SD 1.x and of SDXL's second kind, tiny, with real tokenizers."""
    from fantascope.engines.latent_encode import Encoder
    from fantascope.engines.latent_parts import plain_words

    def encoder(model: Any) -> Encoder:
        tokenizer = tiny.clip_words()
        begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
        return Encoder(model, plain_words(tokenizer._tokenizer), 77, begin, end, tokenizer.pad_token_id)

    return encoder(tiny.clip()), encoder(tiny.clip(projected=True, act="gelu"))


@pytest.mark.parametrize("pieces", PIECES)
def test_clip_agrees_with_compel(pieces: list[tuple[str, float]], clips: tuple[Any, Any]) -> None:
    from fantascope.engines.latent_encode import encode

    for encoder, large in zip(clips, (False, True), strict=True):
        with torch.no_grad():
            ours, pooled = encode(encoder, [said(*pieces)], 0, not large, torch.device("cpu"))
        theirs = peer(encoder, pieces, large=large)
        assert ours.shape == (1, 77, 32) and (pooled is None) != large
        np.testing.assert_allclose(ours[0].numpy(), theirs.numpy(), atol=1e-3)
        plain, _ = encode(encoder, ["".join(text for text, _ in pieces)], 0, not large, torch.device("cpu"))
        assert float((plain - ours).detach().abs().max()) > 0.01


class Bert:
    """The embedded encoder in the form that compel expects of a CLIP."""

    def __init__(self, words: Words) -> None:
        from transformers import BertConfig, BertModel

        from fantascope.engines import words as module
        from fantascope.engines.compact import expand

        config = BertConfig.from_json_file(EMBEDDED / "text_encoder/config.json")
        self.model = BertModel(config, add_pooling_layer=False).eval()
        weights = {name: torch.from_numpy(value) for name, value in expand(EMBEDDED / module.WEIGHTS).items()}
        assert not self.model.load_state_dict(weights, strict=False).unexpected_keys
        self.words, self.device, self.dtype = words, torch.device("cpu"), torch.float32
        self.bos_token_id, self.eos_token_id, self.pad_token_id = words._begin, words._end, words._pad
        self.model_max_length = WINDOW

    def __call__(self, given: Any, mask: Any = None, **_: Any) -> Any:
        if isinstance(given, list):
            return {"input_ids": [[self.bos_token_id, *self.words._ids(text), self.eos_token_id] for text in given]}
        mask = (given != self.pad_token_id).long() if mask is None else mask
        return self.model(input_ids=given, attention_mask=mask, return_dict=True)


@pytest.fixture(scope="module")
def bert(words: Words) -> Bert:
    return Bert(words)


@pytest.mark.parametrize("pieces", PIECES)
def test_the_embedded_encoder_agrees_with_compel(pieces: list[tuple[str, float]], words: Words, bert: Bert) -> None:
    """The trained weights, on OpenVINO here, against compel's arithmetic over BERT in torch."""
    compel = pytest.importorskip("compel.embeddings_provider")
    provider = compel.EmbeddingsProvider(
        tokenizer=bert, text_encoder=bert, truncate=True, padding_attention_mask_value=0, device="cpu"
    )
    texts, weights = zip(*pieces, strict=True)
    with torch.no_grad():
        theirs = provider.get_embeddings_for_weighted_prompt_fragments([list(texts)], [list(weights)])[0]
    np.testing.assert_allclose(words.states([said(*pieces)])[0], theirs.numpy(), atol=1e-3)


@pytest.mark.parametrize("family", ["sd1", "sdxl", "embedded"])
def test_engines_weigh_texts_beside_plain_ones(family: str, home: Path) -> None:
    from fantascope.engines.latent import TorchEngine

    folder = {"sd1": tiny.sd, "sdxl": tiny.xl, "embedded": tiny.embedded}[family]()
    spec = tiny.spec_of(folder, family)
    engine = TorchEngine.load(spec, Choice("latent", "cpu", "fp32", (), "torch"), Settings(home=home))
    long = "a red cat on a mat, " * 30
    texts: list[Any] = ["a cat", said(("a red", 1.5), (" cat", 0.5)), said((long, 1.2)), ""]
    found = engine.encode_text(texts, tiny.ask())
    alone = engine.encode_text([long, "a cat", ""], tiny.ask())
    assert found.states.shape[:2] == (4, alone.states.shape[1])
    assert torch.allclose(found.states[0], alone.states[1], atol=1e-5)
    assert torch.allclose(found.states[3], alone.states[2], atol=1e-5)
    assert float((found.states[2] - alone.states[0]).abs().max()) > 1e-3
    if family == "sdxl":
        assert found.pooled.shape == (4, 32) and torch.allclose(found.pooled[2], alone.pooled[0], atol=1e-5)


def test_a_break_begins_a_window(words: Words) -> None:
    two = words.states([Weighted(((("a red car", 1.0),), (("on the grass", 1.0),)))])[0]
    assert two.shape == (2 * WINDOW, 384)
    first, second = words.states(["a red car"])[0], words.states(["on the grass"])[0]
    np.testing.assert_allclose(two, np.concatenate([first, second]), atol=1e-5)


def test_a_weight_of_one_changes_nothing(words: Words) -> None:
    plain = words.states(["a red car on the grass"])
    np.testing.assert_allclose(words.states([said(("a red car", 1.0), (" on the grass", 1.0))]), plain, atol=1e-6)


def test_weights_grow_and_shrink_a_word(words: Words) -> None:
    """What is heavier moves further from the empty text; what weighs nothing is as if the encoder had not seen it."""
    empty = words.states([""])[0]
    at = [1.0, 1.4, 2.0]
    far = [
        np.abs(words.states([said(("a red car", weight), (" on grass", 1.0))])[0, 1:4] - empty[1:4]).sum()
        for weight in at
    ]
    np.testing.assert_allclose([far[k] / far[0] for k in range(3)], at, rtol=1e-4)
    gone = words.states([said(("red", 1e-9), (" car", 1.0))])[0, 2]
    full = words.states(["red car"])[0, 2]
    hidden = words._encode([[words._begin, *words._ids("red car"), words._end]], WINDOW, [[False, True, False, False]])
    assert np.abs(gone - hidden[0, 2]).max() < 1e-3 < np.abs(gone - full).max()


ids = st.lists(st.tuples(st.lists(st.integers(5, 40), max_size=9), st.floats(0.1, 3)), max_size=4)


@profile(max_examples=60, deadline=None)
@given(st.lists(ids, min_size=1, max_size=3), st.integers(1, 6))
def test_windows_hold_every_token_once(sections: list[list[tuple[list[int], float]]], room: int) -> None:
    windows = cut(sections, room, 1, 2)
    assert all(window.ids[0] == 1 and window.ids[-1] == 2 and len(window.ids) <= room + 2 for window in windows)
    assert len(windows) >= len(sections)
    rows = [pair for window in windows for pair in list(zip(window.ids, window.weights, strict=True))[1:-1]]
    assert rows == [(token, weight) for section in sections for tokens, weight in section for token in tokens]


@profile(max_examples=40, deadline=None)
@given(st.lists(ids, min_size=1, max_size=2))
def test_weighing_is_linear_in_numpy_and_torch(sections: list[list[tuple[list[int], float]]]) -> None:
    """With an encoder whose states are its tokens, the states say exactly what the weights do; torch says the same."""
    windows = cut(sections, 6, 1, 2)

    def run(rows: Any, hidden: Any) -> Any:
        out = np.zeros((len(rows), 8, 1), np.float32)
        for k, row in enumerate(rows):
            out[k, : len(row), 0] = row
        return out

    found = states(windows, np.zeros((8, 1), np.float32), run)
    theirs = states(windows, torch.zeros(8, 1), lambda rows, hidden: torch.from_numpy(run(rows, hidden)))
    due = np.zeros((len(windows), 8, 1), np.float32)
    for k, window in enumerate(windows):
        due[k, : len(window.ids), 0] = np.multiply(window.ids, window.weights)
    np.testing.assert_allclose(found, due.reshape(-1, 1), rtol=1e-4)
    np.testing.assert_allclose(theirs.numpy(), found, rtol=1e-5)
