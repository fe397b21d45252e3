"""`fantascope gallery`."""

from __future__ import annotations

import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli import saving
from fantascope.cli.lines import emit, plain

if TYPE_CHECKING:
    from fantascope.gallery import Entry

app = typer.Typer(help="List, search, show, open, export and remove what was made.", no_args_is_help=True)

app.command("backup")(saving.backup)
app.command("restore")(saving.restore)

Id = Annotated[str, typer.Argument(help="an id, its first letters, or a receipt id")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]
Since = Annotated[str | None, typer.Option("--since", help="kept then or later: 2026-11-29, or with a time (UTC)")]
Until = Annotated[str | None, typer.Option("--until", help="kept before then")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="how many, newest first")] = 20,
    search: Annotated[str | None, typer.Option("--search", help="words of the prompt")] = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """List what was made, newest first."""
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        for entry in studio.gallery.list(limit=limit, text=search, **_days(since, until)):
            if as_json:
                emit("entry", entry)
            else:
                print(_line(entry))


@app.command()
def search(
    like: Annotated[str, typer.Option("--like", help="a picture file, or an id of the gallery")],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="how many, nearest first")] = 20,
    words: Annotated[str | None, typer.Option("--search", help="words of the prompt")] = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Find the pictures that look most like one; the first search looks at everything that was kept."""
    from fantascope.gallery.index import Filters
    from fantascope.reports.alike import alike
    from fantascope.reports.likeness import read_pixels
    from fantascope.studio import Studio

    filters = Filters(text=words, **_days(since, until))
    named = re.fullmatch(r"(sha256:)?[0-9a-fA-F]+", like) and not Path(like).exists()
    asked = like if named else read_pixels(Path(like))
    with Studio() as studio:
        found = alike(studio.gallery, studio.settings, asked, limit, filters=filters, told=_looked_at)
    for entry, distance in found.found:
        if as_json:
            emit("entry", asdict(entry) | {"distance": distance})
        else:
            print(f"{distance:.3f}  {_line(entry)}")


def _looked_at(done: int, total: int) -> None:
    """Say on a terminal how many pictures were looked at."""
    if sys.stderr.isatty():
        print(f"looked at {done} of {total} pictures", end="\r" if done < total else "\n", file=sys.stderr)


def _days(since: str | None, until: str | None) -> dict[str, Any]:
    """Return the filter of two times, as people write them."""
    from fantascope.gallery.records import read_time

    told = {"since": since, "until": until}
    return {name: read_time(text, name) for name, text in told.items() if text is not None}


def _line(entry: Entry) -> str:
    words = entry.prompt if entry.prompt is not None else f"({entry.task or 'given'})"
    return f"{entry.id[7:19]}  {entry.kept:%Y-%m-%d %H:%M}  {entry.model or '-':<10} {plain(words, 110)}"


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
