"""Makes a Spec for a model that a user brings: family, sizes and defaults from its files, licence from its papers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fantascope.engines import latent_control_file as control_file
from fantascope.engines import latent_ldm as ldm
from fantascope.engines import pipeline_caption as captioning
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import Place, open_place, weigh
from fantascope.errors import LicenceMissing, Unsupported
from fantascope.settings import Settings
from fantascope.spec import Defaults, Family, Licence, Sizes, Spec, control_row, looking_row, valid_name

BY_WIDTH: dict[int, Family] = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Family by the width of the text states that a diffusers UNet attends to."""

BY_CLASS: dict[str, Family] = {
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLImg2ImgPipeline": "sdxl",
    "LatentConsistencyModelPipeline": "pipeline",
}

NATIVE: dict[str, int] = {"sd1": 512, "sd2": 768, "sdxl": 1024, "pipeline": 1024, "embedded": 128}

CONTROL = "diffusion_pytorch_model.safetensors"
"""File of weights in the folder of a control network."""

TITLES = (
    ("Apache-2.0", "apache license version 2.0"),
    ("MIT", "permission is hereby granted, free of charge"),
    ("CC0-1.0", "cc0 1.0 universal"),
    ("LicenseRef-CreativeML-Open-RAIL-Plus-Plus-M", "creativeml open rail++-m"),
    ("LicenseRef-CreativeML-Open-RAIL-M", "creativeml open rail-m"),
)
"""How licence texts begin, in lower case with single spaces."""

OF_HUB = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "cc0-1.0": "CC0-1.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "bsd-3-clause": "BSD-3-Clause",
    "creativeml-openrail-m": "LicenseRef-CreativeML-Open-RAIL-M",
    "openrail++": "LicenseRef-CreativeML-Open-RAIL-Plus-Plus-M",
}
"""SPDX ids of the licence names that model cards use."""

MADE_FROM = "adapters.json"
"""File in a folder that was fused with adapters: its base and them, by hash."""

COMMERCIAL = {
    "Apache-2.0": True,
    "MIT": True,
    "BSD-3-Clause": True,
    "CC0-1.0": True,
    "CC-BY-4.0": True,
    "CC-BY-NC-4.0": False,
}


def inspect(source: str, settings: Settings, licence: str | None = None, name: str | None = None) -> Spec:
    """Return a Spec for the model at `source`, every weights file hashed.

    Args:
        licence: SPDX id; read from the model's LICENSE file or the front matter of its README when None.
        name: Name of the Spec; made from the place when None.

    Raises:
        LicenceMissing: no licence is given and the model states none that is known.
        Unsupported: the model is of no known family.
        ModelError: see `weights.open_place`.
    """
    place = open_place(source, settings)
    spdx = licence if licence is not None else find_licence(place)
    if not spdx:
        raise LicenceMissing(
            f"{source} states no licence that is known here, and a model without one is not added.",
            param="licence",
            hint=f"fantascope models add {source} --name NAME --licence SPDX-ID",
        )
    family, native, pipeline = _of_file(place) if place.single else _of_folder(place)
    title = source.split(":", 1)[1].rstrip("/").rsplit("/", 1)[-1].removesuffix(".safetensors")
    if source.startswith(("dir:", "file:")):
        source = f"{source.split(':', 1)[0]}:{place.root}"
    spec = Spec(
        name=valid_name(name if name is not None else re.sub(r"[^a-z0-9._-]+", "-", title.lower()).strip("-._")),
        title=title,
        source=source,
        family=family,
        licence=Licence(spdx=spdx, commercial=COMMERCIAL.get(spdx)),
        notes=_parents(place),
        **_family_row(place, family, native, pipeline),
    )
    return spec.model_copy(update={"weights": {w.path: w.sha256 for w in weigh(spec, place, _files(place), settings)}})


def _parents(place: Place) -> str | None:
    """Return what a fused folder says it was made from."""
    if not place.has(MADE_FROM):
        return None
    said = place.config(MADE_FROM)
    try:
        used = [f"{one['name']} {one['weight']:g} (sha256 {one['sha256']})" for one in said["adapters"]]
        return f"fused from {said['base']['base']} and {', '.join(used)}"
    except (KeyError, TypeError, ValueError):
        return None


def _files(place: Place) -> list[str]:
    """Return the weight files of a place: the file itself, or those of `model_index.json`'s components, and graphs."""
    if place.single:
        return [place.root.name]
    if _steers(place):
        return [CONTROL]
    if captioning.captions(place):
        return captioning.files_of(place)
    named = [part for part, entry in place.config("model_index.json").items() if isinstance(entry, list) and entry[0]]
    held = [part for part in [*named, "upscaler"] if any((place.root / part).glob("*.safetensors"))]
    graphs = [path.relative_to(place.root).as_posix() for path in sorted(place.root.rglob("*.onnx"))]
    return [*(file for part in held for file in place.weights_of(part)), *graphs]


