"""What the benches share: spawn and time whole processes, warm workers called in turn, paired ratios."""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROMPT = "a pink elephant on a blue background"
HERE = Path(__file__).parent


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a process under test: its own home, no hub."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return plain | {"FANTASCOPE_HOME": str(home), "HF_HUB_OFFLINE": "1"} | more


@contextmanager
def home() -> Iterator[Path]:
    """A studio home for one bench."""
    folder = Path(tempfile.mkdtemp(prefix="fantascope-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def exported() -> Iterator[Path]:
    """The embedded checkpoint as a plain diffusers folder."""
    with home() as folder:
        target = folder / "checkpoint"
        words = [sys.executable, "-m", "fantascope", "models", "export", "embedded", str(target)]
        subprocess.run(words, check=True, env=environment(folder), capture_output=True)
        yield target


def spawn(words: Sequence[str], env: dict[str, str]) -> tuple[float, float]:
    """Run a process to its end; return wall seconds and its peak memory in MB."""
    before = time.perf_counter()
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - before
    if status != 0:
        assert process.stderr is not None
        raise SystemExit(process.stderr.read().decode())
    return seconds, usage.ru_maxrss / 1024


class Worker:
    """A warm process that does a job when told, and says how long it took.

    The worker program prints one JSON line when it is ready, then answers each line of JSON with one.
    """

    def __init__(self, name: str, words: Sequence[str], env: dict[str, str]) -> None:
        self.name = name
        since = time.perf_counter()
        self.process = subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.facts = self._answer()
        self.ready = time.perf_counter() - since

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return dict(json.loads(line))
        raise SystemExit(f"{self.name} ended early with {self.process.wait()}")

    def ask(self, **job: Any) -> dict[str, Any]:
        """Give one job, return the answer with `seconds` added."""
        assert self.process.stdin is not None
        since = time.perf_counter()
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        return {"seconds": time.perf_counter() - since} | answer

    def peak(self) -> float:
        """Return the peak resident memory so far in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def serve(job: Any) -> None:
    """The other side of `Worker`: answer jobs from standard input with `job(**fields)` until it closes."""
    print("{}", flush=True)
    for line in sys.stdin:
        print(json.dumps(job(**json.loads(line)) or {}), flush=True)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return `median of paired ratios (least … most)` of theirs over ours: how many times faster we are."""
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def other_load(seconds: float = 1.0) -> float:
    """Return how many cores other processes keep busy right now."""

    def busy() -> tuple[float, float]:
        fields = [float(x) for x in Path("/proc/stat").read_text("utf-8").splitlines()[0].split()[1:]]
        return sum(fields) - fields[3] - fields[4], time.perf_counter()

    own = resource.getrusage(resource.RUSAGE_SELF)
    (a, t0), _ = busy(), time.sleep(seconds)
    b, t1 = busy()
    now = resource.getrusage(resource.RUSAGE_SELF)
    mine = now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime
    return max(0.0, (b - a) / os.sysconf("SC_CLK_TCK") - mine) / (t1 - t0)


def warn_if_busy() -> None:
    """Say so when something else is computing: then only ratios inside this run mean anything."""
    load = other_load()
    if load > 0.25:
        print(f"warning: other processes keep {load:.2f} cores busy; do not trust these figures", flush=True)
