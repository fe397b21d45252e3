"""Pictures to train on, read from packages of openly licensed drawings, each with its whole provenance.

`sources.toml` says which packages; a folder of sources holds them as npm and dpkg unpack them. An Iconify package has
`icons.json` (the drawings), `info.json` (author, SPDX licence) and `package.json` (version). Debian's openclipart has
one SVG a drawing, with author and licence inside.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fantascope.data.licence import check_licence, reason_refused
from fantascope.errors import BrokenModelFile, ModelNotFound, UnknownName

LARGEST = 2_000_000
"""Bytes of SVG beyond which a drawing is skipped."""

Skipped = Callable[[str], None]
"""Told, in a sentence, of every drawing that is left out, and why."""


@dataclass(frozen=True)
class Source:
    """A package of drawings: see `sources.toml`. `also` names drawings that only earlier trainings showed."""

    key: str
    kind: str
    package: str
    folder: str
    trains: str
    checked: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sprite:
    """One vector drawing and where it comes from.

    Attributes:
        source: Key of its source.
        name: The package's own name of the drawing.
        svg: The whole SVG document.
        sha256: Hex digest of `svg` in UTF-8.
        package: Name of the package it came in, and `version` of it.
        author: Who made the drawing, and `url` where they published it.
        licence: SPDX identifier, already checked against the allow list.
        licence_sha256: Hex digest of the licence's text, in UTF-8.
        attribution: The line to print where credit is given.
        consent: On what ground it may be used for training.
        opt_out: When an opt-out was last looked for; none was found, or there would be no sprite.
        trains: `generator`, `detector`, or `earlier` for what only earlier trainings of the shipped weights showed.
    """

    source: str
    name: str
    svg: str
    sha256: str
    package: str
    version: str
    author: str
    url: str
    licence: str
    licence_sha256: str
    attribution: str
    consent: str
    opt_out: str
    trains: str


def read_sources(path: Path | None = None) -> dict[str, Source]:
    """Read source rows: key -> `Source`. Without a path, those of the embedded checkpoint."""
    here = Path(__file__).parent
    rows: dict[str, Any] = tomllib.loads((here / "sources.toml" if path is None else path).read_text("utf-8"))
    if path is None:
        for key, names in tomllib.loads((here / "earlier.toml").read_text("utf-8")).items():
            rows[key]["also"] = names
    facts = {
        key: {**row, "checked": str(row["checked"]), "also": tuple(row.get("also", ()))} for key, row in rows.items()
    }
    return {key: Source(key, **row) for key, row in facts.items()}


def read_sprites(
    root: Path, source: Source, names: Iterable[str], skipped: Skipped, opted_out: Mapping[str, str] | None = None
) -> Iterator[Sprite]:
    """Yield drawings of a source by name; what is broken, unlicensed or opted out is skipped and named.

    Args:
        root: Folder of sources.
        source: Which one.
        names: The drawings wanted, in this order.
        skipped: Told what is left out.
        opted_out: SHA-256 of a drawing, an author's or a package's name -> the reason given; the project's own list
            (`opt_out.toml`) if not given.

    Raises:
        ModelNotFound: The package is not in the folder.
        LicenceMissing: The whole package's licence is not on the allow list.
    """
    folder, gone = root / source.folder, read_opt_outs() if opted_out is None else opted_out
    if source.package in gone:
        skipped(f"{source.package}: opted out ({gone[source.package]})")
        return
    reserved = _reservation(folder)
    if reserved:
        skipped(f"{source.package}: {reserved}")
        return
    reader = {"iconify": _iconify, "openclipart": _openclipart}[source.kind]
    for name, sprite in reader(root, folder, source, list(names), skipped):
        told = gone.get(sprite.sha256) or gone.get(sprite.author)
        mark = re.search(r"noai|noimageai|tdm-reservation", sprite.svg, re.IGNORECASE)
        if told is not None or mark is not None:
            skipped(f"{source.package} {name}: opted out ({told or (mark and mark.group())})")
        elif len(sprite.svg) > LARGEST:
            skipped(f"{source.package} {name}: {len(sprite.svg)} bytes, more than {LARGEST}")
        else:
            yield sprite


def read_opt_outs() -> dict[str, str]:
    """The project's own list of opt-outs: hash, author or package -> reason. Every row is honoured at once."""
    rows: dict[str, str] = tomllib.loads(Path(__file__).with_name("opt_out.toml").read_text("utf-8"))
    return rows


def _reservation(folder: Path) -> str:
    """A machine-readable reservation against text and data mining in a package, or an empty string."""
    for name in ("ai.txt", "tdmrep.json", ".well-known/tdmrep.json"):
        if (folder / name).is_file():
            return f"reserved by {name}"
    return ""


