"""One ControlNet for several kinds of maps: a copy of the UNet's encoder that adds to the skips of the frozen UNet.

The kind is an input: beside the map's three channels stands one plane a kind, of ones for the map's own and of zeros
for the others. So the folder that is written is that of an ordinary diffusers `ControlNetModel` whose conditioning has
3 + K channels; where there is only one kind, it has 3.

Half of the captions are left out, so that a map alone says enough, and a few maps are made empty, so that an empty one
asks for nothing.

Source: Zhang et al., "Adding conditional control to text-to-image diffusion models" (2023), sections 3.1-3.3.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.numpy import save_file
from torch import Tensor, nn

from fantascope.core.denoise import denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.schedules import Training, levels, training_from_config
from fantascope.core.seeds import noise
from fantascope.engines.compact import PACKED, compact, expand
from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound, Unsupported
from fantascope.train.checkpoint import WEIGHTS, borrow, hash_tensors, hash_weights, write_module
from fantascope.train.fit import Batch, FitConfig, FitEvent, fit, load_weights
from fantascope.train.latents import Pool
from fantascope.train.onnxgraph import read_json
from fantascope.train.parts import autocast, place

KINDS: tuple[str, ...] = ("canny", "hough", "softedge", "scribble", "segmentation", "depth", "pose")
"""Kinds of the embedded control network, in the order of their planes. `sketch`, `fake_scribble` and `xdog` are drawn
by hand or as if: they go in as `scribble`; `regions` as `segmentation`."""

COLOURED = ("segmentation", "pose")
"""Kinds whose maps have colours that mean something."""

WIDTHS = (16, 32, 64, 96)
"""Channels of the small net that brings a map to the size of a latent, an eighth."""

RECORD = "fantascope.json"


class ControlPool(Pool):
    """A pool whose scenes have maps; the last `held` scenes are never trained on.

    Besides the tensors of a `Pool` a shard holds `map`, (N, M, S, S) or (N, M, 3, S, S) uint8, and `kind` (N, M), which
    of the pool's kinds each map is of. A map without colour channels has levels, or, for those of `COLOURED`, rows of
    the table `colours` (256, 3).

    Attributes:
        kinds: Their names, in order.

    Raises:
        ModelNotFound, BrokenModelFile: As `Pool`, or the scenes have no maps.
    """

    def __init__(self, folder: Path, seed: int = 0, held: int = 0) -> None:
        super().__init__(folder, seed)
        if "map" not in self.more or "kinds" not in self.told:
            raise BrokenModelFile(f"{folder} has scenes without maps.", param="pool", hint="fantascope data control")
        self.kinds: tuple[str, ...] = tuple(self.told["kinds"])
        self.held = held
        self._coloured = torch.tensor([name in COLOURED and "colours" in self.also for name in self.kinds])

    def __len__(self) -> int:
        return max(0, len(self.latent) - self.held)

    def maps(self, rows: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
        """The maps (B, 3, S, S) uint8 and kinds (B,) of rows (B,) and the number of the map in each (B,)."""
        found, kind = self.more["map"][rows, which], self.more["kind"][rows, which].long()
        if found.ndim == 4:
            return found, kind
        wide = found[:, None].repeat(1, 3, 1, 1)
        for k in self._coloured.to(kind.device)[kind].nonzero()[:, 0].tolist():
            wide[k] = self.also["colours"][found[k].long()].permute(2, 0, 1)
        return wide, kind

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """Batches of `latent`, `text`, `map` and `kind` from step `start` on; one map of each scene, by the step."""
        each = self.more["map"].shape[1]
        for pick, step in self.picks(size, start):
            turn = torch.Generator().manual_seed(self.seed * 1_000_003 + 500_009 + step)
            which = torch.randint(each, (size,), generator=turn).to(pick.device)
            found, kind = self.maps(pick, which)
            yield {"latent": self.latent[pick], "text": self.text[self.row[pick]], "map": found, "kind": kind}

    def last(self, count: int) -> Batch:
        """The last `count` scenes with one map each, of one kind after the other as far as they have it."""
        rows = torch.arange(len(self.latent) - min(count, len(self.latent)), len(self.latent))
        which = []
        for at, row in enumerate(rows.tolist()):
            has = (self.more["kind"][row] == at % len(self.kinds)).nonzero()[:, 0].tolist()
            which.append(has[0] if has else 0)
        found, kind = self.maps(rows, torch.tensor(which))
        return {"latent": self.latent[rows], "text": self.text[self.row[rows]], "map": found, "kind": kind}


@dataclass(frozen=True)
class ControlConfig:
    """What a control network is trained for.

    Attributes:
        fit: The loop's settings.
        dropped: Share of captions replaced by the empty one.
        blank: Share of maps made empty.
        lean: Exponent of the even draws that times come from; below 1 favours noisy times, where layout is decided.
        widths: See `WIDTHS`.
        start: Folder of a control network to start from; from the UNet's encoder if not given.
    """

    fit: FitConfig
    dropped: float = 0.5
    blank: float = 0.04
    lean: float = 0.75
    widths: tuple[int, ...] = WIDTHS
    start: Path | None = None


def open_unet(folder: Path, device: str = "cpu") -> UNet2DConditionModel:
    """The UNet of a checkpoint folder, float32, frozen, where it is to run.

    Raises:
        ModelNotFound: The folder has none.
        Unsupported: It takes more than latents, time and token states.
    """
    if not (folder / "unet" / "config.json").is_file():
        raise ModelNotFound(f"{folder} has no UNet.", param="checkpoint")
    model: UNet2DConditionModel = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
    if model.config.addition_embed_type is not None or model.config.in_channels != model.config.out_channels:
        raise Unsupported(f"The UNet of {folder} takes more than latents, time and text.", param="checkpoint")
    model.eval().requires_grad_(False)
    place(model, torch.device(device))
    return model


def open_training(folder: Path) -> Training:
    """The noise that a checkpoint folder was trained with.

    Raises:
        ModelNotFound: The folder does not say.
        Unsupported: It is a flow model.
    """
    training = training_from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    if training.prediction == "flow":
        raise Unsupported(f"{folder} predicts a flow; only noise, velocity and picture are trained.")
    return training


def branch(unet: UNet2DConditionModel, kinds: Sequence[str], widths: tuple[int, ...] = WIDTHS) -> ControlNetModel:
    """A control network that starts as a copy of a UNet's encoder and, by its zeroed outputs, changes nothing yet."""
    channels = 3 + (len(kinds) if len(kinds) > 1 else 0)
    model: ControlNetModel = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=widths, conditioning_channels=channels
    )
    # Torch's own start would shrink a map about a hundredfold on its way through these layers.
    embedding = model.controlnet_cond_embedding
    for layer in (embedding.conv_in, *embedding.blocks):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    model.requires_grad_(True)
    return model


