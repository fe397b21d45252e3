"""What the keys of an adapter file mean: which part, which module, which factor; in every layout that is about.

diffusers, peft   unet.down_blocks.0…to_q.lora_A.weight · base_model.model.… · text_encoder.….to_q_lora.down.weight
kohya, A1111      lora_unet_down_blocks_0_…_to_q.lora_down.weight · lora_te1_… · lora_unet_input_blocks_4_1_…
LyCORIS           ….hada_w1_a · ….lokr_w2_b · ….dora_scale · lycoris_…
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property

from fantascope.engines.adapters.tree import NESTED, PARTS, Tree, depth_of, from_original
from fantascope.errors import InvalidValue, Unsupported, nearest

FIELDS: dict[str, str] = {
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_A.default.weight": "down",
    "lora_B.default.weight": "up",
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
    "lora_magnitude_vector.default.weight": "magnitude",
    "dora_scale": "dora_scale",
    "alpha": "alpha",
    **{f"hada_{name}": f"hada_{name}" for name in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    **{f"lokr_{name}": f"lokr_{name}" for name in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")},
    "diff": "diff",
    "diff_b": "diff_b",
    "w_norm": "diff",
    "b_norm": "diff_b",
}
"""How a key ends -> the factor it is."""

_FIELD = re.compile("(.+?)(?:\\.|(?<=to_[qkv])_|(?<=to_out)_)(" + "|".join(map(re.escape, FIELDS)) + ")$")

UNREAD = {"oft_": "OFT", "boft": "BOFT", "ia3": "IA3", "glora": "GLoRA", "a1.weight": "GLoRA", "b1.weight": "GLoRA"}
"""Marks in keys of the kinds of adapter that are known and not read."""

KOHYA = {
    "lora_unet_": ("unet",),
    "lora_te1_": ("text_encoder",),
    "lora_te2_": ("text_encoder_2",),
    "lora_te_": ("text_encoder",),
    "lycoris_": ("unet", "text_encoder", "text_encoder_2"),
}
"""Beginnings of joined names -> where such a module is looked for."""

DOTTED = {
    "unet.": ("unet",),
    "text_encoder.": ("text_encoder",),
    "text_encoder_2.": ("text_encoder_2",),
    "diffusion_model.": ("unet",),
    "model.diffusion_model.": ("unet",),
}
OLD = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}
"""What older diffusers files call the projections of a text encoder."""


class Names:
    """The look-up of the keys of one file in the layers of one base.

    Args:
        tree: The base.
        said: What the file says it was made for, for messages; empty if nothing.
    """

    def __init__(self, tree: Tree, said: str = "") -> None:
        self.tree, self.said = tree, said

    @cached_property
    def _joined(self) -> dict[str, dict[str, str]]:
        """Part -> name with `_` for `.` -> name."""
        return {part: {name.replace(".", "_"): name for name in layers} for part, layers in self.tree.parts.items()}

    @cached_property
    def _depth(self) -> int:
        return depth_of(f"{name}." for name in self.tree.parts["unet"])

    def place(self, key: str, path: object) -> tuple[str, str, str]:
        """Return part, module and factor of a key.

        Raises:
            Unsupported: it is of a kind that is not read.
            InvalidValue: the base has no such layer.
        """
        found = _FIELD.fullmatch(key)
        if found is None:
            kind = next((name for mark, name in UNREAD.items() if mark in key), None)
            raise Unsupported(
                f"{path} holds {key!r}, which is {f'a factor of {kind}, a kind' if kind else 'nothing'} that is read "
                "here: LoRA, LoCon, LoHa, LoKr, DoRA, whole differences and textual inversions are.",
                param="file",
            )
        part, module = self._module(found[1], key, path)
        return part, module, FIELDS[found[2]]

    def _module(self, head: str, key: str, path: object) -> tuple[str, str]:
        for prefix, parts in KOHYA.items():
            if head.startswith(prefix):
                hits = [(part, name) for part in parts if (name := self._of_joined(part, head.removeprefix(prefix)))]
                return self._one(hits, key, path)
        head = head.removeprefix("base_model.model.")
        for prefix, parts in DOTTED.items():
            if head.startswith(prefix):
                hits = [(part, name) for part in parts if (name := self._of_dotted(part, head.removeprefix(prefix)))]
                return self._one(hits, key, path)
        hits = [(part, name) for part in PARTS if (name := self._of_dotted(part, head))]
        return self._one(hits, key, path)

    def _of_joined(self, part: str, name: str) -> str | None:
        known: Mapping[str, str] = self._joined.get(part, {})
        if part != "unet":
            return known.get(name.removeprefix("text_model_"))
        return known.get(name) or known.get(from_original(name, self._depth, "_"))

    def _of_dotted(self, part: str, name: str) -> str | None:
        known = self.tree.parts.get(part, {})
        name = name.replace(".processor.", ".").removeprefix("" if part == "unet" else NESTED)
        stem, _, last = name.rpartition(".")
        tried = [name, f"{name}.0" if last == "to_out" else name, f"{stem}.{OLD.get(last, last)}"]
        if part == "unet":
            tried.append(from_original(name, self._depth))
        return next((one for one in tried if one in known), None)

    def _one(self, hits: list[tuple[str, str]], key: str, path: object) -> tuple[str, str]:
        if len(hits) == 1:
            return hits[0]
        made = f" It says that it was made for {self.said}." if self.said else ""
        if hits:
            parts = " and ".join(part for part, _ in hits)
            raise InvalidValue(f"{path}: {key!r} fits {parts} of {self.tree.name!r}, and does not say which.{made}")
        bare = re.sub(r"^(lora_(unet|te\d?)_|lycoris_|base_model\.model\.)", "", key).replace(".", "_")
        near = nearest(bare, [name for names in self._joined.values() for name in names], 1)
        offer = f" The nearest is {near[0]!r}." if near else ""
        raise InvalidValue(
            f"{path} does not fit {self.tree.name!r}, which has no layer for {key!r}.{offer}{made}",
            param="base",
            hint="fantascope models list",
        )
