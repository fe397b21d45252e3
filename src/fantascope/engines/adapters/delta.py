"""What an adapter adds to one layer, whatever its factors are: checked against the layer, and made into a weight.

With scale s = alpha / rank, all on the weight as a matrix of one row an output channel:

    LoRA, LoCon   s · up @ down, or with a core (rank, rank, kh, kw) between them
    LoHa          s · (w1_a @ w1_b) ∘ (w2_a @ w2_b)
    LoKr          s · w1 ⊗ w2, each of them whole or a product; s is 1 where both are whole
    DoRA          m · (W + ΔW) / ‖W + ΔW‖ − W, with ΔW any of the above

Sources: Hu et al. 2022 (LoRA), section 4.1; Yeh et al. 2024 (LyCORIS), section 3; Hyeon-Woo et al. 2022 (LoHa), section
2; Liu et al. 2024 (DoRA), equation 5. A DoRA is weighted by its whole difference from W, so that weight 0 is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod, sqrt

import numpy as np
import numpy.typing as npt

from fantascope.engines.adapters.tree import Layer

Floats = npt.NDArray[np.float32]
Read = Callable[[str], npt.NDArray[np.floating]]
Shape = tuple[int, ...]

KINDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "lora": (frozenset({"down", "up"}), frozenset({"mid"})),
    "loha": (frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}), frozenset({"hada_t1", "hada_t2"})),
    "lokr": (frozenset(), frozenset({f"lokr_{name}" for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")})),
    "full": (frozenset(), frozenset({"diff"})),
}
"""Kind -> the factors it must have, and those it may; a difference of the bias, `diff_b`, may stand beside any."""

DECOMPOSED = ("dora_scale", "magnitude")
EPSILON = float(np.finfo(np.float32).eps)


class Misfit(Exception):
    """The factors of a layer do not fit each other, or the layer; the text says how."""


@dataclass(frozen=True)
class Delta:
    """What an adapter adds to one layer.

    Attributes:
        part: `unet`, `text_encoder` or `text_encoder_2`.
        module: Its name in the diffusers tree.
        kind: A key of `KINDS`.
        layer: Shapes of the base's weight and bias.
        shapes: Factor -> shape.
        read: Gives a factor as the file has it.
        alpha: As the file states it; None where it states none, which means the rank.
        rooted: Whether the scale is alpha / √rank (rank-stabilised LoRA).
    """

    part: str
    module: str
    kind: str
    layer: Layer
    shapes: Mapping[str, Shape]
    read: Read = field(repr=False)
    alpha: float | None = None
    rooted: bool = False

    def get(self, factor: str) -> Floats:
        """Return a factor in float32."""
        return self.read(factor).astype(np.float32)

    @property
    def decomposed(self) -> bool:
        """Whether it is a DoRA: then what it adds follows from the weight it is added to."""
        return any(name in self.shapes for name in DECOMPOSED)

    @property
    def rank(self) -> int | None:
        """The rank of its factors, None where they are whole."""
        for name in ("down", "hada_w1_b", "lokr_w1_b", "lokr_w2_b"):
            if name in self.shapes:
                return self.shapes[name][0]
        return None

    @property
    def scale(self) -> float:
        """What the product of the factors is multiplied by."""
        rank = self.rank
        if rank is None or self.alpha is None:
            return 1.0
        return self.alpha / (sqrt(rank) if self.rooted else rank)

    @property
    def paired(self) -> bool:
        """Whether it is a product of two factors, a core in the second where there is one."""
        return self.kind == "lora" and not self.decomposed

    def pair(self) -> tuple[Floats, Floats]:
        """Return factors `(rows, rank)` and `(rank, columns)` whose product, the scale in it, is added.

        Only where `kind` is lora; a magnitude is left out. The scale goes to the first.
        """
        up, down = self.get("up"), self.get("down")
        down = down.reshape(len(down), -1)
        if "mid" in self.shapes:
            down = np.einsum("ij...,jr->ir...", self.get("mid"), down, optimize=True).reshape(len(down), -1)
        return up.reshape(len(up), -1) * np.float32(self.scale), down

    def weight(self, base: Callable[[], Floats] | None = None) -> Floats | None:
        """Return what is added to the weight, in its shape, or None where only the bias changes.

        Args:
            base: Gives the weight that it is added to, which a DoRA needs.
        """
        if self.kind == "full":
            return self.get("diff").reshape(self.layer.weight) if "diff" in self.shapes else None
        if self.kind == "lora":
            up, down = self.pair()
            added = (up @ down).reshape(self.layer.weight)
        else:
            added = (_MAKE[self.kind](self) * np.float32(self.scale)).reshape(self.layer.weight)
        if not self.decomposed:
            return added
        assert base is not None, "a DoRA needs the weight it changes"
        return _decomposed(self, base(), added)

    def bias(self) -> Floats | None:
        """Return what is added to the bias, or None."""
        return self.get("diff_b").reshape(-1) if "diff_b" in self.shapes else None

    def check(self) -> None:
        """Hold the factors to each other and to the layer.

        Raises:
            Misfit: they do not fit.
        """
        need, may = KINDS[self.kind]
        lacks = sorted(need - self.shapes.keys())
        if lacks:
            raise Misfit(f"lacks its {lacks[0]}")
        stray = sorted(self.shapes.keys() - need - may - {"diff_b", *DECOMPOSED})
        if stray:
            raise Misfit(f"has a {stray[0]} beside the factors of {self.kind}")
        if self.decomposed and self.kind == "full":
            raise Misfit("has a magnitude and nothing to scale")
        due, found = self.layer, _SHAPES[self.kind](self.shapes, self.layer.weight)
        if found is not None and not _same(found, due.weight):
            raise Misfit(f"changes a weight {_said(found)}, and the base's is {_said(due.weight)}")
        if "diff_b" in self.shapes and prod(self.shapes["diff_b"]) != prod(due.bias or (0,)):
            raise Misfit(f"changes a bias {_said(self.shapes['diff_b'])}, and the base's is {_said(due.bias or ())}")
        self._check_magnitude()

    def _check_magnitude(self) -> None:
        rows, columns = self.layer.weight[0], self.layer.weight[1] if len(self.layer.weight) > 1 else 1
        for name in DECOMPOSED:
            shape = self.shapes.get(name)
            if shape is None:
                continue
            of_rows = prod(shape) == rows and (len(shape) == 1 or rows in shape[:2])
            of_columns = len(shape) > 1 and shape[0] == 1 and prod(shape) == columns == shape[1]
            if not (of_rows or (of_columns and name == "dora_scale")):
                raise Misfit(f"has a magnitude {_said(shape)} for a weight {_said(self.layer.weight)}")


def kind_of(fields: frozenset[str]) -> str:
    """Return the kind that a set of factors is of.

    Raises:
        Misfit: they are of several kinds, or of none.
    """
    kinds = [kind for kind, (need, may) in KINDS.items() if fields & (need | may)]
    if not kinds and "diff_b" in fields:
        return "full"
    if len(kinds) != 1:
        told = f"mixes factors of {' and '.join(kinds)}" if kinds else f"has {min(fields, default='alpha')} alone"
        raise Misfit(told)
    return kinds[0]


def _same(found: Shape, due: Shape) -> bool:
    """Say whether shapes are one; a matrix and a convolution of 1 by 1 are."""
    if len(found) == len(due):
        return found == due
    return _trimmed(found) == _trimmed(due)


def _trimmed(shape: Shape) -> Shape:
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _said(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "-"


def _lora_shape(shapes: Mapping[str, Shape], due: Shape) -> Shape:
    down, up, mid = shapes["down"], shapes["up"], shapes.get("mid")
    if len(down) < 2 or len(up) < 2 or up[1] != down[0] or any(side != 1 for side in up[2:]):
        raise Misfit(f"has factors that do not fit each other: {_said(up)} and {_said(down)}")
    if mid is None:
        return up[0], *down[1:]
    if mid[:2] != (up[1], down[0]) or any(side != 1 for side in down[2:]):
        raise Misfit(f"has a core that does not fit its factors: {_said(mid)}")
    return up[0], down[1], *mid[2:]


def _product(a: Shape, b: Shape) -> Shape:
    if len(a) != 2 or len(b) < 2 or a[1] != b[0]:
        raise Misfit(f"has factors that do not fit each other: {_said(a)} and {_said(b)}")
    return a[0], *b[1:]


def _core(core: Shape, a: Shape, b: Shape) -> Shape:
    if len(core) < 3 or len(a) != 2 or len(b) != 2 or core[:2] != (a[0], b[0]):
        raise Misfit(f"has a core that does not fit its factors: {_said(core)}, {_said(a)} and {_said(b)}")
    return a[1], b[1], *core[2:]


def _loha_shape(shapes: Mapping[str, Shape], due: Shape) -> Shape:
    halves = []
    for k in "12":
        a, b, core = shapes[f"hada_w{k}_a"], shapes[f"hada_w{k}_b"], shapes.get(f"hada_t{k}")
        halves.append(_product(a, b) if core is None else _core(core, a, b))
    if ("hada_t1" in shapes) != ("hada_t2" in shapes) or halves[0] != halves[1]:
        raise Misfit(f"has halves that do not fit each other: {_said(halves[0])} and {_said(halves[1])}")
    return _unrolled(halves[0], due)


def _unrolled(found: Shape, due: Shape) -> Shape:
    """Take a matrix for a convolution's weight where it has as many numbers a row."""
    whole = len(found) == 2 and len(due) > 2 and found == (due[0], prod(due[1:]))
    return due if whole else found


