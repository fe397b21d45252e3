"""What callers of this wire are having made at the moment, and what they chose: in memory, each account alone.

The web UI has one run for everybody; here every account has its own, and `progress`, `interrupt` and `skip` speak of
the oldest that goes on. All of this lives in the event loop, so nothing has to be locked.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request as Http

import fantascope.serve.a1111.pictures as pictures
from fantascope.artifact import Artifact
from fantascope.errors import Cancelled
from fantascope.request import Request
from fantascope.serve.hub import Event
from fantascope.serve.job import Job
from fantascope.serve.kit import Server, off, preview_png, read_json, server_of
from fantascope.serve.people import Caller

WATCHED = 600.0
"""Seconds for which a caller who asked for progress is taken to watch: their steps are shown as pictures."""

LEAST = 0.01
"""Progress of a run that has just begun; 0 says that nothing goes on."""


@dataclass(eq=False)
class Run:
    """One HTTP request that makes pictures.

    Attributes:
        what: The web UI's name of the work.
        total: Pictures it is to make, passes counted apart.
        first: Of them, those of the first pass.
        jobs: Names of its jobs, in their order.
        stopped: Whether it was interrupted.
        preview: The last picture of a step, as PNG.
    """

    what: str
    total: int
    first: int
    jobs: list[str] = field(default_factory=list)
    stopped: bool = False
    preview: bytes | None = None
    started: float = field(default_factory=time.monotonic)
    stamp: str = field(default_factory=lambda: time.strftime("%Y%m%d%H%M%S"))

    def state(self, job: int = 0, step: int = 0, steps: int = 0) -> dict[str, Any]:
        """Return what the web UI calls state."""
        return {
            "skipped": False,
            "interrupted": self.stopped,
            "stopping_generation": False,
            "job": self.what,
            "job_count": self.total,
            "job_timestamp": self.stamp,
            "job_no": job,
            "sampling_step": step,
            "sampling_steps": steps,
        }

    def progress(self, last: Event | None) -> dict[str, Any]:
        """Return what `progress` says of this run, whose last job had this event last."""
        done, step, steps = self._done(last)
        share = min(1.0, LEAST + done / self.total)
        elapsed = time.monotonic() - self.started
        return {
            "progress": share,
            "eta_relative": elapsed / share - elapsed,
            "state": self.state(min(int(done), self.total - 1), step, steps),
            "textinfo": None,
        }

    def _done(self, last: Event | None) -> tuple[float, int, int]:
        """Return how many pictures are done, in parts too, and step and steps of those that are being painted."""
        before = 0 if len(self.jobs) < 2 else self.first + len(self.jobs) - 2
        if last is None or not self.jobs:
            return before, 0, 0
        if last.kind == "step":
            at = last.data
            part = at["count"] * at["step"] / max(1, at["steps"])
            return before + min(at["index"] + part, at["total"]), at["step"], at["steps"]
        if last.kind == "kept":
            return before + last.data["index"] + 1, 0, 0
        mine = self.first if len(self.jobs) == 1 else 1
        return before + (mine if last.kind == "done" else 0), 0, 0


IDLE = Run("", 0, 0, stamp="0")


class Board:
    """The runs and options of all accounts of one server."""

    def __init__(self) -> None:
        self.options: dict[str, dict[str, Any]] = {}
        self._runs: dict[str, list[Run]] = {}
        self._watched: dict[str, float] = {}

    @contextmanager
    def run(self, caller: Caller, what: str, first: int, more: int = 0) -> Iterator[Run]:
        """Note a run while it goes on: pictures of its first pass, and of what comes after."""
        run, runs = Run(what, first + more, first), self._runs.setdefault(caller.account, [])
        runs.append(run)
        try:
            yield run
        finally:
            runs.remove(run)
            if not runs:
                self._runs.pop(caller.account, None)

    def current(self, caller: Caller) -> Run | None:
        """Return the oldest run of a caller's that goes on and was not interrupted, else the oldest."""
        runs = self._runs.get(caller.account, [])
        return next((run for run in runs if not run.stopped), runs[0] if runs else None)

    def watch(self, caller: Caller) -> None:
        """Note that a caller looks at pictures of steps."""
        self._watched[caller.account] = time.monotonic()

    def watches(self, caller: Caller) -> bool:
        """Say whether a caller looked lately."""
        return time.monotonic() - self._watched.get(caller.account, -WATCHED) < WATCHED


def board_of(http: Http) -> Board:
    """Return the board of the server that a request came to."""
    found: Board | None = getattr(http.app.state, "a1111", None)
    if found is None:
        found = http.app.state.a1111 = Board()
    return found


async def body_of(http: Http) -> dict[str, Any]:
    """Return the JSON object of a request, its pictures fetched where the operator allows that.

    Raises:
        FantascopeError: as `read_json` and `pictures.brought` say.
    """
    data, told = await read_json(http), server_of(http).options
    if not told.fetch_hosts:
        return data
    return await off(lambda: pictures.brought(data, told.fetch_hosts, told.most_bytes))


async def made(
    server: Server, http: Http, caller: Caller, run: Run, request: Request
) -> tuple[Job | None, list[Artifact]]:
    """Have a request made as a part of a run; return its job and pictures, of an interrupted run those it has.

    Raises:
        FantascopeError: as `Server.make` says.
    """
    if run.stopped:
        return None, []
    part = str(len(run.jobs)) if run.jobs else ""
    job = await server.submit(http, caller, request, part)
    run.jobs.append(job.id)
    if run.stopped:  # meanwhile
        await off(lambda: server.desk.cancel(caller, job.id))
    try:
        return await server.made(http, caller, job)
    except Cancelled:
        if not run.stopped:
            raise
    ended = await off(lambda: server.desk.get(caller, job.id))
    return ended, await off(lambda: server.pictures(caller, ended))


async def stop(server: Server, caller: Caller, run: Run) -> None:
    """End a run: the job that goes on is cancelled, none is begun after it."""
    run.stopped = True
    if run.jobs:
        last = run.jobs[-1]
        await off(lambda: server.desk.cancel(caller, last))


async def told(server: Server, run: Run | None, pictured: bool) -> dict[str, Any]:
    """Return what `progress` answers; with the picture of the last step, if it has one and it is wanted."""
    if run is None:
        return {"progress": 0.0, "eta_relative": 0.0, "state": IDLE.state(), "current_image": None, "textinfo": None}
    last = None
    if run.jobs:
        name = run.jobs[-1]
        last = await off(lambda: server.desk.hub.last(name))
    if last is not None and last.preview is not None and pictured:
        preview = last.preview
        run.preview = await off(lambda: preview_png(preview))
    return run.progress(last)
