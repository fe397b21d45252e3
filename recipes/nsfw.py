"""Writes the graph of the picture classifier beside weights that `fantascope policy detector` unpacked.

    python recipes/nsfw.py nsfwjs-4.3.0.tgz OUT    writes OUT/model.safetensors, model.onnx and classifier.json

The network is a MobileNetV2 (Sandler et al. 2018, table 2), batch norms folded; needs `fantascope[train]` for `onnx`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from onnx import TensorProto

from fantascope.engines.safefile import SafeFile
from fantascope.policy.nsfwjs import BLOCKS, FACTS, GRAPH, VERSION, WEIGHTS, encode, unpack
from fantascope.train.onnxgraph import Graph

SIDE = 224
STRIDED = (1, 3, 6, 13)
"""Blocks that halve the picture."""


def write_graph(folder: Path) -> Path:
    """Write `model.onnx` for the weights in `folder`: pictures `(N, 3, 224, 224)` in 0 … 1 -> classes `(N, 5)`."""
    g = Graph(SafeFile.open(folder / WEIGHTS))

    def clipped(x: str) -> str:
        return g.add("Clip", x, g.constant(0), g.constant(6))

    def halved(side: int, stride: int) -> tuple[int, int, int, int]:
        return (0, 0, 1, 1) if stride == 2 else (side // 2,) * 4  # TensorFlow's "same" on an even side

    x = g.add("Sub", g.add("Mul", "pictures", g.constant(2)), g.constant(1))
    x = clipped(g.conv(x, "stem", 2, halved(3, 2)))
    for k in range(BLOCKS):
        stride, y = 2 if k in STRIDED else 1, x
        if k:
            y = clipped(g.conv(y, f"{k}.expand"))
        name = f"{k}.depthwise"
        deep = g.add(
            "Conv",
            y,
            g.weight(f"{name}.weight"),
            g.weight(f"{name}.bias"),
            strides=[stride] * 2,
            pads=list(halved(3, stride)),
            kernel_shape=[3, 3],
            group=g.shape(f"{name}.weight")[0],
        )
        y = g.conv(clipped(deep), f"{k}.project")
        same = stride == 1 and k and g.shape(f"{k}.project.weight")[0] == g.shape(f"{k - 1}.project.weight")[0]
        x = g.add("Add", x, y) if same else y
    x = clipped(g.conv(x, "last"))
    x = g.add("Flatten", g.add("GlobalAveragePool", x), axis=1)
    x = g.add("Softmax", g.linear(x, "head"), axis=1)
    return g.write(
        folder / GRAPH,
        {"pictures": (TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])},
        {"classes": (x, ["batch", 5])},
    )


def main() -> None:
    tarball, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(encode(unpack(tarball)))
    write_graph(folder)
    facts = {
        "name": f"nsfwjs {VERSION} mobilenet_v2_mid",
        "classes": ["drawing", "hentai", "neutral", "porn", "sexy"],
        "weights": {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in (GRAPH, WEIGHTS)},
        "source": {
            "package": "nsfwjs",
            "version": VERSION,
            "variant": "mobilenet_v2_mid",
            "licence": "MIT",
            "attribution": "Copyright (c) 2019 Infinite Red, Inc.",
        },
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    print(json.dumps(facts["weights"], indent=1))


if __name__ == "__main__":
    main()
