"""Bringing drawings and words together: every drawing that the concepts use and that may and can be drawn.

What is left out is named, and its concept loses it: no scene is planned with a drawing that is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from fantascope.data.compose import RASTER, rasterise
from fantascope.data.sources import Skipped, Source, Sprite, read_sources, read_sprites
from fantascope.data.vocabulary import Concept, drawings
from fantascope.errors import InvalidValue

Watch = Callable[[list[Sprite]], Iterable[Sprite]]
"""Passes on drawings, one by one, and may show how far it is."""

PROBE = 32
"""Side in px at which a drawing is tried."""


def gather(
    root: Path,
    concepts: Mapping[str, Concept],
    skipped: Skipped,
    *,
    sources: Mapping[str, Source] | None = None,
    trains: str = "generator",
    opted_out: Mapping[str, str] | None = None,
    cache: Path | None = None,
    watch: Watch = iter,
) -> tuple[list[Sprite], dict[str, Concept]]:
    """Return the drawings that concepts use in all sources of one use, and the concepts that can be drawn with them.

    Drawings that only earlier trainings showed (`Source.also`) come with them; no scene can show one.

    Args:
        root: Folder of sources.
        concepts: What names the drawings.
        skipped: Told, in a sentence, of every drawing and every concept that is left out.
        sources: Source rows; if not given, those of `sources.toml` in the folder, else of the embedded checkpoint.
        trains: `generator` or `detector`.
        opted_out: See `read_sprites`.
        cache: Folder of rasters (see `Composer`): a drawing that has one there is not tried again.
        watch: Wraps the drawings while they are tried.

    Raises:
        ModelNotFound, LicenceMissing, BrokenModelFile: A package is missing, may not be trained on, or cannot be read.
        InvalidValue: Not one concept can be drawn.
    """
    if sources is None:
        sources = read_sources(root / "sources.toml" if (root / "sources.toml").is_file() else None)
    rows = [source for source in sources.values() if source.trains == trains]
    found = [sprite for row in rows for sprite in _read(root, row, drawings(concepts, row.key), skipped, opted_out)]
    kept: dict[tuple[str, str], Sprite] = {}
    for sprite in watch(found):
        reason = why_not_drawable(sprite, cache)
        if reason:
            skipped(reason)
        else:
            kept[sprite.source, sprite.name] = sprite
    keys = {row.key for row in rows}
    drawn = {}
    for key, concept in concepts.items():
        draw = {s: name for s, name in concept.draw.items() if s not in keys or (s, name) in kept}
        if any(source in keys for source in draw) and (trains != "generator" or "flat" in draw):
            drawn[key] = concept if draw == concept.draw else replace(concept, draw=draw)
        elif keys & set(concept.draw):
            skipped(f"concept {key}: none of its drawings is left that it needs")
    if not drawn:
        raise InvalidValue(f"Nothing of the vocabulary can be drawn from {root}.", param="sources")
    used = {(s, name) for concept in drawn.values() for s, name in concept.draw.items()}
    return [sprite for at, sprite in kept.items() if at in used or sprite.trains == "earlier"], drawn


def _read(
    root: Path, row: Source, names: list[str], skipped: Skipped, opted_out: Mapping[str, str] | None
) -> Iterator[Sprite]:
    """The drawings of a source that concepts use, and those that only earlier trainings showed, marked so."""
    yield from read_sprites(root, row, names, skipped, opted_out)
    earlier = [name for name in row.also if name not in set(names)]
    for sprite in read_sprites(root, row, earlier, skipped, opted_out) if earlier else ():
        yield replace(sprite, trains="earlier")


def why_not_drawable(sprite: Sprite, cache: Path | None = None) -> str:
    """Say why an SVG cannot be drawn, or nothing if it can."""
    if cache is not None and (cache / f"{sprite.sha256[:32]}-{RASTER}.png").is_file():
        return ""
    try:
        rasterise(sprite, PROBE)
    except ValueError as error:
        return str(error).splitlines()[0]
    return ""
