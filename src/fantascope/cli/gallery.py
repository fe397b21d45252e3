"""`fantascope gallery`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fantascope.cli import saving
from fantascope.cli.lines import emit, plain

app = typer.Typer(help="List, show, open, export and remove what was made.", no_args_is_help=True)

app.command("backup")(saving.backup)
app.command("restore")(saving.restore)

Id = Annotated[str, typer.Argument(help="an id, its first letters, or a receipt id")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="how many, newest first")] = 20,
    search: Annotated[str | None, typer.Option("--search", help="words of the prompt")] = None,
    as_json: Json = False,
) -> None:
    """List what was made, newest first."""
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        for entry in studio.gallery.list(limit=limit, text=search):
            if as_json:
                emit("entry", entry)
            else:
                words = entry.prompt if entry.prompt is not None else f"({entry.task or 'given'})"
                print(f"{entry.id[7:19]}  {entry.kept:%Y-%m-%d %H:%M}  {entry.model or '-':<10} {plain(words, 110)}")


@app.command()
def show(id: Id, as_json: Json = False) -> None:
    """Show the receipt of one artifact."""
    from fantascope.cli.receipts import describe
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        artifact = studio.gallery.get(id)
    if as_json:
        receipt = artifact.receipt.dump() if artifact.receipt is not None else None
        facts = {"id": artifact.id, "path": str(artifact.path), "media_type": artifact.media_type}
        emit("artifact", facts | {"receipt": receipt})
    else:
        print(describe(artifact))


@app.command("open")
def open_(id: Id) -> None:
    """Open one artifact in the program that the desktop uses for pictures."""
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        path = studio.gallery.get(id).path
    print(path)
    if sys.stdout.isatty():
        typer.launch(str(path))


@app.command()
def export(
    id: Id,
    path: Annotated[Path, typer.Argument(help="a file, or a folder that exists")],
    force: Annotated[bool, typer.Option("--force", help="write over a file that is there")] = False,
) -> None:
    """Copy one artifact out of the gallery, its bytes unchanged."""
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        print(studio.gallery.export(id, path, overwrite=force))


@app.command()
def remove(
    ids: Annotated[list[str], typer.Argument(help="ids, or their first letters")],
    force: Annotated[bool, typer.Option("--force", help="also when others were made from it")] = False,
) -> None:
    """Remove artifacts; the ledger keeps what was charged."""
    from fantascope.studio import Studio

    with Studio() as studio:
        for id in ids:
            print(f"removed {studio.gallery.remove(id, force=force)}")


@app.command()
def verify() -> int:
    """Hash every file again and compare index, files and ledger; exit 0 only if all agree."""
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        problems = list(studio.gallery.verify())
    for problem in problems:
        print(plain(f"{problem.kind}: {problem.what}: {problem.message} {problem.fix}"))
    print(f"{len(problems)} problems." if problems else "Every file has its hash; index and ledger agree.")
    return 1 if problems else 0


@app.command()
def sweep() -> None:
    """Delete files that no row of the index names, such as a power cut can leave."""
    from fantascope.studio import Studio

    with Studio() as studio:
        for path in studio.gallery.sweep():
            print(f"deleted {path}")
