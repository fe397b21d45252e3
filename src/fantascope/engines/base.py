"""What an engine is: one required method; a latent engine also offers its parts.

Arrays are NumPy arrays on `graph`, torch tensors on `latent`; `core` treats both alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from fantascope.artifact import Output, Step
from fantascope.core.weighting import Weighted
from fantascope.receipt import Ran
from fantascope.request import Applied, Request
from fantascope.spec import Spec

Array = Any
"""A NumPy array or a torch tensor."""


EDITS = frozenset({"vary", "fill", "erase", "expand", "blend", "upscale", "cutout", "tile", "edit"})
"""Tasks that start from a picture or bend the loop: they need an engine that paints from `Inputs`."""


@dataclass(frozen=True)
class Steer:
    """A map that steers the painting: see `request.Control`. `map` is `(H, W, 3)` uint8 at the size painted at."""

    kind: str
    map: Any
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    guess: bool = False
    network: str | None = None

    def works(self, share: float) -> bool:
        """Say whether it works at a share of the run, 0 … 1."""
        return self.start <= share <= self.end


@dataclass(frozen=True)
class Said:
    """What the texts of a request say at one step.

    Attributes:
        parts: The texts that guide, each with its weight: one, or several put together.
        against: The text that it is guided away from.
    """

    parts: tuple[tuple[str | Weighted, float], ...]
    against: str | Weighted = ""


@dataclass(frozen=True)
class Inputs:
    """What painting starts from beside noise. Without any, it is text to image at the request's size.

    Attributes:
        size: Width and height the model paints at, pixels; None is the request's size before the upscaler.
        pictures: `(K, H, W, 3)` uint8 at that size; their latents are mixed by `weights`.
        weights: K shares that sum to 1.
        strength: 0 … 1, how far up the noise the mixture goes before it is painted over; 1 is pure noise.
        mask: `(H, W)` float 0 … 1 at that size: 1 is painted, 0 stays the picture.
        wrap: Whether left and right, top and bottom meet without a seam.
        steers: Maps that steer it, several at once.
        said: Gives what is said at each step of a run of so many, where that is more than the request's prompts.
    """

    size: tuple[int, int] | None = None
    pictures: Any = None
    weights: tuple[float, ...] = (1.0,)
    strength: float = 1.0
    mask: Any = None
    wrap: tuple[bool, bool] = (False, False)
    steers: tuple[Steer, ...] = ()
    said: Callable[[int], Sequence[Said]] | None = None


@dataclass(frozen=True)
class Choice:
    """Which engine, runtime, device and precision will run, each with the reason it was chosen."""

    engine: str
    device: str
    precision: str
    reasons: tuple[str, ...] = ()
    runtime: str = ""


@dataclass(frozen=True)
class Conditions:
    """What a text became: token states `(B, T, D)`, and for SDXL pooled states `(B, P)` and size ids `(B, 6 or 5)`."""

    states: Array
    pooled: Array | None = None
    sizes: Array | None = None

    def rows(self, which: Sequence[int]) -> Conditions:
        """Return the conditions of some rows, in this order."""
        picked = list(which)
        pooled = self.pooled[picked] if self.pooled is not None else None
        return Conditions(self.states[picked], pooled, self.sizes[picked] if self.sizes is not None else None)


@runtime_checkable
class Engine(Protocol):
    """Loaded weights.

    `supports` names the tasks that `render` can do. `render` yields `Step`s and one `Output` per picture;
    closing the iterator cancels it. It never changes the request. `rowwise` promises that a picture has the same pixels
    whatever is painted beside it, and that the engine is a `Rowwise` one: then requests of several people may share a
    batch.
    """

    spec: Spec
    choice: Choice
    supports: frozenset[str]
    rowwise: bool

    def render(self, request: Request, inputs: Inputs = Inputs()) -> Iterator[Step | Output]: ...

    def ran(self) -> Ran:
        """Say what runs here: for the receipt."""
        ...

    def close(self) -> None:
        """Free the weights."""
        ...


@runtime_checkable
class LatentEngine(Engine, Protocol):
    """An engine whose parts can be used one by one.

    Latents are `(B, C, h, w)` float32, scaled to unit variance. Pictures are `(B, 3, H, W)` float32 in -1 … 1.
    """

    @property
    def latent_channels(self) -> int: ...

    @property
    def latent_factor(self) -> int:
        """Pixels of a decoded picture per latent cell, one side."""
        ...

    def batch_limit(self, request: Request) -> int:
        """Return how many pictures of the request's size go through the network together."""
        ...

    @property
    def training_schedule(self) -> Any:
        """The `core.schedules.Training` the weights were trained with."""
        ...

    def from_numpy(self, array: Any) -> Array:
        """Move a NumPy array to where this engine computes."""
        ...

    def to_numpy(self, array: Array) -> Any: ...

    def encode_text(self, texts: Sequence[str | Weighted], request: Request) -> Conditions: ...

    def encode_image(self, pictures: Array) -> Array: ...

    def network(self, request: Request, conditions: Conditions) -> Any:
        """Return the raw network `(x, t) -> eps | v | flow` for these conditions (see `core.denoise.Network`)."""
        ...

    def steered(self, request: Request, conditions: Conditions, steers: Sequence[Steer]) -> Any:
        """Return the raw network as `network` does, steered by maps.

        Raises:
            Unsupported: there is no control network for one of them.
        """
        ...

    def decode(self, latents: Array) -> Array: ...

    def upscale(self, pictures: Array, factor: int) -> Array: ...

    def adapted(self, adapters: Sequence[Applied]) -> AbstractContextManager[None]: ...


@runtime_checkable
class Rowwise(LatentEngine, Protocol):
    """A latent engine that says `rowwise`: a row of a batch is the same to the last bit whatever the other rows are."""

    def begin(self, request: Request, count: int, inputs: Inputs = Inputs()) -> None:
        """Prepare for painting so many pictures of a request at a time; `ran` speaks of it from now on."""
        ...
