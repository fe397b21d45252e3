"""The recipe in miniature, through the command line: from an icon package to a folder that plain diffusers loads."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
pytest.importorskip("pyvips")
pytest.importorskip("onnx")

from PIL import Image  # noqa: E402
from tests.data.conftest import VOCABULARY, root  # noqa: E402, F401
from tests.forks import Forks  # noqa: E402
from tests.train.tiny import text_source  # noqa: E402

from fantascope.cli import train as cli  # noqa: E402
from fantascope.cli.app import run  # noqa: E402
from fantascope.data.ledger import read_ledger  # noqa: E402
from fantascope.engines.compact import PACKED  # noqa: E402
from fantascope.engines.folder import export_folder  # noqa: E402
from fantascope.settings import Settings  # noqa: E402
from fantascope.spec import read_spec  # noqa: E402
from fantascope.train.assemble import assemble  # noqa: E402
from fantascope.train.checkpoint import hash_weights  # noqa: E402
from fantascope.train.control import KINDS  # noqa: E402

RECIPE = Path(__file__).parents[2] / "recipes" / "embedded.sh"

Say = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    path = tmp_path / "vocabulary.toml"
    path.write_text(VOCABULARY, "utf-8")
    return path


@pytest.fixture
def fantascope(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run one command line; return what it said as JSON lines."""

    def call(*words: object, code: int = 0) -> list[dict[str, Any]]:
        capsys.readouterr()
        found = run([*map(str, words), "--json"])
        said = capsys.readouterr()
        assert found == code, said.out + said.err
        return [json.loads(line) for line in said.out.splitlines()]

    return call


