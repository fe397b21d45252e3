"""Adapters on the modules of the `latent` engine: put in for a run, switched during it, taken out to the last bit.

A weight that an adapter changes becomes a new tensor, W plus the weighted sum of what all adapters add, summed in
float32 and rounded once; the old tensor is kept, and put back as it is: nothing is subtracted again. Every difference
is taken from the weights as they were loaded, so several adapters do not depend on their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fantascope.adapter import find_adapter
from fantascope.engines.adapters.apply import Item, check_blocks, share_of, tensors_of, weight_of
from fantascope.engines.adapters.collection import load_adapter
from fantascope.engines.adapters.delta import Delta
from fantascope.engines.adapters.tree import NESTED, Tree, layers_of
from fantascope.engines.latent_parts import Parts
from fantascope.receipt import Weight
from fantascope.request import Applied
from fantascope.settings import Settings


def tree_of_parts(parts: Parts, name: str) -> Tree:
    """Return the layers of loaded modules."""
    found = {"unet": parts.unet} | {encoder.folder: encoder.model for encoder in parts.encoders}
    return Tree(
        name, {part: layers_of({n: tuple(p.shape) for n, p in m.named_parameters()}) for part, m in found.items()}
    )


@dataclass
class _Change:
    """One tensor that adapters change: what adds to it, by the number of the adapter."""

    parameter: Any
    original: Tensor
    adds: list[tuple[int, float, Delta, bool]] = field(default_factory=list)

    def set(self, active: Sequence[bool]) -> None:
        """Give the tensor what the active adapters make of it."""
        now, adds = self.parameter.data.device, [add for add in self.adds if active[add[0]]]
        if not adds:
            self.parameter.data = self.original.to(now)
            return
        total = self.original.to(now, torch.float32, copy=True)
        for _, factor, delta, bias in adds:
            total += factor * self._added(delta, bias, now).view(total.shape)
        self.parameter.data = torch.empty_like(self.original, device=now).copy_(total)

    def _added(self, delta: Delta, bias: bool, device: torch.device) -> Tensor:
        if bias:
            return _tensor(delta.bias(), device)
        if delta.paired:
            up, down = (_tensor(factor, device) for factor in delta.pair())
            return up @ down
        return _tensor(delta.weight(lambda: self.original.float().cpu().numpy()), device)


def _tensor(array: Any, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)


class Worn:
    """Adapters put in by `worn`.

    Attributes:
        used: What was at work so far, for the receipt.
    """

    def __init__(self, parts: Parts, each: Sequence[Item]) -> None:
        self.used: list[Weight] = []
        self._each = tuple(each)
        self._network = _changes(parts.unet, "unet", each)
        self._texts = [change for one in parts.encoders for change in _changes(one.model, one.folder, each)]
        self._encoders = parts.encoders
        self._active: tuple[bool, ...] = (False,) * len(each)

    def begin(self) -> None:
        """Change the text encoders, and teach them the words of textual inversions."""
        every = (True,) * len(self._each)
        for change in self._texts:
            change.set(every)
        for encoder in self._encoders:
            encoder.learned = {
                word.lower(): torch.from_numpy(parsed.vectors[encoder.folder])
                for _, adapter, parsed in self._each
                if encoder.folder in parsed.vectors
                for word in adapter.trigger
            }
        for k, (_, _, parsed) in enumerate(self._each):
            if parsed.vectors or any(delta.part != "unet" for delta in parsed.deltas):
                self._note(k)

    def at(self, share: float) -> None:
        """Have in the network what works at this share of the run, 0 … 1."""
        active = tuple(applied.works(share) for applied, _, _ in self._each)
        if active == self._active:
            return
        turned = {k for k, (old, new) in enumerate(zip(self._active, active, strict=True)) if old != new}
        for change in self._network:
            if any(add[0] in turned for add in change.adds):
                change.set(active)
        self._active = active
        for k, (_, _, parsed) in enumerate(self._each):
            if active[k] and any(delta.part == "unet" for delta in parsed.deltas):
                self._note(k)

    def end(self) -> None:
        """Put every tensor back, and forget the words."""
        for change in (*self._network, *self._texts):
            change.parameter.data = change.original.to(change.parameter.data.device)
        for encoder in self._encoders:
            encoder.learned = {}

    def _note(self, k: int) -> None:
        """Write down that adapter k was at work."""
        applied, adapter, _ = self._each[k]
        weight = weight_of(applied, adapter)
        if weight not in self.used and applied.weight != 0:
            self.used.append(weight)


def _changes(module: Any, part: str, each: Sequence[Item]) -> list[_Change]:
    """Return the tensors of a module that adapters change; they are added up by name, so no order is another sum."""
    own = {name.removeprefix(NESTED): parameter for name, parameter in module.named_parameters()}
    found: dict[str, _Change] = {}
    for k in sorted(range(len(each)), key=lambda k: each[k][0].name):
        applied, _, parsed = each[k]
        for delta in parsed.deltas:
            factor = applied.weight * share_of(delta, applied.blocks)
            if delta.part != part or factor == 0:
                continue
            for name, bias in tensors_of(delta):
                change = found.setdefault(name, _Change(own[name], own[name].data))
                change.adds.append((k, factor, delta, bias))
    return list(found.values())


@contextmanager
def worn(parts: Parts, name: str, adapters: Sequence[Applied], settings: Settings) -> Iterator[Worn]:
    """Load adapters, put them in, and take them out on leaving, whatever happened.

    Args:
        name: Of the model, for messages.

    Raises:
        UnknownName: there is no such adapter.
        InvalidValue: one does not fit the model; the layer is named, and nothing is changed. Or a block is named that
            the model has not.
        ModelError: see `adapters.collection.load_adapter`.
    """
    tree = tree_of_parts(parts, name)
    each: list[Item] = []
    for applied in adapters:
        check_blocks(applied, tree)
        adapter = find_adapter(applied.name, settings.adapters)
        each.append((applied, adapter, load_adapter(adapter, tree, settings)))
    dressed = Worn(parts, each)
    try:
        dressed.begin()
        yield dressed
    finally:
        dressed.end()
