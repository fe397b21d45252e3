"""Rows of the index: which artifacts there are, their receipts, whose parents they are, and who owns them.

What is asked for an account is answered from what it owns alone; what it did not make itself has neither receipt nor
words for it. Asked for nobody (`account` None), everything is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from fantascope.artifact import Artifact
from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery.records import moment, stamp
from fantascope.gallery.tables import artifacts, looks, next_seq, owners, parents, receipts
from fantascope.receipt import canonical

MIN_PREFIX = 6
_LIVE = artifacts.c.removed.is_(None)
_WRITTEN = ("width", "height", "task", "receipt_id", "prompt", "folded", "model", "seed")
"""What is erased when an artifact is removed."""
_WORDS = ("receipt_id", "prompt", "folded", "model", "seed")
"""What only those see who made an artifact."""


@dataclass(frozen=True)
class Filters:
    """What a listing is limited to; every word of `text` must stand in the prompt, in any order and case.

    Kept at `since` or later, and before `until`: both with a time zone.

    Raises:
        InvalidValue: `until` is not after `since`, or one of them has no time zone.
    """

    text: str | None = None
    model: str | None = None
    seed: int | None = None
    receipt_id: str | None = None
    given: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            told = getattr(self, name)
            if told is not None and told.tzinfo is None:
                raise InvalidValue(f"{name} needs a time zone.", param=name)
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidValue(
                f"until ({stamp(self.until)}) is not after since ({stamp(self.since)}): nothing can be between.",
                param="until",
                hint="until is the first moment that is left out.",
            )


def add(
    tx: sa.Connection, artifact: Artifact, size: tuple[int, int] | None, now: datetime, task: str | None = None
) -> None:
    """Add an artifact; one that is there already stays as it is, unless it was removed or has no receipt yet."""
    known = tx.execute(sa.select(artifacts).where(artifacts.c.id == artifact.id)).first()
    row = _describe(artifact, size)
    if task is not None and artifact.receipt is None:
        row["task"] = task
    if known is None:
        tx.execute(artifacts.insert().values(seq=next_seq(artifacts), id=artifact.id, kept=stamp(now), **row))
    elif known.removed is not None or (known.receipt_id is None and artifact.receipt is not None):
        row |= {"removed": None, "kept": stamp(now)}
        tx.execute(artifacts.update().where(artifacts.c.id == artifact.id).values(**row))
    else:
        return
    if artifact.receipt is not None:
        body = canonical(artifact.receipt.dump()).decode()
        tx.execute(receipts.insert().values(artifact=artifact.id, body=body))
        for parent in dict.fromkeys(artifact.receipt.parents):
            tx.execute(parents.insert().values(child=artifact.id, parent=parent))


def find(tx: sa.Connection, ref: str, account: str | None = None) -> Any:
    """Return the row of the artifact that `ref` names: `sha256:…`, or 6 or more hex digits of id or receipt.

    Raises:
        NotFound: nothing here has that id, it was removed, or the account does not own it.
        InvalidValue: too short, or several artifacts fit; the message lists them.
    """
    digits = ref.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]*", digits):
        raise NotFound(f"{ref!r} is no id: ids are hex digits.", param="id", hint="fantascope gallery list")
    if len(digits) < MIN_PREFIX:
        raise InvalidValue(f"{ref!r} is too short: give at least {MIN_PREFIX} hex digits of an id.", param="id")
    # By range, which every database can answer from an index; `g` follows the hex digits.
    span = {"id": f"sha256:{digits}", "ids": f"sha256:{digits}g"} | me(account)
    also_receipts = not ref.strip().lower().startswith("sha256:")
    if also_receipts:
        span |= {"receipt": digits, "receipts": digits + "g"}
    rows = tx.execute(_named(account is not None, also_receipts), span).all()
    live = [row for row in rows if row.removed is None]
    if len(live) == 1:
        return live[0]
    if len(live) > 1:
        fits = ", ".join(row.id[7:23] for row in live[:10]) + (" …" if len(live) > 10 else "")
        raise InvalidValue(
            f"{ref!r} fits {len(live)} artifacts: {fits}.", param="id", hint="Give more digits of the id."
        )
    if rows:
        raise NotFound(f"{rows[0].id} was removed on {moment(rows[0].removed):%Y-%m-%d %H:%M} UTC.", param="id")
    raise NotFound(f"There is no artifact {ref!r} in this gallery.", param="id", hint="fantascope gallery list")


def media_type_of(tx: sa.Connection, artifact: str) -> str | None:
    """Return what an artifact's bytes are, or None when it is not here or was removed."""
    return tx.execute(sa.select(artifacts.c.media_type).where(artifacts.c.id == artifact, _LIVE)).scalar()


