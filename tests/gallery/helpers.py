"""Real artifacts with real receipts, a clock that can be set, and workers that run in processes of their own."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image

from fantascope.artifact import Artifact
from fantascope.errors import CreditError
from fantascope.gallery import Gallery
from fantascope.receipt import Cost, Ran, Receipt, receipt_id

RAN = Ran(
    engine="echo", runtime="none", device="cpu", precision="fp32", threads=1, exactness="bit-exact", reasons=("test",)
)

MEMORY = next((place for place in ("/dev/shm",) if os.access(place, os.W_OK)), None)
"""A disk of memory, where there is one: what is synced there costs no time."""

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.gallery.helpers", "fantascope.gallery.check"])


class Clock:
    """Tells the time it was set to."""

    def __init__(self, *when: int) -> None:
        self.now = datetime(*when, tzinfo=UTC)  # type: ignore[misc,arg-type]

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def picture(seed: int, side: int = 24, kind: str = "PNG", **options: Any) -> bytes:
    """A picture that follows from its seed, encoded."""
    noise = random.Random(seed).randbytes(side * side * 3)
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), noise).save(buffer, kind, **options)
    return buffer.getvalue()


def made(
    seed: int, prompt: str = "a pink elephant", *, credits: float = 0.0, model: str = "echo", **more: Any
) -> Artifact:
    """An artifact as the studio would keep it; the same arguments give the same bytes."""
    parents = tuple(more.pop("parents", ()))
    request = {"task": "imagine", "prompt": prompt, "seed": seed, "width": 24, "height": 24, "model": model}
    receipt = Receipt(
        id="",
        request=request,
        spec={"name": model},
        ran=RAN,
        pixels_sha256="0" * 64,
        parents=parents,
        cost=Cost(credits=credits),
        **more,
    )
    return Artifact(picture(seed), "image/png", receipt.model_copy(update={"id": receipt_id(receipt)}))


def stored(folder: Path) -> set[Path]:
    """Every file under `objects`."""
    return {path for path in (folder / "objects").rglob("*") if path.is_file()}


def keep_until_killed(folder: str, first: int, log: str) -> None:
    """Hold, keep and release without end, writing each id to `log` once `put` has returned."""
    with Gallery.open(Path(folder)) as gallery, Path(log).open("a") as told:
        for seed in range(first, first + 10_000):
            hold = gallery.hold("local", 2.0, "imagine")
            kept = gallery.put(made(seed, credits=1.5), hold=hold, credits=1.5)
            print(kept.id, file=told, flush=True)
            gallery.release(hold)


def top_up_until_killed(folder: str, log: str) -> None:
    """Book top-ups without end, writing a line to `log` once each is booked."""
    with Gallery.open(Path(folder), plan="free") as gallery, Path(log).open("a") as told:
        while True:
            gallery.topup("ada", 115)
            print("booked", file=told, flush=True)


def hold_and_wait(folder: str, credits: float, told: Any) -> None:
    """Hold credits, say so, and live until killed."""
    gallery = Gallery.open(Path(folder))
    told.put(gallery.hold("local", credits, "imagine"))
    time.sleep(600)


def spend_all(folder: str, user: str, credits: float, start: Any, told: Any, url: str | None = None) -> None:
    """Hold and keep as often as the ledger allows; say how often it did."""
    kept = 0
    with Gallery.open(Path(folder), url=url, plan="free") as gallery:
        start.wait()
        try:
            while True:
                hold = gallery.hold(user, credits, "imagine")
                gallery.put(made(os.getpid() * 100 + kept, credits=credits), hold=hold, credits=credits)
                kept += 1
        except CreditError:
            told.put(kept)


def open_at_once(folder: str, start: Any, told: Any, url: str | None = None) -> None:
    """Open a gallery at the same moment as others and keep the same picture."""
    start.wait()
    with Gallery.open(Path(folder), url=url) as gallery:
        told.put(gallery.put(made(1)).id)


def work_at_job(folder: str, job: str, first: int, count: int, log: str, url: str | None = None) -> None:
    """Do a job as a server does: hold, keep every outcome that is missing, release; say what was done."""
    with Gallery.open(Path(folder), url=url) as gallery, Path(log).open("a") as told:
        view = gallery.of("ada")
        hold = view.hold("ada", 1.5 * count, "imagine", job=job)
        print("held", file=told, flush=True)
        for idx in range(count):
            kept = view.put(made(first + idx, credits=1.5), hold=hold, credits=1.5, job=(job, idx))
            print(kept.id, file=told, flush=True)
        view.release(hold)
        print("done", file=told, flush=True)


def churn_until_told(folder: str, first: int, stop: Any, ready: Any) -> None:
    """Keep and remove without end, as a busy server does."""
    with Gallery.open(Path(folder)) as gallery:
        kept: list[str] = []
        for seed in range(first * 100_000, (first + 1) * 100_000):
            hold = gallery.hold("local", 2.0, "imagine")
            kept.append(gallery.put(made(seed, credits=1.5), hold=hold, credits=1.5).id)
            gallery.release(hold)
            if len(kept) > 15:
                gallery.remove(kept.pop(seed % len(kept)), force=True)
            if len(kept) == 10:
                ready.put(True)
            if stop.is_set():
                return
