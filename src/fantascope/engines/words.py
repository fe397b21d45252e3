"""The embedded text encoder as a service: tokens, token states and sentence embeddings, without torch.

The contract with the UNet: uncased WordPiece, `[CLS] … [SEP]` padded with `[PAD]` to 32 tokens, BERT run with the
attention mask, and all 32 rows of its last layer handed on unmasked. A text of more than 30 word pieces is cut into
windows of 30, each wrapped and padded, their states put in a row; texts that are encoded together all get as many
windows as the longest one needs.

Source: Reimers & Gurevych, "Sentence-BERT" (2019), section 3 (mean pooling); all-MiniLM-L6-v2's model card.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.core.weighting import Weighted, Window, cut
from fantascope.core.weighting import states as weighed
from fantascope.engines.compact import NAME
from fantascope.engines.graph_runtime import Floats, Program, Source, open_runtime, runtime_name
from fantascope.engines.memory import Once
from fantascope.engines.weights import sha256
from fantascope.errors import BrokenModelFile, ModelNotFound
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED

WINDOW = 32
"""Tokens the UNet's text is read in, `[CLS]` and `[SEP]` included."""

READ = 128
"""Tokens that `embed` reads at once; the encoder was trained on sentences of this length."""

BATCH = 16
"""Windows that go through the encoder together."""

GRAPH = "text_encoder/model.onnx"
WEIGHTS = f"text_encoder/{NAME}"
TOKENIZER = "tokenizer/tokenizer.json"

Ids = list[int]


class Words:
    """A loaded text encoder; safe to call from several threads.

    Attributes:
        id: sha256 of its weights, in hex.
        width: Length of a token's state.

    Example:
        >>> from fantascope.settings import Settings
        >>> words = shared_words(Settings.from_env())
        >>> words.tokens("pink elephants")
        ['pink', 'elephants']
    """

    width = 384

    def __init__(self, tokenizer: Any, program: Program, weights: str) -> None:
        self.id = weights
        self._tokenizer, self._program = tokenizer, program
        self._begin, self._end, self._pad = (tokenizer.token_to_id(mark) for mark in ("[CLS]", "[SEP]", "[PAD]"))

    @classmethod
    def load(cls, folder: Path, settings: Settings, runtime: str = "") -> Words:
        """Load the text encoder of a checkpoint folder, on the runtime of this name or the one that is set.

        Raises:
            ModelNotFound: its graph, weights or tokenizer are not there.
            BrokenModelFile: they cannot be read.
            MissingExtra: the runtime that was set is not installed.
        """
        for name in (GRAPH, WEIGHTS, TOKENIZER):
            if not (folder / name).is_file():
                raise ModelNotFound(f"The model folder {folder} has no {name}.", param="model")
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # the library raises nothing more precise
            raise BrokenModelFile(f"{folder / TOKENIZER} is not a tokenizer: {error}") from error
        tokenizer.no_truncation()
        tokenizer.no_padding()
        weights = sha256(folder / WEIGHTS, settings)
        source = Source(folder / GRAPH, folder / WEIGHTS, f"{sha256(folder / GRAPH, settings)} {weights}")
        program = open_runtime(runtime or settings.runtime, settings).compile(
            source, {"ids": (-1, -1), "mask": (-1, -1)}, "fp32"
        )
        return cls(tokenizer, program, weights)

    def tokens(self, text: str) -> list[str]:
        """Return the word pieces of a text, without the marks of begin and end."""
        pieces: list[str] = self._tokenizer.encode(text, add_special_tokens=False).tokens
        return pieces

    def states(self, texts: Sequence[str | Weighted]) -> Floats:
        """Return token states `(N, 32 * k, 384)`, k the windows that the longest text needs; padding included."""
        plain = [self._windows(text, WINDOW) if isinstance(text, str) else [] for text in texts]
        heavy = [self._weighted(text) if isinstance(text, Weighted) else [] for text in texts]
        count = max([len(each) for each in plain] + [len(each) for each in heavy])
        filled = [each + [[self._begin, self._end]] * (count - len(each)) if each else [] for each in plain]
        different = list(dict.fromkeys(tuple(row) for each in filled for row in each))
        encoded = {row: self._encode([row], WINDOW)[0] for row in different}  # each alone: the same bits in any company
        return np.stack(
            [
                np.concatenate([encoded[tuple(row)] for row in each]) if each else self._weighed(windows, count)
                for each, windows in zip(filled, heavy, strict=True)
            ]
        )

    def _weighted(self, text: Weighted) -> list[Window]:
        sections = [[(self._ids(piece), weight) for piece, weight in section] for section in text.sections]
        return cut(sections, WINDOW - 2, self._begin, self._end)

    def _weighed(self, windows: list[Window], count: int) -> Floats:
        """Return the states of one weighed text, in `count` windows."""
        padded = windows + cut([[]], WINDOW - 2, self._begin, self._end) * (count - len(windows))
        empty = self._encode([[self._begin, self._end]], WINDOW)[0]
        found: Floats = weighed(padded, empty, lambda rows, hidden: self._encode(rows, WINDOW, hidden))
        return found

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return sentence embeddings `(N, 384)` float32 of length 1: the mean of a text's token states."""
        owners, rows = [], []
        for k, text in enumerate(texts):
            for row in self._windows(text, READ):
                owners.append(k)
                rows.append(row)
        sums = np.zeros((len(texts), self.width), np.float32)
        order = sorted(range(len(rows)), key=lambda k: len(rows[k]))
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            longest = len(rows[batch[-1]])
            for k, states in zip(batch, self._encode([rows[k] for k in batch], longest), strict=True):
                sums[owners[k]] += states[: len(rows[k])].sum(axis=0)
        norms = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
        means: Floats = sums / np.maximum(norms, np.float32(1e-12))
        return means

    def _windows(self, text: str, size: int) -> list[Ids]:
        """Cut a text into windows of at most `size` tokens, marks included; an empty text has one."""
        ids = self._ids(text)
        room = size - 2
        return [[self._begin, *ids[k : k + room], self._end] for k in range(0, max(len(ids), 1), room)]

    def _ids(self, text: str) -> Ids:
        ids: Ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _encode(self, rows: Sequence[Sequence[int]], size: int, hidden: Sequence[Sequence[bool]] = ()) -> Floats:
        """Run the encoder on windows padded to `size` tokens: `(N, size, 384)`; what is `hidden` it does not see."""
        if not rows:
            return np.zeros((0, size, self.width), np.float32)
        ids = np.full((len(rows), size), self._pad, np.int64)
        mask = np.zeros((len(rows), size), np.int64)
        for k, row in enumerate(rows):
            ids[k, : len(row)] = row
            mask[k, : len(row)] = 1
        for k, unseen in enumerate(hidden):
            mask[k, : len(unseen)] = np.logical_not(unseen)
        parts: list[npt.NDArray[np.float32]] = [
            self._program(ids=ids[k : k + BATCH], mask=mask[k : k + BATCH]) for k in range(0, len(rows), BATCH)
        ]
        return np.concatenate(parts)


_shared = Once[Words]()


def shared_words(settings: Settings, folder: Path = EMBEDDED, runtime: str = "") -> Words:
    """Return the text encoder of a checkpoint folder, loaded once a process and again when its file has changed.

    Raises as `Words.load` does.
    """
    key = (folder.resolve(), runtime_name(runtime or settings.runtime), settings.threads)
    files = [folder / name for name in (GRAPH, WEIGHTS, TOKENIZER)]
    return _shared.get(key, files, lambda: Words.load(folder, settings, runtime))
