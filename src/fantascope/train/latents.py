"""Pictures and captions turned into what the UNet trains on: latents and token states, stored in shards.

A shard is one safetensors file: `latent` (N, 8, 16, 16) and `text` (M, 32, 384) in float16, and `row` (N,), which text
belongs to which latent, since many captions occur more than once. Its metadata say what it was made of: the hashes of
encoder, text encoder and scenes, and the numbers of its first and last scene. A pool may hold more tensors a scene:
control maps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderKL
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound
from fantascope.train.checkpoint import ENCODER, WEIGHTS, hash_tensors
from fantascope.train.fit import Batch
from fantascope.train.parts import autocast, quicken
from fantascope.train.text import TextStates, open_words

EMPTY = "empty.safetensors"
SHARDS = "[0-9]*.safetensors"


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


Scenes = Callable[[int, int], Iterable[tuple[Any, str] | tuple[Any, str, Mapping[str, Any]]]]
"""From the numbers of the first and the one after the last scene to pictures (3, 128, 128) in -1..1 and captions, and
to what else is stored of a scene, arrays by name, where there is any."""


@torch.no_grad()
def write_pool(
    scenes: Scenes,
    count: int,
    folder: Path,
    pool: Path,
    *,
    data: str = "",
    shard: int = 2000,
    told: Mapping[str, Any] | None = None,
    also: Mapping[str, Any] | None = None,
) -> Iterator[int]:
    """Encode scenes with the autoencoder and text encoder of a checkpoint folder and store them.

    Shards of the same scenes, encoded by the same networks, are kept; all others are done again or removed.

    Args:
        scenes: Draws scenes by number.
        count: How many scenes there are to be.
        folder: The checkpoint folder.
        pool: Folder of the shards.
        data: Names what the scenes are drawn from, such as a hash of it.
        shard: Scenes a shard.
        told: What else the shards' metadata say.
        also: Arrays that all scenes share, stored once.

    Yields:
        How many scenes are stored, after each shard.
    """
    pool.mkdir(parents=True, exist_ok=True)
    model, words = open_autoencoder(folder), open_words(folder)
    made = {"data": data, "encoder": hash_tensors(folder / "vae" / WEIGHTS, ENCODER), **words.facts, **(told or {})}
    starts = range(0, count, shard)
    for path in sorted(pool.glob(SHARDS))[len(starts) :]:
        path.unlink()
    shared = {name: torch.as_tensor(array) for name, array in (also or {}).items()}
    store(pool / EMPTY, shared | {"text": words.states([""]).half()}, made | {"scenes": count})
    for number, first in enumerate(starts):
        last = min(first + shard, count)
        path, facts = pool / f"{number:04d}.safetensors", made | {"first": first, "last": last}
        if not path.is_file() or made_of(path) != facts:
            store(path, _encoded(list(scenes(first, last)), model, words), facts)
        yield last


def _encoded(part: Sequence[tuple[Any, ...]], model: AutoencoderKL, words: TextStates) -> dict[str, Tensor]:
    """The tensors of a shard; what scenes have beside picture and caption is stacked."""
    rows: dict[str, int] = {}
    row = torch.tensor([rows.setdefault(scene[1], len(rows)) for scene in part])
    groups = [part[at : at + 25] for at in range(0, len(part), 25)]
    stacks = (torch.stack([torch.as_tensor(scene[0]) for scene in group]) for group in groups)
    latent = torch.cat([_latent(model, stack) for stack in stacks])
    more = {name: torch.stack([torch.as_tensor(scene[2][name]) for scene in part]) for name in _names(part)}
    return more | {"latent": latent, "text": words.states(list(rows)).half(), "row": row}


def _names(part: Sequence[tuple[Any, ...]]) -> list[str]:
    return list(part[0][2]) if len(part[0]) > 2 else []


def _latent(model: AutoencoderKL, pictures: Tensor) -> Tensor:
    """Mean latents of pictures in float16; computed in bfloat16, where that is quicker, off by 1 % of their spread."""
    with autocast():
        mean: Tensor = model.encode(pictures.contiguous(memory_format=torch.channels_last)).latent_dist.mean
    scaled: Tensor = (mean - (model.config.shift_factor or 0.0)) * model.config.scaling_factor
    return scaled.half()


def open_autoencoder(folder: Path) -> AutoencoderKL:
    """The autoencoder of a checkpoint folder, float32, frozen, and quick on a CPU if it has no attention.

    Raises:
        ModelNotFound: The folder has none.
    """
    if not (folder / "vae" / "config.json").is_file():
        raise ModelNotFound(f"{folder} has no autoencoder.", param="checkpoint")
    model: AutoencoderKL = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    model.eval().requires_grad_(False)
    if not model.config.mid_block_add_attention:
        quicken(model)
    return model


@torch.no_grad()
def decode(model: AutoencoderKL, latents: Tensor) -> Tensor:
    """Pictures (B, H, W, 3) uint8 of latents (B, C, h, w) as `write_pool` stores them."""
    plain = latents.float() / model.config.scaling_factor + (model.config.shift_factor or 0.0)
    pixels: Tensor = (model.decode(plain).sample.clamp(-1, 1) + 1) * 127.5
    return pixels.round().byte().permute(0, 2, 3, 1)


def store(path: Path, tensors: dict[str, Tensor], made: dict[str, Any]) -> None:
    """Write a shard, which says what it was made of, in one move."""
    new = path.with_suffix(".new")
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    save_file(tensors, new, metadata={"made": json.dumps(made, sort_keys=True)})
    new.replace(path)


def made_of(path: Path) -> dict[str, Any]:
    """What a file of a pool says it was made of."""
    try:
        with safe_open(path, "pt") as file:
            made: dict[str, Any] = json.loads((file.metadata() or {}).get("made", "{}"))
    except Exception as error:
        raise BrokenModelFile(f"{path} cannot be read: {error}.", hint=f"Remove {path} and encode again.") from error
    return made


class Pool:
    """All shards of a folder in memory; `batches(size, step)` are those from a step on, drawn by its number.

    Attributes:
        data: Hash over what all shards were made of, and `told` just that.
        also, more: Other tensors, one for all scenes or one row a scene.

    Raises:
        ModelNotFound: The folder holds no pool.
        BrokenModelFile: Scenes are missing, or shards were made with different networks: encoding was stopped halfway.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        if not (folder / EMPTY).is_file():
            raise ModelNotFound(f"{folder} holds no encoded scenes.", param="pool", hint="fantascope data encode")
        self.also: dict[str, Tensor] = load_file(folder / EMPTY)
        self.empty = self.also.pop("text")[0]
        said = made_of(folder / EMPTY)
        count = said.pop("scenes", 0)
        latents, texts, rows, more, offset = [], [], [], [], 0
        for path in sorted(folder.glob(SHARDS)):
            if not said.items() <= made_of(path).items():
                raise BrokenModelFile(
                    f"{path} was made with other networks or drawings.", hint="Finish: fantascope data encode"
                )
            shard = load_file(path)
            latents.append(shard["latent"])
            texts.append(shard["text"])
            rows.append(shard["row"] + offset)
            offset += len(shard["text"])
            more.append({name: value for name, value in shard.items() if name not in ("latent", "text", "row")})
        stored = sum(map(len, latents))
        if stored != count:
            raise BrokenModelFile(f"{folder} holds {stored} of {count} scenes.", hint="Finish: fantascope data encode")
        self.latent, self.text, self.row = torch.cat(latents), torch.cat(texts), torch.cat(rows)
        self.more = {name: torch.cat([part.pop(name) for part in more]) for name in list(more[0])} if more else {}
        self.seed, self.told = seed, said
        self.data = hashlib.sha256(json.dumps([said, count], sort_keys=True).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.latent)

    def to(self, device: str) -> Self:
        """The same pool with its scenes on a device; a GPU need not wait for them then."""
        self.latent, self.text, self.row = (part.to(device) for part in (self.latent, self.text, self.row))
        self.more = {name: part.to(device) for name, part in self.more.items()}
        self.also = {name: part.to(device) for name, part in self.also.items()}
        return self

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """Batches of `latent` and `text` from step `start` on: each pass over the pool in another order.

        Raises:
            InvalidValue: There are fewer scenes than one batch takes.
        """
        for pick, _ in self.picks(size, start):
            yield {"latent": self.latent[pick], "text": self.text[self.row[pick]]}

    def picks(self, size: int, start: int) -> Iterator[tuple[Tensor, int]]:
        """The rows (size,) of each batch from step `start` on, and the batch's step; raises as `batches`."""
        steps = len(self) // size
        if steps == 0:
            raise InvalidValue(f"The pool holds {len(self)} scenes, fewer than one batch of {size}.", param="batch")
        step = start
        while True:
            turn = torch.Generator().manual_seed(self.seed * 1_000_003 + step // steps)
            order = torch.randperm(len(self), generator=turn).to(self.row.device)
            for at in range(step % steps, steps):
                yield order[at * size : (at + 1) * size], step
                step += 1
