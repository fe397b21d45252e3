"""An hour of mixed load on the server: does its memory stay flat, and does anything fail?

Four clients ask for pictures by three wires, edit, verify, list, cancel, send nonsense and hang up; every half minute
the resident memory is read. Printed are the memory over time, its slope over the second half, and what was answered.

python bench/soak.py [MINUTES] [PAUSE]        PAUSE: most seconds a client rests between two requests
"""

from __future__ import annotations

import base64
import collections
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from serve import TOKEN, ours
from tools import home

MINUTES = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
PAUSE = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
THINGS = ("a red apple", "a pink elephant on a blue background", "two dogs", "a castle at night", "four strawberries")
SIZES = ("256x256", "512x512")
EVERY = 30.0


class Client(threading.Thread):
    """Asks for one thing after the other until told to stop."""

    def __init__(self, url: str, k: int, stop: threading.Event, told: collections.Counter[str]) -> None:
        super().__init__(daemon=True)
        self.http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120)
        self.chance, self.stop, self.told = random.Random(k), stop, told
        self.known: list[str] = []

    def run(self) -> None:
        jobs = (self.paint, self.paint, self.openai, self.a1111, self.edit, self.verify, self.listing, self.cancel)
        while not self.stop.is_set():
            job = self.chance.choice((*jobs, self.nonsense, self.hang_up))
            try:
                reply = job()
                self.told[f"{job.__name__} {reply if isinstance(reply, str) else reply.status_code}"] += 1
            except httpx.HTTPError as error:
                self.told[f"{job.__name__} {type(error).__name__}"] += 1
            time.sleep(self.chance.uniform(0, PAUSE))

    def paint(self) -> Any:
        body = {
            "prompt": self.chance.choice(THINGS),
            "n": self.chance.randint(1, 4),
            "preview": self.chance.random() < 0.3,
        }
        reply = self.http.post("/v1/fantascope/imagine?wait=true", json=body)
        found = reply.json().get("artifacts", []) if reply.status_code == 200 else []
        self.known = [*self.known[-20:], *(one["id"] if isinstance(one, dict) else one for one in found)]
        return reply

    def openai(self) -> Any:
        body = {"prompt": self.chance.choice(THINGS), "size": self.chance.choice(SIZES), "response_format": "b64_json"}
        return self.http.post("/v1/images/generations", json=body)

    def a1111(self) -> Any:
        body = {"prompt": f"({self.chance.choice(THINGS)}:1.2)", "width": 256, "height": 256, "steps": 12}
        return self.http.post("/sdapi/v1/txt2img", json=body)

    def edit(self) -> Any:
        if not self.known:
            return "nothing to edit"
        words = self.chance.choice(("make it night", "change the background to blue", "add a moon"))
        body = {"picture": self.chance.choice(self.known), "instruction": words}
        return self.http.post("/v1/fantascope/edit?wait=true", json=body)

    def verify(self) -> Any:
        if not self.known:
            return "nothing to verify"
        data = self.http.get(f"/v1/fantascope/gallery/{self.chance.choice(self.known)}/file").content
        return self.http.post("/v1/fantascope/verify", files={"file": ("picture.png", data, "image/png")})

    def listing(self) -> Any:
        return self.http.get("/v1/fantascope/gallery", params={"limit": 20, "text": "apple"})

    def cancel(self) -> Any:
        job = self.http.post("/v1/fantascope/jobs", json={"task": "imagine", "prompt": "a whale", "n": 8}).json()["id"]
        time.sleep(self.chance.uniform(0, 0.5))
        return self.http.post(f"/v1/fantascope/jobs/{job}/cancel")

    def nonsense(self) -> Any:
        data = base64.b64encode(self.chance.randbytes(2000)).decode()
        return self.http.post("/v1/fantascope/vary", json={"picture": f"data:image/png;base64,{data}"})

    def hang_up(self) -> Any:
        try:
            self.http.post("/v1/fantascope/imagine?wait=true", json={"prompt": "a cat", "n": 2}, timeout=0.3)
        except httpx.TimeoutException:
            return "hung up"
        return "was faster"


def resident(pid: int) -> float:
    """Return a process's resident memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the server is gone")


def main() -> None:
    told: collections.Counter[str] = collections.Counter()
    stop = threading.Event()
    with home() as place, ours(place, "--waiting", "64") as (url, pid):
        clients = [Client(url, k, stop, told) for k in range(4)]
        for client in clients:
            client.start()
        begun, seen = time.monotonic(), []
        while time.monotonic() - begun < MINUTES * 60:
            time.sleep(EVERY)
            seen.append(((time.monotonic() - begun) / 60, resident(pid)))
            if len(seen) % 10 == 0:
                print(f"{seen[-1][0]:5.1f} min {seen[-1][1]:6.0f} MB, {sum(told.values())} answers", flush=True)
        stop.set()
        for client in clients:
            client.join()
    half = np.array(seen[len(seen) // 2 :])
    slope = np.polyfit(half[:, 0], half[:, 1], 1)[0]
    print(
        f"memory: {seen[0][1]:.0f} MB after {EVERY:.0f} s, {half[0, 1]:.0f} at half time, {half[-1, 1]:.0f} at the end"
    )
    print(f"slope over the second half: {slope:+.2f} MB a minute")
    for what, count in sorted(told.items()):
        print(f"{count:>6}  {what}")


if __name__ == "__main__":
    main()
