"""Shards: the same bytes every time, and a build that is stopped anywhere goes on where it was."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import CONCEPTS, VOCABULARY

from fantascope.data.card import Tally, contact_sheet, data_card
from fantascope.data.compose import Composer
from fantascope.data.gather import gather
from fantascope.data.ledger import ledger_rows
from fantascope.data.scene import plan
from fantascope.data.shard import read_index, write_shards
from fantascope.errors import BrokenModelFile

pytest.importorskip("pyvips")


@pytest.fixture
def rows(root: Path) -> list[dict[str, Any]]:
    return ledger_rows(gather(root, CONCEPTS, print)[0])


def built(composer: Composer, rows: list[dict[str, Any]], folder: Path, scenes: int = 10) -> dict[str, bytes]:
    """Write shards of four scenes and return every file."""
    assert len(list(write_shards(composer, CONCEPTS, rows, folder, scenes, 4))) == scenes
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_the_same_bytes_again(composer: Composer, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    first = built(composer, rows, tmp_path / "one")
    assert first == built(composer, rows, tmp_path / "two")
    assert list(first) == ["000000.tar", "000001.tar", "000002.tar", "index.json"]


def test_a_sample_is_picture_caption_and_what_it_shows(
    composer: Composer, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    built(composer, rows, tmp_path)
    with tarfile.open(tmp_path / "000001.tar") as tar:
        assert tar.getnames()[:3] == ["000000004.png", "000000004.txt", "000000004.json"] and len(tar.getnames()) == 12
        assert {(m.mtime, m.uid, m.gid, m.mode, m.uname) for m in tar.getmembers()} == {(0, 0, 0, 0o644, "")}
        data = {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
    hashes = {(row["source"], row["name"]): row["sha256"] for row in rows}
    for seed in range(4, 8):
        scene = plan(seed, CONCEPTS)
        assert data[f"{seed:09d}.txt"].decode() == scene.caption
        with Image.open(io.BytesIO(data[f"{seed:09d}.png"])) as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(composer.render(scene)))
        told = json.loads(data[f"{seed:09d}.json"])
        assert told["layout"] == scene.layout and len(told["things"]) == len(scene.things)
        shown = {hashes[t.source, CONCEPTS[t.concept].draw[t.source]] for t in scene.things}
        own = {hashes["backdrop", "backdrops"]} | ({hashes["backdrop", "people"]} if scene.figures else set())
        assert set(told["rows"]) == shown | own


def test_finished_shards_are_kept_and_broken_ones_done_again(
    composer: Composer, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    whole = built(composer, rows, tmp_path)
    old = (tmp_path / "000000.tar").stat().st_mtime_ns
    (tmp_path / "000001.tar").write_bytes(b"half")
    (tmp_path / "000002.tar").unlink()
    (tmp_path / "000002.new").write_bytes(b"half")
    assert built(composer, rows, tmp_path) == whole
    assert (tmp_path / "000000.tar").stat().st_mtime_ns == old
    fewer = built(composer, rows, tmp_path, scenes=6)
    assert list(fewer) == ["000000.tar", "000001.tar", "index.json"] and read_index(tmp_path)["scenes"] == 6
    assert (tmp_path / "000000.tar").stat().st_mtime_ns == old, "the first shard is the same, with fewer scenes"
    with tarfile.open(tmp_path / "000001.tar") as tar:
        assert len(tar.getnames()) == 6


def test_other_drawings_are_other_shards(composer: Composer, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    built(composer, rows, tmp_path)
    before, old = read_index(tmp_path), (tmp_path / "000000.tar").stat().st_ino
    changed = [{**rows[0], "sha256": "0" * 64}, *rows[1:]]
    built(composer, changed, tmp_path)
    after = read_index(tmp_path)
    assert after["fingerprint"] != before["fingerprint"] and after["ledger"] != before["ledger"]
    assert (tmp_path / "000000.tar").stat().st_ino != old


def test_a_closed_build_lists_what_is_finished(composer: Composer, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    events = write_shards(composer, CONCEPTS, rows, tmp_path, 10, 4)
    for _ in range(7):
        next(events)
    events.close()
    assert [entry["file"] for entry in read_index(tmp_path)["shards"]] == ["000000.tar"]
    assert not (tmp_path / "000001.tar").exists()


def test_an_index_that_is_not_json_is_named(composer: Composer, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{", "utf-8")
    with pytest.raises(BrokenModelFile, match=r"index\.json is not JSON"):
        built(composer, rows, tmp_path)


def test_kill_9_leaves_nothing_half(root: Path, tmp_path: Path) -> None:
    """The whole command, killed without warning, then run again: as if it had never been stopped."""
    (tmp_path / "words.toml").write_text(VOCABULARY, "utf-8")
    folder = tmp_path / "set"
    words = ["data", "build", root, "--vocabulary", tmp_path / "words.toml", "--scenes", "300", "--shard", "20"]
    command = [sys.executable, "-m", "fantascope", *map(str, words), "--pictures", "4"]
    process = subprocess.Popen([*command, "--out", str(folder)], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while len(list(folder.glob("*.tar"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = sorted(path.name for path in folder.glob("*.tar"))
    assert 2 <= len(found) < 15, "it was not killed midway"
    for name in found:
        with tarfile.open(folder / name) as tar:
            assert len(tar.getnames()) == 60
    for place in (folder, tmp_path / "other"):
        subprocess.run([*command, "--out", str(place)], check=True, stdout=subprocess.DEVNULL)
    files = [{p.name: p.read_bytes() for p in place.iterdir()} for place in (folder, tmp_path / "other")]
    assert files[0] == files[1] and len(files[0]) == 15 + 7


def test_the_card_counts_what_was_planned(composer: Composer, rows: list[dict[str, Any]]) -> None:
    planned = [plan(seed, CONCEPTS) for seed in range(100)]
    tally = Tally()
    for scene in planned:
        tally.add(scene)
    card = data_card(tally, rows, ["@t/icons x: no such drawing"], {"Bo": "asked on 2026-11-01"})
    assert card.startswith("# Data card\n\n100 scenes of ")
    ones = sum(scene.layout == "one" for scene in planned)
    assert f"| one | {ones} | {ones}.0% |" in card
    boxes = sum(thing.concept == "box" for scene in planned for thing in scene.things)
    assert f"| box | {boxes} | " in card
    assert "| flat | @t/icons 1.0.0 | Ann | MIT | 3 |" in card and "| backdrop | fantascope 1 | " in card
    assert "- @t/icons x: no such drawing" in card and "- Bo: asked on 2026-11-01" in card
    assert "share-alike; copyleft; unknown" in card and card.count("\n") < 120


def test_the_sheet_shows_the_scenes(composer: Composer) -> None:
    planned = [plan(seed, CONCEPTS) for seed in range(3)]
    sheet = contact_sheet(composer, planned, columns=2)
    assert sheet.size == (2 * 132 + 4, 2 * 132 + 4)
    assert sheet.crop((136, 4, 264, 132)).tobytes() == composer.render(planned[1]).tobytes()
