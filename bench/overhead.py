"""What a picture costs beside the engine: the path (policy, sealing, keeping), then jobs and HTTP; in turn, in one run.

python bench/overhead.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx

from fantascope import Artifact, Imagine, Settings, Studio
from serve import TOKEN, ask, ours
from tools import home, warn_if_busy

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
PROMPT = "a red apple"


def main() -> None:
    warn_if_busy()
    with home() as place, home() as other, ours(place) as (url, _), Studio(Settings(home=other)) as studio:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, timeout=60, headers=headers) as http:
            ways: dict[str, Callable[[], Any]] = {
                "engine alone": lambda: engine(studio),
                "the path (Studio.run)": lambda: [
                    e for e in studio.run(Imagine(prompt=PROMPT)) if isinstance(e, Artifact)
                ],
                "our API, waiting": lambda: http.post(
                    "/v1/fantascope/imagine?wait=true", json={"prompt": PROMPT}
                ).json(),
                "OpenAI's wire, base64": lambda: ask(http, PROMPT),
            }
            taken: dict[str, list[float]] = {name: [] for name in ways}
            for k in range(ROUNDS + 2):
                for name, way in ways.items():
                    since = time.perf_counter()
                    way()
                    if k >= 2:
                        taken[name].append(time.perf_counter() - since)
    base = statistics.median(taken["engine alone"])
    print(f"one picture of 512x512, medians of {ROUNDS}")
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        print(f"  {name:<24} {middle * 1000:6.0f} ms   {(middle - base) * 1000:+5.0f} ms")


def engine(studio: Studio) -> None:
    """Render without policy, mark, signature or gallery."""
    job = studio.resolve(Imagine(prompt=PROMPT))
    with studio.engines.lease(job.spec, job.choice) as loaded:
        for _ in loaded.render(job.request):
            pass


if __name__ == "__main__":
    main()
