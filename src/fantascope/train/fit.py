"""The one training loop: a generator that steps, reports and saves, and that a hard kill cannot hurt.

Everything a step depends on is a function of the step's number and the saved tensors: the batch comes from
`batches(step)`, the noise from a generator seeded with the step. So a run that was killed and started again reaches the
same bytes as one that was not, on the same machine with the same number of threads.
"""

from __future__ import annotations

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from fantascope.errors import BrokenModelFile, InvalidValue, StorageError
from fantascope.train.optim import Muon

Batch = dict[str, Tensor]
Batches = Callable[[int], Iterator[Mapping[str, Any]]]
"""From a step's number to that step's batch and all later ones, tensors or arrays by name: the same number, the same
batches."""

Loss = Callable[[Batch, torch.Generator], tuple[Tensor, dict[str, float]]]
"""A batch and this step's noise source to the loss and the figures worth reporting."""


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast to train.

    Attributes:
        steps: Steps in all, including those done before a restart.
        batch: Pictures a step; only used to report pictures/s.
        rate: Highest learning rate.
        warmup: Steps over which it rises from 0.
        cooldown: Share of the steps, at the end, over which it falls to 0 in a line.
        decay: Weight decay, on matrices only.
        muon: Whether the inner matrices are stepped by Muon; if not, all is AdamW.
        clip: Largest norm of the gradient.
        ema: Decay of the running mean of the weights; 0 keeps none.
        seed: Seeds the noise.
        report_every, save_every: Steps between two events and between two saves.
        data: Names what the batches are made of, such as a hash of it; empty where nobody can say.
        device: Where batches go; the model is there already. The noise is drawn on the CPU for every device.
    """

    steps: int
    batch: int
    rate: float = 1e-3
    warmup: int = 100
    cooldown: float = 0.25
    decay: float = 0.01
    muon: bool = True
    clip: float = 1.0
    ema: float = 0.999
    seed: int = 0
    report_every: int = 20
    save_every: int = 500
    data: str = ""
    device: str = "cpu"


_FREE = ("report_every", "save_every", "device")
"""What may change between two starts of a run: what is learned is the same, up to rounding on another device."""

_CURVE = ("steps", "warmup", "cooldown")
"""What may change as long as every step done had the rate that it would have now."""


Optimised = Callable[[dict[str, nn.Parameter], FitConfig], torch.optim.Optimizer]
"""From the parameters by name and the settings to an optimiser; the loop sets its rate."""


@dataclass(frozen=True)
class FitEvent:
    """What a training says: the step reached, mean loss since the last event, pictures/s, whether it was just saved."""

    step: int
    loss: float
    rate: float
    saved: bool = False
    figures: dict[str, float] = field(default_factory=dict)


def choose_device(asked: str | None = None) -> str:
    """Return the device asked for, or a GPU where there is one, else the CPU; the reason is logged at INFO.

    Raises:
        InvalidValue: The device asked for is not there.
    """
    if asked is not None:
        try:
            return str(torch.empty(0, device=asked).device)
        except (RuntimeError, AssertionError) as error:
            told = f"Device {asked!r} cannot be used: {error}"
            raise InvalidValue(told, param="device", hint="--device cpu") from error
    found, why = ("cuda", "a GPU is there") if torch.cuda.is_available() else ("cpu", "there is no GPU")
    logging.getLogger(__name__).info("training on %s: %s", found, why)
    return found


def learning_rate(step: int, config: FitConfig) -> float:
    """The rate of a step: a line up over `warmup`, flat, a line down to 0 over the last `cooldown` of the steps."""
    up = min(1.0, (step + 1) / max(1, config.warmup))
    falling = max(1, math.ceil(config.steps * config.cooldown))
    down = min(1.0, (config.steps - step) / falling)
    return config.rate * min(up, down)


def fit(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    config: FitConfig,
    run: Path,
    also: Mapping[str, str | float] | None = None,
    optimised: Optimised | None = None,
) -> Iterator[FitEvent]:
    """Train a model, resuming from `run/state.safetensors` where there is one.

    Args:
        model: What is trained, in place. Parameters that need no gradient are left alone and not saved.
        loss: The step's loss; it closes over the model.
        batches: See `Batches`.
        config: See `FitConfig`.
        run: Folder for the state and `log.jsonl`; made if missing.
        also: What else decides what is learned, by name: the loss' own settings, the networks it looks through.
        optimised: Makes another optimiser than ours, whose state holds nothing but tensors and numbers.

    Yields:
        An event every `report_every` steps and after each save. To stop is to close the generator.

    Raises:
        InvalidValue: The state there was trained with other settings; the message names them.
        BrokenModelFile: The state there is of another model, or broken.
    """
    run.mkdir(parents=True, exist_ok=True)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    optimiser = _optimiser(named, config) if optimised is None else optimised(named, config)
    mean = {name: p.detach().clone() for name, p in named.items()} if config.ema > 0 else {}
    done = _restore(run / "state.safetensors", named, mean, optimiser, config, also or {})
    _forget(run / "log.jsonl", done)
    total, count, since, figures = 0.0, 0, time.perf_counter(), dict[str, float]()
    source = batches(done)
    for step in range(done, config.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, config)
        noise = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        batch = {name: torch.as_tensor(array).to(config.device) for name, array in next(source).items()}
        value, said = loss(batch, noise)
        optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(list(named.values()), config.clip)
        if torch.isfinite(norm):
            optimiser.step()
        _average(mean, named, min(config.ema, (1 + step) / (10 + step)))
        total, count = total + float(value.detach()), count + 1
        figures = {key: figures.get(key, 0.0) + number for key, number in said.items()}
        last = step + 1 == config.steps
        save = last or (step + 1) % config.save_every == 0
        if save or (step + 1) % config.report_every == 0:
            now = time.perf_counter()
            means = {key: number / count for key, number in figures.items()}
            event = FitEvent(step + 1, total / count, count * config.batch / (now - since), save, means)
            _log(run / "log.jsonl", event)
            if save:
                facts = {"step": step + 1, "config": asdict(config) | dict(also or {})}
                _save(run / "state.safetensors", facts, named, mean, optimiser)
            total, count, since, figures = 0.0, 0, now, {}
            yield event


def load_weights(model: nn.Module, run: Path, *, mean: bool = True) -> int:
    """Load the weights a run saved into a model, their running mean if it kept one; return the step they are from."""
    path = run / "state.safetensors"
    with _open(path) as state:
        keys = set(state.keys())
        prefix = "mean." if mean and any(key.startswith("mean.") for key in keys) else "model."
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if prefix + name in keys:
                    parameter.copy_(state.get_tensor(prefix + name))
        return _facts(state)[0]


def _optimiser(named: dict[str, nn.Parameter], config: FitConfig) -> torch.optim.Optimizer:
    """AdamW for everything, or Muon for every matrix but those at the border of the network."""
    border = ("conv_in", "conv_out", "quant_conv", "time_embedding")
    inner = {name for name, p in named.items() if p.ndim >= 2 and not any(part in name for part in border)}
    outer = [p for name, p in named.items() if p.ndim >= 2 and name not in inner]
    groups = [
        {"params": [named[name] for name in sorted(inner)], "weight_decay": config.decay, "matrices": config.muon},
        {"params": outer, "weight_decay": config.decay, "matrices": False},
        {"params": [p for p in named.values() if p.ndim < 2], "weight_decay": 0.0, "matrices": False},
    ]
    return Muon(groups, lr=config.rate)


@torch.no_grad()
def _average(mean: dict[str, Tensor], named: dict[str, nn.Parameter], decay: float) -> None:
    if mean:
        torch._foreach_lerp_(list(mean.values()), [named[name] for name in mean], 1 - decay)


def _save(
    path: Path,
    facts: dict[str, Any],
    named: dict[str, nn.Parameter],
    mean: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
) -> None:
    """Write weights, running mean and optimiser state beside the old file, then put it in its place in one move."""
    tensors = {f"model.{name}": p.detach().contiguous() for name, p in named.items()}
    tensors |= {f"mean.{name}": value.contiguous() for name, value in mean.items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(value).contiguous() for key, value in state.items()}
    new = path.with_suffix(".new")
    try:
        save_file(tensors, new, metadata={"run": json.dumps(facts, sort_keys=True)})
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except (OSError, SafetensorError) as error:
        new.unlink(missing_ok=True)
        kept = "what was saved before is kept" if path.is_file() else "nothing was saved yet"
        raise StorageError(
            f"Step {facts['step']} cannot be saved to {path}: {error}; {kept}.",
            hint="Make room on the disk and give the same command again.",
        ) from error


def _restore(
    path: Path,
    named: dict[str, nn.Parameter],
    mean: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    config: FitConfig,
    also: Mapping[str, str | float],
) -> int:
    """Read a saved state into the tensors given; return the steps done, 0 where nothing was saved."""
    if not path.is_file():
        return 0
    with _open(path) as state, torch.no_grad():
        step, old = _facts(state)
        _check(path, step, old, config, asdict(config) | dict(also))
        tensors = {key: state.get_tensor(key) for key in state.keys()}  # noqa: SIM118
        try:
            for name, parameter in named.items():
                parameter.copy_(tensors[f"model.{name}"])
            for name, value in mean.items():
                value.copy_(tensors[f"mean.{name}"])
        except (KeyError, RuntimeError) as error:
            raise BrokenModelFile(f"{path} holds another model: {error}.", hint=f"Move {path} away.") from error
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, part = key.split(".", 2)
            moments.setdefault(int(index), {})[part] = value
    optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    return step


def _facts(state: Any) -> tuple[int, dict[str, Any] | None]:
    """The step of a state and the settings it was trained with; `None` in states from before these were kept."""
    metadata = state.metadata()
    if "run" not in metadata:
        return int(metadata["step"]), None
    facts = json.loads(metadata["run"])
    return int(facts["step"]), facts["config"]


def _check(path: Path, done: int, old: dict[str, Any] | None, config: FitConfig, new: dict[str, Any]) -> None:
    """Raise `InvalidValue` if a state was trained with other settings; one that tells none is taken as it is."""
    if old is None:
        return
    differ = [name for name in sorted(old | new) if old.get(name) != new.get(name) and name not in _FREE + _CURVE]
    then = FitConfig(**{part.name: old[part.name] for part in fields(FitConfig) if part.name in old})
    if not differ and any(learning_rate(step, then) != learning_rate(step, config) for step in range(done)):
        differ = [name for name in _CURVE if old[name] != new[name]]
    if differ:
        said = ", ".join(f"{name} {old.get(name)!r} and not {new.get(name)!r}" for name in differ)
        raise InvalidValue(
            f"{path} was trained for {done} steps with {said}.",
            param=differ[0],
            hint="Give the same values, or another run folder.",
        )


def _forget(path: Path, done: int) -> None:
    """Take the rows of steps that are to be done again out of a log, and a row that a kill cut short."""
    if not path.is_file():
        return
    rows = path.read_text("utf-8").splitlines(keepends=True)
    kept = [row for row in rows if row.endswith("\n") and json.loads(row)["step"] <= done]
    if kept != rows:
        new = path.with_suffix(".new")
        new.write_text("".join(kept), "utf-8")
        new.replace(path)


def _open(path: Path) -> safe_open:
    try:
        return safe_open(path, "pt")
    except Exception as error:
        raise BrokenModelFile(f"{path} cannot be read: {error}.") from error


def _log(path: Path, event: FitEvent) -> None:
    row = {"step": event.step, "loss": event.loss, "rate": event.rate, "time": time.time(), **event.figures}
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")
