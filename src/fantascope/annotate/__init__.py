"""Annotators: from a picture `(H, W, 3)` uint8 to a control map of the same size, white on black where it has lines.

One function does all: `annotate(kind, picture, params)`; `ANNOTATORS` says what there is. OpenCV, from the extra
`fantascope[control]`, is imported when a map is made; networks run on OpenVINO from files that the user has fetched.
"""

from fantascope.annotate.joints import JOINTS, Person, Pose, draw_pose, read_pose
from fantascope.annotate.networks import File, Tools, fetch_pose, weights_folder
from fantascope.annotate.pose import find_pose
from fantascope.annotate.segments import Region, find_regions, palette
from fantascope.annotate.strokes import Sketch, Stroke, draw_sketch, read_sketch
from fantascope.annotate.table import ALIASES, ANNOTATORS, Annotator, Param, annotate, find_annotator, settle, weights

__all__ = [
    "ALIASES",
    "ANNOTATORS",
    "Annotator",
    "File",
    "JOINTS",
    "Param",
    "Person",
    "Pose",
    "Region",
    "Sketch",
    "Stroke",
    "Tools",
    "annotate",
    "draw_pose",
    "draw_sketch",
    "fetch_pose",
    "find_annotator",
    "find_pose",
    "find_regions",
    "palette",
    "read_pose",
    "read_sketch",
    "settle",
    "weights",
    "weights_folder",
]
