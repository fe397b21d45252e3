"""The estimate of energy, and the quote before work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fantascope import Imagine, Studio
from fantascope.artifact import Artifact
from fantascope.cli.quote import quote
from fantascope.errors import PolicyRefused
from fantascope.policy.energy import Past, core_watts, estimate, work_of
from fantascope.settings import Settings
from fantascope.spec import SPECS

ECHO = SPECS["echo"]


def resolved(**changes: int) -> Imagine:
    return Imagine(**({"prompt": "a cat", "n": 1, "width": 256, "height": 128, "upscale": 2, "steps": 10} | changes))


def powercap(folder: Path, **limits: int) -> Path:
    for name, limit in limits.items():
        place = folder / name.replace("_", ":")
        place.mkdir(parents=True)
        (place / "constraint_0_power_limit_uw").write_text(str(limit))
    return folder


def test_watts_are_the_packages_share(tmp_path: Path) -> None:
    limits = {"intel-rapl_0": 60_000_000, "intel-rapl_1": 60_000_000, "intel-rapl_0_0": 9_000_000}
    watts, said = core_watts(8, powercap(tmp_path, **limits))
    assert watts == 15 and "120 W over 8 cores" in said


def test_watts_are_assumed_where_the_system_does_not_tell(tmp_path: Path) -> None:
    watts, said = core_watts(8, tmp_path / "nothing")
    assert watts == 8 and "assumed" in said


def test_energy_follows_work_and_threads(tmp_path: Path) -> None:
    request = resolved()
    assert work_of(request, ECHO) == 128 * 64 * 10
    past = [Past(1000, 1), Past(1000, 2), Past(1000, 9), Past(0, 5)]
    energy = estimate(request, ECHO, past, threads=2, cores=4, folder=tmp_path)
    assert energy is not None
    assert energy.seconds == pytest.approx(81.92 * 2)
    assert energy.watt_hours == pytest.approx(81.92 * 2 * 8 * 2 / 3600)
    assert "3 pictures made here" in energy.method and "2 threads" in energy.method
    twice = estimate(resolved(n=2, steps=20), ECHO, past, threads=2, cores=4, folder=tmp_path)
    assert twice is not None and twice.watt_hours == pytest.approx(4 * energy.watt_hours)
    assert estimate(request, ECHO, [], threads=2, cores=4, folder=tmp_path) is None


def test_a_quote_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FANTASCOPE_HOME", str(tmp_path))
    request = Imagine(prompt="a red car", model="echo", n=3)
    quote(request, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["energy_wh"] is None and facts["enough"]
    with Studio(Settings(home=tmp_path)) as studio:
        assert studio.gallery.list(limit=5) == [] and studio.gallery.entries("local") == []
        made = [event for event in studio.run(request) if isinstance(event, Artifact)]
        before = studio.gallery.balance("local")
        assert before.used == pytest.approx(facts["credits"]) and len(made) == 3
    quote(request, as_json=True)
    after = json.loads(capsys.readouterr().out)
    assert after["energy_wh"] > 0 and after["left"] == before.left
    assert after["left_after"] == pytest.approx(before.left - facts["credits"])
    quote(request, as_json=False)
    assert "Nothing was painted, held or charged." in capsys.readouterr().out
    with pytest.raises(PolicyRefused):
        quote(Imagine(prompt="a fake passport", model="echo"), as_json=True)
    with Studio(Settings(home=tmp_path)) as studio:
        assert studio.gallery.balance("local") == before
