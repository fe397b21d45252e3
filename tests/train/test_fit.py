"""The loop: a hard kill changes nothing, and the schedule is what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from fantascope.errors import BrokenModelFile  # noqa: E402
from fantascope.train.fit import FitConfig, fit, learning_rate, load_weights  # noqa: E402

SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
from fantascope.train.fit import FitConfig, fit

torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Conv2d(8, 3, 3))

def batches(step):
    while True:
        yield {"x": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))}
        step += 1

def loss(batch, source):
    noise = torch.randn(batch["x"].shape, generator=source)
    return (model(batch["x"] + 0.1 * noise) - batch["x"][..., 2:-2, 2:-2]).square().mean(), {}

config = FitConfig(steps=12, batch=2, warmup=3, report_every=1, save_every=4, muon=sys.argv[3] == "muon")
for event in fit(model, loss, batches, config, Path(sys.argv[1])):
    if event.step == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def _run(run: Path, kill_at: int, kind: str) -> int:
    command = [sys.executable, "-c", SCRIPT, str(run), str(kill_at), kind]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode in (0, -9), done.stderr.decode()
    return done.returncode


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path, kind: str) -> None:
    assert _run(tmp_path / "whole", 0, kind) == 0
    assert _run(tmp_path / "cut", 6, kind) == -9
    assert _run(tmp_path / "cut", 11, kind) == -9
    assert _run(tmp_path / "cut", 0, kind) == 0
    whole, cut = ((tmp_path / name / "state.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut


def _fit_a_line(run: Path, steps: int) -> tuple[torch.nn.Linear, list[float]]:
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)

    def batches(step: int):
        while True:
            yield {"x": torch.randn(8, 2, generator=torch.Generator().manual_seed(step))}
            step += 1

    def loss(batch, source):
        return (model(batch["x"]) - 2 * batch["x"]).square().mean(), {"two": 2.0}

    config = FitConfig(steps=steps, batch=8, rate=0.3, warmup=5, report_every=10, save_every=50, ema=0.9)
    events = list(fit(model, loss, batches, config, run))
    assert all(event.figures == {"two": 2.0} for event in events)
    assert events[-1].saved and events[-1].step == steps
    return model, [event.loss for event in events]


def test_it_learns_logs_and_gives_its_mean_weights(tmp_path: Path) -> None:
    model, losses = _fit_a_line(tmp_path, 100)
    assert losses[-1] < losses[0] / 10
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text("utf-8").splitlines()]
    assert [row["step"] for row in rows] == list(range(10, 101, 10))
    other = torch.nn.Linear(2, 2)
    assert load_weights(other, tmp_path) == 100
    assert torch.allclose(other.weight, model.weight, atol=0.05)
    assert load_weights(other, tmp_path, mean=False) == 100
    assert torch.equal(other.weight, model.weight)


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    _fit_a_line(tmp_path, 10)
    before = (tmp_path / "state.safetensors").read_bytes()
    model = torch.nn.Linear(2, 2)
    assert list(fit(model, lambda batch, source: (None, {}), lambda step: iter(()), FitConfig(10, 8), tmp_path)) == []
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    _fit_a_line(tmp_path, 10)
    config = FitConfig(20, 8)
    with pytest.raises(BrokenModelFile, match="another model"):
        list(fit(torch.nn.Linear(3, 3), lambda batch, source: (None, {}), lambda step: iter(()), config, tmp_path))


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    config = FitConfig(steps=100, batch=1, rate=1.0, warmup=10, cooldown=0.2)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9:80] == [1.0] * 71
    assert rates[90] == pytest.approx(0.5) and rates[99] == pytest.approx(0.05)
