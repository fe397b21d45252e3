"""Two runtimes for ONNX graphs behind one small contract: OpenVINO, and ONNX Runtime.

A `Program` is one graph made ready for fixed (or free) input shapes; it maps NumPy arrays to one NumPy array. OpenVINO
compiles for fixed shapes and its compiled form is kept in the cache folder, so the second start skips most of that
work; ONNX Runtime keeps one session for all shapes.

OpenVINO is imported narrowly: its package's `__init__` brings model conversion tools and telemetry that nobody needs
here and that cost 0.2 s; the binding alone takes 0.03 s.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import json
import logging
import mmap
import os
import re
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fantascope.errors import BrokenModelFile, MissingExtra
from fantascope.settings import Settings

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Shapes = Mapping[str, Sequence[int]]
"""Input name -> shape; -1 is a size left free."""

HEADER = 64
"""Bytes before a compiled form in its cache file: the sha256 of what follows, in hex."""


class Program(Protocol):
    """One graph, ready to run. Calls from several threads wait for each other."""

    def __call__(self, **inputs: npt.NDArray[Any]) -> Floats:
        """Return the first output."""
        ...

    def outputs(self, **inputs: npt.NDArray[Any]) -> dict[str, Floats]:
        """Return every output by name."""
        ...


_LOCATION = re.compile(rb"\x0a\x08location\x12([\x01-\x7f])", re.DOTALL)
"""How an ONNX file names the file of an external tensor: key, then the length of the value, which follows."""


@dataclass(frozen=True)
class Source:
    """A graph to compile: the file, the files of weights it reads (most often one), and a hash of all."""

    path: Path
    weights: Path
    digest: str
    delta: Path | None = None

    def check(self) -> None:
        """Refuse a graph that was written for another layout of its weights: its offsets would read garbage.

        Raises:
            BrokenModelFile: the header of a weights file is not one that the graph names, or the graph reads another
                file than those that were hashed.
        """
        graph, here = self.path.read_bytes(), self.path.parent
        files = [self.weights] if self.delta is None else [self.weights, self.delta]
        names = [file.relative_to(here).as_posix() for file in files if file.is_relative_to(here)]
        for found in _LOCATION.finditer(graph):
            named = graph[found.end() : found.end() + found[1][0]]
            if named.decode("utf-8", "replace") not in names:
                raise BrokenModelFile(
                    f"{self.path} reads {named!r}, which is not its weights file {self.weights.name}."
                )
        for path in files:
            with path.open("rb") as file:
                start = file.read(8)
                header = start + file.read(int.from_bytes(start, "little"))
            if hashlib.sha256(header).hexdigest().encode() not in graph:
                raise BrokenModelFile(
                    f"{self.path} was exported for another {path.name}.",
                    hint="Export the graphs again: fantascope.train.export.export_graphs(folder).",
                )


class Runtime(Protocol):
    """Compiles graphs.

    Attributes:
        precisions: What it computes in on this machine: `fp32`, `bf16`, `int8`.
        threads: How many compute.
        machine: The processor, as the runtime names it; empty where it does not.
    """

    name: str
    version: str
    threads: int
    precisions: tuple[str, ...]
    machine: str

    def compile(self, source: Source, shapes: Shapes, precision: str) -> Program:
        """Make a graph ready for inputs of these shapes, to compute in one of `precisions`.

        Raises:
            BrokenModelFile: the runtime cannot read or compile it.
        """
        ...


def runtime_name(name: str) -> str:
    """Return the runtime that a name stands for: where it is empty, the first one installed."""
    return name or ("openvino" if importlib.util.find_spec("openvino") is not None else "onnxruntime")


def open_runtime(name: str, settings: Settings) -> Runtime:
    """Return the runtime of this name; the first one installed of `openvino`, `onnxruntime` where the name is empty.

    Raises:
        MissingExtra: it is not installed.
    """
    name = runtime_name(name)
    try:
        return OnnxRuntime(settings) if name == "onnxruntime" else OpenVino(settings)
    except ImportError as error:
        raise MissingExtra(f"The runtime {name!r}", name, param="engine") from error


def import_openvino() -> Any:
    """Return OpenVINO's binding without running its package's `__init__`, unless it ran already."""
    if "openvino" in sys.modules:
        return importlib.import_module("openvino._pyopenvino")
    spec = importlib.util.find_spec("openvino")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("openvino is not installed")
    if sys.platform == "win32":  # there the package adds its folder of libraries to the search path
        return importlib.import_module("openvino._pyopenvino")
    bare = types.ModuleType("openvino")
    bare.__path__, bare.__spec__ = list(spec.submodule_search_locations), spec  # others may look for it meanwhile
    sys.modules["openvino"] = bare
    try:
        return importlib.import_module("openvino._pyopenvino")
    finally:
        del sys.modules["openvino"]


def _let_go(data: Any) -> None:
    """Give a mapped file's pages back: what was read to be hashed and repacked; the system reads again what is needed.

    The mapping is private, and nothing has written to it, so nothing is lost.
    """
    mapped, advice = getattr(data, "_mmap", None), getattr(mmap, "MADV_DONTNEED", None)
    if mapped is not None and advice is not None:
        mapped.madvise(advice)


_making = threading.Lock()


@lru_cache(maxsize=1)
def _core() -> Any:
    """Return the process's one core, which is never let go.

    A core gives the thread that compiles another stack for signals, and gives back the one that was there when it ends.
    Of two, the older ending first leaves the thread with a stack that is gone: the next signal, such as Ctrl-C, ends
    the process with a segmentation fault.
    """
    return import_openvino().Core()


class OpenVino:
    """OpenVINO on the CPU: one stream, latency first, its threads sleep between calls."""

    name = "openvino"

    def __init__(self, settings: Settings) -> None:
        self.binding = import_openvino()
        with _making:
            self.core = _core()
        self.version = str(self.binding.get_version())
        self.cache = settings.cache / "graphs"
        self.config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        }
        if settings.threads > 0:
            self.config["INFERENCE_NUM_THREADS"] = settings.threads
        self.threads = settings.threads or _physical_cores()
        self.machine = str(self.core.get_property("CPU", "FULL_DEVICE_NAME"))
        able = self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precisions: tuple[str, ...] = ("fp32", "bf16", "int8") if "BF16" in able else ("fp32", "int8")

    def compile(self, source: Source, shapes: Shapes, precision: str) -> Program:
        """See `Runtime`. Reads and writes the cache; a cache that is broken, outdated or read-only costs time only."""
        half = precision != "fp32" and "bf16" in self.precisions  # what an int8 graph leaves in float, too
        config = self.config | {"INFERENCE_PRECISION_HINT": "bf16" if half else "f32"}
        file = self.cache / f"{self._key(source, shapes, config)}.blob"
        source.check()
        kept, compiled = self._import(file, config)
        if compiled is None:
            try:
                model = self.core.read_model(str(source.path))
                model.reshape({name: self.binding.PartialShape(list(shape)) for name, shape in shapes.items()})
                compiled = self.core.compile_model(model, "CPU", config)
            except RuntimeError as error:
                raise BrokenModelFile(f"OpenVINO cannot compile {source.path}: {_last_line(error)}") from error
            self._export(compiled, file)
        return _OpenVinoProgram(self.binding, compiled, kept)

    def _key(self, source: Source, shapes: Shapes, config: Mapping[str, Any]) -> str:
        """Name everything the compiled form depends on; the number of threads is set when it is read."""
        settled = {name: value for name, value in config.items() if name != "INFERENCE_NUM_THREADS"}
        facts = [source.digest, {k: list(v) for k, v in shapes.items()}, settled, self.version, self.machine]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]

    def _import(self, file: Path, config: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the mapped cache file and the compiled form that reads from it, or twice None."""
        try:
            data = np.memmap(file, np.uint8, "c")
            if hashlib.sha256(data[HEADER:].data).hexdigest().encode() != data[:HEADER].tobytes():
                log.info("the cached graph %s is damaged; compiling again", file)
                return None, None
            tensor = self.binding.Tensor(data[HEADER:], shared_memory=True)
            compiled = self.core.import_model(tensor, "CPU", dict(config))
            _let_go(data)
            return data, compiled
        except (OSError, ValueError, RuntimeError) as error:
            if not isinstance(error, FileNotFoundError):
                log.info("the cached graph %s cannot be used (%s); compiling again", file, _last_line(error))
            return None, None

    def _export(self, compiled: Any, file: Path) -> None:
        draft = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            data = compiled.export_model().getvalue()
            file.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as out:
                out.write(hashlib.sha256(data).hexdigest().encode())
                out.write(data)
            draft.replace(file)
        except (OSError, RuntimeError) as error:
            log.info("the compiled graph is not kept in %s: %s", file, _last_line(error))
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


