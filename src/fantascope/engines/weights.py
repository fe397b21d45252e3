"""Opens the place a Spec names, refuses what could run code, and hashes every file of weights that will be loaded.

A place is `embedded:NAME`, `dir:PATH`, `file:PATH.safetensors` or `hub:owner/name[@revision]`. What comes back is a
checked folder or file; nothing is loaded here, and torch is not needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fantascope.engines.lora import BASE
from fantascope.engines.safefile import CONVERT, SafeFile, read_header, read_tensor, runs_code
from fantascope.errors import (
    BrokenModelFile,
    InvalidValue,
    LicenceMissing,
    MissingExtra,
    ModelNotFound,
    UnsafeModelFile,
)
from fantascope.receipt import Weight
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED, Spec, valid_name

log = logging.getLogger(__name__)

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".h5", ".keras"})
"""File name endings of formats whose loading can run code."""

UNREAD = frozenset({".git", ".cache"})
"""Folders at the top of a model folder that downloads leave behind and no loader reads."""

MEMO_FROM = 64 * 2**20
"""Files of this many bytes and more have their hash remembered in `settings.cache`."""

MAX_CONFIG = 16 * 2**20
"""Longest configuration file that is read, in bytes."""

HUB_FILES = ("*.json", "*.txt", "*.model", "*.jinja", "*.md", "LICENSE*", "LICENCE*", "NOTICE*")
"""What is fetched from a hub beside the components' safetensors."""


@dataclass(frozen=True)
class Place:
    """A checked model: its folder, or one file, and the folder that its files may really lie in (a hub's cache)."""

    root: Path
    bounds: Path
    single: bool = False

    def path(self, relative: str) -> Path:
        """Return the file of that name inside the place.

        Raises:
            UnsafeModelFile: the name or a symbolic link leads out of it.
            ModelNotFound: there is no such file.
        """
        if self.single:
            return self.root
        parts = PurePosixPath(relative).parts
        if not parts or PurePosixPath(relative).is_absolute() or ".." in parts or "\\" in relative or ":" in relative:
            raise UnsafeModelFile(f"{relative!r} leads out of the model folder {self.root}.")
        path = self.root.joinpath(*parts)
        if not path.exists():
            raise ModelNotFound(f"The model folder {self.root} has no {relative}.")
        if not path.resolve().is_relative_to(self.bounds):
            raise UnsafeModelFile(f"{path} is a link that leads out of the model folder.", hint="Copy the file there.")
        return path

    def config(self, relative: str) -> dict[str, Any]:
        """Return one configuration file of the place as plain data.

        Raises:
            BrokenModelFile: it is not a JSON object; and as `path` says.
        """
        return read_config(self.path(relative))

    def has(self, relative: str) -> bool:
        """Say whether the place holds this file or folder."""
        return not self.single and (self.root / relative).exists()

    def weights_of(self, component: str) -> list[str]:
        """Return the safetensors files of one component of a diffusers folder, full precision before fp16.

        Raises:
            UnsafeModelFile: the component exists as a pickle only.
            ModelNotFound: it has no weights at all.
        """
        named = [path.name for path in sorted((self.root / component).glob("*.safetensors"))]
        named = [
            name for name in named if name.startswith(("diffusion_pytorch_model", "model")) and ".non_ema" not in name
        ]
        plain = [name for name in named if ".fp16" not in name and ".int8" not in name]
        chosen = plain or [name for name in named if ".fp16" in name] or named
        if chosen:
            self._check_index(component, chosen)
            return [f"{component}/{name}" for name in chosen]
        pickled = [path.name for path in (self.root / component).glob("*") if path.suffix in PICKLES]
        if pickled:
            raise UnsafeModelFile(
                f"{self.root / component} has its weights as {pickled[0]} only, and loading one can run any code.",
                hint=CONVERT,
            )
        raise ModelNotFound(f"{self.root / component} holds no safetensors weights.")

    def _check_index(self, component: str, chosen: list[str]) -> None:
        """Refuse a list of shards that would load a file which is not among those that are checked and hashed."""
        for path in (self.root / component).glob("*.safetensors.index*.json"):
            shards = read_config(path).get("weight_map")
            names = set(shards.values()) if isinstance(shards, dict) else {None}
            if ("fp16" in path.name) == ("fp16" in chosen[0]) and not names <= set(chosen):
                stray = min(str(name) for name in names - set(chosen))
                raise BrokenModelFile(f"{path} names the shard {stray!r}, which is not a weights file beside it.")


