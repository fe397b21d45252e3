"""Training the detector that scores pictures: a small convolutional net that finds drawings and says what they are.

Every cell of a 16 x 16 grid says whether the middle of a thing lies in it, how far the thing's borders are, what colour
it has, and a feature vector whose nearest class vector names its kind (a cosine classifier). Source: Zhou et al.,
"Objects as points" (2019), for the heat map of middles and its loss; Tian et al., "FCOS" (2019), for four distances.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fantascope.train.fit import Batch, Batches, FitConfig, FitEvent, fit, load_weights
from fantascope.train.parts import autocast

SIDE = 128
CELL = 8
"""Pixels of a cell's side."""

FEATURE = 96
SHARP = 14.0
"""What cosines between features and class vectors are multiplied with."""


@dataclass(frozen=True)
class DetectorConfig:
    """What the detector is trained for.

    Attributes:
        fit: The loop's settings.
        box, kind, colour: Weights of the three losses beside that of the heat map.
        smooth: Share of the target that is spread over all kinds.
    """

    fit: FitConfig
    box: float = 1.0
    kind: float = 1.0
    colour: float = 0.4
    smooth: float = 0.1


class Block(nn.Module):
    """Two 3x3 convolutions added to their input; or one, where `deep` is false."""

    def __init__(self, width: int, deep: bool = True) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False) if deep else None
        self.last = nn.BatchNorm2d(width) if deep else None
        if self.last is not None:
            nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.first(x))
        if self.second is not None and self.last is not None:
            y = self.last(self.second(nn.functional.relu(y)))
        return nn.functional.relu(x + y)


class Step(nn.Module):
    """A convolution with its norm."""

    def __init__(self, before: int, after: int, side: int = 3, stride: int = 1, pad: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, side, stride, pad, bias=False)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.norm(self.conv(x)))


class DetectorNet(nn.Module):
    """Pictures `(B, 3, 128, 128)` in -1..1 to maps `(B, 96 + 1 + 4 + colours + 128, 16, 16)`.

    In this order: feature, heat (logit), distances of the left, top, right and lower border from the cell's middle in
    cells, colour logits, and what the whole picture looks like, the same in every cell.
    """

    def __init__(self, kinds: int, colours: int) -> None:
        super().__init__()
        self.conv_in = Step(3, 24, 4, 2)
        self.to32, self.at32 = Step(24, 40, 3, 2), Block(40)
        self.to16, self.at16 = Step(40, 80, 3, 2), Block(80)
        self.to8, self.at8 = Step(80, 128, 3, 2), Block(128)
        self.to4, self.at4 = Step(128, 128, 3, 2), Block(128, deep=False)
        self.back8, self.mix8 = Step(128, 128, 1, pad=0), Block(128, deep=False)
        self.back16, self.side16 = Step(128, 96, 1, pad=0), Step(80, 96, 1, pad=0)
        self.mix16 = Step(96, 96)
        self.conv_out = nn.Conv2d(96, FEATURE + 1 + 4 + colours, 1)
        self.conv_out_kinds = nn.Parameter(torch.randn(kinds, FEATURE) / FEATURE**0.5)
        with torch.no_grad():
            bias = self.conv_out.bias
            assert bias is not None
            bias.zero_()
            bias[FEATURE] = -3.0
            bias[FEATURE + 1 : FEATURE + 5] = 3.0

    def forward(self, pictures: Tensor) -> Tensor:
        fine = self.at16(self.to16(self.at32(self.to32(self.conv_in(pictures)))))
        middle = self.at8(self.to8(fine))
        coarse = self.at4(self.to4(middle))
        middle = self.mix8(middle + _twice(self.back8(coarse)))
        fine = self.mix16(self.side16(fine) + _twice(self.back16(middle)))
        whole = middle.mean((2, 3), keepdim=True).expand(-1, -1, *fine.shape[2:])
        return torch.cat([self.conv_out(fine), whole], 1)


