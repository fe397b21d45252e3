"""Writing a trained checkpoint folder as ONNX graphs that hold structure only.

Every weight of a graph is ONNX external data that points into the safetensors file that was trained: location, offset
and length of the tensor's bytes. So the weights lie on the disk once, a graph is some ten kilobytes, and one folder
serves diffusers, OpenVINO and ONNX Runtime. Since ONNX forbids leaving the graph's folder, each graph stands beside its
weights: `text_encoder/model.onnx`, `unet/model.onnx`, `vae/decoder.onnx`, `vae/encoder.onnx`, `upscaler/model.onnx`.

The graphs are written from `config.json` and the tensors' names, not traced: float16 weights are cast to float32, int8
matrices are dequantised a row at a time, attention is MatMul, Softmax, MatMul, and batch, height, width and token count
stay free. What the writer does not know it refuses; that the graphs equal the torch modules is a test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from fantascope.engines.compact import GROUP, NAME, PACKED
from fantascope.engines.lora import graph_of
from fantascope.engines.safefile import SafeFile
from fantascope.errors import Unsupported
from fantascope.spec import FEW
from fantascope.train.onnxgraph import Graph, read_json

DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"


def export_graphs(folder: Path) -> dict[str, Path]:
    """Write the graphs of a checkpoint folder in diffusers layout beside its weights.

    Args:
        folder: Holds `unet/`, `vae/`, `text_encoder/` (with `model.int8.safetensors`), and maybe `upscaler/` and the
            LoRA file `unet/few/`, which gets a graph that adds it to the weights.

    Returns:
        Part name (`text`, `unet`, `few`, `decoder`, `encoder`, `upscaler`) to the file written.

    Raises:
        ModelNotFound: a part has no `config.json` or no weights.
        Unsupported: a part uses a block that the graphs do not know.
        BrokenModelFile: a tensor is missing, or one is left over.
    """
    written = {
        "text": _text(folder / "text_encoder"),
        "unet": unet_graph(folder / "unet", Graph(SafeFile.open(folder / "unet" / DIFFUSERS_WEIGHTS))),
        "decoder": _decoder(folder / "vae"),
        "encoder": _encoder(folder / "vae"),
    }
    if (folder / FEW).is_file():
        written["few"] = export_few(folder)
    if (folder / "upscaler").is_dir():
        written["upscaler"] = _upscaler(folder / "upscaler")
    return written


def export_few(folder: Path) -> Path:
    """Write the graph of a checkpoint folder's UNet plus its LoRA file for few steps; raises as `export_graphs`."""
    graph = Graph(SafeFile.open(folder / "unet" / DIFFUSERS_WEIGHTS), delta=SafeFile.open(folder / FEW))
    return unet_graph(folder / "unet", graph, Path(graph_of(FEW)).name)


def _text(folder: Path) -> Path:
    """BERT: ids and mask `(B, T)` int64 -> states `(B, T, C)`."""
    config = read_json(folder / "config.json")
    _expect(folder, config, hidden_act="gelu")
    g = Graph(SafeFile.open(folder / NAME))
    eps, width, heads = config["layer_norm_eps"], config["hidden_size"], config["num_attention_heads"]
    x = _rows(g, "embeddings.word_embeddings.weight", "ids")
    length = g.add("Shape", "ids", start=1, end=2)
    scalar = g.add("Squeeze", length, g.whole(0))
    places = g.add("Range", g.constant(0, np.int64), scalar, g.constant(1, np.int64))
    x = g.add("Add", x, _rows(g, "embeddings.position_embeddings.weight", places))
    x = g.add("Add", x, _rows(g, "embeddings.token_type_embeddings.weight", g.whole(0)))
    x = g.layer_norm(x, "embeddings.LayerNorm", eps)
    seen = g.add("Cast", g.add("Unsqueeze", "mask", g.whole(1, 2)), to=TensorProto.FLOAT)
    mask = g.add("Mul", g.add("Sub", g.constant(1), seen), g.constant(-1e4))
    for k in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{k}"
        q, key, v = (g.linear(x, f"{layer}.attention.self.{part}") for part in ("query", "key", "value"))
        mixed = g.linear(g.attention(q, key, v, heads, width, mask), f"{layer}.attention.output.dense")
        x = g.layer_norm(g.add("Add", x, mixed), f"{layer}.attention.output.LayerNorm", eps)
        wide = g.add("Gelu", g.linear(x, f"{layer}.intermediate.dense"))
        x = g.layer_norm(g.add("Add", x, g.linear(wide, f"{layer}.output.dense")), f"{layer}.output.LayerNorm", eps)
    tokens = ["batch", "tokens"]
    return g.write(
        folder / "model.onnx",
        {"ids": (TensorProto.INT64, tokens), "mask": (TensorProto.INT64, tokens)},
        {"states": (x, [*tokens, width])},
    )


