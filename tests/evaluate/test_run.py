"""An evaluation from end to end: painted once, scored again for nothing, honest about what was not measured."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import CONCEPTS, composer, root  # noqa: F401
from tests.homes import lend

from fantascope.cli.app import run
from fantascope.data.compose import Composer
from fantascope.data.vocabulary import read_vocabulary
from fantascope.engines.detector import Detector, read_labels
from fantascope.errors import InvalidValue
from fantascope.evaluate import calibrate
from fantascope.evaluate.measure import Seen, distances, real, reconstruction
from fantascope.evaluate.paint import paint_missing, samples_of
from fantascope.evaluate.prompts import RELATIONS, Asked, Want, benchmark, in_other_words
from fantascope.evaluate.run import Wanted, ceiling, prompts_of
from fantascope.evaluate.score import Mark
from fantascope.evaluate.truth import Truth
from fantascope.settings import Settings


def _none(what: str, done: int, total: int) -> None:
    assert 0 < done <= total and what


def _skipped(line: str) -> None:
    raise AssertionError(line)


def fantascope(*words: object, code: int = 0) -> None:
    assert run(list(map(str, words))) == code


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(Settings(home=lend(tmp_path_factory.mktemp("home")), threads=1))


FEW = ("--prompts", 6, "--samples", 2, "--steps", 2)


@pytest.mark.usefixtures("warm")
def test_the_embedded_checkpoint_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    fantascope("eval", *FEW, "--out", out)
    assert str(out / "report.md") in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert list(report["lists"]) == ["benchmark", "free", "whole"]
    parts = {row["part"]: row for row in report["lists"]["benchmark"]["parts"]}
    assert parts["overall"]["n"] == 12 and parts["counting"]["n"] == 2
    assert parts["position"]["ceiling"] == read_labels().ceiling["benchmark"]["position"]
    assert report["model"]["hash"] and all(len(sha) == 64 for sha in report["model"]["weights"].values())
    assert report["detector"]["hash"] == read_labels().weights["model.safetensors"]
    assert report["distances"] is None and report["autoencoder"] is None
    text = (out / "report.md").read_text("utf-8")
    assert text.count("Not measured: needs drawings (--sources).") == 2
    assert len(report["marks"]) == 12 + 12 + 6
    for name in ("grid.png", "random.png"):
        with Image.open(out / name) as sheet:
            assert sheet.width > 128

    pictures = {path.name: path.stat().st_mtime_ns for path in (out / "pictures").iterdir()}
    assert len(pictures) == 30
    (out / "pictures" / "single-object-000-0.png").unlink()
    fantascope("eval", *FEW, "--out", out, "--json")
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["event"] == "evaluated" and said["lists"]["benchmark"]["parts"]
    now = {path.name: path.stat().st_mtime_ns for path in (out / "pictures").iterdir()}
    assert {name for name in now if now[name] != pictures[name]} == {"single-object-000-0.png"}
    fantascope("eval", *FEW[:-1], 3, "--out", out, code=2)
    assert "painted with another steps" in capsys.readouterr().err


def test_scoring_again_paints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("eval", "--list", "benchmark", "--prompts", 2, "--samples", 1, "--model", "echo", "--out", tmp_path / "o")
    fantascope(*words)
    times = (tmp_path / "o" / "times.jsonl").read_text("utf-8")
    first = (tmp_path / "o" / "report.json").read_text("utf-8")
    time.sleep(0.01)
    fantascope(*words)
    assert (tmp_path / "o" / "times.jsonl").read_text("utf-8") == times
    assert (tmp_path / "o" / "report.json").read_text("utf-8") == first
    fantascope(*words[:-2], "--list", "no such", code=2)
    assert "benchmark" in capsys.readouterr().err


def test_the_shipped_benchmark_has_genevals_size() -> None:
    """What the label file's objects give: at least 553 prompts, and hundreds in other words."""
    concepts, labels = read_vocabulary(), read_labels()
    lists = prompts_of(labels, concepts, Wanted())
    assert len(lists["benchmark"]) >= 553 and len(lists["free"]) > 150 and len(lists["whole"]) > 600
    assert set(prompts_of(labels, concepts, Wanted(("free",), 5))) == {"free"}


