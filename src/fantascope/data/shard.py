"""Scenes as WebDataset shards: plain tar files of `{seed}.png`, `{seed}.txt` and `{seed}.json`.

The same drawings, words and number of scenes give the same bytes. A shard is written beside and moved into its place,
and `index.json` lists it only then, so that a build that was stopped anywhere goes on with the first shard that is not
listed.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from fantascope.data.batches import fingerprint
from fantascope.data.card import Tally
from fantascope.data.compose import Composer
from fantascope.data.scene import Scene, plan
from fantascope.data.vocabulary import Concept
from fantascope.errors import BrokenModelFile
from fantascope.provenance.training import Row, root_hash

INDEX = "index.json"
NAMES = "[0-9]*.tar"
FORM = 1
"""Raised when the members of a shard change."""


def write_shards(
    composer: Composer, concepts: dict[str, Concept], rows: Sequence[Row], folder: Path, scenes: int, shard: int
) -> Iterator[Scene]:
    """Write the scenes 0 to `scenes` - 1 and `index.json`; shards of the same making are kept.

    Args:
        composer: Draws.
        concepts: What is drawn.
        rows: Ledger rows of all drawings; each sample names those of what it shows.
        folder: Of the shards.
        scenes: How many.
        shard: Scenes a shard.

    Yields:
        Every scene, once it is written or was found written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = _fingerprint(composer, concepts, rows, shard)
    known = _known(folder, made)
    names = Names(concepts, rows)
    tally, listed = Tally(), list[dict[str, Any]]()
    starts = range(0, scenes, shard)
    for path in sorted(folder.glob(NAMES)):
        if int(path.stem) >= len(starts):
            path.unlink()
    for path in folder.glob("[0-9]*.new"):
        path.unlink()
    for number, first in enumerate(starts):
        last, path = min(first + shard, scenes), folder / f"{number:06d}.tar"
        entry = known.get(path.name, {})
        kept = entry.get("last") == last and path.is_file() and _sha256(path) == entry["sha256"]
        if not kept:
            new = path.with_suffix(".new")
            with tarfile.open(new, "w", format=tarfile.USTAR_FORMAT) as tar:
                for seed in range(first, last):
                    scene = plan(seed, concepts)
                    _add(tar, scene, composer, names)
                    tally.add(scene)
                    yield scene
            entry = {"file": path.name, "first": first, "last": last, "sha256": _sha256(new)}
            new.replace(path)
        else:
            for seed in range(first, last):
                scene = plan(seed, concepts)
                tally.add(scene)
                yield scene
        listed.append(entry)
        _write_index(folder, made, rows, [*listed, *(known[k] for k in sorted(known) if k > path.name)], tally)
    _write_index(folder, made, rows, listed, tally)


class Names:
    """Which ledger rows a scene shows: those of its drawings, and the project's own for its backdrop."""

    def __init__(self, concepts: Mapping[str, Concept], rows: Sequence[Row]) -> None:
        self._draw = {key: concept.draw for key, concept in concepts.items()}
        self._hash: dict[tuple[str, str], str] = {(row["source"], row["name"]): row["sha256"] for row in rows}
        self._own = {row["name"]: row["sha256"] for row in rows if row["source"] == "backdrop"}

    def drawing(self, concept: str, source: str) -> str:
        """SHA-256 of a concept's drawing in a source."""
        return self._hash[source, self._draw[concept][source]]

    def of(self, scene: Scene) -> list[str]:
        """SHA-256 of everything that a scene shows, each once."""
        shown = [self.drawing(thing.concept, thing.source) for thing in scene.things]
        own = [sha for name, sha in self._own.items() if name == "backdrops" or scene.figures]
        return list(dict.fromkeys([*shown, *own]))


def read_index(folder: Path) -> dict[str, Any]:
    """Read `index.json`, an empty one where there is none.

    Raises:
        BrokenModelFile: It is not JSON.
    """
    path = folder / INDEX
    if not path.is_file():
        return {}
    try:
        index: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise BrokenModelFile(f"{path} is not JSON: {error}.", hint=f"Remove {path} and build again.") from error
    return index


def _fingerprint(composer: Composer, concepts: dict[str, Concept], rows: Sequence[Row], shard: int) -> str:
    """Hash over all that decides the bytes of a shard, the versions that draw and compress included."""
    versions = [FORM, PIL.__version__, np.__version__]
    told = [fingerprint(composer, concepts), root_hash(rows), versions, shard]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _known(folder: Path, made: str) -> dict[str, dict[str, Any]]:
    index = read_index(folder)
    return {entry["file"]: entry for entry in index.get("shards", ())} if index.get("fingerprint") == made else {}


def _add(tar: tarfile.TarFile, scene: Scene, composer: Composer, names: Names) -> None:
    told = asdict(scene)
    for thing in told["things"]:
        thing["sha256"] = names.drawing(thing["concept"], thing["source"])
    told["rows"] = names.of(scene)
    members = (
        ("png", png(composer.render(scene))),
        ("txt", scene.caption.encode()),
        ("json", json.dumps(told, sort_keys=True).encode()),
    )
    for ending, data in members:
        member = tarfile.TarInfo(f"{scene.seed:09d}.{ending}")
        member.size, member.mode, member.mtime = len(data), 0o644, 0
        tar.addfile(member, io.BytesIO(data))


def png(picture: Image.Image) -> bytes:
    """Encode an RGB picture; the same pixels give the same bytes."""
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=6)
    return file.getvalue()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_index(folder: Path, made: str, rows: Sequence[Row], shards: Sequence[dict[str, Any]], tally: Tally) -> None:
    counts = {title: dict(sorted(found.items())) for title, found in tally.counts.items()}
    index = {
        "fingerprint": made,
        "ledger": root_hash(rows),
        "scenes": tally.scenes,
        "captions": len(tally.captions),
        "counts": counts,
        "shards": list(shards),
    }
    new = folder / f"{INDEX}.new"
    new.write_text(json.dumps(index, indent=1, sort_keys=True) + "\n", "utf-8")
    new.replace(folder / INDEX)
