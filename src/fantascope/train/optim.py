"""Muon for the matrices, AdamW for the rest, in one optimiser.

Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the update scaled to
AdamW's usual size as in Liu et al., "Muon is scalable for LLM training" (2025), section 2.2; Amsel et al., "The Polar
Express" (2025), section 3: the best polynomial of each round, one after the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

ROUNDS = ((8.0934, -23.6204, 17.4462), (3.6366, -2.7219, 0.5365), (2.6613, -1.9772, 0.4526))
"""Coefficients of x, x³ and x⁵ of each round: the odd polynomials nearest to 1 on 0.01..1 and on what the one before
leaves. Three rounds of them cost three fifths of five rounds with the same coefficients."""


MARGIN = 1.05
"""How far below 1 the largest singular value starts: beyond the range they were made for, the polynomials run away."""


def quick_in_bfloat16(device: str = "cpu") -> bool:
    """Whether a device is quick in bfloat16; CPUs without 512-bit vectors are ten times slower in it than in fp32."""
    return not device.startswith("cpu") or torch.backends.cpu.get_cpu_capability().startswith("AVX512")


def orthogonal(stack: Tensor) -> Tensor:
    """Push the singular values of matrices towards 1 by three rounds of odd quintic polynomials, in bfloat16.

    In float32 on CPUs that are slow in bfloat16.

    Values of a hundredth of the matrix's Frobenius norm or more end in about 0.7..1.3, some in 1.6 by rounding;
    smaller ones grow 78 times.

    Args:
        stack: (N, R, C), any range.
    """
    x: Tensor = stack.bfloat16() if quick_in_bfloat16(stack.device.type) else stack.float()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (MARGIN * x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for first, third, fifth in ROUNDS:
        gram = x @ x.mT
        x = first * x + (third * gram + fifth * (gram @ gram)) @ x
    return (x.mT if tall else x).to(stack.dtype)


class Muon(torch.optim.Optimizer):
    """Groups with `matrices=True` are stepped by Muon, the others by AdamW; the rate means the same to both."""

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, momentum: float = 0.95) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "matrices": False}
        super().__init__(list(groups), defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Take one step from the gradients present."""
        assert closure is None
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                (self._matrices if group["matrices"] else self._rest)(params, group)

    def _matrices(self, params: list[Tensor], group: dict[str, Any]) -> None:
        shapes: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for p in params:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state["momentum"] = torch.zeros_like(p)
            state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            ahead = p.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
            shapes[(ahead.shape[0], ahead.shape[1])].append((p, ahead))
        for shape, pairs in shapes.items():
            updates = orthogonal(torch.stack([ahead for _, ahead in pairs])) * (0.2 * max(shape) ** 0.5)
            for (p, _), update in zip(pairs, updates, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view(p.shape), alpha=-group["lr"])

    def _rest(self, params: list[Tensor], group: dict[str, Any]) -> None:
        for p in params:
            assert p.grad is not None
            state = self.state[p]
            if not state:
                state["step"] = torch.zeros(())
                state["mean"], state["square"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            state["mean"].lerp_(p.grad, 0.1)
            state["square"].lerp_(p.grad.square(), 0.01)
            count = float(state["step"])
            mean, square = state["mean"] / (1 - 0.9**count), state["square"] / (1 - 0.99**count)
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(mean, square.sqrt().add_(1e-8), value=-group["lr"])
