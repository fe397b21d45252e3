"""Loads the modules of a latent diffusion checkpoint: a diffusers folder, or one file in the original layout."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from fantascope.engines import compact
from fantascope.engines import latent_ldm as ldm
from fantascope.engines.latent_encode import Encoder, Tokenise
from fantascope.engines.lora import fuse
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import Place
from fantascope.errors import BrokenModelFile, ModelNotFound, Unsupported
from fantascope.spec import Spec

log = logging.getLogger(__name__)

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

CLASSES = {
    "unet": "diffusers.models.unets.unet_2d_condition:UNet2DConditionModel",
    "vae": "diffusers.models.autoencoders.autoencoder_kl:AutoencoderKL",
    "CLIPTextModel": "transformers.models.clip.modeling_clip:CLIPTextModel",
    "CLIPTextModelWithProjection": "transformers.models.clip.modeling_clip:CLIPTextModelWithProjection",
    "CLIPTextConfig": "transformers.models.clip.configuration_clip:CLIPTextConfig",
    "CLIPTokenizer": "transformers.models.clip.tokenization_clip:CLIPTokenizer",
    "BertModel": "transformers.models.bert.modeling_bert:BertModel",
    "BertConfig": "transformers.models.bert.configuration_bert:BertConfig",
}
"""Where each class is; imported one by one when it is needed, since importing diffusers whole takes seconds more."""

MERGES = Path(__file__).parent / "clip_merges.txt.gz"
"""CLIP's byte-pair merges (OpenAI, MIT): single files carry no tokenizer."""


@dataclass
class Parts:
    """The modules of one checkpoint.

    Attributes:
        unet: The denoising network.
        vae: The autoencoder, or None for a refiner, which uses its base's.
        encoders: Text encoders in the order in which their states stand side by side.
        scheduler: The scheduler's configuration, as diffusers writes it.
        zero_empty: Whether an empty text has states of zero rather than those of an empty text (SDXL base).
        aesthetic: Whether the size ids end with an aesthetic score (SDXL refiner).
    """

    unet: Any
    vae: Any
    encoders: list[Encoder] = field(default_factory=list)
    scheduler: dict[str, Any] = field(default_factory=dict)
    zero_empty: bool = False
    aesthetic: bool = False

    def modules(self) -> list[Any]:
        """Return all modules in the order in which a picture goes through them."""
        found = [*(encoder.model for encoder in self.encoders), self.unet, self.vae]
        return [module for module in found if module is not None]


def known(name: str) -> Any:
    """Import the class that `CLASSES` names."""
    module, _, attribute = CLASSES[name].partition(":")
    return getattr(import_module(module), attribute)


def files_of(place: Place, refiner: bool = False) -> list[str]:
    """Return the weight files that `load_parts` will read, as paths inside the place."""
    if place.single:
        return [place.root.name]
    components = [
        name for name in ("unet", "vae", "text_encoder", "text_encoder_2") if place.has(f"{name}/config.json")
    ]
    return [file for name in components if not (refiner and name != "unet") for file in place.weights_of(name)]


def load_parts(spec: Spec, place: Place, dtype: torch.dtype, refiner: bool = False) -> Parts:
    """Load the modules of a checked place on the CPU, in evaluation mode.

    Args:
        refiner: Load the network alone; autoencoder and text encoder are its base's.

    Raises:
        BrokenModelFile: tensors are missing, left over or of the wrong shape.
        ModelNotFound: the folder lacks a component.
        Unsupported: the network takes or gives what our loop does not know (inpainting, distilled guidance), or the
            delta is not what `engines.lora` reads.
    """
    if place.single and spec.delta is not None:
        raise Unsupported(f"{spec.name!r} is one file, and a delta needs a folder.", param="model")
    with quietly(), _explained(spec):
        if place.single:
            parts = _from_file(spec, place, dtype, refiner)
        else:
            parts = _from_folder(place, dtype, refiner, None if refiner else spec.delta)
    config = parts.unet.config
    if config.in_channels != config.out_channels or config.time_cond_proj_dim is not None:
        raise Unsupported(
            f"The network of {spec.name!r} takes {config.in_channels} channels"
            f"{' and a guidance scale' if config.time_cond_proj_dim else ''}; the engine 'latent' drives plain ones.",
            param="model",
            hint="Ask for --engine pipeline.",
        )
    for module in parts.modules():
        module.eval().requires_grad_(False)
    return parts


