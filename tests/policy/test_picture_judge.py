"""The classifier that judges pictures: unpacking, the shipped graph, and what the rules make of its probabilities."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from fantascope import Imagine, PolicyRefused, Studio
from fantascope.artifact import Artifact
from fantascope.engines.classifier import SHIPPED, SIDE, Classifier, installed, prepared, read_facts
from fantascope.engines.graph_runtime import Source, open_runtime
from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound, UnknownName
from fantascope.policy import Policy, nsfwjs
from fantascope.policy.picture import NOT_JUDGED, classifier_judges
from fantascope.policy.rules import ARTISTS, RULES
from fantascope.settings import Settings

CLASSES = ("drawing", "hentai", "neutral", "porn", "sexy")


def layers(seed: int) -> dict[str, np.ndarray]:
    """Random weights of the network's shapes (MobileNetV2 of width 1.4)."""
    rng = np.random.default_rng(seed)
    out: dict[str, np.ndarray] = {}

    def put(name: str, *shape: int) -> None:
        scale = np.sqrt(2 / np.prod(shape[1:]))
        out[f"{name}.weight"] = rng.normal(0, scale, shape).astype(np.float32)
        out[f"{name}.bias"] = rng.normal(0, 0.05, shape[0]).astype(np.float32)

    sides = [24, 32, 32, 48, 48, 48, 88, 88, 88, 88, 136, 136, 136, 224, 224, 224, 448]
    put("stem", 48, 3, 3, 3)
    before = 48
    for k, side in enumerate(sides):
        inner = before * 6 if k else before
        if k:
            put(f"{k}.expand", inner, before, 1, 1)
        put(f"{k}.depthwise", inner, 1, 3, 3)
        put(f"{k}.project", side, inner, 1, 1)
        before = side
    put("last", 1792, before, 1, 1)
    put("head", 5, 1792)
    return out


def reference(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """The same network in torch, written from the paper's table."""
    import torch
    from torch.nn import functional as f

    t = {name: torch.from_numpy(value) for name, value in w.items()}

    def conv(x: torch.Tensor, name: str, stride: int = 1, groups: int = 1) -> torch.Tensor:
        side = t[f"{name}.weight"].shape[-1]
        if side == 3:
            x = f.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
        return f.conv2d(x, t[f"{name}.weight"], t[f"{name}.bias"], stride, groups=groups)

    y = f.relu6(conv(torch.from_numpy(x) * 2 - 1, "stem", 2))
    for k in range(17):
        z = f.relu6(conv(y, f"{k}.expand")) if k else y
        z = f.relu6(conv(z, f"{k}.depthwise", 2 if k in (1, 3, 6, 13) else 1, z.shape[1]))
        z = conv(z, f"{k}.project")
        y = y + z if k and z.shape == y.shape else z
    pooled = f.relu6(conv(y, "last")).mean((2, 3))
    return f.linear(pooled, t["head.weight"], t["head.bias"]).softmax(1).numpy()


def test_the_shipped_graph_is_the_network(tmp_path: Path) -> None:
    w = layers(0)
    (tmp_path / "model.safetensors").write_bytes(nsfwjs.encode(w))
    (tmp_path / "model.onnx").write_bytes((SHIPPED / "model.onnx").read_bytes())
    runtime = open_runtime("", Settings(home=tmp_path / "home", threads=1))
    source = Source(tmp_path / "model.onnx", tmp_path / "model.safetensors", "random")
    program = runtime.compile(source, {"pictures": (1, 3, SIDE, SIDE)}, "fp32")
    picture = np.random.default_rng(1).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    x = prepared(picture)
    np.testing.assert_allclose(program(pictures=x), reference(x, w), atol=2e-4)


def test_encoded_weights_are_read_back(tmp_path: Path) -> None:
    some = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(1, np.float32)}
    path = tmp_path / "x.safetensors"
    path.write_bytes(nsfwjs.encode(some))
    read = SafeFile.open(path).read_all()
    assert list(read) == ["b", "a"]
    assert all((read[name] == value).all() for name, value in some.items())


def test_pictures_are_resized_corner_on_corner() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 447, 3), dtype=np.uint8)
    x = prepared(picture)
    assert x.shape == (1, 3, SIDE, SIDE) and x.dtype == np.float32
    for mine, theirs in (((0, 0), (0, 0)), ((-1, -1), (-1, -1)), ((0, -1), (0, -1))):
        np.testing.assert_allclose(x[0, :, mine[0], mine[1]] * 255, picture[theirs], atol=1e-3)
    np.testing.assert_allclose(x[0, :, 0, 111] * 255, picture[0, 222], atol=1e-3)  # 446 / 223 is 2
    clear = np.zeros((8, 8, 4), np.uint8)
    assert (prepared(clear) == 1).all()


def tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_only_the_known_tarball_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no file"):
        nsfwjs.install(tmp_path / "none.tgz", SHIPPED, tmp_path / "judges")
    (tmp_path / "text.tgz").write_text("no archive")
    with pytest.raises(BrokenModelFile, match="npm tarball"):
        nsfwjs.unpack(tmp_path / "text.tgz")
    first = next(iter(nsfwjs.MEMBERS))
    with pytest.raises(BrokenModelFile, match="holds no"):
        nsfwjs.unpack(tarball(tmp_path / "empty.tgz", {"package/package.json": b"{}"}))
    with pytest.raises(BrokenModelFile, match="not the file that is known"):
        nsfwjs.unpack(tarball(tmp_path / "other.tgz", {first: b"{}"}))
    assert not (tmp_path / "judges").exists()


def test_another_classifier_is_not_loaded(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, threads=1)
    assert not installed(settings)
    settings.judges.mkdir(parents=True)
    (settings.judges / "model.onnx").write_bytes((SHIPPED / "model.onnx").read_bytes())
    (settings.judges / "model.safetensors").write_bytes(nsfwjs.encode(layers(0)))
    assert installed(settings)
    with pytest.raises(BrokenModelFile, match="not the file that is known"):
        Classifier.load(settings)
    with Studio(settings) as studio, pytest.raises(BrokenModelFile):  # broken is not the same as absent
        list(studio.run(Imagine(prompt="a red car", model="echo")))


def test_the_rules_name_classes_that_the_classifier_knows(policy: Policy) -> None:
    assert read_facts().classes == CLASSES
    assert policy.data.pictures
    for rule in policy.data.pictures:
        assert set(rule.classes) <= set(CLASSES)
    with pytest.raises(UnknownName, match="porn"):
        classifier_judges(policy.data.pictures, ("cat", "dog"), lambda pictures: np.zeros((1, 2), np.float32))


def test_a_picture_is_classified_once_and_refused_from_the_threshold(policy: Policy) -> None:
    seen: list[int] = []

    def classify(pictures: list[np.ndarray]) -> np.ndarray:
        seen.append(len(pictures))
        bright = float(pictures[0].mean()) / 255
        return np.array([[0, bright / 2, 1 - bright, bright / 2, 0]], np.float32)

    rules = policy.data.pictures * 2
    judges = classifier_judges(rules, CLASSES, classify)
    dark, light = (np.full((4, 4, 3), value, np.uint8) for value in (100, 240))
    found = policy.check_pictures([dark, light], judges)
    assert seen == [1, 1]
    assert [(v.allowed, v.subject) for v in found] == [(False, "picture 1")] * 2 + [(True, "picture 0")] * 2
    assert found[0].score == pytest.approx(240 / 255, abs=0.001)
    assert found[0].offer is not None and "0.94" in found[0].reason


def test_nobody_looking_is_said_in_the_receipt(tmp_path: Path) -> None:
    with Studio(Settings(home=tmp_path)) as studio:
        made = next(e for e in studio.run(Imagine(prompt="a red car", model="echo")) if isinstance(e, Artifact))
    assert made.receipt is not None
    said = [v for v in made.receipt.verdicts if v.rule == "picture/sexual"]
    assert [(v.allowed, v.reason) for v in said] == [(True, NOT_JUDGED)]


def test_malformed_picture_rules_are_named(tmp_path: Path) -> None:
    text = RULES.read_text("utf-8")
    for old, new, said in (
        ('classes = ["porn", "hentai"]', "classes = []", "names no class"),
        ('classes = ["porn", "hentai"]', "", "lacks 'classes'"),
        ('id = "picture/sexual"', 'id = "sexual"', "there twice"),
        ('final = ["sexual/minors"]', 'final = ["nothing"]', "names the rule 'nothing'"),
    ):
        path = tmp_path / "rules.toml"
        path.write_text(text.replace(old, new), "utf-8")
        with pytest.raises(InvalidValue, match=said):
            Policy.load(path, ARTISTS)


def test_a_refused_picture_is_not_kept_and_can_be_appealed(tmp_path: Path) -> None:
    policy = Policy.load()

    def classify(pictures: list[np.ndarray]) -> np.ndarray:
        return np.array([[0, 0, 0, 1, 0]], np.float32)

    settings = Settings(home=tmp_path)
    request = Imagine(prompt="a red car", model="echo", seed=3)
    judges = policy.picture_judges(CLASSES, classify)
    with Studio(settings, judges=judges) as studio:
        with pytest.raises(PolicyRefused, match="looks like"):
            list(studio.run(request))
        assert studio.gallery.list(limit=5) == [] and studio.gallery.balance("local").used == 0
        refusal = studio.gallery.refusals.newest(1)[0]
        assert (refusal.rule, refusal.text, len(refusal.scope)) == ("picture/sexual", "", 64)
        studio.gallery.refusals.appeal(refusal.id, "It is a car.")
        decision = studio.docket.decide(refusal.id, True, "A car indeed.")
        made = next(e for e in studio.run(request) if isinstance(e, Artifact))
        assert made.receipt is not None
        assert any(decision.signature in v.reason for v in made.receipt.verdicts)
        with pytest.raises(PolicyRefused):
            list(studio.run(request.replace(seed=4)))
    assert json.loads((SHIPPED / "classifier.json").read_text())["source"]["licence"] == "MIT"