def open_place(source: str, settings: Settings) -> Place:
    """Find and check the place that a source names, fetching from a hub what is not yet here.

    Raises:
        ModelNotFound: nothing is there (and, offline, nothing may be fetched).
        UnsafeModelFile: a pickle, custom code or a link that leads out of the folder.
        BrokenModelFile: a configuration that is not JSON.
        InvalidValue: the source is of no known kind.
    """
    kind, _, place = source.partition(":")
    if kind not in ("embedded", "dir", "file", "hub") or not place or "\0" in place:
        raise InvalidValue(
            f"{source!r} names no place of a model: use dir:FOLDER, file:FILE.safetensors or hub:owner/name.",
            param="model",
        )
    if kind == "file":
        return _open_file(Path(place).expanduser())
    if kind == "hub":
        folder, bounds = _fetch(place, settings)
    else:
        folder = EMBEDDED.parent / valid_name(place) if kind == "embedded" else Path(place).expanduser()
        bounds = folder
    if not folder.is_dir():
        known = (
            "fantascope models list"
            if kind == "embedded"
            else "fantascope models add dir:FOLDER --name NAME --licence SPDX-ID"
        )
        raise ModelNotFound(f"There is no model folder at {folder}.", param="model", hint=known)
    opened = Place(folder.resolve(), bounds.resolve())
    refuse_code(opened)
    return opened


def _open_file(path: Path) -> Place:
    if path.suffix.lower() in PICKLES:
        raise UnsafeModelFile(f"{path} is a {path.suffix} file, and loading one can run any code.", hint=CONVERT)
    if not path.is_file():
        raise ModelNotFound(f"There is no model file at {path}.", param="model", hint="fantascope models list")
    if path.suffix.lower() != ".safetensors":
        raise UnsafeModelFile(f"{path} is no safetensors file; other single files are not loaded.", hint=CONVERT)
    resolved = path.resolve()
    read_header(resolved)
    return Place(resolved, resolved.parent, single=True)


def refuse_code(place: Place) -> None:
    """Refuse a model folder that brings code of its own, and links that lead out of it.

    Raises:
        UnsafeModelFile: a `*.py`, an `auto_map` or `trust_remote_code` in a configuration, a component from a
            module that is not a library's, a safetensors that is a pickle, a link to a folder, or one that leads out.
    """
    for path in sorted(place.root.rglob("*")):
        relative = path.relative_to(place.root).as_posix()
        if relative.split("/")[0] in UNREAD:
            continue
        if path.is_symlink() and path.is_dir():
            raise UnsafeModelFile(f"{path} is a link to a folder, which is not looked into.", hint="Copy it there.")
        if path.name == "adapter_config.json":
            raise UnsafeModelFile(f"{path} would make the loader fetch another model.", hint="Remove it.")
        if path.suffix == ".py":
            raise UnsafeModelFile(
                f"{path} is code that came with a model, and none is run.", hint="Remove it if you read it."
            )
        if (
            path.is_symlink()
            or path.suffix == ".safetensors"
            or path.name.endswith(("config.json", "model_index.json"))
        ):
            place.path(relative)
        if path.suffix == ".safetensors" and path.is_file():
            with path.open("rb") as file:
                start = file.read(16)
            if start[8:9] != b"{" and runs_code(start):
                raise UnsafeModelFile(f"{path} is {runs_code(start)} under another name.", hint=CONVERT)
        if path.name.endswith(("config.json", "model_index.json")):
            _refuse_custom(path, read_config(path))


def _refuse_custom(path: Path, config: dict[str, Any]) -> None:
    for key in ("auto_map", "trust_remote_code", "custom_pipeline", "custom_pipelines"):
        if config.get(key):
            raise UnsafeModelFile(f"{path} asks for code of its own ({key}), and none is run.")
    if path.name == "model_index.json":
        for name, entry in config.items():
            if name.startswith("_") and name != "_class_name":
                continue
            if name == "_class_name" and isinstance(entry, str):
                continue
            library = entry[0] if isinstance(entry, list) and len(entry) == 2 else None
            if (isinstance(entry, list) and name == "_class_name") or _foreign(library):
                raise UnsafeModelFile(
                    f"{path} takes {name!r} from {entry!r}, which is no part of diffusers or transformers."
                )


def _foreign(library: Any) -> bool:
    """Say whether a component comes from elsewhere than diffusers, its pipelines' folders, or transformers."""
    if not isinstance(library, str) or library in ("diffusers", "transformers"):
        return False
    found = importlib.util.find_spec("diffusers")
    homes = list(found.submodule_search_locations or ()) if found is not None else []
    return not (library.isidentifier() and any((Path(home) / "pipelines" / library).is_dir() for home in homes))


