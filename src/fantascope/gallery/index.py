"""Rows of the index: which artifacts there are, their receipts and whose parents they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from fantascope.artifact import Artifact
from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery.records import moment, stamp
from fantascope.gallery.schema import artifacts, next_seq, parents, receipts
from fantascope.receipt import canonical

MIN_PREFIX = 6
_LIVE = artifacts.c.removed.is_(None)
_OWN = sa.or_(artifacts.c.task.is_(None), artifacts.c.task != "mask")
"""Pictures of their own: a mask belongs to an edit."""

_WRITTEN = ("width", "height", "task", "receipt_id", "prompt", "folded", "model", "seed")
"""What is erased when an artifact is removed."""


@dataclass(frozen=True)
class Filters:
    """What a listing is limited to; every word of `text` must stand in the prompt, in any order and case."""

    text: str | None = None
    model: str | None = None
    seed: int | None = None
    receipt_id: str | None = None
    given: bool | None = None


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


def find(tx: sa.Connection, ref: str) -> Any:
    """Return the row of the artifact that `ref` names: `sha256:…`, or 6 or more hex digits of id or receipt.

    Raises:
        NotFound: nothing here has that id, or it was removed.
        InvalidValue: too short, or several artifacts fit; the message lists them.
    """
    digits = ref.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]*", digits):
        raise NotFound(f"{ref!r} is no id: ids are hex digits.", param="id", hint="fantascope gallery list")
    if len(digits) < MIN_PREFIX:
        raise InvalidValue(f"{ref!r} is too short: give at least {MIN_PREFIX} hex digits of an id.", param="id")
    named = [_starts(artifacts.c.id, "sha256:" + digits)]
    if not ref.strip().lower().startswith("sha256:"):
        named.append(_starts(artifacts.c.receipt_id, digits))
    rows = tx.execute(sa.select(artifacts).where(sa.or_(*named)).order_by(artifacts.c.seq).limit(101)).all()
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


def listing(tx: sa.Connection, limit: int, before: str | None, filters: Filters) -> list[Any]:
    """Return the newest rows that fit, newest first; `before` is the last id of the page before this one."""
    query = sa.select(artifacts).where(_LIVE, _OWN).order_by(artifacts.c.seq.desc()).limit(limit)
    if before is not None:
        at = tx.execute(sa.select(artifacts.c.seq).where(artifacts.c.id == before)).scalar()
        if at is None:
            at = find(tx, before).seq
        query = query.where(artifacts.c.seq < at)
    for word in _fold(filters.text).split() if filters.text is not None else ():
        query = query.where(artifacts.c.folded.contains(word, autoescape=True))
    for column in ("model", "seed", "receipt_id"):
        wanted = getattr(filters, column)
        if wanted is not None:
            query = query.where(artifacts.c[column] == wanted)
    if filters.given is not None:
        given = artifacts.c.receipt_id.is_(None)
        query = query.where(given if filters.given else sa.not_(given))
    return list(tx.execute(query).all())


def receipt_body(tx: sa.Connection, artifact: str) -> str | None:
    """Return the receipt of an artifact as JSON, or None for one that was given."""
    return tx.execute(sa.select(receipts.c.body).where(receipts.c.artifact == artifact)).scalar()


def children(tx: sa.Connection, parent: str) -> list[str]:
    """Return the live artifacts that were made from this one, oldest first."""
    rows = tx.execute(
        sa.select(artifacts.c.id)
        .join(parents, parents.c.child == artifacts.c.id)
        .where(parents.c.parent == parent, _LIVE)
        .order_by(artifacts.c.seq)
    )
    return [row.id for row in rows]


def bury(tx: sa.Connection, artifact: str, now: datetime) -> None:
    """Leave a tombstone: id, size and times stay, what a person wrote and what it was made with go."""
    tx.execute(parents.delete().where(parents.c.child == artifact))
    tx.execute(receipts.delete().where(receipts.c.artifact == artifact))
    gone: dict[str, Any] = dict.fromkeys(_WRITTEN) | {"removed": stamp(now)}
    tx.execute(artifacts.update().where(artifacts.c.id == artifact).values(**gone))


def everything(tx: sa.Connection) -> Iterator[Any]:
    """Yield every live row with its receipt's `body`, oldest first."""
    joined = artifacts.outerjoin(receipts, receipts.c.artifact == artifacts.c.id)
    query = sa.select(artifacts, receipts.c.body).select_from(joined).where(_LIVE).order_by(artifacts.c.seq)
    yield from tx.execute(query)


def whereabouts(tx: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (id, media type) of everything that is here."""
    for row in tx.execute(sa.select(artifacts.c.id, artifacts.c.media_type).where(_LIVE)):
        yield row.id, row.media_type


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


def _starts(column: sa.ColumnElement[Any], prefix: str) -> sa.ColumnElement[bool]:
    """Compare by range, which every database can answer from an index; `g` follows the hex digits."""
    return sa.and_(column >= prefix, column < prefix + "g")
