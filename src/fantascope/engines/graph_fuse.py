"""Adapters for exported graphs: a copy of the network's weights with them added, which the same graph reads.

A graph reads its weights at fixed places of a safetensors file beside it. The copy has the same header, so it takes the
file's place; it is made once for a set of adapters and kept in the cache. What switches during a run, or changes what
reads texts, needs the modules and the engine `latent`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fantascope.adapter import Adapter, find_adapter
from fantascope.engines.adapters.apply import Item, check_blocks, weight_of
from fantascope.engines.adapters.collection import load_adapter
from fantascope.engines.adapters.fuse import changes_of, rewrite
from fantascope.engines.adapters.tree import tree_of
from fantascope.errors import RequestError, StorageError
from fantascope.receipt import Weight, canonical
from fantascope.request import Applied
from fantascope.settings import Settings
from fantascope.spec import Spec

SUM = "sha256"
"""File beside a copy with the hash of graph and weights."""

_making = threading.Lock()

KEPT = 4
"""Copies that the cache keeps; the least recently used goes first."""


def obstacle(applied: Sequence[Mapping[str, Any]], spec: Spec, settings: Settings) -> str | None:
    """Say why graphs cannot take these adapters of a request, or return None if they can."""
    for each in applied:
        try:
            adapter = find_adapter(each["name"], settings.adapters)
        except RequestError:
            return f"takes no adapters that are not in the collection ({each['name']!r})"
        if adapter.parts != ("unet",):
            return f"takes no adapters that change what reads texts ({adapter.name!r})"
        if (each.get("start", 0), each.get("end", 1)) != (0, 1):
            return f"takes no adapters that switch during a run ({adapter.name!r})"
    return "takes no adapters on top of a delta" if spec.delta is not None else None


class Fused:
    """The copy of a network's weights for some adapters.

    Attributes:
        key: Names it: what it follows from, hashed.
        weights: The adapters in it, for the receipt.
    """

    def __init__(self, spec: Spec, applied: Sequence[Applied], base: Weight, settings: Settings) -> None:
        self._spec, self._settings = spec, settings
        self._each: list[tuple[Applied, Adapter]] = [
            (one, find_adapter(one.name, settings.adapters)) for one in sorted(applied, key=lambda one: one.name)
        ]
        facts = [[adapter.sha256, one.weight, one.blocks] for one, adapter in self._each]
        self.key = hashlib.sha256(canonical({"base": base.sha256, "adapters": facts})).hexdigest()[:32]
        self.weights = tuple(weight_of(one, adapter) for one, adapter in self._each if one.weight != 0)

    def files(self, graph: Path, weights: Path) -> tuple[Path, Path]:
        """Return graph and weights in a folder of their own, making it if it is not there.

        Raises:
            RequestError, ModelError: as `adapters.collection.load_adapter` says.
            StorageError: the cache cannot be written.
        """
        root = self._settings.cache / "fused"
        folder = root / self.key
        made = folder / graph.name, folder / weights.name
        with _making:
            if not _sound(folder, made):
                self._make(folder, graph, weights)
        with contextlib.suppress(OSError):
            os.utime(folder)
            kept = [path for path in root.iterdir() if not path.name.startswith(".")]
            for old in sorted(kept, key=lambda path: -path.stat().st_mtime)[KEPT:]:
                shutil.rmtree(old, ignore_errors=True)
        return made

    def _make(self, folder: Path, graph: Path, weights: Path) -> None:
        tree = tree_of(self._spec, self._settings)
        each: list[Item] = []
        for one, adapter in self._each:
            check_blocks(one, tree)
            each.append((one, adapter, load_adapter(adapter, tree, self._settings)))
        draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            shutil.copyfile(graph, draft / graph.name)
            shutil.copyfile(weights, draft / weights.name)
            rewrite(draft / weights.name, changes_of(each).get("unet", {}))
            (draft / SUM).write_text(_sum((draft / graph.name, draft / weights.name)), "ascii")
            if not _sound(folder, (folder / graph.name, folder / weights.name)):  # else another process was quicker
                shutil.rmtree(folder, ignore_errors=True)
                draft.rename(folder)
        except OSError as error:
            raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _sum(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sound(folder: Path, files: Sequence[Path]) -> bool:
    """Say whether a copy is there and whole."""
    try:
        return (folder / SUM).read_text("ascii") == _sum(files)
    except (OSError, UnicodeDecodeError):
        return False
