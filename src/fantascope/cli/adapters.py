"""`fantascope adapters`: the collection of small files that change a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fantascope.cli import adapters_make
from fantascope.cli.lines import emit, plain

app = typer.Typer(
    help="List, search, show, add, remove, merge, export and fuse adapters: LoRA and its relatives.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="name of an adapter")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]
MOST_METADATA = 12
"""Lines of metadata that are shown; `--json` shows all."""


def known() -> dict[str, Any]:
    """Return the collection of this studio."""
    from fantascope.adapter import collection
    from fantascope.settings import Settings

    return collection(Settings.from_env().adapters)


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="a .safetensors file")],
    name: Annotated[str, typer.Option("--name", help="what to call it")],
    base: Annotated[str, typer.Option("--base", help="model it was made for (fantascope models list)")],
    licence: Annotated[str, typer.Option("--licence", help="SPDX id of its licence")] = "",
    trigger: Annotated[
        list[str] | None, typer.Option("--trigger", help="a word that calls for what it learned; may be repeated")
    ] = None,
    consent: Annotated[
        str, typer.Option("--consent", help="what is known of the consent of people and authors in its pictures")
    ] = "",
    parent: Annotated[list[str] | None, typer.Option("--parent", help="what it was made from; may be repeated")] = None,
    samples: Annotated[str | None, typer.Option("--samples", help="id of a grid of sample pictures")] = None,
    as_json: Json = False,
) -> None:
    """Add an adapter: it is checked layer by layer against its base, hashed and copied in; nothing in it is run."""
    from fantascope.engines.adapters.collection import add_adapter
    from fantascope.settings import Settings

    adapter = add_adapter(
        file,
        name=name,
        base=base,
        licence=licence,
        trigger=tuple(trigger or ()),
        consent=consent,
        parents=tuple(parent or ()),
        samples=samples,
        settings=Settings.from_env(),
    )
    adapters_make.told(adapter, as_json)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the adapters, with the model each was made for, its kind and its licence."""
    _lines(known().values(), as_json)


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="words, all of which must be in its record")],
    as_json: Json = False,
) -> None:
    """Find adapters by name, title, trigger words, base, method, licence or anything in their metadata."""

    def text(one: Any) -> str:
        facts = (one.name, one.title, one.base, one.family, one.kind, one.licence.spdx, one.consent, *one.doubts)
        return "\n".join([*facts, *one.trigger, *one.parents, *one.metadata, *one.metadata.values()]).casefold()

    _lines([one for one in known().values() if all(word.casefold() in text(one) for word in words)], as_json)


def _lines(adapters: Any, as_json: bool) -> None:
    for adapter in adapters:
        if as_json:
            emit("adapter", adapter.model_dump(mode="json"))
        else:
            doubt = " ?" if adapter.doubts else ""
            words = plain(", ".join(adapter.trigger), 40)
            print(f"{adapter.name:<20} {adapter.base:<12} {adapter.kind:<24} {adapter.licence.spdx}{doubt}  {words}")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show one adapter: what it changes, licence and what contradicts it, consent, parents, hashes, metadata."""
    from fantascope.adapter import find_adapter
    from fantascope.settings import Settings

    adapter = find_adapter(name, Settings.from_env().adapters)
    if as_json:
        emit("adapter", adapter.model_dump(mode="json"))
        return
    licence = adapter.licence
    allowed = {True: "commercial use allowed", False: "not for commercial use", None: "read the conditions"}
    rows: list[tuple[str, str]] = [
        ("name", adapter.name),
        ("title", adapter.title),
        ("base", f"{adapter.base} (fits {adapter.family})"),
        ("method", adapter.kind + (f", alpha {adapter.alpha:g}" if adapter.alpha is not None else "")),
        ("changes", f"{adapter.layers} layers of {' and '.join(adapter.parts)}" if adapter.layers else "a word"),
        ("trigger", ", ".join(adapter.trigger) or "-"),
        ("licence", f"{licence.spdx} · {allowed[licence.commercial]}"),
        *(("but", doubt) for doubt in adapter.doubts),
        ("consent", adapter.consent or "nothing is said"),
        ("parents", ", ".join(adapter.parents) or "-"),
        ("samples", adapter.samples or "-"),
        ("owner", adapter.owner or "everybody"),
        ("added", adapter.created),
        ("sha256", adapter.sha256),
        ("A1111 hash", adapter.data_sha256[:12]),
        *list(adapter.metadata.items())[:MOST_METADATA],
    ]
    for key, value in rows:
        print(f"{plain(key):<11} {plain(value, 160)}")
    if len(adapter.metadata) > MOST_METADATA:
        print(f"… and {len(adapter.metadata) - MOST_METADATA} more entries of metadata (--json)")


@app.command()
def share(name: Name) -> None:
    """Let everybody on a server use an adapter that somebody taught there; until then it is theirs alone."""
    from fantascope.engines.adapters.collection import change_adapter
    from fantascope.settings import Settings

    change_adapter(name, Settings.from_env(), owner="")
    print(f"{name} is everybody's")


@app.command()
def remove(name: Name) -> None:
    """Forget an adapter and delete its copy. Pictures made with it keep its hash in their record."""
    from fantascope.engines.adapters.collection import remove_adapter
    from fantascope.settings import Settings

    remove_adapter(name, Settings.from_env())
    print(f"removed {name}")


app.command()(adapters_make.merge)
app.command()(adapters_make.export)
app.command()(adapters_make.fuse)
