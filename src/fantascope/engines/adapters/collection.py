"""The collection of adapters: files are checked, hashed, copied in, and recorded; and found again to be applied.

A file lies under `files/` by its sha256, its record beside as `NAME.json`. The record is linked into place last, in one
step: what was stopped before has added nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from fantascope.adapter import FILES, Adapter, collection, find_adapter
from fantascope.engines.adapters.licence import flags_of, judged
from fantascope.engines.adapters.read import Parsed, check_numbers, open_file, parse, scaling_of
from fantascope.engines.adapters.tree import Tree, tree_of
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import sha256
from fantascope.errors import BrokenModelFile, InvalidValue, LicenceMissing, ModelNotFound, StorageError
from fantascope.settings import Settings
from fantascope.spec import catalogue, find_spec, valid_name

CHUNK = 2**20
STALE = 24 * 3600
"""Seconds after which what a stopped run left behind is cleared away."""


def add_adapter(
    file: Path,
    *,
    name: str,
    base: str,
    licence: str,
    trigger: Sequence[str] = (),
    consent: str = "",
    parents: Sequence[str] = (),
    samples: str | None = None,
    doubts: Sequence[str] = (),
    owner: str = "",
    settings: Settings,
) -> Adapter:
    """Check an adapter file against its base, copy it into the collection and return its record.

    Args:
        file: A safetensors file in the layout of diffusers, peft, kohya or LyCORIS, or a textual inversion.
        name: What requests will call it; it has to be new.
        base: Name of a model of the catalogue whose weights are on this machine.
        licence: SPDX id, or `LicenseRef-…`.
        trigger: Words that call for what it learned; those that the file names if not given.
        consent: What is known of the consent of people and authors in its training pictures.
        parents: What it was made from: adapters by name, pictures by id.
        samples: Artifact id of a grid of sample pictures.
        doubts: What is known to speak against the licence, beside what the file and the base say.
        owner: Account that alone sees and uses it on a server; empty shares it.

    Raises:
        InvalidValue: the name is taken, or a layer does not fit the base; the layer is named.
        UnknownName: no such base.
        LicenceMissing: the licence is empty.
        ModelError: see `adapter_read.open_file` and `adapter_read.parse`; or the base is not on this machine.
        StorageError: the collection cannot be written.
    """
    _may_add(file, name, base, licence, settings)
    spec = find_spec(base, catalogue(settings.models))
    opened = open_file(file)
    scaling = scaling_of(opened, file.parent)
    parsed = parse(opened, tree_of(spec, settings), scaling)
    check_numbers(opened)
    metadata = {key: value for key, value in opened.metadata.items() if key != "format"} | flags_of(file)
    stated, found = judged(licence.strip(), metadata, spec)
    own, data, kept = _copied(file, settings.adapters / FILES)
    told = {"consent": consent, "parents": tuple(parents), "samples": samples, "doubts": (*found, *doubts)}
    adapter = Adapter(
        name=name,
        title=metadata.get("modelspec.title") or metadata.get("ss_output_name") or file.stem,
        file=kept.name,
        sha256=own,
        data_sha256=data,
        base=spec.name,
        family=spec.family,
        trigger=tuple(trigger) or _named(parsed, metadata, name),
        licence=stated,
        scaling=scaling,
        metadata=metadata,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        owner=owner,
        **told,
        **_facts(parsed),
    )
    _record(adapter, settings)
    return adapter


def _may_add(file: Path, name: str, base: str, licence: str, settings: Settings) -> None:
    """Refuse a name that is taken, and a file without a licence."""
    if valid_name(name) in collection(settings.adapters):
        hint = f"fantascope adapters show {name}"
        raise InvalidValue(f"There is an adapter {name!r} already.", param="name", hint=hint)
    if not licence.strip() or licence.strip() in ("NONE", "NOASSERTION"):
        raise LicenceMissing(
            f"{file} comes without a licence, and an adapter without one is not added.",
            param="licence",
            hint=f"fantascope adapters add {file} --name {name} --base {base} --licence SPDX-ID",
        )


def _facts(parsed: Parsed) -> dict[str, Any]:
    """Return what a record says of an adapter's form."""
    return {
        "method": parsed.method,
        "ranks": parsed.ranks,
        "alpha": parsed.alpha,
        "parts": parsed.parts,
        "layers": len(parsed.deltas),
        "tokens": max((len(each) for each in parsed.vectors.values()), default=0),
    }


