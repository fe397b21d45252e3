"""Specs: where a model is, what it is, what it may be used for. Defaults of a request live here only."""

from __future__ import annotations

import json
import logging
import math
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fantascope.errors import InvalidValue, LicenceMissing, StorageError, UnknownName

log = logging.getLogger(__name__)

Family = Literal["embedded", "sd1", "sd2", "sdxl", "pipeline", "echo", "annotator", "control", "caption"]
"""`embedded`, `sd1`, `sd2` and `sdxl` are latent diffusion models that our own loop drives; `pipeline` is
any other diffusers text-to-image pipeline; `echo` is the fake that ships for tests of surfaces; `annotator` draws
control maps; `control` is a control network, which steers another model; `caption` says what a picture shows."""

ENGINES_OF: dict[str, tuple[str, ...]] = {
    "embedded": ("graph", "latent", "pipeline"),
    "sd1": ("latent", "pipeline"),
    "sd2": ("latent", "pipeline"),
    "sdxl": ("latent", "pipeline"),
    "pipeline": ("pipeline",),
    "echo": ("echo",),
    "annotator": ("annotator",),
    "control": (),
    "caption": (),
}
"""Which engines can run a family, in order of preference."""


INSTRUCT = frozenset(
    {
        "StableDiffusionInstructPix2PixPipeline",
        "StableDiffusionXLInstructPix2PixPipeline",
        "FluxKontextPipeline",
        "QwenImageEditPipeline",
        "QwenImageEditPlusPipeline",
    }
)
"""Diffusers pipelines that take a picture and an instruction: they edit and do nothing else."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Licence(_Frozen):
    """What a set of weights may be used for.

    `spdx` is an SPDX id, or `LicenseRef-…` for one that SPDX does not list. `commercial` is None where
    the licence sets conditions that need reading.
    """

    spdx: str
    name: str | None = None
    url: str | None = None
    text_sha256: str | None = None
    commercial: bool | None = None
    attribution: str | None = None
    conditions: str | None = None


class Sizes(_Frozen):
    """Limits of one side of a picture in pixels, before the upscaler; `multiple` is the step."""

    native: int
    min: int
    max: int
    multiple: int

    def working(self, width: int, height: int) -> tuple[int, int]:
        """Return the size a model paints a picture of any size at: its native area, that shape, in its steps.

        Sides beyond what the model can reach are cut to it: a very long picture is squeezed.
        """
        scale = math.sqrt(self.native**2 / (width * height))
        wide, high = (round(side * scale / self.multiple) * self.multiple for side in (width, height))
        return min(self.max, max(self.min, wide)), min(self.max, max(self.min, high))


TASK_DEFAULTS: dict[str, dict[str, Any]] = {
    "vary": {"strength": 0.6},
    "fill": {"strength": 1.0, "feather": 8, "region": "whole"},
    "erase": {"strength": 1.0, "feather": 8, "region": "whole"},
    "expand": {"strength": 0.7, "feather": 16},
    "blend": {"strength": 0.7},
    "upscale": {"factor": 2.0, "detail": 0.0},
    "cutout": {"tolerance": 0.12},
    "tile": {"axes": "both", "strength": 0.6},
    "edit": {"strength": 1.0, "feather": 8},
}
"""Task -> what fills the fields that only it has."""


class Defaults(_Frozen):
    """What fills the fields of a request that were not given; `tasks` those that only one task has."""

    n: int = 1
    width: int
    height: int
    upscale: int = 1
    steps: int
    guidance: float
    guidance_rescale: float = 0.0
    sampler: str
    schedule: str = "default"
    clip_skip: int = 0
    format: str = "png"
    quality: int = 95
    tasks: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def of(self, task: str) -> dict[str, Any]:
        """Return field -> value for a task: its own over those of every task."""
        common = self.model_dump(exclude={"tasks"})
        return common | TASK_DEFAULTS.get(task, {}) | self.tasks.get(task, {})


class Spec(_Frozen):
    """One model, frozen.

    `source` is `embedded:NAME`, `hub:owner/name[@revision]`, `dir:PATH` or `file:PATH.safetensors`.
    `weights` maps a path inside the source to the sha256 it must have; what is empty is hashed at load
    time and recorded in the receipt all the same. `delta` is the path inside the source of a LoRA file that is added to
    the denoiser's weights when they are loaded. `training_ledger` is the root hash of the ledger of its training
    pictures, `card` the sha256 of its model card.
    """

    name: str
    title: str
    source: str
    family: Family
    licence: Licence
    sizes: Sizes
    defaults: Defaults
    pipeline: str | None = None
    refiner: str | None = None
    refiner_start: float = 0.8
    upscaler: int | None = None
    delta: str | None = None
    guided: bool = True
    negative: bool = True
    max_tokens: int | None = None
    weights: dict[str, str] = Field(default_factory=dict)
    training_ledger: str | None = None
    card: str | None = None
    attribution: str | None = None
    notes: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _older(cls, data: Any) -> Any:
        """Take records that still name tasks: what a model can do follows from the engines that run it."""
        return {name: value for name, value in data.items() if name != "tasks"} if isinstance(data, dict) else data

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def follows(self) -> bool:
        """Whether the model itself follows instructions, and only edits."""
        return self.pipeline in INSTRUCT

    @property
    def kind(self) -> str:
        """The part of `source` before the colon."""
        return self.source.split(":", 1)[0]

    @property
    def place(self) -> str:
        """The part of `source` after the colon."""
        return self.source.split(":", 1)[1]


def _licence(spdx: str, commercial: bool | None, url: str | None = None, **more: Any) -> Licence:
    return Licence(spdx=spdx, commercial=commercial, url=url, **more)


def _latent(family: Family, native: int, guidance: float, **more: Any) -> dict[str, Any]:
    """Rows of the Stable Diffusion families: f8 autoencoder, sides in steps of 8 (64 keeps every UNet level whole)."""
    defaults = {"width": native, "height": native, "steps": 30, "guidance": guidance, "sampler": "dpmpp_2m"}
    return {
        "family": family,
        "sizes": Sizes(native=native, min=64, max=2048, multiple=8),
        "defaults": Defaults(**(defaults | more.pop("defaults", {}))),
        "max_tokens": 77,
        **more,
    }


def _pipeline(name: str, native: int, steps: int, guidance: float, multiple: int = 16, **more: Any) -> dict[str, Any]:
    return {
        "family": "pipeline",
        "pipeline": name,
        "sizes": Sizes(native=native, min=256, max=2048, multiple=multiple),
        "defaults": Defaults(width=native, height=native, steps=steps, guidance=guidance, sampler="pipeline"),
        **more,
    }


def _control(name: str, source: str, family: str, native: int, spdx: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"Control network {name} for {family}",
        "source": f"hub:{source}",
        "family": "control",
        "licence": _licence(spdx, True),
        **control_row(native),
    }


def control_row(native: int) -> dict[str, Any]:
    """Return the sizes and defaults of a control network whose model is at home at `native` pixels."""
    return {
        "sizes": Sizes(native=native, min=64, max=2048, multiple=8),
        "defaults": Defaults(width=native, height=native, steps=1, guidance=1.0, sampler="control"),
    }


def looking_row(family: Family, side: int) -> dict[str, Any]:
    """Return family, sizes and defaults of what looks at pictures of any size, itself at `side` pixels."""
    defaults = Defaults(width=side, height=side, steps=1, guidance=1.0, sampler=family)
    return {"family": family, "sizes": Sizes(native=side, min=1, max=8192, multiple=1), "defaults": defaults}


_OPENRAIL = "CreativeML Open RAIL-M: commercial use allowed, with use restrictions that pass on to users"
_PLUS = "LicenseRef-CreativeML-Open-RAIL-Plus-Plus-M"
_STABILITY = "Stability AI Community License: free below 1 M USD of yearly revenue, registration above"

_ROWS: list[dict[str, Any]] = [
    {
        "name": "sd15",
        "title": "Stable Diffusion 1.5",
        "source": "hub:stable-diffusion-v1-5/stable-diffusion-v1-5",
        "licence": _licence("LicenseRef-CreativeML-Open-RAIL-M", True, conditions=_OPENRAIL),
        **_latent("sd1", 512, 7.5),
    },
    {
        "name": "sd21",
        "title": "Stable Diffusion 2.1",
        "source": "hub:stabilityai/stable-diffusion-2-1",
        "licence": _licence(_PLUS, True, conditions=_OPENRAIL),
        **_latent("sd2", 768, 7.5),
    },
    {
        "name": "sdxl",
        "title": "Stable Diffusion XL 1.0 (base and refiner)",
        "source": "hub:stabilityai/stable-diffusion-xl-base-1.0",
        "licence": _licence(_PLUS, True, conditions=_OPENRAIL),
        **_latent("sdxl", 1024, 5.0, refiner="hub:stabilityai/stable-diffusion-xl-refiner-1.0"),
    },
    {
        "name": "sd35-medium",
        "title": "Stable Diffusion 3.5 Medium",
        "source": "hub:stabilityai/stable-diffusion-3.5-medium",
        "licence": _licence("LicenseRef-Stability-Community", None, conditions=_STABILITY),
        **_pipeline("StableDiffusion3Pipeline", 1024, 40, 4.5),
    },
    {
        "name": "flux-schnell",
        "title": "FLUX.1 schnell",
        "source": "hub:black-forest-labs/FLUX.1-schnell",
        "licence": _licence("Apache-2.0", True),
        **_pipeline("FluxPipeline", 1024, 4, 0.0, guided=False, negative=False),
    },
    {
        "name": "flux-dev",
        "title": "FLUX.1 dev",
        "source": "hub:black-forest-labs/FLUX.1-dev",
        "licence": _licence("LicenseRef-FLUX-1-dev-Non-Commercial", False),
        **_pipeline("FluxPipeline", 1024, 28, 3.5, negative=False),
    },
    {
        "name": "qwen-image",
        "title": "Qwen-Image",
        "source": "hub:Qwen/Qwen-Image",
        "licence": _licence("Apache-2.0", True),
        **_pipeline("QwenImagePipeline", 1328, 50, 4.0),
    },
    {
        "name": "instruct-pix2pix",
        "title": "InstructPix2Pix",
        "source": "hub:timbrooks/instruct-pix2pix",
        "licence": _licence("MIT", True, conditions="Fine-tuned from Stable Diffusion 1.5; " + _OPENRAIL),
        **_pipeline("StableDiffusionInstructPix2PixPipeline", 512, 30, 7.5, multiple=8),
    },
    {
        "name": "flux-kontext",
        "title": "FLUX.1 Kontext dev",
        "source": "hub:black-forest-labs/FLUX.1-Kontext-dev",
        "licence": _licence("LicenseRef-FLUX-1-dev-Non-Commercial", False),
        **_pipeline("FluxKontextPipeline", 1024, 28, 2.5, negative=False),
    },
    {
        "name": "qwen-image-edit",
        "title": "Qwen-Image-Edit",
        "source": "hub:Qwen/Qwen-Image-Edit",
        "licence": _licence("Apache-2.0", True),
        **_pipeline("QwenImageEditPipeline", 1024, 50, 4.0),
    },
    {
        "name": "z-image-turbo",
        "title": "Z-Image Turbo",
        "source": "hub:Tongyi-MAI/Z-Image-Turbo",
        "licence": _licence("Apache-2.0", True),
        **_pipeline("ZImagePipeline", 1024, 9, 0.0, guided=False),
    },
    {
        "name": "sana",
        "title": "Sana 1.6B",
        "source": "hub:Efficient-Large-Model/Sana_1600M_1024px_diffusers",
        "licence": _licence("LicenseRef-NSCL-2-Custom", None, conditions="read the model's own licence file"),
        **_pipeline("SanaPipeline", 1024, 20, 4.5, multiple=32),
    },
    {
        "name": "echo",
        "title": "Echo, the fake engine: paints the request's own hash, for tests of surfaces",
        "source": "embedded:echo",
        "family": "echo",
        "licence": _licence("Apache-2.0", True),
        "sizes": Sizes(native=64, min=8, max=2048, multiple=8),
        "defaults": Defaults(width=256, height=256, steps=4, guidance=1.0, sampler="echo"),
    },
    *(
        _control(f"sd15-{short}", f"lllyasviel/control_v11{long}", "sd15", 512, "LicenseRef-CreativeML-Open-RAIL-M")
        for short, long in (
            ("canny", "p_sd15_canny"),
            ("mlsd", "p_sd15_mlsd"),
            ("softedge", "p_sd15_softedge"),
            ("scribble", "p_sd15_scribble"),
            ("openpose", "p_sd15_openpose"),
            ("seg", "p_sd15_seg"),
            ("depth", "f1p_sd15_depth"),
            ("normal", "p_sd15_normalbae"),
        )
    ),
    _control("sd21-canny", "thibaud/controlnet-sd21-canny-diffusers", "sd21", 768, _PLUS),
    _control("sdxl-canny", "diffusers/controlnet-canny-sdxl-1.0", "sdxl", 1024, _PLUS),
    _control("sdxl-depth", "diffusers/controlnet-depth-sdxl-1.0", "sdxl", 1024, _PLUS),
    {
        "name": "blip",
        "title": "BLIP, large: captions of pictures",
        "source": "hub:Salesforce/blip-image-captioning-large",
        "licence": _licence("BSD-3-Clause", True),
        **looking_row("caption", 384),
    },
    {
        "name": "annotators",
        "title": "Annotators: control maps of pictures",
        "source": "embedded:annotators",
        "licence": _licence("Apache-2.0", True),
        **looking_row("annotator", 512),
    },
]

CONTROLS: dict[tuple[str, str], str] = {
    ("sd1", "canny"): "sd15-canny",
    ("sd1", "hough"): "sd15-mlsd",
    ("sd1", "mlsd"): "sd15-mlsd",
    ("sd1", "hed"): "sd15-softedge",
    ("sd1", "softedge"): "sd15-softedge",
    ("sd1", "scribble"): "sd15-scribble",
    ("sd1", "fake_scribble"): "sd15-scribble",
    ("sd1", "scribble_hed"): "sd15-scribble",
    ("sd1", "sketch"): "sd15-scribble",
    ("sd1", "pose"): "sd15-openpose",
    ("sd1", "segmentation"): "sd15-seg",
    ("sd1", "depth"): "sd15-depth",
    ("sd1", "normal"): "sd15-normal",
    ("sd2", "canny"): "sd21-canny",
    ("sdxl", "canny"): "sdxl-canny",
    ("sdxl", "depth"): "sdxl-depth",
}
"""Family and kind of map -> the usual control network."""

EMBEDDED = Path(__file__).parent / "weights" / "embedded"
"""Folder of the embedded checkpoint: diffusers layout, `fantascope.json` (its Spec) and exported graphs."""

FEW = "unet/few/pytorch_lora_weights.safetensors"
"""Where a checkpoint folder keeps the LoRA file that makes its UNet one of a few unguided steps."""


def read_spec(path: Path) -> Spec:
    """Read one Spec from a JSON file.

    Raises:
        LicenceMissing: the file states no licence.
        InvalidValue: the file is not a Spec.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        if isinstance(data, dict) and not (data.get("licence") or {}).get("spdx"):
            raise LicenceMissing(
                f"{path} states no licence, and a model without one is not loaded.",
                param="licence",
                hint="fantascope models add SOURCE --name NAME --licence SPDX-ID",
            )
        return Spec.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidValue(f"{path} is not a model record: {where}: {first['msg']}.", param="model") from error
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{path} is not a model record: {error}.", param="model") from error


