"""kill -9 of the server at random moments under load: every accepted job ends once, every picture is paid once.

Clients submit jobs all the time, some with an idempotency key that they send twice; the server is killed, started
again, and so on. At the end everything that was accepted has to be done, with as many pictures as were asked for;
files, index and ledger have to agree.

python bench/serve_kills.py [KILLS] [SEED] [SECONDS]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from fantascope import Gallery
from tools import environment, home

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 200
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 1
TOKEN = "token-of-the-bench-server"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
MOST_SECONDS = float(sys.argv[3]) if len(sys.argv) > 3 else 4.0
"""Longest life of a server once it answers; the shortest is none."""
MOST = 24
"""Jobs that may wait: the load goes on, but not ahead of what a machine can do."""


class Server:
    """A server that dies and comes back at the same address."""

    def __init__(self, place: Path) -> None:
        self.place, self.url = place, ""
        self.words = [sys.executable, "-m", "fantascope", "serve", "--json", "--rate", "0", "--token", TOKEN]
        self.start()

    def start(self) -> float:
        since = time.perf_counter()
        with (self.place / "server.log").open("a") as log:
            self.process = subprocess.Popen(
                [*self.words, "--port", "0"], env=environment(self.place), stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.said()
        self.url = json.loads(line)["url"]
        return time.perf_counter() - since

    def said(self) -> str:
        """Return the end of the server's log, without the lines of requests."""
        lines = (self.place / "server.log").read_text().splitlines()
        return "\n".join([line for line in lines if not line.startswith('{"at"')][-60:])

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Client(threading.Thread):
    """Submits jobs until told to stop; remembers what was accepted."""

    def __init__(self, server: Server, chance: random.Random, k: int) -> None:
        super().__init__(daemon=True)
        self.server, self.chance, self.k = server, chance, k
        self.accepted: dict[str, int] = {}
        self.doubled = self.refused = 0
        self.stop = threading.Event()

    def run(self) -> None:
        n = 0
        with httpx.Client(headers=HEADERS, timeout=5) as http:
            while not self.stop.is_set():
                n += 1
                count, key = self.chance.choice((1, 1, 2, 3)), f"client-{self.k}-{n}"
                body = {"task": "imagine", "prompt": f"a red apple, {self.k} {n}", "n": count, "upscale": 1}
                body |= {"width": 128, "height": 128, "steps": 8}
                first = self.send(http, body, key)
                if first and self.chance.random() < 0.5:
                    second = self.send(http, body, key)
                    if second is not None:
                        assert second == first, "one key, two jobs"
                        self.doubled += 1
                if first:
                    self.accepted[first] = count
                time.sleep(self.chance.uniform(0.0, 0.3))

    def send(self, http: httpx.Client, body: dict[str, Any], key: str) -> str | None:
        """Send until there is an answer: a key may be sent as often as one likes."""
        while not self.stop.is_set():
            try:
                reply = http.post(f"{self.server.url}/v1/fantascope/jobs", json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if reply.status_code == 202:
                return str(reply.json()["id"])
            if reply.status_code in (429, 503):
                self.refused += 1
                time.sleep(0.3)
                continue
            raise SystemExit(f"{reply.status_code}: {reply.text}")
        return None


def main() -> None:
    chance = random.Random(SEED)
    with home() as place:
        server = Server(place)
        server.words += ["--waiting", str(MOST)]
        clients = [Client(server, random.Random(SEED + k), k) for k in range(3)]
        for client in clients:
            client.start()
        starts = []
        for kill in range(KILLS):
            time.sleep(chance.uniform(0.0, MOST_SECONDS))
            server.kill()
            starts.append(server.start())
            if (kill + 1) % 20 == 0:
                print(f"{kill + 1} kills, {sum(len(c.accepted) for c in clients)} jobs accepted", flush=True)
        for client in clients:
            client.stop.set()
            client.join()
        accepted = {job: n for client in clients for job, n in client.accepted.items()}
        pictures = settle(server, accepted)
        server.process.terminate()
        server.process.wait(60)
        with Gallery.open(place / "gallery") as gallery:
            problems, balance = list(gallery.verify()), gallery.balance("local")
            kept = {entry.id for entry in gallery.list(limit=1_000_000)}
    extra = len(kept) - len(pictures)
    print(f"{KILLS} kills; start {sorted(starts)[len(starts) // 2]:.2f} s (median)")
    print(
        f"{len(accepted)} jobs accepted, all done once; {sum(c.doubled for c in clients)} keys sent twice, one job each"
    )
    print(f"{len(pictures)} pictures of them, all kept; {extra} more of jobs whose answer was lost with a kill")
    print(f"{balance.used:g} credits used, {balance.held:g} held; gallery verify: {len(problems)} problems")
    assert pictures <= kept and not problems and balance.held == 0


def settle(server: Server, accepted: dict[str, int]) -> set[str]:
    """Wait until every accepted job is done; return the pictures, each of one job only."""
    pictures: set[str] = set()
    with httpx.Client(headers=HEADERS, timeout=30) as http:
        for job, n in accepted.items():
            end = time.monotonic() + 600
            while True:
                found = http.get(f"{server.url}/v1/fantascope/jobs/{job}").raise_for_status().json()
                if found["status"] in ("done", "failed", "cancelled"):
                    break
                assert time.monotonic() < end, found
                time.sleep(0.1)
            assert found["status"] == "done", f"{found}\n{server.said()}"
            assert len(found["artifacts"]) == n, found
            assert not pictures & set(found["artifacts"]), "a picture of two jobs"
            pictures |= set(found["artifacts"])
    return pictures


if __name__ == "__main__":
    main()
