"""The command line, as a user runs it: echo engine, exit codes, no tracebacks.

What depends on the process (signals, full disks, encodings, the way from file to file) runs in real ones; the rest
calls the same entry point here, because one start of Python costs more than most commands do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


Say = Callable[..., Any]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command in this process and return what it wrote as `out` and `err`."""

    def call(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        found, said = run(list(words)), capsys.readouterr()
        assert found == code, (found, said.out, said.err)
        assert "Traceback" not in said.err
        return said

    return call


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


def test_gallery(tmp_path: Path, say: Say) -> None:
    say("imagine", "a pink elephant", *ECHO)
    say("imagine", "a blue cat", *ECHO)
    listed = say("gallery", "list").out.splitlines()
    assert "a blue cat" in listed[0]
    assert len(listed) == 2
    assert len(say("gallery", "list", "--search", "elephant").out.splitlines()) == 1
    assert len(say("gallery", "list", "--since", "2020-01-01").out.splitlines()) == 2
    assert say("gallery", "list", "--until", "2020-01-01").out == ""
    assert "not after" in say("gallery", "list", "--since", "2020-01-02", "--until", "2020-01-01", code=2).err
    assert "no time" in say("gallery", "list", "--since", "monday", code=2).err
    name = listed[0].split()[0]
    shown = say("gallery", "show", name).out
    assert "a blue cat" in shown
    assert "seed" in shown
    say("gallery", "export", name, str(tmp_path / "cat.png"))
    assert (tmp_path / "cat.png").is_file()
    say("gallery", "export", name, str(tmp_path / "cat.png"), code=2)
    like = say("gallery", "search", "--like", str(tmp_path / "cat.png")).out.splitlines()
    assert len(like) == 2
    assert like[0].startswith("0.000  " + name)
    other = json.loads(say("gallery", "search", "--like", name, "--json").out)
    assert (other["prompt"], other["id"][7:19] == name) == ("a pink elephant", False)
    assert say("gallery", "search", "--like", name, "--search", "elephant", "--until", "2020-01-01").out == ""
    assert "No such file" in say("gallery", "search", "--like", str(tmp_path / "none.png"), code=2).err
    (tmp_path / "text.png").write_text("no picture")
    assert "invalid_picture" in say("gallery", "search", "--like", str(tmp_path / "text.png"), code=2).err
    say("gallery", "search", "--like", "0" * 64, code=1)
    say("gallery", "search", code=2)
    say("gallery", "verify")
    say("gallery", "remove", name)
    say("gallery", "show", name, code=1)
    assert len(say("gallery", "list").out.splitlines()) == 1
    say("gallery", "verify")


def test_ledger_policy_models_doctor(say: Say) -> None:
    say("imagine", "a pink elephant", *ECHO)
    assert "charge" in say("ledger").out
    assert "sha256" in say("policy").out
    assert "Allowed" in say("policy", "test", "a pink elephant on parade").out
    refused = say("policy", "test", "a dragon in the style of Greg Rutkowski", code=3).out
    assert "Refused" in refused
    assert "embedded" in say("models", "list").out
    assert "Apache-2.0" in say("models", "show", "embedded").out
    assert "can paint" in say("doctor").out
    assert "fantascope" in say("--version").out


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


def test_right_to_left_and_emoji_prompts(say: Say) -> None:
    for prompt in ("فيل وردي", "🐘 on 🟦"):
        say("imagine", prompt, *ECHO)
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


def test_previews_as_files(tmp_path: Path, say: Say) -> None:
    say("imagine", "a cat", *ECHO, "--preview", "--out", str(tmp_path))
    assert len(list((tmp_path / "previews").glob("*.png"))) == 4
    say("imagine", "a cat", *ECHO, "--preview", "--private", "--out", str(tmp_path / "private"))
    assert not (tmp_path / "private" / "previews").exists()


def test_a_private_pictures_previews_are_not_written(tmp_path: Path, say: Say) -> None:
    """An edit of a private picture is private, too, whether it says so or not; an edit of another one is not."""
    for kind in ("open", "private"):
        more = ["--private"] if kind == "private" else []
        say("imagine", "a cat", *ECHO, *more, "--out", str(tmp_path / f"{kind}.png"))
        out = tmp_path / kind
        done = say("vary", str(tmp_path / f"{kind}.png"), *ECHO, "--preview", "--out", str(out))
        assert len(list(out.glob("*.png"))) == 1
        assert (out / "previews").exists() == (kind == "open")
        assert ("not written" in done.err) == (kind == "private")


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
        tx.execute(f"update {name[0]} set version = 9999 where version = (select max(version) from {name[0]})")
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


def test_help_names_every_option(say: Say) -> None:
    said = say("imagine", "--help").out
    for option in ("--no", "--size", "--steps", "--guidance", "--sampler", "--model", "--out", "--format", "--preview"):
        assert option in said
    assert "--json" in said


# Edits


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A folder with a picture that was drawn by hand and masks for it."""
    picture = Image.new("RGB", (160, 128), (90, 150, 220))
    picture.paste((200, 60, 40), (50, 30, 110, 100))
    picture.save(tmp_path / "photo.png")
    mask = Image.new("L", (160, 128), 0)
    mask.paste(255, (40, 20, 120, 110))
    mask.save(tmp_path / "mask.png")
    Image.new("L", (160, 128), 0).save(tmp_path / "empty.png")
    Image.new("L", (16, 16), 255).save(tmp_path / "small.png")
    return tmp_path


def test_an_edit_end_to_end(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a fresh home, on the embedded checkpoint: the picture, its mask and the proof."""
    out, mask = drawn / "out.png", drawn / "changed.png"
    words = ("edit", str(drawn / "photo.png"), "make the box blue", "--before", "a red box on a blue background")
    words = (*words, "--mask", str(drawn / "mask.png"), "--steps", "4", "--seed", "1")
    done = fantascope(*words, "--out", str(out), "--mask-out", str(mask), "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    steps = [e for e in events if e["event"] == "step"]
    assert [e["step"] for e in steps if e["stage"] == "denoise"] == [1, 2, 3, 4]
    (artifact,) = (e for e in events if e["event"] == "artifact")
    kept = artifact["kept"]
    assert kept["before"] == kept["after"]
    assert kept["touched"] == round(80 * 90 / (160 * 128), 6)
    with Image.open(out) as after, Image.open(drawn / "photo.png") as before, Image.open(mask) as changed:
        assert after.size == before.size == changed.size
        assert changed.getbbox() == (40, 20, 120, 110)
        assert changed.mode == "L"
        black = Image.new("RGB", before.size)
        assert Image.composite(black, after, changed).tobytes() == Image.composite(black, before, changed).tobytes()
        assert after.tobytes() != before.tobytes()
    assert run(["verify", str(out)]) == 0
    said = capsys.readouterr().out
    assert "every pixel is the parent's" in said
    assert "compositeWithTrainedAlgorithmicMedia" in said
    assert "✗" not in said


@pytest.mark.usefixtures("warm")
def test_a_cutout_writes_its_mask(drawn: Path, say: Say) -> None:
    out, mask = drawn / "cut.png", drawn / "cut-mask.png"
    say("cutout", str(drawn / "photo.png"), "--out", str(out), "--mask-out", str(mask))
    with Image.open(out) as after, Image.open(mask) as changed:
        assert after.size == changed.size and changed.mode == "L"
        alpha, white = after.getchannel("A").tobytes(), changed.tobytes()
    assert 0 < alpha.count(0) < 160 * 128
    # What may have changed is white: all that is clear is, and what is black is opaque.
    assert all(mask or share == 255 for share, mask in zip(alpha, white, strict=True))


def test_what_was_understood_is_said_and_a_chat_goes_on(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = ("--mask", str(drawn / "mask.png"), *ECHO)
    words = ["edit", str(drawn / "photo.png"), "change the box to a cat", "--before", "a red box"]
    assert run([*words, *mask, "--out", str(drawn / "a.png")]) == 0
    assert "understood:" in capsys.readouterr().err
    assert run(["edit", str(drawn / "a.png"), "make it night", *mask, "--out", str(drawn / "b.png")]) == 0
    assert run(["verify", str(drawn / "b.png")]) == 0


def test_every_command_of_editing(drawn: Path) -> None:
    photo, mask = str(drawn / "photo.png"), str(drawn / "mask.png")
    for words in (
        ["vary", photo, "--amount", "subtle"],
        ["vary", photo, "-n", "2"],
        ["fill", photo, "--mask", mask, "--prompt", "a cat"],
        ["erase", photo, "--mask", mask],
        ["expand", photo, "--left", "7", "--bottom", "9"],
        ["expand", photo, "--zoom", "2"],
        ["expand", photo, "--pan", "up"],
        ["blend", photo, photo, "--weights", "1", "--weights", "3", "--size", "64"],
        ["upscale", photo, "--factor", "1.5"],
        ["cutout", photo, "--crop"],
        ["tile", "stars", "--axes", "x", "--picture", photo],
    ):
        assert run([*words, *ECHO, "--out", str(drawn / words[0])]) == 0, words
    assert {path.suffix for path in (drawn / "cutout").iterdir()} == {".png"}
    with Image.open(next((drawn / "cutout").iterdir())) as cut:
        assert cut.mode == "RGBA"
        assert cut.size == (60, 70)


def test_masks_are_numbered_and_said_to_be_missing(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = str(drawn / "photo.png")
    words = ["expand", photo, "--left", "9", "-n", "2", *ECHO, "--mask-out", str(drawn / "m.png")]
    assert run([*words, "--out", str(drawn / "two")]) == 0
    assert size(drawn / "m.png") == size(drawn / "m-2.png") == (169, 128)
    assert run(["expand", photo, "--zoom", "2", *ECHO, "--mask-out", str(drawn / "none.png")]) == 0
    assert "No mask" in capsys.readouterr().err
    assert not (drawn / "none.png").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["fill", "PHOTO"], 2, "--mask"),
        (["fill", "PHOTO", "--mask", "EMPTY"], 2, "marks nothing"),
        (["fill", "PHOTO", "--mask", "SMALL"], 2, "16x16"),
        (["fill", "PHOTO", "--mask", "missing.png"], 1, "missing.png"),
        (["fill", "PHOTO", "--mask", "MASK", "--out", "x.jpg"], 2, "byte for byte"),
        (["fill", "PHOTO", "--mask", "MASK", "--format", "webp"], 2, "--quality 100"),
        (["fill", "PHOTO", "--mask", "MASK", "--size", "64"], 2, "--size"),
        (["vary", "PHOTO", "--mask-out", "m.png"], 2, "--mask-out"),
        (["vary", "PHOTO", "--strength", "1.5"], 2, "strength"),
        (["vary", "PHOTO", "--strength", "nan"], 2, "strength"),
        (["vary", "PHOTO", "--amount", "much"], 2, "subtle"),
        (["vary"], 2, "'picture'"),
        (["vary", "/dev/zero"], 1, "/dev/zero"),
        (["vary", "."], 1, "'.'"),
        (["cutout", "PHOTO", "--format", "jpeg"], 2, "transparency"),
        (["cutout"], 2, "nothing to cut out"),
        (["cutout", "PHOTO", "--tolerance", "2"], 2, "tolerance"),
        (["expand", "PHOTO"], 2, "--zoom"),
        (["expand", "PHOTO", "--left", "-3"], 2, "left"),
        (["expand", "PHOTO", "--left", "9999"], 2, "8192"),
        (["expand", "PHOTO", "--zoom", "1"], 2, "zoom"),
        (["expand", "PHOTO", "--zoom", "5"], 2, "zoom"),
        (["expand", "PHOTO", "--pan", "inwards"], 2, "left"),
        (["upscale", "PHOTO", "--factor", "0.5"], 2, "factor"),
        (["upscale", "PHOTO", "--factor", "5"], 2, "factor"),
        (["blend", "PHOTO"], 2, "pictures"),
        (["blend", "PHOTO", "PHOTO", "--weights", "1"], 2, "2 pictures"),
        (["tile", "stars", "--axes", "z"], 2, "both"),
        (["edit", "PHOTO", "blorb it", "--before", "a red box"], 2, "Did you mean: 1"),
        (["edit", "PHOTO", ""], 2, "empty"),
        (["edit", "PHOTO", "a\x1b[2Jb"], 2, "U+001B"),
        (["erase", "PHOTO", "--what", "the cat", "--before", "a red box"], 2, "the cat"),
        (["erase", "PHOTO", "--what", "the box", "--mask", "MASK", "--before", "a red box"], 2, "one of them"),
    ],
)
def test_bad_edits_are_clear_errors(
    words: list[str], code: int, said: str, drawn: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"PHOTO": "photo.png", "MASK": "mask.png", "EMPTY": "empty.png", "SMALL": "small.png"}
    named = [str(drawn / files[word]) if word in files else word for word in words]
    assert run([*named, *ECHO]) == code, capsys.readouterr()
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert "Traceback" not in shown.err
    assert "\x1b[2J" not in shown.err
    assert run(["ledger"]) == 0
    assert "charge" not in capsys.readouterr().out
    assert not [path for path in Path.cwd().iterdir() if path.suffix == ".jpg"]


def test_an_unclear_instruction_as_json(drawn: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["edit", str(drawn / "photo.png"), "blorb it", "--before", "a red box on a table", "--json", *ECHO]
    assert run(words) == 2
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["code"], told["param"]) == ("unclear_instruction", "instruction")
    assert len(told["readings"]) == 3


def test_help_of_edits_names_their_own_options(say: Say) -> None:
    told = {task: say(task, "--help").out for task in ("fill", "vary", "cutout")}
    assert "--mask-out" in told["cutout"]
    for option in ("--mask", "--mask-out", "--feather", "--region", "--strength", "--prompt"):
        assert option in told["fill"]
    assert "--mask" not in told["vary"]
    assert "--size" not in told["vary"]
    assert "--amount" in told["vary"]
