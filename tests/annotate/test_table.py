"""What there is, which parameters it takes, and how pictures come and maps go."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.annotate.drawn import embedded, pen, square

from fantascope.annotate import ALIASES, ANNOTATORS, Tools, annotate, find_annotator, settle, weights
from fantascope.errors import InvalidPicture, InvalidValue, MissingExtra, ModelNotFound, UnknownName

pytest.importorskip("cv2")
FREE = [kind for kind, annotator in ANNOTATORS.items() if not annotator.needs_weights and kind != "segmentation"]
NETWORKS = [kind for kind, annotator in ANNOTATORS.items() if annotator.needs_weights]


def test_every_row_says_what_it_is() -> None:
    for kind, annotator in ANNOTATORS.items():
        assert annotator.kind == kind
        assert annotator.about and annotator.licence
        for param in annotator.params:
            assert param.about
            assert param.check(param.default) == param.default
    assert not set(ALIASES) & set(ANNOTATORS)
    assert set(ALIASES.values()) <= set(ANNOTATORS)


def test_ranges_are_those_of_the_original() -> None:
    assert settle("canny") == {"low": 100, "high": 200, "resolution": 512}
    assert settle("mlsd") == {"value": 0.1, "distance": 0.1, "resolution": 512}
    assert settle("normal") == {"background": 0.4, "resolution": 384}
    ranges = {(k, p.name): (p.low, p.high) for k, a in ANNOTATORS.items() for p in a.params}
    assert ranges["canny", "low"] == ranges["canny", "high"] == (1, 255)
    assert ranges["mlsd", "value"] == (0.01, 2) and ranges["mlsd", "distance"] == (0.01, 20)
    assert {span for (_, name), span in ranges.items() if name == "resolution"} == {(128, 1024)}


def test_names_of_the_webui() -> None:
    for name, kind in (("scribble_xdog", "xdog"), ("softedge_hed", "hed"), ("openpose", "pose"), ("mlsd", "mlsd")):
        assert find_annotator(name).kind == kind
    with pytest.raises(UnknownName) as caught:
        find_annotator("cany")
    assert "canny" in caught.value.nearest


@pytest.mark.parametrize(
    ("kind", "params", "name"),
    [
        ("canny", {"low": 0}, "low"),
        ("canny", {"high": 256}, "high"),
        ("canny", {"low": 1.5}, "low"),
        ("canny", {"low": True}, "low"),
        ("canny", {"low": "100"}, "low"),
        ("canny", {"resolution": 127}, "resolution"),
        ("mlsd", {"value": 0.001}, "value"),
        ("mlsd", {"distance": float("nan")}, "distance"),
        ("hough", {"method": "radon"}, "method"),
        ("softedge", {"smooth": float("inf")}, "smooth"),
    ],
)
def test_out_of_range(kind: str, params: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        annotate(kind, square(), params)
    assert caught.value.param == name
    assert next(p for p in ANNOTATORS[kind].params if p.name == name).allowed() in str(caught.value)


def test_unknown_parameter() -> None:
    with pytest.raises(UnknownName) as caught:
        settle("canny", {"lo": 3})
    assert caught.value.nearest == ["low"]
    assert settle("canny", {"low": None})["low"] == 100


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize("shape", [(97, 210), (300, 160)])
def test_maps_have_the_size_of_the_picture(kind: str, shape: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    before = picture.copy()
    found = annotate(kind, picture)
    assert found.shape == picture.shape and found.dtype == np.uint8
    assert (picture == before).all()
    assert (annotate(kind, picture) == found).all()
    if ANNOTATORS[kind].scale == "lines":
        assert set(np.unique(found)) <= {0, 255}


@pytest.mark.parametrize("kind", FREE)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_nothing_is_found_in_nothing(kind: str, level: int) -> None:
    found = annotate(kind, np.full((128, 128, 3), level, np.uint8))
    assert len(np.unique(found.reshape(-1, 3), axis=0)) == 1
    assert kind == "regions" or not found.any()


@settings(max_examples=25, deadline=None)
@given(st.integers(8, 90), st.integers(8, 90), st.sampled_from([kind for kind in FREE if kind != "regions"]))
def test_small_pictures(height: int, width: int, kind: str) -> None:
    picture = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert annotate(kind, picture, {"resolution": 128} if "resolution" in settle(kind) else None).shape == picture.shape


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((7, 64, 3), np.uint8),
        np.zeros((8, 1000, 3), np.uint8),
    ],
)
def test_what_is_no_picture(picture: Any) -> None:
    with pytest.raises(InvalidPicture):
        annotate("canny", picture)


def test_json_is_for_two_kinds() -> None:
    with pytest.raises(InvalidValue, match="sketch and pose"):
        annotate("canny", "{}")
    map_of = annotate("sketch", {"width": 96, "height": 64, "strokes": [{"points": [[8, 8], [80, 40]]}]})
    assert map_of.shape == (64, 96, 3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_weights_that_are_not_there(kind: str, tmp_path: Any) -> None:
    """Nothing takes the place of a network: the error says which file, which licence and which command."""
    with pytest.raises(ModelNotFound) as caught:
        annotate(kind, square(), tools=Tools(weights=tmp_path))
    file = ANNOTATORS[kind].files[0]
    assert file.name in caught.value.message and file.licence in caught.value.message
    assert caught.value.hint is not None and str(tmp_path) in caught.value.hint
    with pytest.raises(ModelNotFound):
        weights(kind, Tools(weights=tmp_path))


def test_nothing_to_say_of_weights() -> None:
    assert weights("canny") == {}


def test_opencv_is_imported_late() -> None:
    code = "import sys, fantascope.annotate as a; assert not {'cv2', 'openvino', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra) as caught:
        annotate("canny", pen())
    assert caught.value.extra == "control"


@pytest.mark.parametrize("kind", ["canny", "softedge", "xdog", "fake_scribble"])
def test_pictures_of_the_embedded_checkpoint(kind: str) -> None:
    """A strawberry's map has its outline, and the white around it is black."""
    picture = embedded("strawberries")
    found = annotate(kind, picture)
    white = picture.min(2) > 248
    assert 0.005 < (found[..., 0] > 127).mean() < 0.3
    assert found[:8, 64:448].mean() < 20
    assert found[white].mean() < found[~white].mean()
