"""The cost ledger: an append-only table of entries; every balance is a sum.

An entry moves thousandths of a credit between two columns, `available` and `held`, of one pot (`pots`):

    allowance   available +a              once per account and month; a pot that expires when the month ends
    topup       available +t              the operator's act; a pot that expires when the plan says
    rollover    available +o              what the plan lets stay of a month's rest; a pot of its own
    hold        available -q   held +q    a run reserves its quote, a line for each pot it takes from
    charge                     held -c    one kept artifact, in the transaction that keeps it
    refund      available +r   held -r    what a run held and did not spend, to the pots it came from
    expiry      available -e              what is left of a pot whose time is over

So available is what is left, held is what runs in progress reserve, and the charges are what was used. Of several
pots the one that expires first is spent first. Time changes nothing by itself: what has become due is booked by the
next hold, top-up or late refund, in its transaction, and every balance is reckoned as if it were booked. A hold keeps
what it took: a run across midnight is paid for by the pot that was good when it began, and what it gives back to a pot
that is over expires there. An entry counts for the month (UTC) its hold began in, whenever it is written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from fantascope.errors import CreditError, InvalidValue, NotFound
from fantascope.gallery import pots
from fantascope.gallery.plans import Plan, plan_of, read_plans, shown, thousandths
from fantascope.gallery.pots import Pot
from fantascope.gallery.records import Balance, Expiring, Line, Problem, moment, stamp
from fantascope.gallery.tables import artifacts, entries, job_holds, next_seq, people

GIFTS = ("allowance", "rollover", "topup")
"""The kinds of lines that give: each names its pot and when that expires."""
MAX_NOTE = 500
"""Longest note on a top-up, in characters."""

_HELD = sa.cast(sa.func.coalesce(sa.func.sum(entries.c.held), 0), sa.BigInteger)
_LEFT = sa.cast(sa.func.coalesce(sa.func.sum(entries.c.available), 0), sa.BigInteger)


def hold(
    tx: sa.Connection, account: str, credits: float, what: str, plan: str, owner: str | None, now: datetime
) -> str:
    """Reserve credits and return the id of the hold. `plan` counts when the ledger first meets the account.

    A hold without `owner` belongs to a job (`jobs`), not to a process.

    Raises:
        CreditError: fewer are left; the message says how many, the hint when there will be more.
    """
    amount = thousandths(credits, up=True)
    terms = _terms(tx, account, plan)
    found = _settled(tx, account, terms, now)
    mine = pots.in_order(found, now)
    left = sum(pot.left for pot in mine)
    if amount > left:
        raise _short(account, terms, amount, left, sum(pot.held for pot in found), now)
    new = os.urandom(8).hex()
    for pot, part in pots.shares(amount, [(pot.name, pot.left) for pot in mine if pot.left > 0 or amount == 0]):
        key = f"hold:{new}:{pot}"
        _enter(tx, key, "hold", account, pot, -part, part, what, now, hold=new, owner=owner)
    return new


def topup(tx: sa.Connection, account: str, credits: float, note: str, plan: str, now: datetime) -> None:
    """Add a top-up of a size that the account's plan has. `plan` counts when the ledger first meets the account.

    Raises:
        InvalidValue: the plan has none of this size, or the note is too long.
    """
    if len(note) > MAX_NOTE:
        raise InvalidValue(f"A note has at most {MAX_NOTE} characters, not {len(note)}.", param="note")
    terms = _terms(tx, account, plan)
    size = terms.topup(credits)
    _settled(tx, account, terms, now)
    new = os.urandom(8).hex()
    expires = stamp(pots.later(now, size.months))
    what = note.strip() or f"top-up of {shown(size.credits)} credits"
    _enter(tx, f"topup:{new}", "topup", account, new, size.credits, 0, what, now, expires=expires)


def charge(
    tx: sa.Connection, held: str, artifact: str, credits: float, now: datetime, account: str | None = None
) -> None:
    """Spend part of a hold on an artifact. The same hold pays for the same artifact once.

    Raises:
        NotFound: there is no such hold, or not of this account.
        CreditError: less than that is left of it.
    """
    amount = thousandths(credits)
    payer, period = _opened(tx, held, account)
    mine = (entries.c.kind == "charge", entries.c.hold == held, entries.c.artifact == artifact)
    if tx.execute(sa.select(entries.c.seq).where(*mine)).first() is not None:
        return
    parts = _parts(tx, held)
    left = sum(part for _, part in parts)
    if amount > left:
        raise CreditError(
            f"The artifact costs {shown(amount)} credits and {shown(left)} are left of its hold.",
            hint="Hold the whole quote before the run, and release it after the last artifact is kept.",
        )
    for pot, part in pots.shares(amount, parts):
        key = f"charge:{held}:{artifact}:{pot}"
        more = {"period": period, "hold": held, "artifact": artifact}
        _enter(tx, key, "charge", payer, pot, 0, -part, "kept", now, **more)


def release(tx: sa.Connection, held: str, what: str, now: datetime, only: str | None = None) -> None:
    """Refund what is left of a hold to the pots it came from. Doing it again changes nothing.

    What comes back to a pot that is over expires, and rolls over where the plan says so, in the same transaction.

    Raises:
        NotFound: there is no such hold, or not of the account `only`.
    """
    account, period = _opened(tx, held, only)
    tx.execute(job_holds.delete().where(job_holds.c.hold == held))
    back = [(pot, left) for pot, left in _parts(tx, held) if left > 0]
    name = _agreed(tx, account) or _met(tx, account)
    given = sa.select(entries.c.pot, entries.c.expires).where(entries.c.account == account, entries.c.kind.in_(GIFTS))
    over = {row.pot for row in tx.execute(given) if row.expires <= stamp(now)}
    # A plan that is no longer in the file must not keep a gallery from opening: then the next hold says so.
    late = name in read_plans() and not over.isdisjoint(pot for pot, _ in back)
    if late:
        _settled(tx, account, plan_of(name), now)  # as if it had not come back yet, which it had not
    for pot, left in back:
        key = f"refund:{held}:{pot}"
        _enter(tx, key, "refund", account, pot, left, -left, what, now, period=period, hold=held)
    if late:
        _settled(tx, account, plan_of(name), now)


def open_holds(tx: sa.Connection, owner: str | None = None) -> list[tuple[str, str, datetime]]:
    """Return (hold, owner, time) of every hold with something left, of one owner or of all but those of jobs."""
    opened = sa.select(entries.c.hold, entries.c.owner, entries.c.entered).where(entries.c.kind == "hold")
    if owner is not None:
        opened = opened.where(entries.c.owner == owner)
    else:
        opened = opened.where(entries.c.hold.not_in(sa.select(job_holds.c.hold)))
    mine = opened.distinct().subquery()
    rows = tx.execute(
        sa.select(mine.c.hold, mine.c.owner, mine.c.entered)
        .join(entries, entries.c.hold == mine.c.hold)
        .group_by(mine.c.hold, mine.c.owner, mine.c.entered)
        .having(sa.func.sum(entries.c.held) > 0)
        .order_by(mine.c.entered)
    )
    return [(row.hold, row.owner, moment(row.entered)) for row in rows]


def balance(tx: sa.Connection, account: str, plan: str, now: datetime) -> Balance:
    """Return what an account has; one the ledger has not met has all of `plan`. Nothing is written."""
    terms, period = _terms(tx, account, plan), pots.period_of(now)
    found, _ = pots.settle(_pots(tx, account), terms, now)
    mine = pots.in_order(found, now)
    spent = (entries.c.account == account, entries.c.period == period, entries.c.kind == "charge")
    return Balance(
        account=account,
        plan=terms.name,
        allowance=sum(pot.given for pot in found if pot.name == period) / 1000,
        used=-_sum(tx, _HELD, *spent) / 1000,
        held=sum(pot.held for pot in found) / 1000,
        left=sum(pot.left for pot in mine) / 1000,
        renews=pots.later(pots.begin_of(period), 1),
        expiring=tuple(Expiring(pot.left / 1000, pot.kind, pot.expires) for pot in mine if pot.left > 0),
    )


def lines(tx: sa.Connection, account: str, limit: int) -> list[Line]:
    """Return the newest entries of an account, newest first."""
    rows = tx.execute(
        sa.select(entries).where(entries.c.account == account).order_by(entries.c.seq.desc()).limit(limit)
    )
    return [
        Line(
            at=moment(row.entered),
            account=row.account,
            kind=row.kind,
            credits=(row.held if row.kind == "charge" else row.available) / 1000,
            what=row.what,
            pot=row.pot,
            hold=row.hold,
            artifact=row.artifact,
            expires=None if row.expires is None else moment(row.expires),
        )
        for row in rows
    ]


def check(tx: sa.Connection) -> Iterator[Problem]:
    """Yield what does not agree: the form of entries, the sums of holds and pots, what was spent or expired out of its
    time, charges for what was never kept."""
    for what, wrong in (*_wrong_lines(tx), *_wrong_holds(tx), *_wrong_pots(tx)):
        fix = "Restore gallery.db from a backup: no command of Fantascope changes or deletes an entry."
        yield Problem("ledger", what, wrong, fix)


def charges(tx: sa.Connection) -> dict[str, list[int]]:
    """Return what was charged for every artifact, in thousandths, one item per hold that paid for it."""
    charged: dict[str, list[int]] = {}
    paid = sa.select(entries.c.artifact, _HELD.label("paid")).where(entries.c.kind == "charge")
    for row in tx.execute(paid.group_by(entries.c.artifact, entries.c.hold)):
        charged.setdefault(row.artifact, []).append(-row.paid)
    return charged


Wrongs = Iterator[tuple[str, str]]


def _wrong_lines(tx: sa.Connection) -> Wrongs:
    for row in tx.execute(sa.select(entries).order_by(entries.c.seq)):
        wrong = _malformed(row)
        if wrong is not None:
            yield row.unique_key, wrong
    unknown = (entries.c.kind == "charge", entries.c.artifact.not_in(sa.select(artifacts.c.id)))
    for row in tx.execute(sa.select(entries.c.unique_key, entries.c.artifact).where(*unknown)):
        yield row.unique_key, f"charged for {row.artifact}, which the index does not know"


def _wrong_holds(tx: sa.Connection) -> Wrongs:
    held = sa.select(entries.c.hold, entries.c.pot, _HELD.label("left")).where(entries.c.hold.is_not(None))
    sums = held.group_by(entries.c.hold, entries.c.pot).having(sa.func.sum(entries.c.held) < 0)
    for row in tx.execute(sums):
        yield f"hold:{row.hold}:{row.pot}", f"more was spent than held: {shown(row.left)} left"
    known = sa.select(entries.c.hold).where(entries.c.kind == "hold")
    for row in tx.execute(sa.select(entries).where(entries.c.hold.is_not(None), entries.c.hold.not_in(known))):
        yield row.unique_key, f"there is no hold {row.hold}"


def _wrong_pots(tx: sa.Connection) -> Wrongs:
    sums = sa.select(entries.c.account, entries.c.pot, _LEFT.label("left")).group_by(entries.c.account, entries.c.pot)
    for row in tx.execute(sums.having(sa.func.sum(entries.c.available) < 0)):
        yield f"{row.account} {row.pot}", f"overspent: {shown(row.left)} left"
    given = (
        sa.select(entries.c.account, entries.c.pot, sa.func.max(entries.c.expires).label("expires"))
        .where(entries.c.kind.in_(GIFTS))
        .group_by(entries.c.account, entries.c.pot)
        .subquery()
    )
    same = sa.and_(given.c.account == entries.c.account, given.c.pot == entries.c.pot)
    timed = sa.select(entries, given.c.expires.label("ends")).outerjoin(given, same)
    for row in tx.execute(timed.order_by(entries.c.seq)):
        if row.ends is None:
            yield row.unique_key, f"nothing was ever given to the pot {row.pot}"
        elif row.kind == "hold" and row.entered >= row.ends:
            yield row.unique_key, f"spends what had expired at {row.ends}"
        elif row.kind == "expiry" and row.entered < row.ends:
            yield row.unique_key, f"expired before its time, {row.ends}"


def _malformed(row: Any) -> str | None:
    gift = row.held == 0 and row.hold is None and row.expires is not None
    signs = {
        "allowance": gift and row.available >= 0,
        "rollover": gift and row.available > 0,
        "topup": gift and row.available > 0,
        "hold": row.held >= 0 and row.available == -row.held,
        "charge": row.available == 0 and row.held <= 0 and row.artifact is not None,
        "refund": row.available > 0 and row.held == -row.available,
        "expiry": row.available < 0 and row.held == 0 and row.hold is None,
    }
    if row.kind not in signs:
        return f"unknown kind {row.kind!r}"
    return None if signs[row.kind] else f"a {row.kind} of {row.available} available and {row.held} held is none"


def _short(account: str, terms: Plan, amount: int, left: int, held: int, now: datetime) -> CreditError:
    running = f" ({shown(held)} more are held by runs in progress)" if held > 0 else ""
    renews = pots.later(pots.begin_of(pots.period_of(now)), 1)
    size = shown(terms.topups[0].credits) if terms.topups else ""
    more = f" The operator adds some with: fantascope ledger topup {size}" if size else ""
    return CreditError(
        f"This needs {shown(amount)} credits and the account {account!r} (plan {terms.name}) has {shown(left)} "
        f"left{running}.",
        hint=f"The allowance of {shown(terms.allowance)} credits renews on {renews:%Y-%m-%d} at 00:00 UTC. "
        f"Fewer or smaller pictures cost less.{more}",
    )


def _terms(tx: sa.Connection, account: str, plan: str) -> Plan:
    """Return the account's plan: what was agreed with a person, else that of its latest allowance, else `plan`."""
    return plan_of(_agreed(tx, account) or _met(tx, account) or plan)