def _rows(g: Graph, name: str, ids: str) -> str:
    """Look up rows of a table; of one in int8 or 4 bits only the rows looked up are dequantised."""
    rows = g.add("Cast", g.add("Gather", g.raw(name), ids, axis=0), to=TensorProto.FLOAT)
    if not g.has(f"{name}.scale"):
        return rows
    scale = g.add("Unsqueeze", g.add("Gather", g.weight(f"{name}.scale"), ids, axis=0), g.whole(-1))
    if g.entry(name).dtype != "U8":
        return g.add("Mul", rows, scale)
    high = g.add("Floor", g.add("Mul", rows, g.constant(1 / 16)))
    low = g.add("Sub", rows, g.add("Mul", high, g.constant(16)))
    columns = g.add("Sub", g.add("Concat", low, high, axis=-1), g.constant(8))
    groups = g.add("Reshape", columns, g.whole(0, 0, -1, GROUP))
    return g.add("Reshape", g.add("Mul", groups, scale), g.whole(0, 0, -1))


def unet_graph(folder: Path, g: Graph, file: str = "model.onnx", *, control: bool = False) -> Path:
    """Write UNet2DConditionModel: sample `(B, C, h, w)`, time `(B,)`, states `(B, T, D)` -> prediction like sample.

    With `control` it also takes what a control network adds: `down_0`, … to the skips and `mid` to the middle.
    """
    config = _unet_config(folder)
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    net = _Blocks(g, config["norm_num_groups"], config["norm_eps"], _time(g, config, widths[0]))
    heads = _heads(config)
    skips, x = _half_unet(net, folder, config, g.conv("sample", "conv_in"))
    kind = TensorProto.FLOAT
    picture = ["batch", config["in_channels"], "height", "width"]
    inputs = _unet_inputs(config)
    if control:
        sizes = _skip_sizes(config)
        names = [f"down_{k}" for k in range(len(skips))]
        skips = [g.add("Add", skip, name) for skip, name in zip(skips, names, strict=True)]
        x = g.add("Add", x, "mid")
        inputs |= {name: (kind, size) for name, size in zip([*names, "mid"], [*sizes, sizes[-1]], strict=True)}
    for level, block in enumerate(config["up_block_types"]):
        crossed = _known(folder, block, {"UpBlock2D": False, "CrossAttnUpBlock2D": True})
        for k in range(layers + 1):
            x = g.add("Concat", x, skips.pop(), axis=1)
            x = net.resnet(x, f"up_blocks.{level}.resnets.{k}")
            if crossed:
                x = net.transformer(x, f"up_blocks.{level}.attentions.{k}", heads[-1 - level])
        if level < len(widths) - 1:
            x = g.conv(g.enlarge(x, 2), f"up_blocks.{level}.upsamplers.0.conv")
    x = net.out(x, "")
    return g.write(folder / file, inputs, {"prediction": (x, [*picture[:1], config["out_channels"], *picture[2:]])})


