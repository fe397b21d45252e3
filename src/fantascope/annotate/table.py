"""The annotators: what each one makes, its parameters and their ranges, and what it needs.

Names, ranges and defaults are those of ControlNet's own demos (lllyasviel/ControlNet, gradio_*.py) where they have the
kind. What a network makes there has that name here only where the same network makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fantascope.annotate.depth import depth, normal
from fantascope.annotate.documents import Document
from fantascope.annotate.edges import canny, fake_scribble, hed, scribble, scribble_hed, softedge, xdog
from fantascope.annotate.joints import draw_pose, read_pose
from fantascope.annotate.lines import hough, mlsd
from fantascope.annotate.networks import DEPTH, HED, MLSD, POSE_DETECTOR, POSE_LANDMARKS, File, Tools, used
from fantascope.annotate.pixels import Pixels, back, check_picture, fit
from fantascope.annotate.pose import pose
from fantascope.annotate.segments import regions, segmentation
from fantascope.annotate.strokes import draw_sketch, read_sketch
from fantascope.errors import InvalidValue, UnknownName

Run = Callable[[Pixels, Mapping[str, Any], Tools], Pixels]


@dataclass(frozen=True)
class Param:
    """A parameter of an annotator: a number of a range, or one of a few words.

    Attributes:
        name, default: As they are given.
        low, high: The range, both ends allowed.
        choices: The words; the range means nothing then.
        about: What it does, and its unit.
    """

    name: str
    default: int | float | str
    low: float = 0
    high: float = 0
    about: str = ""
    choices: tuple[str, ...] = ()

    def allowed(self) -> str:
        """Return what is allowed, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        return f"{'a whole number' if isinstance(self.default, int) else 'a number'} from {self.low:g} to {self.high:g}"

    def check(self, value: Any) -> int | float | str:
        """Return a value that is allowed.

        Raises:
            InvalidValue: It is not; `param` is the name.
        """
        if self.choices:
            if value in self.choices:
                return str(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high:
            if not isinstance(self.default, int):
                return float(value)
            if value == int(value):
                return int(value)
        raise InvalidValue(f"{self.name} is {value!r}; allowed is {self.allowed()}.", param=self.name)


@dataclass(frozen=True)
class Annotator:
    """One kind of control map.

    Attributes:
        kind: Its name.
        about: What the map shows.
        run: Makes it, from a picture.
        params: All parameters.
        licence: Of what it runs: the method as a library has it, or the network.
        files: Weights it needs; empty where it needs none.
        scale: How its map comes back to the picture's size; see `pixels.back`.
        draw: Makes it from a JSON document, where it can.
    """

    kind: str
    about: str
    run: Run
    params: tuple[Param, ...]
    licence: str = "Apache-2.0 (OpenCV)"
    files: tuple[File, ...] = ()
    scale: str = "lines"
    draw: Callable[[Document], Pixels] | None = None

    @property
    def needs_weights(self) -> bool:
        """Whether a network runs."""
        return bool(self.files)


def _draw_sketch(document: Document) -> Pixels:
    return draw_sketch(read_sketch(document))


def _draw_pose(document: Document) -> Pixels:
    return draw_pose(read_pose(document))


RESOLUTION = Param("resolution", 512, 128, 1024, "short side at which the picture is looked at, px")
SMALLER = replace(RESOLUTION, default=384)
SMOOTH = Param("smooth", 25.0, 0, 100, "how different colours may be and still count as texture; 0 is off")
THICKNESS = Param("thickness", 3.0, 0.5, 10, "blur of the strokes before they are cut out, px")
STROKES = (
    Param("threshold", 127, 1, 254, "level between paper and ink"),
    Param(
        "strokes",
        "auto",
        about="darker or lighter than the paper",
        choices=("auto", "dark", "light"),
    ),
)

ANNOTATORS: dict[str, Annotator] = {
    "canny": Annotator(
        "canny",
        "thin edges",
        canny,
        (
            Param("low", 100, 1, 255, "gradient from which an edge goes on"),
            Param("high", 200, 1, 255, "gradient from which an edge begins"),
            RESOLUTION,
        ),
    ),
    "hough": Annotator(
        "hough",
        "straight lines, without a network",
        hough,
        (
            Param("length", 20.0, 1, 256, "shortest line, px of the resolution"),
            Param("method", "lsd", about="how lines are found", choices=("lsd", "probabilistic")),
            RESOLUTION,
        ),
    ),
    "mlsd": Annotator(
        "mlsd",
        "straight lines, by the network M-LSD",
        mlsd,
        (
            Param("value", 0.1, 0.01, 2, "least score of a line"),
            Param("distance", 0.1, 0.01, 20, "least length of a line, px of 256"),
            RESOLUTION,
        ),
        MLSD.licence,
        (MLSD,),
    ),
    "hed": Annotator("hed", "soft edges, by the network HED", hed, (RESOLUTION,), HED.licence, (HED,), "soft"),
    "softedge": Annotator("softedge", "soft edges, without a network", softedge, (SMOOTH, RESOLUTION), scale="soft"),
    "xdog": Annotator(
        "xdog",
        "ink of a drawing",
        xdog,
        (Param("threshold", 32, 1, 64, "strength from which ink counts"), RESOLUTION),
    ),
    "scribble": Annotator("scribble", "a drawing by hand, as it is", scribble, STROKES, scale="own"),
    "fake_scribble": Annotator(
        "fake_scribble", "strokes derived from `softedge`", fake_scribble, (SMOOTH, THICKNESS, RESOLUTION)
    ),
    "scribble_hed": Annotator(
        "scribble_hed",
        "strokes derived from `hed`",
        scribble_hed,
        (THICKNESS, RESOLUTION),
        HED.licence,
        (HED,),
    ),
    "sketch": Annotator(
        "sketch", "strokes of a JSON document, or of a picture", scribble, STROKES, scale="own", draw=_draw_sketch
    ),
    "pose": Annotator(
        "pose",
        "people's 18 joints and limbs",
        pose,
        (
            Param("people", 4, 1, 16, "most people"),
            Param("confidence", 0.5, 0, 1, "how visible a joint must be"),
        ),
        POSE_DETECTOR.licence,
        (POSE_DETECTOR, POSE_LANDMARKS),
        "own",
        _draw_pose,
    ),
    "segmentation": Annotator(
        "segmentation",
        "a colour map of the 150 ADE20K classes, checked and passed on",
        segmentation,
        (Param("tolerance", 4, 0, 16, "levels that a colour may be off"),),
        "Apache-2.0 (this project)",
        scale="own",
    ),
    "regions": Annotator(
        "regions",
        "regions by colour; a class's colour only where the detector names one",
        regions,
        (
            Param("colour", 12.0, 1, 64, "how different colours are still one region, levels"),
            Param("least", 0.002, 0.0001, 0.25, "smallest region, share of the picture"),
            RESOLUTION,
        ),
        scale="regions",
    ),
    "depth": Annotator("depth", "nearness, by a depth network", depth, (SMALLER,), DEPTH.licence, (DEPTH,), "soft"),
    "normal": Annotator(
        "normal",
        "surface normals, from the depth network",
        normal,
        (Param("background", 0.4, 0, 1, "nearness below which a surface faces the viewer"), SMALLER),
        DEPTH.licence,
        (DEPTH,),
        "soft",
    ),
}

ALIASES: dict[str, str] = {
    "scribble_xdog": "xdog",
    "softedge_hed": "hed",
    "openpose": "pose",
    "depth_midas": "depth",
    "depth_anything": "depth",
    "depth_anything_v2": "depth",
    "normal_midas": "normal",
    "seg_ofade20k": "segmentation",
    "seg_ufade20k": "segmentation",
    "seg": "segmentation",
}
"""Names of the WebUI's modules; those that are the same here (`canny`, `mlsd`, `scribble_hed`) need no row."""


def find_annotator(kind: str) -> Annotator:
    """Return the annotator of a kind or of a WebUI module's name.

    Raises:
        UnknownName: There is none; the message offers the nearest.
    """
    name = ALIASES.get(kind, kind)
    if name not in ANNOTATORS:
        raise UnknownName("annotator", kind, [*ANNOTATORS, *ALIASES], param="control")
    return ANNOTATORS[name]


def settle(kind: str, params: Mapping[str, Any] | None = None) -> dict[str, int | float | str]:
    """Return all parameters of a call, checked, with the defaults of those that are not given or None.

    Raises:
        UnknownName: There is no such annotator or parameter.
        InvalidValue: A parameter is out of its range; `param` names it.
    """
    known = {param.name: param for param in find_annotator(kind).params}
    given = {} if params is None else params
    for name in given:
        if name not in known:
            raise UnknownName("parameter", name, known, param=name)
    wanted = {name: given.get(name) for name in known}
    return {name: p.default if wanted[name] is None else p.check(wanted[name]) for name, p in known.items()}


def annotate(
    kind: str, source: Pixels | Document, params: Mapping[str, Any] | None = None, tools: Tools | None = None
) -> Pixels:
    """Make a control map.

    Args:
        kind: A key of `ANNOTATORS` or `ALIASES`.
        source: A picture (H, W, 3) uint8; for `sketch` and `pose` also a JSON document.
        params: Parameters by name; those not given have their defaults.
        tools: Where weights are, and what names regions.

    Returns:
        (H, W, 3) uint8, of the picture's size or of the document's canvas.

    Raises:
        UnknownName, InvalidValue: As `settle`, or the document is wrong.
        InvalidPicture: The picture is not one that can be annotated.
        ModelNotFound: A network's file is not there; the message says which, under which licence and how to get it.
        BrokenModelFile: It is not what it should be.
        MissingExtra: OpenCV is not installed.

    Example:
        >>> import numpy as np
        >>> from fantascope.annotate import annotate
        >>> picture = np.zeros((64, 96, 3), np.uint8)
        >>> picture[16:48, 32:64] = 255
        >>> annotate("canny", picture, {"low": 50, "high": 150}).shape
        (64, 96, 3)
    """
    annotator, values = find_annotator(kind), settle(kind, params)
    if isinstance(source, (str, bytes, Mapping)):
        if annotator.draw is None:
            able = [name for name, other in ANNOTATORS.items() if other.draw is not None]
            raise InvalidValue(f"{kind} takes a picture; JSON is for {' and '.join(able)}.", param="control")
        return annotator.draw(source)
    picture = check_picture(source)
    kit = tools if tools is not None else Tools()
    if "resolution" not in values:
        return annotator.run(picture, values, kit)
    found = annotator.run(fit(picture, int(values["resolution"])), values, kit)
    return back(found, picture.shape[0], picture.shape[1], annotator.scale)


def weights(kind: str, tools: Tools | None = None) -> dict[str, str]:
    """Return name -> sha256 of the files that an annotator runs, for a receipt; empty where it needs none.

    Raises:
        ModelNotFound, BrokenModelFile: A file is not there, or is another one.
    """
    return used(find_annotator(kind).files, tools if tools is not None else Tools())
