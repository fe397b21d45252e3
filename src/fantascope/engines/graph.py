"""The embedded checkpoint's everyday engine: ONNX graphs on OpenVINO or ONNX Runtime, NumPy arrays, no torch.

Graphs hold structure only and read their weights out of the checkpoint's safetensors files (see `train.export`), so
the hashes in the receipt are those of the files that any other engine would load. A graph is compiled for the shapes of
a request when they are first met; the parts compile beside each other and beside the encoding of the text.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from fantascope.artifact import Output, Step
from fantascope.core.schedules import Training, training_from_config
from fantascope.core.weighting import Weighted
from fantascope.engines.base import EDITS, Choice, Conditions, Inputs, Steer
from fantascope.engines.compact import PACKED
from fantascope.engines.control import DRAWN, OWN, own_folder
from fantascope.engines.graph_runtime import (
    Floats,
    Program,
    Runtime,
    Shapes,
    Source,
    open_runtime,
)
from fantascope.engines.lora import graph_of
from fantascope.engines.paint import paint
from fantascope.engines.weights import Place, open_place, weigh
from fantascope.engines.words import GRAPH, WEIGHTS, WINDOW, Words, shared_words
from fantascope.errors import InvalidValue, Unsupported
from fantascope.receipt import Ran, Weight
from fantascope.request import Applied, Request
from fantascope.settings import Settings
from fantascope.spec import Spec

if TYPE_CHECKING:
    from fantascope.engines.graph_fuse import Fused

log = logging.getLogger(__name__)

PARTS: dict[str, tuple[str, str]] = {
    "text": (GRAPH, WEIGHTS),
    "unet": ("unet/model.onnx", "unet/diffusion_pytorch_model.safetensors"),
    "decoder": ("vae/decoder.onnx", "vae/diffusion_pytorch_model.safetensors"),
    "encoder": ("vae/encoder.onnx", "vae/diffusion_pytorch_model.safetensors"),
    "upscaler": ("upscaler/model.onnx", "upscaler/model.safetensors"),
    "control": ("control/control.onnx", "control/diffusion_pytorch_model.safetensors"),
    "unet control": ("unet/model.control.onnx", "unet/diffusion_pytorch_model.safetensors"),
}
"""Part -> its graph and the weights that the graph reads."""

INT8 = {"unet": "unet/model.int8.onnx"}
"""Part -> the graph that reads the same weights and computes in int8; other parts stay in float.

