"""Units of the ControlNet extension become controls: what each field comes to, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image
from tests.serve.a1111.shelf import Shelf, encoded

from fantascope.annotate import ANNOTATORS
from fantascope.errors import FantascopeError, InvalidValue
from fantascope.serve.a1111 import units
from fantascope.serve.a1111.bodies import Unit, read
from fantascope.spec import SPECS

EMBEDDED = SPECS["embedded"]


def unit(**fields: Any) -> Unit:
    return read(Unit, {"image": encoded(Image.new("RGB", (64, 64), "white")), **fields})


def control(told: Unit, spec: Any = EMBEDDED, shelf: Shelf | None = None, size: Any = (512, 512)) -> Any:
    return units.controls_of([told], spec, SPECS, size, None, shelf or Shelf())[0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"module": "canny"}, {"kind": "canny", "derive": True, "network": None, "weight": 1, "guess": False}),
        ({"module": "none", "model": "embedded_pose [x]"}, {"kind": "pose", "derive": False, "network": None}),
        ({"module": "softedge_hed", "model": "None"}, {"kind": "hed", "derive": True}),
        ({"module": "canny", "model": "sd15-canny"}, {"kind": "canny", "network": "sd15-canny"}),
        ({"model": "control_v11p_sd15_openpose [cab727d4]"}, {"kind": "pose", "network": "sd15-openpose"}),
        ({"model": "sd15-seg", "weight": 0.5, "guidance_start": 0.1, "guidance_end": 0.6}, {"start": 0.1, "end": 0.6}),
        ({"module": "canny", "guidance": 0.7}, {"end": 0.7}),
        ({"module": "canny", "control_mode": 2}, {"guess": True}),
        ({"module": "canny", "control_mode": "ControlNet is more important"}, {"guess": True}),
        ({"module": "canny", "threshold_a": 50, "threshold_b": 150}, {"parameters": {"low": 50, "high": 150}}),
        ({"module": "canny", "threshold_a": -1, "threshold_b": 900}, {"parameters": None}),
        ({"module": "canny", "processor_res": 256}, {"parameters": {"resolution": 256}}),
        ({"module": "canny", "processor_res": 4096}, {"parameters": None}),
        ({"module": "canny", "processor_res": 200, "pixel_perfect": True}, {"parameters": {"resolution": 512}}),
        ({"module": "softedge", "threshold_a": 64, "processor_res": 512}, {"parameters": {"resolution": 512}}),
    ],
)
def test_fields_of_a_unit(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = control(unit(**fields))
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"module": "reference_only"}, "no module 'reference_only'"),
        ({"module": "canny", "model": "control_v11p_sd15_lineart"}, "no control network"),
        ({}, "names a model, or a module"),
        ({"module": "canny", "control_mode": 1}, "is not done here"),
        ({"module": "canny", "control_mode": 7}, "control_mode is 0 to 2"),
        ({"module": "canny", "resize_mode": "Squash"}, "no resize mode"),
        ({"module": "canny", "hr_option": "High res only"}, "first pass"),
        ({"module": "canny", "image": ""}, "has no image"),
        ({"module": "canny", "mask": encoded(Image.new("L", (8, 8), 255))}, "mask marks a part"),
        ({"module": "canny", "image": {"image": 5}}, "base64"),
    ],
)
def test_what_a_unit_refuses(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(FantascopeError) as caught:
        control(unit(**fields))
    assert told in caught.value.message


def test_the_picture_of_a_unit_gets_the_shape_of_what_is_made() -> None:
    wide = Image.new("RGB", (64, 32), "black")
    wide.paste("white", (0, 0, 32, 32))
    told = {"image": {"image": encoded(wide), "mask": None}, "module": "canny"}
    shapes = {}
    for mode in ("Just Resize", "Crop and Resize", "Resize and Fill", 3):
        shelf = Shelf()
        found = control(unit(**told, resize_mode=mode), shelf=shelf)
        shapes[mode] = shelf.open(found.picture).shape[:2]
    assert shapes == {"Just Resize": (32, 64), "Crop and Resize": (32, 32), "Resize and Fill": (512, 512), 3: (32, 64)}
    shelf = Shelf()
    black = control(
        unit(**told, resize_mode=0).model_copy(update={"module": "invert", "model": "sd15-scribble"}), shelf=shelf
    )
    assert black.kind == "scribble" and not black.derive and shelf.open(black.picture)[0, 0, 0] == 0


def test_scripts_that_are_off_ask_for_nothing() -> None:
    off = {"ADetailer": {"args": [False, {}]}, "animatediff": {"args": {"enable": False}}, "ControlNet": {"args": []}}
    assert units.units_of(off | {"Refiner": {"args": [False, "", 0.8]}}) == []
    on = {"controlnet": {"args": [{"module": "canny"}, {"enabled": False}]}}
    assert len(units.units_of(on)) == 1
    for bad in ({"ADetailer": {"args": [True]}}, {"controlnet": {"args": "x"}}, {"controlnet": {"args": [{}] * 5}}):
        with pytest.raises(InvalidValue):
            units.units_of(bad)


def test_sliders_name_parameters_that_there_are() -> None:
    for kind, params in units.SLIDERS.items():
        assert set(params) <= {param.name for param in ANNOTATORS[kind].params}
    assert {kind for kinds in units.TYPES.values() for kind in kinds} <= set(ANNOTATORS)