def _agreed(tx: sa.Connection, account: str) -> str:
    """Return the name of the plan that a person has now, nothing for an account of nobody known."""
    return str(tx.execute(sa.select(people.c.plan).where(people.c.name == account)).scalar() or "")


def _met(tx: sa.Connection, account: str) -> str:
    """Return the name of the plan of the account's latest allowance, nothing for one that the ledger has not met."""
    mine = (entries.c.account == account, entries.c.kind == "allowance")
    last = sa.select(entries.c.what).where(*mine).order_by(entries.c.seq.desc()).limit(1)
    return str(tx.execute(last).scalar() or "")


def _pots(tx: sa.Connection, account: str) -> list[Pot]:
    """Return every pot that the account ever had, as it is booked, the older first."""
    mine = entries.c.account == account
    sums = sa.select(entries.c.pot, _LEFT.label("left"), _HELD.label("held")).where(mine).group_by(entries.c.pot)
    state = {row.pot: (row.left, row.held) for row in tx.execute(sums)}
    found: dict[str, Pot] = {}
    for row in tx.execute(sa.select(entries).where(mine, entries.c.kind.in_(GIFTS)).order_by(entries.c.seq)):
        before = found[row.pot].given if row.pot in found else 0
        given = before + row.available
        found[row.pot] = Pot(row.pot, row.kind, row.period, moment(row.expires), given, *state[row.pot])
    return list(found.values())


