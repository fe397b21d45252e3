"""The server under 1, 4, 16 and 64 clients, against a plain FastAPI script around diffusers with the same checkpoint.

Every client asks for one picture after the other by OpenAI's wire; ours judges, enlarges to 512x512, marks, signs and
keeps each, and books it; the peer paints 128x128 and answers. Both are asked in turn, in one run.

python bench/serve.py [SECONDS] [CLIENTS …]
"""

from __future__ import annotations

import base64
import io
import json
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tools import HERE, environment, exported, home, warn_if_busy

TOKEN = "token-of-the-bench-server"


@contextmanager
def ours(place: Path, *options: str) -> Iterator[tuple[str, int]]:
    """Run our server; yield its address and process."""
    words = [sys.executable, "-m", "fantascope", "serve", "--port", "0", "--json", "--rate", "0", "--token", TOKEN]
    with (place / "server.log").open("w") as log:
        process = subprocess.Popen(
            [*words, *options], env=environment(place), stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit((place / "server.log").read_text())
        try:
            yield str(json.loads(line)["url"]), process.pid
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def peer(folder: Path, place: Path, precision: str) -> Iterator[str]:
    """Run the peer's server and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, str(HERE / "peer_server.py"), str(folder), str(port), precision]
    process = subprocess.Popen(words, env=environment(place))
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(url + "/docs", timeout=1)
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def ask(client: httpx.Client, prompt: str) -> Any:
    """Ask for one picture and return its bytes."""
    body = {"prompt": prompt, "model": "embedded", "response_format": "b64_json", "size": "512x512"}
    reply = client.post("/v1/images/generations", json=body)
    reply.raise_for_status()
    return base64.b64decode(reply.json()["data"][0]["b64_json"])


def drive(url: str, clients: int, seconds: float) -> list[float]:
    """Let so many clients ask for a while; return the seconds that each answer took."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def client(k: int) -> None:
        with httpx.Client(base_url=url, timeout=300, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            n = 0
            while time.perf_counter() < end:
                since = time.perf_counter()
                ask(http, f"a red apple and {k % 4 + 1} stars, take {n}")
                taken.append(time.perf_counter() - since)
                n += 1

    threads = [threading.Thread(target=client, args=(k,)) for k in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    counts = [int(word) for word in sys.argv[2:]] or [1, 4, 16, 64]
    warn_if_busy()
    with (
        exported() as folder,
        home() as place,
        ours(place) as (us, _),
        peer(folder, place, "fp32") as them,
        peer(folder, place, "bf16") as half,
    ):
        servers = {"fantascope": us, "diffusers fp32": them, "diffusers bf16": half}
        for url in servers.values():
            with httpx.Client(base_url=url, timeout=300, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
                picture = Image.open(io.BytesIO(ask(http, "a red apple")))
                print(f"{url}: {picture.size[0]}x{picture.size[1]}")
        drive(us, 4, 3)
        print(f"{'clients':>7}  {'server':<15} {'pictures/s':>10} {'p50 s':>7} {'p95 s':>7}")
        for clients in counts:
            speed: dict[str, float] = {}
            for name, url in servers.items():
                since = time.perf_counter()
                taken = sorted(drive(url, clients, seconds))
                speed[name] = len(taken) / (time.perf_counter() - since)
                p95 = taken[min(len(taken) - 1, int(0.95 * len(taken)))]
                print(f"{clients:>7}  {name:<15} {speed[name]:>10.2f} {statistics.median(taken):>7.2f} {p95:>7.2f}")
            ratios = ", ".join(f"{speed['fantascope'] / v:.2f}x {n}" for n, v in speed.items() if n != "fantascope")
            print(f"         ours: {ratios}")


if __name__ == "__main__":
    main()
