"""Units of the ControlNet extension become `Control`s: a module is an annotator, a model a control network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import fantascope.serve.a1111.names as names
import fantascope.serve.a1111.pictures as pictures
from fantascope.annotate import ALIASES, ANNOTATORS, Annotator, find_annotator
from fantascope.engines.control import own_folder
from fantascope.errors import InvalidValue, UnknownName
from fantascope.request import Control
from fantascope.serve.a1111.bodies import Unit, read
from fantascope.serve.a1111.pictures import CROP, FILL, JUST, Given, Size, Take
from fantascope.spec import CONTROLS, Spec

MOST = 4
SCRIPT = "controlnet"
LISTED = (SCRIPT, "controlnet m2m")
"""Scripts by which clients know the extension. webuiapi looks for the second, which is for films and not done here."""

NONE, INVERT = "none", "invert"
"""Modules that draw nothing: the picture is a map, or one in black on white."""

SLIDERS: dict[str, tuple[str, ...]] = {
    "canny": ("low", "high"),
    "mlsd": ("value", "distance"),
    "xdog": ("threshold",),
    "normal": ("background",),
}
"""Kind -> the parameters that `threshold_a` and `threshold_b` are, where the extension has such sliders."""

RESIZE: dict[str, int] = {
    "Just Resize": JUST,
    "Crop and Resize": CROP,
    "Resize and Fill": FILL,
    "Inner Fit (Scale to Fit)": CROP,
    "Scale to Fit (Inner Fit)": CROP,
    "Outer Fit (Shrink to Fit)": FILL,
    "Envelope (Outer Fit)": FILL,
}
MODES = ("Balanced", "My prompt is more important", "ControlNet is more important")

TYPES: dict[str, tuple[str, ...]] = {
    "Canny": ("canny",),
    "MLSD": ("mlsd", "hough"),
    "SoftEdge": ("softedge", "hed"),
    "Scribble": ("scribble", "fake_scribble", "scribble_hed", "xdog"),
    "OpenPose": ("pose",),
    "Segmentation": ("segmentation", "regions"),
    "Depth": ("depth",),
    "NormalMap": ("normal",),
}
"""The extension's control types -> kinds of map."""


def units_of(scripts: Mapping[str, Any] | None) -> list[Unit]:
    """Return the units that are switched on.

    Raises:
        InvalidValue: another script than this extension's is wanted, or its arguments are no units.
    """
    found: list[Unit] = []
    for name, told in (scripts or {}).items():
        args = told.get("args") if isinstance(told, dict) else told
        args = [args] if isinstance(args, dict) else args
        if name.strip().casefold() == SCRIPT:
            if not isinstance(args, (list, type(None))):
                raise InvalidValue("The arguments of ControlNet are a list of units.", param="alwayson_scripts")
            units = [read(Unit, one) for one in args or () if isinstance(one, dict)]
            found += [unit for unit in units if unit.enabled is not False]
        elif not _off(args):
            told = f"always on script {name[:100]} not found"
            raise InvalidValue(f"{told}; there is ControlNet.", param="alwayson_scripts")
    if len(found) > MOST:
        raise InvalidValue(f"{len(found)} units are on; {MOST} may be.", param="alwayson_scripts")
    return found


def _off(args: Any) -> bool:
    """Say whether a script's arguments switch it off: it asks for nothing then."""
    if not args:
        return True
    first = args[0] if isinstance(args, list) else args
    if isinstance(first, dict):
        return first.get("enable", first.get("enabled", True)) is False
    return first is False


def controls_of(
    units: Sequence[Unit], spec: Spec, specs: Mapping[str, Spec], size: Size, start: Given | None, take: Take
) -> tuple[Control, ...]:
    """Return the controls of units.

    Args:
        spec: The model that paints.
        size: Of the picture that will be made, pixels.
        start: The picture that a unit without one takes: that of img2img.
        take: Keeps a picture and returns its id.

    Raises:
        UnknownName: there is no such module or model.
        InvalidValue: something is asked for that cannot be given.
    """
    return tuple(_control(unit, spec, specs, size, start, take) for unit in units)


