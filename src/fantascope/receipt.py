"""Receipts and verdicts: what was really done, and what the rules said of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_serializer

ID_BITS = 64
"""Length of a receipt id: what the invisible mark carries."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(_Frozen):
    """What one rule said of one text or picture. It allows or refuses; it never rewrites.

    `score` is in 0–1 and refuses from `threshold` on; `words` are the words (or the region) meant;
    `offer` is the nearest thing that is allowed.
    """

    allowed: bool
    rule: str
    score: float
    threshold: float
    reason: str
    subject: str = ""
    words: tuple[str, ...] = ()
    offer: str | None = None
    policy: str = ""


class Weight(_Frozen):
    """One file of weights that was really loaded and applied.

    `data_sha256`, of an adapter, is the hash without the file's header, by which A1111 and Civitai name it.
    """

    part: str
    path: str
    sha256: str
    licence: str
    scale: float = 1.0
    data_sha256: str | None = None


class Ran(_Frozen):
    """What ran: everything that the pixels depend on beside the request.

    `exactness` is the class of replay that holds on this engine, device and precision:
    `bit-exact` any batch size and thread count, `batch-exact` same batch shape and thread count,
    `close` within a few steps of 255.
    """

    engine: str
    runtime: str
    device: str
    precision: str
    threads: int
    exactness: Literal["bit-exact", "batch-exact", "close"]
    weights: tuple[Weight, ...] = ()
    versions: dict[str, str] = Field(default_factory=dict)
    reasons: tuple[str, ...] = ()


class Cost(_Frozen):
    """Credits charged for this artifact, how long it took, and an estimate of the energy in watt-hours with its method.

    An estimate that was not made is left out of the record: records from before there was one stay what they are.
    """

    credits: float = 0.0
    seconds: float = 0.0
    energy_wh: float | None = None
    energy_method: str | None = None

    @model_serializer(mode="wrap")
    def _lean(self, dump: Any) -> dict[str, Any]:
        data: dict[str, Any] = dump(self)
        return {name: value for name, value in data.items() if value is not None}


class Batch(_Frozen):
    """With how many others a picture was rendered: `n` together, the first of them picture `first` of its request,
    this one picture `index`."""

    n: int = Field(1, ge=1)
    index: int = Field(0, ge=0)
    first: int = Field(0, ge=0)


class Kept(_Frozen):
    """The proof of an edit: which pixels of its picture it left alone.

    Attributes:
        mask: Id of a picture in the gallery, white where the edit was allowed to change pixels.
        touched: Share of the pixels that it was allowed to change, 0 … 1.
        left, top: Of the parent in this picture, pixels; below 0 where it was cropped.
        before, after: SHA-256 of the parent's pixels that lie outside the mask, and of this picture's: they are equal.
        mark: Receipt id in the invisible mark of the pixels: that of the first picture of the chain, since what is left
            alone keeps its mark, and what is painted is given the same; this edit's own if the first picture had none,
            empty if nothing is marked.
        mark_left, mark_top: Where in this picture that mark is counted from, pixels.
    """

    mask: str
    touched: float
    left: int = 0
    top: int = 0
    before: str
    after: str
    mark: str = ""
    mark_left: int = 0
    mark_top: int = 0


class Receipt(_Frozen):
    """The record of one artifact.

    `request` is resolved (no default open, no path in it) and for this artifact alone (`n` is 1, its own
    seed), so it is a request that can be run again. `batch` says with how many others it was rendered. `kept` is the
    proof of an edit; `found` what an annotator found, as JSON; `composite` says that there are pixels in it that were
    handed in, not made by a model.
    """

    id: str
    request: dict[str, Any]
    spec: dict[str, Any]
    ran: Ran
    pixels_sha256: str
    parents: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    policy: str = ""
    cost: Cost = Cost()
    attribution: tuple[str, ...] = ()
    batch: Batch = Batch()
    kept: Kept | None = None
    found: str | None = None
    composite: bool = False
    created: str = ""
    fantascope: str = ""
    private: bool = False

    def dump(self) -> dict[str, Any]:
        """Return the receipt as plain JSON data."""
        return self.model_dump(mode="json")


def canonical(data: Any) -> bytes:
    """Return JSON with sorted keys and no spaces, UTF-8: the form that is hashed."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def receipt_id(receipt: Receipt) -> str:
    """Return the id that a receipt must have: 16 hex digits of what its pixels follow from.

    These are the request, the weights, and engine, runtime, device and precision. Time, cost and versions are
    left out on purpose: the mark carries this id, and the same request must give the same pixels, mark included.
    """
    ran = receipt.ran
    facts = {
        "request": receipt.request,
        "weights": [(w.part, w.sha256, w.scale) for w in ran.weights],
        "ran": (ran.engine, ran.runtime, ran.device, ran.precision),
    }
    return hashlib.sha256(canonical(facts)).hexdigest()[: ID_BITS // 4]
