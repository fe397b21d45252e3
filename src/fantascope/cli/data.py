"""`fantascope data`: drawings, their licences, and the scenes composed of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli.lines import emit
from fantascope.errors import MissingExtra

if TYPE_CHECKING:
    from fantascope.data.caption import Concept
    from fantascope.data.compose import Composer

app = typer.Typer(help="Check, draw, count and encode the pictures trained on.", no_args_is_help=True)

Package = Annotated[Path, typer.Argument(help="folder of an Iconify package, as npm unpacks it")]
Words = Annotated[Path | None, typer.Option("--vocabulary", help="concepts as TOML; the embedded ones if not given")]
Checkpoint = Annotated[Path, typer.Option("--checkpoint", help="the checkpoint folder")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


@contextmanager
def needs_train() -> Iterator[None]:
    """Turn a failed import within the block into the command that installs what is missing."""
    try:
        yield
    except ImportError as error:
        raise MissingExtra("Training", "train") from error


def composed(package: Path, vocabulary: Path | None) -> tuple[Composer, dict[str, Concept]]:
    """Return what draws the scenes of a package, and the concepts in them."""
    from fantascope.data.compose import Composer, read_vocabulary
    from fantascope.data.sources import read_iconify

    concepts = read_vocabulary(vocabulary)
    return Composer(read_iconify(package, concepts)), concepts


def say(as_json: bool, event: str, text: str, **facts: Any) -> None:
    """Print one event, as JSON or in words."""
    if as_json:
        emit(event, facts)
    else:
        print(text, flush=True)


@app.command()
def ledger(
    package: Package,
    out: Annotated[Path, typer.Option(help="the ledger to write, one JSON row a drawing")],
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Write the licence ledger of every drawing that is trained on; a licence not on the allow list is refused."""
    from fantascope.data.compose import read_vocabulary
    from fantascope.data.ledger import write_ledger
    from fantascope.data.sources import read_iconify

    sprites = list(read_iconify(package, read_vocabulary(vocabulary)))
    root = write_ledger(sprites, out)
    say(as_json, "ledger", f"{out}: {len(sprites)} drawings, root {root}", path=out, rows=len(sprites), root=root)


@app.command()
def check(
    package: Package,
    ledger: Annotated[Path, typer.Option(help="the ledger to check")],
    vocabulary: Words = None,
    as_json: Json = False,
) -> int:
    """Check a ledger against its root hash, the allowed licences and the drawings themselves; exit 0 if all hold."""
    from fantascope.data.compose import read_vocabulary
    from fantascope.data.ledger import check_ledger, read_ledger
    from fantascope.data.sources import read_iconify

    rows = read_ledger(ledger)
    wrong = check_ledger(rows, read_iconify(package, read_vocabulary(vocabulary)))
    for line in wrong:
        say(as_json, "wrong", line, what=line)
    held = "all hold" if not wrong else f"{len(wrong)} do not hold"
    say(as_json, "checked", f"{ledger}: {len(rows)} rows, {held}", path=ledger, rows=len(rows), wrong=len(wrong))
    return 1 if wrong else 0


@app.command()
def card(
    package: Package,
    out: Annotated[Path, typer.Option(help="folder for card.md and sheet.png")],
    scenes: Annotated[int, typer.Option(min=1, help="scenes to plan and count")] = 20000,
    pictures: Annotated[int, typer.Option(min=1, help="how many of them to draw")] = 64,
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Count what is in planned scenes, by concept, colour, layout and background, and draw the first of them."""
    from fantascope.data.card import contact_sheet, data_card
    from fantascope.data.compose import Composer, plan, read_vocabulary
    from fantascope.data.sources import read_iconify

    concepts = read_vocabulary(vocabulary)
    sprites = list(read_iconify(package, concepts))
    planned = [plan(seed, concepts) for seed in range(scenes)]
    sheet = contact_sheet(Composer(sprites), planned[:pictures])
    credit = [f"{sprite.package} {sprite.version}, by {sprite.author}, {sprite.licence}" for sprite in sprites]
    out.mkdir(parents=True, exist_ok=True)
    (out / "card.md").write_text(data_card(planned, credit), "utf-8")
    sheet.save(out / "sheet.png")
    facts = {"card": out / "card.md", "sheet": out / "sheet.png", "scenes": scenes}
    say(as_json, "card", f"{out / 'card.md'} and {out / 'sheet.png'}: {scenes} scenes", **facts)


@app.command()
def encode(
    package: Package,
    checkpoint: Checkpoint,
    pool: Annotated[Path, typer.Option(help="folder for the encoded scenes")],
    scenes: Annotated[int, typer.Option(min=1, help="how many scenes")] = 20000,
    shard: Annotated[int, typer.Option(min=1, help="scenes a file")] = 2000,
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Encode scenes and captions to latents and token states; what is there already, of the same, is kept."""
    from functools import partial

    from fantascope.data.batches import captioned, fingerprint

    with needs_train():
        from fantascope.train.latents import write_pool
    composer, concepts = composed(package, vocabulary)
    draw = partial(captioned, composer, concepts)
    for stored in write_pool(draw, scenes, checkpoint, pool, data=fingerprint(composer, concepts), shard=shard):
        say(as_json, "encoded", f"{pool}: {stored} of {scenes} scenes", stored=stored, scenes=scenes)
