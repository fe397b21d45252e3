"""What a model predicts for texts, at a few noise levels of its own way to a picture: `shorten` weighs words by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fantascope.core.denoise import denoise, predict
from fantascope.core.schedules import levels
from fantascope.core.seeds import noise, stream
from fantascope.engines.base import LatentEngine
from fantascope.errors import Unsupported

LEVELS, SEEDS = (1, 3, 5), (0, 1)
"""Steps of a run of six at which a prediction is taken, and seeds of its noise."""


def predictor(engine: Any, request: Any) -> Callable[[Sequence[str]], Any]:
    """Return what a model predicts for texts `(N, D)`, at a few noise levels of the request's own way to a picture.

    Args:
        engine: A latent engine.
        request: A resolved `Imagine` with the whole prompt.

    Raises:
        Unsupported: the engine does not show its parts.
    """
    if not isinstance(engine, LatentEngine):
        raise Unsupported("Words are weighed by a model whose network can be asked: embedded, sd1, sd2 or sdxl.")
    factor, training = engine.latent_factor, engine.training_schedule
    native = request.width // request.upscale, request.height // request.upscale
    shape = (engine.latent_channels, native[1] // factor, native[0] // factor)
    steps = levels(training, 2 * len(LEVELS), request.schedule, sampler="ddim")
    seeds = [request.seed + k for k in SEEDS]
    fresh = stream(seeds, shape)
    said = engine.encode_text([request.prompt] * len(seeds), request)
    network = engine.network(request, said)
    start, points = engine.from_numpy(noise(seeds, shape)), []
    for state in denoise(predict(network, training), start, steps, "ddim", lambda k: engine.from_numpy(fresh(k))):
        if state.step in LEVELS:
            points.append((state.x, float(steps.times[state.step])))

    def asked(texts: Sequence[str]) -> Any:
        rows = []
        for text in texts:
            own = engine.network(request, engine.encode_text([text] * len(seeds), request))
            rows.append(np.concatenate([np.asarray(engine.to_numpy(own(x, time))).ravel() for x, time in points]))
        return np.stack(rows)

    return asked
