"""The layers an adapter can change: module names of a base in the diffusers tree, with their shapes, and no torch.

They are read off the headers of the base's weight files, so what a key of an adapter means is looked up, not guessed.
Names of text encoders stand without a leading `text_model.`, which some releases of transformers write and some do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fantascope.engines import compact
from fantascope.engines import latent_ldm as ldm
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import Place, open_place
from fantascope.errors import BrokenModelFile, Unsupported
from fantascope.settings import Settings
from fantascope.spec import Spec

PARTS = ("unet", "text_encoder", "text_encoder_2")
NESTED = "text_model."
WORDS = ("embeddings.token_embedding", "embeddings.word_embeddings")
"""Modules that hold the embeddings of tokens: CLIP's and BERT's."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Layer:
    """Shapes of the weight of a module, and of its bias if it has one."""

    weight: tuple[int, ...]
    bias: tuple[int, ...] | None = None

    @property
    def matrix(self) -> tuple[int, int]:
        """The weight's shape as a matrix of one row an output channel."""
        rows, columns = self.weight[0], 1
        for side in self.weight[1:]:
            columns *= side
        return rows, columns


@dataclass(frozen=True)
class Tree:
    """The layers of a base by part and module name. `name` is what messages call the base."""

    name: str
    parts: dict[str, dict[str, Layer]]

    def width(self, part: str) -> int | None:
        """Return the length of a token's embedding in a text encoder, None where the base has no such part."""
        found = (self.parts.get(part, {}).get(name) for name in WORDS)
        return next((layer.weight[1] for layer in found if layer is not None), None)

    @property
    def blocks(self) -> frozenset[str]:
        """The names that weights of blocks can be given for."""
        every = {name for part, layers in self.parts.items() for module in layers for name in blocks_of(part, module)}
        return frozenset(every)


def layers_of(tensors: Shapes) -> dict[str, Layer]:
    """Return the layers of a network from the shapes of its tensors."""
    plain = {name.removeprefix(NESTED): shape for name, shape in tensors.items() if not name.endswith(compact.SCALE)}
    weights = {name.removesuffix(".weight"): shape for name, shape in plain.items() if name.endswith(".weight")}
    return {name: Layer(shape, plain.get(f"{name}.bias")) for name, shape in weights.items() if shape}


def tree_of(spec: Spec, settings: Settings) -> Tree:
    """Return the layers of a Spec's weights, which have to be on this machine: nothing is fetched for this.

    Raises:
        ModelNotFound: they are not here.
        Unsupported: the model is of a family that takes no adapters here.
    """
    if spec.family not in ("embedded", "sd1", "sd2", "sdxl"):
        raise Unsupported(
            f"{spec.name!r} is no model that adapters are applied to: that are SD 1.x, 2.x, SDXL and the embedded one.",
            param="base",
        )
    place = open_place(spec.source, replace(settings, offline=True))
    if place.single:
        return Tree(spec.name, _of_file(SafeFile.open(place.root), spec))
    found = [part for part in PARTS if place.has(f"{part}/config.json")]
    return Tree(spec.name, {part: layers_of(_shapes(place, part)) for part in found})


