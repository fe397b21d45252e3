"""`fantascope data`: drawings, their licences, and the scenes composed of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli.lines import emit
from fantascope.errors import MissingExtra

if TYPE_CHECKING:
    from fantascope.data.compose import Composer
    from fantascope.data.scene import Scene
    from fantascope.data.sources import Sprite
    from fantascope.data.vocabulary import Concept

app = typer.Typer(help="Check, draw, count and encode the pictures trained on.", no_args_is_help=True)

Sources = Annotated[Path, typer.Argument(help="folder of the packages of drawings, as the recipe fills it")]
Words = Annotated[Path | None, typer.Option("--vocabulary", help="concepts as TOML; the embedded ones if not given")]
Cache = Annotated[Path | None, typer.Option("--cache", help="folder that keeps rasters of drawings between runs")]
Checkpoint = Annotated[Path, typer.Option("--checkpoint", help="the checkpoint folder")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


@contextmanager
def needs_train() -> Iterator[None]:
    """Turn a failed import within the block into the command that installs what is missing."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra("Training", "train") from error


def gathered(
    sources: Path,
    vocabulary: Path | None,
    cache: Path | None = None,
    told: Callable[[str], None] | None = None,
    trains: str = "generator",
) -> tuple[list[Sprite], dict[str, Concept]]:
    """Return the drawings that the checkpoint (or the detector) is trained on, and the concepts in them.

    What is left out is told in a sentence each, on standard error if `told` is not given.
    """
    from fantascope.data.gather import gather
    from fantascope.data.vocabulary import read_vocabulary

    def shown(sprites: list[Sprite]) -> Iterator[Sprite]:
        with bar("drawings", len(sprites)) as done:
            for k, sprite in enumerate(sprites):
                yield sprite
                done(k + 1)

    skipped = told or (lambda line: print(f"skipped: {line}", file=sys.stderr))
    return gather(sources, read_vocabulary(vocabulary), skipped, trains=trains, cache=cache, watch=shown)


def composed(sources: Path, vocabulary: Path | None, cache: Path | None = None) -> tuple[Composer, dict[str, Concept]]:
    """Return what draws the scenes, and the concepts in them; drawings left out are named on standard error."""
    from fantascope.data.compose import Composer

    sprites, concepts = gathered(sources, vocabulary, cache)
    return Composer(sprites, concepts, cache), concepts


@contextmanager
def bar(what: str, total: int, as_json: bool = False) -> Iterator[Callable[[int], None]]:
    """Yield what moves a progress bar to a number; on anything but a terminal nothing is shown."""
    if as_json or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.update(task, completed=done)


def say(as_json: bool, event: str, text: str, **facts: Any) -> None:
    """Print one event, as JSON or in words."""
    if as_json:
        emit(event, facts)
    else:
        print(text, flush=True)