def read_config(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file of bounded length.

    Raises:
        BrokenModelFile: it is longer, unreadable, or not an object.
    """
    try:
        if path.stat().st_size > MAX_CONFIG:
            raise BrokenModelFile(f"{path} is longer than the {MAX_CONFIG} bytes a configuration may have.")
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BrokenModelFile(f"{path} is not a configuration: {error}") from None
    if not isinstance(data, dict):
        raise BrokenModelFile(f"{path} is not a configuration: it holds no object.")
    return data


def _fetch(place: str, settings: Settings) -> tuple[Path, Path]:
    """Return the snapshot folder of `owner/name[@revision]`, and the cache folder its links may lead to."""
    name, _, revision = place.partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or ".." in place:
        raise InvalidValue(
            f"{place!r} is no hub model: write hub:owner/name or hub:owner/name@revision.", param="model"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise MissingExtra(f"Fetching hub:{name}", "torch", param="model") from None
    arguments: dict[str, Any] = {"repo_id": name, "revision": revision or None, "local_files_only": settings.offline}
    try:
        first = Path(snapshot_download(**arguments, allow_patterns=["model_index.json", "config.json"]))
        if (first / "model_index.json").exists() or not (first / "config.json").exists():
            parts = [part for part, one in read_config(first / "model_index.json").items() if isinstance(one, list)]
            weights = [f"{part}/*.safetensors" for part in parts]
        else:  # one module alone: a control network, or one of transformers' models
            kind = read_config(first / "config.json").get("model_type")
            weights = ["model*.safetensors" if kind else "diffusion_pytorch_model*.safetensors"]
        patterns = [*HUB_FILES, *weights]
        log.info("fetching %s from the hub (safetensors, json and txt only) or its cache", name)
        folder = snapshot_download(
            **arguments, allow_patterns=patterns, ignore_patterns=["*.fp16*", "*.non_ema*", "*.py", "*.bin"]
        )
    except (OSError, ValueError, BrokenModelFile) as error:
        why = "the hub is not asked (offline)" if settings.offline else f"the hub said: {type(error).__name__}"
        raise ModelNotFound(
            f"hub:{name} is not in this machine's cache, and {why}.", param="model", hint=f"hf download {name}"
        ) from error
    return Path(folder), Path(folder).parents[1]


def weigh(spec: Spec, place: Place, files: Iterable[str], settings: Settings) -> tuple[Weight, ...]:
    """Check and hash the files that are about to be loaded; hold them to the hashes of the Spec.

    Args:
        files: Paths inside the place, POSIX style; for a single file its name.

    Raises:
        LicenceMissing: the Spec states no licence.
        BrokenModelFile: a safetensors is not sound, a hash is not what the Spec says, or the Spec's delta was made for
            other weights than those among the files.
        UnsafeModelFile: a file is in a format that can run code.
    """
    if not spec.licence.spdx.strip():
        raise LicenceMissing(
            f"The model {spec.name!r} states no licence, and a model without one is not loaded.",
            param="licence",
            hint=f"fantascope models add {spec.source} --name NAME --licence SPDX-ID",
        )
    found = tuple(_weigh_one(spec, place, relative, settings) for relative in files)
    if spec.delta is not None and spec.delta in {weight.path for weight in found}:
        base = SafeFile.open(place.path(spec.delta)).metadata.get(BASE)
        if base is not None and base not in {weight.sha256 for weight in found}:
            raise BrokenModelFile(
                f"{place.path(spec.delta)} was made for other weights than those of {spec.name!r}.",
                hint="Make it again: fantascope train distil",
            )
    return found


def _weigh_one(spec: Spec, place: Place, relative: str, settings: Settings) -> Weight:
    path = place.path(relative)
    if path.suffix.lower() in PICKLES:
        raise UnsafeModelFile(f"{path} is a {path.suffix} file, and loading one can run any code.", hint=CONVERT)
    if path.suffix == ".safetensors":
        SafeFile.open(path)
    digest = sha256(path, settings)
    due = spec.weights.get(relative)
    if due is not None and due.removeprefix("sha256:") != digest:
        raise BrokenModelFile(
            f"{path} is not the file that {spec.name!r} was pinned to: sha256 {digest[:16]}…, due is {due[:16]}….",
            hint=f"fantascope models show {spec.name}",
        )
    part = relative.split("/")[0] if "/" in relative else PurePosixPath(relative).stem
    part = f"{part} delta" if relative == spec.delta else part
    return Weight(part=part, path=relative, sha256=digest, licence=spec.licence.spdx)


def sha256(path: Path, settings: Settings) -> str:
    """Return the sha256 of a file in hex; that of a large file is remembered by path, size, times and inode."""
    stat = path.stat()
    memo: Path | None = None
    if stat.st_size >= MEMO_FROM:
        key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ctime_ns}|{stat.st_ino}"
        memo = settings.cache / "sha256" / hashlib.sha256(key.encode()).hexdigest()
        with contextlib.suppress(OSError):
            remembered = memo.read_text("ascii")
            if re.fullmatch(r"[0-9a-f]{64}", remembered):
                return remembered
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if memo is not None:
        try:
            memo.parent.mkdir(parents=True, exist_ok=True)
            draft = memo.with_suffix(f".{os.getpid()}")
            draft.write_text(digest, "ascii")
            draft.replace(memo)
        except OSError as error:
            log.info("the hash of %s is not remembered: %s", path, error)
    return digest


__all__ = [
    "Place",
    "SafeFile",
    "open_place",
    "read_config",
    "read_header",
    "read_tensor",
    "refuse_code",
    "sha256",
    "weigh",
]
