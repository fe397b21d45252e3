"""`fantascope doctor`: what this machine can do, and why a choice was made."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fantascope.cli.lines import emit

RUNTIMES = ("numpy", "openvino", "onnxruntime", "torch", "diffusers", "transformers", "c2pa-python", "pillow")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False) -> int:
    """Look at processor, memory, disk, runtimes, models, keys and gallery; exit 0 if pictures can be made."""
    from fantascope.settings import Settings

    settings = Settings.from_env()
    rows: list[tuple[str, bool, str]] = [
        *_machine(),
        *((name, *_installed(name)) for name in RUNTIMES),
        _home(settings.home),
        _keys(settings),
        _gallery(settings),
        _classifier(settings),
        *_choices(settings),
    ]
    works = all(ok for name, ok, _ in rows if name in ("home", "keys", "gallery", "can paint"))
    if as_json:
        facts: list[dict[str, Any]] = [{"name": n, "ok": ok, "text": text} for n, ok, text in rows]
        emit("doctor", {"ok": works, "facts": facts})
    else:
        for name, ok, text in rows:
            print(f"{'✓' if ok else '–'} {name:<13} {text}")
    return 0 if works else 1


def _machine() -> list[tuple[str, bool, str]]:
    from fantascope import __version__
    from fantascope.engines.load import cpu_flags

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    telling = {
        "avx2",
        "avx512f",
        "avx512_vnni",
        "avx512_bf16",
        "avx_vnni",
        "amx_bf16",
        "amx_int8",
        "asimd",
        "bf16",
        "i8mm",
    }
    features = ", ".join(sorted(cpu_flags() & telling)) or "no vector units that we know"
    return [
        (
            "fantascope",
            True,
            f"{__version__} on Python {platform.python_version()}, {sys.platform} {platform.machine()}",
        ),
        ("processor", True, f"{cores} cores for this process; {features}"),
        ("memory", True, f"{memory:.0f} GiB"),
    ]


def _installed(name: str) -> tuple[bool, str]:
    from importlib import metadata

    extras = {"onnxruntime": "onnxruntime", "torch": "torch", "diffusers": "torch", "transformers": "torch"}
    try:
        return True, metadata.version(name)
    except metadata.PackageNotFoundError:
        extra = extras.get(name)
        return False, "not installed" + (f": pip install 'fantascope[{extra}]'" if extra else "")


def _home(home: Path) -> tuple[str, bool, str]:
    there = home
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free / 2**30
    writable = there.is_dir() and os.access(there, os.W_OK)
    return "home", writable, f"{home}, {free:.1f} GiB free" + ("" if writable else ", cannot be written")


def _keys(settings: Any) -> tuple[str, bool, str]:
    if not settings.keys.is_dir():
        return "keys", True, f"{settings.keys}, made on first use"
    secret = settings.keys / "signer.pem"
    closed = secret.is_file() and secret.stat().st_mode & 0o077 == 0
    return "keys", closed, f"{settings.keys}, the key is " + ("private" if closed else "missing or readable by others")


def _gallery(settings: Any) -> tuple[str, bool, str]:
    from fantascope.errors import GalleryError
    from fantascope.gallery import Gallery

    try:
        with Gallery.open(settings.gallery, read_only=True) as gallery:
            kept = len(gallery.list(limit=1_000_000))
    except GalleryError as error:
        return "gallery", False, str(error)
    return "gallery", True, f"{settings.gallery}, {kept} artifacts"


def _classifier(settings: Any) -> tuple[str, bool, str]:
    """Say whether pictures are judged, and by what."""
    from fantascope.engines.classifier import Classifier, installed
    from fantascope.errors import FantascopeError
    from fantascope.policy.nsfwjs import INSTALL

    if not installed(settings):
        return "pictures", False, f"not judged: no detector installed. {INSTALL}"
    try:
        eye = Classifier.load(settings)
    except FantascopeError as error:
        return "pictures", False, str(error)
    return "pictures", True, f"judged by {eye.facts.name}, sha256 {eye.id[:16]}…"


def _choices(settings: Any) -> list[tuple[str, bool, str]]:
    """Say which engine, device and precision a plain request would get, each with its reason."""
    from fantascope.errors import FantascopeError
    from fantascope.request import Imagine
    from fantascope.resolve import resolve
    from fantascope.spec import catalogue

    try:
        job = resolve(Imagine(prompt="a picture"), catalogue(settings.models), settings)
    except FantascopeError as error:
        return [("can paint", False, str(error))]
    choice = job.choice
    words = f"{job.spec.name} on {choice.engine}, {choice.device}, {choice.precision}"
    return [("can paint", True, words), *(("because", True, reason) for reason in choice.reasons)]