def _shapes(place: Place, part: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors of a part; a table in the compact form has two numbers in a byte."""
    out = {}
    for file in place.weights_of(part):
        tensors = SafeFile.open(place.path(file)).tensors
        for name, entry in tensors.items():
            halved = entry.dtype == "U8" and name + compact.SCALE in tensors
            out[name] = (*entry.shape[:-1], 2 * entry.shape[-1]) if halved else entry.shape
    return out


def _of_file(file: SafeFile, spec: Spec) -> dict[str, dict[str, Layer]]:
    """Return the layers of a single file in the original layout, under the names of the diffusers tree."""
    shapes = ldm.shapes_of(file)
    family = ldm.family_of(shapes)
    if family not in ("sd1", "sd2", "sdxl"):
        raise BrokenModelFile(f"{file.path} is no checkpoint of {spec.family}.", param="base")
    own = {name.removeprefix(ldm.UNET): shape for name, shape in shapes.items() if name.startswith(ldm.UNET)}
    deep = depth_of(own)
    unet = {}
    for name, shape in own.items():
        module, _, kind = name.rpartition(".")
        unet[f"{from_original(module, deep)}.{kind}"] = shape
    prefixes = {"sd1": (ldm.CLIP_1,), "sd2": (ldm.OPEN_CLIP_2,), "sdxl": (ldm.CLIP_XL, ldm.OPEN_CLIP_XL)}[family]
    texts = [_text(shapes, prefix, spare=prefix == ldm.OPEN_CLIP_2) for prefix in prefixes]
    return {"unet": layers_of(unet)} | dict(zip(PARTS[1:], map(layers_of, texts), strict=False))


def _text(shapes: Shapes, prefix: str, spare: bool) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a text encoder under transformers' names; OpenCLIP has query, key, value in one tensor."""
    own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
    if "positional_embedding" not in own:
        return own
    out = {"embeddings.token_embedding.weight": own["token_embedding.weight"]}
    out["embeddings.position_embedding.weight"] = own["positional_embedding"]
    last = ldm.clip_config(shapes, prefix)["num_hidden_layers"]
    names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    names["attn.out_proj"] = "self_attn.out_proj"
    for name, shape in own.items():
        found = re.match(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)$", name)
        if found is None or int(found[1]) >= last:
            continue
        layer, kind = f"encoder.layers.{found[1]}.", found[3]
        if found[2] == "attn.in_proj":
            third = (shape[0] // 3, *shape[1:])
            out |= {f"{layer}self_attn.{part}_proj.{kind}": third for part in "qkv"}
        elif found[2] in names:
            out[f"{layer}{names[found[2]]}.{kind}"] = shape
    out |= {f"final_layer_norm.{kind}": own[f"ln_final.{kind}"] for kind in ("weight", "bias")}
    if not spare and "text_projection" in own:
        out["text_projection.weight"] = own["text_projection"][::-1]
    return out


RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
"""Module of an original residual block -> of diffusers'."""

OUTER = {
    "input_blocks.0.0": "conv_in",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
}
"""Modules of the original UNet -> those of diffusers'."""


def depth_of(names: Iterable[str]) -> int:
    """Return how many residual blocks a level has, from module or tensor names of either layout."""
    rows = {int(found[1]) for name in names if (found := re.match(r"down_blocks\.0\.resnets\.(\d+)\.", name))}
    if rows:
        return max(rows) + 1
    halved = [int(found[1]) for name in names if (found := re.match(r"input_blocks\.(\d+)\.0\.op\.", name))]
    if halved:
        return min(halved) - 1
    blocks = [int(found[1]) for name in names if (found := re.match(r"input_blocks\.(\d+)\.0\.in_layers", name))]
    return max(blocks, default=2)


def from_original(module: str, depth: int, mark: str = ".") -> str:
    """Return what diffusers calls a module of the original UNet; another name comes back as it is.

    Args:
        depth: Residual blocks of a level.
        mark: What stands between the parts of a name: `.`, or `_` in kohya's keys.
    """

    def spelt(name: str) -> str:
        return name.replace(".", mark)

    for theirs, ours in OUTER.items():
        if module == spelt(theirs):
            return spelt(ours)
    at = re.escape(mark)
    found = re.match(rf"(input_blocks|middle_block|output_blocks){at}(\d+){at}(.+)$", module)
    if found is None:
        return module
    way, index, rest = found[1], int(found[2]), found[3]
    if way == "middle_block":
        head = ("mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1")[min(index, 2)]
        return f"{spelt(head)}{mark}{_inner(rest, mark) if index != 1 else rest}"
    slot, _, rest = rest.partition(mark)
    level, row = divmod(index - 1 if way == "input_blocks" else index, depth + 1)
    side = "down_blocks" if way == "input_blocks" else "up_blocks"
    if rest.split(mark)[0] in ("op", "conv"):
        sampler = "downsamplers" if side == "down_blocks" else "upsamplers"
        return spelt(f"{side}.{level}.{sampler}.0.conv")
    kind = "resnets" if slot == "0" else "attentions"
    return f"{spelt(f'{side}.{level}.{kind}.{row}')}{mark}{_inner(rest, mark) if kind == 'resnets' else rest}"


def _inner(rest: str, mark: str) -> str:
    return next((ours for theirs, ours in RESIDUAL.items() if rest == theirs.replace(".", mark)), rest)


TEXT = "text"
"""Block of every layer of the text encoders."""

OTHER = "other"
"""Block of the layers before, between and after the levels."""


def blocks_of(part: str, module: str) -> tuple[str, ...]:
    """Return the blocks that a layer is in, the finer first: `down_1.0` and `down_1`, `mid`, `text`, or `other`.

    `down_1.0` is the first residual block of the second level down, and the attention after it.
    """
    if part != "unet":
        return (TEXT,)
    if module.startswith("mid_block."):
        return ("mid",)
    found = re.match(r"(down|up)_blocks\.(\d+)\.(?:(?:resnets|attentions)\.(\d+)\.)?", module)
    if found is None:
        return (OTHER,)
    level = f"{found[1]}_{found[2]}"
    return (level,) if found[3] is None else (f"{level}.{found[3]}", level)
