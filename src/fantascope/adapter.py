"""Adapters: small files of weights that change a model, and the record that the collection keeps of each."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fantascope.errors import InvalidValue, UnknownName
from fantascope.spec import Family, Licence

log = logging.getLogger(__name__)

Method = Literal["lora", "locon", "loha", "lokr", "dora", "full", "mixed", "textual-inversion"]
"""`locon` is LoRA with convolutions, `full` whole differences of weights; `mixed` has several kinds in one file."""

FILES = "files"
"""Folder beside the records that holds the files, each named by its sha256."""


class Adapter(BaseModel):
    """One adapter of the collection, frozen.

    Attributes:
        name: What requests call it.
        title: Its own title, or the name of the file it came as.
        file: Name of the file in the collection: its sha256 and `.safetensors`.
        sha256: Of the whole file.
        data_sha256: Of the file without its header: A1111's and kohya's hash, which does not change with metadata.
        base: Name of the Spec whose layers it was checked against.
        family: Family of that Spec: models of the same one can take it.
        method: How it changes weights.
        ranks: Every rank in it, rising; empty where there is none.
        alpha: The alpha all its layers have, None where they differ or have none.
        parts: Networks it changes: `unet`, `text_encoder`, `text_encoder_2`.
        layers: How many layers it changes.
        trigger: Words that call for what it learned.
        tokens: Of a textual inversion: how many vectors stand for its word.
        licence: What it may be used for.
        doubts: Where the file, or its base's licence, says something else than `licence`.
        consent: What was said of the consent of people or authors shown in its training pictures.
        parents: What it was made from: adapters, pictures.
        samples: Artifact id of a grid of sample pictures.
        scaling: What a peft configuration beside or inside the file says of alpha; empty where it says nothing.
        metadata: The file's metadata, as read.
        created: When it was added, ISO 8601, UTC.
        owner: Account whose it is, as an artifact has owners; empty where it is everybody's of the installation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    file: str
    sha256: str
    data_sha256: str
    base: str
    family: Family
    method: Method
    ranks: tuple[int, ...] = ()
    alpha: float | None = None
    parts: tuple[str, ...]
    layers: int
    trigger: tuple[str, ...] = ()
    tokens: int = 0
    licence: Licence
    doubts: tuple[str, ...] = ()
    consent: str = ""
    parents: tuple[str, ...] = ()
    samples: str | None = None
    scaling: dict[str, dict[str, float | bool | dict[str, float]]] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    created: str = ""
    owner: str = ""

    def __hash__(self) -> int:
        return hash((self.name, self.sha256))

    def seen_by(self, account: str | None) -> bool:
        """Say whether an account sees and uses it; None is who runs the installation, and sees all."""
        return account is None or self.owner in ("", account)

    @property
    def kind(self) -> str:
        """What `method` and `ranks` say, for people: `lora, rank 8`."""
        if not self.ranks:
            return self.method
        low, high = self.ranks[0], self.ranks[-1]
        return f"{self.method}, rank {low}" if low == high else f"{self.method}, ranks {low} to {high}"


def read_adapter(path: Path) -> Adapter:
    """Read one record.

    Raises:
        InvalidValue: the file is no record of an adapter.
    """
    try:
        return Adapter.model_validate_json(path.read_text("utf-8"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidValue(f"{path} is no record of an adapter: {where}: {first['msg']}.", param="adapters") from error
    except (OSError, ValueError) as error:
        raise InvalidValue(f"{path} is no record of an adapter: {error}.", param="adapters") from error


def collection(folder: Path, account: str | None = None) -> dict[str, Adapter]:
    """Return the adapters of a collection by name; a record that cannot be read is left out with a warning.

    Args:
        account: Who asks: others' own are left out. None is who runs the installation.
    """
    found: dict[str, Adapter] = {}
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        try:
            adapter = read_adapter(path)
        except InvalidValue as error:
            log.warning("%s Remove it: fantascope adapters remove %s", error.message, path.stem)
            continue
        if adapter.name != path.stem:
            log.warning("%s takes the name %r and is left out.", path, adapter.name)
        elif adapter.seen_by(account):
            found[adapter.name] = adapter
    return found


def find_adapter(name: str, folder: Path, account: str | None = None) -> Adapter:
    """Return the adapter of this name. Raises as `find_adapters`."""
    return find_adapters((name,), folder, account)[0]


def find_adapters(names: Iterable[str], folder: Path, account: str | None = None) -> list[Adapter]:
    """Return the adapters of these names: the folder is listed once, and their records alone are read.

    Args:
        account: As of `collection`: what is another's is not there.

    Raises:
        UnknownName: there is none of one name; the nearest names are offered.
        InvalidValue: a record cannot be read.
    """
    known = {path.stem: path for path in folder.glob("*.json")}
    found = []
    for name in names:
        adapter = read_adapter(known[name]) if name in known else None
        if adapter is None or not adapter.seen_by(account):
            offered = known if account is None else collection(folder, account)
            raise UnknownName("adapter", name, offered, param="adapters", hint="fantascope adapters list")
        if adapter.name != name:
            raise InvalidValue(f"{known[name]} is the record of {adapter.name!r}.", param="adapters")
        found.append(adapter)
    return found
