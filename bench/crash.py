"""kill -9 at random moments of a run of 8 pictures: nothing kept may be lost or half-written.

After every kill the gallery is opened again and checked: every file has its hash and is a whole picture, every artifact
that was announced is there, files, index and ledger agree, and nothing stays held.

python bench/crash.py [KILLS] [MODEL] [SEED]
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

from fantascope import Gallery
from fantascope.provenance.verify import verify
from tools import environment, home

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
MODEL = sys.argv[2] if len(sys.argv) > 2 else "embedded"
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else 1


def main() -> None:
    chance = random.Random(SEED)
    with home() as place:
        env = environment(place)
        words = [sys.executable, "-m", "fantascope", "imagine", "a cat", "-n", "8", "--json", "--model", MODEL]
        subprocess.run(words, env=env, check=True, capture_output=True)
        since = time.perf_counter()
        announced = _announced(subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout)
        whole = time.perf_counter() - since
        killed = finished = early = swept = 0
        while killed < KILLS:
            process = subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(chance.uniform(0.02, 1.0) * whole)
            process.kill()
            said, errors = process.communicate()
            assert process.returncode in (0, -9), (process.returncode, errors)
            killed += process.returncode == -9
            finished += process.returncode == 0
            early += process.returncode == -9 and not _announced(said)
            announced |= _announced(said)
            swept += _check(place, announced, killed)
        with Gallery.open(place / "gallery") as gallery:
            balance = gallery.balance("local")
            kept = len(gallery.list(limit=100_000))
    print(f"{killed} runs of 8 pictures killed ({early} before their first picture), {finished} ended before the kill")
    print(f"{len(announced)} artifacts announced, {kept} kept, none lost, none half-written; {swept} leftovers swept")
    print(f"{balance.used:g} credits used, {balance.held:g} held; files, index and ledger agree after every kill")


def _announced(text: str) -> set[str]:
    found = set()
    for line in text.splitlines():
        if line.endswith("}") and '"event": "artifact"' in line:
            found.add(json.loads(line)["id"])
    return found


def _check(place: Path, announced: set[str], run: int) -> int:
    with Gallery.open(place / "gallery") as gallery:
        problems = list(gallery.verify())
        hard = [p for p in problems if p.kind not in ("orphan", "leftover")]
        assert not hard, (run, hard)
        gallery.sweep()
        assert not list(gallery.verify()), run
        kept = {entry.id: entry for entry in gallery.list(limit=100_000)}
        assert announced <= set(kept), (run, announced - set(kept))
        newest = gallery.list(limit=1)
        for entry in newest:
            assert verify(entry.path, trust=place / "keys").ok, entry.path
        assert gallery.balance("local").held == 0, run
    return len(problems)


if __name__ == "__main__":
    main()
