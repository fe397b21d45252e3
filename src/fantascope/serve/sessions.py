"""Sessions of browsers: a cookie instead of a token, opened by a link that works once, and good over a restart."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fantascope.errors import NotAuthorised, NotFound
from fantascope.serve.links import DAY
from fantascope.serve.people import Caller, People

LIFE = 30 * DAY
"""Seconds that a session lasts."""
CODE_LIFE = 300
"""Seconds that a login link works."""
LABEL = "browser"
"""Label of the tokens that are issued for sessions of people."""
MOST_CODES = 1000
MOST_SESSIONS = 1000

_PERSON = re.compile(r"([0-9a-f]{16})\.(fs-[A-Za-z0-9_-]{43})", re.ASCII)
_OPERATOR = re.compile(r"op\.([A-Za-z0-9_-]{43})", re.ASCII)


class Sessions:
    """Opens, knows and closes sessions.

    Of a person a session is a token of theirs, so the gallery keeps it, and whoever is disabled is out. Who runs the
    server has no token in the gallery: hashes of their sessions are in the file `sessions.json` beside the keys.

    Args:
        people: Who may ask.
        keys: Folder of the file, which is made with mode 0600.
        clock: Seconds since 1970.
    """

    def __init__(self, people: People, keys: Path, clock: Callable[[], float] = time.time) -> None:
        self._people, self._file, self._clock = people, keys / "sessions.json", clock
        self._codes: dict[str, tuple[float, Caller]] = {}
        self._guard = threading.Lock()
        self.cookie = "fantascope-" + hashlib.sha256(str(keys.resolve()).encode()).hexdigest()[:8]
        """Name of the cookie: browsers tell servers on one host apart by nothing else."""

    def code(self, caller: Caller) -> str:
        """Return a code that opens one session of a caller, once, within five minutes."""
        code, now = secrets.token_urlsafe(32), self._clock()
        with self._guard:
            self._codes = {name: one for name, one in self._codes.items() if one[0] > now}
            while len(self._codes) >= MOST_CODES:
                del self._codes[next(iter(self._codes))]
            self._codes[_digest(code)] = (now + CODE_LIFE, caller)
        return code

    def redeem(self, code: str) -> str:
        """Open the session of a code, and return the value of its cookie.

        Raises:
            NotAuthorised: the code is unknown, was used, or is too old.
        """
        with self._guard:
            until, caller = self._codes.pop(_digest(code), (0.0, None))
        if caller is None or until <= self._clock():
            raise NotAuthorised("This link was used, or is too old.", hint="fantascope studio")
        return self.begin(caller)

    def begin(self, caller: Caller) -> str:
        """Open a session and return the value of its cookie.

        Raises:
            StorageError: it cannot be kept.
        """
        if caller == self._people.operator:
            secret = secrets.token_urlsafe(32)
            with self._guard:
                self._write({**self._read(), _digest(secret): self._clock() + LIFE})
            return f"op.{secret}"
        token = self._people.register.issue(caller.account, LABEL, LIFE / DAY)
        return f"{self._people.register.token(token).id}.{token}"

    def caller(self, value: str) -> Caller:
        """Return whose session the value of a cookie is.

        Raises:
            NotAuthorised: nobody's, or it is over.
        """
        person = _PERSON.fullmatch(value)
        if person is not None:
            return self._people.caller(f"Bearer {person[2]}")
        operator = _OPERATOR.fullmatch(value)
        if operator is not None and self._read().get(_digest(operator[1]), 0.0) > self._clock() and not self._shut():
            return self._people.operator
        raise NotAuthorised("This session is over.", hint="Log in again.")

    def end(self, value: str) -> None:
        """Close a session. One that is over already stays so."""
        person, operator = _PERSON.fullmatch(value), _OPERATOR.fullmatch(value)
        if operator is not None:
            with self._guard:
                left = self._read()
                if left.pop(_digest(operator[1]), None) is not None:
                    self._write(left)
            return
        try:
            caller = self.caller(value)
        except NotAuthorised:
            return
        assert person is not None
        people = self._people.register
        if person[1] in {one.id for one in people.tokens(caller.account)}:
            people.revoke(person[1])

    def _shut(self) -> bool:
        """Say whether the operator's account is a person's who was disabled."""
        try:
            return self._people.register.get(self._people.operator.account).disabled
        except NotFound:
            return False

    def _read(self) -> dict[str, float]:
        """Return until when which sessions of the operator last; a file that is no such file holds none."""
        try:
            found: Any = json.loads(self._file.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: float(until) for name, until in found.items() if isinstance(until, (int, float))}

    def _write(self, sessions: dict[str, float]) -> None:
        """Keep them, whole or not at all, without those that are over."""
        now = self._clock()
        left = [one for one in sessions.items() if one[1] > now][-MOST_SESSIONS:]
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        staged = self._file.with_name(f"{self._file.name}.{secrets.token_hex(8)}")
        try:
            with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(dict(left), file)
            staged.replace(self._file)
        finally:
            staged.unlink(missing_ok=True)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