def _control(unit: Unit, spec: Spec, specs: Mapping[str, Spec], size: Size, start: Given | None, take: Take) -> Control:
    given = _picture(unit, start)
    module = find_module(unit.module)
    kind, network = _model(unit.model, module, spec, specs)
    mode, wanted = _resize(unit.resize_mode), _mode(unit.control_mode)
    if unit.hr_option not in (None, "", "Both", "Low res only"):
        raise InvalidValue(
            "Maps steer the first pass; hr_option can be Both or Low res only.", param="alwayson_scripts"
        )
    derive = module not in (NONE, INVERT)
    parameters = {}
    if derive:
        resolution = _perfect(given.size, size, mode) if unit.pixel_perfect else unit.processor_res
        parameters = parameters_of(ANNOTATORS[kind], resolution, unit.threshold_a, unit.threshold_b)
    end = unit.guidance_end if unit.guidance_end is not None else unit.guidance
    return Control(
        kind=kind,
        picture=_kept(given, size, mode, module == INVERT, take),
        derive=derive,
        weight=1.0 if unit.weight is None else unit.weight,
        start=0.0 if unit.guidance_start is None else unit.guidance_start,
        end=1.0 if end is None else end,
        guess=wanted == MODES[2],
        network=network,
        parameters=parameters or None,
    )


def _picture(unit: Unit, start: Given | None) -> Given:
    """Return the picture of a unit, which comes bare or in an object with a mask.

    Raises:
        InvalidValue: there is none, or a mask marks a part of it.
    """
    image = unit.image if unit.image else unit.input_image
    mask = unit.mask_image if unit.mask_image else unit.mask
    if isinstance(image, dict):
        mask, image = image.get("mask") or mask, image.get("image")
    if mask is not None and mask != "" and not isinstance(mask, str):
        raise InvalidValue("The mask of a unit is base64.", param="mask")
    if mask and pictures.mask_of(pictures.opened(mask, "mask")).any():
        raise InvalidValue("A unit works on the whole picture: its mask marks a part of it.", param="mask")
    if image is not None and image != "" and not isinstance(image, str):
        raise InvalidValue("The image of a unit is base64, or an object with image and mask.", param="image")
    if image:
        return pictures.opened(image, "image")
    if start is None:
        raise InvalidValue("A ControlNet unit that is on has no image.", param="image")
    return start


def _kept(given: Given, size: Size, mode: int, inverted: bool, take: Take) -> str:
    """Keep the picture of a unit in the shape of what will be made; its own size stays where it has that shape."""
    pixels = given.pixels
    same = abs(pixels.shape[1] * size[1] - pixels.shape[0] * size[0]) <= max(size)
    if not inverted and (same or mode == JUST):
        return take(given.data, None)
    if inverted:
        pixels = np.dstack([255 - pixels[..., :3], pixels[..., 3:]])
    if mode != JUST and not same:
        pixels = pictures.cut_to(pixels, size) if mode == CROP else pictures.resized(pixels, size, FILL)
    return take(pictures.png(pixels), None)


def find_module(name: str | None) -> str:
    """Return `none`, `invert`, or the kind of map that a module draws.

    Raises:
        UnknownName: there is no such module.
    """
    wanted = (name or NONE).strip().casefold()
    if wanted in ("", NONE):
        return NONE
    if wanted.startswith(INVERT):
        return INVERT
    if wanted not in ANNOTATORS and wanted not in ALIASES:
        known = [NONE, INVERT, *ANNOTATORS, *ALIASES]
        raise UnknownName("module", str(name)[:100], known, param="module", hint="GET /controlnet/module_list")
    return find_annotator(wanted).kind