def control_graph(folder: Path) -> Path:
    """Write the ControlNetModel of a folder as `control.onnx` beside its weights.

    Inputs: `sample`, `timestep`, `states` as of the UNet, `map` (B, 3 + K, 8h, 8w) of 0..1 and `scale` (B,). Outputs:
    what is added to the UNet's skips and middle, times the scale: `down_0`, `down_1`, …, `mid`.

    Raises:
        ModelNotFound, Unsupported, BrokenModelFile: As `export_graphs`.
    """
    config = _unet_config(folder)
    _expect(folder, config, global_pool_conditions=False, controlnet_conditioning_channel_order="rgb")
    packed = folder / PACKED
    g = Graph(SafeFile.open(packed if packed.is_file() else folder / DIFFUSERS_WEIGHTS))
    net = _Blocks(g, config["norm_num_groups"], config["norm_eps"], _time(g, config, config["block_out_channels"][0]))
    small = g.silu(g.conv("map", "controlnet_cond_embedding.conv_in"))
    for k in range(2 * (len(config["conditioning_embedding_out_channels"]) - 1)):
        small = g.silu(g.conv(small, f"controlnet_cond_embedding.blocks.{k}", stride=1 + k % 2))
    small = g.conv(small, "controlnet_cond_embedding.conv_out")
    skips, x = _half_unet(net, folder, config, g.add("Add", g.conv("sample", "conv_in"), small))
    scale = g.add("Unsqueeze", "scale", g.whole(1, 2, 3))
    told = [g.conv(skip, f"controlnet_down_blocks.{k}") for k, skip in enumerate(skips)]
    told = [g.add("Mul", one, scale) for one in (*told, g.conv(x, "controlnet_mid_block"))]
    names, sizes = [*(f"down_{k}" for k in range(len(skips))), "mid"], _skip_sizes(config)
    kind = TensorProto.FLOAT
    given = {
        "map": (kind, ["batch", config["conditioning_channels"], "rows", "columns"]),
        "scale": (kind, ["batch"]),
    }
    outputs = {name: (one, size) for name, one, size in zip(names, told, [*sizes, sizes[-1]], strict=True)}
    return g.write(folder / "control.onnx", _unet_inputs(config) | given, outputs)


def export_control(folder: Path, control: Path) -> dict[str, Path]:
    """Write the graphs that a control network needs: its own, and the UNet's with inputs for what it adds.

    The second lies beside the UNet's weights, which it reads: `unet/model.control.onnx`. Where the checkpoint has a
    LoRA file for few steps, so does `unet/few.control.onnx`.

    Args:
        folder: The checkpoint folder.
        control: Folder of the ControlNetModel.

    Returns:
        `control`, `unet` and maybe `few` to the files written; raises as `export_graphs`.
    """
    unet, weights = folder / "unet", folder / "unet" / DIFFUSERS_WEIGHTS
    written = {
        "control": control_graph(control),
        "unet": unet_graph(unet, Graph(SafeFile.open(weights)), "model.control.onnx", control=True),
    }
    if (folder / FEW).is_file():
        graph = Graph(SafeFile.open(weights), delta=SafeFile.open(folder / FEW))
        written["few"] = unet_graph(unet, graph, f"{Path(graph_of(FEW)).stem}.control.onnx", control=True)
    return written


def _unet_config(folder: Path) -> dict[str, Any]:
    """The configuration of a UNet or of a control network, held to what the graphs know."""
    config = read_json(folder / "config.json")
    _expect(
        folder,
        config,
        act_fn="silu",
        time_embedding_type="positional",
        class_embed_type=None,
        addition_embed_type=None,
        encoder_hid_dim=None,
        use_linear_projection=False,
        dual_cross_attention=False,
        only_cross_attention=False,
        center_input_sample=False,
        mid_block_type="UNetMidBlock2DCrossAttn",
        resnet_time_scale_shift="default",
        transformer_layers_per_block=1,
        resnet_out_scale_factor=1.0,
        mid_block_scale_factor=1,
        downsample_padding=1,
    )
    return config


