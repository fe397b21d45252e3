"""The tables, as the migrations of `schema` leave them. Amounts are whole thousandths of a credit, times are
`records.stamp`; flags are 0 and 1.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

versions = sa.Table(
    "schema_versions",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("applied", sa.String(27), nullable=False),
)

artifacts = sa.Table(
    "artifacts",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(71), nullable=False, unique=True),
    sa.Column("media_type", sa.String(100), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("task", sa.String(40)),
    sa.Column("receipt_id", sa.String(16)),
    sa.Column("prompt", sa.Text),
    sa.Column("folded", sa.Text),
    sa.Column("model", sa.Text),
    sa.Column("seed", sa.BigInteger),
    sa.Column("kept", sa.String(27), nullable=False),
    sa.Column("removed", sa.String(27)),
)
"""One row per artifact ever kept, oldest first by `seq`. `folded` is the prompt as it is searched. A removed one keeps
its id and times (a tombstone, so that the ledger stays whole) and loses everything a person wrote."""

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("artifact", sa.String(71), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

parents = sa.Table(
    "parents",
    metadata,
    sa.Column("child", sa.String(71), primary_key=True),
    sa.Column("parent", sa.String(71), primary_key=True),
)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("unique_key", sa.String(300), nullable=False, unique=True),
    sa.Column("account", sa.String(200), nullable=False),
    sa.Column("period", sa.String(7), nullable=False),
    sa.Column("kind", sa.String(9), nullable=False),
    sa.Column("available", sa.BigInteger, nullable=False),
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("hold", sa.String(16)),
    sa.Column("artifact", sa.String(71)),
    sa.Column("owner", sa.String(16)),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("entered", sa.String(27), nullable=False),
    sa.Column("pot", sa.String(16), nullable=False),
    sa.Column("expires", sa.String(27)),
)
"""The ledger, only ever appended to. `unique_key` makes every entry happen once; `owner` is who must live for a hold
to stand; `pot` is whose credits are moved (`pots`), `expires` stands on the lines that give."""

refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(16), nullable=False, unique=True),
    sa.Column("account", sa.String(200), nullable=False),
    sa.Column("rule", sa.String(100), nullable=False),
    sa.Column("scope", sa.String(64), nullable=False),
    sa.Column("refused", sa.String(27), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

appeals = sa.Table(
    "appeals",
    metadata,
    sa.Column("refusal", sa.String(16), primary_key=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("appealed", sa.String(27), nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("id", sa.String(16), nullable=False, unique=True),
    sa.Column("refusal", sa.String(16), nullable=False),
    sa.Column("rule", sa.String(100), nullable=False),
    sa.Column("scope", sa.String(64), nullable=False),
    sa.Column("allow", sa.Integer, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("decided", sa.String(27), nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
)
"""Refusals, what was said against them, and what the operator decided; rows are added, never changed."""


owners = sa.Table(
    "owners",
    metadata,
    sa.Column("artifact", sa.String(71), primary_key=True),
    sa.Column("account", sa.String(200), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("made", sa.Integer, nullable=False),
    sa.Column("task", sa.String(40)),
    sa.Column("kept", sa.String(27), nullable=False),
)
"""Who sees an artifact, since when, and in which order (`seq`). Only who `made` it sees its receipt and its words;
`task` is what it is to this account."""

looks = sa.Table(
    "looks",
    metadata,
    sa.Column("artifact", sa.String(71), primary_key=True),
    sa.Column("account", sa.String(200), primary_key=True),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("vector", sa.LargeBinary, nullable=False),
)
"""What a picture looks like to a `model` (the sha256 of its weights), for each owner's search: little-endian 16-bit
floats of unit length, or nothing where the picture could not be seen. A row goes when its owner does."""

outcomes = sa.Table(
    "outcomes",
    metadata,
    sa.Column("job", sa.String(100), primary_key=True),
    sa.Column("idx", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("artifact", sa.String(71), nullable=False),
    sa.Column("account", sa.String(200), nullable=False),
    sa.Column("hold", sa.String(16)),
    sa.Column("kept", sa.String(27), nullable=False),
)
"""What a job has kept: one artifact for each index, once; `hold` paid for it."""

job_holds = sa.Table(
    "job_holds",
    metadata,
    sa.Column("job", sa.String(100), primary_key=True),
    sa.Column("hold", sa.String(16), nullable=False, unique=True),
    sa.Column("account", sa.String(200), nullable=False),
)
"""The holds that belong to a job and not to a process, until they are released."""

people = sa.Table(
    "people",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("plan", sa.String(100), nullable=False),
    sa.Column("disabled", sa.Integer, nullable=False),
    sa.Column("operator", sa.Integer, nullable=False),
    sa.Column("created", sa.String(27), nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("label", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("created", sa.String(27), nullable=False),
    sa.Column("expires", sa.String(27)),
    sa.Column("revoked", sa.String(27)),
)
"""Keys to the server: only the SHA-256 of a token is here."""


def next_seq(table: sa.Table) -> sa.ScalarSelect[int]:
    """Return the number of the next row; write transactions run one at a time, so it is nobody else's."""
    return sa.select(sa.func.coalesce(sa.func.max(table.c.seq), 0) + 1).scalar_subquery()
