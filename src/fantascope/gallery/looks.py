"""Rows of what pictures look like, each beside an owner of the picture; vectors of unit length, kept as 16-bit floats.

A vector belongs to one owner's search: it says nothing to anybody else, not even that somebody has the same picture,
and it goes when the owner does. One of another model than the one asked for counts as missing and is written over.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from fantascope.artifact import MEDIA_TYPES
from fantascope.gallery.index import Filters, find, me, narrowed, seen_by
from fantascope.gallery.tables import looks, owners

Floats = NDArray[np.float32]
STORED = np.dtype("<f2")


def unseen(tx: sa.Connection, model: str, limit: int, account: str | None) -> tuple[list[str], int]:
    """Return ids of pictures without a vector of this model, newest first, and how many there are in all."""
    seen, known = seen_by(account), _of(sa.select(looks.c.artifact), model, account)
    fits = (seen.c.media_type.in_(sorted(MEDIA_TYPES.values())), seen.c.id.not_in(known))
    query = narrowed(sa.select(seen.c.id), seen, Filters()).where(*fits).order_by(seen.c.seq.desc()).limit(limit)
    count = narrowed(sa.select(sa.func.count()).select_from(seen), seen, Filters()).where(*fits)
    return list(tx.execute(query, me(account)).scalars()), int(tx.execute(count, me(account)).scalar_one())


def enter(tx: sa.Connection, model: str, artifact: str, vector: Floats | None, account: str | None) -> None:
    """Write down what a picture looks like, for the account or for all its owners; for nobody where it was removed.

    Args:
        vector: None where it cannot be seen: it is not asked for again.
    """
    data = b"" if vector is None else np.asarray(vector, STORED).tobytes()
    whose = sa.select(owners.c.account).where(owners.c.artifact == artifact)
    if account is not None:
        whose = whose.where(owners.c.account == account)
    for name in tx.execute(whose).scalars().all():
        tx.execute(looks.delete().where(looks.c.artifact == artifact, looks.c.account == name))
        tx.execute(looks.insert().values(artifact=artifact, account=name, model=model, vector=data))


def look_of(tx: sa.Connection, ref: str, model: str, account: str | None) -> tuple[str, Floats | None]:
    """Return the id that `ref` names, and the picture's vector where one of this model is known. Raises as `find`."""
    artifact = str(find(tx, ref, account).id)
    query = _of(sa.select(looks.c.vector), model, account).where(looks.c.artifact == artifact)
    data = tx.execute(query.limit(1)).scalar()
    return artifact, np.frombuffer(data, STORED).astype(np.float32) if data else None


def vectors(
    tx: sa.Connection, model: str, width: int, filters: Filters, account: str | None
) -> tuple[list[str], Floats]:
    """Return the ids that fit the filters, newest first, and their vectors (N, width)."""
    seen = seen_by(account)
    query = sa.select(seen.c.id, looks.c.vector).join(looks, looks.c.artifact == seen.c.id)
    query = _of(narrowed(query, seen, filters), model, account).order_by(seen.c.seq.desc())
    size = width * STORED.itemsize
    # An artifact of several owners is one to the operator.
    found: list[Any] = list(tx.execute(query, me(account)).all())
    known = {row.id: row.vector for row in found if len(row.vector) == size}
    rows = np.frombuffer(b"".join(known.values()), STORED).reshape(len(known), width)
    return list(known), rows.astype(np.float32)


def named(tx: sa.Connection, ids: Collection[str], account: str | None) -> list[Any]:
    """Return the rows of these artifacts that are still there."""
    seen = seen_by(account)
    query = sa.select(seen).where(seen.c.id.in_(ids), seen.c.removed.is_(None))
    return list(tx.execute(query, me(account)).all())


def _of(query: sa.Select[Any], model: str, account: str | None) -> sa.Select[Any]:
    """Limit a query to the vectors of a model and an account."""
    query = query.where(looks.c.model == model)
    return query if account is None else query.where(looks.c.account == account)
