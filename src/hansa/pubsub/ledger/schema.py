"""The tables of the ledger's state, and their rows.

head         one row: the ledger in short. Written in the transaction of its block
member       the registry
block        time of each block that has events
issuer       the last batch of each issuer, and its quotas
batch        what issuers signed
event        what is filtered on, a small row per event, so that scanning a window of positions is cheap
event_content  the events themselves
claim        the last version per (issuer, entity key)
name         issuers and event names, by number

A row type has the columns that are read or written, in the order of its fields; `select_sql` and `insert_sql`
name them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

APPLICATION_ID: Final = 0x48414E4C
"""`HANL` in the file's header: this is a ledger's state and nothing else."""

SCHEMA_VERSION: Final = 3
"""3: one signature a batch, and an `app_hash` over all of the state. A ledger of an earlier version cannot go
on: its history has other verdicts under these rules."""

SCHEMA: Final = """
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    height INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    events INTEGER NOT NULL,
    peaks BLOB NOT NULL,
    members_root BLOB NOT NULL,
    app_hash BLOB NOT NULL,
    params BLOB NOT NULL
) STRICT;
CREATE TABLE member (did TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE name (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE block (height INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, first_position INTEGER NOT NULL) STRICT;
CREATE INDEX block_time ON block (time_ms, first_position);
CREATE TABLE issuer (
    did TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    events_level INTEGER NOT NULL,
    bytes_level INTEGER NOT NULL,
    level_time_ms INTEGER NOT NULL,
    day INTEGER NOT NULL,
    day_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE batch (
    first_position INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    height INTEGER NOT NULL,
    issuer INTEGER NOT NULL REFERENCES name,
    seq INTEGER NOT NULL,
    jws TEXT NOT NULL
) STRICT;
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch,
    id BLOB NOT NULL,
    issuer INTEGER NOT NULL REFERENCES name,
    type INTEGER NOT NULL REFERENCES name,
    claim INTEGER NOT NULL REFERENCES claim,
    time_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_id ON event (id, issuer);
CREATE INDEX event_claim ON event (claim);
CREATE TABLE event_content (position INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE claim (
    number INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    issuer INTEGER NOT NULL REFERENCES name,
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    hashlink TEXT NOT NULL,
    is_deleted INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX claim_key ON claim (key, issuer);
"""

TABLES: Final = ("event_content", "event", "batch", "claim", "block", "issuer", "name", "member", "head")
"""All of them; a table comes before those that it refers to."""


class HeadRow(NamedTuple):
    """The row of `head`."""

    height: int
    time_ms: int
    events: int
    """Their number."""
    peaks: bytes
    """Of the Merkle tree's frontier, one hash after another."""
    members_root: bytes
    app_hash: bytes
    params: bytes
    """JSON of `LedgerParams`."""


class MemberRow(NamedTuple):
    """A row of `member`."""

    did: str
    body: bytes
    """JSON of `Member`."""


class BlockRow(NamedTuple):
    """A row of `block`."""

    height: int
    time_ms: int
    first_position: int


class EventRow(NamedTuple):
    """A row of `event`."""

    position: int
    batch: int
    """First position of its batch."""
    id: bytes
    issuer: int
    """Number of its name."""
    type: int
    """Number of its name."""
    claim: int
    """Number of the claim."""
    time_ms: int
    """The event's own time, milliseconds since 1970."""


class EventContentRow(NamedTuple):
    """A row of `event_content`."""

    position: int
    content: bytes


class BatchRow(NamedTuple):
    """A row of `batch`."""

    first_position: int
    events: int
    """Their number."""
    height: int
    issuer: int
    """Number of its name."""
    seq: int
    jws: str


class IssuerRow(NamedTuple):
    """A row of `issuer`: the fields of `IssuerState`."""

    did: str
    seq: int
    events_level: int
    bytes_level: int
    level_time_ms: int
    day: int
    day_bytes: int


class ClaimRow(NamedTuple):
    """A row of `claim`, without its number."""

    key: bytes
    issuer: int
    """Number of its name."""
    first_position: int
    last_position: int
    version: int
    hashlink: str
    is_deleted: int


RowType = type[HeadRow | MemberRow | BlockRow | IssuerRow | BatchRow | EventRow | EventContentRow | ClaimRow]


def columns(row: RowType) -> str:
    """The columns of a row type, in the order of its fields."""
    return ", ".join(row._fields)


def select_sql(table: str, row: RowType) -> str:
    """SQL that reads rows of a table, to be made into `row` with `_make`."""
    return f"SELECT {columns(row)} FROM {table}"  # noqa: S608


def insert_sql(table: str, row: RowType) -> str:
    """SQL that writes a row; its bindings are the row itself."""
    return f"INSERT INTO {table} ({columns(row)}) VALUES ({', '.join('?' * len(row._fields))})"  # noqa: S608
