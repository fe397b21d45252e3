"""Make a picture again from nothing but its file, and compare the pixels."""

import tempfile
from pathlib import Path

from fantascope import imagine
from fantascope.studio import Replay, Studio

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "cat.png"
    file.write_bytes(imagine("a cat", seed=11).data)
    with Studio() as studio:
        for event in studio.again(file):
            if isinstance(event, Replay):
                print("same pixels as receipt", event.recorded.id)