def listing(
    tx: sa.Connection, limit: int, before: str | None, filters: Filters, account: str | None = None
) -> list[Any]:
    """Return the newest rows that fit, newest first; `before` is the last id of the page before this one."""
    seen = seen_by(account)
    query = narrowed(sa.select(seen), seen, filters).order_by(seen.c.seq.desc()).limit(limit)
    if before is not None:
        at = tx.execute(sa.select(seen.c.seq).where(seen.c.id == before), me(account)).scalar()
        if at is None:
            at = find(tx, before, account).seq
        query = query.where(seen.c.seq < at)
    return list(tx.execute(query, me(account)).all())


def narrowed(query: sa.Select[Any], seen: sa.FromClause, filters: Filters) -> sa.Select[Any]:
    """Limit a query of what somebody sees to pictures of their own (a mask belongs to an edit) that fit the filters."""
    query = query.where(seen.c.removed.is_(None), sa.or_(seen.c.task.is_(None), seen.c.task != "mask"))
    for word in _fold(filters.text).split() if filters.text is not None else ():
        query = query.where(seen.c.folded.contains(word, autoescape=True))
    if filters.seed is not None and abs(filters.seed) >= 2**63:
        return query.where(sa.false())  # no database has a column for it
    for column in ("model", "seed", "receipt_id"):
        wanted = getattr(filters, column)
        if wanted is not None:
            query = query.where(seen.c[column] == wanted)
    if filters.given is not None:
        given = seen.c.receipt_id.is_(None)
        query = query.where(given if filters.given else sa.not_(given))
    if filters.since is not None:
        query = query.where(seen.c.kept >= stamp(filters.since))
    if filters.until is not None:
        query = query.where(seen.c.kept < stamp(filters.until))
    return query


def receipt_body(tx: sa.Connection, artifact: str, account: str | None = None) -> str | None:
    """Return the receipt of an artifact as JSON, or None for one that was given, or that somebody else made."""
    return tx.execute(_body(account is not None), {"id": artifact} | me(account)).scalar()


def children(tx: sa.Connection, parent: str, account: str | None = None) -> list[str]:
    """Return the live artifacts that were made from this one, oldest first; for an account those it made."""
    query = sa.select(artifacts.c.id).join(parents, parents.c.child == artifacts.c.id)
    if account is not None:
        query = query.join(owners, owners.c.artifact == artifacts.c.id)
        query = query.where(owners.c.account == account, owners.c.made == 1)
    rows = tx.execute(query.where(parents.c.parent == parent, _LIVE).order_by(artifacts.c.seq))
    return [row.id for row in rows]


def own(tx: sa.Connection, artifact: Artifact, account: str, task: str | None, now: datetime) -> None:
    """Make an account an owner. Who keeps an artifact with its receipt has made it; `task` is for one handed in."""
    mine = (owners.c.artifact == artifact.id, owners.c.account == account)
    known = tx.execute(sa.select(owners.c.made).where(*mine)).scalar()
    made = artifact.receipt is not None
    if known is not None and (known or not made):
        return
    said = artifact.receipt.request.get("task") if artifact.receipt is not None else task
    row = {"seq": next_seq(owners), "made": int(made), "task": said, "kept": stamp(now)}
    if known is None:
        tx.execute(owners.insert().values(artifact=artifact.id, account=account, **row))
    else:
        tx.execute(owners.update().where(*mine).values(**row))


def disown(tx: sa.Connection, artifact: str, account: str, now: datetime) -> bool:
    """Take ownership away and say whether nobody owns the artifact now: then it is buried.

    Where only accounts are left that did not make it, its receipt and words go with the one who did.
    """
    tx.execute(looks.delete().where(looks.c.artifact == artifact, looks.c.account == account))
    tx.execute(owners.delete().where(owners.c.artifact == artifact, owners.c.account == account))
    rest = sa.select(owners.c.made, owners.c.task).where(owners.c.artifact == artifact).order_by(owners.c.seq)
    left = tx.execute(rest).all()
    if not left:
        bury(tx, artifact, now)
    elif not any(row.made for row in left):
        _forget(tx, artifact, dict.fromkeys(_WORDS) | {"task": left[0].task})
    return not left


def bury(tx: sa.Connection, artifact: str, now: datetime) -> None:
    """Leave a tombstone: id, size and times stay, what a person wrote and what it was made with go."""
    for table in (looks, owners):
        tx.execute(table.delete().where(table.c.artifact == artifact))
    _forget(tx, artifact, dict.fromkeys(_WRITTEN) | {"removed": stamp(now)})


def everything(tx: sa.Connection) -> Iterator[Any]:
    """Yield every live row with its receipt's `body`, oldest first."""
    joined = artifacts.outerjoin(receipts, receipts.c.artifact == artifacts.c.id)
    query = sa.select(artifacts, receipts.c.body).select_from(joined).where(_LIVE).order_by(artifacts.c.seq)
    yield from tx.execute(query)


