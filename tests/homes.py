"""Studio homes that share what a run of the tests has compiled.

A compiled graph is named by all it depends on and checked when it is read (`engines/test_graph.py`), so homes may share
them. Compiling is most of what the first picture of a fresh home costs.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


@cache
def _compiled() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fantascope-compiled-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def lend(home: Path) -> Path:
    """Give a studio home the graphs that this process has compiled already, and return the home."""
    graphs = home / "cache" / "graphs"
    graphs.parent.mkdir(parents=True, exist_ok=True)
    if not graphs.exists():
        graphs.symlink_to(_compiled())
    return home
