"""A warm worker of ours for the benches: the engine alone, or the whole path.

python bench/ours.py engine|path [PRECISION] [STEPS]
"""

from __future__ import annotations

import sys
import time

from fantascope import Artifact, Imagine, Output, Studio
from fantascope.engines.base import Inputs
from fantascope.resolve import resolve
from tools import PROMPT, serve

kind = sys.argv[1]
precision = sys.argv[2] if len(sys.argv) > 2 and sys.argv[2] != "auto" else None
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 20
studio = Studio()


def request(n: int, seed: int, size: int) -> Imagine:
    return Imagine(prompt=PROMPT, n=n, seed=seed, width=size, height=size, steps=steps, precision=precision)


def engine(n: int = 1, seed: int = 7, size: int = 128) -> dict[str, object]:
    """Run the engine alone: prompt to pixels."""
    job = resolve(request(n, seed, size), studio.specs, studio.settings)
    with studio.engines.lease(job.spec, job.choice) as loaded:
        outputs = [event for event in loaded.render(job.request, Inputs()) if isinstance(event, Output)]
    return {"pictures": len(outputs)}


def path(n: int = 1, seed: int = 7, size: int = 128) -> dict[str, object]:
    """Run the whole path; say how much of it the engine took."""
    inside = 0.0
    perform = studio._perform

    def timed(job: object, loaded: object) -> object:
        nonlocal inside
        events = perform(job, loaded)  # type: ignore[arg-type]
        while True:
            since = time.perf_counter()
            event = next(events, None)
            inside += time.perf_counter() - since
            if event is None:
                return
            yield event

    studio._perform = timed  # type: ignore[method-assign,assignment]
    since = time.perf_counter()
    kept = [event for event in studio.run(request(n, seed, size)) if isinstance(event, Artifact)]
    total = time.perf_counter() - since
    studio._perform = perform  # type: ignore[method-assign]
    return {"pictures": len(kept), "total": total, "engine": inside}


engine() if kind == "engine" else path()
serve(engine if kind == "engine" else path)