def _unet_inputs(config: dict[str, Any]) -> dict[str, tuple[int, list[Any]]]:
    kind = TensorProto.FLOAT
    return {
        "sample": (kind, ["batch", config["in_channels"], "height", "width"]),
        "timestep": (kind, ["batch"]),
        "states": (kind, ["batch", "tokens", config["cross_attention_dim"]]),
    }


def _heads(config: dict[str, Any]) -> list[int]:
    return _per_level(config["num_attention_heads"] or config["attention_head_dim"], len(config["block_out_channels"]))


def _skip_sizes(config: dict[str, Any]) -> list[list[Any]]:
    """The shapes of the skips, in order; sides are halved from level to level."""
    widths, sizes = config["block_out_channels"], [["batch", config["block_out_channels"][0], "height", "width"]]
    for level, width in enumerate(widths):
        here, below = (["height", "width"] if k == 0 else [f"height_{k}", f"width_{k}"] for k in (level, level + 1))
        sizes += [["batch", width, *here]] * config["layers_per_block"]
        sizes += [["batch", width, *below]] if level < len(widths) - 1 else []
    return sizes


def _half_unet(net: _Blocks, folder: Path, config: dict[str, Any], x: str) -> tuple[list[str], str]:
    """The way down from what `conv_in` gave, and the middle: all skips, and what the middle gives."""
    widths, heads, skips = config["block_out_channels"], _heads(config), [x]
    for level, block in enumerate(config["down_block_types"]):
        crossed = _known(folder, block, {"DownBlock2D": False, "CrossAttnDownBlock2D": True})
        for k in range(config["layers_per_block"]):
            x = net.resnet(x, f"down_blocks.{level}.resnets.{k}")
            if crossed:
                x = net.transformer(x, f"down_blocks.{level}.attentions.{k}", heads[level])
            skips.append(x)
        if level < len(widths) - 1:
            x = net.g.conv(x, f"down_blocks.{level}.downsamplers.0.conv", stride=2)
            skips.append(x)
    x = net.resnet(x, "mid_block.resnets.0")
    x = net.transformer(x, "mid_block.attentions.0", heads[-1])
    return skips, net.resnet(x, "mid_block.resnets.1")


def _time(g: Graph, config: dict[str, Any], width: int) -> str:
    """Sinusoids of the timestep and two linear layers, already through the SiLU that every block begins with."""
    half = width // 2
    rates = np.exp(-math.log(10000) * np.arange(half, dtype=np.float64) / (half - config["freq_shift"]))
    angle = g.add("Mul", g.add("Unsqueeze", "timestep", g.whole(1)), g.constant(rates))
    waves = [g.add("Sin", angle), g.add("Cos", angle)]
    if config["flip_sin_to_cos"]:
        waves.reverse()
    x = g.linear(g.add("Concat", *waves, axis=1), "time_embedding.linear_1")
    return g.silu(g.linear(g.silu(x), "time_embedding.linear_2"))


