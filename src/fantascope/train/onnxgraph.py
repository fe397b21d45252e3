"""A small writer of ONNX graphs whose weights stay where they are: in a safetensors file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from fantascope.engines.lora import DOWN, PREFIX, UP, layers_of, product
from fantascope.engines.safefile import Entry, SafeFile
from fantascope.errors import BrokenModelFile, ModelNotFound

OPSET = 21
_DTYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "I8": TensorProto.INT8, "U8": TensorProto.UINT8}


def read_json(path: Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises:
        ModelNotFound: it is not there.
    """
    if not path.is_file():
        raise ModelNotFound(f"There is no {path}.")
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return data


class Graph:
    """Grows one ONNX graph; every method appends nodes and returns the name of their result.

    Activations are float32, pictures `(B, C, H, W)`, token states `(B, T, C)`. Every tensor whose name begins with one
    of `prefixes` must be used. A `delta` is a LoRA file in the same folder or below, all of which is added to weights.
    """

    def __init__(self, file: SafeFile, *prefixes: str, delta: SafeFile | None = None) -> None:
        self.file, self.delta = file, delta
        self.summed = set(layers_of(delta)) if delta is not None else set[str]()
        self.prefixes = prefixes or ("",)
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self.constants: dict[tuple[Any, ...], str] = {}
        self.initialisers: list[Any] = []
        self.ready: dict[str, str] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append one node; return the name of its result."""
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Cut a tensor along one axis into parts of these sizes."""
        names = [f"n{len(self.nodes)}_{k}" for k in range(len(sizes))]
        self.nodes.append(helper.make_node("Split", [x, self.whole(*sizes)], names, axis=axis))
        return names

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """A small constant kept in the graph itself."""
        array = np.asarray(value, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = f"c{len(self.constants)}"
            self.initialisers.append(numpy_helper.from_array(array, self.constants[key]))
        return self.constants[key]

    def whole(self, *values: int) -> str:
        """A constant list of int64."""
        return self.constant(values, np.int64)

    def entry(self, name: str) -> Entry:
        """Where a tensor lies in the file.

        Raises:
            BrokenModelFile: there is none of this name.
        """
        return self.home(name).tensors[name]

    def home(self, name: str) -> SafeFile:
        """The file that a tensor lies in.

        Raises:
            BrokenModelFile: there is none of this name.
        """
        if name in self.file.tensors:
            return self.file
        if self.delta is None or name not in self.delta.tensors:
            raise BrokenModelFile(f"{self.file.path} has no tensor {name}.")
        return self.delta

    def has(self, name: str) -> bool:
        return name in self.file.tensors

    def shape(self, name: str) -> list[int]:
        return list(self.entry(name).shape)

    def raw(self, name: str) -> str:
        """A tensor of the file as it is stored."""
        if name not in self.weights:
            entry = self.entry(name)
            tensor = TensorProto(name=name, data_type=_DTYPES[entry.dtype], dims=entry.shape)
            tensor.data_location = TensorProto.EXTERNAL
            place = self.home(name).path.relative_to(self.file.path.parent).as_posix()
            facts = {"location": place, "offset": entry.start, "length": entry.length}
            for key, value in facts.items():
                tensor.external_data.add(key=key, value=str(value))
            self.weights[name] = tensor
        return name

    def weight(self, name: str) -> str:
        """A tensor of the file as float32: cast, or dequantised with its scales `name.scale`, one a row."""
        if name not in self.ready:
            raw = self.raw(name)
            if self.has(f"{name}.scale"):
                scale = self.weight(f"{name}.scale")
                self.ready[name] = self.add("DequantizeLinear", raw, scale, axis=0)
            elif self.entry(name).dtype == "F32":
                self.ready[name] = raw
            else:
                self.ready[name] = self.add("Cast", raw, to=TensorProto.FLOAT)
        return self.ready[name]

    def operand(self, x: str, name: str) -> str:
        """What the layer `name` multiplies: `x` itself here, rounded in a quantised graph."""
        return x

    def factor(self, name: str) -> str:
        """The weight that the layer `name` multiplies with, as float32; the delta's product is added to it."""
        weight = self.weight(f"{name}.weight")
        if name not in self.summed:
            return weight
        if f"{name} sum" not in self.ready:
            down, up = (self.weight(f"{PREFIX}{name}{part}") for part in (DOWN, UP))
            if len(self.shape(f"{name}.weight")) > 2:
                down, up = (self.add("Flatten", factor, axis=1) for factor in (down, up))
            added = self.add("MatMul", up, down)
            if len(self.shape(f"{name}.weight")) > 2:
                added = self.add("Reshape", added, self.whole(*self.shape(f"{name}.weight")))
            self.ready[f"{name} sum"] = self.add("Add", weight, added)
        return self.ready[f"{name} sum"]

    def numbers(self, name: str) -> npt.NDArray[np.float32]:
        """What `factor` gives, as an array."""
        weight = self.file.read(f"{name}.weight").astype(np.float32)
        if name in self.summed:
            assert self.delta is not None
            weight += product(self.delta, name).reshape(weight.shape)
        return weight

    def linear(self, x: str, name: str) -> str:
        """`x @ weight.T + bias` over the last axis."""
        turned = self.add("Transpose", self.factor(name), perm=[1, 0])
        y = self.add("MatMul", self.operand(x, name), turned)
        return self.add("Add", y, self.weight(f"{name}.bias")) if self.has(f"{name}.bias") else y

    def linears(self, x: str, names: Sequence[str]) -> dict[str, str]:
        """Several `linear`s of one input as a single product of their stacked weights: on small inputs the count of
        products costs more than their size. All of them have a bias, or none."""
        if len(names) == 1:
            return {names[0]: self.linear(x, names[0])}
        stacked = self.add("Concat", *(self.factor(name) for name in names), axis=0)
        y = self.add("MatMul", self.operand(x, names[0]), self.add("Transpose", stacked, perm=[1, 0]))
        if self.has(f"{names[0]}.bias"):
            y = self.add("Add", y, self.add("Concat", *(self.weight(f"{name}.bias") for name in names), axis=0))
        sizes = [self.shape(f"{name}.weight")[0] for name in names]
        return dict(zip(names, self.split(y, sizes, -1), strict=True))

    def conv(self, x: str, name: str, stride: int = 1, pads: tuple[int, int, int, int] | None = None) -> str:
        """Convolution; `pads` is top, left, bottom, right, and keeps the size if it is not given."""
        side = self.shape(f"{name}.weight")[-1]
        border = [side // 2] * 4 if pads is None else list(pads)
        inputs = [self.operand(x, name), self.factor(name)]
        if self.has(f"{name}.bias"):
            inputs.append(self.weight(f"{name}.bias"))
        return self.add("Conv", *inputs, strides=[stride] * 2, pads=border, kernel_shape=[side] * 2)

    def group_norm(self, x: str, name: str, groups: int, eps: float) -> str:
        """Group norm, written as one row a group: OpenVINO sums a row in one thread, so that the number of threads
        does not change the result. Its own GroupNormalization splits a group, and does."""
        rows = self.add("Reshape", x, self.whole(0, groups, -1))
        ones, zeros = self.constant(np.ones(groups)), self.constant(np.zeros(groups))
        even = self.add("InstanceNormalization", rows, ones, zeros, epsilon=eps)
        y = self.add("Reshape", even, self.add("Shape", x))
        scale, shift = (self.add("Unsqueeze", self.weight(f"{name}.{k}"), self.whole(1, 2)) for k in ("weight", "bias"))
        return self.add("Add", self.add("Mul", y, scale), shift)

    def layer_norm(self, x: str, name: str, eps: float) -> str:
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=eps)

    def silu(self, x: str) -> str:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def enlarge(self, x: str, factor: int) -> str:
        """`factor` times the size by repeating pixels."""
        how: dict[str, Any] = {
            "mode": "nearest",
            "nearest_mode": "floor",
            "coordinate_transformation_mode": "asymmetric",
        }
        return self.add("Resize", x, "", self.constant([1, 1, factor, factor]), **how)

    def attention(self, query: str, key: str, value: str, heads: int, width: int, mask: str | None = None) -> str:
        """Softmax attention of `(B, T, width)` queries over `(B, S, width)` keys; `mask` is added to the scores."""
        deep = width // heads
        split = self.whole(0, 0, heads, deep)
        q, v = (self.add("Transpose", self.add("Reshape", t, split), perm=[0, 2, 1, 3]) for t in (query, value))
        k = self.add("Transpose", self.add("Reshape", key, split), perm=[0, 2, 3, 1])
        scores = self.add("Mul", self.add("MatMul", q, k), self.constant(1 / math.sqrt(deep)))
        if mask is not None:
            scores = self.add("Add", scores, mask)
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), v)
        joined = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        return self.add("Reshape", joined, self.whole(0, 0, width))

    def write(
        self, path: Path, inputs: dict[str, tuple[int, list[Any]]], outputs: dict[str, tuple[str, list[Any]]]
    ) -> Path:
        """Write the graph; inputs map a name to type and shape, outputs a name to result and shape (float32).

        Raises:
            BrokenModelFile: a tensor of the file was never read, or the graph does not hold together.
        """
        ours = {name for name in self.file.tensors if name.startswith(self.prefixes)}
        ours |= set(self.delta.tensors) if self.delta is not None else set()
        if left := sorted(ours - set(self.weights)):
            raise BrokenModelFile(f"The graph of {path} leaves out {len(left)} tensors, {left[0]} first.")
        nodes = [*self.nodes, *(helper.make_node("Identity", [r], [n]) for n, (r, _) in outputs.items())]
        graph = helper.make_graph(
            nodes,
            path.stem,
            [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, (_, shape) in outputs.items()],
            initializer=[*self.weights.values(), *self.initialisers],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        model.metadata_props.add(key="weights_header", value=_header(self.file))
        if self.delta is not None:
            model.metadata_props.add(key="delta_header", value=_header(self.delta))
        path.write_bytes(model.SerializeToString())
        onnx.checker.check_model(str(path))
        return path


def _header(weights: SafeFile) -> str:
    """Return the sha256 of a weights file up to its first tensor: what all offsets of a graph depend on.

    An engine that finds another header beside a graph knows that the graph would read garbage.
    """
    first = min(entry.start for entry in weights.tensors.values())
    with weights.path.open("rb") as file:
        return hashlib.sha256(file.read(first)).hexdigest()
