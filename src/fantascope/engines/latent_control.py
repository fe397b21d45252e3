"""Control networks in torch: what they add to the skips of a UNet while it paints.

Source: Zhang et al., "Adding conditional control to text-to-image diffusion models" (2023), section 3.1; guess mode as
in its code and in diffusers: on the guided rows alone, and from a tenth at the finest level to all in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fantascope.engines import compact
from fantascope.engines.base import Steer
from fantascope.engines.control import control_spec
from fantascope.engines.identify import CONTROL
from fantascope.engines.latent_control_file import check_keys, config_of, names_of
from fantascope.engines.latent_ldm import shapes_of
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import Place, open_place, weigh
from fantascope.errors import BrokenModelFile, Unsupported
from fantascope.receipt import Weight
from fantascope.settings import Settings
from fantascope.spec import Spec


@dataclass(frozen=True)
class Branch:
    """A loaded control network.

    Attributes:
        model: A diffusers `ControlNetModel`.
        kinds: Kinds it takes, in the order of their planes; empty where it has only one.
        weights: For the receipt.
    """

    model: Any
    kinds: tuple[str, ...]
    weights: tuple[Weight, ...]


def load_branch(
    base: Spec, steer: Steer, settings: Settings, device: torch.device, dtype: torch.dtype, steered: Mapping[str, Any]
) -> Branch:
    """Open, check, hash and load the control network of a steer: a diffusers folder, or one file.

    Args:
        steered: Configuration of the UNet that it is to steer.

    Raises:
        Unsupported: the model has no control network, or it does not fit, or does not take this kind.
        ModelError: see `weights.open_place` and `weights.weigh`.
    """
    spec, folder = control_spec(base, steer.kind, steer.network, settings)
    place = open_place(spec.source, settings)
    inside = f"{folder}/" if folder else ""
    files = [place.root.name] if place.single else [_weights_of(place, folder)]
    weights = weigh(spec, place, files, settings)
    record = place.config(f"{inside}fantascope.json") if place.has(f"{inside}fantascope.json") else {}
    kinds = tuple(record.get("kinds", ()))
    try:
        if place.single:
            model = _of_file(place, base.name, steered, dtype)
        else:
            check_fit(place.config(f"{inside}config.json"), steered, base.name)
            model = _of_folder(place, folder, dtype)
    except (OSError, ValueError, TypeError, RuntimeError, KeyError) as error:
        raise BrokenModelFile(f"{place.root / folder} is no control network: {error}") from error
    channels = model.config.conditioning_channels
    if channels != 3 + len(kinds):
        raise BrokenModelFile(
            f"{place.root / folder} takes maps of {channels} channels and names {len(kinds)} kinds; "
            f"it would have to take {3 + len(kinds)}."
        )
    named = tuple(one.model_copy(update={"part": f"control {steer.kind}"}) for one in weights)
    return Branch(model.eval().requires_grad_(False).to(device), kinds, named)


def _weights_of(place: Place, folder: str) -> str:
    if not folder:
        return compact.PACKED if place.has(compact.PACKED) else CONTROL
    files = list(place.weights_of(folder))
    if len(files) != 1:
        raise BrokenModelFile(f"{place.root / folder} has {len(files)} files of weights, not one.")
    return files[0]


def _of_folder(place: Place, folder: str, dtype: torch.dtype) -> Any:
    """Load the network of a diffusers folder, or of one whose weights are in the compact form."""
    from diffusers import ControlNetModel

    packed = place.root / folder / compact.PACKED
    if not packed.is_file():
        return ControlNetModel.from_pretrained(str(place.root / folder), torch_dtype=dtype, local_files_only=True)
    model = ControlNetModel.from_config(place.config(f"{folder}/config.json" if folder else "config.json"))
    state = {name: torch.from_numpy(value).to(dtype) for name, value in compact.expand(packed).items()}
    model.load_state_dict(state, assign=True)
    return model


def _of_file(place: Place, name: str, steered: Mapping[str, Any], dtype: torch.dtype) -> Any:
    """Build the network that the shapes in a file tell of, and give it the file's tensors, each once."""
    from accelerate import init_empty_weights
    from diffusers import ControlNetModel
    from safetensors import safe_open

    shapes = shapes_of(SafeFile.open(place.root))
    names = names_of(shapes.keys(), place.root)
    if names is None:
        raise Unsupported(f"{place.root} is no control network.", param="controls")
    config = config_of({ours: shapes[theirs] for theirs, ours in names.items()}, steered, place.root)
    check_fit(config, steered, name)
    with init_empty_weights(include_buffers=False):
        model = ControlNetModel.from_config(config)
    check_keys(names, model.state_dict().keys(), place.root)
    with safe_open(place.root, "pt") as file:
        state = {ours: file.get_tensor(theirs).to(dtype) for theirs, ours in names.items()}
    model.load_state_dict(state, assign=True)
    return model


def given_of(steer: Steer, kinds: Sequence[str], device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return what a control network takes: `(1, 3 + K, H, W)` in 0 … 1, the map and a plane of ones for its kind.

    Raises:
        Unsupported: the network does not take this kind.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(steer.map)).permute(2, 0, 1)[None].float() / 255
    if kinds:
        if steer.kind not in kinds:
            raise Unsupported(f"The control network takes {', '.join(kinds)}, not {steer.kind}.", param="controls")
        planes = torch.zeros(1, len(kinds), *pixels.shape[2:])
        planes[:, kinds.index(steer.kind)] = 1
        pixels = torch.cat([pixels, planes], 1)
    return pixels.to(device, dtype)


@dataclass(frozen=True)
class Steered:
    """A branch with its map, ready to be asked."""

    branch: Branch
    steer: Steer
    given: Tensor

    def adds(self, x: Tensor, times: Tensor, states: Tensor, added: Any, led: bool) -> tuple[list[Tensor], Tensor]:
        """Return what is added to the skips and the middle for rows `x (B, C, h, w)`.

        Args:
            led: Whether the first half of the rows is what guidance leads away from.
        """
        guess = self.steer.guess
        half = len(x) // 2 if guess and led else 0
        pooled = None if added is None else {name: value[half:] for name, value in added.items()}
        down, mid = self.branch.model(
            x[half:],
            times[half:],
            states[half:],
            self.given.expand(len(x) - half, -1, -1, -1),
            conditioning_scale=self.steer.weight,
            guess_mode=guess,
            added_cond_kwargs=pooled,
            return_dict=False,
        )
        if half:
            down = [torch.cat([torch.zeros_like(one), one]) for one in down]
            mid = torch.cat([torch.zeros_like(mid), mid])
        return list(down), mid


def check_fit(own: Mapping[str, Any], base: Mapping[str, Any], name: str) -> None:
    """Refuse a control network whose base is another family; both are configurations.

    Raises:
        Unsupported: its text width or its levels are not the UNet's.
    """
    for field in ("cross_attention_dim", "in_channels"):
        if field in own and own[field] != base[field]:
            raise Unsupported(
                f"The control network was made for another model: its {field} is {own[field]}, and that of "
                f"{name!r} is {base[field]}.",
                param="controls",
            )
    if list(own["block_out_channels"]) != list(base["block_out_channels"]):
        raise Unsupported(f"The control network has other levels than {name!r}.", param="controls")
