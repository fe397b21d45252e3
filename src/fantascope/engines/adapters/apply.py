"""What every way of applying adapters has in common: which tensors change, by how much, and what the receipt says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fantascope.adapter import Adapter
from fantascope.engines.adapters.delta import Delta
from fantascope.engines.adapters.read import Parsed
from fantascope.engines.adapters.tree import Tree, blocks_of
from fantascope.errors import InvalidValue
from fantascope.receipt import Weight
from fantascope.request import Applied

Item = tuple[Applied, Adapter, Parsed]
"""An adapter of a request: how it is asked for, its record, and what it adds."""


def share_of(delta: Delta, blocks: Mapping[str, float] | None) -> float:
    """Return the weight of the block that a layer is in: that of the finest name given, else 1."""
    given = blocks if blocks is not None else {}
    return next((given[name] for name in blocks_of(delta.part, delta.module) if name in given), 1.0)


def tensors_of(delta: Delta) -> Iterator[tuple[str, bool]]:
    """Yield the tensors that a delta changes: name in the network, and whether it is a bias."""
    if delta.shapes.keys() != {"diff_b"}:
        yield f"{delta.module}.weight", False
    if "diff_b" in delta.shapes:
        yield f"{delta.module}.bias", True


def check_blocks(applied: Applied, tree: Tree) -> None:
    """Refuse weights of blocks that a model has not.

    Raises:
        InvalidValue: there is one.
    """
    strange = sorted(set(applied.blocks or ()) - tree.blocks)
    if strange:
        known = ", ".join(sorted(block for block in tree.blocks if "." not in block))
        raise InvalidValue(f"{tree.name!r} has no block {strange[0]!r}; it has {known}.", param="adapters")


def weight_of(applied: Applied, adapter: Adapter) -> Weight:
    """Return an adapter at work, for the receipt."""
    kind = "embedding" if adapter.method == "textual-inversion" else "adapter"
    return Weight(
        part=f"{kind} {adapter.name}",
        path=adapter.file,
        sha256=adapter.sha256,
        licence=adapter.licence.spdx,
        scale=applied.weight,
        data_sha256=adapter.data_sha256,
    )
