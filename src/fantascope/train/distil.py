"""Distilling the base UNet, guidance included, into one that needs a few steps.

A teacher paints captions with many guided DDIM steps, and what lies at the levels that a run of few steps visits is
kept: its waypoints. The student then learns to get from one waypoint to the next in a single DDIM step without
guidance. What is trained is a low-rank sum to the teacher's weights (see `train.lowrank`).

DDIM's step of a velocity is a rotation, `x_s = cos(a) x_t - sin(a) v` with `a` the angle between both levels, so the
loss compares where the step arrives: the mean square of `x_s`. That weighs the square error of v by sin(a)², which is
what a step's error does to the picture: the steps after it neither damp nor enlarge a small error on average. A
truncated SNR (Salimans & Ho) would weigh the steps nearly alike and so spend more on the short ones.

Half of the inputs are not the teacher's waypoints but what the student itself makes of the waypoint before, so that it
learns to come back to the path: at sampling time it never stands exactly on it (Ross et al. 2011, section 3).

Sources: Salimans & Ho, "Progressive distillation" (2022), sections 3 and 4, appendix D; Meng et al., "On distillation
of guided diffusion models" (2023), section 3.2; Ross et al., "A reduction of imitation learning to no-regret online
learning" (2011).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from fantascope.core.denoise import Network, denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.schedules import Levels, Training, levels, training_from_config
from fantascope.core.seeds import noise
from fantascope.engines.compact import NAME
from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound
from fantascope.spec import FEW
from fantascope.train.checkpoint import WEIGHTS, hash_tensors
from fantascope.train.fit import Batch, FitConfig, FitEvent, fit, load_weights
from fantascope.train.latents import SHARDS, made_of, store
from fantascope.train.lowrank import low_rank, read_delta, write_delta
from fantascope.train.onnxgraph import read_json
from fantascope.train.parts import autocast, quicken
from fantascope.train.text import encode_text, load_text_encoder

INDEX = "levels.safetensors"


@dataclass(frozen=True)
class TeacherConfig:
    """How the teacher paints.

    Attributes:
        steps: Steps of the teacher, a multiple of `few`.
        few: Steps that the student is to take.
        guidance, rescale: As usual; they are baked into the student.
    """

    steps: int = 20
    few: int = 4
    guidance: float = 4.0
    rescale: float = 0.7


@torch.no_grad()
def write_trajectories(
    captions: Iterable[tuple[str, int]],
    folder: Path,
    pool: Path,
    config: TeacherConfig = TeacherConfig(),
    *,
    batch: int = 16,
    shard: int = 128,
) -> Iterator[int]:
    """Paint captions with the UNet of a checkpoint folder and store its waypoints.

    A shard is one safetensors file: `waypoint` (N, few + 1, C, h, w) and `text` (M, T, D) in float16, and `row` (N,),
    which text belongs to which trajectory. Shards of the same captions, painted by the same networks in the same way,
    are kept; all others are done again or removed.

    Args:
        captions: Each with the seed of its noise.
        folder: The checkpoint folder.
        pool: Folder of the shards.
        config: See `TeacherConfig`.
        batch: Captions painted together.
        shard: Captions a shard.

    Yields:
        How many trajectories are stored, after each shard.

    Raises:
        InvalidValue: The student's levels are not among the teacher's.
    """
    told = list(captions)
    training = _training(folder)
    long, short = (levels(training, steps, sampler="ddim") for steps in (config.steps, config.few))
    _marks(long, short)
    pool.mkdir(parents=True, exist_ok=True)
    words = folder / "tokenizer" / "tokenizer.json"
    tokenizer, encoder = Tokenizer.from_file(str(words)), load_text_encoder(folder)
    made = {
        "unet": hash_tensors(folder / "unet" / WEIGHTS),
        "text": hash_tensors(folder / "text_encoder" / NAME),
        "tokenizer": hashlib.sha256(words.read_bytes()).hexdigest(),
        **asdict(config),
    }
    starts = range(0, len(told), shard)
    for path in sorted(pool.glob(SHARDS))[len(starts) :]:
        path.unlink()
    index = {name: torch.from_numpy(getattr(short, name)) for name in ("alphas", "sigmas", "times")}
    store(pool / INDEX, index, made | {"count": len(told)})
    model = _unet(folder)
    empty = encode_text(encoder, tokenizer, [""])
    for number, first in enumerate(starts):
        part = told[first : first + shard]
        path = pool / f"{number:04d}.safetensors"
        facts = made | {"captions": hashlib.sha256(json.dumps(part).encode()).hexdigest()}
        if not path.is_file() or made_of(path) != facts:
            rows: dict[str, int] = {}
            row = torch.tensor([rows.setdefault(caption, len(rows)) for caption, _ in part])
            text = encode_text(encoder, tokenizer, list(rows))
            found = []
            for at in range(0, len(part), batch):
                states, seeds = text[row[at : at + batch]], [seed for _, seed in part[at : at + batch]]
                found.append(paint(model, training, states, empty, seeds, config))
            store(path, {"waypoint": torch.cat(found).half(), "text": text.half(), "row": row}, facts)
        yield first + len(part)


@torch.no_grad()
def paint(
    model: UNet2DConditionModel,
    training: Training,
    states: Tensor,
    empty: Tensor,
    seeds: Sequence[int],
    config: TeacherConfig,
) -> Tensor:
    """Run the teacher from the noise of `seeds`; return its waypoints (B, few + 1, C, h, w), noise and result included.

    Args:
        model: Predicts velocities.
        training: Its noise.
        states, empty: Token states (B, T, D) of the captions and (1, T, D) of the empty one.
        seeds: B numbers.
        config: See `TeacherConfig`.
    """
    start = torch.from_numpy(noise(seeds, (model.config.in_channels, *[model.config.sample_size] * 2)))
    long, short = (levels(training, steps, sampler="ddim") for steps in (config.steps, config.few))
    both = states if config.guidance == 1 else torch.cat([empty.expand_as(states), states])
    network = guided(_network(model, both), config.guidance, config.rescale)
    path = [start, *(state.x for state in denoise(predict(network, training), start, long, "ddim"))]
    return torch.stack([path[at] for at in _marks(long, short)], dim=1)


def _marks(long: Levels, short: Levels) -> list[int]:
    """Where the levels of a short run lie in a long one."""
    times = long.times.tolist()
    if not set(short.times.tolist()) <= set(times):
        raise InvalidValue(
            f"A run of {short.steps} steps visits times that one of {long.steps} does not: "
            f"{sorted(set(short.times.tolist()) - set(times))}.",
            param="steps",
            hint="Give the teacher a multiple of the student's steps.",
        )
    return [*(times.index(time) for time in short.times.tolist()), long.steps]


def _network(model: UNet2DConditionModel, states: Tensor) -> Network:
    """The UNet under `autocast` for these token states."""

    def run(x: Any, time: float) -> Any:
        return velocity(model, x, torch.full((len(x),), time), states)

    return run


def velocity(model: UNet2DConditionModel, x: Tensor, times: Tensor, states: Tensor) -> Tensor:
    """What a UNet says, in float32, computed under `autocast`."""
    with autocast():
        said: Tensor = model(x.contiguous(memory_format=torch.channels_last), times, states).sample
    return said.float()


def _training(folder: Path) -> Training:
    training = training_from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    if training.prediction != "v_prediction":
        raise InvalidValue(f"{folder} predicts {training.prediction}; only velocities are distilled.")
    return training


def _unet(folder: Path) -> UNet2DConditionModel:
    model: UNet2DConditionModel = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    model.eval().requires_grad_(False)
    quicken(model)
    return model


class Trajectories:
    """All shards of a folder in memory; `batches(size, step)` are those from a step on, drawn by its number.

    Attributes:
        waypoint: (N, K + 1, C, h, w) float16, from noise to picture.
        text, row: Token states (M, T, D) float16, and which belongs to which trajectory (N,).
        held: How many of the last trajectories are never trained on.
        times: (K,), what the student is told at each of its steps.
        cos, sin: (K,), of the angle that each step turns by.
        unet: Hash of the network that painted them.
        data: Hash over what all shards were made of.

    Raises:
        ModelNotFound: The folder holds no trajectories.
        BrokenModelFile: Some are missing, or were painted by other networks: painting was stopped halfway.
    """

    def __init__(self, folder: Path, seed: int = 0, held: int = 0) -> None:
        hint = "fantascope train trajectories"
        if not (folder / INDEX).is_file():
            raise ModelNotFound(f"{folder} holds no trajectories.", param="pool", hint=hint)
        made = made_of(folder / INDEX)
        count = made.pop("count", 0)
        waypoints, texts, rows, facts, offset = [], [], [], [], 0
        for path in sorted(folder.glob(SHARDS)):
            facts.append(made_of(path))
            if not made.items() <= facts[-1].items():
                raise BrokenModelFile(
                    f"{path} was painted by other networks or in another way.", hint=f"Finish: {hint}"
                )
            shard = load_file(path)
            waypoints.append(shard["waypoint"])
            texts.append(shard["text"])
            rows.append(shard["row"] + offset)
            offset += len(shard["text"])
        stored = sum(map(len, waypoints))
        if stored != count or count == 0:
            raise BrokenModelFile(f"{folder} holds {stored} of {count} trajectories.", hint=f"Finish: {hint}")
        self.waypoint, self.text, self.row = torch.cat(waypoints), torch.cat(texts), torch.cat(rows)
        index = load_file(folder / INDEX)
        alphas, sigmas = index["alphas"], index["sigmas"]
        self.times = index["times"].float()
        self.cos = (alphas[1:] * alphas[:-1] + sigmas[1:] * sigmas[:-1]).float()
        self.sin = (alphas[1:] * sigmas[:-1] - sigmas[1:] * alphas[:-1]).float()
        self.seed, self.held, self.unet = seed, held, made.get("unet")
        self.data = hashlib.sha256(json.dumps([facts, held], sort_keys=True).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.waypoint)

    def move(self, x: Tensor, said: Tensor, step: Tensor) -> Tensor:
        """DDIM's step number `step` (B,) from `x` with the velocity `said`."""
        cos, sin = self.cos[step].view(-1, 1, 1, 1), self.sin[step].view(-1, 1, 1, 1)
        moved: Tensor = cos * x - sin * said
        return moved

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """Batches from step `start` on, each pass over all steps of all trajectories but the held in another order.

        Each holds `here` and `there`, the waypoints (size, C, h, w) a step leads from and to, `before`, the one before
        `here` (or `here` itself at the first step), the step's number `step` and its `text`.

        Raises:
            InvalidValue: There are fewer steps than one batch takes.
        """
        count, trained = len(self.times), max(0, len(self) - self.held)
        passes = trained * count // size
        if passes == 0:
            raise InvalidValue(f"{trained} trajectories have fewer steps than one batch of {size}.", param="batch")
        at = start
        while True:
            turn = torch.Generator().manual_seed(self.seed * 1_000_003 + at // passes)
            order = torch.randperm(trained * count, generator=turn)
            for first in range(at % passes, passes):
                pick = order[first * size : (first + 1) * size]
                which, step = pick // count, pick % count
                here, there = self.waypoint[which, step], self.waypoint[which, step + 1]
                before = self.waypoint[which, (step - 1).clamp_min(0)]
                text = self.text[self.row[which]]
                yield {"here": here, "there": there, "before": before, "step": step, "text": text}
                at += 1


@dataclass(frozen=True)
class FewConfig:
    """What the student is trained for.

    Attributes:
        fit: The loop's settings.
        numbers: How many numbers all low-rank factors together may hold: twice as many bytes in float16.
        own: Share of the inputs after the first step that the student makes itself.
        start: File of such factors to start from, of this UNet or of one that it went on from; without it from nothing.
    """

    fit: FitConfig
    numbers: int = 1_450_000
    own: float = 0.5
    start: Path | None = None


def student(folder: Path, numbers: int) -> UNet2DConditionModel:
    """The UNet of a checkpoint folder, all weights fixed, with low-rank factors to train."""
    model = _unet(folder)
    low_rank(model, numbers)
    return model


def train_few(config: FewConfig, run: Path, folder: Path, paths: Trajectories) -> Iterator[FitEvent]:
    """Train low-rank factors for the UNet of a checkpoint folder on the steps of trajectories.

    Raises:
        InvalidValue: Another UNet painted them, or the file to start from has other factors.
    """
    unet = hash_tensors(folder / "unet" / WEIGHTS)
    if paths.unet != unet:
        raise InvalidValue(f"The trajectories were painted by another UNet than {folder / 'unet'}.", param="pool")
    torch.manual_seed(config.fit.seed)
    model = student(folder, config.numbers)
    if config.start is not None:
        read_delta(model, config.start)

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        step, text = batch["step"], batch["text"].float()
        here, there, before = (batch[name].float() for name in ("here", "there", "before"))
        own = ((torch.rand(len(step), generator=source) < config.own) & (step > 0)).nonzero()[:, 0]
        if len(own):
            with torch.no_grad():
                earlier = step[own] - 1
                said = velocity(model, before[own], paths.times[earlier], text[own])
                here[own] = paths.move(before[own], said, earlier)
        said = velocity(model, here, paths.times[step], text)
        return nn.functional.mse_loss(paths.move(here, said, step), there), {}

    also: dict[str, str | float] = {
        "stage": "few",
        "unet": unet,
        "numbers": config.numbers,
        "own": config.own,
    }
    if config.start is not None:
        also["start"] = hash_tensors(config.start)
    return fit(model, loss, partial(paths.batches, config.fit.batch), config.fit, run, also)


@torch.no_grad()
def distance(model: UNet2DConditionModel, paths: Trajectories, batch: int = 32) -> float:
    """How far a run of few unguided steps ends from the teacher's result, over the trajectories held back.

    Returns:
        Root of the mean square; latents have about unit variance.
    """
    total = 0.0
    for rows in torch.split(torch.arange(len(paths))[len(paths) - paths.held :], batch):
        x, text = paths.waypoint[rows, 0].float(), paths.text[paths.row[rows]].float()
        for k in range(len(paths.times)):
            step = torch.full((len(rows),), k)
            x = paths.move(x, velocity(model, x, paths.times[step], text), step)
        total += float((x - paths.waypoint[rows, -1].float()).square().mean()) * len(rows)
    return float((total / max(1, paths.held)) ** 0.5)


def write_few(run: Path, folder: Path, numbers: int) -> Path:
    """Write the running mean of a run's factors into the checkpoint folder they were trained for; return the file.

    Raises:
        BrokenModelFile: The run has no state.
    """
    model = student(folder, numbers)
    load_weights(model, run)
    write_delta(model, folder / "unet" / WEIGHTS, folder / FEW)
    return folder / FEW
