"""Lessons from photos to adapters and checkpoints, on tiny random checkpoints of every family and the embedded one."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from PIL import Image  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from tests.engines import tiny  # noqa: E402
from tests.forks import Forks  # noqa: E402
from tests.personal.test_photos import drawing  # noqa: E402

from fantascope import Artifact, Imagine, PolicyRefused, Studio, Verdict  # noqa: E402
from fantascope.adapter import collection  # noqa: E402
from fantascope.cli.app import run as command  # noqa: E402
from fantascope.errors import (  # noqa: E402
    InvalidValue,
    LicenceMissing,
    MissingExtra,
    StorageError,
    UnknownName,
    Unsupported,
)
from fantascope.personal.lesson import Lesson, defaults_of, resolved  # noqa: E402
from fantascope.personal.school import config_of  # noqa: E402
from fantascope.personal.teach import Learning, Note, Progress, Sheet, Taught, teach  # noqa: E402
from fantascope.request import Applied  # noqa: E402
from fantascope.settings import Settings  # noqa: E402
from fantascope.spec import SPECS  # noqa: E402

BUILD = {"embedded": tiny.embedded, "sd1": tiny.sd, "sdxl": tiny.xl}
SAID = {"licence": "CC0-1.0", "consent": "I drew them"}
SHORT = {
    "steps": 4,
    "batch": 2,
    "save": 2,
    "report": 1,
    "pictures": 2,
    "samples": 2,
    "class_pictures": 3,
    "class_batch": 1,
    "companions": 0,
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(2):
        drawing(k).save(folder / f"{k}.png")
    drawing(2, (200, 100)).save(folder / "wide.png")
    (folder / "1.txt").write_text("a pomo robot " + "on a mat " * 30)
    return folder


def home(folder: Path, family: str) -> Settings:
    """A studio home whose catalogue has a tiny model of a family."""
    settings = Settings(home=folder)
    settings.models.mkdir(parents=True, exist_ok=True)
    spec = tiny.spec_of(BUILD[family](), family, name="small")
    (settings.models / "small.json").write_text(spec.model_dump_json(), "utf-8")
    return settings


def lesson(photos: Path, **more: Any) -> Lesson:
    return Lesson(**({"photos": (photos,), "name": "pomo", "kind": "robot", "base": "small"} | SAID | SHORT | more))


def taught(asked: Lesson, settings: Settings) -> tuple[Taught, list[Any]]:
    with Studio(settings) as studio:
        events = list(teach(asked, studio))
    assert isinstance(events[-1], Taught)
    return events[-1], events


def painted(settings: Settings, **fields: Any) -> np.ndarray:
    with Studio(settings) as studio:
        asked = Imagine(**({"prompt": "a pomo robot", "model": "small", "seed": 3, "engine": "latent"} | fields))
        (made,) = (event for event in studio.run(asked) if isinstance(event, Artifact))
        return np.asarray(made.image().convert("RGB"), np.float32)


@pytest.mark.parametrize(("asked", "device"), [(None, "cpu"), (None, "cuda:0"), ("bf16", "cpu"), ("fp32", "cuda:0")])
def test_a_lesson_computes_as_asked_or_as_its_device_is_quicker(asked: str | None, device: str) -> None:
    told = resolved(Lesson((Path("x"),), "pomo", "robot", precision=asked, **SAID), SPECS["embedded"])
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    quicker = "bf16" if wide or device != "cpu" else "fp32"
    assert config_of(told, device, []).autocast is ((asked or quicker) == "bf16")


@pytest.mark.parametrize("family", list(BUILD))
def test_from_photos_to_an_adapter(tmp_path: Path, photos: Path, family: str) -> None:
    settings = home(tmp_path / "home", family)
    more = {"companions": 3, "people": "Nobody, a drawing"} if family == "embedded" else {}
    done, events = taught(lesson(photos, rate=1e-2, targets="all", rank=4, **more), settings)
    assert [event.step for event in events if isinstance(event, Learning)] == [1, 2, 3, 4]
    assert any("caption was cut" in event.text for event in events if isinstance(event, Note))
    stages = [event for event in events if isinstance(event, Progress) and event.stage.startswith("pictures of")]
    assert [(stage.done, stage.total) for stage in stages] == [(3, 3)]
    beside = [event.total for event in events if isinstance(event, Progress) and event.stage.startswith("things")]
    assert beside == [3] * bool(more)
    assert any("Nobody looked for people" in event.text for event in events if isinstance(event, Note))
    sheets = [event for event in events if isinstance(event, Sheet)]
    with Image.open(sheets[0].path) as sheet:
        assert [each.step for each in sheets] == [2, 4, 4] and sheet.size == (256, 128)
    adapter = collection(settings.adapters)["pomo"]
    consent = "I drew them. People: Nobody, a drawing" if more else "I drew them"
    assert adapter.trigger == ("pomo",) and adapter.consent == consent and adapter.licence.spdx == "CC0-1.0"
    assert adapter.samples == done.samples and set(adapter.ranks) <= {1, 2, 3, 4}
    with safe_open(done.path, "pt") as file:
        told = file.metadata()
    assert told["class"] == "robot" and told["method"] == "lora" and told["steps"] == "4" and told["seed"] == "0"
    assert len(json.loads(told["photos"])) == 3 and told["captions"] == "1" and len(told["base_sha256"]) == 64
    assert told["people_seen"] == "nobody looked" and ("people" in told) == bool(more)
    assert not any(str(photos) in value for value in told.values())
    plain, with_it = painted(settings), painted(settings, adapters=(Applied(name="pomo"),))
    assert np.abs(plain - with_it).mean() > 0.1
    assert not (settings.home / "lessons" / "pomo" / "state.safetensors").exists()


def test_what_is_applied_is_what_was_learnt(tmp_path: Path, photos: Path) -> None:
    from fantascope.train.fit import FitConfig
    from fantascope.train.personal.base import answer, open_base, text_of
    from fantascope.train.personal.learn import PersonalConfig, Shot, encode_shots, train_personal
    from fantascope.train.personal.lora import take_off
    from fantascope.train.personal.save import write_adapter

    settings = home(tmp_path / "home", "sdxl")
    spec = tiny.spec_of(tiny.xl(), "sdxl", name="small")
    base = open_base(spec, settings)
    before = {name: value.clone() for name, value in base.parts.unet.state_dict().items()}
    told = text_of(base, ["a cat"]) | {"sizes": torch.tensor([[64.0, 64, 0, 0, 64, 64]])}
    x, times = torch.randn(1, 4, 8, 8), torch.tensor([500])
    with torch.no_grad():
        plain = answer(base, x, times, told, autocast=False)
    config = PersonalConfig(FitConfig(3, 2, 1e-2, muon=False, ema=0), rank=4, alpha=8, targets="all", prior=0)
    subject = encode_shots(base, [Shot(np.zeros((64, 64, 3), np.uint8), ("a pomo cat",))], [""])
    learner, events = train_personal(base, config, tmp_path / "run", subject, None, "pomo", "cat")
    with torch.no_grad():
        assert torch.equal(answer(base, x, times, told, autocast=False), plain), (
            "factors that start at zero add nothing"
        )
    list(events)
    with torch.no_grad():
        learnt = answer(base, x, times, told, autocast=False)
    path = write_adapter(learner, base, tmp_path / "a.safetensors", {"trigger": "pomo", "licence": "CC0-1.0"})
    take_off(base.parts.unet, learner.layers["unet"])
    after = base.parts.unet.state_dict()
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    state = load_file(path)
    with torch.no_grad():
        for name in (key.removesuffix(".lora_A.weight") for key in state if key.endswith("lora_A.weight")):
            layer = base.parts.unet.get_submodule(name.removeprefix("unet."))
            down, up = (state[f"{name}.lora_{part}.weight"].float().flatten(1) for part in "AB")
            layer.weight += (up @ down).view_as(layer.weight)
        merged = answer(base, x, times, told, autocast=False)
    assert (learnt - plain).abs().mean() > 1e-3
    assert (merged - learnt).abs().max() < 0.02 * (learnt - plain).abs().max()


@pytest.mark.parametrize("family", list(BUILD))
def test_a_word_learnt_by_textual_inversion(tmp_path: Path, photos: Path, family: str) -> None:
    settings = home(tmp_path / "home", family)
    asked = lesson(photos, method="textual-inversion", tokens=2, rate=0.5, prior=0.0)
    done, _ = taught(asked, settings)
    state = load_file(done.path)
    assert {tuple(value.shape) for value in state.values()} == {(2, 32)}
    assert set(state) == ({"clip_l", "clip_g"} if family == "sdxl" else {"pomo"})
    assert collection(settings.adapters)["pomo"].tokens == 2
    plain, with_it = painted(settings), painted(settings, adapters=(Applied(name="pomo"),))
    assert np.abs(plain - with_it).mean() > 0.1


@pytest.mark.slow
def test_a_checkpoint_by_dreambooth(tmp_path: Path, photos: Path) -> None:
    settings = home(tmp_path / "home", "sd1")
    done, _ = taught(lesson(photos, method="dreambooth", rate=1e-2, ema=0.9), settings)
    assert done.kind == "model" and done.path == settings.home / "checkpoints" / "pomo"
    spec = json.loads((done.path / "fantascope.json").read_text("utf-8"))
    assert spec["name"] == "pomo" and spec["licence"]["spdx"] == "CC0-1.0" and "I drew them" in spec["notes"]
    kept = json.loads((done.path / "lesson.json").read_text("utf-8"))
    assert kept["base"] == "small" and len(kept["photos"]) == 3
    plain, with_it = painted(settings), painted(settings, model="pomo")
    assert np.abs(plain - with_it).mean() > 0.1
    with pytest.raises(InvalidValue, match="already"):
        taught(lesson(photos), settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more", [{"text": True, "dora": True}, {"checkpointing": True}, {"gamma": 5.0, "dropped": 0.5}]
)
def test_other_ways_to_learn(tmp_path: Path, photos: Path, more: dict[str, Any]) -> None:
    settings = home(tmp_path / "home", "sdxl")
    done, events = taught(lesson(photos, rate=1e-2, **more), settings)
    assert all(np.isfinite(event.loss) for event in events if isinstance(event, Learning))
    parts = {"unet", "text_encoder", "text_encoder_2"} if more.get("text") else {"unet"}
    state = load_file(done.path)
    assert {name.split(".")[0] for name in state} == parts
    layers = sum(name.endswith("lora_A.weight") for name in state)
    assert sum(name.endswith("magnitude_vector") for name in state) == (layers if more.get("dora") else 0)
    assert collection(settings.adapters)["pomo"].method == ("dora" if more.get("dora") else "lora")


def test_a_killed_lesson_ends_in_the_same_bytes(tmp_path: Path, photos: Path, forks: Forks) -> None:
    asked = lesson(photos, steps=6, dropout=0.1, ema=0.5)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole, _ = taught(asked, home(tmp_path / "whole", "sd1"))
        settings = home(tmp_path / "cut", "sd1")
        assert forks("tests.personal.killed:teach_until", settings.home, photos, asdict(asked), 3) == -signal.SIGKILL
        cut, events = taught(asked, settings)
    finally:
        torch.set_num_threads(threads)
    assert [event.step for event in events if isinstance(event, Learning)] == [3, 4, 5, 6]
    assert cut.path.read_bytes() == whole.path.read_bytes()


@pytest.mark.slow
def test_a_stopped_lesson_is_not_mixed_with_another(tmp_path: Path, photos: Path) -> None:
    settings = home(tmp_path / "home", "sd1")
    with Studio(settings) as studio:
        for event in teach(lesson(photos), studio):
            if isinstance(event, Learning) and event.saved:
                break
    with pytest.raises(InvalidValue, match=r"rank 16\.0 and not 8\.0"):
        taught(lesson(photos, rank=8), settings)
    _, events = taught(lesson(photos, rank=8, restart=True), settings)
    assert [event.step for event in events if isinstance(event, Learning)] == [1, 2, 3, 4]


@pytest.mark.slow
def test_class_pictures_are_painted_once(tmp_path: Path, photos: Path) -> None:
    settings = home(tmp_path / "home", "sd1")
    taught(lesson(photos), settings)
    (folder,) = (settings.cache / "classes").iterdir()
    times = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sorted(times) == ["0000.png", "0001.png", "0002.png"]
    taught(lesson(photos, name="moki"), settings)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    taught(lesson(photos, name="wumpo", kind="cat"), settings)
    assert len(list((settings.cache / "classes").iterdir())) == 2


def test_a_loss_that_is_no_number_stops_and_keeps_what_was_saved(tmp_path: Path, photos: Path) -> None:
    settings = home(tmp_path / "home", "sd1")
    run = settings.home / "lessons" / "pomo"
    with pytest.raises(InvalidValue, match=r"no number any more at step \d+; what was saved") as caught:
        taught(lesson(photos, rate=1e30, steps=20, warmup=0, save=1, precision="fp32", prior=0.0), settings)
    assert "--rate" in str(caught.value.hint)
    assert (run / "state.safetensors").is_file() and "pomo" not in collection(settings.adapters)


@contextmanager
def room_for(bytes_: int) -> Iterator[None]:
    """No file may grow beyond this: what writes one meets the error of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_what_was_saved(tmp_path: Path, photos: Path) -> None:
    settings = home(tmp_path / "home", "sd1")
    state = settings.home / "lessons" / "pomo" / "state.safetensors"
    with Studio(settings) as studio:
        events = teach(lesson(photos, pictures=100), studio)
        for event in events:
            if isinstance(event, Learning) and event.step == 2:
                break
        before = state.read_bytes()
        with room_for(20_000), pytest.raises(StorageError, match=r"Step 4 cannot be saved.*saved before is kept"):
            list(events)
    assert state.read_bytes() == before and not state.with_suffix(".new").exists()
    _, events = taught(lesson(photos), settings)
    assert [event.step for event in events if isinstance(event, Learning)] == [3, 4]


