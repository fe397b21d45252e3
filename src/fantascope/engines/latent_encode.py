"""Prompts of any length to token states: chunks of what the encoder can read, encoded apart, their states in a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fantascope.core.weighting import Weighted, Window, cut
from fantascope.core.weighting import states as weighed

Tokenise = Callable[[str], list[int]]
"""A text to token ids, without marks of begin and end."""


@dataclass
class Encoder:
    """A text encoder with its tokenizer.

    Attributes:
        model: A CLIP text model (with or without projection) or a BERT model of transformers.
        tokenise: Its tokenizer.
        window: Tokens that are read at once, marks included: 77 for CLIP, 32 for the embedded checkpoint.
        begin: Id of the mark before a text.
        end: Id of the mark after it.
        pad: Id that fills a window.
        masked: Whether the encoder is told which tokens are padding.
        folder: Name of the component, for the receipt.
        learned: Word, in lower case, -> the vectors `(K, D)` that stand for it (a textual inversion).
    """

    model: Any
    tokenise: Tokenise
    window: int
    begin: int
    end: int
    pad: int
    masked: bool = False
    folder: str = "text_encoder"
    learned: Mapping[str, Tensor] = field(default_factory=dict)

    def windows(self, texts: Sequence[str], least: int = 1) -> tuple[Tensor, Tensor]:
        """Return token ids and mask, both `(B, N, window)`; N is what the longest text needs, or `least`."""
        room = self.window - 2
        ids = [self._ids(text) for text in texts]
        count = max(1, least, *(-(-len(row) // room) for row in ids))
        rows = [[[self.begin, *row[k * room : (k + 1) * room], self.end] for k in range(count)] for row in ids]
        filled = [[window + [self.pad] * (self.window - len(window)) for window in row] for row in rows]
        lengths = torch.tensor([[len(window) for window in row] for row in rows])
        return torch.tensor(filled), (torch.arange(self.window) < lengths[..., None]).long()

    def cut(self, text: str | Weighted) -> list[Window]:
        """Return the windows of a text with weights."""
        sections = text.sections if isinstance(text, Weighted) else (((text, 1.0),),)
        pieces = [[(self._ids(piece), weight) for piece, weight in section] for section in sections]
        return cut(pieces, self.window - 2, self.begin, self.end)

    def run(self, windows: Tensor, mask: Tensor, device: torch.device, hides: bool = False) -> Any:
        """Run the model on ids and mask, both `(M, window)`, and return its output with all hidden states.

        Args:
            hides: Whether the mask hides words: then an encoder that is not told of padding is told of it all.
        """
        told = mask.to(device) if self.masked or hides else None
        with self._taught(windows, device) as plain:
            return self.model(input_ids=plain.to(device), attention_mask=told, output_hidden_states=True)

    def _ids(self, text: str) -> list[int]:
        """Return the tokens of a text; those of a learned word stand above the vocabulary, one a vector."""
        if not self.learned:
            return self.tokenise(text)
        longest = sorted(self.learned, key=len, reverse=True)
        pieces = re.split(r"(?<!\w)(" + "|".join(map(re.escape, longest)) + r")(?!\w)", text, flags=re.IGNORECASE)
        first, ids = {}, list[int]()
        above = int(self.model.get_input_embeddings().num_embeddings)
        for word, vectors in self.learned.items():
            first[word], above = above, above + len(vectors)
        for k, piece in enumerate(pieces):
            word = piece.lower()
            ids += range(first[word], first[word] + len(self.learned[word])) if k % 2 else self.tokenise(piece)
        return ids

    @contextmanager
    def _taught(self, windows: Tensor, device: torch.device) -> Iterator[Tensor]:
        """Give ids inside the vocabulary, and have the embeddings of learned ones replaced for a while.

        The model never meets an id of its own making: CLIP finds the end of a text by its highest id.
        """
        table = self.model.get_input_embeddings()
        strange = windows >= table.num_embeddings
        if not self.learned or not bool(strange.any()):
            yield windows
            return
        vectors = torch.cat(list(self.learned.values()))[windows[strange] - table.num_embeddings]

        def replace(module: Any, given: Any, out: Tensor) -> Tensor:
            out = out.clone()
            out[strange.to(out.device)] = vectors.to(out.device, out.dtype)
            return out

        hook = table.register_forward_hook(replace)
        try:
            yield windows.masked_fill(strange, 0)
        finally:
            hook.remove()


def encode(
    encoder: Encoder, texts: Sequence[str | Weighted], skip: int, last: bool, device: torch.device
) -> tuple[Tensor, Any]:
    """Encode texts, each by itself, in as many windows as the longest needs: the same bits in any company.

    Args:
        skip: Layers left out at the end (CLIP skip; 0 leaves none).
        last: Whether states are those of the last layer with the final norm (SD 1.x and 2.x, BERT), or those of the
            layer before, unnormed (SDXL; Podell et al. 2023, section 2.1).

    Returns:
        States `(B, N * window, D)`, and the pooled states `(B, P)` of each text's first window, or None when the
        encoder projects none. Weights of words do not change pooled states.
    """
    cuts = [encoder.cut(text) for text in texts]
    count, blank = max(map(len, cuts)), encoder.cut("")
    heavy = any(isinstance(text, Weighted) for text in texts)
    empty = _encode_plain(encoder, "", 1, skip, last, device)[0] if heavy else None
    pooled: list[Tensor] = []

    def run(rows: Sequence[Sequence[int]], hidden: Sequence[Sequence[bool]]) -> Tensor:
        ids = torch.full((len(rows), encoder.window), encoder.pad)
        mask = torch.full((len(rows), encoder.window), 0 if encoder.masked else 1)
        for k, (row, unseen) in enumerate(zip(rows, hidden, strict=True)):
            ids[k, : len(row)] = torch.tensor(row)
            mask[k, : len(row)] = torch.tensor([not one for one in unseen]).long()
        out = encoder.run(ids, mask, device, hides=any(map(any, hidden)))
        found = getattr(out, "text_embeds", None)
        if found is not None:
            pooled.append(found[:1])
        return _layer(encoder, out, skip, last)

    rows = []
    for text, windows in zip(texts, cuts, strict=True):
        if isinstance(text, Weighted):
            rows.append(weighed(windows + blank * (count - len(windows)), empty, run))
            continue
        states, own = _encode_plain(encoder, text, count, skip, last, device)
        rows.append(states)
        if own is not None:
            pooled.append(own)
    return torch.stack(rows), torch.cat(pooled) if pooled else None


def _encode_plain(
    encoder: Encoder, text: str, least: int, skip: int, last: bool, device: torch.device
) -> tuple[Tensor, Any]:
    """Encode one text in at least so many windows: states `(N * window, D)` and pooled states `(1, P)` or None."""
    windows, mask = encoder.windows([text], least)
    out = encoder.run(windows[0], mask[0], device)
    pooled = getattr(out, "text_embeds", None)
    return _layer(encoder, out, skip, last).flatten(0, 1), pooled[:1] if pooled is not None else None


def _layer(encoder: Encoder, out: Any, skip: int, last: bool) -> Tensor:
    """Return the states of the layer that is meant, `(M, window, D)`."""
    if not last:
        states = out.hidden_states[-(skip + 2)]
    elif skip == 0:
        states = out.last_hidden_state
    else:
        states = final_norm(encoder.model)(out.hidden_states[-(skip + 1)])
    return torch.as_tensor(states)


def final_norm(model: Any) -> Any:
    """Return the norm after the last layer of a CLIP text model; a BERT has none apart from its layers'."""
    inner = getattr(model, "text_model", model)
    return getattr(inner, "final_layer_norm", torch.nn.Identity())
