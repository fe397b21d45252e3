"""Settings: the only module that reads the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from fantascope.errors import InvalidValue

APP = "fantascope"


@dataclass(frozen=True)
class Settings:
    """Where things are and how many threads may work.

    Attributes:
        home: Everything the studio keeps lives under it (`FANTASCOPE_HOME`).
        model: Name of the Spec used when a request names none (`FANTASCOPE_MODEL`).
        threads: Threads of the numeric runtimes; 0 lets them choose (`FANTASCOPE_THREADS`).
        user: Whose ledger is charged (`FANTASCOPE_USER`).
        plan: Plan of that user when the ledger first meets them (`FANTASCOPE_PLAN`).
        offline: Never ask a model hub (`FANTASCOPE_OFFLINE` or `HF_HUB_OFFLINE`).
        runtime: `openvino` or `onnxruntime` for the graph engine, empty lets it choose (`FANTASCOPE_RUNTIME`).
        commercial: Whether what is made is used commercially; None where nobody said (`FANTASCOPE_COMMERCIAL`).
        rules: An organisation's own rules, which add to those that ship (`FANTASCOPE_RULES`).
        rules_loosen: Whether they may also loosen them (`FANTASCOPE_RULES_LOOSEN`).
        language_url: Address of an OpenAI-compatible API, up to `/v1`, that is asked for instructions the grammar does
            not understand; empty asks nobody (`FANTASCOPE_LANGUAGE_URL`).
        language_model: The model named to it (`FANTASCOPE_LANGUAGE_MODEL`).
        language_key: The key sent to it (`FANTASCOPE_LANGUAGE_KEY`).
        database: SQLAlchemy URL of a PostgreSQL database for the gallery's index, its ledger and the server's jobs;
            empty keeps them in files under `home` (`FANTASCOPE_DATABASE`).
        guest: Whether `user` is somebody who does not run the installation: only what is shared or theirs is seen then.
        token: Token of the operator of a server; empty has one made at every start (`FANTASCOPE_TOKEN`).
    """

    home: Path = field(default_factory=lambda: default_home())
    model: str = "embedded"
    threads: int = 0
    user: str = "local"
    plan: str = "local"
    offline: bool = False
    runtime: str = ""
    commercial: bool | None = None
    rules: Path | None = None
    rules_loosen: bool = False
    language_url: str = ""
    language_model: str = ""
    language_key: str = field(default="", repr=False)
    database: str = field(default="", repr=False)
    guest: bool = False
    token: str = field(default="", repr=False)

    @classmethod
    def from_env(cls) -> Settings:
        """Read the environment.

        Raises:
            InvalidValue: a variable holds what it may not; `param` names it.
        """
        env = os.environ
        home = env.get("FANTASCOPE_HOME")
        return cls(
            home=Path(home).expanduser().absolute() if home else default_home(),
            model=env.get("FANTASCOPE_MODEL", "embedded"),
            threads=_integer("FANTASCOPE_THREADS", 0),
            user=env.get("FANTASCOPE_USER", "local"),
            plan=env.get("FANTASCOPE_PLAN", "local"),
            offline=_flag("FANTASCOPE_OFFLINE") or _flag("HF_HUB_OFFLINE"),
            runtime=_choice("FANTASCOPE_RUNTIME", ("", "openvino", "onnxruntime")),
            commercial=_flag("FANTASCOPE_COMMERCIAL") if env.get("FANTASCOPE_COMMERCIAL") else None,
            rules=Path(own).expanduser().absolute() if (own := env.get("FANTASCOPE_RULES")) else None,
            rules_loosen=_flag("FANTASCOPE_RULES_LOOSEN"),
            language_url=env.get("FANTASCOPE_LANGUAGE_URL", ""),
            language_model=env.get("FANTASCOPE_LANGUAGE_MODEL", ""),
            language_key=env.get("FANTASCOPE_LANGUAGE_KEY", ""),
            database=env.get("FANTASCOPE_DATABASE", ""),
            token=env.get("FANTASCOPE_TOKEN", ""),
        )

    @property
    def sees(self) -> str | None:
        """Whose adapters are seen beside the shared ones; None sees all."""
        return self.user if self.guest else None

    @property
    def gallery(self) -> Path:
        """Folder of the gallery: `gallery.db` and the content-addressed files."""
        return self.home / "gallery"

    @property
    def models(self) -> Path:
        """Folder of the Specs that the user added."""
        return self.home / "models"

    @property
    def adapters(self) -> Path:
        """Folder of the adapters that were added: their records, and their files."""
        return self.home / "adapters"

    @property
    def wildcards(self) -> Path:
        """Folder of the text files that `__name__` in a dynamic prompt is drawn from."""
        return self.home / "wildcards"

    @property
    def keys(self) -> Path:
        """Folder of the signing key and certificates, mode 0700."""
        return self.home / "keys"

    @property
    def judges(self) -> Path:
        """Folder of the picture classifier, once it was installed."""
        return self.home / "judges"

    @property
    def jobs(self) -> Path:
        """Folder of the server's jobs: their database, and the lock of the server that works on them."""
        return self.home / "jobs"

    @property
    def cache(self) -> Path:
        """Folder of what can be made again: compiled graphs."""
        return self.home / "cache"


def default_home() -> Path:
    """Return the platform's data folder for this program (XDG, macOS, Windows)."""
    import sys

    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / APP
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / APP
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / APP


def _integer(name: str, default: int) -> int:
    value = os.environ.get(name)
    if value is None or value == "":
        return default
    try:
        number = int(value)
    except ValueError:
        number = -1
    if number < 0:
        raise InvalidValue(f"{name} must be a whole number from 0 on, not {value!r}.", param=name)
    return number


def _flag(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def _choice(name: str, allowed: tuple[str, ...]) -> str:
    value = os.environ.get(name, "")
    if value not in allowed:
        raise InvalidValue(f"{name} must be one of {', '.join(allowed[1:])}, not {value!r}.", param=name)
    return value
