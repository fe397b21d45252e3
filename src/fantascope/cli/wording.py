"""What the commands about prompts share: the lexicon with the artists that are free, what a model was taught, what it
predicts, and expanding the prompt of a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fantascope.errors import Unsupported

MOST_WORDS = 24
"""Words of the longest prompt that is expanded for the embedded checkpoint: its captions have at most 30 tokens."""

LEVELS, SEEDS = (1, 3, 5), (0, 1)
"""Steps of a run of six at which a prediction is taken, and seeds of its noise: what `shorten` weighs words with."""


def lexicon() -> Any:
    """Return the lexicon of the anatomy, with the artists whose works are free at the date of the rules."""
    from fantascope.policy import Policy
    from fantascope.prompt.anatomy import read_lexicon
    from fantascope.settings import Settings

    data = Policy.of(Settings.from_env()).data
    return read_lexicon(tuple(artist.name for artist in data.artists if artist.free(data.date.year)))


def vocabulary_of(spec: Any) -> Any:
    """Return what a model says that it knows, or None: only the embedded checkpoint does."""
    if spec.family != "embedded" or spec.kind != "embedded":
        return None
    from fantascope.prompt.known import embedded_vocabulary

    return embedded_vocabulary()


def expanded(prompt: str, strength: float, seed: int, studio: Any, spec: Any) -> Any:
    """Expand a prompt with the language model that is set, or with the lexicon.

    Raises as `prompt.expand` does.
    """
    from fantascope.prompt.expand import expand, expand_with_model

    told = studio.settings
    if told.language_url:
        from fantascope.prompt.instruct.language import LanguageModel

        model = LanguageModel(told.language_url, told.language_model, told.language_key or None)
        return expand_with_model(prompt, model, lexicon(), strength=strength)
    known = vocabulary_of(spec)
    limits: dict[str, Any] = {} if known is None else {"taught": known.phrases, "most_words": MOST_WORDS}
    return expand(prompt, lexicon(), studio.embed, strength=strength, seed=seed, **limits)


def expand_request(request: Any, strength: float) -> Any:
    """Return a request whose prompt is expanded; `said` is what was written. This is before anything is judged."""
    from fantascope.spec import find_spec
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        spec = find_spec(request.model or studio.settings.model, studio.specs)
        found = expanded(request.prompt, strength, request.seed if request.seed is not None else 0, studio, spec)
    return request.replace(prompt=found.prompt, said=request.prompt) if found.added else request


def predictor(engine: Any, request: Any) -> Callable[[Sequence[str]], Any]:
    """Return what a model predicts for texts `(N, D)`, at a few noise levels of the request's own way to a picture.

    Args:
        engine: A latent engine.
        request: A resolved `Imagine` with the whole prompt.

    Raises:
        Unsupported: the engine does not show its parts.
    """
    import numpy as np

    from fantascope.core.denoise import denoise, predict
    from fantascope.core.schedules import levels
    from fantascope.core.seeds import noise, stream
    from fantascope.engines.base import LatentEngine

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
