"""Networks whose file the user gives: run here as tiny graphs of which the answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.annotate.drawn import square

from fantascope.annotate import Tools, annotate
from fantascope.annotate.networks import DEPTH, HED
from fantascope.errors import BrokenModelFile

pytest.importorskip("cv2")
onnx = pytest.importorskip("onnx")


def write(path: Path, nodes: list[Any], outputs: dict[str, Any], constants: dict[str, Any], size: Any) -> None:
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", floats, [1, 3, *size])],
        [helper.make_tensor_value_info(name, floats, shape) for name, shape in outputs.items()],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def red(path: Path, outputs: int, size: Any, scale: float) -> Tools:
    """A network that gives the red channel, scaled and less 100, `outputs` times."""
    weight = np.zeros((1, 3, 1, 1), np.float32)
    weight[0, 0] = scale
    node = onnx.helper.make_node
    nodes = [node("Conv", ["x", "w", "b"], [f"y{k}"]) for k in range(outputs)]
    shapes = {f"y{k}": [1, 1, *size] for k in range(outputs)}
    write(path, nodes, shapes, {"w": weight, "b": np.full(1, -100, np.float32)}, size)
    return Tools(weights=path.parent, threads=1)


@pytest.mark.parametrize("outputs", [1, 5])
def test_hed(tmp_path: Path, outputs: int) -> None:
    """Red of 230 gives a logit of 130, of 30 one of -70."""
    tools = red(tmp_path / HED.name, outputs, ["h", "w"], 1.0)
    found = annotate("softedge_hed", square(), tools=tools)[..., 0]
    assert (found[70:186, 70:186] == 255).all() and not found[:58].any()
    strokes = annotate("scribble_hed", square(), tools=tools)
    assert strokes.any() and set(np.unique(strokes)) == {0, 255}


@pytest.mark.parametrize("size", [["h", "w"], [224, 224]])
def test_depth_and_normal(tmp_path: Path, size: Any) -> None:
    tools = red(tmp_path / DEPTH.name, 1, size, 1.0)
    near = annotate("depth", square(), tools=tools)[..., 0]
    assert near[128, 128] > 200 and near[10, 10] < 55 and near.shape == (256, 256)
    normal = annotate("normal", square(), tools=tools).astype(int)
    for y, x in ((128, 128), (10, 10)):
        assert abs(normal[y, x] - (127, 127, 255)).max() <= 3, "flat faces the viewer"
    assert normal[128, 60:70, 0].max() > 150 and normal[128, 188:196, 0].min() < 105
    assert annotate("normal", square(), {"background": 1}, tools)[..., 2].min() > 235


def test_a_file_that_is_no_network(tmp_path: Path) -> None:
    (tmp_path / HED.name).write_bytes(b"hello")
    with pytest.raises(BrokenModelFile, match="cannot be read"):
        annotate("hed", square(), tools=Tools(weights=tmp_path))


def test_a_network_of_another_kind(tmp_path: Path) -> None:
    tools = red(tmp_path / HED.name, 1, [32, 32], 1.0)
    with pytest.raises(BrokenModelFile, match="does not take"):
        annotate("hed", square(), tools=tools)
    node = onnx.helper.make_node("Mul", ["x", "s"], ["y"])
    write(tmp_path / DEPTH.name, [node], {"y": [1, 3, "h", "w"]}, {"s": np.float32([2.0])}, ["h", "w"])
    with pytest.raises(BrokenModelFile, match="not one map"):
        annotate("depth", square(), tools=tools)