def _twice(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")


def heat_map(boxes: Tensor, there: Tensor) -> Tensor:
    """Bumps at the middles of boxes `(B, K, 4)` in px where `there` `(B, K)`: `(B, 16, 16)`, 1 in a middle's cell."""
    at = torch.arange(SIDE // CELL) + 0.5
    middle = (boxes[..., :2] + boxes[..., 2:]) / 2 / CELL
    spread = ((boxes[..., 2:] - boxes[..., :2]).amin(-1) / CELL * 0.14).clamp(0.5, 1.6)[..., None, None]
    own = middle.floor() + 0.5
    x, y = own[..., 0, None, None], own[..., 1, None, None]
    far = (at[None, None, None] - x) ** 2 + (at[None, None, :, None] - y) ** 2
    return (torch.exp(-far / (2 * spread**2)) * there[..., None, None]).amax(1)


def heat_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The penalty-reduced focal loss of "Objects as points", equation 1, per thing."""
    sure, unsure = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
    chance, peak = logits.sigmoid(), target > 0.999
    found = -((1 - chance) ** 2 * sure)[peak].sum()
    empty = -((1 - target) ** 4 * chance**2 * unsure)[~peak].sum()
    return (found + empty) / peak.sum().clamp(min=1)


def detector_loss(
    net: DetectorNet, config: DetectorConfig, batch: Batch, source: torch.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Heat map, box, kind and colour; each thing is asked for at its own cell and at one beside it."""
    picture = batch["picture"].permute(0, 3, 1, 2).float() / 127.5 - 1
    with autocast():
        out = net(picture.contiguous(memory_format=torch.channels_last))
    out = out.float()
    boxes, there = batch["box"], batch["kind"] >= 0
    heat = heat_loss(out[:, FEATURE], heat_map(boxes, there))
    rows, places = there.nonzero(as_tuple=True)
    sides = boxes[rows, places]
    kind, colour = batch["kind"][rows, places], batch["colour"][rows, places]
    cells = ((sides[:, :2] + sides[:, 2:]) / 2 / CELL).long()
    beside = cells + torch.randint(-1, 2, cells.shape, generator=source)
    cells, rows = torch.cat([cells, beside]).clamp(0, SIDE // CELL - 1), rows.repeat(2)
    sides, kind, colour = sides.repeat(2, 1), kind.repeat(2), colour.repeat(2)
    found = out[rows, :, cells[:, 1], cells[:, 0]]
    middle = cells.float() + 0.5
    due = torch.cat([middle - sides[:, :2] / CELL, sides[:, 2:] / CELL - middle], 1)
    size = ((sides[:, 2:] - sides[:, :2]) / CELL).mean(1, keepdim=True)
    box = ((found[:, FEATURE + 1 : FEATURE + 5] - due) / size).abs().mean() * 4
    feature = nn.functional.normalize(found[:, :FEATURE], dim=1)
    logits = SHARP * feature @ nn.functional.normalize(net.conv_out_kinds, dim=1).T
    named = nn.functional.cross_entropy(logits, kind, label_smoothing=config.smooth)
    dyes = found[:, FEATURE + 5 : out.shape[1] - net.mix8.first.out_channels]
    dyed = nn.functional.cross_entropy(dyes, colour)
    total = heat + config.box * box + config.kind * named + config.colour * dyed
    half = len(kind) // 2
    figures = {
        "heat": float(heat.detach()),
        "box": float(box.detach()) / 4,
        "kind": float((logits[:half].argmax(1) == kind[:half]).float().mean()),
        "colour": float((dyes[:half].argmax(1) == colour[:half]).float().mean()),
    }
    return total, figures


def make_net(kinds: int, colours: int, seed: int = 0) -> DetectorNet:
    """A fresh net, the same for the same seed."""
    torch.manual_seed(seed)
    return DetectorNet(kinds, colours).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def train_detector(
    config: DetectorConfig, run: Path, batches: Batches, kinds: Sequence[str], colours: Sequence[str]
) -> Iterator[FitEvent]:
    """Train on batches of `picture` (B, 128, 128, 3) uint8, `box` (B, K, 4) px, `kind` and `colour` (B, K) or -1."""
    net = make_net(len(kinds), len(colours), config.fit.seed)
    net.train()

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        return detector_loss(net, config, batch, source)

    also: dict[str, Any] = {"stage": "detector", "kinds": len(kinds), "colours": len(colours)}
    also |= {name: getattr(config, name) for name in ("box", "kind", "colour", "smooth")}
    return fit(net, loss, batches, config.fit, run, also)


def trained(run: Path, batches: Batches, kinds: int, colours: int, rounds: int = 40) -> DetectorNet:
    """The net with a run's weights, its norms settled on `rounds` batches: a running mean of weights needs norms of
    its own."""
    net = make_net(kinds, colours)
    load_weights(net, run)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    net.train()
    source = batches(10_000_000)
    with torch.no_grad():
        for _ in range(rounds):
            picture = torch.as_tensor(next(source)["picture"]).permute(0, 3, 1, 2).float() / 127.5 - 1
            net(picture.contiguous(memory_format=torch.channels_last))
    return net.eval()
