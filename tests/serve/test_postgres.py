"""The server with its index, ledger and jobs in PostgreSQL: killed and begun again, nothing is lost or paid twice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gallery.test_postgres import INITDB, MEMORY, Cluster
from tests.serve.conftest import Running

from fantascope import Gallery

pytestmark = [
    pytest.mark.skipif(INITDB is None, reason="PostgreSQL is not installed: no initdb here"),
    pytest.mark.slow,
]


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty database of a cluster that ends with the test."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        Path(folder).chmod(0o755)
        cluster = Cluster(Path(folder))
        cluster.say("CREATE DATABASE served")
        try:
            yield cluster.url("served")
        finally:
            cluster.stop()


def test_a_job_survives_the_server(database: str, tmp_path: Path) -> None:
    running = Running(tmp_path / "served", "--rate", "0", env={"FANTASCOPE_DATABASE": database})
    with running.client() as client:
        body = {"prompt": "an echo", "model": "echo", "n": 8, "seed": 3}
        jobs = [client.post("/v1/fantascope/imagine", json=body | {"seed": k}).json()["id"] for k in range(6)]
    running.kill()
    running.start()
    assert [len(running.done(job)["artifacts"]) for job in jobs] == [8] * 6
    with running.client() as client:
        account = client.get("/v1/fantascope/account").json()
        assert (account["used"], account["held"]) == (48, 0)
    assert running.stop() == 0
    assert not (running.home / "gallery" / "gallery.db").exists()
    assert not (running.home / "jobs" / "jobs.db").exists()
    with Gallery.open(running.home / "gallery", url=database) as gallery:
        assert not list(gallery.verify())


def test_a_job_that_waits_moves_and_stays_moved(database: str, tmp_path: Path) -> None:
    running = Running(
        tmp_path / "served", "--rate", "0", "--workers", "1", "--paused", env={"FANTASCOPE_DATABASE": database}
    )
    with running.client() as client:
        body = {"prompt": "an echo", "model": "echo"}
        jobs = [client.post("/v1/fantascope/imagine", json=body | {"seed": k}).json()["id"] for k in range(4)]
        moved = client.patch(f"/v1/fantascope/jobs/{jobs[3]}", json={"priority": "high"})
        assert moved.status_code == 200 and moved.json()["priority"] == "high"
    running.kill()
    running.start()
    with running.client() as client:
        assert client.get(f"/v1/fantascope/jobs/{jobs[3]}").json()["priority"] == "high"
        client.post("/v1/fantascope/queue/resume")
        made = [running.done(job)["artifacts"][0] for job in jobs]
        kept = [client.get(f"/v1/fantascope/gallery/{one}").json()["kept"] for one in made]
        assert kept[3] < kept[1] < kept[2]
    assert running.stop() == 0
