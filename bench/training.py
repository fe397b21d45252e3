"""Pictures a second of the base UNet's training step, against plain bf16 autocast and plain fp32, in one process.

    python bench/training.py [rounds] [batch]

The three are called in turn on the same random batch; medians and paired ratios (least to most). The peers are what a
diffusers training script does on a CPU: the stock network, AdamW, and `torch.autocast` or nothing. Ours is what
`fantascope train base` runs, Muon and running mean included; "same optimiser" is ours with AdamW, so that the network's
part and the optimiser's part can be told apart.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

from fantascope.train.fit import FitConfig, _optimiser
from fantascope.train.parts import autocast, denoiser, quicken

Step = Callable[[], None]


def stepper(kind: str, batch: int) -> Step:
    torch.manual_seed(0)
    model = denoiser()
    ours = kind.startswith("ours")
    if ours:
        quicken(model)
    named = dict(model.named_parameters())
    if kind == "ours":
        optimiser: torch.optim.Optimizer = _optimiser(named, FitConfig(steps=1, batch=batch))
    else:
        optimiser = torch.optim.AdamW(named.values(), lr=1e-4)
    mean = [p.detach().clone() for p in named.values()] if kind == "ours" else []
    latent = torch.randn(batch, model.config.in_channels, 16, 16)
    latent = latent.contiguous(memory_format=torch.channels_last) if ours else latent
    text, times, wanted = torch.randn(batch, 32, 384), torch.randint(0, 1000, (batch,)), torch.randn_like(latent)

    def step() -> None:
        with autocast() if ours else torch.autocast("cpu", torch.bfloat16, enabled=kind != "fp32"):
            guess = model(latent, times, text).sample
        loss = nn.functional.mse_loss(guess.float(), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if mean:
            with torch.no_grad():
                torch._foreach_lerp_(mean, list(named.values()), 0.002)

    return step


def main(rounds: int = 6, batch: int = 32) -> None:
    kinds = ["autocast", "ours", "ours, same optimiser", "fp32"]
    steps = {kind: stepper(kind, batch) for kind in kinds}
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for step in steps.values():
        step()
    for _ in range(rounds):
        for kind, step in steps.items():
            start = time.perf_counter()
            step()
            took[kind].append(time.perf_counter() - start)
    for kind in kinds:
        ratios = [peer / mine for peer, mine in zip(took["autocast"], took[kind], strict=True)]
        rate = batch / statistics.median(took[kind])
        spread = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{kind:22} {rate:6.1f} pictures/s  {spread} of plain bf16 autocast")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
