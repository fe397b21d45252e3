"""Which control network steers a model: its own, one of the catalogue's, or the usual one for a kind."""

from __future__ import annotations

from pathlib import Path

from fantascope.errors import Unsupported
from fantascope.settings import Settings
from fantascope.spec import CONTROLS, EMBEDDED, Spec, catalogue, find_spec

OWN = "control"
"""Folder in a checkpoint that holds a control network of its own."""

DRAWN = {"fake_scribble": "scribble", "sketch": "scribble", "xdog": "scribble", "regions": "segmentation"}
"""Kinds of map that a network takes as another: they look alike."""


def control_spec(base: Spec, kind: str, network: str | None, settings: Settings) -> tuple[Spec, str]:
    """Return the Spec whose place holds the control network, and the folder in that place.

    Args:
        base: The model that paints.
        kind: Of the map.
        network: Name of a control network of the catalogue; None takes the model's own, else the usual one.

    Raises:
        UnknownName: no network of that name.
        Unsupported: it is no control network, is one for another family, or there is none for this kind.
    """
    if network is None and own_folder(base) is not None:
        return base, OWN
    specs = catalogue(settings.models)
    name = network if network is not None else CONTROLS.get((base.family, kind))
    if name is None:
        known = sorted({one for family, one in CONTROLS if family == base.family})
        told = f"There is no control network for {kind!r} with {base.name!r}"
        more = f"; there is for {', '.join(known)}" if known else ""
        raise Unsupported(
            f"{told}{more}.",
            param="controls",
            hint="fantascope models add dir:FOLDER --name NAME, then give the network by that name",
        )
    spec = find_spec(name, specs)
    if spec.family != "control":
        raise Unsupported(f"{name!r} is a model that paints, not a control network.", param="controls")
    return spec, ""


def own_folder(spec: Spec) -> Path | None:
    """Return the folder of a checkpoint's own control network, if it has one."""
    if spec.kind not in ("embedded", "dir"):
        return None
    root = EMBEDDED.parent / spec.place if spec.kind == "embedded" else Path(spec.place).expanduser()
    return root / OWN if (root / OWN / "config.json").is_file() else None
