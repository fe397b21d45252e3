"""Pictures a second from one engine asked by 1, 2, 4 and 8 threads at once, each on its own or sharing batches.

Both ways in one run, in turn: the same requests, each thread asking for its next picture when it has its last. Every
picture is held to the one painted alone, byte by byte. Weights and graphs are loaded and compiled before time is taken.

python bench/batch.py [PICTURES A THREAD] [STEPS]
"""

from __future__ import annotations

import statistics
import sys
import threading
import time

from fantascope.artifact import Output
from fantascope.engines.load import Engines, choose
from fantascope.engines.memory import resident
from fantascope.engines.together import SharedEngines
from fantascope.request import Imagine
from fantascope.settings import Settings
from fantascope.spec import SPECS
from tools import home, warn_if_busy

EACH = int(sys.argv[1]) if len(sys.argv) > 1 else 6
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
THINGS = ("elephant", "frog", "car", "tree", "cat", "house", "boat", "bird")
SPEC = SPECS["embedded"]


def wish(thread: int, k: int) -> Imagine:
    return Imagine(
        prompt=f"a {THINGS[thread]} on a blue background",
        seed=1000 * thread + k,
        n=1,
        width=128,
        height=128,
        upscale=1,
        steps=STEPS,
        guidance=4.0,
        guidance_rescale=0.7,
        sampler="ddim",
        schedule="default",
    )


def picture(engines: Engines, choice: object, request: Imagine) -> bytes:
    with engines.lease(SPEC, choice, request) as engine:  # type: ignore[arg-type]
        return b"".join(event.pixels.tobytes() for event in engine.render(request) if isinstance(event, Output))


def race(engines: Engines, choice: object, threads: int) -> tuple[float, list[float], dict[tuple[int, int], bytes]]:
    """Return wall seconds, the seconds of each request, and the pictures."""
    seconds: list[float] = []
    made: dict[tuple[int, int], bytes] = {}

    def ask(thread: int) -> None:
        for k in range(EACH):
            begin = time.perf_counter()
            made[thread, k] = picture(engines, choice, wish(thread, k))
            seconds.append(time.perf_counter() - begin)

    workers = [threading.Thread(target=ask, args=(thread,)) for thread in range(threads)]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - begin, seconds, made


def main() -> None:
    warn_if_busy()
    with home() as place:
        settings = Settings(home=place)
        choice = choose(SPEC, {}, settings)
        ways = {"alone": Engines(settings), "shared": SharedEngines(settings)}
        for engines in ways.values():
            with engines.lease(SPEC, choice) as engine:
                for count in (1, 2, 3, 4):
                    list(engine.render(wish(0, 0).replace(n=count)))
        print(f"{choice.engine} {choice.runtime} {choice.precision}, 128x128, {STEPS} steps, {EACH} pictures a thread")
        print("threads    alone/s   shared/s   ratio   p50 alone   p50 shared   equal pixels   resident MB")
        for threads in (1, 2, 4, 8):
            rates, halves, found = {}, {}, {}
            for name, engines in ways.items():
                wall, seconds, found[name] = race(engines, choice, threads)
                rates[name], halves[name] = threads * EACH / wall, statistics.median(seconds)
            equal = sum(found["alone"][key] == found["shared"][key] for key in found["alone"])
            print(
                f"{threads:7}  {rates['alone']:9.2f}  {rates['shared']:9.2f}  {rates['shared'] / rates['alone']:6.2f}"
                f"  {halves['alone']:9.2f}s  {halves['shared']:10.2f}s  {equal:6} of {threads * EACH:<4}"
                f"  {(resident() or 0) / 2**20:10.0f}",
                flush=True,
            )
        for engines in ways.values():
            engines.close()


if __name__ == "__main__":
    main()
