"""What an adapter may be used for, and where its file, or the model it was made from, says something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fantascope.engines.identify import COMMERCIAL, OF_HUB
from fantascope.spec import Licence, Spec

FLAGS = ("allowCommercialUse", "allowNoCredit", "allowDerivatives", "allowDifferentLicense")
"""Civitai's permissions: for which commercial uses, without credit, for derivatives, under another licence."""

CIVITAI = "civitai."
"""Beginning of their names in a record's metadata."""

BESIDE = (".civitai.info", ".metadata.json", ".json")
"""Endings of files beside an adapter in which its downloaders keep what Civitai says of it."""

MOST = 4 * 2**20
FREE = ("CC0-1.0", "Unlicense", "0BSD", "WTFPL")
"""Licences that ask for no credit."""


def flags_of(file: Path) -> dict[str, str]:
    """Return Civitai's permissions from a file beside an adapter, as metadata; nothing if there is none."""
    for ending in BESIDE:
        path = file.with_name(file.stem + ending)
        try:
            if not path.is_file() or path.stat().st_size > MOST:
                continue
            found = _flags(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, RecursionError):
            continue
        if found:
            return {CIVITAI + name: json.dumps(value) for name, value in found.items()}
    return {}


def _flags(data: Any, depth: int = 4) -> dict[str, Any]:
    """Return the permissions in an object or one inside it."""
    if not isinstance(data, dict) or depth == 0:
        return {}
    own = {name: data[name] for name in FLAGS if name in data}
    inner = (_flags(value, depth - 1) for value in data.values())
    return own or next((found for found in inner if found), {})


def _permissions(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the permissions that metadata hold, under Civitai's names with or without `civitai.` before them."""
    out = {}
    for name in FLAGS:
        said = metadata.get(CIVITAI + name, metadata.get(name))
        if said is not None:
            try:
                out[name] = json.loads(said)
            except (ValueError, RecursionError):
                out[name] = {"true": True, "false": False}.get(said.strip().lower(), said)
    return out


def judged(spdx: str, metadata: Mapping[str, str], base: Spec) -> tuple[Licence, tuple[str, ...]]:
    """Return the licence of an adapter as stated, and what contradicts it.

    Where the file's permissions forbid commercial use, they hold, whatever the licence that is stated allows.

    Args:
        spdx: As stated by whoever adds it.
        metadata: Of the file, with the permissions that were found beside it.
        base: The model it changes.
    """
    commercial, doubts = COMMERCIAL.get(spdx), []
    own = metadata.get("modelspec.license", "").strip()
    if own and OF_HUB.get(own.lower(), own).lower() != spdx.lower():
        doubts.append(f"the file says {own[:80]!r} (modelspec.license), not {spdx}")
    said = _permissions(metadata)
    uses = said.get("allowCommercialUse")
    if uses is not None and not _sells(uses):
        if commercial is not False:
            doubts.append(f"Civitai's permissions forbid selling pictures made with it, and {spdx} was stated")
        commercial = False
    if said.get("allowNoCredit") is False and spdx in FREE:
        doubts.append(f"Civitai's permissions ask for credit, and {spdx} asks for none")
    if said.get("allowDifferentLicense") is False:
        doubts.append("Civitai's permissions allow no other licence for what is merged from it")
    if said.get("allowDerivatives") is False:
        doubts.append("Civitai's permissions allow no merges of it")
    if base.licence.commercial is False and commercial is not False:
        doubts.append(f"its base {base.name!r} is under {base.licence.spdx}, which forbids commercial use")
    if base.licence.conditions is not None and base.licence.spdx != spdx:
        doubts.append(
            f"its base {base.name!r} is under {base.licence.spdx}, whose conditions pass on: {base.licence.conditions}"
        )
    return Licence(spdx=spdx, commercial=commercial), tuple(doubts)


def _sells(uses: Any) -> bool:
    """Say whether a list of commercial uses (or Civitai's older single word) allows selling pictures."""
    if isinstance(uses, bool):
        return uses
    named = uses if isinstance(uses, list) else [part.strip(" {}'\"") for part in str(uses).split(",")]
    return any(str(use).lower() in ("image", "sell") for use in named)