def keep_spec(spec: Spec, folder: Path) -> None:
    """Write a Spec into a catalogue's folder, in one move; raises `StorageError` where that fails."""
    path = folder / f"{valid_name(spec.name)}.json"
    beside = path.with_suffix(".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_text(spec.model_dump_json(indent=2), "utf-8")
        beside.replace(path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", param="model") from error


def _builtin() -> dict[str, Spec]:
    embedded = read_spec(EMBEDDED / "fantascope.json")
    specs = [embedded, *few_steps(embedded), *(Spec(**row) for row in _ROWS)]
    return {spec.name: spec for spec in specs}


def few_steps(spec: Spec) -> list[Spec]:
    """Return the Spec of the same checkpoint in four unguided steps, if its record lists the weights for them."""
    if FEW not in spec.weights:
        return []
    how = {"steps": 4, "guidance": 1.0, "guidance_rescale": 0.0, "sampler": "ddim"}
    facts = {"name": f"{spec.name}-few", "title": f"{spec.title}, four steps", "delta": FEW}
    return [spec.model_copy(update={**facts, "defaults": spec.defaults.model_copy(update=how)})]


SPECS: dict[str, Spec] = _builtin()
"""The catalogue that ships. What a user adds lives as one JSON file each under `FANTASCOPE_HOME/models`."""


def catalogue(folder: Path | None = None) -> dict[str, Spec]:
    """Return the shipped Specs and the user's own from `folder`.

    A record that cannot be read, or that takes a name another model has, is left out with a warning in the log: it
    must not stop every other model.
    """
    specs = dict(SPECS)
    if folder is not None and folder.is_dir():
        for path in sorted(folder.glob("*.json")):
            try:
                spec = read_spec(path)
            except (InvalidValue, LicenceMissing) as error:
                log.warning("%s Remove it: fantascope models remove %s", error.message, path.stem)
                continue
            if spec.name in specs or spec.name != path.stem:
                log.warning("%s takes the name %r. Remove it: fantascope models remove %s", path, spec.name, path.stem)
                continue
            specs[spec.name] = spec
    return specs


def find_spec(name: str, specs: dict[str, Spec]) -> Spec:
    """Return the Spec of this name.

    Raises:
        UnknownName: no such model; the nearest names are offered.
    """
    if name not in specs:
        raise UnknownName("model", name, specs, hint="fantascope models list")
    return specs[name]


def valid_name(name: str) -> str:
    """Return `name` if it can name a model or adapter: lower case letters, digits, `-`, `_`, `.`.

    Raises:
        InvalidValue: it cannot.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise InvalidValue(
            f"{name!r} cannot name a model: use lower case letters, digits, '-', '_' and '.', at most 64.", param="name"
        )
    return name