class _Blocks:
    """The blocks that diffusers' UNet and autoencoder share."""

    def __init__(self, g: Graph, groups: int, eps: float, time: str | None = None) -> None:
        self.g, self.groups, self.eps = g, groups, eps
        names = [name.removesuffix(".weight") for name in g.file.tensors]
        self.shifts = g.linears(time, [n for n in names if n.endswith(".time_emb_proj")]) if time is not None else {}
        seen = [n for n in names if n.endswith((".attn2.to_k", ".attn2.to_v"))]
        self.seen = g.linears("states", seen) if time is not None else {}

    def resnet(self, x: str, name: str) -> str:
        g = self.g
        y = g.conv(g.silu(g.group_norm(x, f"{name}.norm1", self.groups, self.eps)), f"{name}.conv1")
        if self.shifts:
            shift = self.shifts[f"{name}.time_emb_proj"]
            y = g.add("Add", y, g.add("Unsqueeze", shift, g.whole(2, 3)))
        y = g.conv(g.silu(g.group_norm(y, f"{name}.norm2", self.groups, self.eps)), f"{name}.conv2")
        if g.has(f"{name}.conv_shortcut.weight"):
            x = g.conv(x, f"{name}.conv_shortcut")
        return g.add("Add", x, y)

    def transformer(self, x: str, name: str, heads: int) -> str:
        """Self-attention, cross-attention to `states` and a gated feed-forward over the cells of a picture."""
        g, block = self.g, f"{name}.transformer_blocks.0"
        y = g.conv(g.group_norm(x, f"{name}.norm", self.groups, 1e-6), f"{name}.proj_in")
        width = g.shape(f"{name}.proj_in.weight")[0]
        flat = g.add("Reshape", y, g.whole(0, width, -1))
        t = g.add("Transpose", flat, perm=[0, 2, 1])
        parts = [f"{block}.attn1.{part}" for part in ("to_q", "to_k", "to_v")]
        q, k, v = g.linears(g.layer_norm(t, f"{block}.norm1", 1e-5), parts).values()
        t = g.add("Add", t, g.linear(g.attention(q, k, v, heads, width), f"{block}.attn1.to_out.0"))
        q = g.linear(g.layer_norm(t, f"{block}.norm2", 1e-5), f"{block}.attn2.to_q")
        k, v = (self.seen[f"{block}.attn2.{part}"] for part in ("to_k", "to_v"))
        t = g.add("Add", t, g.linear(g.attention(q, k, v, heads, width), f"{block}.attn2.to_out.0"))
        n = g.layer_norm(t, f"{block}.norm3", 1e-5)
        inner = g.shape(f"{block}.ff.net.0.proj.weight")[0] // 2
        wide, gate = g.split(g.linear(n, f"{block}.ff.net.0.proj"), [inner, inner], -1)
        t = g.add("Add", t, g.linear(g.add("Mul", wide, g.add("Gelu", gate)), f"{block}.ff.net.2"))
        back = g.add("Reshape", g.add("Transpose", t, perm=[0, 2, 1]), g.add("Shape", x))
        return g.add("Add", x, g.conv(back, f"{name}.proj_out"))

    def out(self, x: str, name: str) -> str:
        """The last norm, activation and convolution."""
        g = self.g
        return g.conv(g.silu(g.group_norm(x, f"{name}conv_norm_out", self.groups, self.eps)), f"{name}conv_out")


def _autoencoder(folder: Path, *halves: str) -> tuple[Graph, _Blocks, dict[str, Any]]:
    config = read_json(folder / "config.json")
    _expect(folder, config, act_fn="silu", latents_mean=None, latents_std=None, shift_factor=None)
    g = Graph(SafeFile.open(folder / DIFFUSERS_WEIGHTS), *halves)
    return g, _Blocks(g, config["norm_num_groups"], 1e-6), config


def _decoder(folder: Path) -> Path:
    """AutoencoderKL: latents `(B, C, h, w)` of unit variance -> pictures `(B, 3, 8h, 8w)` in -1 … 1."""
    g, net, config = _autoencoder(folder, "decoder.", "post_quant_conv.")
    x = g.add("Div", "latents", g.constant(config["scaling_factor"]))
    if g.has("post_quant_conv.weight"):
        x = g.conv(x, "post_quant_conv")
    x = g.conv(x, "decoder.conv_in")
    x = _middle(net, x, "decoder")
    count = len(config["block_out_channels"])
    for level, kind in enumerate(config["up_block_types"]):
        _known(folder, kind, {"UpDecoderBlock2D": True})
        for k in range(config["layers_per_block"] + 1):
            x = net.resnet(x, f"decoder.up_blocks.{level}.resnets.{k}")
        if level < count - 1:
            x = g.conv(g.enlarge(x, 2), f"decoder.up_blocks.{level}.upsamplers.0.conv")
    x = net.out(x, "decoder.")
    return g.write(
        folder / "decoder.onnx",
        {"latents": (TensorProto.FLOAT, ["batch", config["latent_channels"], "height", "width"])},
        {"pictures": (x, ["batch", config["out_channels"], "rows", "columns"])},
    )