@contextmanager
def quietly() -> Iterator[None]:
    """Keep progress bars and advice of diffusers and transformers off the terminal for a while."""
    loggers = [import_module("diffusers.utils.logging"), import_module("transformers.utils.logging")]
    bars = [logger.is_progress_bar_enabled() for logger in loggers]
    levels = [logger.get_verbosity() for logger in loggers]
    for logger in loggers:
        logger.disable_progress_bar()
        logger.set_verbosity_error()
    try:
        yield
    finally:
        for logger, bar, level in zip(loggers, bars, levels, strict=True):
            logger.set_verbosity(level)
            if bar:
                logger.enable_progress_bar()


@contextmanager
def _explained(spec: Spec) -> Iterator[None]:
    """Turn what torch, diffusers and transformers say of a bad checkpoint into an error of ours."""
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, OSError) as error:
        said = str(error).strip().splitlines()
        raise BrokenModelFile(
            f"The weights of {spec.name!r} do not fit together: {said[0] if said else type(error).__name__}"
        ) from error


def _from_folder(place: Place, dtype: torch.dtype, refiner: bool, delta: str | None) -> Parts:
    index = place.config("model_index.json") if place.has("model_index.json") else {}
    zero_empty = bool(index.get("force_zeros_for_empty_prompt"))
    aesthetic = bool(index.get("requires_aesthetics_score"))
    unet = _pretrained("unet", place, "unet", torch.float32 if delta is not None else dtype)
    if delta is not None:  # added in float32, rounded once
        fuse(unet, SafeFile.open(place.path(delta)))
        unet.to(dtype)
    if refiner:
        return Parts(unet, None, zero_empty=zero_empty, aesthetic=aesthetic)
    vae = _pretrained("vae", place, "vae", _vae_dtype(place.config("vae/config.json"), dtype))
    names = [name for name in ("text_encoder", "text_encoder_2") if place.has(f"{name}/config.json")]
    if not names:
        raise ModelNotFound(f"{place.root} has no text encoder.")
    encoders = [_encoder(place, name, dtype) for name in names]
    return Parts(unet, vae, encoders, place.config("scheduler/scheduler_config.json"), zero_empty, aesthetic)


def _pretrained(name: str, place: Place, folder: str, dtype: torch.dtype) -> Any:
    """Load one component from its folder with its library's own loader: safetensors only, nothing from a hub."""
    variant = "fp16" if any(".fp16." in file for file in place.weights_of(folder)) else None
    arguments: dict[str, Any] = {"use_safetensors": True, "local_files_only": True, "variant": variant}
    model, told = known(name).from_pretrained(
        str(place.root / folder), dtype=dtype, output_loading_info=True, **arguments
    )
    # Both libraries fill what is missing with random numbers and say so in a log only.
    if told["missing_keys"]:
        raise BrokenModelFile(f"{place.root / folder} lacks the tensor {min(told['missing_keys'])!r}.")
    return model


def _vae_dtype(config: dict[str, Any], dtype: torch.dtype) -> torch.dtype:
    """Return float32 for an autoencoder that overflows in float16 (SDXL's says so: `force_upcast`)."""
    upcast = dtype == torch.float16 and config.get("force_upcast", True)
    return torch.float32 if upcast else dtype


def _encoder(place: Place, folder: str, dtype: torch.dtype) -> Encoder:
    config = place.config(f"{folder}/config.json")
    words = folder.replace("text_encoder", "tokenizer")
    if config.get("model_type") == "bert":
        return _bert(place, folder, words, config)
    cls = "CLIPTextModelWithProjection" if "WithProjection" in str(config.get("architectures")) else "CLIPTextModel"
    model = _pretrained(cls, place, folder, dtype)
    tokenizer = known("CLIPTokenizer").from_pretrained(str(place.root / words), local_files_only=True)
    return _clip(model, tokenizer, folder, tokenizer.pad_token_id)


def _clip(model: Any, tokenizer: Any, folder: str, pad: int) -> Encoder:
    words = plain_words(tokenizer.backend_tokenizer)
    window = model.config.max_position_embeddings
    return Encoder(model, words, window, tokenizer.bos_token_id, tokenizer.eos_token_id, pad, folder=folder)


def _bert(place: Place, folder: str, words: str, config: dict[str, Any]) -> Encoder:
    """The embedded checkpoint's text encoder, from its compact form or an ordinary one; always in float32."""
    from tokenizers import Tokenizer

    packed = place.weights_of(folder)[0].endswith(compact.NAME)
    model = compact_bert(place, folder) if packed else _pretrained("BertModel", place, folder, torch.float32)
    tokenizer = Tokenizer.from_file(str(place.path(f"{words}/tokenizer.json")))
    settings = place.config(f"{words}/tokenizer_config.json")
    begin, end, pad = (tokenizer.get_vocab()[mark] for mark in ("[CLS]", "[SEP]", "[PAD]"))
    masked, window = bool(config.get("use_attention_mask")), int(settings["model_max_length"])
    return Encoder(model, plain_words(tokenizer), window, begin, end, pad, masked, folder)