@app.command()
def build(
    sources: Sources,
    out: Annotated[Path, typer.Option(help="folder for shards, index.json, ledger, card.md and sheet.png")],
    scenes: Annotated[int, typer.Option(min=1, help="how many scenes")] = 20000,
    shard: Annotated[int, typer.Option(min=1, help="scenes a shard")] = 1000,
    pictures: Annotated[int, typer.Option(min=1, help="scenes on the contact sheet")] = 64,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Build the data set: WebDataset shards with their ledger and card. Finished shards of the same are kept."""
    from fantascope.data.compose import Composer
    from fantascope.data.ledger import ledger_rows, write_ledger
    from fantascope.data.shard import INDEX, read_index, write_shards

    skipped: list[str] = []
    sprites, concepts = gathered(sources, vocabulary, cache, _noted(skipped))
    rows, composer = ledger_rows(sprites), Composer(sprites, concepts, cache)
    for name in ("ledger.jsonl", "ledger.parquet"):
        root = write_ledger(rows, out / name)
    with bar("scenes", scenes, as_json) as done:
        planned = list(_counted(write_shards(composer, concepts, rows, out, scenes, shard), done))
    _write_card(out, composer, planned, rows, skipped, pictures)
    facts = {"shards": len(read_index(out)["shards"]), "scenes": scenes, "rows": len(rows), "root": root}
    told = f"{facts['shards']} shards of {scenes} scenes, {len(rows)} ledger rows, root {root}"
    say(as_json, "built", f"{out / INDEX}: {told}", path=out, skipped=len(skipped), **facts)


@app.command()
def ledger(
    sources: Sources,
    out: Annotated[Path, typer.Option(help="the ledger to write: JSON lines, or Parquet if it ends in .parquet")],
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Write the licence ledger of every drawing that is trained on; a licence not on the allow list is refused."""
    from fantascope.data.ledger import ledger_rows, write_ledger

    rows = ledger_rows(gathered(sources, vocabulary, cache)[0])
    root = write_ledger(rows, out)
    say(as_json, "ledger", f"{out}: {len(rows)} rows, root {root}", path=out, rows=len(rows), root=root)


@app.command()
def check(
    sources: Sources,
    ledger: Annotated[Path, typer.Option(help="the ledger to check")],
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> int:
    """Check a ledger against its root hash, the allowed licences and the drawings themselves; exit 0 if all hold.

    A ledger of the same name in the other form, beside it, is checked with it.
    """
    from fantascope.data.ledger import check_ledger, compare_ledgers, read_ledger

    rows = read_ledger(ledger)
    wrong = check_ledger(rows, gathered(sources, vocabulary, cache)[0])
    other = ledger.with_suffix(".jsonl" if ledger.suffix == ".parquet" else ".parquet")
    if other.is_file():
        wrong += compare_ledgers(rows, read_ledger(other), f"is in {other.name}")
    for line in wrong:
        say(as_json, "wrong", line, what=line)
    held = "all hold" if not wrong else f"{len(wrong)} do not hold"
    say(as_json, "checked", f"{ledger}: {len(rows)} rows, {held}", path=ledger, rows=len(rows), wrong=len(wrong))
    return 1 if wrong else 0


@app.command()
def card(
    sources: Sources,
    out: Annotated[Path, typer.Option(help="folder for card.md and sheet.png")],
    scenes: Annotated[int, typer.Option(min=1, help="scenes to plan and count")] = 20000,
    pictures: Annotated[int, typer.Option(min=1, help="how many of them to draw")] = 64,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Count what is in planned scenes and whose drawings they are, and draw the first of them."""
    from fantascope.data.compose import Composer
    from fantascope.data.ledger import ledger_rows
    from fantascope.data.scene import plan

    skipped: list[str] = []
    sprites, concepts = gathered(sources, vocabulary, cache, _noted(skipped))
    with bar("scenes", scenes, as_json) as done:
        planned = list(_counted((plan(seed, concepts) for seed in range(scenes)), done))
    _write_card(out, Composer(sprites, concepts, cache), planned, ledger_rows(sprites), skipped, pictures)
    facts = {"card": out / "card.md", "sheet": out / "sheet.png", "scenes": scenes}
    say(as_json, "card", f"{out / 'card.md'} and {out / 'sheet.png'}: {scenes} scenes", **facts)


def _noted(lines: list[str]) -> Callable[[str], None]:
    """Return what tells a skipped drawing on standard error and keeps it for the card."""

    def tell(line: str) -> None:
        lines.append(line)
        print(f"skipped: {line}", file=sys.stderr)

    return tell


def _counted(scenes: Iterable[Scene], done: Callable[[int], None]) -> Iterator[Scene]:
    for number, scene in enumerate(scenes):
        yield scene
        done(number + 1)


def _write_card(
    out: Path, composer: Composer, planned: list[Scene], rows: list[dict[str, Any]], skipped: list[str], pictures: int
) -> None:
    from fantascope.data.card import Tally, contact_sheet, data_card
    from fantascope.data.sources import read_opt_outs

    tally = Tally()
    for scene in planned:
        tally.add(scene)
    out.mkdir(parents=True, exist_ok=True)
    (out / "card.md").write_text(data_card(tally, rows, skipped, read_opt_outs()), "utf-8")
    contact_sheet(composer, planned[:pictures]).save(out / "sheet.png")


@app.command()
def encode(
    sources: Sources,
    checkpoint: Checkpoint,
    pool: Annotated[Path, typer.Option(help="folder for the encoded scenes")],
    scenes: Annotated[int, typer.Option(min=1, help="how many scenes")] = 20000,
    shard: Annotated[int, typer.Option(min=1, help="scenes a file")] = 2000,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Encode scenes and captions to latents and token states; what is there already, of the same, is kept."""
    from functools import partial

    from fantascope.data.batches import captioned, fingerprint

    with needs_train():
        from fantascope.train.latents import write_pool
    composer, concepts = composed(sources, vocabulary, cache)
    draw = partial(captioned, composer, concepts)
    for stored in write_pool(draw, scenes, checkpoint, pool, data=fingerprint(composer, concepts), shard=shard):
        say(as_json, "encoded", f"{pool}: {stored} of {scenes} scenes", stored=stored, scenes=scenes)
