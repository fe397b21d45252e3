"""`fantascope gallery backup` and `restore`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fantascope.cli.lines import emit, plain

Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


def backup(
    file: Annotated[Path, typer.Argument(help="the tar file to write")],
    keys: Annotated[
        bool, typer.Option("--keys", help="with the signing keys: who has them signs in your name")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="write over a file that is there")] = False,
    as_json: Json = False,
) -> None:
    """Save everything in one file, as of one moment, while others go on writing."""
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio, _bar("saving") as told:
        wanted = studio.settings.keys if keys else None
        saved = studio.gallery.backup(file.absolute(), keys=wanted, overwrite=force, told=told)
    if as_json:
        emit(
            "backup",
            {"file": file, "artifacts": saved.artifacts, "people": saved.people, "bytes": saved.size, "keys": keys},
        )
        return
    print(f"{file}: {saved.artifacts} artifacts, {saved.people} people, the ledger; {saved.size / 1e6:.1f} MB.")
    if keys:
        print("The signing keys are in it: keep it as safe as they are.")
    else:
        print(
            "The signing keys are not in it (--keys takes them). Models, adapters and a server's queue are not either."
        )


def restore(
    file: Annotated[Path, typer.Argument(help="a file that `gallery backup` wrote")],
    into: Annotated[
        Path | None,
        typer.Option("--into", help="an empty folder to use as FANTASCOPE_HOME; the present one if not given"),
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="also the signing keys that are in it")] = False,
    as_json: Json = False,
) -> int:
    """Bring a backup back into an empty folder; every file is checked first. Exit 0 only if nothing is amiss."""
    from fantascope.errors import InvalidValue
    from fantascope.gallery.restore import restore as bring_back
    from fantascope.settings import Settings

    settings = Settings.from_env()
    if not file.is_file():
        raise InvalidValue(f"There is no file {file}.", param="file", hint="fantascope gallery backup FILE.tar")
    home = settings.home if into is None else into.absolute()
    if into is not None and home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise InvalidValue(f"{into} is not an empty folder.", param="into", hint="Name one that is empty or not there.")
    folder, at = home / settings.gallery.name, home / settings.keys.name if keys else None
    url = settings.database if into is None else ""
    with _bar("restoring") as told:
        found = bring_back(file, folder, clock=lambda: datetime.now(UTC), keys=at, url=url or None, told=told)
    facts = {"folder": folder, "artifacts": found.artifacts, "keys": found.keys_taken, "problems": len(found.problems)}
    if as_json:
        emit("restored", facts)
    for problem in found.problems:
        if as_json:
            emit("problem", problem)
        else:
            print(plain(f"{problem.kind}: {problem.what}: {problem.message} {problem.fix}"))
    if not as_json:
        print(
            f"{found.artifacts} artifacts are back in {folder}"
            + (f", and the keys in {at}." if found.keys_taken else ".")
        )
        if found.keys_found and not keys:
            print("The signing keys in the file were left there; --keys takes them.")
        if into is not None:
            print(f"Use it with: FANTASCOPE_HOME={home} fantascope gallery list")
    return 1 if found.problems else 0


@contextmanager
def _bar(word: str) -> Iterator[Callable[[int, int], None]]:
    """Show how far it is, on standard error where that is a screen."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns: Any = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(word, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
