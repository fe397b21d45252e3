"""A word of one's own for textual inversion: one or more vectors that the text encoders read in its place.

Source: Gal et al., "An image is worth one word: personalizing text-to-image generation using textual inversion" (2023),
section 3: the vector starts as that of a word for the class, and it alone is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from fantascope.engines.latent_encode import Encoder
from fantascope.errors import InvalidValue
from fantascope.train.personal.base import Base, text_of


class Word(nn.Module):
    """The vectors of a word, one tensor (tokens, D) a text encoder.

    Attributes:
        name: The word.
        own: Component (`text_encoder`, `text_encoder_2`) -> its vectors.
        encoders: The base's encoders, reading the word; the modules themselves are unchanged.
    """

    def __init__(self, name: str, own: dict[str, nn.Parameter], encoders: Sequence[Encoder]) -> None:
        super().__init__()
        self.name, self.own = name, nn.ParameterDict(own)
        self.encoders = [replace(each, learned={name.lower(): own[each.folder]}) for each in encoders]


def learn_word(base: Base, name: str, kind: str, tokens: int) -> Word:
    """Give a base's text encoders a new word. Its vectors start as the mean of the class' tokens, a little apart.

    Raises:
        InvalidValue: The class has no token.
    """
    own = {}
    for encoder in base.parts.encoders:
        table = encoder.model.get_input_embeddings().weight
        ids = encoder.tokenise(kind)
        if not ids:
            raise InvalidValue(f"The text encoder knows no token of {kind!r}.", param="class")
        start = table[torch.tensor(ids, device=table.device)].float().mean(0)
        apart = torch.randn(tokens, len(start)).to(start.device) * table.float().std() * (0.05 if tokens > 1 else 0)
        own[encoder.folder] = nn.Parameter((start + apart).detach().clone())
    return Word(name, own, base.parts.encoders)


def word_states(base: Base, word: Word, texts: Sequence[str]) -> dict[str, Tensor]:
    """What the UNet is told for texts that may hold the word."""
    return text_of(base, texts, word.encoders)
