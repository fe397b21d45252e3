"""`fantascope again` and `fantascope verify`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fantascope.cli.lines import emit

if TYPE_CHECKING:
    from fantascope.studio import Studio

SYMBOLS = {"holds": "✓", "fails": "✗", "absent": "–", "unknown": "?"}


def again(
    source: Annotated[str, typer.Argument(help="a picture file, or an id of the gallery")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="also write the picture here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a line")] = False,
) -> None:
    """Run the record once more and compare the pixels."""
    from fantascope.cli.show import check_out, export
    from fantascope.studio import Replay, Studio

    check_out(out)
    with Studio() as studio, closing(studio.again(source)) as events:  # type: ignore[type-var]
        for event in events:
            if not isinstance(event, Replay):
                continue
            artifact = event.artifact if out is None else export(event.artifact, out)
            if as_json:
                facts = {"same": True, "path": str(artifact.path), "pixels_sha256": event.recorded.pixels_sha256}
                emit("again", {"id": artifact.id, "receipt": event.recorded.id} | facts)
            else:
                print(f"{artifact.path}  same pixels as receipt {event.recorded.id}")


def verify(
    file: Annotated[Path, typer.Argument(help="any PNG, JPEG or WebP file")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> int:
    """Say of each claim in a file whether it holds; exit 0 only if all that is present holds."""
    from fantascope.provenance.verify import verify as check
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        report = check(file, trust=studio.settings.keys, known=lambda name: _kept(studio, name))
    if as_json:
        lines = [{"name": c.name, "verdict": c.verdict, "text": c.text} for c in report.checks]
        emit("verify", {"file": file, "ok": report.ok, "checks": lines})
    else:
        for c in report.checks:
            print(f"{SYMBOLS[c.verdict]} {c.name:<16} {c.text}")
        if report.empty:
            print("The file says nothing of where it came from, so there is nothing to confirm.")
        else:
            fails = any(c.verdict == "fails" for c in report.checks)
            doubt = "Something fails." if fails else "Nothing fails, but what is marked ? cannot be confirmed here."
            print("Everything that is present holds." if report.ok else doubt)
    return 0 if report.ok else 1


def _kept(studio: Studio, receipt: str) -> bool:
    """Say whether this studio's gallery holds the receipt; a gallery that cannot be read knows nothing."""
    from fantascope.errors import GalleryError

    try:
        return bool(studio.gallery.by_receipt(receipt))
    except GalleryError:
        return False