def _of_file(place: Place) -> tuple[Family, int, str | None]:
    file = SafeFile.open(place.root)
    shapes = ldm.shapes_of(file)
    names = control_file.names_of(shapes.keys(), place.root)
    if names is not None:
        return "control", NATIVE.get(control_file.family_of(names, shapes) or "", 512), None
    family = ldm.family_of(shapes)
    if family is None or family == "refiner":
        what = "an SDXL refiner, which is named as a base model's refiner" if family else "of no family that is known"
        raise Unsupported(
            f"{place.root} is {what}; SD 1.x, 2.x and SDXL base files and control networks can be added.", param="model"
        )
    found: Family = "sd1" if family == "sd1" else "sd2" if family == "sd2" else "sdxl"
    said = re.match(r"(\d+)x\d+$", file.metadata.get("modelspec.resolution", ""))
    return found, int(said.group(1)) if said else NATIVE[found], None


def _steers(place: Place) -> bool:
    """Say whether a folder is a control network: one module, no pipeline."""
    if place.has("model_index.json") or not place.has("config.json"):
        return False
    return place.config("config.json").get("_class_name") == "ControlNetModel"


def _of_folder(place: Place) -> tuple[Family, int, str | None]:
    if _steers(place):
        config = place.config("config.json")
        attended = config.get("cross_attention_dim", 0)
        family = "sdxl" if config.get("addition_embed_type") else control_file.WIDTHS.get(attended, "")
        return "control", NATIVE.get(family, 512), None
    if captioning.captions(place):
        return "caption", captioning.side_of(place), None
    index = place.config("model_index.json")
    kind = str(index.get("_class_name", ""))
    if not place.has("unet/config.json") or not place.has("vae/config.json"):
        if not kind.endswith("Pipeline"):
            raise Unsupported(f"{place.root} is no diffusers folder of a text-to-image pipeline.", param="model")
        return "pipeline", NATIVE["pipeline"], kind
    unet = place.config("unet/config.json")
    levels = place.config("vae/config.json").get("block_out_channels") or []
    native = int(unet.get("sample_size") or 64) * 2 ** max(0, len(levels) - 1)
    text = place.config("text_encoder/config.json") if place.has("text_encoder/config.json") else {}
    if text.get("model_type") == "bert":
        return "embedded", native, None
    family = BY_CLASS.get(kind) or BY_WIDTH.get(unet.get("cross_attention_dim", 0), "pipeline")
    return family, native, kind if family == "pipeline" else None


def _family_row(place: Place, family: Family, native: int, pipeline: str | None) -> dict[str, Any]:
    """Return sizes and defaults of a family, as the shipped Specs have them.

    Where several have one pipeline (FLUX schnell and dev), the guided ones are those whose network takes the guidance.
    """
    from fantascope.spec import SPECS

    if family == "control":
        return control_row(native)
    if family == "caption":
        return {name: value for name, value in looking_row("caption", native).items() if name != "family"}
    like = {"sd1": "sd15", "sd2": "sd21", "sdxl": "sdxl", "embedded": "embedded"}.get(family)
    network = place.config("transformer/config.json") if place.has("transformer/config.json") else {}
    embeds = bool(network.get("guidance_embeds"))
    rows = [SPECS[like]] if like is not None else [spec for spec in SPECS.values() if spec.pipeline == pipeline]
    row = min(rows, key=lambda spec: spec.guided != embeds, default=None)
    if row is None:
        sizes = Sizes(native=native, min=64, max=2048, multiple=16)
        defaults = Defaults(width=native, height=native, steps=28, guidance=4.0, sampler="pipeline")
        return {"sizes": sizes, "defaults": defaults, "pipeline": pipeline}
    sizes = row.sizes if family == "pipeline" else row.sizes.model_copy(update={"native": native})
    side = row.defaults.width if family in ("pipeline", "embedded") else native
    defaults = row.defaults.model_copy(update={"width": side, "height": side})
    kept = {"guided": row.guided, "negative": row.negative, "max_tokens": row.max_tokens, "upscaler": row.upscaler}
    return {"sizes": sizes, "defaults": defaults, "pipeline": pipeline, **kept}


def find_licence(place: Place) -> str | None:
    """Return the SPDX id that a model's folder states: front matter of its README first, then its LICENSE file."""
    folder = place.bounds if place.single else place.root
    card = _text(folder / "README.md")
    front = re.match(r"---\s*\n(.*?)\n---", card, re.DOTALL)
    stated = re.search(r"^license:\s*['\"]?([\w.+-]+)", front.group(1), re.MULTILINE) if front else None
    if stated and stated.group(1).lower() in OF_HUB:
        return OF_HUB[stated.group(1).lower()]
    for path in sorted(folder.glob("LICEN[SC]E*")):
        head = " ".join(re.sub(r"[^\w.+,-]+", " ", _text(path)[:2000]).lower().split())
        for spdx, title in TITLES:
            if title.replace(",", "") in head.replace(",", ""):
                return spdx
    return None


def _text(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(100_000).decode("utf-8", "replace")
