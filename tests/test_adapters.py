"""Adapters from the command line to the picture, its record, and the same pixels again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.engines import adapters

from fantascope import Imagine, PolicyRefused, Settings, Studio
from fantascope.artifact import Artifact
from fantascope.cli.adapter_words import LISTS, parse_adapter
from fantascope.cli.app import run as command
from fantascope.engines.adapters.collection import add_adapter, remove_adapter
from fantascope.engines.adapters.tree import tree_of
from fantascope.errors import InvalidValue, ReplayDiffers, RequestError, UnknownName, Unsupported
from fantascope.provenance.infotext import parse
from fantascope.request import Applied, parse_request
from fantascope.spec import SPECS

SMALL: dict[str, Any] = {"prompt": "a pink elephant", "width": 64, "height": 64, "steps": 2, "seed": 3}


def tiny_file(path: Path, seed: int = 0, **metadata: str) -> Path:
    return adapters.written(path, adapters.kohya("embedded", adapters.factors("embedded", seed=seed)), **metadata)


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    """A studio with a tiny model and an adapter for it."""
    made = Settings(home=home)
    adapters.registered("embedded", made)
    add_adapter(
        tiny_file(tmp_path / "ink.safetensors"), name="ink", base="tiny-embedded", licence="CC0-1.0", settings=made
    )
    return made


def made(studio: Studio, **more: Any) -> Artifact:
    events = studio.run(Imagine(**(SMALL | {"model": "tiny-embedded"} | more)))
    return next(event for event in events if isinstance(event, Artifact))


def test_the_receipt_records_what_was_at_work(settings: Settings) -> None:
    with Studio(settings) as studio:
        plain = made(studio)
        worn = made(studio, adapters=(Applied(name="ink", weight=0.8, end=0.9, blocks={"mid": 0.5}),))
        assert plain.receipt is not None and worn.receipt is not None
        assert not (np.asarray(plain.image()) == np.asarray(worn.image())).all()
        asked = {"name": "ink", "weight": 0.8, "start": 0.0, "end": 0.9, "blocks": {"mid": 0.5}}
        assert worn.receipt.request["adapters"] == [asked]
        weight = worn.receipt.ran.weights[-1]
        record = json.loads((settings.adapters / "ink.json").read_text())
        assert (weight.part, weight.sha256, weight.scale) == ("adapter ink", record["sha256"], 0.8)
        assert weight.licence == "CC0-1.0" and worn.receipt.id != plain.receipt.id
        assert any("takes no adapters" in reason for reason in worn.receipt.ran.reasons)
        verdict = next(v for v in worn.receipt.verdicts if v.subject == "ink")
        assert verdict.rule == "licence" and verdict.reason.startswith("Adapter ink: CC0-1.0")
        told = parse(worn.image().info["parameters"])
        assert told.prompt == "a pink elephant <lora:ink:0.8>"
        assert told.settings["Lora hashes"] == f"ink: {record['data_sha256'][:12]}"
        assert (np.asarray(made(studio).image()) == np.asarray(plain.image())).all()


def test_again_gives_the_same_pixels_or_says_what_differs(settings: Settings, tmp_path: Path) -> None:
    with Studio(settings) as studio:
        worn = made(studio, adapters=(Applied(name="ink", start=0.2),))
        (replay,) = [event for event in studio.again(worn.id) if hasattr(event, "recorded")]
        assert replay.artifact.receipt.pixels_sha256 == worn.receipt.pixels_sha256  # type: ignore[union-attr]
        remove_adapter("ink", settings)
        with pytest.raises(UnknownName, match="no adapter 'ink'"):
            list(studio.again(worn.id))
        other = tiny_file(tmp_path / "other.safetensors", seed=1)
        add_adapter(other, name="ink", base="tiny-embedded", licence="CC0-1.0", settings=settings)
        with pytest.raises(ReplayDiffers, match="adapter ink weights"):
            list(studio.again(worn.id))


@pytest.mark.parametrize(
    ("worn", "error", "said"),
    [
        ([{"name": "inc"}], UnknownName, "Did you mean ink"),
        ([{"name": "ink"}, {"name": "ink", "weight": 0.5}], InvalidValue, "given twice"),
        ([{"name": "ink", "start": 0.6, "end": 0.4}], InvalidValue, "end before it starts"),
        ([{"name": "ink", "weight": 4.5}], InvalidValue, "less than or equal to 4"),
        ([{"name": "ink", "weight": float("nan")}], InvalidValue, "adapters"),
        ([{"name": "ink", "strength": 1}], RequestError, "adapters"),
        ([{"name": "ink", "blocks": {"left": 1.0}}], InvalidValue, "adapters"),
        ([{"name": "ink", "blocks": {"down_9": 1.0}}], InvalidValue, "no block 'down_9'"),
        ([{"name": "zork"}], InvalidValue, "'<zork>'; it does not say so"),
        ([{"name": "zork", "weight": 0.5}], InvalidValue, "textual inversion"),
    ],
)
def test_what_is_wrong_is_refused(
    worn: list[dict[str, Any]], error: type[RequestError], said: str, settings: Settings, tmp_path: Path
) -> None:
    path = adapters.written(tmp_path / "z.safetensors", {"<zork>": np.ones((2, 32), np.float32)})
    add_adapter(path, name="zork", base="tiny-embedded", licence="CC0-1.0", settings=settings)
    with Studio(settings) as studio, pytest.raises(error) as caught:
        made(studio, adapters=worn)
    assert said in str(caught.value)


def test_a_private_picture_does_not_name_its_adapters(settings: Settings) -> None:
    with Studio(settings) as studio:
        worn = made(studio, adapters=[{"name": "ink"}], private=True)
        assert b"adapter" in worn.data and b"adapter ink" not in worn.data and b"lora:" not in worn.data
        assert b"adapter ink" in made(studio, adapters=[{"name": "ink"}]).data


def test_where_nothing_is_painted_adapters_are_refused(settings: Settings) -> None:
    from fantascope import Cutout, Upscale

    with Studio(settings) as studio:
        source = made(studio).id
        for request in (
            Upscale(picture=source, adapters=[{"name": "ink"}]),
            Cutout(picture=source, adapters=[{"name": "ink"}]),
        ):
            with pytest.raises(InvalidValue, match="nothing for an adapter to do"):
                studio.resolve(request.replace(model="tiny-embedded"))


def test_another_family_and_another_engine_are_refused(settings: Settings) -> None:
    adapters.registered("sd1", settings)
    with Studio(settings) as studio:
        with pytest.raises(InvalidValue, match=r"'tiny-embedded' \(embedded\) and does not fit 'tiny-sd1' \(sd1\)"):
            made(studio, model="tiny-sd1", adapters=[{"name": "ink"}])
        with pytest.raises(Unsupported, match="graph"):
            made(studio, engine="graph", adapters=[{"name": "ink"}])


def test_its_licence_joins_the_judgement(settings: Settings, tmp_path: Path) -> None:
    path = tiny_file(tmp_path / "nc.safetensors", seed=2, **{"modelspec.license": "MIT"})
    add_adapter(path, name="nc", base="tiny-embedded", licence="CC-BY-NC-4.0", settings=settings)
    commercial = Settings(home=settings.home, commercial=True)
    with Studio(commercial) as studio:
        assert made(studio, adapters=[{"name": "ink"}])
        with pytest.raises(PolicyRefused, match=r"CC-BY-NC-4\.0, does not allow commercial use") as caught:
            made(studio, adapters=[{"name": "ink"}, {"name": "nc"}])
        assert "the file says 'MIT'" in caught.value.message  # the contradiction is shown
    with Studio(settings) as studio:
        receipt = made(studio, adapters=[{"name": "nc"}]).receipt
        assert receipt is not None
        assert "But the file says 'MIT'" in next(v.reason for v in receipt.verdicts if v.subject == "nc")


def test_a_learned_word_paints_what_it_stands_for(settings: Settings, tmp_path: Path) -> None:
    random = np.random.default_rng(0).standard_normal((2, 32)).astype(np.float32)
    path = adapters.written(tmp_path / "z.safetensors", {"<zork>": random})
    add_adapter(path, name="zork", base="tiny-embedded", licence="CC0-1.0", settings=settings)
    with Studio(settings) as studio:
        asked = {"prompt": "a <zork>", "engine": "latent"}
        worn, plain = made(studio, adapters=[{"name": "zork"}], **asked), made(studio, **asked)
        assert (np.asarray(worn.image()) != np.asarray(plain.image())).any()
        assert worn.receipt is not None and worn.receipt.ran.weights[-1].part == "embedding zork"
        told = parse(worn.image().info["parameters"])
        assert told.prompt == "a <zork>" and told.settings["TI hashes"].startswith("zork: ")


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("ink", Applied(name="ink")),
        ("ink:0.8", Applied(name="ink", weight=0.8)),
        ("ink:-1:start=0.2:end=0.9", Applied(name="ink", weight=-1, start=0.2, end=0.9)),
        ("ink:blocks=mid=0,up_1.0=0.5", Applied(name="ink", blocks={"mid": 0, "up_1.0": 0.5})),
    ],
)
def test_words_of_the_command_line(text: str, due: Applied) -> None:
    assert parse_adapter(text) == due


def test_lists_of_block_weights() -> None:
    for count in (12, 17):
        found = parse_adapter(f"ink:1:lbw={','.join(str(k / 10) for k in range(count))}").blocks
        assert found == {name: k / 10 for k, name in enumerate(LISTS[count])}
    of_sd = tree_of(adapters.spec("sd1"), Settings(home=Path("none"))).blocks
    assert "text" in of_sd and LISTS[17][:3] == ("text", "down_0.0", "down_0.1")
    assert LISTS[17][7:9] == ("mid", "up_1.0") and LISTS[12][1:7] == (
        "down_1.0",
        "down_1.1",
        "down_2.0",
        "down_2.1",
        "mid",
        "up_0.0",
    )


@pytest.mark.parametrize(
    "text", ["", ":1", "ink:much", "ink:1:2", "ink:lbw=1,2,3", "ink:9", "ink:start=2", "ink:blocks=x=1"]
)
def test_bad_words_of_the_command_line(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_adapter(text)
    assert caught.value.param == "adapters"


def test_every_painting_request_takes_adapters() -> None:
    from fantascope.cli.imagine import COMMANDS
    from fantascope.cli.imagine import command as command_of
    from fantascope.request import REQUESTS, Painting

    for task in COMMANDS:
        options = command_of(REQUESTS[task]).__annotations__
        assert ("adapter" in options) == issubclass(REQUESTS[task], Painting)
    read = parse_request({"prompt": "a", "adapters": [{"name": "ink"}]})
    assert read.adapters == (Applied(name="ink"),)  # type: ignore[attr-defined]
    assert read.replace(seed=1).adapters == read.adapters  # type: ignore[attr-defined]


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """An adapter for the checkpoint that ships."""
    random, out = np.random.default_rng(0), {}
    for name, layer in tree_of(SPECS["embedded"], Settings(home=tmp_path)).parts["unet"].items():
        if name.endswith(("to_q", "to_v")):
            rows, columns = layer.weight
            out[f"unet.{name}.lora_A.weight"] = random.standard_normal((4, columns)).astype(np.float16) / 16
            out[f"unet.{name}.lora_B.weight"] = random.standard_normal((rows, 4)).astype(np.float16)
    return adapters.written(tmp_path / "wash.safetensors", out, **{"modelspec.title": "Wash"})


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_the_whole_way_on_the_command_line(shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*words: str) -> str:
        assert command(words) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    add = ["adapters", "add", str(shipped), "--name", "wash", "--base", "embedded", "--licence", "CC0-1.0"]
    assert "added wash: lora, rank 4" in say(*add, "--trigger", "washed", "--consent", "mine")
    assert command(add) == 2 and "fantascope adapters show wash" in capsys.readouterr().err
    assert "wash" in say("adapters", "list") and "washed" in say("adapters", "search", "WASH", "rank 4")
    assert not say("adapters", "search", "oil")
    assert "consent     mine" in say("adapters", "show", "wash")
    assert json.loads(say("adapters", "show", "wash", "--json"))["trigger"] == ["washed"]
    say(*add[:4], "wash2", *add[5:])
    assert "rank 8" in say("adapters", "merge", "wash:0.5", "wash2", "--name", "both")
    assert "rank leaves out" in say("adapters", "merge", "both", "--name", "low", "--method", "svd", "--rank", "2")
    out = tmp_path / "k.safetensors"
    assert str(out) in say("adapters", "export", "low", "--layout", "kohya", "--out", str(out))
    picture = tmp_path / "a.png"
    paint = ["imagine", "a pink elephant", "--seed", "3", "--steps", "2", "--size", "128", "--out", str(picture)]
    say(*paint, "--adapter", "wash:0.7:end=0.8", "--adapter", "low:blocks=mid=0")
    with Image.open(picture) as opened:
        told = parse(opened.info["parameters"])
    assert told.prompt == "a pink elephant <lora:wash:0.7> <lora:low:1>"
    assert "same pixels" in say("again", str(picture))
    assert "licence adapter wash" in say("verify", str(picture))
    folder = tmp_path / "fused"
    said = say("adapters", "fuse", "wash", "--base", "embedded", "--out", str(folder), "--licence", "CC0-1.0")
    assert f"models add dir:{folder}" in said
    say("models", "add", f"dir:{folder}", "--name", "washed")
    say(*paint[:-1], str(tmp_path / "b.png"), "--model", "washed")
    say("adapters", "remove", "wash")
    assert command([*paint[:-1], str(tmp_path / "c.png"), "--adapter", "wash"]) == 2
    assert "no adapter 'wash'" in capsys.readouterr().err


@pytest.mark.usefixtures("warm")
def test_imagine_without_adapters_loads_no_more(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from fantascope.cli.app import run; "
        "assert run(['imagine', 'a cat', '--size', '128', '--steps', '1', '--out', sys.argv[1]]) == 0; "
        "print([name for name in sys.modules if 'adapt' in name and name.startswith(('fantascope.engines', "
        "'fantascope.adapter'))])"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_the_collection_is_listed_once_and_other_records_stay_closed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many adapters a request names; a broken record of another one does not matter."""
    import fantascope.adapter as module

    record = (settings.adapters / "ink.json").read_text("utf-8")
    (settings.adapters / "chalk.json").write_text(record.replace('"name": "ink"', '"name": "chalk"'), "utf-8")
    (settings.adapters / "broken.json").write_text("{", "utf-8")
    opened, listed = list[str](), list[str]()
    read, glob = module.read_adapter, Path.glob
    monkeypatch.setattr(module, "read_adapter", lambda path: opened.append(path.stem) or read(path))
    monkeypatch.setattr(Path, "glob", lambda self, pattern: listed.append(str(self)) or glob(self, pattern))
    found = module.find_adapters(["chalk", "ink"], settings.adapters)
    assert [adapter.name for adapter in found] == opened == ["chalk", "ink"]
    assert listed == [str(settings.adapters)]
    with pytest.raises(UnknownName, match="no adapter 'wash'"):
        module.find_adapters(["ink", "wash"], settings.adapters)