With a delta the UNet has graphs of its own (see `lora.graph_of`), which read its file, too, and add it to the weights.
"""

ONE_WINDOW = 20
"""Words that are taken to fit one window of tokens when the UNet is compiled before the text is read."""

KEPT = 8
"""Compiled programs an engine keeps; the least recently used goes first."""


class GraphEngine:
    """A `LatentEngine` over NumPy arrays. `load` reads configurations only; what a request needs is compiled then."""

    supports = EDITS | {"imagine"}
    rowwise = True

    def __init__(self, spec: Spec, choice: Choice, settings: Settings, place: Place, runtime: Runtime) -> None:
        self.spec, self.choice, self.settings = spec, choice, settings
        self.place, self.runtime = place, runtime
        if choice.precision not in runtime.precisions:
            able = " and ".join(runtime.precisions)
            raise Unsupported(
                f"{runtime.name} does not compute in {choice.precision} on this machine, only in {able}.",
                param="precision",
            )
        if choice.precision == "int8" and not all(place.has(self._files(part)[0]) for part in INT8):
            raise Unsupported(f"The model {spec.name!r} has no graphs in int8.", param="precision")
        self._unet = place.config("unet/config.json")
        self._vae = place.config("vae/config.json")
        self._training = training_from_config(place.config("scheduler/scheduler_config.json"))
        self._weights: dict[str, tuple[Weight, ...]] = {}
        self._programs: OrderedDict[str, Future[Program]] = OrderedDict()
        self._workers = ThreadPoolExecutor(2, "graph")
        self._words = self._workers.submit(self._load_words)
        self._used: tuple[str, ...] = ()
        self._fused: Fused | None = None

    @classmethod
    def load(cls, spec: Spec, choice: Choice, settings: Settings) -> GraphEngine:
        """Open a checkpoint folder with exported graphs.

        Raises:
            ModelNotFound: the folder or a part of it is missing.
            LicenceMissing: the Spec states no licence.
            BrokenModelFile: a file is not what its hash says (found when the part is first used).
            Unsupported: the runtime has no such precision.
            MissingExtra: the runtime is not installed.
        """
        place = open_place(spec.source, settings)
        return cls(spec, choice, settings, place, open_runtime(choice.runtime or settings.runtime, settings))

    @property
    def latent_channels(self) -> int:
        return int(self._unet["in_channels"])

    @property
    def latent_factor(self) -> int:
        """Pixels per latent cell, one side: every level of the autoencoder but the last halves."""
        return int(2 ** (len(self._vae["block_out_channels"]) - 1))

    @property
    def training_schedule(self) -> Training:
        return self._training

    def batch_limit(self, request: Request) -> int:
        """Return 4: more at once is no faster on a CPU."""
        return 4

    def from_numpy(self, array: Any) -> Floats:
        return np.asarray(array, np.float32)

    def to_numpy(self, array: Any) -> Floats:
        return np.asarray(array, np.float32)

    def render(self, request: Request, inputs: Inputs = Inputs()) -> Iterator[Step | Output]:
        """See `Engine.render`."""
        self.begin(request, min(request.n, self.batch_limit(request)), inputs)  # type: ignore[attr-defined]
        yield from paint(self, request, inputs)

    def begin(self, request: Request, count: int, inputs: Inputs = Inputs()) -> None:
        """See `Rowwise.begin`: begins to compile, beside the caller, what `count` pictures at a time need."""
        factor = getattr(request, "upscale", 1)
        size = inputs.size if inputs.size is not None else (request.width // factor, request.height // factor)  # type: ignore[attr-defined]
        self._fused = self._worn(request)
        if not any(inputs.wrap):
            self._warm(request, size, count)
        more = {"encoder": inputs.pictures is not None, "upscaler": factor > 1}
        more |= dict.fromkeys(("control", "unet control"), bool(inputs.steers))
        self._used = ("text", "unet", "decoder", *(part for part, used in more.items() if used))

    def warm(self, request: Any) -> None:
        """Begin to compile, beside the caller, what a resolved request will need; errors show where it is used."""
        size = request.width // request.upscale, request.height // request.upscale
        size = size if request.task == "imagine" else self.spec.sizes.working(*size)
        self._warm(request, size, min(request.n, self.batch_limit(request)))

    def _warm(self, request: Any, size: tuple[int, int], count: int) -> None:
        wide, high = size[0] // self.latent_factor, size[1] // self.latent_factor
        rows = count * (1 if request.guidance == 1 else 2)
        if max(len(text.split()) for text in (request.prompt, request.negative_prompt or "")) <= ONE_WINDOW:
            shapes = self._unet_shapes((rows, self.latent_channels, high, wide), WINDOW)
            self._program("unet", shapes, self._worn(request))
        self._program("decoder", {"latents": (1, self.latent_channels, high, wide)})
        if request.upscale > 1:
            side = self.latent_factor
            self._program("upscaler", {"pictures": (1, 3, high * side, wide * side)})

    def encode_text(self, texts: Sequence[str | Weighted], request: Request) -> Conditions:
        """Return token states `(B, 32 * k, 384)`; equal texts are encoded once."""
        different = list(dict.fromkeys(texts))
        states = self._words.result().states(different)
        return Conditions(states[[different.index(text) for text in texts]])

    def network(self, request: Request, conditions: Conditions) -> Any:
        """Return the UNet for B rows of states: `(x (B, C, h, w), time) -> prediction (B, C, h, w)`."""
        states, fused = self.from_numpy(conditions.states), self._worn(request)

        def run(x: Floats, time: float) -> Floats:
            if len(x) != len(states):
                raise InvalidValue(f"{len(x)} latents met {len(states)} rows of text states.")
            program = self._program("unet", self._unet_shapes(x.shape, states.shape[1]), fused).result()
            return program(sample=x, timestep=np.full(len(x), time, np.float32), states=states)

        return run

    def _worn(self, request: Any) -> Fused | None:
        """Return the network's weights with the adapters of a request, None where it has none."""
        applied = getattr(request, "adapters", None)
        if not applied:
            return None
        from fantascope.engines.graph_fuse import Fused

        return Fused(self.spec, applied, self._weigh("unet")[-1], self.settings)

    def steered(self, request: Request, conditions: Conditions, steers: Sequence[Steer]) -> Any:
        """Return the UNet under maps, by the checkpoint's own control network.

        Raises:
            Unsupported: the checkpoint has none, or it does not take a kind, or another network is named.
        """
        states, length = self.from_numpy(conditions.states), self._training.length
        plain, ready = self.network(request, conditions), [(steer, self._given(steer)) for steer in steers]
        led = getattr(request, "guidance", 1) != 1

        def run(x: Floats, time: float) -> Floats:
            adds: dict[str, Floats] = {}
            for steer, given in ready:
                if steer.works(1 - time / length):
                    for name, value in self._adds(steer, given, x, time, states, led).items():
                        adds[name] = adds[name] + value if name in adds else value
            if not adds:
                return plain(x, time)  # type: ignore[no-any-return]
            added: Shapes = {name: one.shape for name, one in adds.items()}
            shapes: Shapes = {**self._unet_shapes(x.shape, states.shape[1]), **added}
            program = self._program("unet control", shapes).result()
            return program(sample=x, timestep=np.full(len(x), time, np.float32), states=states, **adds)

        return run

    def _given(self, steer: Steer) -> Floats:
        """Return what the control network takes: `(1, 3 + K, H, W)` in 0 … 1."""
        if own_folder(self.spec) is None or steer.network is not None:
            raise Unsupported(
                f"The model {self.spec.name!r} has no control network of its own that the engine 'graph' runs.",
                param="controls",
            )
        kinds = tuple(self.place.config("control/fantascope.json")["kinds"])
        kind = DRAWN.get(steer.kind, steer.kind)
        if kind not in kinds:
            raise Unsupported(f"The control network takes {', '.join(kinds)}, not {steer.kind}.", param="controls")
        pixels = np.asarray(steer.map, np.float32).transpose(2, 0, 1)[None] / 255
        planes = np.zeros((1, len(kinds), *pixels.shape[2:]), np.float32)
        planes[:, kinds.index(kind)] = 1
        return np.ascontiguousarray(np.concatenate([pixels, planes], 1))

    def _adds(
        self, steer: Steer, given: Floats, x: Floats, time: float, states: Floats, led: bool
    ) -> dict[str, Floats]:
        """Return what one map adds to the skips and the middle; in guess mode to the guided rows alone."""
        half = len(x) // 2 if steer.guess and led else 0
        rows = len(x) - half
        inputs = {
            "sample": x[half:],
            "timestep": np.full(rows, time, np.float32),
            "states": states[half:],
            "map": np.repeat(given, rows, 0),
            "scale": np.full(rows, steer.weight, np.float32),
        }
        program = self._program("control", {name: value.shape for name, value in inputs.items()}).result()
        found = program.outputs(**inputs)
        if steer.guess:
            scales = np.logspace(-1, 0, len(found)).astype(np.float32)
            found = {name: value * scale for (name, value), scale in zip(found.items(), scales, strict=True)}
        if half:
            found = {name: np.concatenate([np.zeros_like(value), value]) for name, value in found.items()}
        return found

    def decode(self, latents: Floats) -> Floats:
        """Return pictures `(B, 3, H, W)` in about -1 … 1, one row after the other."""
        return self._rows("decoder", "latents", latents)

    def encode_image(self, pictures: Floats) -> Floats:
        """Return the mean latents `(B, C, h, w)` of pictures `(B, 3, H, W)` in -1 … 1."""
        return self._rows("encoder", "pictures", pictures)

    def upscale(self, pictures: Floats, factor: int) -> Floats:
        """Return pictures `factor` (2 or 4) times the size; 2 is the upscaler's 4 halved by averaging.

        Raises:
            Unsupported: the checkpoint has no upscaler, or another factor was asked for.
        """
        if self.spec.upscaler is None or factor not in (2, 4):
            raise Unsupported(f"The model {self.spec.name!r} cannot enlarge {factor} times.", param="upscale")
        large = np.clip(self._rows("upscaler", "pictures", np.clip(pictures, -1, 1)), -1, 1)
        if factor == 4:
            return large
        rows = large[..., ::2, :] + large[..., 1::2, :]
        return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)

    def adapted(self, adapters: Sequence[Applied]) -> AbstractContextManager[None]:
        """Refuse: a compiled graph is not changed; `render` compiles one with the adapters of its request in it."""
        if not adapters:
            return nullcontext()
        raise Unsupported(
            f"The parts of the engine 'graph' take no adapters ({', '.join(a.name for a in adapters)}); those of the "
            "engine 'latent' do.",
            param="adapters",
            hint="pip install 'fantascope[torch]', then choose the engine latent",
        )

    def ran(self) -> Ran:
        """Say what ran for the last request, with the hash of every file it used; before one, of all that is loaded.

        What other requests loaded is left out: the receipt must not depend on them.
        """
        loaded = dict(self._weights)
        weights = [weight for part in self._used or sorted(loaded) for weight in loaded.get(part, ())]
        worn = self._fused.weights if self._fused is not None else ()
        machine = {"processor": self.runtime.machine} if self.runtime.machine else {}
        return Ran(
            engine="graph",
            runtime=self.runtime.name,
            device="cpu",
            precision=self.choice.precision,
            threads=self.runtime.threads,
            exactness="bit-exact",
            weights=(*{weight.path: weight for weight in weights}.values(), *worn),
            versions={self.runtime.name: self.runtime.version, "numpy": np.__version__, **machine},
            reasons=self.choice.reasons,
        )

    def close(self) -> None:
        """Free the programs; what is being compiled is waited for."""
        self._workers.shutdown(cancel_futures=True)
        self._programs.clear()

    def _load_words(self) -> Words:
        self._weigh("text")
        return shared_words(self.settings, self.place.root, self.runtime.name)

    def _rows(self, part: str, name: str, batch: Floats) -> Floats:
        """Run a part on one row at a time: one program serves every batch size."""
        rows = [self.from_numpy(batch[k : k + 1]) for k in range(len(batch))]
        program = self._program(part, {name: rows[0].shape}).result()
        return np.concatenate([program(**{name: row}) for row in rows])

    def _unet_shapes(self, sample: Sequence[int], tokens: int) -> Shapes:
        return {
            "sample": tuple(sample),
            "timestep": (sample[0],),
            "states": (sample[0], tokens, self._unet["cross_attention_dim"]),
        }

    def _program(self, part: str, shapes: Shapes, fused: Fused | None = None) -> Future[Program]:
        """Return the program of a part for these shapes, compiling it on a worker if it is new or failed before."""
        key = json.dumps([part, sorted(shapes.items()), fused.key if fused is not None else ""])
        future = self._programs.get(key)
        if future is None or (future.done() and future.exception() is not None):
            future = self._programs[key] = self._workers.submit(self._compile, part, shapes, fused)
        self._programs.move_to_end(key)
        while len(self._programs) > KEPT:
            self._programs.popitem(last=False)
        return future

    def _compile(self, part: str, shapes: Shapes, fused: Fused | None = None) -> Program:
        weights = self._weigh(part)
        files = [self.place.path(name) for name in self._files(part)]
        digest = " ".join(weight.sha256 for weight in weights)
        if fused is not None:
            files, digest = [*fused.files(files[0], files[1])], f"{digest} {fused.key}"
        source = Source(files[0], files[1], digest, *files[2:])
        precision = self.choice.precision
        if precision == "int8" and part not in INT8 and "bf16" not in self.runtime.precisions:
            precision = "fp32"
        return self.runtime.compile(source, shapes, precision)

    def _files(self, part: str) -> tuple[str, ...]:
        """Graph and weights of a part in the precision that was chosen, then the delta if there is one."""
        (graph, weights), rounded = PARTS[part], self.choice.precision == "int8"
        if part == "control" and self.place.has(f"{OWN}/{PACKED}"):
            return PARTS[part][0], f"{OWN}/{PACKED}"
        if part == "unet control" and self.spec.delta is not None:
            return graph_of(self.spec.delta, ".control.onnx"), weights, self.spec.delta
        if part == "unet" and self.spec.delta is not None:
            return graph_of(self.spec.delta, ".int8.onnx" if rounded else ".onnx"), weights, self.spec.delta
        return INT8.get(part, graph) if rounded else graph, weights

    def _weigh(self, part: str) -> tuple[Weight, ...]:
        """Hash graph and weights of a part, once, and hold them to the hashes of the Spec."""
        if part not in self._weights:
            graph, *weights = weigh(self.spec, self.place, self._files(part), self.settings)
            self._weights[part] = (graph.model_copy(update={"part": f"{part} graph"}), *weights)
        return self._weights[part]
