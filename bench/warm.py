"""Warm pictures of the embedded checkpoint against plain diffusers on the exported folder, in turn, paired.

Same checkpoint, prompt, steps, guidance, rescale and size; ratios are against diffusers in fp32, its default.

python bench/warm.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from tools import HERE, Worker, environment, exported, home, paired, warn_if_busy

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 8
BUSY = "while True: pass"


def main() -> None:
    warn_if_busy()
    with exported() as folder, home() as place:
        env = environment(place)
        words = [sys.executable, str(HERE / "peer.py"), str(folder), "--serve"]
        peer = Worker("diffusers fp32", [*words, "fp32"], env)
        half = Worker("diffusers bf16", [*words, "bf16"], env)
        ours = {
            name: Worker(name, [sys.executable, str(HERE / "ours.py"), "engine", name], env)
            for name in ("fp32", "bf16", "int8")
        }
        workers = [peer, half, *ours.values()]
        for worker in workers:
            worker.ask(n=1)
            worker.ask(n=4)
        for n in (1, 4):
            times: dict[str, list[float]] = {w.name: [] for w in workers}
            for _ in range(ROUNDS):
                for worker in workers:
                    times[worker.name].append(worker.ask(n=n)["seconds"])
            print(f"{n} picture(s), 128x128, 20 steps with guidance; medians of {ROUNDS} rounds")
            for worker in workers:
                median = statistics.median(times[worker.name])
                ratio = paired(times[worker.name], times[peer.name])
                print(f"  {worker.name:<16} {median * 1000:7.0f} ms   {ratio}")
        print("peak memory, MB, and its share of the peer's")
        for worker in workers:
            print(f"  {worker.name:<16} {worker.peak():7.0f}      {worker.peak() / peer.peak():.2f}")
        print("one picture alone, then beside one busy process")
        for worker in workers:
            alone = statistics.median(worker.ask(n=1)["seconds"] for _ in range(ROUNDS))
            busy = subprocess.Popen([sys.executable, "-c", BUSY])
            try:
                beside = statistics.median(worker.ask(n=1)["seconds"] for _ in range(ROUNDS))
            finally:
                busy.kill()
                busy.wait()
            print(
                f"  {worker.name:<16} {alone * 1000:7.0f} ms -> {beside * 1000:7.0f} ms   {beside / alone:.2f}x slower"
            )
        for worker in workers:
            worker.close()


if __name__ == "__main__":
    main()