def _settled(tx: sa.Connection, account: str, terms: Plan, now: datetime) -> Sequence[Pot]:
    """Enter what time has made due and return the pots."""
    if not account.strip() or len(account) > 200:
        raise InvalidValue("The name of an account has 1 to 200 characters.", param="user")
    found, due = pots.settle(_pots(tx, account), terms, now)
    for line in due:
        key = f"{line.kind}:{line.pot}:{account}"
        if line.kind != "allowance":
            mine = (entries.c.account == account, entries.c.kind == line.kind, entries.c.pot == line.pot)
            key += f":{_sum(tx, sa.func.count(), *mine)}"
        what = terms.name if line.kind == "allowance" else f"rest of {line.pot.rstrip('+')}"
        expires = {} if line.expires is None else {"expires": stamp(line.expires)}
        _enter(tx, key, line.kind, account, line.pot, line.amount, 0, what, now, period=line.period, **expires)
    return found


def _opened(tx: sa.Connection, held: str, account: str | None = None) -> tuple[str, str]:
    """Return the account and the month of a hold; one of another account than is named is none."""
    mine = (entries.c.hold == held, entries.c.kind == "hold")
    row = tx.execute(sa.select(entries.c.account, entries.c.period).where(*mine)).first()
    if row is None or account not in (None, row.account):
        raise NotFound(f"There is no hold {held!r}.", param="hold")
    return row.account, row.period


def _parts(tx: sa.Connection, held: str) -> list[tuple[str, int]]:
    """Return what is left of a hold in each pot it took from, in the order it took it."""
    sums = sa.select(entries.c.pot, _HELD.label("left")).where(entries.c.hold == held).group_by(entries.c.pot)
    return [(row.pot, row.left) for row in tx.execute(sums.order_by(sa.func.min(entries.c.seq)))]


def _sum(tx: sa.Connection, total: sa.ColumnElement[Any], *where: sa.ColumnElement[bool]) -> int:
    return int(tx.execute(sa.select(total).where(*where)).scalar_one())


def _enter(
    tx: sa.Connection,
    key: str,
    kind: str,
    account: str,
    pot: str,
    available: int,
    held: int,
    what: str,
    now: datetime,
    **more: str | None,
) -> None:
    values = {"unique_key": key, "kind": kind, "account": account, "pot": pot, "what": what.replace("\0", "")}
    amounts = {"available": available, "held": held, "entered": stamp(now), "period": pots.period_of(now)}
    tx.execute(entries.insert().values(seq=next_seq(entries), **values, **amounts | more))
