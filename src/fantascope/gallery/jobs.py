"""Rows of jobs: the hold that a job has, whoever works on it, and what it has kept, once for each index.

A job is named by whoever runs it; this module knows nothing else of jobs. A hold of a job has no process as its owner:
it stands until it is released, whatever dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from fantascope.errors import InvalidValue
from fantascope.gallery import ledger
from fantascope.gallery.records import stamp
from fantascope.gallery.tables import artifacts, entries, job_holds, outcomes

MAX_NAME = 100
"""Longest name of a job, in characters."""


def hold(tx: sa.Connection, job: str, account: str, credits: float, what: str, plan: str, now: datetime) -> str:
    """Return the hold of a job; where it has none, reserve credits.

    One that was not released stays the job's, however much of it is spent: what was begun again pays once.

    Raises:
        CreditError: as `ledger.hold` says.
        InvalidValue: the hold is another account's, or the job has no proper name.
    """
    known = tx.execute(sa.select(job_holds).where(job_holds.c.job == named(job))).first()
    if known is not None:
        _same(job, known.account, account)
        return str(known.hold)
    new = ledger.hold(tx, account, credits, what, plan, None, now)
    tx.execute(job_holds.insert().values(job=job, hold=new, account=account))
    return new


def holds(tx: sa.Connection, account: str | None) -> dict[str, str]:
    """Return the hold of every job that has one, of one account or of all."""
    query = sa.select(job_holds.c.job, job_holds.c.hold).order_by(job_holds.c.job)
    if account is not None:
        query = query.where(job_holds.c.account == account)
    return {row.job: row.hold for row in tx.execute(query)}


def outcome(tx: sa.Connection, job: str, idx: int, account: str) -> str | None:
    """Return the artifact that a job has kept at an index, None where nothing is yet.

    Raises:
        InvalidValue: the job is another account's, or name or index are none.
    """
    if isinstance(idx, bool) or not 0 <= idx < 2**31:
        raise InvalidValue(f"The index of an outcome is a whole number from 0 on, not {idx!r}.", param="job")
    where = (outcomes.c.job == named(job), outcomes.c.idx == idx)
    row = tx.execute(sa.select(outcomes.c.artifact, outcomes.c.account).where(*where)).first()
    if row is None:
        return None
    _same(job, row.account, account)
    return str(row.artifact)


def enter(tx: sa.Connection, job: str, idx: int, artifact: str, account: str, held: str | None, now: datetime) -> None:
    """Note what a job has kept at an index that has nothing yet."""
    row = {"artifact": artifact, "account": account, "hold": held, "kept": stamp(now)}
    tx.execute(outcomes.insert().values(job=job, idx=idx, **row))


def found(tx: sa.Connection, job: str, account: str | None) -> dict[int, str]:
    """Return what a job has kept: index to artifact, in order; for an account only of its own jobs."""
    query = sa.select(outcomes.c.idx, outcomes.c.artifact).where(outcomes.c.job == job).order_by(outcomes.c.idx)
    if account is not None:
        query = query.where(outcomes.c.account == account)
    return {row.idx: row.artifact for row in tx.execute(query)}


def check(tx: sa.Connection) -> Iterator[tuple[str, str]]:
    """Yield (job, what is wrong): outcomes nobody kept or paid for, holds that are none."""
    lost = sa.select(outcomes).where(outcomes.c.artifact.not_in(sa.select(artifacts.c.id)))
    for row in tx.execute(lost.order_by(outcomes.c.job, outcomes.c.idx)):
        yield f"{row.job} {row.idx}", f"kept {row.artifact}, which the index does not know"
    paid = sa.and_(
        entries.c.kind == "charge", entries.c.hold == outcomes.c.hold, entries.c.artifact == outcomes.c.artifact
    )
    free = sa.select(outcomes).where(outcomes.c.hold.is_not(None), ~sa.exists().where(paid))
    for row in tx.execute(free.order_by(outcomes.c.job, outcomes.c.idx)):
        yield f"{row.job} {row.idx}", f"the hold {row.hold} was not charged for {row.artifact}"
    opened = sa.and_(
        entries.c.kind == "hold", entries.c.hold == job_holds.c.hold, entries.c.account == job_holds.c.account
    )
    for row in tx.execute(sa.select(job_holds).where(~sa.exists().where(opened)).order_by(job_holds.c.job)):
        yield row.job, f"the account {row.account!r} has no hold {row.hold}"


def named(job: str) -> str:
    """Return the name of a job.

    Raises:
        InvalidValue: it has not 1 to `MAX_NAME` characters that can be printed.
    """
    if not (0 < len(job) <= MAX_NAME and job.isprintable()):
        raise InvalidValue(f"The name of a job has 1 to {MAX_NAME} characters that can be printed.", param="job")
    return job


def _same(job: str, theirs: str, account: str) -> None:
    if theirs != account:
        raise InvalidValue(f"The job {job!r} is not of the account {account!r}.", param="job")
