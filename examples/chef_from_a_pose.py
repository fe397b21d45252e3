"""A chef in the kitchen who stands as a skeleton says: joints are drawn as a map, and the map steers the picture."""

import json

from fantascope import Annotate, Artifact, Imagine, Studio
from fantascope.request import Control

JOINTS = {
    "nose": [256, 126], "neck": [256, 196],
    "right_shoulder": [212, 200], "right_elbow": [150, 160], "right_wrist": [132, 92],
    "left_shoulder": [300, 200], "left_elbow": [326, 262], "left_wrist": [330, 326],
    "right_hip": [230, 322], "right_knee": [222, 396], "right_ankle": [216, 468],
    "left_hip": [282, 322], "left_knee": [290, 396], "left_ankle": [296, 468],
    "right_eye": [240, 112], "left_eye": [272, 112], "right_ear": [212, 118], "left_ear": [300, 118],
}  # fmt: skip

with Studio() as studio:
    skeleton = json.dumps({"width": 512, "height": 512, "people": [JOINTS]})
    (drawn,) = (event for event in studio.run(Annotate(kind="pose", document=skeleton)) if isinstance(event, Artifact))
    steered = Imagine(prompt="a chef in the kitchen", seed=3, controls=(Control(kind="pose", picture=drawn.id),))
    (picture,) = (event for event in studio.run(steered) if isinstance(event, Artifact))
    print(f"{picture.id[7:19]} follows the map {drawn.id[7:19]}")
