"""`fantascope policy …` on the command line, from a refusal to a picture that was allowed on appeal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from fantascope.cli.app import run

TEXT = "a dragon in the style of Greg Rutkowski"
ECHO = ["--model", "echo", "--seed", "5"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FANTASCOPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_from_a_refusal_to_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["imagine", TEXT, *ECHO]) != 0
    found = re.search(r"fantascope policy appeal ([0-9a-f]{8})", capsys.readouterr().err)
    assert found is not None
    id = found[1]
    assert run(["policy", "decide", id, "allow", "--why", "x"]) != 0
    assert "Nobody appealed" in capsys.readouterr().err
    assert run(["policy", "appeal", id, "I am he."]) == 0
    assert run(["policy", "appeals", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["id"], said["appeal"], said["text"]) == (id, "I am he.", TEXT)
    assert run(["policy", "decide", id, "perhaps", "--why", "x"]) != 0
    assert "allow" in capsys.readouterr().err
    assert run(["policy", "decide", id, "allow", "--why", "He is."]) == 0
    assert "signature" in capsys.readouterr().out
    assert run(["policy", "appeals"]) == 0 and capsys.readouterr().out == ""
    assert run(["policy", "refusals"]) == 0 and "decision:" in capsys.readouterr().out
    assert run(["imagine", TEXT, *ECHO, "--out", str(tmp_path / "dragon.png")]) == 0
    assert (tmp_path / "dragon.png").is_file()


def test_the_detector_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["policy", "detector"]) == 1
    assert "npm pack nsfwjs@4.3.0" in capsys.readouterr().out
    assert run(["policy"]) == 0
    out = capsys.readouterr().out
    assert "picture/sexual" in out and "not judged: no detector installed" in out
    run(["doctor"])
    assert "no detector installed" in capsys.readouterr().out
    assert run(["policy", "detector", str(tmp_path / "none.tgz")]) != 0
    assert "There is no file" in capsys.readouterr().err


def test_an_artist_is_shown_with_dates_term_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", "artist", "matisse"]) == 0
    out = capsys.readouterr().out
    assert "Henri Matisse: born 1869, died 1954" in out and "free: works were protected" in out
    assert "not checked against a register" in out and "death, 2024 (" in out and "Written 2026-11-23" in out
    assert run(["policy", "artist", "PABLO picasso", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["died"], said["free"], said["protected_until"]) == (1973, False, 2043)
    assert run(["policy", "artist", "Greg Rutkowski"]) == 0
    assert "living, or not known to have died" in capsys.readouterr().out
    assert run(["policy", "artist", "Rembrand"]) == 2
    assert "Did you mean Rembrandt" in capsys.readouterr().err


def test_a_top_up_is_booked_and_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANTASCOPE_PLAN", "free")
    assert run(["imagine", "a red car", *ECHO, "-n", "16", "--dry-run"]) == 0
    assert "15 left, which is not enough" in capsys.readouterr().out
    assert run(["ledger", "topup", "100"]) == 2
    assert "its top-ups are 115 credits" in capsys.readouterr().err
    assert run(["ledger", "topup", "115", "--note", "bill 7"]) == 0
    assert run(["ledger", "topup", "115", "--user", "ada", "--json"]) == 0
    capsys.readouterr()
    assert run(["imagine", "a red car", *ECHO, "-n", "16", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "130 left; the allowance of 15" in out and "115 of top-ups until" in out
    assert run(["imagine", "a red car", *ECHO, "-n", "16", "--dry-run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["left_of"] == {"allowance": 15, "rollover": 0, "topup": 115} and facts["left_after"] == 114
    assert run(["imagine", "a red car", *ECHO, "-n", "3"]) == 0
    capsys.readouterr()
    assert run(["ledger"]) == 0
    out = capsys.readouterr().out
    assert "127 credits left (3 used this month, 0 held)" in out and "bill 7, until" in out
    assert "nothing rolls over; top-ups: 115 for 12 months" in out
    assert run(["ledger", "--user", "ada", "--json"]) == 0
    balance, *lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert balance["left"] == 130 == sum(line["credits"] for line in lines) and len(lines) == 2


def test_a_dry_run_paints_nothing(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["imagine", "a red car", *ECHO, "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["event"] == "quote"
    assert run(["ledger", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["used"] == 0
    assert not list((home / "gallery" / "objects").rglob("*.png"))
