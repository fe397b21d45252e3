"""The web UI's options, of each caller alone and in memory: those that mean something here, those that mean nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fantascope.serve.a1111.names as names
from fantascope.errors import InvalidValue, UnknownName
from fantascope.spec import Spec, find_spec

FORMATS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
MOST_LAYERS = 12

FIXED: dict[str, tuple[Any, ...]] = {
    "sd_vae": ("Automatic", "None", "", None),
    "sd_hypernetwork": ("None", "", None),
    "face_restoration": (False, None),
    "face_restoration_model": ("None", "", None),
    "eta_noise_seed_delta": (0, None),
    "token_merging_ratio": (0, None),
    "token_merging_ratio_hr": (0, None),
    "token_merging_ratio_img2img": (0, None),
    "tiling": (False, None),
    "randn_source": ("CPU", None),
}
"""Options that have one meaning here -> the values that say so; any other is refused."""

IDLE = (
    "add_model_",
    "do_not_",
    "directories_",
    "enable_pnginfo",
    "export_",
    "filter_nsfw_content",
    "grid_",
    "live_preview_",
    "outdir_",
    "return_",
    "samples_",
    "save_",
    "sd_checkpoint_",
    "sd_checkpoints_",
    "send_",
    "show_",
    "ui_",
)
"""How names begin that change no picture: what is saved where, and what a window shows. They are taken and forgotten.

`filter_nsfw_content` is among them because the policy of this server is not a client's to switch.
"""


@dataclass(frozen=True)
class Wish:
    """What options come to for one request.

    Attributes:
        spec: The model.
        clip_skip: Layers of the text encoder left out at its end; None where nobody said.
        format, quality: Of the files; None where nobody said.
        previews: Whether steps show what they are at; None where nobody said.
    """

    spec: Spec
    clip_skip: int | None = None
    format: str | None = None
    quality: int | None = None
    previews: bool | None = None


def check(given: Mapping[str, Any], specs: Mapping[str, Spec]) -> dict[str, Any]:
    """Return the options that mean something, checked; a model by its name.

    Raises:
        UnknownName: there is no such option, or no such model.
        InvalidValue: a value is not one that this server can give.
    """
    kept: dict[str, Any] = {}
    for name, value in given.items():
        if name in READERS:
            if value is not None:
                kept[name] = READERS[name](name, value, specs)
        elif name in FIXED:
            if value not in FIXED[name]:
                allowed = " or ".join(repr(one) for one in FIXED[name] if one not in ("", None))
                raise InvalidValue(f"The option {name} can be {allowed} here, not {str(value)[:60]!r}.", param=name)
        elif not name.startswith(IDLE):
            known = [*READERS, *FIXED]
            raise UnknownName("option", name[:100], known, param="option", hint="GET /sdapi/v1/options")
    return kept


def wish_of(kept: Mapping[str, Any], override: Mapping[str, Any], specs: dict[str, Spec], usual: str) -> Wish:
    """Return what a caller's options and those of a request come to.

    Args:
        kept: Checked, of the caller.
        override: Checked, of the request: they win.
        usual: Name of the model where nobody names one.

    Raises:
        UnknownName: the model that was chosen before is gone.
    """
    told = {**kept, **override}
    layers = told.get("CLIP_stop_at_last_layers")
    return Wish(
        spec=find_spec(told.get("sd_model_checkpoint", usual), specs),
        clip_skip=None if layers is None else layers - 1,
        format=told.get("samples_format"),
        quality=told.get("jpeg_quality"),
        previews=told.get("live_previews_enable"),
    )


def shown(kept: Mapping[str, Any], specs: dict[str, Spec], usual: str) -> dict[str, Any]:
    """Return a caller's options as the web UI shows them."""
    wish = wish_of(kept, {}, specs, usual)
    defaults = wish.spec.defaults
    form = wish.format or defaults.format
    digest = names.weights_hash(wish.spec)
    return {
        "sd_model_checkpoint": names.title(wish.spec),
        "sd_checkpoint_hash": digest or "",
        "CLIP_stop_at_last_layers": (defaults.clip_skip if wish.clip_skip is None else wish.clip_skip) + 1,
        "samples_format": "jpg" if form == "jpeg" else form,
        "jpeg_quality": defaults.quality if wish.quality is None else wish.quality,
        "live_previews_enable": wish.previews is not False,
        **{name: allowed[0] for name, allowed in FIXED.items()},
        "samples_save": True,
        "return_grid": False,
        "filter_nsfw_content": True,
    }


def _model(name: str, value: Any, specs: Mapping[str, Spec]) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{name} is the title of a model.", param=name)
    return names.find_model(value, specs).name


def _layers(name: str, value: Any, specs: Mapping[str, Spec]) -> int:
    return _whole(name, value, 1, MOST_LAYERS)


def _quality(name: str, value: Any, specs: Mapping[str, Spec]) -> int:
    return _whole(name, value, 1, 100)


def _format(name: str, value: Any, specs: Mapping[str, Spec]) -> str:
    if not isinstance(value, str) or value.lower() not in FORMATS:
        raise InvalidValue(f"{name} is one of {', '.join(FORMATS)}, not {str(value)[:60]!r}.", param=name)
    return FORMATS[value.lower()]


def _flag(name: str, value: Any, specs: Mapping[str, Spec]) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(f"{name} is true or false, not {str(value)[:60]!r}.", param=name)
    return value


def _whole(name: str, value: Any, low: int, high: int) -> int:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
    if not good or value != int(value):
        raise InvalidValue(f"{name} is a whole number from {low} to {high}, not {str(value)[:60]!r}.", param=name)
    return int(value)


READERS: dict[str, Any] = {
    "sd_model_checkpoint": _model,
    "CLIP_stop_at_last_layers": _layers,
    "samples_format": _format,
    "jpeg_quality": _quality,
    "live_previews_enable": _flag,
}
"""Options that mean something -> what checks a value."""
