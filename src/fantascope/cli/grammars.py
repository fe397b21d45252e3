"""Prompts that stand for several requests: Midjourney's, and dynamic ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

GRAMMARS = ("midjourney", "dynamic")
"""Grammars that become requests before anything is run."""


def read_surface(options: Mapping[str, Any], every: bool, expand: float | None = None) -> list[Any]:
    """Return the requests that the words of a command line stand for, and say what there is to say of them.

    Args:
        options: Fields of `Imagine`, `grammar` being one of `GRAMMARS`; what was not given is None.
        every: Whether all texts of a dynamic prompt are meant.
        expand: How much of what dynamic prompts leave open is added to each; a Midjourney prompt says so itself.

    Raises:
        PromptError: the prompt breaks the rules of its grammar.
        InvalidValue: an option belongs to the other grammar.
    """
    from fantascope.errors import InvalidValue
    from fantascope.prompt.grammar.surface import read_dynamic, read_midjourney
    from fantascope.prompt.grammar.wildcards import Wildcards
    from fantascope.settings import Settings
    from fantascope.spec import catalogue, find_spec

    settings = Settings.from_env()
    given = {
        name: value for name, value in options.items() if value is not None and value is not False and name != "grammar"
    }
    if options["grammar"] == "dynamic":
        reading = read_dynamic(options["prompt"], Wildcards(settings.wildcards), given, every=every)
    elif expand is not None:
        raise InvalidValue(
            "--expand does not go with --grammar midjourney: there --stylize above 100 adds what is left open.",
            param="expand",
            hint="--stylize 1000",
        )
    elif every:
        raise InvalidValue("--all makes every text of a dynamic prompt.", param="every", hint="--grammar dynamic --all")
    else:
        specs = catalogue(settings.models)
        spec = find_spec(given.get("model", settings.model), specs)
        reading = read_midjourney(options["prompt"], spec, specs, given)
    for note in reading.notes:
        print(note, file=sys.stderr)
    usual = 0.0 if expand is None else expand
    strengths = reading.expansions if reading.expansions else (usual,) * len(reading.requests)
    return [_expanded(request, strength) for request, strength in zip(reading.requests, strengths, strict=True)]


def _expanded(request: Any, strength: float) -> Any:
    if strength == 0:
        return request
    from fantascope.wording import expand_request

    return expand_request(request, strength)
