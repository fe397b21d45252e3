"""The compact text encoder: all-MiniLM-L6-v2 with its matrices in int8 and its table of words in 4 bits.

The contract with every engine: uncased WordPiece, `[CLS] … [SEP]`, padded with `[PAD]` to 32 tokens, the encoder run
with the attention mask, all 32 rows of the last hidden state handed to the UNet's cross-attention without a mask. This
is what diffusers' `StableDiffusionPipeline` does with a `BertModel` whose configuration says `use_attention_mask`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.numpy import load_file, save_file
from safetensors.torch import load_file as load_tensors
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from fantascope.engines.compact import NAME, compact, expand
from fantascope.errors import ModelNotFound, Unsupported
from fantascope.train.checkpoint import hash_tensors

TOKENS = 32
TABLES = ("embeddings.word_embeddings.weight",)
"""What is looked up row by row, and half of the encoder: stored in 4 bits."""


def compact_text_encoder(source: Path, folder: Path) -> None:
    """Write `text_encoder/` and `tokenizer/` of a checkpoint folder from a sentence-transformers model folder.

    The pooler is left out: nothing reads it.
    """
    weights = {k: v for k, v in load_file(source / "model.safetensors").items() if not k.startswith("pooler.")}
    weights.pop("embeddings.position_ids", None)
    encoder, tokenizer = folder / "text_encoder", folder / "tokenizer"
    encoder.mkdir(parents=True, exist_ok=True)
    tokenizer.mkdir(parents=True, exist_ok=True)
    save_file(compact(weights, TABLES), encoder / NAME, metadata={"format": "pt"})
    (encoder / NAME).chmod(0o644)
    config = json.loads((source / "config.json").read_text("utf-8"))
    for key in ("_name_or_path", "transformers_version", "gradient_checkpointing"):
        config.pop(key, None)
    config["use_attention_mask"] = True
    (encoder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    shutil.copyfile(source / "vocab.txt", tokenizer / "vocab.txt")
    words = Tokenizer.from_file(str(source / "tokenizer.json"))
    words.enable_truncation(TOKENS)
    words.enable_padding(length=TOKENS, pad_id=0, pad_token="[PAD]")  # noqa: S106
    words.save(str(tokenizer / "tokenizer.json"))
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": TOKENS,
        "padding_side": "right",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "mask_token": "[MASK]",
    }
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", "utf-8")


def load_text_encoder(folder: Path) -> BertModel:
    """Build the text encoder of a checkpoint folder, float32, ready to be passed to a diffusers pipeline."""
    config = BertConfig.from_json_file(str(folder / "text_encoder" / "config.json"))
    model = BertModel(config, add_pooling_layer=False)
    state = expand(folder / "text_encoder" / NAME)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()}, strict=True)
    return model.eval()


@torch.no_grad()
def encode_text(model: BertModel, tokenizer: Tokenizer, captions: Sequence[str], batch: int = 64) -> Tensor:
    """Token states of captions, (N, 32, 384) float32; a tokenizer from a checkpoint folder pads by itself."""
    parts = []
    for start in range(0, len(captions), batch):
        rows = tokenizer.encode_batch(list(captions[start : start + batch]))
        ids = torch.tensor([row.ids for row in rows])
        mask = torch.tensor([row.attention_mask for row in rows])
        parts.append(model(input_ids=ids, attention_mask=mask).last_hidden_state)
    return torch.cat(parts)


@dataclass(frozen=True)
class TextStates:
    """The text encoder of a checkpoint folder.

    Attributes:
        states: Captions to token states (N, T, D) float32.
        facts: Hashes of encoder (`text`) and tokenizer.
    """

    states: Callable[[Sequence[str]], Tensor]
    facts: dict[str, str]


def open_words(folder: Path) -> TextStates:
    """Open the text encoder of a checkpoint folder: the compact one, or the CLIP of Stable Diffusion 1.x and 2.x.

    Raises:
        ModelNotFound: The folder has none, or no tokenizer.
        Unsupported: It is another one.
    """
    encoder, tokenizer = folder / "text_encoder", folder / "tokenizer"
    if not (encoder / "config.json").is_file() or not tokenizer.is_dir():
        raise ModelNotFound(f"{folder} has no text encoder and tokenizer.", param="checkpoint")
    if (encoder / NAME).is_file():
        rules = tokenizer / "tokenizer.json"
        model, words = load_text_encoder(folder), Tokenizer.from_file(str(rules))
        facts = {
            "text": hash_tensors(encoder / NAME),
            "tokenizer": hashlib.sha256(rules.read_bytes()).hexdigest(),
        }
        return TextStates(lambda captions: encode_text(model, words, captions), facts)
    kind = json.loads((encoder / "config.json").read_text("utf-8")).get("model_type")
    if kind != "clip_text_model" or (folder / "text_encoder_2").is_dir():
        raise Unsupported(
            f"{folder} has the text encoder {kind!r}; training knows the embedded one and one CLIP.", param="checkpoint"
        )
    return _clip(encoder, tokenizer)


def _clip(encoder: Path, tokenizer: Path) -> TextStates:
    weights = next(iter(sorted(encoder.glob("*.safetensors"))), None)
    if weights is None:
        raise ModelNotFound(f"{encoder} has no safetensors.", param="checkpoint")
    model = CLIPTextModel(CLIPTextConfig.from_json_file(str(encoder / "config.json"))).eval()
    nested = "text_model." if hasattr(model, "text_model") else ""  # one release of transformers nests, another not
    state = {nested + name.removeprefix("text_model."): value.float() for name, value in load_tensors(weights).items()}
    state.pop(f"{nested}embeddings.position_ids", None)
    model.load_state_dict(state)
    words = CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True)

    @torch.no_grad()
    def states(captions: Sequence[str]) -> Tensor:
        parts = []
        for at in range(0, len(captions), 64):
            some = list(captions[at : at + 64])
            length = model.config.max_position_embeddings
            ids = words(some, padding="max_length", truncation=True, max_length=length, return_tensors="pt").input_ids
            parts.append(model(ids).last_hidden_state)
        return torch.cat(parts)

    rules = b"".join(path.read_bytes() for path in sorted(tokenizer.iterdir()) if path.suffix in (".json", ".txt"))
    return TextStates(states, {"text": hash_tensors(weights), "tokenizer": hashlib.sha256(rules).hexdigest()})
