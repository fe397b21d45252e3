"""The tree of what was made from what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fantascope.errors import NotFound

MOST = 400
"""Pictures of one tree at most."""


@dataclass(frozen=True)
class Node:
    """A picture of the tree: its id, how deep it lies, its parent's row (None at a root), and what was done."""

    id: str
    depth: int
    parent: int | None
    done: str
    task: str


def root_of(gallery: Any, id: str) -> str:
    """Return the first picture that one goes back to, by the first parent of each that is still there."""
    seen = {id}
    while True:
        receipt = _receipt(gallery, id)
        if receipt is None or receipt.request.get("task") == "sheet":
            return id
        parents = [parent for parent in receipt.parents if parent not in seen and _there(gallery, parent)]
        if not parents:
            return id
        id = parents[0]
        seen.add(id)


def tree(gallery: Any, root: str) -> Iterator[Node]:
    """Yield the tree below a picture, each before its children, oldest child first; a contact sheet is no child."""
    rows: dict[str, int] = {}
    stack: list[tuple[str, int, int | None]] = [(root, 0, None)]
    while stack and len(rows) < MOST:
        id, depth, parent = stack.pop()
        receipt = _receipt(gallery, id)
        if id in rows or (receipt is not None and receipt.request.get("task") == "sheet"):
            continue
        rows[id] = len(rows)
        yield Node(
            id, depth, parent, _done(receipt), receipt.request.get("task", "") if receipt is not None else "given"
        )
        below = [child for child in gallery.children(id) if gallery.entry(child).task != "sheet"]
        stack += [(child, depth + 1, rows[id]) for child in reversed(below)]


def _receipt(gallery: Any, id: str) -> Any:
    """Return the receipt of a picture, or None where it was handed in."""
    return None if gallery.entry(id).given else gallery.receipt(id)


def _there(gallery: Any, id: str) -> bool:
    try:
        gallery.entry(id)
    except NotFound:
        return False
    return True


def _done(receipt: Any) -> str:
    """Say in few words what made a picture."""
    if receipt is None:
        return "handed in"
    if receipt.private:
        return f"{receipt.request.get('task')} (private)"
    request = receipt.request
    said = request.get("instruction") or request.get("what") or request.get("prompt") or ""
    return f"{request.get('task')}: {said}" if said else str(request.get("task"))
