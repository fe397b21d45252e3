"""A tiny Iconify package with three drawings, so that no test needs a download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "icons"
    folder.mkdir()
    info = {"name": "Test Icons", "author": {"name": "Ann", "url": "https://example.org"}, "license": {"spdx": "MIT"}}
    for part, data in (("icons", ICONS), ("info", info), ("package", {"name": "@t/icons", "version": "1.0.0"})):
        (folder / f"{part}.json").write_text(json.dumps(data), "utf-8")
    return folder
