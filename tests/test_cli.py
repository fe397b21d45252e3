"""The command line, as a user runs it: real processes, echo engine, exit codes, no tracebacks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from fantascope.cli.app import run

ECHO = ("--model", "echo", "--seed", "7")


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def fantascope(*words: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "fantascope", *words],
        capture_output=True,
        text=True,
        env=os.environ | environ,
        timeout=120,
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def test_pictures_a_sheet_and_where_they_are(tmp_path: Path) -> None:
    done = fantascope("imagine", "a pink elephant", *ECHO, "-n", "4", "--out", str(tmp_path / "out"))
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert "contact sheet" in lines[-1]
    assert all(size(Path(line.split("  ")[0]))[0] > 0 for line in lines)
    assert len(list((tmp_path / "out").glob("*.png"))) == 5


def test_json_lines_for_scripts(tmp_path: Path) -> None:
    done = fantascope("imagine", "a cat", *ECHO, "-n", "2", "--json", "--size", "64x32")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {e["event"] for e in events} == {"step", "artifact", "sheet"}
    artifacts = [e for e in events if e["event"] == "artifact"]
    assert [e["seed"] for e in artifacts] == [7, 8]
    assert size(Path(artifacts[0]["path"])) == (64, 32)
    error = json.loads(fantascope("imagine", "", "--json", code=2).stdout)
    assert error["code"] == "invalid_value"
    assert error["param"] == "prompt"


def test_again_and_verify(tmp_path: Path) -> None:
    out = tmp_path / "one.png"
    fantascope("imagine", "a pink elephant", *ECHO, "--out", str(out))
    assert "same pixels" in fantascope("again", str(out), "--out", str(tmp_path / "two.png")).stdout
    with Image.open(tmp_path / "two.png") as two, Image.open(out) as one:
        assert two.tobytes() == one.tobytes()
    said = fantascope("verify", str(out)).stdout
    assert "Everything that is present holds." in said
    assert "✗" not in said
    broken = bytearray(out.read_bytes())
    broken[len(broken) // 2] ^= 1
    (tmp_path / "broken.png").write_bytes(broken)
    assert fantascope("verify", str(tmp_path / "broken.png"), "--json", code=1).stdout
    plain = tmp_path / "plain.png"
    Image.new("RGB", (300, 200), "red").save(plain)
    fantascope("verify", str(plain))


def test_gallery(tmp_path: Path) -> None:
    fantascope("imagine", "a pink elephant", *ECHO)
    fantascope("imagine", "a blue cat", *ECHO)
    listed = fantascope("gallery", "list").stdout.splitlines()
    assert "a blue cat" in listed[0]
    assert len(listed) == 2
    assert len(fantascope("gallery", "list", "--search", "elephant").stdout.splitlines()) == 1
    name = listed[0].split()[0]
    shown = fantascope("gallery", "show", name).stdout
    assert "a blue cat" in shown
    assert "seed" in shown
    fantascope("gallery", "export", name, str(tmp_path / "cat.png"))
    assert (tmp_path / "cat.png").is_file()
    fantascope("gallery", "export", name, str(tmp_path / "cat.png"), code=2)
    fantascope("gallery", "verify")
    fantascope("gallery", "remove", name)
    fantascope("gallery", "show", name, code=1)
    assert len(fantascope("gallery", "list").stdout.splitlines()) == 1
    fantascope("gallery", "verify")


def test_ledger_policy_models_doctor() -> None:
    fantascope("imagine", "a pink elephant", *ECHO)
    assert "charge" in fantascope("ledger").stdout
    assert "sha256" in fantascope("policy").stdout
    assert "Allowed" in fantascope("policy", "test", "a pink elephant on parade").stdout
    refused = fantascope("policy", "test", "a dragon in the style of Greg Rutkowski", code=3).stdout
    assert "Refused" in refused
    assert "embedded" in fantascope("models", "list").stdout
    assert "Apache-2.0" in fantascope("models", "show", "embedded").stdout
    assert "can paint" in fantascope("doctor").stdout
    assert "fantascope" in fantascope("--version").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["imagine", "x" * 100_000], 2, "32000"),
        (["imagine", "a\x01b"], 2, "U+0001"),
        (["imagine", "a", "--size", "0"], 2, "greater"),
        (["imagine", "a", "--size", "7"], 2, "Nearest"),
        (["imagine", "a", "--size", "1000000000"], 2, "8192"),
        (["imagine", "a", "--size=-512x512"], 2, "greater"),
        (["imagine", "a", "--size", "500x500"], 2, "512x512"),
        (["imagine", "a", "--size", "big"], 2, "512x512"),
        (["imagine", "a", "--steps", "0"], 2, "steps"),
        (["imagine", "a", "--guidance", "nan"], 2, "finite"),
        (["imagine", "a", "--sampler", "eulr"], 2, "euler"),
        (["imagine", "a", "--model", "embeded"], 2, "embedded"),
        (["imagine", "a", "--format", "jpg"], 2, "jpeg"),
        (["imagine", "a", "--seed", "-1"], 2, "seed"),
        (["imagine", "a", "--seed", "4294967296"], 2, "4294967295"),
        (["imagine", "a", "--device", "cuda:99"], 1, "cuda:99"),
        (["again", "nothing-here.png"], 1, "nothing-here"),
        (["gallery", "show", "zzzzzz"], 1, "zzzzzz"),
        (["gallery", "show", "abcdef123456"], 1, "abcdef123456"),
        (["verify", "nothing-here.png"], 2, "nothing-here"),
        (["models", "show", "sd1"], 2, "sd15"),
        (["models", "remove", "embedded"], 2, "embedded"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_is_a_clear_error(
    words: list[str], code: int, said: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == code
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert "Traceback" not in shown.err
    assert not list(home.rglob("*.png"))


def test_debug_shows_the_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fantascope", "imagine", "", "--debug"], capture_output=True, text=True
    )
    assert "Traceback" in done.stderr


def test_right_to_left_and_emoji_prompts() -> None:
    for prompt in ("فيل وردي", "🐘 on 🟦"):
        fantascope("imagine", prompt, *ECHO)
    assert "فيل وردي" in fantascope("gallery", "list").stdout


def test_ctrl_c_keeps_what_was_finished(home: Path) -> None:
    words = ["imagine", "a cat", *ECHO, "-n", "60", "--size", "1024", "--json"]
    errors = home.parent / "errors.txt"
    # A shell that starts this in the background has it ignore the signal, and so would the command.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with errors.open("w") as told:
            process = subprocess.Popen(
                [sys.executable, "-m", "fantascope", *words], stdout=subprocess.PIPE, stderr=told, text=True
            )
    finally:
        signal.signal(signal.SIGINT, usual)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "artifact":
            break
    process.send_signal(signal.SIGINT)
    since = time.monotonic()
    rest = process.stdout.readlines()  # the same reader as above: it may hold lines already
    process.stdout.close()
    process.wait(timeout=60)
    assert time.monotonic() - since < 20
    assert process.returncode == 130, errors.read_text()
    assert "Traceback" not in errors.read_text()
    kept = [e for e in map(json.loads, rest) if e["event"] == "artifact"]
    listed = fantascope("gallery", "list", "-n", "100").stdout.splitlines()
    assert 1 + len(kept) <= len(listed) < 60
    fantascope("gallery", "verify")


def test_a_home_under_a_file(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = fantascope("imagine", "a cat", *ECHO, code=1, FANTASCOPE_HOME=str(blocked / "home"))
    assert "storage_error" in done.stderr


def test_previews_as_files(tmp_path: Path) -> None:
    fantascope("imagine", "a cat", *ECHO, "--preview", "--out", str(tmp_path))
    assert len(list((tmp_path / "previews").glob("*.png"))) == 4
    fantascope("imagine", "a cat", *ECHO, "--preview", "--private", "--out", str(tmp_path / "private"))
    assert not (tmp_path / "private" / "previews").exists()


def test_out_names_format_and_never_another_picture(tmp_path: Path) -> None:
    for prompt in ("فيل", "象"):
        assert run(["imagine", prompt, *ECHO, "--out", str(tmp_path / "d")]) == 0
    assert len(list((tmp_path / "d").iterdir())) == 2
    assert run(["imagine", "a cat", *ECHO, "--out", str(tmp_path / "cat.jpg")]) == 0
    with Image.open(tmp_path / "cat.jpg") as picture:
        assert picture.format == "JPEG"
    assert run(["imagine", "a cat", *ECHO, "--format", "png", "--out", str(tmp_path / "cat.jpg")]) == 2
    (tmp_path / "v1.0").mkdir()
    assert run(["imagine", "a cat", *ECHO, "--out", str(tmp_path / "v1.0")]) == 0
    assert len(list((tmp_path / "v1.0").iterdir())) == 1
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / ".x.png.part").symlink_to(victim)
    assert run(["imagine", "a cat", *ECHO, "--out", str(tmp_path / "x.png")]) == 0
    assert victim.read_text() == "mine"


def test_what_a_file_says_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["imagine", "a cat\n2026 forged row", *ECHO]) == 0
    capsys.readouterr()
    assert run(["gallery", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_broken_model_record_stops_nothing_else(home: Path) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / "broken.json").write_text("{")
    assert run(["models", "list"]) == 0
    assert run(["imagine", "a cat", *ECHO]) == 0
    assert run(["models", "remove", "broken"]) == 0
    assert not (home / "models" / "broken.json").exists()


def test_a_newer_gallery_is_left_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["imagine", "a cat", *ECHO]) == 0
    database = home / "gallery" / "gallery.db"
    import sqlite3

    with sqlite3.connect(database) as tx:
        name = tx.execute(
            "select name from sqlite_master where name like '%schema%' or name like '%version%'"
        ).fetchone()
        tx.execute(f"update {name[0]} set version = 9999")
    tx.close()
    before = database.read_bytes()
    capsys.readouterr()
    assert run(["imagine", "a dog", *ECHO]) == 1
    assert "gallery_too_new" in capsys.readouterr().err
    assert database.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="needs mount")
def test_full_and_read_only_disks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting needs root")
    try:
        done = fantascope("imagine", "a cat", *ECHO, "--size", "1024", code=1, FANTASCOPE_HOME=str(disk / "home"))
        assert "storage_error" in done.stderr
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = fantascope("imagine", "a cat", *ECHO, code=1, FANTASCOPE_HOME=str(disk / "home"))
        assert "storage_error" in done.stderr
        fantascope("gallery", "list", FANTASCOPE_HOME=str(disk / "home"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_help_names_every_option() -> None:
    said = fantascope("imagine", "--help").stdout
    for option in ("--no", "--size", "--steps", "--guidance", "--sampler", "--model", "--out", "--format", "--preview"):
        assert option in said
    assert "--json" in said
