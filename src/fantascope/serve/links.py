"""Addresses that work without a token for a while: signed, expiring, for one file of one account."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from fantascope.errors import AccessDenied, NotFound

DAY = 24 * 3600
LIFE = 3600
"""Seconds an address works, as those of the OpenAI API do."""


class Links:
    """Signs and checks addresses with a secret of this studio (HMAC-SHA256).

    Args:
        keys: Folder of the secret, `links.key`, made with mode 0600 when it is not there.
        clock: Seconds since 1970.
    """

    def __init__(self, keys: Path, clock: Callable[[], float] = time.time) -> None:
        self._secret, self._clock = _secret(keys / "links.key"), clock

    def path(self, account: str, artifact: str, life: int = LIFE) -> str:
        """Return the path and query of an address for an artifact that an account owns."""
        until = int(self._clock()) + life
        name, signature = artifact.removeprefix("sha256:"), self._sign(account, artifact, until)
        return f"/files/{name}?for={account}&until={until}&sig={signature}"

    def check(self, account: str, artifact: str, until: str, signature: str) -> None:
        """Pass, or raise.

        Raises:
            NotFound: it was not signed here.
            AccessDenied: its time is over.
        """
        good = until.isascii() and until.isdigit() and len(until) <= 12
        expected = self._sign(account, artifact, int(until) if good else 0)
        if not good or not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
            raise NotFound("There is nothing at this address.")
        if int(until) < self._clock():
            raise AccessDenied("This address has expired.", hint="Ask for the picture again.")

    def _sign(self, account: str, artifact: str, until: int) -> str:
        said = f"{account}\n{artifact.removeprefix('sha256:')}\n{until}".encode()
        return base64.urlsafe_b64encode(hmac.digest(self._secret, said, hashlib.sha256)).decode().rstrip("=")


def _secret(path: Path) -> bytes:
    """Read the secret, or make one, whole or not at all."""
    if not path.is_file():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
            os.fsync(file.fileno())
        try:
            staged.rename(path) if not path.exists() else staged.unlink()
        except OSError:
            staged.unlink(missing_ok=True)
    return path.read_bytes()