class _OpenVinoProgram:
    """A compiled model with one infer request; inputs are copied into tensors that stay.

    `kept` is the memory an imported model was made from: it reads weights out of it when shapes are first met.
    """

    def __init__(self, binding: Any, compiled: Any, kept: Any) -> None:
        self.binding, self.kept = binding, kept
        self.request = compiled.create_infer_request()
        self.names = [output.get_any_name() for output in compiled.outputs]
        self.buffers: dict[str, npt.NDArray[Any]] = {}
        self.lock = threading.Lock()

    def __call__(self, **inputs: npt.NDArray[Any]) -> Floats:
        return self.outputs(**inputs)[self.names[0]]

    def outputs(self, **inputs: npt.NDArray[Any]) -> dict[str, Floats]:
        with self.lock:
            for name, value in inputs.items():
                buffer = self.buffers.get(name)
                if buffer is None or buffer.shape != value.shape:
                    buffer = self.buffers[name] = np.empty(value.shape, value.dtype)
                    self.request.set_tensor(name, self.binding.Tensor(buffer, shared_memory=True))
                np.copyto(buffer, value)
            self.request.infer({}, True, False)
            return {name: self.request.get_output_tensor(k).data.copy() for k, name in enumerate(self.names)}


class OnnxRuntime:
    """ONNX Runtime on the CPU; its threads sleep instead of spinning, so that a busy neighbour does not stall them."""

    name = "onnxruntime"
    precisions: tuple[str, ...] = ("fp32", "int8")
    machine = ""

    def __init__(self, settings: Settings) -> None:
        import onnxruntime

        self.module = onnxruntime
        self.version = str(onnxruntime.__version__)
        self.threads = settings.threads or _physical_cores()
        self.sessions: dict[Path, Any] = {}
        self.lock = threading.Lock()

    def compile(self, source: Source, shapes: Shapes, precision: str) -> Program:
        """See `Runtime`; `shapes` do not matter here."""
        with self.lock:
            if source.path not in self.sessions:
                self.sessions[source.path] = self._session(source, precision == "int8")
        return _OnnxProgram(self.sessions[source.path])

    def _session(self, source: Source, rounded: bool) -> Any:
        source.check()
        options = self.module.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if not rounded:  # else the text's int8 weights meet inputs rounded to int8, which moves its states by 6 %
            options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            return self.module.InferenceSession(str(source.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base class
            raise BrokenModelFile(f"ONNX Runtime cannot load {source.path}: {_last_line(error)}") from error


class _OnnxProgram:
    def __init__(self, session: Any) -> None:
        self.session = session

    def __call__(self, **inputs: npt.NDArray[Any]) -> Floats:
        result: Floats = self.session.run(None, inputs)[0]
        return result

    def outputs(self, **inputs: npt.NDArray[Any]) -> dict[str, Floats]:
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, inputs), strict=True))


def _physical_cores() -> int:
    """Count the cores this process may use, siblings of one core once where Linux tells them."""
    try:
        mine = os.sched_getaffinity(0)
    except AttributeError:
        return os.cpu_count() or 1
    siblings = set()
    for cpu in mine:
        listed = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings.add(listed.read_text("ascii") if listed.is_file() else str(cpu))
    return len(siblings)


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