class _Echo:
    """An engine with no parts that paints its seed."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def render(self, request: Any, inputs: Any = None) -> Any:
        from fantascope.artifact import Output

        self.seeds.append(request.seed)
        yield Output(pixels=np.full((128, 128, 3), request.seed % 251, np.uint8), index=0, seed=request.seed)

    def ran(self) -> Any:
        from fantascope.receipt import Ran

        facts = {"engine": "echo", "runtime": "none", "device": "cpu", "precision": "fp32", "threads": 1}
        return Ran(**facts, exactness="bit-exact", weights=(), versions={}, reasons=())


def test_painting_goes_on_where_it_stopped(tmp_path: Path) -> None:
    from fantascope.request import Imagine

    asked = [Asked(f"x-{k}", "single object", f"an image of {k}", (Want("cat"),)) for k in range(3)]
    samples, engine, facts = samples_of(asked, 2, 0), _Echo(), {"model": "m", "steps": 1}
    request = Imagine(prompt="-", n=1, seed=0, steps=1, guidance=1.0)
    counts = paint_missing(engine, request, samples, tmp_path, facts)
    assert [next(counts) for _ in range(3)] == [0, 1, 2]
    counts.close()
    assert list(paint_missing(engine, request, samples, tmp_path, facts)) == [2, 3, 4, 5, 6]
    assert engine.seeds == [sample.seed for sample in samples]
    assert all((sample.pixels(tmp_path) == sample.seed % 251).all() for sample in samples)
    with pytest.raises(InvalidValue, match="another steps"):
        list(paint_missing(engine, request, samples, tmp_path, facts | {"steps": 2}))


def test_rates_overall_and_groups() -> None:
    asked = [Asked(f"a-{k // 2}", "counting" if k < 4 else "colours", "", (Want("cat"),)) for k in range(8)]
    marks = [Mark(passed) for passed in (True, True, False, False, True, True, True, True)]
    seen = Seen(tuple(asked), tuple(marks), np.eye(8, dtype=np.float32))
    rates = seen.rates()
    assert (rates["counting"].value, rates["counting"].n, rates["colours"].value) == (0.5, 4, 1.0)
    overall = seen.overall()
    assert overall.value == 0.75 and overall.low <= 0.75 <= overall.high and overall.n == 8
    assert [len(rows) for rows in seen.groups()] == [2, 2, 2, 2]
    assert list(ceiling(seen)) == ["counting", "colours", "overall"]


@pytest.mark.parametrize("relation", list(RELATIONS))
def test_real_scenes_show_what_was_asked(composer: Composer, relation: str) -> None:  # noqa: F811
    truth = Truth(composer, CONCEPTS)
    pair = (Want("box", colour="white"), Want("disc", colour="black"))
    asked = Asked("x", "position", "", pair, relation)
    for seed in range(30):
        scene = truth.scene(asked, seed)
        one, two = scene.things
        assert (one.concept, one.colour, two.concept, two.colour) == ("box", "white", "disc", "black")
        across, down = one.left - two.left, one.top - two.top
        assert {"left": across < 0, "right": across > 0, "above": down < 0, "below": down > 0}[relation]
        assert scene.backdrop not in ("white", "black", "night", "galaxy", "snow")
    three = truth.scene(Asked("x", "counting", "", (Want("leaf", 3),)), 0)
    assert [thing.concept for thing in three.things] == ["leaf"] * 3
    assert len({(thing.left, thing.top) for thing in three.things}) == 3
    assert not truth.has(Asked("x", "single object", "", (Want("cat"),)))


def test_real_pictures_are_measured(composer: Composer, detector: Detector, monkeypatch: Any) -> None:  # noqa: F811
    """The whole of what needs drawings, on three of them: figures exist and are in range."""
    monkeypatch.setattr("fantascope.evaluate.measure.TRAINED", 40)
    truth = Truth(composer, CONCEPTS)
    asked = [Asked(f"a-{kind}", "single object", "", (Want(kind),)) for kind in CONCEPTS]
    made, true = (real(detector, asked, 4, truth, _none, seed) for seed in (0, 1))
    assert made.features.shape[0] == 12
    figures = distances(detector, made, true, truth, _none)
    assert 0 <= figures["copied"].value <= 1 and figures["frechet"].value < 0.5
    assert 0 < figures["diversity"].value < 2
    assert reconstruction(object(), truth, _none) == {}
    shares = calibrate.objects(detector, truth, CONCEPTS, ["flat"], _none)[1]
    assert shares == {}


SOURCES = Path(__file__).parents[2] / "sources"


@pytest.mark.slow
@pytest.mark.skipif(not (SOURCES / "node_modules").is_dir(), reason="no drawings at hand")
def test_the_ceiling_holds_on_real_pictures(detector: Detector) -> None:
    concepts = read_vocabulary()
    truth = Truth.gather(SOURCES, concepts, lambda line: None, SOURCES / "rasters")
    asked = [one for one in benchmark(detector.labels.objects, concepts) if one.part == "single object"]
    found = real(detector, asked, 1, truth, _none, 5).rates()["single object"]
    due = detector.labels.ceiling["benchmark"]["single object"]["value"]
    assert found.low - 0.05 <= due <= found.high + 0.05
    assert in_other_words(asked, concepts)