def conditioning(maps: Tensor, kind: Tensor, count: int) -> Tensor:
    """What a control network takes: maps and, with more than one kind, a plane a kind.

    Args:
        maps: (B, 3, H, W) uint8, or float of 0..1.
        kind: (B,), 0..count - 1.
        count: How many kinds there are.

    Returns:
        (B, 3 + count, H, W) float32 of 0..1; (B, 3, H, W) if `count` is 1.
    """
    pixels = maps.float() / 255 if maps.dtype == torch.uint8 else maps.float()
    if count == 1:
        return pixels
    planes = nn.functional.one_hot(kind, count).to(pixels.dtype)[:, :, None, None]
    return torch.cat([pixels, planes.expand(-1, -1, *pixels.shape[2:])], 1)


def controlled(
    unet: UNet2DConditionModel,
    control: ControlNetModel,
    x: Tensor,
    times: Tensor,
    text: Tensor,
    given: Tensor,
    scale: float = 1.0,
) -> Tensor:
    """What the UNet says under a map, (B, C, h, w) float32, computed under `autocast`; `given` is as
    `conditioning` returns it."""
    with autocast(x.device.type):
        noisy = x.contiguous(memory_format=torch.channels_last)
        down, mid = control(
            noisy,
            times,
            text,
            given.contiguous(memory_format=torch.channels_last),
            conditioning_scale=scale,
            return_dict=False,
        )
        said: Tensor = unet(
            noisy, times, text, down_block_additional_residuals=down, mid_block_additional_residual=mid
        ).sample
    return said.float()


def train_control(config: ControlConfig, run: Path, folder: Path, pool: ControlPool) -> Iterator[FitEvent]:
    """Train a control network for the UNet of a checkpoint folder on the scenes and maps of a pool.

    Raises:
        ModelNotFound, Unsupported: See `open_unet` and `open_training`.
    """
    torch.manual_seed(config.fit.seed)
    device = torch.device(config.fit.device)
    unet, training = open_unet(folder, config.fit.device), open_training(folder)
    model = branch(unet, pool.kinds, config.widths)
    if config.start is not None:
        borrow(model, config.start)
    place(model, device)
    empty = pool.empty.float().to(device)
    alphas, sigmas = (torch.from_numpy(table).float().to(device) for table in (training.alphas, training.sigmas))

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        latent, text = batch["latent"].float(), batch["text"].float()
        size = len(latent)
        dropped, blank = (
            (torch.rand(size, generator=source) < share).to(device) for share in (config.dropped, config.blank)
        )
        text = torch.where(dropped[:, None, None], empty, text)
        maps = batch["map"] * ~blank[:, None, None, None]
        even = (torch.randperm(size, generator=source) + torch.rand(size, generator=source)) / size
        times = (even**config.lean * training.length).long().clamp_max(training.length - 1).to(device)
        drawn = torch.randn(latent.shape, generator=source).to(device)
        alpha, sigma = (table[times].view(-1, 1, 1, 1) for table in (alphas, sigmas))
        wanted = {"epsilon": drawn, "sample": latent}.get(training.prediction, alpha * drawn - sigma * latent)
        given = conditioning(maps, batch["kind"], len(pool.kinds))
        said = controlled(unet, model, alpha * latent + sigma * drawn, times, text, given)
        return nn.functional.mse_loss(said, wanted), {}

    also: dict[str, str | float] = {
        "stage": "control",
        "unet": hash_tensors(_weights(folder / "unet")),
        "kinds": ",".join(pool.kinds),
        "widths": ",".join(map(str, config.widths)),
        "dropped": config.dropped,
        "blank": config.blank,
        "lean": config.lean,
        "held": pool.held,
    }
    if config.start is not None:
        also["start"] = hash_tensors(_weights(config.start))
    return fit(model, loss, partial(pool.batches, config.fit.batch), config.fit, run, also)


