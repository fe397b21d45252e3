"""What a quote counts is what the network is really asked, and what is quoted is what is charged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fantascope import Imagine, Receipt, Studio
from fantascope.artifact import Artifact
from fantascope.cli.app import run
from fantascope.engines.graph import GraphEngine
from fantascope.policy import quote
from fantascope.policy.cost import passes, texts_of, usual_passes
from fantascope.policy.energy import spent
from fantascope.receipt import Cost, Ran, receipt_id
from fantascope.settings import Settings
from fantascope.spec import SPECS

SMALL: dict[str, Any] = {"steps": 4, "width": 128, "height": 128, "upscale": 1, "seed": 5, "precision": "fp32"}

CASES: list[tuple[dict[str, Any], int, str]] = [
    ({"prompt": "a cat"}, 4 * 2, "0.200"),
    ({"prompt": "a cat", "guidance": 1.0}, 4, "0.100"),
    ({"prompt": "a cat AND a red ball"}, 4 * 4, "0.400"),
    ({"prompt": "a cat AND a red ball :0.5 AND grass"}, 4 * 6, "0.600"),
    ({"prompt": "a cat AND a red ball", "guidance": 1.0}, 4 * 3, "0.300"),
    ({"prompt": "[a cat|a dog] AND a red ball", "n": 2}, 4 * 4, "0.800"),
    ({"prompt": "[a cat:a dog:0.5] (big:1.2)"}, 4 * 2, "0.200"),
    ({"prompt": "a cat", "sampler": "heun"}, 7 * 2, "0.350"),
    ({"prompt": "a cat AND a red ball", "sampler": "heun"}, 7 * 4, "0.700"),
]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures went through the network, one entry a call."""
    found: list[int] = []
    network = GraphEngine.network

    def counted(self: GraphEngine, *given: Any) -> Any:
        inner = network(self, *given)

        def once(x: Any, time: float) -> Any:
            found.append(len(x))
            return inner(x, time)

        return once

    monkeypatch.setattr(GraphEngine, "network", counted)
    return found


def test_what_is_quoted_is_what_the_network_is_asked_and_what_is_charged(warm: Path, asked: list[int]) -> None:
    used = 0.0
    with Studio(Settings(home=warm, threads=1)) as studio:
        for fields, due, price in CASES:
            asked.clear()
            request = Imagine(**(SMALL | fields))
            job = studio.resolve(request)
            assert passes(job.request, job.spec) == due, fields
            assert str(quote(job.request, job.spec)) == price, fields
            made = [event for event in studio.run(request) if isinstance(event, Artifact)]
            assert sum(asked) == due * len(made), fields
            assert sum(one.receipt.cost.credits for one in made if one.receipt) == pytest.approx(float(price))
            used += float(price)
            assert studio.gallery.balance("local").used == pytest.approx(used)


def test_a_dry_run_says_what_makes_it_cost_more(warm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["imagine", "a cat AND a red ball", "--dry-run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["credits"], facts["passes"]) == (2, 80)
    assert run(["imagine", "a cat::2 a red ball::1", "--grammar", "midjourney", "-n", "1", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert ": 2 credits" in said and "80 passes" in said and "2 texts by AND" in said and "usual picture has 40" in said
    assert run(["imagine", "a cat", "--model", "echo", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passes"] is None


def test_models_that_our_loop_does_not_drive_are_priced_by_steps() -> None:
    sizes = {"width": 1024, "height": 1024, "upscale": 1, "n": 1}
    guided = Imagine(prompt="a cat AND a dog", steps=28, guidance=3.5, **sizes)
    assert passes(guided, SPECS["flux-dev"]) == usual_passes(SPECS["flux-dev"]) == 28
    assert quote(guided, SPECS["flux-dev"]) == 1
    assert texts_of(guided) == 1  # plain words
    assert texts_of(guided.replace(grammar="a1111")) == 2
    few = SPECS["embedded"].model_copy(
        update={"defaults": SPECS["embedded"].defaults.model_copy(update={"guidance": 1})}
    )
    assert usual_passes(few) * 2 == usual_passes(SPECS["embedded"])


def ran(device: str = "cpu", threads: int = 4) -> Ran:
    return Ran(engine="latent", runtime="torch", device=device, precision="fp32", threads=threads, exactness="close")


def test_energy_after_a_run_follows_seconds_threads_and_device(tmp_path: Path) -> None:
    cost = spent(1.5, 36.0, ran(), folder=tmp_path)
    assert (cost.credits, cost.seconds) == (1.5, 36.0)
    assert cost.energy_wh == pytest.approx(36 * 4 * 8 / 3600)
    assert cost.energy_method == "36.00 s, 4 threads, 8 W a core, assumed (policy/tariff.toml)"
    card = spent(1, 12.0, ran("cuda:1"), batch=3, folder=tmp_path)
    assert card.energy_wh == pytest.approx(12 * 300 / 3600)
    assert "cuda:1, assumed" in str(card.energy_method) and "3 were painted together" in str(card.energy_method)
    assert spent(1, 12.0, ran("tpu"), folder=tmp_path) == Cost(credits=1, seconds=12)


def test_the_record_shows_its_energy_and_older_records_stay_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FANTASCOPE_HOME", str(tmp_path))
    out = tmp_path / "cat.png"
    assert run(["imagine", "a cat", "--model", "echo", "-o", str(out)]) == 0
    with Studio() as studio:
        recorded = studio.record(out)
        (entry,) = studio.gallery.list(limit=5)
    assert recorded.cost.energy_wh is not None and recorded.cost.energy_wh > 0
    assert "threads" in str(recorded.cost.energy_method)
    capsys.readouterr()
    assert run(["gallery", "show", entry.id[7:19]]) == 0
    assert f"about {recorded.cost.energy_wh:.3g} Wh" in capsys.readouterr().out
    older = recorded.dump()
    del older["cost"]["energy_wh"], older["cost"]["energy_method"]
    read = Receipt(**older)
    assert read.dump() == older and "energy_wh" not in read.dump()["cost"]
    assert receipt_id(read) == receipt_id(recorded) == recorded.id
