"""History, annotators and control on the command line: real processes, real pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.test_cli import ECHO, fantascope, size


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    picture = Image.new("RGB", (256, 192), (40, 90, 200))
    ImageDraw.Draw(picture).rectangle([60, 40, 180, 150], fill=(240, 220, 60))
    path = tmp_path / "photo.png"
    picture.save(path)
    return path


def made(*words: str) -> str:
    """Run a command that makes one picture and return its id."""
    events = [json.loads(line) for line in fantascope(*words, "--json").stdout.splitlines()]
    return str(next(event["id"] for event in events if event["event"] == "artifact"))


def test_history_is_a_tree(tmp_path: Path) -> None:
    first = made("imagine", "a cat", *ECHO, "--size", "128")
    second = made("vary", first, *ECHO, "--strength", "0.5")
    third = made("vary", second, *ECHO, "--strength", "0.4")
    branch = made("vary", first, *ECHO, "--strength", "0.3")
    done = fantascope("history", third, "--out", str(tmp_path / "tree.png"))
    lines = done.stdout.splitlines()
    ids = [first, second, third, branch]
    assert [any(one[7:19] in line for line in lines[:4]) for one in ids] == [True] * 4
    assert [line[0] for line in lines[:4]] == [" ", " ", "➤", " "]
    assert [lines[k].index(one[7:19]) for k, one in enumerate(ids)] == [2, 5, 8, 5], "children stand further in"
    wide, high = size(tmp_path / "tree.png")
    assert wide > 3 * 128 and high > 2 * 128
    nodes = [json.loads(line) for line in fantascope("history", branch, "--json").stdout.splitlines()]
    assert [node["id"] for node in nodes] == ids
    assert [node["parent"] for node in nodes] == [None, first, second, first]


def test_masks_are_left_out_of_listings(photo: Path, tmp_path: Path) -> None:
    mask = Image.new("L", (256, 192))
    ImageDraw.Draw(mask).rectangle([10, 10, 50, 50], fill=255)
    mask.save(tmp_path / "mask.png")
    made("fill", str(photo), "--mask", str(tmp_path / "mask.png"), "--prompt", "a dog", *ECHO)
    tasks = [json.loads(line)["task"] for line in fantascope("gallery", "list", "--json").stdout.splitlines()]
    assert "mask" not in tasks and "fill" in tasks


def test_annotate_draws_a_map_and_says_what_is_wrong(photo: Path, tmp_path: Path) -> None:
    fantascope(
        "annotate", "canny", str(photo), "--set", "low=50", "--set", "high=120", "--out", str(tmp_path / "e.png")
    )
    with Image.open(tmp_path / "e.png") as edges:
        found = np.asarray(edges.convert("RGB"))
    assert found.shape == (192, 256, 3) and set(np.unique(found)) == {0, 255}
    assert 0.002 < (found > 0).mean() < 0.05
    verified = fantascope("verify", str(tmp_path / "e.png"), code=0).stdout
    assert "fails" not in verified
    assert "Did you mean low?" in fantascope("annotate", "canny", str(photo), "--set", "lo=5", code=2).stderr
    assert "no annotator 'cany'" in fantascope("annotate", "cany", str(photo), code=2).stderr
    assert "NAME=VALUE" in fantascope("annotate", "canny", str(photo), "--set", "low", code=2).stderr
    missing = fantascope("annotate", "pose", str(photo), code=1, FANTASCOPE_HOME=str(tmp_path / "other")).stderr
    assert "pose_detection.tflite" in missing and "pip download" in missing


def test_joints_are_edited_and_rendered_again(tmp_path: Path) -> None:
    person = {"nose": [64, 30], "neck": [64, 50], "right_shoulder": [50, 52], "left_shoulder": [78, 52]}
    document = tmp_path / "pose.json"
    document.write_text(json.dumps({"width": 128, "height": 128, "people": [person]}), "utf-8")
    fantascope("annotate", "pose", "--document", str(document), "--out", str(tmp_path / "pose.png"))
    with Image.open(tmp_path / "pose.png") as drawn:
        assert drawn.size == (128, 128) and np.asarray(drawn.convert("RGB")).max() > 200
    document.write_text(json.dumps({"width": 128, "height": 128, "people": [person | {"nose": [640, 30]}]}), "utf-8")
    assert "nose" in fantascope("annotate", "pose", "--document", str(document), code=2).stderr


def test_control_says_what_is_missing(photo: Path) -> None:
    said = fantascope("control", "normal", str(photo), "a dog", "--map", code=1).stderr
    assert "takes canny, hough, softedge, scribble, segmentation, depth, pose, not normal" in said
    assert "hub" in fantascope("control", "canny", str(photo), "a dog", "--model", "sd15", code=1).stderr
    assert "0 to 2" in fantascope("imagine", "a dog", "--control", f"canny={photo}@3", code=2).stderr
    assert "KIND=FILE" in fantascope("imagine", "a dog", "--control", "canny", code=2).stderr