def whereabouts(tx: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (id, media type) of everything that is here."""
    for row in tx.execute(sa.select(artifacts.c.id, artifacts.c.media_type).where(_LIVE)):
        yield row.id, row.media_type


def check(tx: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (artifact, what is wrong) of everything that its owners do not agree with."""
    kept = sa.select(owners.c.artifact, sa.func.max(owners.c.made).label("made")).group_by(owners.c.artifact).subquery()
    joined = artifacts.outerjoin(kept, kept.c.artifact == artifacts.c.id)
    query = sa.select(artifacts.c.id, artifacts.c.removed, artifacts.c.receipt_id, kept.c.made).select_from(joined)
    for row in tx.execute(query.order_by(artifacts.c.seq)):
        if row.removed is None and row.made is None:
            yield row.id, "nobody owns it"
        elif row.removed is not None and row.made is not None:
            yield row.id, "it was removed and has an owner"
        elif row.receipt_id is not None and row.made == 0:
            yield row.id, "it has a receipt and none of its owners made it"
    mine = (owners.c.artifact == looks.c.artifact) & (owners.c.account == looks.c.account)
    for row in tx.execute(sa.select(looks.c.artifact).where(~sa.exists().where(mine))):
        yield row.artifact, "a search may find it for somebody who does not own it"
    lost = sa.select(owners.c.artifact).where(owners.c.artifact.not_in(sa.select(artifacts.c.id)))
    for row in tx.execute(lost):
        yield row.artifact, "it has an owner and the index does not know it"


def seen_by(account: str | None) -> sa.FromClause:
    """Return the artifacts as an account (named by `me`) sees them: its own ones, in the order it got them."""
    return artifacts if account is None else _own()


@cache
def _own() -> sa.FromClause:
    mine = ("seq", "task", "kept")
    columns = [column for column in artifacts.columns if column.name not in (*_WORDS, *mine)]
    words = [sa.case((owners.c.made == 1, artifacts.c[name])).label(name) for name in _WORDS]
    query = sa.select(*columns, *words, *(owners.c[name] for name in mine))
    query = query.join(owners, owners.c.artifact == artifacts.c.id)
    return query.where(owners.c.account == sa.bindparam("me"), _LIVE).subquery("seen")


@cache
def _named(scoped: bool, also_receipts: bool) -> sa.Select[Any]:
    """Select what first digits name, by ranges that an index answers: `id` to `ids`, and `receipt` to `receipts`."""
    receipt = sa.and_(
        artifacts.c.receipt_id >= sa.bindparam("receipt"), artifacts.c.receipt_id < sa.bindparam("receipts")
    )
    if not scoped:
        named: Any = sa.and_(artifacts.c.id >= sa.bindparam("id"), artifacts.c.id < sa.bindparam("ids"))
        query = sa.select(artifacts).where(sa.or_(named, receipt) if also_receipts else named)
        return query.order_by(artifacts.c.seq).limit(101)
    seen, mine = _own(), owners.c.account == sa.bindparam("me")
    ids: Any = sa.select(owners.c.artifact).where(
        mine, owners.c.artifact >= sa.bindparam("id"), owners.c.artifact < sa.bindparam("ids")
    )
    if also_receipts:
        made = sa.select(artifacts.c.id).join(owners, owners.c.artifact == artifacts.c.id)
        ids = ids.union(made.where(receipt, mine, owners.c.made == 1))
    return sa.select(seen).where(seen.c.id.in_(ids)).order_by(seen.c.seq).limit(101)


@cache
def _body(scoped: bool) -> sa.Select[Any]:
    query = sa.select(receipts.c.body).where(receipts.c.artifact == sa.bindparam("id"))
    if scoped:
        query = query.join(owners, owners.c.artifact == receipts.c.artifact)
        query = query.where(owners.c.account == sa.bindparam("me"), owners.c.made == 1)
    return query


def me(account: str | None) -> dict[str, Any]:
    """Return what names an account to a statement."""
    return {} if account is None else {"me": account}


def _forget(tx: sa.Connection, artifact: str, gone: dict[str, Any]) -> None:
    """Delete the receipt of an artifact, what it says of parents, and these columns."""
    tx.execute(parents.delete().where(parents.c.child == artifact))
    tx.execute(receipts.delete().where(receipts.c.artifact == artifact))
    tx.execute(artifacts.update().where(artifacts.c.id == artifact).values(**gone))


def _describe(artifact: Artifact, size: tuple[int, int] | None) -> dict[str, Any]:
    """Return the columns that follow from an artifact; `size` is its pixels where no receipt says."""
    row: dict[str, Any] = dict.fromkeys(_WRITTEN)
    row |= {"media_type": artifact.media_type, "size": len(artifact.data)}
    if size is not None:
        row |= {"width": size[0], "height": size[1]}
    if artifact.receipt is not None:
        request = artifact.receipt.request
        row |= {name: request.get(name) for name in ("width", "height", "task", "prompt", "seed")}
        prompt = request.get("prompt")
        row |= {"folded": None if prompt is None else _fold(prompt), "model": artifact.receipt.spec.get("name")}
        row["receipt_id"] = artifact.receipt.id
    return row


def _fold(text: str) -> str:
    """Return text as it is searched: case folded."""
    return text.casefold()
