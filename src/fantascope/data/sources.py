"""Pictures to train on, read from an Iconify package folder as npm unpacks it.

Such a folder holds `icons.json` (the drawings), `info.json` (author, SPDX licence) and `package.json` (version). Every
sprite read carries its whole provenance, so that a ledger row can be written for it without asking anybody again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fantascope.data.licence import check_licence
from fantascope.errors import BrokenModelFile, ModelNotFound, UnknownName


@dataclass(frozen=True)
class Sprite:
    """One vector drawing and where it comes from.

    Attributes:
        name: The package's own name of the drawing.
        svg: The whole SVG document.
        sha256: Hex digest of `svg` in UTF-8.
        package: Name of the package it came in, and `version` of it.
        author: Who made the drawing, and `url` where they published it.
        licence: SPDX identifier, already checked against the allow list.
        attribution: The line to print where credit is given.
        consent: On what ground it may be used for training.
    """

    name: str
    svg: str
    sha256: str
    package: str
    version: str
    author: str
    url: str
    licence: str
    attribution: str
    consent: str


def read_iconify(folder: Path, names: Iterable[str] | None = None) -> Iterator[Sprite]:
    """Yield the sprites of an Iconify package folder.

    Args:
        folder: The unpacked package, e.g. `node_modules/@iconify-json/fluent-emoji-flat`.
        names: Only these, in this order; all drawings of the package if not given.

    Raises:
        ModelNotFound: The folder is not an Iconify package.
        LicenceMissing: The package's licence is not on the allow list.
        UnknownName: A name the package does not have.
    """
    icons, info, package = (_read_json(folder / f"{part}.json") for part in ("icons", "info", "package"))
    licence = check_licence(info.get("license", {}).get("spdx"), f"package {package['name']}")
    author = info["author"]["name"]
    drawings: dict[str, Any] = icons["icons"]
    for name in drawings if names is None else names:
        body = _body(icons, name)
        width, height = icons.get("width", 16), icons.get("height", 16)
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{body}</svg>'
        yield Sprite(
            name=name,
            svg=svg,
            sha256=hashlib.sha256(svg.encode()).hexdigest(),
            package=package["name"],
            version=package["version"],
            author=author,
            url=info["author"].get("url", ""),
            licence=licence,
            attribution=f"{info['name']}: {name}, by {author}, {licence}",
            consent=f"licence {licence} permits use, modification and redistribution",
        )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelNotFound(
            f"{path.parent} is not an Iconify package: it has no {path.name}.",
            param="source",
            hint="npm install @iconify-json/fluent-emoji-flat",
        )
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise BrokenModelFile(f"{path} is not JSON: {error}.", param="source") from error
    assert isinstance(data, dict)
    return data


def _body(icons: dict[str, Any], name: str) -> str:
    """The drawing's SVG body; aliases without a transform are followed."""
    alias = icons.get("aliases", {}).get(name)
    parent = alias["parent"] if alias and set(alias) == {"parent"} else name
    if parent not in icons["icons"]:
        raise UnknownName("sprite", name, icons["icons"], param="names")
    return str(icons["icons"][parent]["body"])