def _lokr_shape(shapes: Mapping[str, Shape], due: Shape) -> Shape:
    halves = []
    for k in "12":
        whole, a, b = (shapes.get(f"lokr_w{k}{end}") for end in ("", "_a", "_b"))
        core = shapes.get("lokr_t2") if k == "2" else None
        if (whole is None) == (a is None or b is None) or (a is None) != (b is None):
            raise Misfit(f"has no w{k}, whole or as two factors")
        if whole is not None:
            halves.append(whole)
        else:
            assert a is not None and b is not None
            halves.append(_product(a, b) if core is None else _core(core, a, b))
    (rows, columns), second = halves[0][:2], halves[1]
    if len(halves[0]) != 2 or len(second) < 2:
        raise Misfit(f"has factors of shapes {_said(halves[0])} and {_said(second)}")
    return _unrolled((rows * second[0], columns * second[1], *second[2:]), due)


def _full_shape(shapes: Mapping[str, Shape], due: Shape) -> Shape | None:
    return shapes.get("diff")


_SHAPES: dict[str, Callable[[Mapping[str, Shape], Shape], Shape | None]] = {
    "lora": _lora_shape,
    "loha": _loha_shape,
    "lokr": _lokr_shape,
    "full": _full_shape,
}


def _half(delta: Delta, a: str, b: str, core: str) -> Floats:
    first, second = delta.get(a), delta.get(b)
    if core in delta.shapes:
        rebuilt: Floats = np.einsum("ij...,ip,jr->pr...", delta.get(core), first, second, optimize=True)
        return rebuilt
    product: Floats = (first @ second.reshape(len(second), -1)).reshape(len(first), *second.shape[1:])
    return product


