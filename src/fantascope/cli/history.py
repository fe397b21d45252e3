"""`fantascope history`: the tree of what was made from what, as lines and as a picture with thumbnails."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import typer

from fantascope.cli.lines import emit, plain
from fantascope.reports.tree import Node, root_of, tree

THUMB, GAP, TEXT = 128, 18, 30
"""Sides of a thumbnail and of the space around it, and height of its words, pixels."""


def history(
    id: Annotated[str, typer.Argument(help="an id, its first letters, or a receipt id")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="also draw the tree here, with thumbnails (PNG)", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a line")] = False,
) -> None:
    """Show the tree that a picture belongs to: what it was made from, and everything made from that.

    To undo or to branch, name an earlier picture in the next edit.
    """
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        gallery = studio.gallery
        wanted = gallery.entry(id).id
        nodes = list(tree(gallery, root_of(gallery, wanted)))
        for row, node in enumerate(nodes):
            if as_json:
                parent = nodes[node.parent].id if node.parent is not None else None
                emit("node", {"id": node.id, "parent": parent, "task": node.task, "done": node.done})
            else:
                print(_line(nodes, row, node.id == wanted))
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            draw(gallery, nodes, wanted).save(out, "PNG")
            print(out)


def _line(nodes: list[Node], row: int, wanted: bool) -> str:
    node = nodes[row]
    lines, at = [], row
    while nodes[at].parent is not None:
        parent = nodes[at].parent
        last = not any(other.parent == parent for other in nodes[at + 1 :])
        lines.append(("└─ " if last else "├─ ") if at == row else ("   " if last else "│  "))
        at = parent  # type: ignore[assignment]
    return f"{'➤' if wanted else ' '} {''.join(reversed(lines))}{node.id[7:19]}  {plain(node.done, 90)}"


def draw(gallery: Any, nodes: list[Node], wanted: str) -> Any:
    """Return the tree as a picture: a column for each turn, thumbnails joined by lines, the words below each."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(12)
    rows = _rows(nodes)
    wide = (max(node.depth for node in nodes) + 1) * (THUMB + 2 * GAP)
    high = (max(rows) + 1) * (THUMB + TEXT + GAP) + GAP
    sheet = Image.new("RGB", (wide, high), (246, 244, 240))
    pen = ImageDraw.Draw(sheet)
    spots = [
        (node.depth * (THUMB + 2 * GAP) + GAP, row * (THUMB + TEXT + GAP) + GAP)
        for node, row in zip(nodes, rows, strict=True)
    ]
    for node, (x, y) in zip(nodes, spots, strict=True):
        if node.parent is not None:
            px, py = spots[node.parent]
            middle = x - GAP, y + THUMB // 2
            pen.line(
                [(px + THUMB, py + THUMB // 2), (middle[0], py + THUMB // 2), middle, (x, middle[1])],
                (150, 146, 140),
                2,
            )
    for node, (x, y) in zip(nodes, spots, strict=True):
        with Image.open(io.BytesIO(gallery.thumbnail(node.id, THUMB))) as opened:
            small = opened.convert("RGBA")
        sheet.paste(small, (x + (THUMB - small.width) // 2, y + (THUMB - small.height) // 2), small)
        if node.id == wanted:
            pen.rectangle([x - 3, y - 3, x + THUMB + 2, y + THUMB + 2], outline=(200, 60, 40), width=3)
        for k, part in enumerate(_wrapped(node.done, font, THUMB + GAP)):
            pen.text((x, y + THUMB + 2 + 13 * k), part, (40, 38, 36), font)
    return sheet


def _rows(nodes: list[Node]) -> list[int]:
    """Give every picture a row: a first child shares its parent's, each further one starts a new row."""
    rows: list[int] = []
    taken = -1
    for k, node in enumerate(nodes):
        first = node.parent is not None and not any(other.parent == node.parent for other in nodes[:k])
        row = rows[node.parent] if first and node.parent is not None else taken + 1
        rows.append(row)
        taken = max(taken, row)
    return rows


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    """Break words into at most two lines of a width in pixels."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
        elif len(lines) == 2:
            lines[-1] = lines[-1][: max(0, len(lines[-1]) - 1)] + "…"
            break
        else:
            lines.append(word)
    return lines
