"""Chooses an engine for a Spec, says why, and keeps loaded engines for the next request."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import platform
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fantascope.engines.base import EDITS, Choice, Engine
from fantascope.engines.control import own_folder
from fantascope.engines.line import Line
from fantascope.engines.lora import graph_of
from fantascope.engines.memory import forget_all, give_back, resident
from fantascope.errors import FantascopeError, MissingExtra, ModelError, UnknownName, Unsupported
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED, ENGINES_OF, Spec

log = logging.getLogger(__name__)

ENGINES: dict[str, str] = {
    "graph": "fantascope.engines.graph:GraphEngine",
    "latent": "fantascope.engines.latent:TorchEngine",
    "pipeline": "fantascope.engines.pipeline:PipelineEngine",
    "echo": "fantascope.engines.echo:EchoEngine",
    "annotator": "fantascope.engines.annotator:AnnotatorEngine",
}
"""Engine name -> where its class is; every class has `load(spec, choice, settings) -> Engine`."""

PRECISIONS: dict[str, tuple[str, ...]] = {
    "graph": ("fp32", "bf16", "int8"),
    "latent": ("fp32", "bf16", "fp16"),
    "pipeline": ("fp32", "bf16", "fp16"),
    "echo": ("fp32", "bf16", "fp16", "int8"),
    "annotator": ("fp32",),
}
"""What each engine can compute in."""

ABLE: dict[str, frozenset[str]] = {
    "graph": EDITS | {"imagine"},
    "latent": EDITS | {"imagine"},
    "pipeline": frozenset({"imagine"}),
    "echo": EDITS | {"imagine"},
    "annotator": frozenset({"annotate"}),
}
"""Which tasks each engine can do: edits need the parts of a latent engine."""

TORCH_PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "accelerate")
DEVICES = ("cuda", "mps", "xpu", "cpu")
"""Kinds of device torch may find, in order of preference."""


@dataclass(frozen=True)
class _Wish:
    """What a request asks of an engine; None where it leaves the choice open."""

    task: str
    engine: str | None
    device: str | None
    precision: str | None
    adapters: tuple[Mapping[str, Any], ...]
    clip_skip: int
    controls: tuple[tuple[str, str | None], ...] = ()
    spoken: tuple[str, ...] = ()


def choose(spec: Spec, fields: Mapping[str, Any], settings: Settings) -> Choice:
    """Choose engine, runtime, device and precision for a Spec.

    Args:
        fields: `task` of the request (absent: imagine), its `engine`, `device`, `precision` (None or absent: choose),
            and `adapters`, `controls` and `clip_skip` where a request has any.

    Returns:
        The choice, with one reason for everything that was chosen here rather than asked for. Each is logged at INFO.

    Raises:
        Unsupported: the engine that was asked for cannot do what else was asked, or no engine can.
        MissingExtra: the engine that is left needs an extra.
        UnknownName: no such engine.
    """
    skip = fields.get("clip_skip")
    wish = _Wish(
        fields.get("task", "imagine"),
        fields.get("engine"),
        fields.get("device"),
        fields.get("precision"),
        tuple(fields.get("adapters") or ()),
        skip if skip is not None else 0,
        tuple((control["kind"], control["network"]) for control in fields.get("controls") or ()),
        tuple(name for name in ("chaos", "stop") if fields.get(name) is not None)
        + (("grammar",) if fields.get("grammar") == "a1111" else ()),
    )
    if wish.engine is not None and wish.engine not in ENGINES:
        raise UnknownName("engine", wish.engine, ENGINES)
    able = ENGINES_OF[spec.family]
    if wish.engine is not None and wish.engine not in able:
        raise Unsupported(
            f"The engine {wish.engine!r} does not run {spec.name!r}; {' and '.join(able)} can.", param="engine"
        )
    reasons: list[str] = []
    refusals: list[ModelError] = []
    for name in (wish.engine,) if wish.engine is not None else able:
        refusal = _lacks(name, spec, wish, settings)
        if refusal is None:
            if wish.engine is None:
                rank = "next" if refusals else "first"
                reasons.append(f"engine {name}: the {rank} choice for {spec.family}")
            return _settle(name, wish, settings, reasons)
        reasons.append(f"not {name}: {refusal.message}")
        refusals.append(refusal)
    missing = [refusal for refusal in refusals if isinstance(refusal, MissingExtra)]
    raise missing[0] if missing else refusals[-1]


def _lacks(name: str, spec: Spec, wish: _Wish, settings: Settings) -> ModelError | None:
    """Return the error that says why this engine cannot do it, or None."""
    tasks = frozenset({"edit"}) if spec.follows else ABLE[name]
    if spec.follows and wish.task != "edit":
        return Unsupported(f"{spec.name!r} follows instructions about a picture and does nothing else.", param="model")
    if wish.task not in tasks:
        return Unsupported(f"the engine {name!r} cannot do the task {wish.task!r}.", param="engine")
    if wish.precision is not None and wish.precision not in PRECISIONS[name]:
        able = ", ".join(PRECISIONS[name])
        return Unsupported(f"the engine {name!r} has no {wish.precision}, only {able}.", param="precision")
    if wish.controls and name not in ("graph", "latent"):
        return Unsupported(f"the engine {name!r} is not steered by maps.", param="controls")
    if name == "graph" and wish.controls:
        if any(network is not None for _, network in wish.controls):
            return Unsupported("the engine 'graph' runs no control network but the model's own.", param="controls")
        if own_folder(spec) is None:
            return Unsupported(f"the model {spec.name!r} has no control network of its own.", param="controls")
    if name == "pipeline" and wish.spoken:
        what = {"chaos": "chaos", "stop": "stopping early", "grammar": "grammar a1111"}[wish.spoken[0]]
        return Unsupported(f"the engine 'pipeline' has no {what}.", param=wish.spoken[0])
    if name == "pipeline" and wish.adapters:
        return Unsupported(f"the engine {name!r} takes no adapters.", param="adapters")
    if name == "graph" and wish.adapters:
        from fantascope.engines.graph_fuse import obstacle

        why = obstacle(wish.adapters, spec, settings)
        why = "takes no adapters together with maps" if wish.controls and why is None else why
        why = "takes no adapters in int8" if wish.precision == "int8" and why is None else why
        if why is not None:
            return Unsupported(f"the engine 'graph' {why}.", param="adapters")
    if name == "graph":
        if wish.device not in (None, "cpu"):
            return Unsupported(f"the engine 'graph' computes on the CPU, not on {wish.device}.", param="device")
        if wish.clip_skip > 0:
            return Unsupported("the engine 'graph' has no CLIP skip.", param="clip_skip")
        runtime = _runtime(settings)
        if wish.precision == "bf16" and runtime == "onnxruntime":
            return Unsupported("the engine 'graph' has no bf16 on ONNX Runtime.", param="precision")
        if runtime is None:
            return MissingExtra("The engine 'graph'", settings.runtime or "onnxruntime", param="engine")
        if not _graphs(spec):
            return Unsupported(f"the model {spec.name!r} has no exported graphs.", param="engine")
    if name in ("latent", "pipeline") and not all(map(importlib.util.find_spec, TORCH_PACKAGES)):
        return MissingExtra(f"The engine {name!r}", "torch", param="engine")
    if name in ("echo", "annotator") and wish.device not in (None, "cpu"):
        return Unsupported(f"the engine {name!r} computes on the CPU only.", param="device")
    return None


def _graphs(spec: Spec) -> bool:
    if spec.kind not in ("embedded", "dir"):
        return False
    folder = EMBEDDED.parent / spec.place if spec.kind == "embedded" else Path(spec.place).expanduser()
    if spec.delta is not None:
        return (folder / graph_of(spec.delta)).is_file()
    return any(folder.rglob("*.onnx")) if folder.is_dir() else False


def _runtime(settings: Settings) -> str | None:
    """Return the graph runtime to use: the one that was set, or the first one that is installed."""
    for runtime in (settings.runtime,) if settings.runtime else ("openvino", "onnxruntime"):
        if importlib.util.find_spec(runtime) is not None:
            return runtime
    return None


def _settle(name: str, wish: _Wish, settings: Settings, reasons: list[str]) -> Choice:
    """Choose device and precision for an engine that can do what was asked."""
    if name in ("graph", "echo", "annotator"):
        device, runtime = "cpu", (_runtime(settings) or "") if name == "graph" else "numpy"
        precision = wish.precision or "fp32"
        if wish.precision is None and name == "graph":
            why = "precision fp32: ONNX Runtime has no bf16"
            if runtime == "openvino":
                precision, why = cpu_precision()
            reasons.append(why)
    else:
        device, precision, runtime = *_torch_choice(wish, reasons), "torch"
    for reason in reasons:
        log.info("%s", reason)
    return Choice(name, device, precision, tuple(reasons), runtime)


def _torch_choice(wish: _Wish, reasons: list[str]) -> tuple[str, str]:
    import torch

    found = [kind for kind in DEVICES if kind == "cpu" or _present(torch, kind)]
    device = wish.device
    if device is None:
        device = found[0]
        reasons.append(f"device {device}: the first found of {', '.join(DEVICES)}")
    elif device.split(":")[0] not in found or not _counted(torch, device):
        raise Unsupported(f"There is no device {device} here, only {', '.join(found)}.", param="device")
    if wish.precision is not None:
        return device, wish.precision
    kind = device.split(":")[0]
    if kind == "cpu":
        precision, why = cpu_precision()
    elif kind == "cuda":
        modern = torch.cuda.get_device_capability(device)[0] >= 8
        precision = "bf16" if modern else "fp16"
        why = f"precision {precision}: {'this' if modern else 'this older'} GPU computes in it natively"
    elif kind == "xpu":
        precision, why = "bf16", "precision bf16: Intel GPUs compute in it natively"
    else:
        precision, why = "fp32", "precision fp32: half precision is not reliable on mps"
    reasons.append(why)
    return device, precision


def _present(torch: Any, kind: str) -> bool:
    if kind == "mps":
        return bool(torch.backends.mps.is_available())
    module = getattr(torch, kind, None)
    return module is not None and bool(module.is_available())


def _counted(torch: Any, device: str) -> bool:
    kind, _, index = device.partition(":")
    return not index or int(index) < int(getattr(torch, kind).device_count())


def cpu_precision() -> tuple[str, str]:
    """Return the precision this CPU is best at, and why: bf16 where it has instructions for it, else fp32."""
    flags = cpu_flags()
    for flag in ("amx_bf16", "avx512_bf16", "bf16"):
        if flag in flags:
            return "bf16", f"precision bf16: this CPU has {flag}"
    return "fp32", "precision fp32: this CPU has no bfloat16 instructions"


def cpu_flags() -> frozenset[str]:
    """Return the CPU's feature names as Linux tells them; empty elsewhere."""
    if platform.system() != "Linux":
        return frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), ":")
    return frozenset(flags.split(":", 1)[1].split())