def own_kinds(spec: Spec) -> dict[str, str]:
    """Return the maps that a model's own control network takes, by the names under which it is listed."""
    folder = own_folder(spec)
    if folder is None:
        return {}
    record = json.loads((folder / "fantascope.json").read_text("utf-8"))
    digest = next(iter(record.get("weights", {}).values()), "")[:8]
    return {f"{spec.name}_{kind} [{digest}]": kind for kind in record.get("kinds", ())}


def networks(specs: Mapping[str, Spec]) -> list[str]:
    """Return the control networks of the catalogue."""
    return [name for name, spec in specs.items() if spec.family == "control"]


def _model(name: str | None, module: str, spec: Spec, specs: Mapping[str, Spec]) -> tuple[str, str | None]:
    """Return kind of map and control network of a unit's model and module; None is the usual network."""
    wanted = (name or "").strip()
    bare = wanted.partition(" [")[0]
    if bare.casefold() in names.NOTHING:
        if module in (NONE, INVERT):
            raise InvalidValue("A unit names a model, or a module that says what its map shows.", param="model")
        return module, None
    for listed, kind in own_kinds(spec).items():
        if bare == listed.partition(" [")[0]:
            return (kind if module in (NONE, INVERT) else module), None
    for network in networks(specs):
        if bare in (network, specs[network].source.rsplit("/", 1)[-1]):
            return (_kind_of(network) if module in (NONE, INVERT) else module), network
    known = [*own_kinds(spec), *networks(specs)]
    raise UnknownName("control network", wanted[:100], known, param="controlnet", hint="GET /controlnet/model_list")


def _kind_of(network: str) -> str:
    """Return the kind of map that a network of the catalogue takes; its name says it where the table does not."""
    for (_, kind), usual in CONTROLS.items():
        if usual == network:
            return kind
    for kind in ANNOTATORS:
        if kind in network:
            return kind
    raise InvalidValue(f"Which maps {network!r} takes is not known here: name a module, too.", param="module")


def parameters_of(annotator: Annotator, resolution: float | None, a: float | None, b: float | None) -> dict[str, Any]:
    """Return an annotator's parameters from a unit's sliders; one out of range is left out, as in the extension."""
    told = dict(zip(SLIDERS.get(annotator.kind, ()), (a, b), strict=False)) | {"resolution": resolution}
    found: dict[str, Any] = {}
    for param in annotator.params:
        value = told.get(param.name)
        if value is not None and param.low <= value <= param.high:
            found[param.name] = round(value) if isinstance(param.default, int) else value
    return found


def _perfect(raw: Size, size: Size, mode: int) -> float:
    """Return the short side at which a picture is looked at where `pixel_perfect` is on: that of its place."""
    across, down = size[0] / raw[0], size[1] / raw[1]
    side = (min if mode == FILL else max)(across, down) * min(raw)
    low, high = 128, 1024
    return float(min(high, max(low, round(side))))


def _resize(value: str | int | None) -> int:
    if value is None:
        return CROP
    if isinstance(value, int):
        if not 0 <= value <= 3:
            raise InvalidValue(f"resize_mode is 0 to 3, not {value}.", param="resize_mode")
        return JUST if value == pictures.LATENT else value
    return RESIZE[names.one_of(value, RESIZE, "resize_mode", "resize mode")]


def _mode(value: str | int | None) -> str:
    """Return the control mode.

    Raises:
        InvalidValue: there is none, or it is the one that cannot be given.
    """
    if isinstance(value, int):
        if not 0 <= value < len(MODES):
            raise InvalidValue(f"control_mode is 0 to {len(MODES) - 1}, not {value}.", param="control_mode")
        value = MODES[value]
    found = names.one_of(MODES[0] if value is None else value, MODES, "control_mode", "control mode")
    if found == MODES[1]:
        raise InvalidValue(
            f"{found!r} is not done here: {MODES[0]!r} and {MODES[2]!r} are.",
            param="control_mode",
            hint="A smaller weight, or an earlier guidance_end, leaves more to the prompt.",
        )
    return found
