"""Captions of pictures by a model of the family `caption`: BLIP, with transformers' own classes and safetensors only.

It looks and does not render, so like the detector it has a small contract of its own (`caption`). It computes on the
CPU in float32 and searches without chance, so the same picture gets the same words.

Source: Li et al., "BLIP: Bootstrapping language-image pre-training for unified vision-language understanding and
generation" (2022).
"""

from __future__ import annotations

import importlib.util
import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fantascope.engines.weights import Place, open_place, weigh
from fantascope.errors import BrokenModelFile, MissingExtra, ModelNotFound, Unsupported
from fantascope.receipt import Weight
from fantascope.settings import Settings
from fantascope.spec import Spec

log = logging.getLogger(__name__)

PACKAGES = ("torch", "transformers", "diffusers", "safetensors")
"""What the extra `torch` brings and this needs."""

KIND = "BlipForConditionalGeneration"
"""The one class of model that is loaded."""

LONGEST = 40
"""Most tokens of a caption."""

SPARE = 128
"""How many words a model may have more than its tokenizer: marks of its own, and what fills up a round number."""

MOST = 4
"""Captions of a picture, and beams of the search."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Caption:
    """Words for a picture, and the geometric mean of their tokens' probabilities, 0 to 1."""

    words: str
    score: float


def captions(place: Place) -> bool:
    """Say whether a checked folder is a captioning model that can be loaded here."""
    if place.single or place.has("model_index.json") or not place.has("config.json"):
        return False
    config = place.config("config.json")
    return config.get("model_type") == "blip" and KIND in (config.get("architectures") or [KIND])


def files_of(place: Place) -> list[str]:
    """Return the weight files of a captioning model; raises as `Place.weights_of` does."""
    return [name.removeprefix("./") for name in place.weights_of(".")]


def side_of(place: Place) -> int:
    """Return the side of the pictures that a captioning model sees, pixels."""
    vision = place.config("config.json").get("vision_config")
    side = vision.get("image_size", 384) if isinstance(vision, dict) else 384
    if not isinstance(side, int) or not 8 <= side <= 4096:
        raise BrokenModelFile(f"{place.root}/config.json gives pictures a side of {side!r}.")
    return side


class Captioner:
    """A loaded captioning model.

    Example:
        >>> captioner = Captioner.load(spec, settings)                                      # doctest: +SKIP
        >>> captioner.caption(np.zeros((64, 64, 3), np.uint8))[0].words                     # doctest: +SKIP
        'a black square'
    """

    def __init__(self, spec: Spec, weights: tuple[Weight, ...], model: Any, images: Any, words: Any) -> None:
        self.spec, self.weights = spec, weights
        self._model, self._images, self._words = model, images, words

    @classmethod
    def load(cls, spec: Spec, settings: Settings) -> Captioner:
        """Open, check, hash and load the model of a Spec of the family `caption`.

        Raises:
            Unsupported: the Spec is of another family, or its folder holds another model.
            MissingExtra: torch or transformers is not installed.
            ModelError: as `weights.open_place` and `weights.weigh`; or what is there does not fit together.
        """
        if spec.family != "caption":
            raise Unsupported(
                f"{spec.name!r} writes no captions; a model of the family caption does.",
                param="model",
                hint="fantascope models list",
            )
        if not all(map(importlib.util.find_spec, PACKAGES)):
            raise MissingExtra(f"The captioning model {spec.name!r}", "torch", param="model")
        place = open_place(spec.source, settings)
        if not captions(place):
            raise Unsupported(f"{place.root} is no captioning model: only {KIND} is loaded.", param="model")
        weights = weigh(spec, place, files_of(place), settings)
        model, images, words = _loaded(spec, place, settings)
        return cls(spec, weights, model, images, words)

    def caption(self, pixels: Pixels, most: int = MOST) -> tuple[Caption, ...]:
        """Return at most so many different captions of a picture `(H, W, 3)` uint8, the likeliest first.

        A beam search without chance; what the model says is text like any other and no rule has judged it.

        Raises:
            Unsupported: it says nothing at all.
        """
        import torch

        shown = self._images(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"]
        longest = min(LONGEST, int(self._model.config.text_config.max_position_embeddings) - 2)
        with torch.inference_mode():
            told = self._model.generate(
                pixel_values=shown.to(torch.float32),
                do_sample=False,
                num_beams=max(most, MOST),
                num_return_sequences=most,
                length_penalty=1.0,
                max_new_tokens=longest,
                return_dict_in_generate=True,
                output_scores=True,
            )
        found: dict[str, float] = {}  # a row begins with the mark that starts every caption
        for row, score in zip(told.sequences, told.sequences_scores.tolist(), strict=True):
            text = " ".join(self._words.decode(row[1:], skip_special_tokens=True).split())
            found.setdefault(text, min(1.0, math.exp(score)))
        said = tuple(Caption(text, score) for text, score in found.items() if text)
        if not said:
            raise Unsupported(f"{self.spec.name!r} says nothing of this picture.", param="picture")
        return said


def _loaded(spec: Spec, place: Place, settings: Settings) -> tuple[Any, Any, Any]:
    """Load model, image processor and tokenizer with their own loaders: safetensors only, nothing from a hub."""
    import torch
    import transformers

    from fantascope.engines.latent_parts import quietly

    if settings.threads:
        torch.set_num_threads(settings.threads)
    # The one on Pillow, also where torchvision is installed: the same pixels everywhere.
    kind = getattr(transformers, "BlipImageProcessorPil", None) or transformers.BlipImageProcessor
    root = str(place.root)
    if not place.has("tokenizer.json") and not place.has("vocab.txt"):
        raise ModelNotFound(f"{place.root} has no tokenizer: neither tokenizer.json nor vocab.txt.")
    log.info("loading %s with transformers on cpu in fp32", spec.name)
    try:
        with quietly():
            model, told = transformers.BlipForConditionalGeneration.from_pretrained(
                root, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
            )
            images = kind.from_pretrained(root, local_files_only=True)
            words = transformers.BertTokenizerFast.from_pretrained(root, local_files_only=True)
    except (RuntimeError, KeyError, ValueError, TypeError, OSError, AttributeError) as error:
        said = str(error).strip().splitlines()
        raise BrokenModelFile(
            f"The files of {spec.name!r} do not fit together: {said[0] if said else type(error).__name__}"
        ) from error
    if told["missing_keys"]:  # transformers fills them with random numbers and says so in a log only
        raise BrokenModelFile(f"{place.root} lacks the tensor {min(told['missing_keys'])!r}.")
    size = model.config.text_config.vocab_size
    if not 0 <= size - len(words) <= SPARE or words.sep_token_id != model.config.text_config.sep_token_id:
        raise BrokenModelFile(f"{place.root} has a tokenizer of {len(words)} words that is not its model's ({size}).")
    return model.eval().requires_grad_(False), images, words
