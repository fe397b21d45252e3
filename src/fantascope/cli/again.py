"""`fantascope again` and `fantascope verify`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fantascope.cli.lines import emit, plain

if TYPE_CHECKING:
    from fantascope.studio import Studio

SYMBOLS = {"holds": "✓", "fails": "✗", "absent": "–", "unknown": "?"}


def again(
    source: Annotated[str, typer.Argument(help="a picture file, or an id of the gallery")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="also write the picture here")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a line")] = False,
) -> None:
    """Run the record once more and compare the pixels."""
    from fantascope.cli.show import check_out, place, watched
    from fantascope.studio import Studio

    check_out(None, out)
    with Studio() as studio, closing(studio.again(source)) as events:  # type: ignore[type-var]
        for replay in watched(events, as_json):
            artifact = replay.artifact
            path = artifact.path
            if out is not None:
                path = place(studio, artifact, out / f"{artifact.id[7:19]}{artifact.suffix}" if out.is_dir() else out)
            if as_json:
                facts = {"same": True, "path": path, "pixels_sha256": replay.recorded.pixels_sha256}
                emit("again", {"id": artifact.id, "receipt": replay.recorded.id} | facts)
            else:
                print(f"{path}  same pixels as receipt {replay.recorded.id}")


def verify(
    file: Annotated[Path, typer.Argument(help="any PNG, JPEG or WebP file")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> int:
    """Say of each claim in a file whether it holds; exit 0 only if all that is present holds."""
    from fantascope.provenance.verify import verify as check
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        report = check(file, trust=studio.settings.keys, known=_known(studio), models=studio.settings.models)
    if as_json:
        lines = [{"name": c.name, "verdict": c.verdict, "text": c.text} for c in report.checks]
        emit("verify", {"file": file, "ok": report.ok, "checks": lines})
    else:
        for c in report.checks:
            print(f"{SYMBOLS[c.verdict]} {plain(c.name):<16} {plain(c.text)}")
        if report.empty:
            print("The file says nothing of where it came from, so there is nothing to confirm.")
        else:
            fails = any(c.verdict == "fails" for c in report.checks)
            doubt = "Something fails." if fails else "Nothing fails, but what is marked ? cannot be confirmed here."
            print("Everything that is present holds." if report.ok else doubt)
    return 0 if report.ok else 1


def _known(studio: Studio) -> Callable[[str], bool] | None:
    """Return the look-up of receipts in this studio's gallery, or None where the gallery cannot be read."""
    from fantascope.errors import GalleryError

    try:
        gallery = studio.gallery
    except GalleryError:
        return None
    return lambda receipt: bool(gallery.by_receipt(receipt))
