"""People who may use a server: names, plans and tokens. A person's name is their account in ledger and gallery.

A token is random and told once; only its SHA-256 is kept, so whoever reads the database cannot use it.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery.plans import plan_of
from fantascope.gallery.records import Person, Token, moment, stamp
from fantascope.gallery.schema import Database
from fantascope.gallery.tables import people, tokens

PREFIX = "fs-"
"""What every token begins with, so that a secret scanner can find one that leaked."""
MAX_LABEL = 200
"""Longest label of a token, in characters."""
MAX_DAYS = 36_500.0
"""Longest time that a token is good for, in days."""
RESERVED = frozenset(
    ("admin", "administrator", "anonymous", "everybody", "everyone", "fantascope", "guest", "local", "me", "nobody")
    + ("none", "null", "operator", "public", "root", "self", "server", "system", "undefined")
)
"""Names nobody gets, beside the account of whoever runs this gallery."""

_TOKEN = re.compile(r"fs-[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_NONE = "0" * 64

Persons = list[Person]
Tokens = list[Token]


class People:
    """The people of a gallery's database; `Gallery.people` gives it. `account` is whoever runs the gallery."""

    def __init__(self, database: Database, clock: Callable[[], datetime], account: str) -> None:
        self._database, self._clock, self._account = database, clock, account

    def add(self, name: str, plan: str, *, operator: bool = False) -> Person:
        """Add a person.

        Args:
            name: 1 to 64 of `a-z 0-9 . _ -`; it is their account. The account that runs this gallery is an operator's.
            plan: Name of a plan (`plans.toml`), which their ledger follows.
            operator: Whether they may do what concerns others.

        Raises:
            InvalidValue: the name is none, reserved or taken.
            UnknownName: there is no such plan.
        """
        if not _NAME.fullmatch(name) or not name.strip("."):
            raise InvalidValue(f"{name!r} is no name: 1 to 64 of a-z, 0-9, dot, _ and -, not dots alone.", param="name")
        if name in RESERVED | {self._account} and not (operator and name == self._account):
            raise InvalidValue(f"The name {name!r} is reserved.", param="name", hint="Take another one.")
        new = Person(name, plan_of(plan).name, False, self._clock(), operator)
        row = {"name": name, "plan": new.plan, "disabled": 0, "operator": int(operator), "created": stamp(new.created)}
        with self._database.write() as tx:
            if tx.execute(sa.select(people.c.name).where(people.c.name == name)).first() is not None:
                raise InvalidValue(f"There is a person {name!r} already.", param="name", hint="Take another name.")
            tx.execute(people.insert().values(**row))
        return new

    def get(self, name: str) -> Person:
        """Return a person by name.

        Raises:
            NotFound: there is none.
        """
        with self._database.read() as tx:
            return _known(tx, name)

    def list(self) -> Persons:
        """Return everybody, by name."""
        with self._database.read() as tx:
            return [_person(row) for row in tx.execute(sa.select(people).order_by(people.c.name))]

    def change(
        self, name: str, plan: str | None = None, disabled: bool | None = None, *, operator: bool | None = None
    ) -> Person:
        """Change what is given and return the person as they are then.

        A plan's top-ups and rollover hold at once, its allowance from the next month on. Whoever is disabled has no
        good token until that is taken back; what they made stays.

        Raises:
            NotFound: there is no such person.
            UnknownName: there is no such plan.
        """
        told = {"plan": None if plan is None else plan_of(plan).name, "disabled": disabled, "operator": operator}
        given: dict[str, Any] = {key: value for key, value in told.items() if value is not None}
        with self._database.write() as tx:
            person = replace(_known(tx, name), **given)
            row = {"plan": person.plan, "disabled": int(person.disabled), "operator": int(person.operator)}
            tx.execute(people.update().where(people.c.name == name).values(**row))
        return person

    def issue(self, name: str, label: str = "", days: float | None = None) -> str:
        """Return a new token of a person. It is told this once and never again.

        Args:
            label: What it is for, at most 200 characters.
            days: How long it is good; None for as long as it is not revoked.

        Raises:
            NotFound: there is no such person.
            InvalidValue: label or days are out of range.
        """
        if len(label) > MAX_LABEL or not (label.isprintable()):
            raise InvalidValue(f"A label has at most {MAX_LABEL} characters that can be printed.", param="label")
        if days is not None and not (math.isfinite(days) and 0 < days <= MAX_DAYS):
            raise InvalidValue(
                f"A token is good for more than 0 and at most {MAX_DAYS:g} days, not {days!r}.", param="days"
            )
        token, now = new_token(), self._clock()
        expires = None if days is None else stamp(now + timedelta(days=days))
        row = {"id": os.urandom(8).hex(), "label": label, "digest": _digest(token), "created": stamp(now)}
        with self._database.write() as tx:
            _known(tx, name)
            tx.execute(tokens.insert().values(name=name, expires=expires, revoked=None, **row))
        return token

    def who(self, token: str) -> Person | None:
        """Return whose token this is; None for one that is unknown, expired, revoked or of somebody disabled.

        It is looked up by its hash, and what is found compared in constant time.
        """
        digest = _digest(token if _TOKEN.fullmatch(token) else "")
        query = sa.select(people, tokens.c.digest, tokens.c.expires, tokens.c.revoked)
        query = query.join(tokens, tokens.c.name == people.c.name).where(tokens.c.digest == digest)
        with self._database.read() as tx:
            row = tx.execute(query).first()
        same = hmac.compare_digest(digest, _NONE if row is None else row.digest)
        if row is None or not same or row.disabled or row.revoked is not None:
            return None
        return None if row.expires is not None and row.expires <= stamp(self._clock()) else _person(row)

    def token(self, token: str) -> Token:
        """Return what is known of a token, good or not, found by its hash.

        Raises:
            NotFound: nobody was ever given it.
        """
        with self._database.read() as tx:
            row = tx.execute(sa.select(tokens).where(tokens.c.digest == _digest(token))).first()
        if row is None:
            raise NotFound("Nobody was ever given this token.", param="token")
        return _token(row)

    def tokens(self, name: str) -> Tokens:
        """Return the tokens ever issued to a person, oldest first, without what would let anybody use them.

        Raises:
            NotFound: there is no such person.
        """
        query = sa.select(tokens).where(tokens.c.name == name).order_by(tokens.c.created, tokens.c.id)
        with self._database.read() as tx:
            _known(tx, name)
            return [_token(row) for row in tx.execute(query)]

    def revoke(self, token_id: str) -> Token:
        """Make a token useless from now on and return it. Doing it again changes nothing.

        Raises:
            NotFound: there is no token of this id.
        """
        with self._database.write() as tx:
            row = tx.execute(sa.select(tokens).where(tokens.c.id == token_id)).first()
            if row is None:
                raise NotFound(f"There is no token of the id {token_id!r}.", param="token")
            if row.revoked is not None:
                return _token(row)
            now = self._clock()
            tx.execute(tokens.update().where(tokens.c.id == token_id).values(revoked=stamp(now)))
        return replace(_token(row), revoked=now)


def new_token() -> str:
    """Return a token that nobody can guess: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def _known(tx: sa.Connection, name: str) -> Person:
    row = tx.execute(sa.select(people).where(people.c.name == name)).first()
    if row is None:
        raise NotFound(f"There is no person {name!r}.", param="name")
    return _person(row)


def _person(row: Any) -> Person:
    return Person(row.name, row.plan, bool(row.disabled), moment(row.created), bool(row.operator))


def _token(row: Any) -> Token:
    expires, revoked = (None if at is None else moment(at) for at in (row.expires, row.revoked))
    return Token(row.id, row.name, row.label, moment(row.created), expires, revoked)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
