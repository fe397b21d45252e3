"""Cold: from process start to a file on disk, ours against a plain diffusers script, in turn, paired.

Ours is the whole product (judged, marked, signed, kept) at the native size; the 512 picture with upscaler is counted
apart. The first run of ours on a machine compiles its graphs and is shown as "first".

python bench/cold.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys

from tools import HERE, PROMPT, environment, exported, home, paired, spawn, warn_if_busy

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 6


def main() -> None:
    warn_if_busy()
    with exported() as folder, home() as place:
        env, out = environment(place), str(place / "out.png")
        peer = [sys.executable, str(HERE / "peer.py"), str(folder), str(place / "peer.png")]
        ours = [sys.executable, "-m", "fantascope", "imagine", PROMPT, "--seed", "7", "--out", out]
        small = [*ours, "--size", "128", "--precision", "bf16"]
        exact = [*ours, "--size", "128", "--precision", "fp32"]
        first, _ = spawn(small, env)
        runs = {
            "diffusers fp32, 128": [*peer, "fp32"],
            "diffusers bf16, 128": [*peer, "bf16"],
            "fantascope fp32, 128": exact,
            "fantascope bf16, 128": small,
            "fantascope, 512 upscaled": ours,
        }
        for words in runs.values():
            spawn(words, env)
        times: dict[str, list[float]] = {name: [] for name in runs}
        peaks: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, words in runs.items():
                seconds, peak = spawn(words, env)
                times[name].append(seconds)
                peaks[name] = max(peak, peaks.get(name, 0))
    print(f"process start to file on disk, 20 steps with guidance; medians of {ROUNDS} rounds")
    for name in runs:
        ratio = paired(times[name], times["diffusers fp32, 128"])
        print(f"  {name:<26} {statistics.median(times[name]):6.2f} s  {ratio}  peak {peaks[name]:.0f} MB")
    print(f"  {'fantascope bf16, first':<26} {first:6.2f} s  (compiles graphs, makes keys and gallery)")


if __name__ == "__main__":
    main()
