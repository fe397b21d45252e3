"""Teaching a checkpoint a subject from a few pictures: LoRA, DreamBooth and textual inversion, one loss for all.

The loss is the base's own: the mean square of noise, picture or velocity, as it was trained, on the subject's pictures,
and, weighted, on pictures of the subject's class that the base made itself, which keep the class what it was.

Sources: Ruiz et al., "DreamBooth: fine tuning text-to-image diffusion models for subject-driven generation" (2023),
sections 3.2 and 3.3 (identifier and class noun, prior preservation); Hu et al., "LoRA" (2022); Gal et al., "An image is
worth one word: personalizing text-to-image generation using textual inversion" (2023), section 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fantascope.errors import InvalidValue
from fantascope.train.fit import Batch, FitConfig, FitEvent, Optimised, fit
from fantascope.train.personal.base import Base, answer, latents_of, noised, text_of, weight_of
from fantascope.train.personal.lora import WORDS, Lora, put_on, targets_of
from fantascope.train.personal.words import Word, learn_word, word_states

METHODS = ("lora", "dreambooth", "textual-inversion")


@dataclass(frozen=True)
class PersonalConfig:
    """How a subject is taught.

    Attributes:
        fit: The loop's settings; `batch` counts pictures of the subject a step.
        method: One of `METHODS`.
        targets: Which layers LoRA changes, see `lora.TARGETS`.
        rank, alpha, dropout: Of the LoRA factors.
        text: Whether LoRA also changes the text encoders.
        dora: Whether LoRA also learns a magnitude for every output.
        prior: Weight of the class pictures; 0 uses none.
        class_batch: Class pictures a step.
        lean: Exponent of the even draws that times come from; below 1 favours noisy times.
        gamma: Of min-SNR weighting; 0 is off.
        dropped: Share of captions left out.
        tokens: How many embeddings textual inversion learns.
        checkpointing: Compute activations again in the backward pass: less memory, more time.
        autocast: Compute in bfloat16 where autocast allows it.
    """

    fit: FitConfig
    method: str = "lora"
    targets: str = "attention"
    rank: int = 8
    alpha: float = 8.0
    dropout: float = 0.0
    text: bool = False
    dora: bool = False
    prior: float = 1.0
    class_batch: int = 4
    lean: float = 1.0
    gamma: float = 0.0
    dropped: float = 0.0
    tokens: int = 1
    checkpointing: bool = False
    autocast: bool = True


@dataclass(frozen=True)
class Shot:
    """One picture to learn from.

    Attributes:
        pixels: (H, W, 3) uint8 at the size of its bucket.
        captions: What is said of it, in different wordings.
        size: Height and width it had, what was cut from its top and left, for SDXL: six numbers with the bucket's.
    """

    pixels: Any
    captions: tuple[str, ...]
    size: tuple[float, ...] = ()


@dataclass
class Shots:
    """Encoded pictures: latents in groups of one shape, captions as rows of a table of texts."""

    latents: list[Tensor]
    rows: list[list[Tensor]]
    sizes: list[Tensor]
    texts: list[str]

    def draw(self, size: int, source: torch.Generator) -> Batch:
        """A batch of one shape, shapes as often as they have pictures: `latent`, `row`, `sizes`."""
        counts = torch.tensor([float(len(group)) for group in self.latents])
        group = int(torch.multinomial(counts, 1, generator=source))
        length = len(self.latents[group])
        passes = -(-size // length)
        pick = torch.cat([torch.randperm(length, generator=source) for _ in range(passes)])[:size]
        rows = []
        for k in pick.tolist():
            some = self.rows[group][k]
            rows.append(some[int(torch.randint(len(some), (1,), generator=source))])
        return {"latent": self.latents[group][pick], "row": torch.stack(rows), "sizes": self.sizes[group][pick]}


def encode_shots(base: Base, shots: Sequence[Shot], texts: list[str]) -> Shots:
    """Encode pictures; captions that are new are added to `texts`."""
    groups: dict[tuple[int, ...], list[Shot]] = {}
    for shot in shots:
        groups.setdefault(tuple(shot.pixels.shape[:2]), []).append(shot)
    latents, rows, sizes = [], [], []
    for (high, wide), group in groups.items():
        parts = [latents_of(base, shot.pixels[None])[0].cpu() for shot in group]
        latents.append(torch.stack(parts))
        usual = (high, wide, 0.0, 0.0, high, wide)
        sizes.append(torch.tensor([[float(v) for v in (shot.size or usual)] for shot in group]))
        indices = []
        for shot in group:
            for caption in shot.captions:
                if caption not in texts:
                    texts.append(caption)
            indices.append(torch.tensor([texts.index(caption) for caption in shot.captions]))
        rows.append(indices)
    return Shots(latents, rows, sizes, texts)


@dataclass
class Pupil:
    """What is trained, and how a text is told to the base while it is.

    Attributes:
        model: Holds every trained parameter.
        told: Rows of the table of texts to what the UNet is told.
        layers: LoRA factors of the UNet and, by component, of the text encoders.
        word: The learnt word of textual inversion.
    """

    model: nn.Module
    told: Callable[[Tensor], dict[str, Tensor]]
    layers: dict[str, dict[str, Lora]] = field(default_factory=dict)
    word: Word | None = None


def pupil(base: Base, config: PersonalConfig, texts: Sequence[str], name: str, kind: str) -> Pupil:
    """Make what is trained, from the seed of the loop."""
    torch.manual_seed(config.fit.seed)
    unet = base.parts.unet
    if config.checkpointing:
        unet.enable_gradient_checkpointing()
    if config.method == "textual-inversion":
        unet.requires_grad_(False)
        word = learn_word(base, name, kind, config.tokens)
        return Pupil(word, lambda rows: word_states(base, word, [texts[k] for k in rows.tolist()]), word=word)
    if config.method == "dreambooth":
        unet.requires_grad_(True)
        return Pupil(unet, _table(base, texts))
    how = (config.rank, config.alpha, config.dropout, config.dora)
    layers = {"unet": put_on(unet, targets_of(config.targets), *how)}
    if not config.text:
        return Pupil(unet, _table(base, texts), layers)
    parts: dict[str, nn.Module] = {"unet": unet}
    for encoder in base.parts.encoders:
        layers[encoder.folder] = put_on(encoder.model, lambda name, layer: name.endswith(WORDS), *how)
        parts[encoder.folder] = encoder.model
    return Pupil(nn.ModuleDict(parts), lambda rows: text_of(base, [texts[k] for k in rows.tolist()]), layers)


def _table(base: Base, texts: Sequence[str]) -> Callable[[Tensor], dict[str, Tensor]]:
    """States of all texts, computed once, for methods that leave the text encoders alone."""
    with torch.no_grad():
        parts = [text_of(base, [text]) for text in texts]
        table = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return lambda rows: {name: value[rows.to(value.device)] for name, value in table.items()}


def train_personal(
    base: Base,
    config: PersonalConfig,
    run: Path,
    subject: Shots,
    prior: Shots | None,
    name: str,
    kind: str,
    optimised: Optimised | None = None,
) -> tuple[Pupil, Iterator[FitEvent]]:
    """Teach a base a subject; return what is trained and the events of the loop.

    Args:
        subject, prior: Pictures of the subject and of its class, over one table of texts whose first is the empty one.
        name, kind: The word for the subject, and its class.

    Raises:
        InvalidValue: As `fit`; and while it runs, that the loss is no number any more.
    """
    learner = pupil(base, config, subject.texts, name, kind)
    for layers in learner.layers.values():
        for layer in layers.values():
            layer.train()

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        if config.dropout > 0:  # dropout knows one source only; from here it depends on the step alone
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=source)))
        parts = [_asked(base, config, learner, batch, "", source)]
        if "class.latent" in batch:
            parts.append(_asked(base, config, learner, batch, "class.", source))
        losses = _errors(base, config, parts)
        total, figures = losses[0], {"subject": float(losses[0].detach())}
        if len(losses) > 1:
            total, figures = total + config.prior * losses[1], figures | {"class": float(losses[1].detach())}
        if not torch.isfinite(total):
            step = int(batch["step"]) + 1
            raise InvalidValue(
                f"The loss is no number any more at step {step}; what was saved last is kept in {run}.",
                param="rate",
                hint=f"Start again in another run folder with a lower rate: --rate {config.fit.rate / 4:.1g}",
            )
        return total, figures

    batches, told = partial(_batches, config, subject, prior), _also(base, config, name, kind)
    return learner, fit(learner.model, loss, batches, config.fit, run, told, optimised)


@dataclass
class _Asked:
    """What the UNet is asked of one part of a batch, and what it should answer."""

    noisy: Tensor
    wanted: Tensor
    times: Tensor
    told: dict[str, Tensor]


def _asked(
    base: Base, config: PersonalConfig, learner: Pupil, batch: Batch, prefix: str, source: torch.Generator
) -> _Asked:
    """Make the subject's or the class' part of a batch noisy."""
    latent, row, sizes = (batch[prefix + name] for name in ("latent", "row", "sizes"))
    size = len(latent)
    dropped = torch.rand(size, generator=source) < config.dropped
    even = (torch.randperm(size, generator=source) + torch.rand(size, generator=source)) / size
    length = base.training.length
    times = (even**config.lean * length).long().clamp_max(length - 1).to(base.device)
    drawn = torch.randn(latent.shape, generator=source).to(base.device)
    noisy, wanted = noised(base, latent.to(base.device), drawn, times)
    told = learner.told(torch.where(dropped, torch.zeros_like(row.cpu()), row.cpu()))
    return _Asked(noisy, wanted, times, told | {"sizes": sizes.to(base.device)})


def _errors(base: Base, config: PersonalConfig, parts: Sequence[_Asked]) -> list[Tensor]:
    """The loss of each part; parts of one shape go through the UNet together."""
    if len(parts) > 1 and parts[0].noisy.shape[1:] != parts[1].noisy.shape[1:]:
        return [loss for part in parts for loss in _errors(base, config, [part])]
    noisy, times = torch.cat([part.noisy for part in parts]), torch.cat([part.times for part in parts])
    told = {name: torch.cat([part.told[name] for part in parts]) for name in parts[0].told}
    said = answer(base, noisy, times, told, config.autocast)
    losses = []
    for part, guess in zip(parts, torch.split(said, [len(part.noisy) for part in parts]), strict=True):
        each = (guess - part.wanted).square().mean((1, 2, 3))
        losses.append((each * weight_of(base, part.times, config.gamma)).mean())
    return losses


def _batches(config: PersonalConfig, subject: Shots, prior: Shots | None, start: int) -> Iterator[Mapping[str, Any]]:
    """Batches from step `start` on, drawn by the step's number."""
    step = start
    while True:
        source = torch.Generator().manual_seed(config.fit.seed * 1_000_003 + 700_001 + step)
        batch: dict[str, Any] = dict(subject.draw(config.fit.batch, source))
        if prior is not None and config.prior > 0:
            batch |= {f"class.{name}": value for name, value in prior.draw(config.class_batch, source).items()}
        yield batch | {"step": torch.tensor(step)}
        step += 1


def _also(base: Base, config: PersonalConfig, name: str, kind: str) -> dict[str, str | float]:
    names = (key for key in PersonalConfig.__dataclass_fields__ if key not in ("fit", "checkpointing"))
    told = {key: getattr(config, key) for key in names}
    weights = hashlib.sha256(repr(sorted(base.weights.items())).encode()).hexdigest()
    return {"stage": "personal", "base": weights, "name": name, "kind": kind} | {
        key: value if isinstance(value, str) else float(value) for key, value in told.items()
    }