def _iconify(
    root: Path, folder: Path, source: Source, names: list[str], skipped: Skipped
) -> Iterator[tuple[str, Sprite]]:
    icons, info, package = (_read_json(folder / f"{part}.json") for part in ("icons", "info", "package"))
    licence = check_licence(info.get("license", {}).get("spdx"), f"package {package['name']}")
    text = licence_hash(root, folder, licence)
    author = info["author"]["name"]
    for name in names:
        try:
            svg = _svg(icons, name)
        except UnknownName:
            skipped(f"{source.package} {name}: the package has no such drawing")
            continue
        yield (
            name,
            _sprite(
                source,
                name,
                svg,
                package=package["name"],
                version=package["version"],
                author=author,
                url=info["author"].get("url", ""),
                licence=licence,
                licence_sha256=text,
                attribution=f"{info['name']}: {name}, by {author}, {licence}",
                consent=f"licence {licence} permits use, modification and redistribution",
            ),
        )


_PUBLIC_DOMAIN = re.compile(r"(web\.resource\.org/cc/PublicDomain|creativecommons\.org/licenses/publicdomain)")


def _openclipart(
    root: Path, folder: Path, source: Source, names: list[str], skipped: Skipped
) -> Iterator[tuple[str, Sprite]]:
    if not folder.is_dir():
        raise ModelNotFound(
            f"There is no {folder}.",
            param="sources",
            hint="apt-get download openclipart-svg && dpkg -x openclipart-svg_*.deb openclipart",
        )
    doc = folder.parent.parent / "doc" / "openclipart-svg"
    notice = (doc / "copyright").read_bytes() if (doc / "copyright").is_file() else b""
    for name in names:
        path = folder / name
        if not path.is_file() or folder.resolve() not in path.resolve().parents:
            skipped(f"{source.package} {name}: the package has no such drawing")
            continue
        svg = path.read_text("utf-8", "replace")
        stated = re.search(r"<cc:license[^>]*rdf:resource=\"([^\"]*)\"|license[^>]*rdf:resource=\"([^\"]*)\"", svg)
        where = next(filter(None, stated.groups()), "") if stated else ""
        spdx = "PDM-1.0" if _PUBLIC_DOMAIN.search(where) else where or None
        reason = reason_refused(spdx)
        if reason is not None:
            skipped(f"{source.package} {name}: {reason}")
            continue
        author = _author(svg)
        yield (
            name,
            _sprite(
                source,
                name,
                svg,
                package=source.package,
                version="0.18",
                author=author,
                url="https://openclipart.org",
                licence="PDM-1.0",
                licence_sha256=hashlib.sha256(notice).hexdigest(),
                attribution=f"Open Clip Art Library: {name}, by {author}, public domain",
                consent="dedicated to the public domain by its author",
            ),
        )


def _sprite(source: Source, name: str, svg: str, **told: str) -> Sprite:
    """A drawing of a source with its hash and what the source says of all its drawings."""
    digest = hashlib.sha256(svg.encode()).hexdigest()
    return Sprite(source.key, name, svg, digest, **told, opt_out=source.checked, trains=source.trains)


def _author(svg: str) -> str:
    found = re.search(r"<dc:creator>.*?<dc:title>(.*?)</dc:title>", svg, re.DOTALL)
    name = html.unescape(found.group(1)).strip() if found else ""
    return re.sub(r"\s+", " ", name) or "unknown contributor"


def licence_hash(root: Path, folder: Path, spdx: str) -> str:
    """SHA-256 of a licence's text: the package's own file, else the SPDX list's text (npm `spdx-license-list`).

    Raises:
        ModelNotFound: Neither is there.
    """
    for name in ("license.txt", "LICENSE", "LICENSE.txt", "LICENSE.md", "license"):
        if (folder / name).is_file():
            return hashlib.sha256((folder / name).read_bytes()).hexdigest()
    listed = root / "node_modules" / "spdx-license-list" / "licenses" / f"{spdx}.json"
    if not listed.is_file():
        raise ModelNotFound(
            f"There is no text of {spdx}, neither in {folder} nor in the SPDX list.",
            param="sources",
            hint="npm install --ignore-scripts spdx-license-list",
        )
    text = str(_read_json(listed)["licenseText"])
    return hashlib.sha256(text.encode()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelNotFound(
            f"{path.parent} is not complete: it has no {path.name}.",
            param="sources",
            hint=f"npm install --ignore-scripts @iconify-json/{path.parent.name}",
        )
    try:
        data = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise BrokenModelFile(f"{path} is not JSON: {error}.", param="sources") from error
    assert isinstance(data, dict)
    return data


def _svg(icons: dict[str, Any], name: str) -> str:
    """The drawing as an SVG document; aliases without a transform are followed."""
    alias = icons.get("aliases", {}).get(name)
    parent = alias["parent"] if alias and set(alias) == {"parent"} else name
    if parent not in icons["icons"]:
        raise UnknownName("sprite", name, icons["icons"], param="names")
    icon = icons["icons"][parent]
    left, top = icon.get("left", icons.get("left", 0)), icon.get("top", icons.get("top", 0))
    width, height = icon.get("width", icons.get("width", 16)), icon.get("height", icons.get("height", 16))
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{left} {top} {width} {height}">{icon["body"]}</svg>'
