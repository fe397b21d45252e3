"""The loop: a hard kill changes nothing, and the schedule is what it says."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from safetensors.torch import load_file, save_file  # noqa: E402
from tests.forks import Forks  # noqa: E402

from fantascope.errors import BrokenModelFile, InvalidValue  # noqa: E402
from fantascope.train.fit import FitConfig, choose_device, fit, learning_rate, load_weights  # noqa: E402
from fantascope.train.latents import EMPTY, store  # noqa: E402
from fantascope.train.parts import LATENT  # noqa: E402

ENDS = [0, -signal.SIGKILL, -signal.SIGKILL, 0]


@pytest.mark.parametrize("kind", ["muon", "adamw"])
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path, forks: Forks, kind: str) -> None:
    jobs = (("whole", 0), ("cut", 6), ("cut", 11), ("cut", 0))
    assert [forks("tests.train.killed:small", tmp_path / run, kind, at) for run, at in jobs] == ENDS
    whole, cut = ((tmp_path / name / "state.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    assert _steps(tmp_path / "cut") == list(range(1, 13)), "a row was lost or said twice"


def test_a_killed_base_stage_resumes_to_the_same_bytes(tmp_path: Path, forks: Forks) -> None:
    """The real stage: UNet, pool, autocast, channels last, Muon, running mean."""
    torch.manual_seed(0)
    pool = tmp_path / "pool"
    pool.mkdir()
    texts = {"text": torch.randn(3, 32, 16).half()}
    shard = texts | {"latent": torch.randn(5, LATENT, 16, 16).half(), "row": torch.tensor([0, 1, 2, 0, 1])}
    store(pool / EMPTY, {"text": texts["text"][:1].clone()}, {"scenes": 5})
    store(pool / "0000.safetensors", shard, {})
    jobs = (("whole", 0), ("cut", 3), ("cut", 5), ("cut", 0))
    assert [forks("tests.train.killed:stage", tmp_path / run, pool, at) for run, at in jobs] == ENDS
    whole, cut = ((tmp_path / name / "state.safetensors").read_bytes() for name in ("whole", "cut"))
    assert whole == cut
    assert _steps(tmp_path / "cut") == list(range(1, 7))


def _steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text("utf-8").splitlines()]


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
    assert list(_resume(model, tmp_path)) == []
    assert (tmp_path / "state.safetensors").read_bytes() == before


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    _fit_a_line(tmp_path, 10)
    with pytest.raises(BrokenModelFile, match="another model"):
        list(_resume(torch.nn.Linear(3, 3), tmp_path))


def _resume(model: torch.nn.Module, run: Path, also: dict[str, float] | None = None, **changed: Any) -> Iterator[Any]:
    """Start a run of `_fit_a_line(run, 10)` again with other settings, and nothing to learn from."""
    config = FitConfig(steps=10, batch=8, rate=0.3, warmup=5, report_every=10, save_every=50, ema=0.9)
    return fit(model, lambda batch, source: (None, {}), lambda step: iter(()), replace(config, **changed), run, also)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 1}, "seed 0 and not 1"),
        ({"batch": 4}, "batch 8 and not 4"),
        ({"rate": 0.1, "muon": False}, "muon True and not False, rate 0.3 and not 0.1"),
        ({"data": "other"}, "data '' and not 'other'"),
        ({"also": {"noise": 0.1}}, "noise None and not 0.1"),
        ({"steps": 20}, "steps 10 and not 20"),
        ({"warmup": 6}, "warmup 5 and not 6"),
    ],
)
def test_a_run_is_not_resumed_with_other_settings(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    _fit_a_line(tmp_path, 10)
    with pytest.raises(InvalidValue, match=re.escape(said)):
        list(_resume(torch.nn.Linear(2, 2), tmp_path, **changed))


def test_what_does_not_touch_the_weights_may_change(tmp_path: Path) -> None:
    _fit_a_line(tmp_path, 10)
    assert list(_resume(torch.nn.Linear(2, 2), tmp_path, save_every=3, report_every=1)) == []


def test_a_run_may_be_made_longer_before_its_rate_falls(tmp_path: Path) -> None:
    def start(steps: int) -> list[int]:
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 2)
        config = FitConfig(steps=steps, batch=1, warmup=2, cooldown=0.5, report_every=1, save_every=2)
        found = []
        for event in fit(model, lambda b, s: (model(b["x"]).square().mean(), {}), _ones, config, tmp_path):
            found.append(event.step)
            if event.step == 4:
                break
        return found

    assert start(8) == [1, 2, 3, 4]
    assert start(12)[0] == 5
    with pytest.raises(InvalidValue, match="steps 12 and not 8"):
        start(8)


def _ones(step: int) -> Iterator[dict[str, Any]]:
    while True:
        yield {"x": torch.ones(1, 2)}


def test_a_state_from_before_settings_were_kept_is_taken(tmp_path: Path) -> None:
    _fit_a_line(tmp_path, 10)
    path = tmp_path / "state.safetensors"
    save_file(load_file(path), path, metadata={"step": "10"})
    assert list(_resume(torch.nn.Linear(2, 2), tmp_path, seed=5)) == []
    assert load_weights(torch.nn.Linear(2, 2), tmp_path) == 10


def test_a_row_cut_short_by_a_kill_goes(tmp_path: Path) -> None:
    _fit_a_line(tmp_path, 10)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 11, "lo')
    list(_resume(torch.nn.Linear(2, 2), tmp_path))
    assert _steps(tmp_path) == [10]


def test_the_rate_rises_stays_and_falls_to_nothing() -> None:
    config = FitConfig(steps=100, batch=1, rate=1.0, warmup=10, cooldown=0.2)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9:80] == [1.0] * 71
    assert rates[90] == pytest.approx(0.5) and rates[99] == pytest.approx(0.05)


def test_a_device_is_chosen_with_its_reason_or_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_device("cpu") == "cpu"
    with caplog.at_level("INFO", logger="fantascope.train.fit"):
        assert choose_device() == ("cuda" if torch.cuda.is_available() else "cpu")
    assert "training on" in caplog.text
    if not torch.cuda.is_available():
        with pytest.raises(InvalidValue, match="cuda"):
            choose_device("cuda")
    with pytest.raises(InvalidValue, match="toaster"):
        choose_device("toaster")
