"""The step in front of the path that adds words: a lexicon with the artists who are free, and expanding a request's
prompt before anything is judged."""

from __future__ import annotations

from typing import Any

MOST_WORDS = 24
"""Words of the longest prompt that is expanded for the embedded checkpoint: its captions have at most 30 tokens."""


def lexicon() -> Any:
    """Return the lexicon of the anatomy, with the artists whose works are free at the date of the rules."""
    from fantascope.policy import Policy
    from fantascope.prompt.anatomy import read_lexicon
    from fantascope.settings import Settings

    data = Policy.of(Settings.from_env()).data
    return read_lexicon(tuple(artist.name for artist in data.artists if artist.free(data.date.year)))


def expanded(prompt: str, strength: float, seed: int, studio: Any, spec: Any) -> Any:
    """Expand a prompt with the language model that is set, or with the lexicon.

    Raises as `prompt.expand` does.
    """
    from fantascope.prompt.expand import expand, expand_with_model
    from fantascope.prompt.known import vocabulary_of

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
