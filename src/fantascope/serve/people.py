"""Who asks: tokens become callers, and every caller has a studio that sees what is theirs and nothing else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fantascope.errors import NotAuthorised

if TYPE_CHECKING:
    from fantascope.gallery.people import People as Register
    from fantascope.studio import Studio

STUDIOS = 64
"""Studios of callers that are kept; they share engines, so one more costs little."""


@dataclass(frozen=True)
class Caller:
    """Somebody with a good token: the account that is charged, its plan, and whether they run this server."""

    account: str
    plan: str
    operator: bool = False


class People:
    """Knows callers by their tokens.

    Args:
        studio: The studio of the operator.
        token: A token of the operator for this run of the server, beside those in the gallery.
    """

    def __init__(self, studio: Studio, token: str | None = None) -> None:
        self._studio = studio
        self._own = hashlib.sha256(token.encode()).digest() if token else None
        self._studios: OrderedDict[tuple[str, str, bool], Studio] = OrderedDict()
        self._guard = threading.Lock()

    @property
    def register(self) -> Register:
        """Names, plans and tokens of the people of the gallery."""
        return self._studio.gallery.people

    @property
    def operator(self) -> Caller:
        """The account of who started the server."""
        told = self._studio.settings
        return Caller(told.user, told.plan, operator=True)

    def caller(self, authorization: str | None) -> Caller:
        """Return who sent an `Authorization` header: `Bearer TOKEN`, or `Basic` with the token as its password.

        Raises:
            NotAuthorised: there is none, or it is unknown, expired or revoked; the message does not say which.
        """
        token = _token_of(authorization)
        if token is None:
            raise NotAuthorised("A token is needed.", hint="Send the header Authorization: Bearer TOKEN.")
        if self._own is not None and hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._own):
            return self.operator
        person = self._studio.gallery.people.who(token)
        if person is None:
            raise NotAuthorised("This token is not good here.", hint="fantascope serve users issue NAME")
        return Caller(person.name, person.plan, person.operator)

    def studio(self, caller: Caller) -> Studio:
        """Return the studio of a caller: their pictures, their ledger, the rules of their plan.

        Who runs the server sees everybody's adapters; others see their own and the shared ones.
        """
        key = (caller.account, caller.plan, caller.operator)
        with self._guard:
            studio = self._studios.pop(key, None)
            if studio is None:
                studio = self._studio.of(caller.account, caller.plan, guest=not caller.operator)
            self._studios[key] = studio
            while len(self._studios) > STUDIOS:
                self._studios.popitem(last=False)[1].close()
        return studio


def _token_of(authorization: str | None) -> str | None:
    """Return the token in a header, or None where there is none that could be one."""
    scheme, _, rest = (authorization or "").partition(" ")
    rest = rest.strip()
    if scheme.lower() == "bearer" and rest:
        return rest
    if scheme.lower() == "basic" and rest:
        try:
            return base64.b64decode(rest, validate=True).decode("utf-8").partition(":")[2] or None
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None