def _commands() -> list[list[str]]:
    """Every `fantascope` command of the recipe, its lines joined and its variables left as they are."""
    joined = RECIPE.read_text("utf-8").replace("\\\n", " ")
    return [line.split()[1:] for line in joined.splitlines() if line.startswith("fantascope ")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_recipe_in_miniature(tmp_path: Path, root: Path, vocabulary: Path, forks: Forks) -> None:  # noqa: F811
    """Every command is a process of its own, as in a shell."""
    source = text_source(tmp_path / "minilm", 384)
    small = {"steps": 2, "batch": 2, "warmup": 1, "scenes": 5, "count": 5, "held": 1}
    places = {"$SOURCES": str(root), "$CHECKPOINT": str(tmp_path / "ck"), "$RUN": str(tmp_path / "run")}
    seen = {}
    for command in _commands():
        line = " ".join(command).replace('"', "")
        for name, place in places.items():
            line = line.replace(name, place)
        for name, value in small.items():
            line = re.sub(rf"--{name} \S+", f"--{name} {value}", line)
        if "$SOURCES" in " ".join(command):
            line += f" --vocabulary {vocabulary}"
        more = {
            "train text": f" --source {source}",
            "train int8": f" --prompts 1 --steps 1 --vocabulary {vocabulary}",
            "train autoencoder": " --measured 1",
            "train control": " --batch 2 --held 1",
        }
        line += more.get(" ".join(command[:2]), "")
        said = tmp_path / "said.txt"
        assert forks("tests.train.killed:command", said, *line.split(), "--json") == 0, line
        seen[" ".join(command[:2])] = [json.loads(row) for row in said.read_text("utf-8").splitlines()]
    assert [row["step"] for row in seen["train base"] if row["event"] == "step"] == [2]
    assert seen["data check"][-1]["wrong"] == 0
    assert seen["data build"][-1]["root"] == seen["data ledger"][-1]["root"]
    assert "| box |" in (tmp_path / "run" / "data" / "card.md").read_text("utf-8")
    with Image.open(tmp_path / "run" / "data" / "sheet.png") as sheet:
        assert sheet.width == 5 * 132 + 4
    spec = read_spec(tmp_path / "ck" / "fantascope.json")
    assert spec.weights == hash_weights(tmp_path / "ck")
    parts = {"unet/model.int8.onnx", "vae/decoder.onnx", "upscaler/model.safetensors", "unet/few.control.onnx"}
    assert parts | {"control/control.onnx", f"control/{PACKED}"} <= set(spec.weights)
    assert spec.training_ledger == (tmp_path / "ck" / "ledger.jsonl.root").read_text("utf-8").strip()
    assert spec.attribution is not None and "@t/icons 1.0.0 by Ann (MIT)" in spec.attribution
    assert spec.defaults.steps == 20 and spec.licence.spdx == "Apache-2.0"
    whole = export_folder(spec.model_copy(update={"source": f"dir:{tmp_path / 'ck'}"}), tmp_path / "d", Settings())
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(whole, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline("a disc", num_inference_steps=1, output_type="pt").images.shape == (1, 3, 128, 128)
    control = diffusers.ControlNetModel.from_pretrained(whole / "control")
    assert control.config.conditioning_channels == 3 + len(KINDS)


def test_ctrl_c_keeps_what_was_saved_and_the_same_command_goes_on(
    tmp_path: Path,
    root: Path,  # noqa: F811
    vocabulary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run_folder, out = tmp_path / "run", tmp_path / "ck"
    words = ["train", "autoencoder", root, "--run", run_folder, "--out", out, "--vocabulary", vocabulary]
    words += ["--steps", "3", "--batch", "1", "--measured", "1", "--report-every", "1", "--save-every", "1"]
    say = cli.say

    def interrupt(as_json: bool, event: str, text: str, **facts: Any) -> None:
        say(as_json, event, text, **facts)
        if facts.get("step") == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(cli, "say", interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        assert run([str(word) for word in words]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr()
    assert "step 2/3" in said.out and "step 2 is saved" in said.err and not (out / "vae").exists()
    monkeypatch.undo()
    assert run([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert "step 2/3" not in said and "step 3/3" in said and " dB" in said
    steps = [json.loads(line)["step"] for line in (run_folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert steps == [1, 2, 3]
    assert run([*map(str, words), "--seed", "1"]) == 2
    assert "seed 0 and not 1" in capsys.readouterr().err


def test_check_names_every_row_that_does_not_hold(
    tmp_path: Path,
    root: Path,  # noqa: F811
    vocabulary: Path,
    fantascope: Say,
) -> None:
    words = ("--vocabulary", vocabulary)
    path = tmp_path / "ledger.jsonl"
    fantascope("data", "ledger", root, "--out", path, *words)
    icons = root / "node_modules" / "@t" / "icons" / "icons.json"
    data = json.loads(icons.read_text("utf-8"))
    data["icons"]["box"]["body"] += "<path/>"
    icons.write_text(json.dumps(data), "utf-8")
    said = fantascope("data", "check", root, "--ledger", path, *words, code=1)
    assert [row["what"][:11] for row in said if row["event"] == "wrong"] == ["box: sha256"]
    path.write_text(path.read_text("utf-8").replace("Ann", "Bob"), "utf-8")
    (refused,) = fantascope("data", "check", root, "--ledger", path, *words, code=1)
    assert refused["code"] == "broken_model_file"


def test_nothing_is_assembled_without_a_sound_ledger(tmp_path: Path, fantascope: Say) -> None:
    (missing,) = fantascope("train", "assemble", "--out", tmp_path / "ck", code=1)
    assert missing["code"] == "model_not_found" and "ledger.jsonl" in missing["message"]
    shutil.copytree(Path(cli.__file__).parents[1] / "weights" / "embedded" / "tokenizer", tmp_path / "ck")
    (tmp_path / "ck" / "ledger.jsonl").write_text('{"name": "x"}\n', "utf-8")
    (tmp_path / "ck" / "ledger.jsonl.root").write_text("0\n", "utf-8")
    with pytest.raises(Exception, match="root hash"):
        assemble(tmp_path / "ck", read_ledger)
    assert not (tmp_path / "ck" / "model_index.json").exists()


def test_without_torch_the_extra_is_named() -> None:
    code = "import sys; sys.modules['torch'] = None; from fantascope.cli.app import run; sys.exit(run(sys.argv[1:]))"
    words = ["train", "base", "--pool", "x", "--run", "y"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "pip install 'fantascope[train]'" in done.stderr
