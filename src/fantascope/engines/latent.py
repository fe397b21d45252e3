"""The `latent` engine: the parts of a checkpoint (embedded, SD 1.x, 2.x, SDXL) in torch, for our own loop."""

from __future__ import annotations

import gc
import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fantascope.artifact import Output, Step
from fantascope.core.schedules import Training, training_from_config
from fantascope.core.weighting import Weighted
from fantascope.engines.base import EDITS, Choice, Conditions, Inputs, Steer
from fantascope.engines.control import DRAWN
from fantascope.engines.identify import find_licence
from fantascope.engines.latent_adapt import Worn, worn
from fantascope.engines.latent_control import Branch, Steered, given_of, load_branch
from fantascope.engines.latent_encode import encode
from fantascope.engines.latent_offload import place_modules, within_memory
from fantascope.engines.latent_parts import DTYPES, Parts, files_of, load_parts
from fantascope.engines.latent_upscaler import load_upscaler
from fantascope.engines.paint import paint
from fantascope.engines.weights import Place, open_place, weigh
from fantascope.errors import Unsupported
from fantascope.receipt import Ran, Weight
from fantascope.request import Applied, Painting, Request
from fantascope.settings import Settings
from fantascope.spec import Licence, Spec

log = logging.getLogger(__name__)

AESTHETIC = (6.0, 2.5)
"""Aesthetic scores the SDXL refiner is told for a prompt and for what guidance leads away from (Podell et al. 2023)."""

PIXELS_TOGETHER = {"cpu": 2**20, "mps": 2**20, "cuda": 2**23, "xpu": 2**22}
"""How many pixels of pictures go through the network together, by kind of device."""


