"""`fantascope adapters merge`, `export` and `fuse`: new files out of the collection."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli.lines import emit, plain
from fantascope.errors import InvalidValue, LicenceMissing

if TYPE_CHECKING:
    from fantascope.adapter import Adapter
    from fantascope.settings import Settings

Weighed = Annotated[list[str], typer.Argument(help="adapters, NAME or NAME:WEIGHT")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]


def told(adapter: Any, as_json: bool) -> None:
    """Say that an adapter was added, and what contradicts its licence."""
    if as_json:
        emit("adapter", adapter.model_dump(mode="json"))
        return
    on = f"{adapter.layers} layers of" if adapter.layers else "a word for"
    parts = " and ".join(adapter.parts)
    print(f"added {adapter.name}: {adapter.kind}, {on} {parts}, {plain(adapter.licence.spdx)}")
    if adapter.tokens:
        print(f"its word: {plain(adapter.trigger[0])} ({adapter.tokens} vectors)")
    for doubt in adapter.doubts:
        print(f"licence: {plain(doubt)}", file=sys.stderr)


def read_names(names: Sequence[str], settings: Settings) -> list[tuple[Adapter, float]]:
    """Read `NAME` and `NAME:WEIGHT` words.

    Raises:
        InvalidValue: a weight is no number from -4 to 4, or a name is there twice.
        UnknownName: there is no such adapter.
    """
    from fantascope.adapter import find_adapter

    found: list[tuple[Adapter, float]] = []
    for text in names:
        name, mark, said = text.partition(":")
        try:
            weight = float(said) if mark else 1.0
        except ValueError:
            weight = float("nan")
        if not -4 <= weight <= 4:
            raise InvalidValue(f"NAME:WEIGHT has a weight from -4 to 4, not {text!r}.", param="names")
        if name in {adapter.name for adapter, _ in found}:
            raise InvalidValue(f"The adapter {name!r} is given twice.", param="names")
        found.append((find_adapter(name, settings.adapters), weight))
    return found


def merge(
    names: Weighed,
    name: Annotated[str, typer.Option("--name", help="what to call the result")],
    method: Annotated[str, typer.Option("--method", help="add, svd or ties")] = "add",
    rank: Annotated[
        int | None, typer.Option("--rank", help="of the result: svd, and ties to be no whole difference")
    ] = None,
    density: Annotated[float, typer.Option("--density", help="share of the numbers that ties keeps, 0 to 1")] = 0.2,
    licence: Annotated[str, typer.Option("--licence", help="SPDX id, where the adapters differ in theirs")] = "",
    as_json: Json = False,
) -> None:
    """Make one adapter out of several and add it: exactly (add), to a rank (svd), or by trimmed votes (ties)."""
    from fantascope.engines.adapters.collection import add_adapter, load_adapter
    from fantascope.engines.adapters.fuse import base_weights
    from fantascope.engines.adapters.merge import merge as merged_of
    from fantascope.engines.adapters.tree import tree_of
    from fantascope.engines.adapters.write import write_whole
    from fantascope.settings import Settings
    from fantascope.spec import catalogue, find_spec

    settings = Settings.from_env()
    each = read_names(names, settings)
    first = each[0][0]
    for adapter, _ in each:
        if adapter.family != first.family:
            raise InvalidValue(
                f"{first.name!r} is for {first.family} and {adapter.name!r} for {adapter.family}.", param="names"
            )
    spec = find_spec(first.base, catalogue(settings.models))
    tree = tree_of(spec, settings)
    licences = sorted({adapter.licence.spdx for adapter, _ in each})
    if not licence and len(licences) > 1:
        raise LicenceMissing(
            f"The adapters are under {', '.join(licences)}: say under what licence the result is.",
            param="licence",
            hint="--licence SPDX-ID",
        )
    parsed = [(load_adapter(adapter, tree, settings), weight) for adapter, weight in each]
    merged = merged_of(parsed, method, base_weights(spec, settings), rank=rank, density=density)
    used = [f"{adapter.name}:{weight:g} sha256:{adapter.sha256}" for adapter, weight in each]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.safetensors"
        said = {
            "fantascope.merge": f"{method} of {', '.join(used)}",
            "modelspec.title": f"{method} of {' + '.join(names)}",
        }
        write_whole(file, merged.tensors, said)
        adapter = add_adapter(
            file,
            name=name,
            base=first.base,
            licence=licence or licences[0],
            trigger=tuple(dict.fromkeys(word for adapter, _ in each for word in adapter.trigger)),
            consent="; ".join(dict.fromkeys(filter(None, (adapter.consent for adapter, _ in each)))),
            parents=used,
            doubts=_inherited([adapter for adapter, _ in each], licence or licences[0]),
            settings=settings,
        )
    told(adapter, as_json)
    if not as_json and method != "add" and merged.ranks is not None:
        print(f"what the rank leaves out: {merged.error:.2%} of the norm")


def _inherited(parents: Sequence[Adapter], licence: str) -> list[str]:
    """Return what the parents' records say against the licence of what is merged from them."""
    from fantascope.engines.adapters.licence import FREE

    doubts = [f"{one.name}: {doubt}" for one in parents for doubt in one.doubts if not doubt.startswith("its base ")]
    strict = [one for one in parents if one.licence.spdx != licence and one.licence.spdx not in FREE]
    return doubts + [f"{one.name}, which is in it, is under {one.licence.spdx}" for one in strict]


def export(
    name: Annotated[str, typer.Argument(help="name of an adapter")],
    out: Annotated[Path, typer.Option("--out", "-o", help="a new .safetensors file")],
    layout: Annotated[str, typer.Option("--layout", help="kohya (A1111, Forge, ComfyUI) or diffusers")] = "kohya",
) -> None:
    """Write an adapter to a file in another program's layout; metadata, licence and words go along."""
    from fantascope.adapter import find_adapter
    from fantascope.engines.adapters.collection import load_adapter
    from fantascope.engines.adapters.tree import tree_of
    from fantascope.engines.adapters.write import export_adapter
    from fantascope.settings import Settings
    from fantascope.spec import catalogue, find_spec

    settings = Settings.from_env()
    adapter = find_adapter(name, settings.adapters)
    tree = tree_of(find_spec(adapter.base, catalogue(settings.models)), settings)
    print(export_adapter(load_adapter(adapter, tree, settings), adapter, layout, out))


def fuse(
    names: Weighed,
    base: Annotated[str, typer.Option("--base", help="model to fuse into")],
    out: Annotated[Path, typer.Option("--out", "-o", help="a folder that does not exist yet")],
    licence: Annotated[str, typer.Option("--licence", help="SPDX id, where base and adapters differ in theirs")] = "",
) -> None:
    """Add adapters to a model's weights for good, in a new folder that can be added as a model."""
    from fantascope.engines.adapters.collection import load_adapter
    from fantascope.engines.adapters.fuse import fuse_folder
    from fantascope.engines.adapters.tree import tree_of
    from fantascope.request import Applied
    from fantascope.settings import Settings
    from fantascope.spec import catalogue, find_spec

    settings = Settings.from_env()
    spec = find_spec(base, catalogue(settings.models))
    tree = tree_of(spec, settings)
    each: list[Any] = [
        (Applied(name=adapter.name, weight=weight), adapter, load_adapter(adapter, tree, settings))
        for adapter, weight in read_names(names, settings)
    ]
    folder = fuse_folder(spec, each, out, settings, licence)
    said = f" --licence {licence}" if licence else ""
    print(f"{folder}\nfantascope models add dir:{folder} --name NAME{said}")