def test_what_has_to_be_said() -> None:
    spec, plain = SPECS["embedded"], Lesson((Path("x"),), "pomo", "robot")
    with pytest.raises(LicenceMissing, match="under which licence"):
        resolved(plain, spec)
    with pytest.raises(LicenceMissing, match="who took the photos"):
        resolved(Lesson((Path("x"),), "pomo", "robot", licence="CC0-1.0"), spec)
    for field, error in (
        ({"method": "lorra"}, UnknownName),
        ({"optimiser": "sgd"}, UnknownName),
        ({"targets": "alll"}, UnknownName),
        ({"tokens": 2}, InvalidValue),
        ({"method": "dreambooth", "rank": 4}, InvalidValue),
        ({"method": "textual-inversion", "dora": True}, InvalidValue),
    ):
        with pytest.raises(error):
            resolved(Lesson((Path("x"),), "pomo", "robot", **SAID, **field), spec)
    for name in ("flux-dev", "embedded-few", "echo"):
        if name in SPECS:
            with pytest.raises(Unsupported, match="cannot be taught"):
                resolved(Lesson((Path("x"),), "pomo", "robot", **SAID), SPECS[name])


def test_defaults_come_from_family_and_spec() -> None:
    spec = SPECS["embedded"]
    own = spec.defaults.model_copy(update={"tasks": {"personalise lora": {"steps": 7}}})
    assert defaults_of(spec.model_copy(update={"defaults": own}), "lora")["steps"] == 7
    full = resolved(Lesson((Path("x"),), "pomo", "robot", **SAID), spec)
    assert full.rank == full.alpha and full.steps == defaults_of(spec, "lora")["steps"]
    assert resolved(Lesson((Path("x"),), "pomo", "robot", prior=0.0, **SAID), spec).prior == 0