class TorchEngine:
    """Loaded torch modules of one checkpoint; see `engines.base.LatentEngine` for what each method gives.

    The SDXL refiner, where the Spec names one, takes over inside `network` from the training time on that
    `spec.refiner_start` stands for: the sampler keeps its history, and the loop needs to know nothing of it.
    """

    supports = EDITS | {"imagine"}
    rowwise = False

    def __init__(
        self,
        spec: Spec,
        choice: Choice,
        parts: Parts,
        refiner: Parts | None,
        upscaler: Any,
        weights: tuple[Weight, ...],
        settings: Settings | None = None,
    ) -> None:
        self.spec, self.parts, self.refiner, self.weights = spec, parts, refiner, weights
        self._upscaler = upscaler
        self.settings = settings if settings is not None else Settings()
        self._branches: dict[tuple[str, str | None], Branch] = {}
        self._control_weights: tuple[Weight, ...] = ()
        self._worn: Worn | None = None
        self._adapter_weights: list[Weight] = []
        self.device, self.dtype = torch.device(choice.device), DTYPES[choice.precision]
        self._training = training_from_config(parts.scheduler)
        extra = refiner.modules() if refiner is not None else []
        modules = [*parts.modules()[:-1], *extra, parts.vae, *([upscaler] if upscaler is not None else [])]
        self._hooks, why = place_modules(modules, self.device, self.dtype)
        log.info("%s", why)
        self.choice = replace(choice, reasons=(*choice.reasons, why))

    @classmethod
    def load(cls, spec: Spec, choice: Choice, settings: Settings) -> TorchEngine:
        """Open, check, hash and load the Spec's place (and its refiner's).

        Raises:
            ModelError: see `weights.open_place`, `weights.weigh` and `parts.load_parts`.
        """
        if settings.threads > 0:
            torch.set_num_threads(settings.threads)
        dtype = DTYPES[choice.precision]
        place = open_place(spec.source, settings)
        files = files_of(place)
        upscales = place.has("upscaler/config.json")
        more = [*(place.weights_of("upscaler") if upscales else []), *filter(None, [spec.delta])]
        weights = weigh(spec, place, [*files, *more], settings)
        parts = load_parts(spec, place, dtype)
        refiner = None
        if spec.refiner is not None:
            other = open_place(spec.refiner, settings)
            weights += _weigh_refiner(spec, other, settings)
            refiner = load_parts(spec, other, dtype, refiner=True)
        with within_memory(torch.device(choice.device)):
            return cls(spec, choice, parts, refiner, load_upscaler(place) if upscales else None, weights, settings)

    @property
    def latent_channels(self) -> int:
        return int(self.parts.unet.config.in_channels)

    @property
    def latent_factor(self) -> int:
        return int(2 ** (len(self.parts.vae.config.block_out_channels) - 1))

    @property
    def training_schedule(self) -> Training:
        return self._training

    def batch_limit(self, request: Request) -> int:
        """Return how many pictures go through the network together: what `PIXELS_TOGETHER` holds before upscaling."""
        assert isinstance(request, Painting) and request.upscale is not None
        assert request.height is not None and request.width is not None
        pixels = (request.height // request.upscale) * (request.width // request.upscale)
        return max(1, PIXELS_TOGETHER[self.device.type] // pixels)

    def from_numpy(self, array: npt.NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self.device)

    def to_numpy(self, array: Tensor) -> npt.NDArray[np.float32]:
        return np.asarray(array.detach().to("cpu", torch.float32).numpy())

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str | Weighted], request: Request) -> Conditions:
        """Encode texts of any length; those of one call get the same number of windows.

        States of SDXL's two encoders stand side by side; an empty text has states of zero where the checkpoint says so.
        CLIP skip holds for every text. Where guidance is on, the first half of the texts is what it leads away from.
        """
        assert isinstance(request, Painting)
        large = self.spec.family == "sdxl"
        skip = request.clip_skip if request.clip_skip is not None else 0
        states, pooled = [], None
        for encoder in self.parts.encoders:
            layers = int(encoder.model.config.num_hidden_layers)
            if skip + large >= layers:
                raise Unsupported(
                    f"clip_skip can be at most {layers - 1 - large} with {self.spec.name!r}.", param="clip_skip"
                )
            found, projected = encode(encoder, texts, skip, last=not large, device=self.device)
            states.append(found.float())
            pooled = projected.float() if projected is not None else pooled
        if not large:
            return Conditions(states[0])
        joined = torch.cat(_even(states), dim=-1)
        assert pooled is not None
        if self.parts.zero_empty:
            said = torch.tensor([bool(text) for text in texts], device=joined.device)
            joined, pooled = joined * said[:, None, None], pooled * said[:, None]
        return Conditions(joined, pooled, self._sizes(request, len(texts)))

    def _sizes(self, request: Painting, rows: int) -> Tensor:
        """Return SDXL's size ids `(rows, 6)`: original height and width, crop from top and left, height and width."""
        assert request.height is not None and request.width is not None
        size = [float(request.height), float(request.width)]
        return torch.tensor([[*size, 0.0, 0.0, *size]] * rows, device=self.device)

    @torch.no_grad()
    def encode_image(self, pictures: Tensor) -> Tensor:
        """Return the mode of the latents of `(B, 3, H, W)` pictures in -1 … 1, H and W multiples of `latent_factor`."""
        vae = self.parts.vae
        latents: Tensor = vae.encode(pictures.to(self.device, vae.dtype)).latent_dist.mode().float()
        mean, scale = _scaling(vae.config, latents)
        return torch.as_tensor((latents - mean) * scale)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae = self.parts.vae
        mean, scale = _scaling(vae.config, latents)
        pictures: Tensor = vae.decode((latents / scale + mean).to(self.device, vae.dtype), return_dict=False)[0]
        return pictures.float().clamp(-1, 1)

    @torch.no_grad()
    def upscale(self, pictures: Tensor, factor: int) -> Tensor:
        """Enlarge `(B, 3, H, W)` pictures by 1, by the upscaler's own factor, or (half of it) by averaging its result.

        Raises:
            Unsupported: the checkpoint has no upscaler, or not of this factor.
        """
        if factor == 1:
            return pictures
        own = self._upscaler.factor if self._upscaler is not None else 1
        if own % factor:
            able = f"only by {own}" if own > 1 else "not at all"
            raise Unsupported(f"{self.spec.name!r} upscales {able}, not by {factor}.", param="upscale")
        large = self._upscaler(pictures.to(self._upscaler.dtype)).float().clamp(-1, 1)
        return large if own == factor else torch.nn.functional.avg_pool2d(large, own // factor)

    def network(self, request: Request, conditions: Conditions) -> Any:
        """Return `(x, t) -> prediction` in float32; with a refiner, the one that is due at t answers."""
        base = self._network(self.parts, conditions)
        if self.refiner is None:
            return base
        length = self._training.length
        cutoff = round(length - self.spec.refiner_start * length)
        refine = self._network(self.refiner, self._refined(request, conditions))
        return lambda x, t: base(x, t) if t >= cutoff else refine(x, t)

    def steered(self, request: Request, conditions: Conditions, steers: Sequence[Steer]) -> Any:
        """Return `(x, t) -> prediction` steered by maps; a refiner, which no map was made for, is not.

        Raises:
            Unsupported: there is no control network for one of them, or it was made for another model.
        """
        ready = [self._ready(steer) for steer in steers]
        self._control_weights = tuple(weight for one in ready for weight in one.branch.weights)
        led = getattr(request, "guidance", 1) != 1
        base = self._network(self.parts, conditions, ready, led)
        if self.refiner is None:
            return base
        length = self._training.length
        cutoff = round(length - self.spec.refiner_start * length)
        refine = self._network(self.refiner, self._refined(request, conditions))
        return lambda x, t: base(x, t) if t >= cutoff else refine(x, t)

    def _ready(self, steer: Steer) -> Steered:
        kind = DRAWN.get(steer.kind, steer.kind)
        key, own = (kind, steer.network), replace(steer, kind=kind)
        if key not in self._branches:
            steered = self.parts.unet.config
            self._branches[key] = load_branch(self.spec, own, self.settings, self.device, self.dtype, steered)
        branch = self._branches[key]
        return Steered(branch, own, given_of(own, branch.kinds, self.device, self.dtype))

    def _network(self, parts: Parts, conditions: Conditions, steered: Sequence[Steered] = (), led: bool = False) -> Any:
        states = conditions.states.to(self.dtype)
        added = None
        if conditions.pooled is not None:
            assert conditions.sizes is not None
            added = {"text_embeds": conditions.pooled.to(self.dtype), "time_ids": conditions.sizes.to(self.dtype)}

        @torch.no_grad()
        def network(x: Tensor, t: float) -> Tensor:
            times = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
            arguments = {"encoder_hidden_states": states, "added_cond_kwargs": added, "return_dict": False}
            share = 1 - t / self._training.length
            if self._worn is not None and parts is self.parts:
                self._worn.at(share)
            adds = [one.adds(x.to(self.dtype), times, states, added, led) for one in steered if one.steer.works(share)]
            if adds:
                arguments["down_block_additional_residuals"] = [
                    sum(layer) for layer in zip(*(down for down, _ in adds), strict=True)
                ]
                arguments["mid_block_additional_residual"] = sum(mid for _, mid in adds)
            return parts.unet(x.to(self.dtype), times, **arguments)[0].float()  # type: ignore[no-any-return]

        return network

    @torch.no_grad()
    def _refined(self, request: Request, conditions: Conditions) -> Conditions:
        """Return the refiner's conditions: the second encoder's states alone, and an aesthetic score for a target size.

        Rows that the base has as zeros are what an empty text really gives, since the refiner was not trained on zeros.
        """
        assert isinstance(request, Painting) and self.refiner is not None
        assert conditions.pooled is not None and conditions.sizes is not None
        width = int(self.refiner.unet.config.cross_attention_dim)
        states, pooled = conditions.states[..., -width:], conditions.pooled
        if self.parts.zero_empty and not self.refiner.zero_empty:
            skip = request.clip_skip if request.clip_skip is not None else 0
            empty, projected = encode(self.parts.encoders[-1], [""], skip, last=False, device=self.device)
            blank = (pooled == 0).all(dim=1)
            repeats = states.shape[1] // empty.shape[1]
            states = torch.where(blank[:, None, None], empty.float().repeat(1, repeats, 1), states)
            pooled = torch.where(blank[:, None], projected.float(), pooled)
        if not self.refiner.aesthetic:
            return Conditions(states, pooled, conditions.sizes)
        rows = len(states)
        led_away = rows // 2 if request.guidance != 1 else 0
        scores = torch.tensor([AESTHETIC[1]] * led_away + [AESTHETIC[0]] * (rows - led_away), device=self.device)
        return Conditions(states, pooled, torch.cat([conditions.sizes[:, :4], scores[:, None]], dim=1))

    def render(self, request: Request, inputs: Inputs = Inputs()) -> Iterator[Step | Output]:
        """Paint a resolved request; see `engines.paint.paint`.

        Raises:
            ModelError: the device has not enough memory.
        """
        self._control_weights, self._adapter_weights = (), []
        adapters = getattr(request, "adapters", None) or ()
        try:
            with within_memory(self.device), self._dressed(adapters) if adapters else nullcontext():
                yield from paint(self, request, inputs)
        finally:
            for hook in self._hooks:
                hook.offload()

    @contextmanager
    def _dressed(self, adapters: Sequence[Applied]) -> Iterator[None]:
        """Run with adapters in; what was at work stays noted for the receipt."""
        with worn(self.parts, self.spec.name, adapters, self.settings) as dressed:
            self._worn, self._adapter_weights = dressed, dressed.used
            try:
                yield
            finally:
                self._worn = None

    @contextmanager
    def adapted(self, adapters: Sequence[Applied]) -> Iterator[None]:
        """Run with adapters; on leaving, the weights are what they were, which is checked bit by bit.

        `render` puts those of its request in by itself, without the check, which takes seconds with a large model.

        Raises:
            RequestError, ModelError: see `latent_adapt.worn`; nothing is changed.
        """
        before = self.fingerprint()
        try:
            with self._dressed(adapters):
                yield
        finally:
            assert self.fingerprint() == before, "weights changed that no adapter is to change"

    def fingerprint(self) -> str:
        """Return a hash over the bytes of every weight, wherever it lies: seconds for a large model."""
        digest = hashlib.sha256()
        refiner = self.refiner.modules() if self.refiner is not None else []
        for module in [*self.parts.modules(), *refiner, *([self._upscaler] if self._upscaler is not None else [])]:
            for name, tensor in module.state_dict().items():
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                digest.update(tensor.cpu().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    def ran(self) -> Ran:
        """Say what runs here. CPUs repeat a batch shape and thread count bit by bit; GPUs are only close."""
        return Ran(
            engine="latent",
            runtime="torch",
            device=self.choice.device,
            precision=self.choice.precision,
            threads=torch.get_num_threads(),
            exactness="batch-exact" if self.device.type == "cpu" else "close",
            weights=(*self.weights, *self._control_weights, *self._adapter_weights),
            versions={name: version(name) for name in ("torch", "diffusers", "transformers", "numpy")},
            reasons=self.choice.reasons,
        )

    def close(self) -> None:
        """Let go of the modules and give their memory back."""
        self.parts = self.refiner = self._upscaler = None  # type: ignore[assignment]
        self._hooks = []
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _weigh_refiner(spec: Spec, place: Place, settings: Settings) -> tuple[Weight, ...]:
    """Hash the refiner's files and hold them to the Spec's hashes under `refiner/`.

    Its licence is the one its own papers state, else its base's.
    """
    pins = {name.removeprefix("refiner/"): due for name, due in spec.weights.items() if name.startswith("refiner/")}
    stated = find_licence(place)
    licence = Licence(spdx=stated) if stated is not None else spec.licence
    found = weigh(
        spec.model_copy(update={"weights": pins, "licence": licence}), place, files_of(place, refiner=True), settings
    )
    return tuple(weight.model_copy(update={"part": f"refiner/{weight.part}"}) for weight in found)


def _even(states: list[Tensor]) -> list[Tensor]:
    """Give all encoders' states as many rows as the longest has, by repeating nothing and padding with zeros."""
    longest = max(state.shape[1] for state in states)
    return [torch.nn.functional.pad(state, (0, 0, 0, longest - state.shape[1])) for state in states]


def _scaling(config: Any, like: Tensor) -> tuple[Any, Any]:
    """Return what is taken off raw latents, then multiplied in, to bring them to unit variance."""
    scale: Any = float(config.scaling_factor)
    mean: Any = float(getattr(config, "shift_factor", None) or 0.0)
    if getattr(config, "latents_mean", None) is not None and getattr(config, "latents_std", None) is not None:
        mean = torch.tensor(config.latents_mean, device=like.device).view(1, -1, 1, 1)
        scale = scale / torch.tensor(config.latents_std, device=like.device).view(1, -1, 1, 1)
    return mean, scale
