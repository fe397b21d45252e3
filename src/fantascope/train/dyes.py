"""Training the reader of colours: two small matrices over what `engines.dyes` describes of a thing's pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fantascope.core.colour import COLOURS

HIDDEN = 64
ROUNDS, BATCH, RATE, DECAY, SMOOTH = 40, 128, 3e-3, 0.05, 0.05

HELD = 0.1
"""Share of the things, the first ones, that only say how good the reader is."""


def train_dyes(rows: npt.NDArray[np.float32], colours: Sequence[int], path: Path, seed: int = 0) -> float:
    """Train a reader and write it; takes seconds.

    Args:
        rows: What each thing looks like, (N, 87).
        colours: The place of each thing's colour in `COLOURS`.
        path: The safetensors file to write, 25 kB in float32.
        seed: Draws weights and order.

    Returns:
        The share of the things held back whose colour is read right.
    """
    right, tensors = _fit(torch.tensor(rows), torch.tensor(colours), seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    path.chmod(0o644)
    return right


def _fit(rows: Tensor, colours: Tensor, seed: int) -> tuple[float, dict[str, Tensor]]:
    """Learn from all but the first rows; return the share of those that is right, and the matrices for rows as they
    are."""
    torch.manual_seed(seed)
    middle, spread = rows.mean(0), rows.std(0) + 1e-3
    rows, held = (rows - middle) / spread, int(HELD * len(rows))
    net = nn.Sequential(nn.Linear(rows.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, len(COLOURS)))
    optimiser: Any = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    turns = max(1, (len(rows) - held) // BATCH)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=ROUNDS * turns)
    for _ in range(ROUNDS):
        order = torch.randperm(len(rows) - held) + held
        for turn in range(turns):
            some = order[turn * BATCH : (turn + 1) * BATCH]
            loss = nn.functional.cross_entropy(net(rows[some]), colours[some], label_smoothing=SMOOTH)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            pace.step()
    with torch.no_grad():
        right = float((net(rows[:held]).argmax(1) == colours[:held]).float().mean()) if held else 0.0
        first, second = net[0], net[2]
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        scaled = first.weight / spread
        tensors = {
            "first.weight": scaled,
            "first.bias": first.bias - scaled @ middle,
            "second.weight": second.weight,
            "second.bias": second.bias,
        }
    return right, {name: value.detach().clone().contiguous() for name, value in tensors.items()}
