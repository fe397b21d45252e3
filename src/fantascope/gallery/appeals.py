"""What was refused, what was said against it, and what the operator decided: rows that are added and never changed.

This module neither signs nor checks: who decides signs, and whoever uses a decision has to check the signature.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery.records import Decision, Refusal, moment, stamp
from fantascope.gallery.schema import Database
from fantascope.gallery.tables import appeals, decisions, next_seq, refusals

MAX_WHY = 4000
"""Longest reason of an appeal or a decision, characters."""


class Refusals:
    """The log of refusals in a gallery's database; `Gallery.refusals` gives it. With `account`, of that one alone."""

    def __init__(self, database: Database, clock: Callable[[], datetime], account: str | None = None) -> None:
        self._database, self._clock, self._account = database, clock, account

    def record(self, refusal: Refusal) -> Refusal:
        """Log a refusal and return it with its id and time. The log of one account takes its own alone.

        Raises:
            InvalidValue: it is another account's.
            StorageError: it cannot be written.
        """
        if self._account not in (None, refusal.account):
            raise InvalidValue(f"This is the log of {self._account!r}, not of {refusal.account!r}.", param="account")
        new = replace(refusal, id=os.urandom(4).hex(), at=self._clock())
        body = asdict(new)
        for name in ("id", "at", "account", "rule", "scope", "appeal", "decision"):
            del body[name]
        row = {"id": new.id, "account": new.account, "rule": new.rule, "scope": new.scope, "refused": stamp(new.at)}
        with self._database.write() as tx:
            tx.execute(refusals.insert().values(seq=next_seq(refusals), body=json.dumps(body), **row))
        return new

    def get(self, id: str) -> Refusal:
        """Return a refusal by its id.

        Raises:
            NotFound: there is none.
        """
        for one in self._select(refusals.c.id == id.lower()):
            return one
        raise NotFound(f"There is no refusal {id!r}.", param="id", hint="fantascope policy refusals")

    def newest(self, limit: int, *, appealed: bool = False) -> list[Refusal]:
        """Return the newest refusals, newest first; only those appealed against and not decided, if `appealed`."""
        found = self._select(appeals.c.refusal.is_not(None)) if appealed else self._select()
        return [one for one in found if not appealed or one.decision is None][:limit]

    def appeal(self, id: str, why: str) -> Refusal:
        """Record what is said against a refusal.

        Raises:
            NotFound: there is no such refusal.
            InvalidValue: nothing is said, too much, or an appeal was made before.
        """
        refusal = self.get(id)
        if refusal.appeal is not None:
            raise InvalidValue(f"Refusal {refusal.id} was appealed against before: {refusal.appeal}", param="id")
        with self._database.write() as tx:
            tx.execute(appeals.insert().values(refusal=refusal.id, why=_said(why), appealed=stamp(self._clock())))
        return replace(refusal, appeal=why)

    def decide(self, id: str, allow: bool, why: str, sign: Callable[[bytes], str]) -> Decision:
        """Record a signed decision of an appeal; a later one of the same refusal takes its place.

        Raises:
            NotFound: there is no such refusal.
            InvalidValue: nobody appealed, or no reason is given.
        """
        refusal = self.get(id)
        if refusal.appeal is None:
            raise InvalidValue(
                f"Nobody appealed against refusal {refusal.id}.",
                param="id",
                hint=f'fantascope policy appeal {refusal.id} "why"',
            )
        draft = Decision(os.urandom(4).hex(), refusal.id, refusal.rule, refusal.scope, allow, _said(why), self._clock())
        made = replace(draft, signature=sign(draft.statement()))
        row = asdict(made) | {"allow": int(made.allow), "decided": stamp(made.at)}
        del row["at"]
        with self._database.write() as tx:
            tx.execute(decisions.insert().values(seq=next_seq(decisions), **row))
        return made

    def decided(self, rule: str, scope: str) -> Decision | None:
        """Return the newest decision of exactly this scope under exactly this rule."""
        mine = sa.select(decisions).where(decisions.c.rule == rule, decisions.c.scope == scope)
        with self._database.read() as tx:
            row = tx.execute(mine.order_by(decisions.c.seq.desc()).limit(1)).first()
        return None if row is None else _decision(row)

    def _select(self, *where: sa.ColumnElement[bool]) -> list[Refusal]:
        latest = (
            sa.select(decisions.c.id)
            .where(decisions.c.refusal == refusals.c.id)
            .order_by(decisions.c.seq.desc())
            .limit(1)
            .correlate(refusals)
            .scalar_subquery()
        )
        rows = (
            sa.select(refusals, appeals.c.why.label("why"), latest.label("decision"))
            .outerjoin(appeals, appeals.c.refusal == refusals.c.id)
            .where(*where)
            .order_by(refusals.c.seq.desc())
        )
        if self._account is not None:
            rows = rows.where(refusals.c.account == self._account)
        with self._database.read() as tx:
            return [_refusal(row) for row in tx.execute(rows)]


def _refusal(row: Any) -> Refusal:
    body = json.loads(row.body)
    body["words"] = tuple(body["words"])
    return Refusal(
        id=row.id,
        at=moment(row.refused),
        account=row.account,
        rule=row.rule,
        scope=row.scope,
        appeal=row.why,
        decision=row.decision,
        **body,
    )


def _decision(row: Any) -> Decision:
    facts = {name: getattr(row, name) for name in ("id", "refusal", "rule", "scope", "why", "signature")}
    return Decision(allow=bool(row.allow), at=moment(row.decided), **facts)


def _said(why: str) -> str:
    said = why.replace("\0", "").strip()
    if not said or len(why) > MAX_WHY:
        raise InvalidValue(f"A reason has 1 to {MAX_WHY} characters.", param="why")
    return said