def _encoder(folder: Path) -> Path:
    """AutoencoderKL: pictures `(B, 3, H, W)` in -1 … 1 -> mean latents `(B, C, H/8, W/8)` of unit variance."""
    g, net, config = _autoencoder(folder, "encoder.", "quant_conv.")
    x = g.conv("pictures", "encoder.conv_in")
    count = len(config["block_out_channels"])
    for level, kind in enumerate(config["down_block_types"]):
        _known(folder, kind, {"DownEncoderBlock2D": True})
        for k in range(config["layers_per_block"]):
            x = net.resnet(x, f"encoder.down_blocks.{level}.resnets.{k}")
        if level < count - 1:
            x = g.conv(x, f"encoder.down_blocks.{level}.downsamplers.0.conv", stride=2, pads=(0, 0, 1, 1))
    x = net.out(_middle(net, x, "encoder"), "encoder.")
    if g.has("quant_conv.weight"):
        x = g.conv(x, "quant_conv")
    mean, _ = g.split(x, [config["latent_channels"]] * 2, 1)
    x = g.add("Mul", mean, g.constant(config["scaling_factor"]))
    return g.write(
        folder / "encoder.onnx",
        {"pictures": (TensorProto.FLOAT, ["batch", config["in_channels"], "rows", "columns"])},
        {"latents": (x, ["batch", config["latent_channels"], "height", "width"])},
    )


def _middle(net: _Blocks, x: str, half: str) -> str:
    if net.g.has(f"{half}.mid_block.attentions.0.to_q.weight"):
        raise Unsupported(f"The graphs know no attention in the autoencoder, and {net.g.file.path} has it.")
    return net.resnet(net.resnet(x, f"{half}.mid_block.resnets.0"), f"{half}.mid_block.resnets.1")


def _per_level(value: int | Sequence[int], count: int) -> list[int]:
    return [value] * count if isinstance(value, int) else list(value)


def _known(folder: Path, kind: str, table: dict[str, bool]) -> bool:
    if kind not in table:
        raise Unsupported(f"The graphs of {folder} cannot hold a {kind}; known: {', '.join(table)}.")
    return table[kind]


def _expect(folder: Path, config: dict[str, Any], **wanted: Any) -> None:
    """Refuse a configuration that asks for what the graphs do not hold."""
    for key, value in wanted.items():
        if config.get(key, value) != value:
            raise Unsupported(
                f"The graphs of {folder} need {key} = {value!r}, and its configuration says {config[key]!r}."
            )


def _upscaler(folder: Path) -> Path:
    """Pictures `(B, 3, H, W)` in -1 … 1 -> `(B, 3, 4H, 4W)`: convolutions, channels to pixels, plus repeated pixels."""
    config = read_json(folder / "config.json")
    _expect(folder, config, kind="compact", act="prelu", scale=4)
    g = Graph(SafeFile.open(folder / "model.safetensors"))
    x = g.conv("pictures", "body.0")
    for k in range(config["layers"] + 1):
        slope = g.add("Unsqueeze", g.weight(f"body.{2 * k + 1}.weight"), g.whole(1, 2))
        x = g.conv(g.add("PRelu", x, slope), f"body.{2 * k + 2}")
    x = g.add("DepthToSpace", x, blocksize=4, mode="CRD")
    x = g.add("Add", x, g.enlarge("pictures", 4))
    return g.write(
        folder / "model.onnx",
        {"pictures": (TensorProto.FLOAT, ["batch", 3, "rows", "columns"])},
        {"large": (x, ["batch", 3, "high", "wide"])},
    )