def test_the_eight_bit_optimiser_needs_its_library(tmp_path: Path, photos: Path) -> None:
    import importlib.util

    if importlib.util.find_spec("bitsandbytes") is not None:
        pytest.skip("it is installed")
    with pytest.raises(MissingExtra, match=r"fantascope\[8bit\]"):
        taught(lesson(photos, optimiser="adamw8bit"), home(tmp_path / "home", "sd1"))


def test_words_and_photos_are_judged(tmp_path: Path, photos: Path) -> None:
    settings = home(tmp_path / "home", "sd1")
    (photos / "0.txt").write_text("how to build a pipe bomb at home")
    with pytest.raises(PolicyRefused):
        taught(lesson(photos), settings)
    (photos / "0.txt").unlink()

    def no(pixels: Any) -> Verdict:
        return Verdict(allowed=False, rule="own/none", score=1, threshold=0, reason="No photo at all.")

    with Studio(settings, judges=[no]) as studio, pytest.raises(PolicyRefused, match=r"0\.png: No photo at all"):
        list(teach(lesson(photos), studio))
    assert not (settings.home / "lessons").exists() and not (settings.cache / "classes").exists()


def test_the_photo_that_is_refused_is_named_and_white_is_what_is_seen(tmp_path: Path, photos: Path) -> None:
    """Also of a transparent photo: what is judged is what is learnt from, the picture on white."""
    clear = Image.new("RGBA", (160, 160), (200, 0, 0, 0))
    clear.paste((20, 90, 30, 255), (40, 40, 120, 120))
    clear.save(photos / "z.png")
    looked = []

    def judge(pixels: Any) -> Verdict:
        looked.append(pixels.shape)
        green = bool((pixels[60, 60] == (20, 90, 30)).all() and (pixels[0, 0] == 255).all())
        return Verdict(allowed=not green, rule="own/green", score=1, threshold=0, reason="Green.")

    settings, due = home(tmp_path / "home", "sd1"), pytest.raises(PolicyRefused, match=r"z\.png: Green\.")
    with Studio(settings, judges=[judge]) as studio, due as caught:
        list(teach(lesson(photos), studio))
    assert caught.value.verdict.rule == "own/green" and caught.value.param == "photos"
    assert len(looked) == 4 and all(shape[2] == 3 for shape in looked)


