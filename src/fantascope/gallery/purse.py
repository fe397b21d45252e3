"""The half of `Gallery` that is about accounts: holds, balances, what jobs have kept, people and refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from fantascope.errors import GalleryError, InvalidValue
from fantascope.gallery.records import Balance, Line

if TYPE_CHECKING:
    from fantascope.gallery.appeals import Refusals
    from fantascope.gallery.files import Files
    from fantascope.gallery.people import People
    from fantascope.gallery.schema import Database

Lines = list[Line]


class Purse:
    """What `Gallery` does with accounts. A view (`Gallery.of`) does it for its own alone."""

    account: str
    _only: str | None
    _files: Files
    _database: Database
    _plan: str
    _clock: Callable[[], datetime]
    _holds: set[str]

    @property
    def refusals(self) -> Refusals:
        """What was refused, appealed and decided."""
        from fantascope.gallery.appeals import Refusals

        return Refusals(self._database, self._clock, self._only)

    @property
    def people(self) -> People:
        """Who may use a server with this gallery.

        Raises:
            GalleryError: this is the view of one account.
        """
        from fantascope.gallery.people import People

        if self._only is not None:
            raise GalleryError(f"People belong to the whole gallery, not to what {self._only!r} has of it.")
        return People(self._database, self._clock, self.account)

    def hold(self, user: str, credits: float, what: str, *, job: str | None = None) -> str:
        """Reserve credits for a run and return the id of the hold.

        A hold stands until it is released, this gallery is closed, or its process is found dead.

        Args:
            job: The job that the run belongs to. Its hold is on the disk when this returns and stands until it is
                released, whatever is closed or dies; asked for again, it is the same one, whatever `credits` says.

        Raises:
            CreditError: fewer are left; says how many, and when the allowance renews.
            InvalidValue: the job has a hold of another account.
        """
        from fantascope.gallery import jobs, ledger

        account = self._mine(user)
        if job is not None:
            with self._database.write() as tx:
                return jobs.hold(tx, job, account, credits, what, self._plan, self._clock())
        with self._database.write(durable=False) as tx:
            hold = ledger.hold(tx, account, credits, what, self._plan, self._files.owner, self._clock())
        self._holds.add(hold)
        return hold

    def release(self, hold: str) -> None:
        """Refund what is held and was not charged. Releasing twice changes nothing.

        Raises:
            NotFound: there is no such hold.
        """
        from fantascope.gallery import ledger

        with self._database.write() as tx:
            ledger.release(tx, hold, "not used", self._clock(), self._only)
        self._holds.discard(hold)

    def outcomes(self, job: str) -> dict[int, str]:
        """Return what a job has kept: index to artifact id, in order. Some may have been removed since."""
        from fantascope.gallery import jobs

        with self._database.read() as tx:
            return jobs.found(tx, job, self._only)

    def job_holds(self) -> dict[str, str]:
        """Return the hold of every job whose hold was not released."""
        from fantascope.gallery import jobs

        with self._database.read() as tx:
            return jobs.holds(tx, self._only)

    def topup(self, user: str, credits: float, note: str = "") -> Balance:
        """Book a top-up, the operator's act, and return what the account has then.

        Raises:
            InvalidValue: the account's plan has no top-up of this size, or the note is too long.
            StorageError: disk full or read-only; nothing was booked.
        """
        from fantascope.gallery import ledger

        account = self._mine(user)
        with self._database.write() as tx:
            now = self._clock()
            ledger.topup(tx, account, credits, note, self._plan, now)
            return ledger.balance(tx, account, self._plan, now)

    def balance(self, user: str) -> Balance:
        """Return what the account has, this month's (UTC) allowance included. Nothing is written."""
        from fantascope.gallery import ledger

        account = self._mine(user)
        with self._database.read() as tx:
            return ledger.balance(tx, account, self._plan, self._clock())

    def entries(self, user: str, limit: int = 50) -> Lines:
        """Return the newest lines of an account's ledger, newest first."""
        from fantascope.gallery import ledger

        account = self._mine(user)
        with self._database.read() as tx:
            return ledger.lines(tx, account, limit)

    def _mine(self, user: str) -> str:
        """Return an account that may be asked for here: any one, or the one whose view this is."""
        if self._only not in (None, user):
            raise InvalidValue(f"This view is of the account {self._only!r}, not of {user!r}.", param="user")
        return user


def named(account: str) -> str:
    """Return the name of an account.

    Raises:
        InvalidValue: it has not 1 to 200 characters.
    """
    if not account.strip() or len(account) > 200:
        raise InvalidValue("The name of an account has 1 to 200 characters.", param="user")
    return account
