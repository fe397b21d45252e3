"""Pictures and captions turned into what the UNet trains on: latents and token states, stored in shards.

A shard is one safetensors file: `latent` (N, 4, 16, 16) and `text` (M, 32, 384) in float16, and `row` (N,), which text
belongs to which latent, since many captions occur more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertModel

from fantascope.train.fit import Batch
from fantascope.train.text import encode_text


@torch.no_grad()
def centre_latents(model: AutoencoderKL, pictures: Tensor) -> None:
    """Make every latent channel of an autoencoder zero-mean and unit-variance, by changing its two 1x1 convolutions.

    After it the scaling factor is 1: the encoder's last and the decoder's first convolution hold the shift and scale.

    Args:
        model: Changed in place; what it decodes to stays the same.
        pictures: (N, 3, 128, 128) in -1..1, typical ones.
    """
    latent = torch.cat([model.encode(part).latent_dist.mean for part in pictures.split(32)])
    mean, std = latent.mean(dim=(0, 2, 3)), latent.std(dim=(0, 2, 3))
    into, out = model.quant_conv, model.post_quant_conv
    assert into is not None and out is not None and into.bias is not None and out.bias is not None
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight *= std[None, :, None, None]
    channels = len(mean)
    into.bias[:channels] = (into.bias[:channels] - mean) / std
    into.weight[:channels] /= std[:, None, None, None]
    into.bias[channels:] -= 2 * std.log()


@torch.no_grad()
def write_shard(
    scenes: Iterable[tuple[Tensor, str]], model: AutoencoderKL, encoder: BertModel, tokenizer: Tokenizer, path: Path
) -> int:
    """Encode scenes and store them; return how many there were.

    Args:
        scenes: Pictures (3, 128, 128) in -1..1 with their captions.
        model: The frozen autoencoder.
        encoder, tokenizer: The compact text encoder.
        path: The shard, replaced in one move.
    """
    latents: list[Tensor] = []
    rows: dict[str, int] = {}
    index: list[int] = []
    waiting: list[Tensor] = []
    for picture, caption in scenes:
        index.append(rows.setdefault(caption, len(rows)))
        waiting.append(picture)
        if len(waiting) == 32:
            latents.append(model.encode(torch.stack(waiting)).latent_dist.mean.half())
            waiting = []
    if waiting:
        latents.append(model.encode(torch.stack(waiting)).latent_dist.mean.half())
    text = encode_text(encoder, tokenizer, list(rows)).half()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    save_file({"latent": torch.cat(latents), "text": text, "row": torch.tensor(index)}, new)
    new.replace(path)
    return len(index)


class Pool:
    """All shards of a folder in memory; `pool(size)(step)` are the batches from a step on, drawn by its number."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        latents, texts, rows, offset = [], [], [], 0
        for path in sorted(folder.glob("*.safetensors")):
            shard = load_file(path)
            latents.append(shard["latent"])
            texts.append(shard["text"])
            rows.append(shard["row"] + offset)
            offset += len(shard["text"])
        self.latent, self.text, self.row = torch.cat(latents), torch.cat(texts), torch.cat(rows)
        self.seed = seed

    def __len__(self) -> int:
        return len(self.latent)

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """Batches of `latent` and `text` from step `start` on: each pass over the pool in another order."""
        steps = len(self) // size
        step = start
        while True:
            turn = torch.Generator().manual_seed(self.seed * 1_000_003 + step // steps)
            order = torch.randperm(len(self), generator=turn)
            for at in range(step % steps, steps):
                pick = order[at * size : (at + 1) * size]
                yield {"latent": self.latent[pick], "text": self.text[self.row[pick]]}
                step += 1