def test_class_pictures_and_sheets_are_judged(tmp_path: Path, photos: Path) -> None:
    settings = home(tmp_path / "home", "sd1")

    def no_sheet(pixels: Any) -> Verdict:
        sheet = pixels.shape[:2] == (128, 256)
        return Verdict(allowed=not sheet, rule="own/sheet", score=1, threshold=0, reason="No sheet.")

    with Studio(settings, judges=[no_sheet]) as studio, pytest.raises(PolicyRefused, match="No sheet"):
        list(teach(lesson(photos, prior=0.0), studio))
    assert not list((settings.home / "lessons" / "pomo" / "pictures").iterdir())

    def no_class(pixels: Any) -> Verdict:
        painted = pixels.shape[:2] == (64, 64)
        return Verdict(allowed=not painted, rule="own/class", score=1, threshold=0, reason="No class.")

    with Studio(settings, judges=[no_class]) as studio, pytest.raises(PolicyRefused, match="No class"):
        list(teach(lesson(photos, kind="cat", name="moki"), studio))


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_on_the_command_line(tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The embedded checkpoint, two steps; then the adapter paints."""
    (photos / "1.txt").unlink()
    words = ["personalise", str(photos), "--name", "pomo", "--class", "robot", "--steps", "2", "--class-pictures", "2"]
    assert command([*words, "--json"]) == 1
    assert "under which licence" in capsys.readouterr().out
    words += [
        "--licence",
        "CC0-1.0",
        "--consent",
        "I drew them",
        "--batch",
        "1",
        "--class-batch",
        "1",
        "--samples",
        "1",
        "--companions",
        "1",
    ]
    words.append("--json")
    assert command(words) == 0, capsys.readouterr()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[-1]["event"] == "taught" and rows[-1]["bytes"] < 8e6
    assert [row["event"] for row in rows if row["event"] == "step"] == ["step"]
    asked = ["imagine", "a pomo robot", "--adapter", "pomo:0.8", "--steps", "1", "--upscale", "1", "--seed", "1"]
    assert command([*asked, "--size", "128", "--json"]) == 0, capsys.readouterr()
    assert command([*words]) == 2 and "already" in capsys.readouterr().out