def compact_bert(place: Place, folder: str) -> Any:
    """Return the BERT whose compact form lies in a folder of the place, in float32."""
    model = known("BertModel")(known("BertConfig")(**place.config(f"{folder}/config.json")), add_pooling_layer=False)
    weights = compact.expand(place.path(f"{folder}/{compact.NAME}"))
    model.load_state_dict({name: torch.from_numpy(weight) for name, weight in weights.items()})
    return model.eval().requires_grad_(False)


def plain_words(tokenizer: Any) -> Tokenise:
    """Return a function from text to ids that neither cuts, pads nor adds marks, for a `tokenizers.Tokenizer`."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


def clip_tokenizer() -> Any:
    """Return CLIP's tokenizer, made from the merges that ship."""
    merges = gzip.decompress(MERGES.read_bytes()).decode("utf-8").splitlines()
    letters = sorted(set(range(33, 127)) | set(range(161, 173)) | set(range(174, 256)))
    signs = [chr(byte) for byte in letters] + [chr(256 + k) for k in range(256 - len(letters))]
    tokens = [*signs, *(sign + "</w>" for sign in signs), *("".join(merge.split()) for merge in merges)]
    vocabulary = {token: k for k, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    return known("CLIPTokenizer")(vocab=vocabulary, merges=[tuple(merge.split()) for merge in merges])


def _from_file(spec: Spec, place: Place, dtype: torch.dtype, refiner: bool) -> Parts:
    """Build the modules from the shapes in the file, then fill them with its tensors."""
    from safetensors.torch import load_file

    file = SafeFile.open(place.root)
    shapes, native = ldm.shapes_of(file), spec.sizes.native
    family = ldm.family_of(shapes)
    if family is None:
        raise Unsupported(f"{place.root} is no checkpoint in the layout of SD 1.x, 2.x or SDXL.", param="model")
    state = load_file(place.root)
    config = ldm.unet_config(shapes, family, native)
    unet = _filled("unet", config, ldm.convert_unet(_taken(state, ldm.UNET), config), dtype)
    if refiner:
        return Parts(unet, None, zero_empty=family == "sdxl", aesthetic=family == "refiner")
    config = ldm.vae_config(shapes, family, native)
    vae = _filled("vae", config, ldm.convert_vae(_taken(state, ldm.VAE), config), _vae_dtype(config, dtype))
    tokenizer = clip_tokenizer()
    encoders = []
    for number, prefix in enumerate(_prefixes(family), 1):
        settings = ldm.clip_config(shapes, prefix)
        projected = prefix in (ldm.OPEN_CLIP_XL, ldm.OPEN_CLIP_REFINER)
        weights = ldm.convert_clip(_taken(state, prefix), prefix, settings["num_hidden_layers"])
        model = _filled(f"CLIPTextModel{'WithProjection' if projected else ''}", settings, weights, dtype)
        pad = 0 if prefix not in (ldm.CLIP_1, ldm.CLIP_XL) else tokenizer.eos_token_id
        encoders.append(_clip(model, tokenizer, "text_encoder" if number == 1 else f"text_encoder_{number}", pad))
    return Parts(unet, vae, encoders, ldm.scheduler_config(file, family, native), family == "sdxl", family == "refiner")


def _prefixes(family: str) -> tuple[str, ...]:
    return {
        "sd1": (ldm.CLIP_1,),
        "sd2": (ldm.OPEN_CLIP_2,),
        "sdxl": (ldm.CLIP_XL, ldm.OPEN_CLIP_XL),
        "refiner": (ldm.OPEN_CLIP_REFINER,),
    }[family]


def _taken(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Take the tensors under a prefix out of a state, so that nothing holds them once they are converted."""
    return {name: state.pop(name) for name in list(state) if name.startswith(prefix)}


def _filled(name: str, config: dict[str, Any], weights: dict[str, Any], dtype: torch.dtype) -> Any:
    """Build a module without memory of its own and give it these tensors, all of them, and none may be left over.

    The dict is emptied: each tensor goes as soon as it is cast.
    """
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        made = known(name)
        model = made(known("CLIPTextConfig")(**config)) if name.startswith("CLIP") else made.from_config(config)
    nested = "text_model." if hasattr(model, "text_model") else ""  # one release of transformers nests, another not
    for key in list(weights):
        weights[("" if key.startswith("text_projection") else nested) + key] = weights.pop(key)
    model.load_state_dict(weights, strict=True, assign=True)
    weights.clear()
    return model.to(dtype)
