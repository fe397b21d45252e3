"""Makes one adapter out of several, layer by layer.

    add    the weighted sum, exactly: factors side by side, so that ranks add up
    svd    the weighted sum at a rank: the nearest product of that rank, and how far it is
    ties   trim every difference to its largest numbers, elect a sign for each place, and take the mean of those that
           have it (Yadav et al., "TIES-Merging", 2023, section 3), here for every layer on its own

Where a layer is no product of two factors, `add` and `ties` write the whole difference of its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fantascope.engines.adapters.delta import Delta, Floats
from fantascope.engines.adapters.read import Parsed
from fantascope.engines.adapters.tree import Layer
from fantascope.engines.adapters.write import Tensors
from fantascope.errors import InvalidValue, UnknownName, Unsupported

Base = Callable[[str, str], Floats]
"""Part and module -> the weight of the base, which a DoRA needs."""

METHODS = ("add", "svd", "ties")


@dataclass(frozen=True)
class Merged:
    """What came out.

    Attributes:
        tensors: In the layout of `read`: `unet.NAME.lora_A.weight` …, `….diff`.
        error: Norm of what the rank left out, as a share of the norm of the whole sum; 0 where nothing was.
        ranks: Lowest and highest rank, None where there are whole differences only.
    """

    tensors: Tensors
    error: float
    ranks: tuple[int, int] | None


def merge(
    adapters: Sequence[tuple[Parsed, float]],
    method: str,
    base: Base,
    *,
    rank: int | None = None,
    density: float = 0.2,
) -> Merged:
    """Merge adapters with weights.

    Args:
        base: Gives weights of the base; asked only where an adapter is a DoRA.
        rank: Of the result, for `svd`; for `ties`, where None leaves whole differences. A layer too small has its own.
        density: Share of the numbers of a difference that `ties` keeps, 0 … 1.

    Raises:
        UnknownName: no such method.
        InvalidValue: a rank below 1, or one that `add` cannot have; a density outside 0 … 1.
        Unsupported: a textual inversion is among them.
    """
    _check(adapters, method, rank, density)
    layers: dict[tuple[str, str], list[tuple[Delta, float]]] = {}
    for parsed, weight in adapters:
        for delta in parsed.deltas:
            layers.setdefault((delta.part, delta.module), []).append((delta, weight))
    if method == "svd" and rank is None:
        rank = max((number for parsed, _ in adapters for number in parsed.ranks), default=None)
        if rank is None:
            raise InvalidValue("There is no rank to go by: give one.", param="rank")
    tensors: Tensors = {}
    lost = whole = 0.0
    ranks: list[int] = []
    for (part, module), each in layers.items():
        head, layer = f"{part}.{module}", each[0][0].layer
        biases = [np.float32(weight) * bias for delta, weight in each if (bias := delta.bias()) is not None]
        if biases:
            tensors[f"{head}.diff_b"] = np.asarray(_elected(biases, density) if method == "ties" else sum(biases))
        weighed = [(delta, weight) for delta, weight in each if delta.shapes.keys() != {"diff_b"}]
        if not weighed:
            continue
        factors, total = _sum(weighed, base) if method != "ties" else (None, _voted(weighed, base, density))
        if rank is not None:
            factors, missed, norm = _nearest(factors, total, layer, rank)
            lost, whole = lost + missed**2, whole + norm**2
        if factors is None:
            assert total is not None
            tensors[f"{head}.diff"] = total
            continue
        ranks.append(len(factors[1]))
        tensors |= _written(head, layer, *factors)
    return Merged(tensors, float(np.sqrt(lost / whole)) if whole else 0.0, (min(ranks), max(ranks)) if ranks else None)


def _check(adapters: Sequence[tuple[Parsed, float]], method: str, rank: int | None, density: float) -> None:
    if method not in METHODS:
        raise UnknownName("method", method, METHODS, param="method")
    if any(parsed.vectors for parsed, _ in adapters):
        raise Unsupported("A textual inversion changes no weights, so there is nothing to merge.", param="names")
    if rank is not None and (rank < 1 or method == "add"):
        raise InvalidValue("A rank is 1 or more, and add keeps all of it: use svd for another.", param="rank")
    if not 0 < density <= 1:
        raise InvalidValue(f"The density is above 0 and at most 1, not {density:g}.", param="density")


def _whole(delta: Delta, base: Base) -> Floats:
    found = delta.weight(lambda: base(delta.part, delta.module))
    assert found is not None
    return found


def _sum(each: Sequence[tuple[Delta, float]], base: Base) -> tuple[tuple[Floats, Floats] | None, Floats | None]:
    """Return the weighted sum as two factors, or, where one of them is no product, whole."""
    if all(delta.paired for delta, _ in each):
        pairs = [(np.float32(weight) * up, down) for (delta, weight) in each for up, down in [delta.pair()]]
        return (np.concatenate([up for up, _ in pairs], 1), np.concatenate([down for _, down in pairs], 0)), None
    total: Floats = np.sum([np.float32(weight) * _whole(delta, base) for delta, weight in each], axis=0)
    return None, total


def _voted(each: Sequence[tuple[Delta, float]], base: Base, density: float) -> Floats:
    return _elected([np.float32(weight) * _whole(delta, base) for delta, weight in each], density)


def _nearest(
    factors: tuple[Floats, Floats] | None, total: Floats | None, layer: Layer, rank: int
) -> tuple[tuple[Floats, Floats], float, float]:
    """Return the nearest product of a rank, the norm of what it misses, and the norm of all (Eckart and Young 1936).

    A sum of products is decomposed through a small matrix: that of the two triangles of its factors.
    """
    if factors is not None:
        left, upper = np.linalg.qr(factors[0].astype(np.float64))
        right, lower = np.linalg.qr(factors[1].astype(np.float64).T)
        u, s, v = np.linalg.svd(upper @ lower.T, full_matrices=False)
        u, v = left @ u, v @ right.T
    else:
        assert total is not None
        u, s, v = np.linalg.svd(total.reshape(layer.matrix).astype(np.float64), full_matrices=False)
    kept = min(rank, len(s))
    root = np.sqrt(s[:kept])
    pair = (u[:, :kept] * root).astype(np.float32), (root[:, None] * v[:kept]).astype(np.float32)
    return pair, float(np.linalg.norm(s[kept:])), float(np.linalg.norm(s))


def _elected(differences: Sequence[Floats], density: float) -> Floats:
    """Trim, elect, and take the mean of those that agree."""
    trimmed = np.stack([_trimmed(difference, density) for difference in differences])
    agree = np.sign(trimmed) == np.sign(trimmed.sum(axis=0))
    agree &= trimmed != 0
    mean: Floats = (trimmed * agree).sum(axis=0) / np.maximum(agree.sum(axis=0), 1)
    return mean.astype(np.float32)


def _trimmed(difference: Floats, density: float) -> Floats:
    """Keep the largest numbers of a difference, the rest is 0."""
    count = int(density * difference.size)
    flat = difference.reshape(-1)
    out = np.zeros_like(flat)
    if count:
        most = np.argpartition(np.abs(flat), flat.size - count)[flat.size - count :]
        out[most] = flat[most]
    return out.reshape(difference.shape)


def _written(head: str, layer: Layer, up: Floats, down: Floats) -> Tensors:
    """Return two factors in the shapes that the layer's kind has in files."""
    tail = layer.weight[1:]
    return {
        f"{head}.lora_A.weight": np.ascontiguousarray(down.reshape(len(down), *tail)),
        f"{head}.lora_B.weight": np.ascontiguousarray(up.reshape(*up.shape, *[1] * (len(tail) - 1))),
    }
