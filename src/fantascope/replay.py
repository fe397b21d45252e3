"""Running a record again: the request it asks for, and the first thing that differs."""

from __future__ import annotations

from fantascope.errors import NotFound, ReplayDiffers
from fantascope.receipt import Receipt
from fantascope.request import Request, parse_request


def replayable(recorded: Receipt) -> Request:
    """Return the request that makes the recorded picture, in its batch where the exactness class needs it."""
    request = parse_request(dict(recorded.request))
    seed = recorded.request.get("seed")
    if seed is None:
        raise NotFound("The record names no seed, so it cannot be run again.")
    pinned = {"engine": recorded.ran.engine, "precision": recorded.ran.precision, "device": recorded.ran.device}
    pinned |= {"grammar": recorded.request.get("grammar", "plain")} if hasattr(request, "grammar") else {}
    batch, before = recorded.batch, recorded.batch.index - recorded.batch.first
    if recorded.ran.exactness == "bit-exact" or batch.n == 1 or not 0 <= before < batch.n:
        return request.replace(**pinned, n=1)  # type: ignore[no-any-return]
    return request.replace(**pinned, n=batch.n, seed=seed - before)  # type: ignore[no-any-return]


def compare(recorded: Receipt, found: Receipt) -> None:
    """Raise `ReplayDiffers` with the first thing that differs, if the pixels do."""
    if recorded.pixels_sha256 == found.pixels_sha256:
        return
    before = {w.part: w.sha256 for w in recorded.ran.weights}
    after = {w.part: w.sha256 for w in found.ran.weights}
    for part in sorted(before | after):
        if before.get(part) != after.get(part):
            raise ReplayDiffers(f"The hash of the {part} weights", before.get(part), after.get(part))
    for field in ("engine", "runtime", "device", "precision", "threads"):
        old, new = getattr(recorded.ran, field), getattr(found.ran, field)
        if old != new:
            raise ReplayDiffers(f"The {field}", old, new)
    for name in sorted(recorded.ran.versions | found.ran.versions):
        old, new = recorded.ran.versions.get(name), found.ran.versions.get(name)
        if old != new:
            raise ReplayDiffers(f"The version of {name}", old, new)
    raise ReplayDiffers(
        "The hash of the pixels",
        recorded.pixels_sha256[:16],
        found.pixels_sha256[:16],
        hint=f"Everything recorded agrees; the exactness class of this engine is {recorded.ran.exactness!r}.",
    )
