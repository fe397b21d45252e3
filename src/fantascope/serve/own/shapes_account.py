"""What our own wire sends of accounts: credits, plans, people and their tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from fantascope.serve.own.shapes import Expires, Shape


class Account(Shape):
    """Credits of an account."""

    account: str
    plan: str
    terms: str
    operator: bool
    allowance: float
    used: float
    held: float
    left: float
    renews: datetime
    expiring: list[Expires]


class RolloverShape(Shape):
    """What stays of a month's rest: at most so many credits, for so many months."""

    credits: float
    months: int


class TopupShape(Shape):
    """A size of top-up, and the months after which what is left of it expires."""

    credits: float
    months: int


class PlanShape(Shape):
    """A plan: what an account on it gets."""

    name: str
    title: str
    about: str
    terms: str = Field(description="all of it in one line")
    allowance: float = Field(description="credits a month")
    rollover: RolloverShape | None
    topups: list[TopupShape]
    strictness: str = Field(description="which thresholds of the policy hold")


class Limits(Shape):
    """What this server takes of each account, whatever its plan."""

    requests_a_minute: int | None
    jobs: int = Field(description="that may wait or run")
    streams: int = Field(description="of events that may be open")
    body_bytes: int


class Plans(Shape):
    data: list[PlanShape]
    limits: Limits


class LoginLink(Shape):
    """An address that opens a session in a browser, once."""

    url: str
    expires_in: int = Field(description="seconds")


class LineShape(Shape):
    """A line of the ledger."""

    at: datetime
    kind: Literal["allowance", "rollover", "topup", "hold", "charge", "refund", "expiry"]
    credits: float
    what: str
    pot: str
    hold: str | None
    artifact: str | None
    expires: datetime | None


class Ledger(Shape):
    data: list[LineShape]


class UserShape(Shape):
    name: str
    plan: str
    operator: bool
    disabled: bool
    created: datetime


class Users(Shape):
    data: list[UserShape]


class TokenShape(Shape):
    """What may be told of a token."""

    id: str
    label: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None


class Tokens(Shape):
    data: list[TokenShape]


class NewToken(TokenShape):
    """A new token; `token` is told this once."""

    token: str