def _named(parsed: Parsed, metadata: dict[str, str], name: str) -> tuple[str, ...]:
    """Return the words that call for an adapter, as its file has them; a textual inversion always has one."""
    said = metadata.get("modelspec.trigger_phrase", "").strip()
    if parsed.vectors:
        return (parsed.word or said or name,)
    return tuple(word.strip() for word in said.split(",") if word.strip())


def _copied(file: Path, folder: Path) -> tuple[str, str, Path]:
    """Copy a file under its hash; return its sha256, that of its data without the header, and where it is."""
    whole, data = hashlib.sha256(), hashlib.sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        draft = folder / f".{uuid4().hex}.part"
        try:
            with file.open("rb") as source, draft.open("wb") as target:
                skip = 8 + int.from_bytes(source.read(8), "little")
                source.seek(0)
                while chunk := source.read(CHUNK):
                    whole.update(chunk)
                    data.update(chunk[skip:])
                    skip = max(0, skip - len(chunk))
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            SafeFile.open(draft)
            kept = folder / f"{whole.hexdigest()}.safetensors"
            draft.replace(kept)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error
    return whole.hexdigest(), data.hexdigest(), kept


def _clear(folder: Path) -> None:
    for left in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if left.stat().st_mtime < time.time() - STALE:
                left.unlink()


def _record(adapter: Adapter, settings: Settings) -> None:
    """Write a record: it appears whole, in one step, and takes nobody's place."""
    path = settings.adapters / f"{adapter.name}.json"
    draft = path.with_name(f".{adapter.name}-{uuid4().hex}.part")
    _clear(path.parent)
    try:
        draft.write_text(adapter.model_dump_json(indent=2), "utf-8")
        try:
            os.link(draft, path)
        except FileExistsError:
            raise InvalidValue(f"There is an adapter {adapter.name!r} already.", param="name") from None
        except OSError:  # a file system without hard links
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error


def change_adapter(name: str, settings: Settings, **changes: Any) -> Adapter:
    """Change fields of a record, such as `samples` or `owner`, in one step, and return it.

    Raises:
        UnknownName: there is none of this name.
        StorageError: the collection cannot be written; the record is as it was.
    """
    changed = find_adapter(name, settings.adapters).model_copy(update=changes)
    path = settings.adapters / f"{name}.json"
    draft = path.with_name(f".{name}-{uuid4().hex}.part")
    try:
        draft.write_text(changed.model_dump_json(indent=2), "utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error.strerror}.") from error
    return changed


def remove_adapter(name: str, settings: Settings) -> Path:
    """Forget an adapter, and delete its file unless another record names it; return the file.

    Raises:
        UnknownName: there is none of this name.
    """
    path = settings.adapters / f"{valid_name(name)}.json"
    if not path.is_file():
        find_adapter(name, settings.adapters)
    try:
        known = collection(settings.adapters)
        path.unlink()
        file = settings.adapters / FILES / (known[name].file if name in known else "none")
        if file.name not in {other.file for other in known.values() if other.name != name}:
            file.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be removed: {error.strerror}.") from error
    return file


def file_of(adapter: Adapter, settings: Settings) -> SafeFile:
    """Return the checked file of an adapter, held to the hash that it was added with.

    Raises:
        ModelNotFound: it is gone.
        BrokenModelFile: it is another file than the one that was added.
    """
    again = f"fantascope adapters remove {adapter.name}, then add it again"
    if not re.fullmatch(r"[0-9a-f]{64}\.safetensors", adapter.file):
        raise BrokenModelFile(f"The record of {adapter.name!r} names no file of the collection.", hint=again)
    path = settings.adapters / FILES / adapter.file
    if not path.is_file():
        raise ModelNotFound(f"The file of the adapter {adapter.name!r} is gone: {path}.", hint=again)
    opened = open_file(path)
    digest = sha256(path, settings)
    if digest != adapter.sha256:
        raise BrokenModelFile(
            f"{path} is not the file that {adapter.name!r} was added with: sha256 {digest[:16]}…, due is "
            f"{adapter.sha256[:16]}….",
            hint=again,
        )
    return opened


def load_adapter(adapter: Adapter, tree: Tree, settings: Settings) -> Parsed:
    """Return an adapter of the collection in normal form, for a base; see `file_of` and `adapter_read.parse`."""
    return parse(file_of(adapter, settings), tree, adapter.scaling)
