"""Same request, same pixels? In two processes, with one thread or two, alone or in a batch of four.

python bench/determinism.py
"""

from __future__ import annotations

import json
import subprocess
import sys

from fantascope import Gallery
from tools import PROMPT, environment, home


def pixels(place: str, n: int, seed: int, precision: str, threads: int) -> dict[int, str]:
    """Return the hash of the pixels of each seed."""
    from pathlib import Path

    words = ["imagine", PROMPT, "-n", str(n), "--seed", str(seed), "--precision", precision, "--json"]
    env = environment(Path(place), FANTASCOPE_THREADS=str(threads))
    done = subprocess.run(
        [sys.executable, "-m", "fantascope", *words], env=env, check=True, capture_output=True, text=True
    )
    made = [json.loads(line) for line in done.stdout.splitlines()]
    with Gallery.open(Path(place) / "gallery") as gallery:
        return {e["seed"]: gallery.receipt(e["id"]).pixels_sha256 for e in made if e["event"] == "artifact"}


def main() -> None:
    broken, claimed = False, {}
    with home() as place:
        for precision in ("fp32", "bf16", "int8"):
            where = str(place)
            one = pixels(where, 1, 9, precision, 0)
            with Gallery.open(place / "gallery") as gallery:
                claimed[precision] = gallery.receipt(gallery.list(limit=1)[0].id).ran.exactness
            rows = {
                "two processes": pixels(where, 1, 9, precision, 0),
                "one thread": pixels(where, 1, 9, precision, 1),
                "two threads": pixels(where, 1, 9, precision, 2),
                "batch of four": pixels(where, 4, 7, precision, 0),
            }
            for name, found in rows.items():
                same = found[9] == one[9]
                broken |= not same and claimed[precision] == "bit-exact"
                print(f"{precision:<5} {name:<14} {'same pixels' if same else 'other pixels'}")
            print(f"{precision:<5} the receipts say {claimed[precision]}")
    if broken:
        raise SystemExit("a receipt promises more than holds here")


if __name__ == "__main__":
    main()