@torch.no_grad()
def paint(
    unet: UNet2DConditionModel,
    control: ControlNetModel,
    training: Training,
    text: Tensor,
    empty: Tensor,
    given: Tensor,
    seeds: Sequence[int],
    *,
    steps: int = 16,
    guidance: float = 4.0,
    rescale: float = 0.7,
    scale: float = 1.0,
) -> Tensor:
    """Draw latents under maps with DDIM; both halves of the guidance see the map.

    Args:
        text, empty: Token states (B, T, D) and (T, D).
        given: (B, 3 + K, H, W), see `conditioning`.
        seeds: B numbers.
        steps, guidance, rescale: As usual.
        scale: Strength of the control.

    Returns:
        (B, C, H / 8, W / 8) float32.
    """
    device = next(unet.parameters()).device
    twice = 1 if guidance == 1 else 2
    states = torch.cat([empty.expand_as(text), text][2 - twice :]).float().to(device)
    maps = given.repeat(twice, 1, 1, 1).to(device)
    shape = (unet.config.in_channels, given.shape[2] // 8, given.shape[3] // 8)

    def network(x: Any, time: float) -> Any:
        return controlled(unet, control, x, torch.full((len(x),), time, device=device), states, maps, scale)

    x = torch.from_numpy(noise(seeds, shape)).to(device)
    run = levels(training, steps, sampler="ddim")
    for state in denoise(predict(guided(network, guidance, rescale), training), x, run, "ddim"):
        x = state.x
    return x


def write_control(
    run: Path,
    folder: Path,
    out: Path,
    kinds: Sequence[str],
    widths: tuple[int, ...],
    *,
    packed: bool = False,
    **facts: Any,
) -> int:
    """Write the running mean of a run's weights as a diffusers ControlNet folder, with `fantascope.json`.

    Args:
        run: Of `train_control`.
        folder: The checkpoint folder whose UNet it was trained for.
        out: The folder to write.
        kinds, widths: As it was trained.
        packed: Store matrices and kernels in int8, half the size (`engines.compact`), rather than all in float16.
        facts: Fields of the record, such as name and licence. Kinds and the base UNet's hash are added.

    Returns:
        The step that the weights are from.

    Raises:
        BrokenModelFile: The run has no state, or that of another network.
    """
    model = branch(open_unet(folder), kinds, widths)
    step = load_weights(model, run)
    write_module(model, out)
    (out / PACKED).unlink(missing_ok=True)
    if packed:
        tensors = {name: tensor.numpy() for name, tensor in model.float().state_dict().items()}
        save_file(compact(tensors), out / PACKED, metadata={"format": "pt"})
        (out / PACKED).chmod(0o644)
        (out / WEIGHTS).unlink()
    base = hashlib.sha256(_weights(folder / "unet").read_bytes()).hexdigest()
    record: dict[str, Any] = {"family": "control", "kinds": list(kinds), "unet": base, "steps": step, **facts}
    (out / "control.onnx").unlink(missing_ok=True)
    (out / RECORD).write_text(json.dumps(record), "utf-8")
    record_files(out)
    return step


def record_files(out: Path) -> None:
    """Write the hashes of weights and graph into the record of a control network's folder."""
    record = read_json(out / RECORD) | {"weights": hash_weights(out)}
    new = out / f"{RECORD}.new"
    new.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", "utf-8")
    new.replace(out / RECORD)


def open_control(folder: Path) -> tuple[ControlNetModel, dict[str, Any]]:
    """A control network that `write_control` wrote, float32 and frozen, and its record.

    Raises:
        ModelNotFound: The folder has none.
        InvalidValue: It says nothing of its kinds.
    """
    record = read_json(folder / RECORD)
    if "kinds" not in record:
        raise InvalidValue(f"{folder / RECORD} names no kinds.", param="control")
    model: ControlNetModel
    if (folder / PACKED).is_file():
        model = ControlNetModel.from_config(read_json(folder / "config.json"))
        model.load_state_dict({name: torch.from_numpy(value) for name, value in expand(folder / PACKED).items()})
    else:
        model = ControlNetModel.from_pretrained(folder, torch_dtype=torch.float32)
    model.eval().requires_grad_(False)
    place(model, torch.device("cpu"))
    return model, record


def _weights(folder: Path) -> Path:
    """The one safetensors file of a part.

    Raises:
        ModelNotFound: There is none, or more than one.
    """
    found = sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        raise ModelNotFound(f"{folder} has {len(found)} safetensors files, not one.", param="checkpoint")
    return found[0]
