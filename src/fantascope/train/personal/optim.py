"""Optimisers of a lesson: ours, or the eight-bit AdamW of bitsandbytes where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch
from torch import nn

from fantascope.errors import MissingExtra, UnknownName
from fantascope.train.fit import FitConfig, Optimised


def optimiser_of(name: str) -> Optimised | None:
    """Return what makes an optimiser; None for ours (`adamw` and `muon`, which the loop's settings tell apart).

    Raises:
        MissingExtra: bitsandbytes is not installed.
        UnknownName: There is no optimiser of this name.
    """
    if name in ("adamw", "muon"):
        return None
    if name != "adamw8bit":
        raise UnknownName("optimiser", name, ("adamw", "muon", "adamw8bit"))
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtra("The eight-bit optimiser", "8bit", param="optimiser")
    return _eight_bit


def _eight_bit(named: dict[str, nn.Parameter], config: FitConfig) -> torch.optim.Optimizer:
    made: Any = importlib.import_module("bitsandbytes").optim.AdamW8bit
    optimiser: torch.optim.Optimizer = made(list(named.values()), lr=config.rate, weight_decay=config.decay)
    return optimiser