def _loha(delta: Delta) -> Floats:
    return _half(delta, "hada_w1_a", "hada_w1_b", "hada_t1") * _half(delta, "hada_w2_a", "hada_w2_b", "hada_t2")


def _lokr(delta: Delta) -> Floats:
    first, second = (
        delta.get(f"lokr_w{k}")
        if f"lokr_w{k}" in delta.shapes
        else _half(delta, f"lokr_w{k}_a", f"lokr_w{k}_b", f"lokr_t{k}")
        for k in "12"
    )
    return np.kron(first.reshape(*first.shape, *[1] * (second.ndim - 2)), second)


_MAKE: dict[str, Callable[[Delta], Floats]] = {"loha": _loha, "lokr": _lokr}


def _decomposed(delta: Delta, base: Floats, added: Floats) -> Floats:
    """Return the difference of a weight whose directions changed and whose magnitudes are given.

    The norm is of every row, or, as in LyCORIS's first DoRAs, of every column: the shape of the magnitude says which.
    """
    name = next(name for name in DECOMPOSED if name in delta.shapes)
    magnitude, whole = delta.get(name), base + added
    spread = (1,) * (whole.ndim - 1)
    if magnitude.size == len(whole) and (name == "magnitude" or magnitude.shape[0] == len(whole)):
        norms = np.linalg.norm(whole.reshape(len(whole), -1), axis=1)
        ratio = (magnitude.reshape(-1) / (norms + EPSILON)).reshape(-1, *spread)
    else:
        columns = np.moveaxis(whole, 1, 0).reshape(whole.shape[1], -1)
        ratio = magnitude.reshape(-1) / (np.linalg.norm(columns, axis=1) + EPSILON)
        ratio = ratio.reshape(1, -1, *spread[1:])
    difference: Floats = whole * ratio.astype(np.float32) - base
    return difference
