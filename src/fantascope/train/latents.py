"""Pictures and captions turned into what the UNet trains on: latents and token states, stored in shards.

A shard is one safetensors file: `latent` (N, 4, 16, 16) and `text` (M, 32, 384) in float16, and `row` (N,), which text
belongs to which latent, since many captions occur more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from fantascope.train.checkpoint import read_module
from fantascope.train.fit import Batch
from fantascope.train.parts import autoencoder
from fantascope.train.text import encode_text, load_text_encoder

EMPTY = "empty.safetensors"


@torch.no_grad()
def centre_latents(model: AutoencoderKL, pictures: Tensor) -> None:
    """Make every latent channel of an autoencoder zero-mean and unit-variance, by changing its two 1x1 convolutions.

    After it the scaling factor is 1: the encoder's last and the decoder's first convolution hold the shift and scale.

    Args:
        model: Changed in place; what it decodes to stays the same.
        pictures: (N, 3, 128, 128) in -1..1, typical ones.
    """
    latent = torch.cat([model.encode(part).latent_dist.mean for part in torch.split(pictures, 32)])
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
def write_pool(scenes: Iterable[tuple[Any, str]], folder: Path, pool: Path, shard: int = 2000) -> Iterator[int]:
    """Encode scenes with the autoencoder and text encoder of a checkpoint folder and store them.

    Shards that are there already are kept, and their scenes passed over.

    Args:
        scenes: Pictures (3, 128, 128) in -1..1 with their captions.
        folder: The checkpoint folder.
        pool: Folder of the shards.
        shard: Scenes a shard.

    Yields:
        How many scenes are stored, after each shard.
    """
    pool.mkdir(parents=True, exist_ok=True)
    model = autoencoder().eval()
    read_module(model, folder / "vae")
    encoder = load_text_encoder(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    _store(pool / EMPTY, {"text": encode_text(encoder, tokenizer, [""]).half()})
    iterator, stored, number = iter(scenes), 0, 0
    while part := list(islice(iterator, shard)):
        path = pool / f"{number:04d}.safetensors"
        if not path.is_file():
            rows: dict[str, int] = {}
            row = torch.tensor([rows.setdefault(caption, len(rows)) for _, caption in part])
            groups = [part[at : at + 25] for at in range(0, len(part), 25)]
            stacks = (torch.stack([torch.as_tensor(picture) for picture, _ in group]) for group in groups)
            latent = torch.cat([model.encode(stack).latent_dist.mean.half() for stack in stacks])
            text = encode_text(encoder, tokenizer, list(rows)).half()
            _store(path, {"latent": latent, "text": text, "row": row})
        number, stored = number + 1, stored + len(part)
        yield stored


def _store(path: Path, tensors: dict[str, Tensor]) -> None:
    new = path.with_suffix(".new")
    save_file({name: value.contiguous() for name, value in tensors.items()}, new)
    new.replace(path)


class Pool:
    """All shards of a folder in memory; `batches(size, step)` are those from a step on, drawn by its number."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        latents, texts, rows, offset = [], [], [], 0
        self.empty: Tensor = load_file(folder / EMPTY)["text"][0]
        for path in sorted(folder.glob("[0-9]*.safetensors")):
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