Key = tuple[Spec, str, str, str, str]


def key_of(spec: Spec, choice: Choice) -> Key:
    """Return what an engine is kept under: all that makes it another one, and no user."""
    return (spec, choice.engine, choice.runtime, choice.device, choice.precision)


@dataclass
class Slot:
    """One engine of the cache.

    Attributes:
        key: What it is kept under.
        line: Gives it to one user, or to one batch, at a time.
        loading: Held while it is loaded.
        engine: None before it is.
        users: How many wait for it or use it.
        owner: The thread that has it to itself.
    """

    key: Key
    line: Line = field(default_factory=Line)
    loading: threading.Lock = field(default_factory=threading.Lock)
    engine: Engine | None = None
    users: int = 0
    owner: int | None = None


class Engines:
    """Loaded engines, at most `limit` idle ones beside those in use; the least recently used goes first.

    A GPU holds no idle engine while another is loaded: its memory is for the one that will run.

    Args:
        settings: Of whoever runs this; engines are the same for every user of theirs.
        limit: How many idle engines are kept.
        memory: Bytes that the process may hold before idle engines are closed, fewer than `limit` though they be; the
            one used last stays. None, or a system that does not tell, lets it hold what it does.

    Example:
        >>> from fantascope.settings import Settings
        >>> from fantascope.spec import SPECS
        >>> engines = Engines(Settings())
        >>> choice = choose(SPECS["echo"], {}, Settings())
        >>> with engines.lease(SPECS["echo"], choice) as engine:
        ...     engine.spec.name
        'echo'
    """

    def __init__(self, settings: Settings, limit: int = 2, memory: int | None = None) -> None:
        self.settings, self.limit, self.memory = settings, limit, memory
        self._slots: dict[Key, Slot] = {}
        self._guard = threading.Lock()
        self._closed = False
        self._ahead: threading.Thread | None = None

    @contextmanager
    def lease(self, spec: Spec, choice: Choice, request: Any = None) -> Iterator[Engine]:
        """Give the engine for this Spec and choice to the caller alone, loading it when it is not here.

        Other threads wait for it, and get it in the order they came.

        Args:
            request: The resolved request it is for; where engines are shared (`SharedEngines`), it may be painted
                together with those of others.

        Raises:
            ModelError: it cannot be loaded; nothing is kept of it.
            Unsupported: this thread has it already, in a run that was neither read to its end nor closed.
        """
        with self._kept(spec, choice) as slot, self._alone(slot):
            yield self._loaded(slot, spec, choice)

    @contextmanager
    def _kept(self, spec: Spec, choice: Choice) -> Iterator[Slot]:
        """Give the slot of an engine, which stays while it is used; the engine need not be loaded yet."""
        key = key_of(spec, choice)
        with self._guard:
            assert not self._closed, "a lease after close"
            slot = self._slots.pop(key, None) or Slot(key)
            self._slots[key] = slot
            _refuse_own(slot)
            slot.users += 1
            new = slot.engine is None
            idle = self._evict(gpu=new and choice.device != "cpu")
        try:
            _close(idle)
            if new:
                self._relieve()
            yield slot
        finally:
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        """Count one user less; close what is idle now and too much."""
        with self._guard:
            slot.users -= 1
            if slot.engine is None and slot.users == 0 and self._slots.get(slot.key) is slot:
                del self._slots[slot.key]
            idle = self._evict()
        _close(idle)
        self._relieve()

    @contextmanager
    def _alone(self, slot: Slot) -> Iterator[None]:
        """Wait for an engine until this thread has it to itself."""
        _refuse_own(slot)
        with slot.line.turn():
            slot.owner = threading.get_ident()
            try:
                yield
            finally:
                slot.owner = None

    def _loaded(self, slot: Slot, spec: Spec, choice: Choice) -> Engine:
        with slot.loading:
            if slot.engine is None:
                slot.engine = construct(spec, choice, self.settings)
            return slot.engine

    def prefetch(self, spec: Spec, choice: Choice, request: Any) -> None:
        """Begin to load what a resolved request will need, beside the caller, where an engine can do that cheaply.

        Only engines with a `warm` method do (graph). An error is not lost: the lease that follows meets it again.
        """
        if choice.engine != "graph" or self._closed:
            return

        def load() -> None:
            try:
                with self.lease(spec, choice) as engine:
                    getattr(engine, "warm", lambda _: None)(request)
            except FantascopeError as error:
                log.info("loading ahead stopped: %s", error.message)

        self._ahead = threading.Thread(target=load, name="prefetch", daemon=True)
        self._ahead.start()

    def close(self) -> None:
        """Close every idle engine now, and those in use when they come back."""
        if self._ahead is not None:
            self._ahead.join()
        with self._guard:
            self._closed, self.limit = True, 0
            idle = self._evict()
        _close(idle)

    def drop(self) -> None:
        """Close every idle engine now, forget the encoders beside them, give their memory back, and keep working.

        Those in use stay. What is asked for later is loaded again.
        """
        before = resident()
        with self._guard:
            idle = [slot.engine for slot in self._slots.values() if slot.users == 0 and slot.engine is not None]
            self._slots = {key: slot for key, slot in self._slots.items() if slot.users > 0}
        _close(idle)
        idle.clear()
        forget_all()
        give_back()
        after = resident()
        if before is not None and after is not None:
            log.info("engines were dropped: this process held %d MB and holds %d MB", before >> 20, after >> 20)

    def __len__(self) -> int:
        return len(self._slots)

    def _evict(self, gpu: bool = False) -> list[Engine]:
        """Take what is over the limit out of the cache, oldest first, never what somebody uses or waits for.

        Args:
            gpu: Take everything that lies on a GPU, too.
        """
        out: list[Engine] = []
        asked = {key for key in self._slots if gpu and key[3] != "cpu"}
        for key, slot in sorted(self._slots.items(), key=lambda item: item[0] not in asked):
            if slot.users == 0 and (key in asked or len(self._slots) > self.limit):
                del self._slots[key]
                if slot.engine is not None:
                    out.append(slot.engine)
        return out

    def _relieve(self) -> None:
        """Close idle engines, least recently used first, while the process holds more than it may; the last stays."""
        while self.memory is not None and (held := resident()) is not None and held > self.memory:
            with self._guard:
                keys = [key for key in list(self._slots)[:-1] if self._slots[key].users == 0]
                slot = self._slots.pop(keys[0]) if keys else None
            if slot is None:
                return
            log.info(
                "this process holds %d MB and may hold %d: the least recently used engine goes",
                held >> 20,
                self.memory >> 20,
            )
            _close([slot.engine] if slot.engine is not None else [])
            slot.engine = None
            give_back()


def _refuse_own(slot: Slot) -> None:
    """Refuse to wait for what this thread has itself."""
    if slot.owner == threading.get_ident():
        raise Unsupported(
            f"{slot.key[0].name!r} is busy with another run of this thread.",
            hint="Close the other run first, or read it to its end.",
        )


def _close(engines: list[Engine]) -> None:
    for engine in engines:
        log.info("closing %s on %s: its memory is for others", engine.spec.name, engine.choice.engine)
        engine.close()


def construct(spec: Spec, choice: Choice, settings: Settings) -> Engine:
    """Load the engine that a choice names."""
    module, _, name = ENGINES[choice.engine].partition(":")
    log.info("loading %s with %s on %s in %s", spec.name, choice.engine, choice.device, choice.precision)
    engine: Engine = getattr(importlib.import_module(module), name).load(spec, choice, settings)
    return engine
