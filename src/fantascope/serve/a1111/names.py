"""Names that the A1111 web UI has for things, and what they are called here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fantascope.errors import InvalidValue, UnknownName
from fantascope.provenance.infotext import SAMPLERS, SCHEDULES
from fantascope.spec import Spec

KARRAS = " Karras"
ALIASES: dict[str, tuple[str, ...]] = {
    "ddim": ("ddim",),
    "euler": ("k_euler",),
    "euler_ancestral": ("k_euler_a", "k_euler_ancestral"),
    "heun": ("k_heun",),
    "dpmpp_2m": ("k_dpmpp_2m",),
    "lcm": ("k_lcm",),
}
"""Our name of a sampler -> the web UI's short ones."""

AUTOMATIC = ("", "automatic", "default", "none", "use same scheduler")
NOTHING = ("", "none")
LATENT = "Latent"
SAME = ("", "none", "use same checkpoint", "use same sampler")
"""What the second pass of `enable_hr` says for "as in the first"."""

PAINTS = ("embedded", "sd1", "sd2", "sdxl", "pipeline", "echo")
"""Families of models that paint."""


def samplers(spec: Spec) -> dict[str, tuple[str, str | None]]:
    """Return the samplers of a model by the web UI's names: ours, and the schedule that the name says."""
    if spec.family in ("pipeline", "echo"):
        return {spec.defaults.sampler: (spec.defaults.sampler, None)}
    plain: dict[str, tuple[str, str | None]] = {label: (name, None) for name, label in SAMPLERS.items()}
    return plain | {label + KARRAS: (name, "karras") for name, label in SAMPLERS.items() if name == "dpmpp_2m"}


def find_sampler(name: str, spec: Spec) -> tuple[str, str | None]:
    """Return our sampler, and the schedule that its name says, if it says one: `DPM++ 2M Karras`.

    Raises:
        UnknownName: this model has none of this name.
    """
    known = samplers(spec)
    short = {alias: (ours, None) for ours, aliases in ALIASES.items() for alias in (ours, *aliases)}
    folded = {label.casefold(): found for label, found in known.items()}
    wanted = name.strip().casefold()
    if spec.family not in ("pipeline", "echo"):
        folded = {**short, **folded}
        if wanted.endswith(KARRAS.casefold()) and wanted.removesuffix(KARRAS.casefold()) in folded:
            return folded[wanted.removesuffix(KARRAS.casefold())][0], "karras"
    if wanted not in folded:
        raise UnknownName("sampler", name[:100], known, param="sampler", hint="GET /sdapi/v1/samplers")
    return folded[wanted]


def find_schedule(name: str | None) -> str | None:
    """Return our schedule; None where none is named.

    Raises:
        UnknownName: there is none of this name.
    """
    wanted = (name or "").strip().casefold()
    if wanted in AUTOMATIC:
        return None
    for ours, label in SCHEDULES.items():
        if wanted in (ours, label.casefold()):
            return ours
    raise UnknownName("scheduler", str(name)[:100], SCHEDULES.values(), param="scheduler")


def upscalers(spec: Spec) -> list[str]:
    """Return the upscalers of a model."""
    return ["None"] if spec.upscaler is None else ["None", own_upscaler(spec)]


def own_upscaler(spec: Spec) -> str:
    """Return the name of a model's own upscaler."""
    return f"{spec.name} {spec.upscaler}x"


def find_upscaler(name: str | None, spec: Spec, param: str) -> bool:
    """Say whether an upscaler is wanted: None, and "None", are none.

    Raises:
        UnknownName: this model has none of this name.
    """
    wanted = (name or "").strip().casefold()
    if wanted in NOTHING:
        return False
    if spec.upscaler is not None and wanted == own_upscaler(spec).casefold():
        return True
    raise UnknownName("upscaler", str(name)[:100], upscalers(spec), param=param, hint="GET /sdapi/v1/upscalers")


def paints(specs: Mapping[str, Spec]) -> dict[str, Spec]:
    """Return the models that paint from a prompt."""
    return {name: spec for name, spec in specs.items() if spec.family in PAINTS and not spec.follows}


def weights_hash(spec: Spec) -> str | None:
    """Return the sha256 of a model's denoiser, where the catalogue knows it."""
    named = [path for path in spec.weights if "unet/" in path or "transformer/" in path]
    best = sorted(named, key=lambda path: (not path.endswith(".safetensors"), len(path), path))
    return spec.weights[best[0]] if best else None


def title(spec: Spec) -> str:
    """Return a model's title as the web UI builds it: name and short hash."""
    digest = weights_hash(spec)
    return spec.name if digest is None else f"{spec.name} [{digest[:10]}]"


def find_model(name: str, specs: Mapping[str, Spec]) -> Spec:
    """Return the model of a title, a name (also with the ending of a file) or a hash.

    Raises:
        UnknownName: there is none.
    """
    known, wanted = paints(specs), name.strip()
    short = wanted.rsplit("/", 1)[-1].removesuffix(".safetensors").removesuffix(".ckpt")
    for spec in known.values():
        digest = weights_hash(spec)
        hashes = () if digest is None else (digest, digest[:10])
        if wanted in (title(spec), spec.name, *hashes) or short == spec.name:
            return spec
    raise UnknownName("model", name[:100], known, param="model", hint="GET /sdapi/v1/sd-models")


def one_of(value: str, known: Iterable[str], param: str, what: str) -> str:
    """Return the name that a value is, whatever its capitals.

    Raises:
        InvalidValue: it is none of them.
    """
    for name in known:
        if value.strip().casefold() == name.casefold():
            return name
    raise InvalidValue(f"There is no {what} {value[:100]!r}; there are {', '.join(known)}.", param=param)
