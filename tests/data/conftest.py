"""A tiny folder of sources with a few drawings, so that no test needs a download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fantascope.data.compose import Composer
from fantascope.data.gather import gather
from fantascope.data.vocabulary import Concept

ICONS: dict[str, Any] = {
    "width": 32,
    "height": 32,
    "icons": {
        "disc": {"body": '<circle cx="16" cy="16" r="13" fill="#ff9933"/><circle cx="12" cy="12" r="2" fill="#222"/>'},
        "box": {"body": '<path fill="#3377ee" d="M4 4h24v24H4z"/><path fill="#fff" d="M8 8h6v6H8z"/>'},
        "leaf": {"body": '<path fill="#22aa44" d="M16 2c10 10 10 20 0 28C6 22 6 12 16 2"/>'},
    },
    "aliases": {"ball": {"parent": "disc"}},
}

SOURCES = """
[flat]
kind = "iconify"
package = "@t/icons"
folder = "node_modules/@t/icons"
trains = "generator"
checked = 2026-11-20

[clipart]
kind = "openclipart"
package = "openclipart-svg"
folder = "openclipart/usr/share/openclipart/svg"
trains = "generator"
checked = 2026-11-20
"""

VOCABULARY = """
[disc]
names = ["disc"]
plurals = ["discs"]
draw = {flat = "disc", clipart = "discs/disc_ann.svg"}
[box]
names = ["box"]
plurals = ["boxes"]
weight = 3
draw = {flat = "box"}
[leaf]
names = ["leaf"]
plurals = ["leaves"]
draw = {flat = "leaf"}
"""

CONCEPTS = {
    "disc": Concept("disc", ("disc",), ("discs",), kind="disc", draw={"flat": "disc", "clipart": "discs/disc_ann.svg"}),
    "box": Concept("box", ("box",), ("boxes",), weight=3.0, kind="box", draw={"flat": "box"}),
    "leaf": Concept("leaf", ("leaf",), ("leaves",), kind="leaf", draw={"flat": "leaf"}),
}

PUBLIC_DOMAIN = "http://web.resource.org/cc/PublicDomain"


def clip(author: str = "Ann", licence: str = PUBLIC_DOMAIN) -> str:
    """A drawing with its author and licence inside, as openclipart's are."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/" viewBox="0 0 40 40">'
        f'<metadata><rdf:RDF><cc:Work><cc:license rdf:resource="{licence}"/><dc:creator><cc:Agent>'
        f"<dc:title>{author}</dc:title></cc:Agent></dc:creator></cc:Work></rdf:RDF></metadata>"
        '<circle cx="20" cy="20" r="12" fill="#cc2222"/></svg>'
    )


def write_package(root: Path, name: str = "@t/icons", spdx: str = "MIT", icons: dict[str, Any] = ICONS) -> Path:
    """Write an Iconify package as npm unpacks it."""
    folder = root / "node_modules" / name
    folder.mkdir(parents=True)
    info = {"name": "Test Icons", "author": {"name": "Ann", "url": "https://example.org"}, "license": {"spdx": spdx}}
    for part, data in (("icons", icons), ("info", info), ("package", {"name": name, "version": "1.0.0"})):
        (folder / f"{part}.json").write_text(json.dumps(data), "utf-8")
    (folder / "license.txt").write_text(f"The text of {spdx}.\n", "utf-8")
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of sources: one Iconify package, one openclipart folder, and the list of both."""
    folder = tmp_path / "sources"
    write_package(folder)
    clips = folder / "openclipart" / "usr" / "share" / "openclipart" / "svg" / "discs"
    clips.mkdir(parents=True)
    (clips / "disc_ann.svg").write_text(clip(), "utf-8")
    (folder / "sources.toml").write_text(SOURCES, "utf-8")
    return folder


@pytest.fixture
def composer(root: Path) -> Composer:
    pytest.importorskip("pyvips")
    return Composer(gather(root, CONCEPTS, _none)[0], CONCEPTS)


@pytest.fixture
def told() -> tuple[list[str], Callable[[str], None]]:
    """What was told of skipped drawings, and what tells it."""
    lines: list[str] = []
    return lines, lines.append


def _none(line: str) -> None:
    raise AssertionError(f"unexpectedly skipped: {line}")
