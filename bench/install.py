"""Seconds and megabytes of the base install against `pip install diffusers transformers torch`, in fresh environments.

python bench/install.py [base|peer]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
WHAT = {
    "base": ["-c", str(ROOT / "constraints.txt"), str(ROOT)],
    "peer": ["-c", str(ROOT / "constraints.txt"), "diffusers", "transformers", "torch"],
}


def size(folder: Path) -> float:
    """Return the megabytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def main() -> None:
    for name in sys.argv[1:] or list(WHAT):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "venv"
            venv.create(place, with_pip=True)
            before, since = size(place), time.perf_counter()
            pip = [str(place / "bin" / "pip"), "install", "-q", "--no-cache-dir", "--disable-pip-version-check"]
            subprocess.run([*pip, *WHAT[name]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            print(f"{name:<5} {time.perf_counter() - since:6.0f} s  {size(place) - before:7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
