"""The tables of the ledger's state, and their rows.

head         one row: the ledger in short. Written in the transaction of its block
member       the registry
block        time of each block that has events
issuer       what is remembered of each issuer
validator    the validators since the genesis
misbehavior  evidence against them
record       the records of all other sections (`hansa.pubsub.ledger.commitments.app_hash`)
batch        what issuers signed
event        what is filtered on, a small row per event, so that scanning a window of positions is cheap
event_content  the events themselves
used_id      ids of events that do not follow from the event's time: all under `hansa-ledger/3`
claim_bucket the claims, in buckets (`hansa.pubsub.ledger.commitments.claims`)
claim_group  the tree over the claims: hashes over each 256 buckets
checkpoint   of each block that has events: what shows, with its `app_hash`, the events of that height
tile         the tree over the events (`hansa.pubsub.ledger.commitments.tiles`)
name         issuers and event names, by number
missing      positions of the events that are not here yet: of a ledger that began with a snapshot

What `app_hash` commits to is stored as the bytes that are hashed: `body`, `records`, `hashes`.

A row type has the columns that are read or written, in the order of its fields; `select_sql` and `insert_sql`
name them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

APPLICATION_ID: Final = 0x48414E4C
"""`HANL` in the file's header: this is a ledger's state and nothing else."""

SCHEMA_VERSION: Final = 6
"""3: one signature a batch, and an `app_hash` over all of the state. A ledger of an earlier version cannot go
on: its history has other verdicts under these rules. 4: records of further sections. 5: an entity is named by
the position of its first event, which its claim has, so that neither entities nor ids need an index of their
own (docs/decisions/0043). 6: contents of events may be in a form that releases before cannot read
(docs/decisions/0066); older rows stay as they are."""

SCHEMA_OLDEST: Final = 3
"""A file from this version on is brought to the present one."""

_RECORD: Final = """
CREATE TABLE record (
    section TEXT NOT NULL,
    key TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (section, key)
) STRICT, WITHOUT ROWID;
"""

_MISSING: Final = """
CREATE TABLE missing (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    first_position INTEGER NOT NULL,
    last_position INTEGER NOT NULL
) STRICT;
"""

_EVENT_ID: Final = "CREATE INDEX event_id ON event (id, issuer);"

_CHECKPOINT: Final = """
CREATE TABLE checkpoint (
    height INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    ruleset TEXT NOT NULL,
    path BLOB NOT NULL
) STRICT;
"""

_BATCH: Final = """
CREATE TABLE batch (
    first_position INTEGER PRIMARY KEY,
    events INTEGER NOT NULL,
    height INTEGER NOT NULL,
    issuer INTEGER NOT NULL REFERENCES name,
    seq INTEGER NOT NULL,
    jws BLOB NOT NULL
) STRICT;
"""

_BLOBS_OF_BATCHES: Final = f"""
CREATE TEMP TABLE batch_before AS SELECT * FROM batch;
DROP TABLE batch;
{_BATCH}
INSERT INTO batch
    SELECT first_position, events, height, issuer, seq, CAST(jws AS BLOB) FROM batch_before;
DROP TABLE batch_before;
"""  # noqa: S608

_EVENT: Final = """
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch,
    issuer INTEGER NOT NULL REFERENCES name,
    type INTEGER NOT NULL REFERENCES name,
    entity INTEGER NOT NULL,
    time_ms INTEGER NOT NULL
) STRICT;
"""
_EVENT_INDEXES: Final = """
CREATE INDEX event_entity ON event (entity) WHERE entity <> position;
CREATE INDEX event_time ON event (issuer, time_ms);
"""
_USED_ID: Final = """
CREATE TABLE used_id (id BLOB NOT NULL, issuer INTEGER NOT NULL REFERENCES name, position INTEGER NOT NULL) STRICT;
CREATE INDEX used_id_key ON used_id (id, issuer);
"""
"""Not a unique index: whether an id was used is for the rules alone to decide."""

_ENTITIES: Final = f"""
{_USED_ID}
INSERT INTO used_id SELECT id, issuer, position FROM event
    WHERE is_judged_by_3() OR hex(substr(id, 1, 6)) <> printf('%012X', time_ms);
ALTER TABLE event RENAME TO event_before;
{_EVENT}
INSERT INTO event
    SELECT position, batch, event_before.issuer, type, first_position(claim.key, name.text), time_ms
    FROM event_before JOIN claim ON claim.number = event_before.claim JOIN name ON name.number = claim.issuer
    ORDER BY position;
DROP TABLE event_before;
DROP TABLE claim;
{_EVENT_INDEXES}
"""  # noqa: S608

MIGRATIONS: Final = {
    3: f"{_RECORD}{_MISSING}{_CHECKPOINT}DROP INDEX event_id;{_EVENT_ID}{_BLOBS_OF_BATCHES}",
    4: _ENTITIES,
    5: "",
}
"""What brings a file of a version to the next one, with the functions of
`hansa.pubsub.ledger.storage.migration`."""

SCHEMA: Final = f"""{_RECORD}{_MISSING}{_CHECKPOINT}
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    height INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    events INTEGER NOT NULL,
    app_hash BLOB NOT NULL,
    sections BLOB NOT NULL,
    ruleset TEXT NOT NULL
) STRICT;
CREATE TABLE member (did TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE name (number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE block (height INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, first_position INTEGER NOT NULL) STRICT;
CREATE INDEX block_time ON block (time_ms, first_position);
CREATE TABLE issuer (did TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE validator (address TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE misbehavior (evidence_id TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tile (
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, number)
) STRICT;
{_BATCH}
{_EVENT}{_EVENT_INDEXES}{_USED_ID}
CREATE TABLE event_content (position INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT;
CREATE TABLE claim_bucket (bucket INTEGER PRIMARY KEY, hash BLOB NOT NULL, records BLOB NOT NULL) STRICT;
CREATE TABLE claim_group (number INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT;
"""

TABLES: Final = (
    *("event_content", "event", "used_id", "batch", "claim_bucket", "claim_group", "tile", "block", "name"),
    "checkpoint",
    *("issuer", "validator", "misbehavior", "member", "record", "head", "missing"),
)
"""All of them; a table comes before those that it refers to."""


class HeadRow(NamedTuple):
    """The row of `head`."""

    height: int
    time_ms: int
    events: int
    """Their number."""
    app_hash: bytes
    sections: bytes
    """What `app_hash` is the root of (`Sections`), the parameters among it."""
    ruleset: str
    """Digest of the rules that made the state (`hansa.pubsub.ledger.rules.rulesets`)."""


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
    issuer: int
    """Number of its name."""
    type: int
    """Number of its name."""
    entity: int
    """Position of the entity's first event."""
    time_ms: int
    """The event's own time, milliseconds since 1970."""


class UsedIdRow(NamedTuple):
    """A row of `used_id`."""

    id: bytes
    issuer: int
    """Number of its name."""
    position: int


class EventContentRow(NamedTuple):
    """A row of `event_content`."""

    position: int
    content: bytes
    """As `hansa.pubsub.ledger.storage.compact` writes it."""


class CheckpointRow(NamedTuple):
    """A row of `checkpoint`: leads from the events' tree to the application hash of the state of a height."""

    height: int
    events: int
    """Number of the events at that height."""
    ruleset: str
    """Name of the rule set of the state."""
    path: bytes
    """From the section `events` to the application hash, one hash after another."""


class BatchRow(NamedTuple):
    """A row of `batch`."""

    first_position: int
    events: int
    """Their number."""
    height: int
    issuer: int
    """Number of its name."""
    seq: int
    jws: bytes
    """As `hansa.pubsub.ledger.storage.compact` writes it."""


class TileRow(NamedTuple):
    """A row of `tile`."""

    level: int
    number: int
    hashes: bytes


class BucketRow(NamedTuple):
    """A row of `claim_bucket`."""

    bucket: int
    hash: bytes
    records: bytes


class MissingRow(NamedTuple):
    """The row of `missing`; there is none when all events are here."""

    first_position: int
    """Those before it are here."""
    last_position: int
    """Those after it are here."""


RowType = type[
    MissingRow
    | HeadRow
    | BlockRow
    | CheckpointRow
    | BatchRow
    | EventRow
    | UsedIdRow
    | EventContentRow
    | TileRow
    | BucketRow
]


RECORD_TABLES: Final = {
    "registry": ("member", "did"),
    "issuers": ("issuer", "did"),
    "validators": ("validator", "address"),
    "misbehavior": ("misbehavior", "evidence_id"),
}
"""Table and key of the sections of records with a table of their own; `body` is what is hashed."""


def columns(row: RowType) -> str:
    """The columns of a row type, in the order of its fields."""
    return ", ".join(row._fields)


def select_sql(table: str, row: RowType) -> str:
    """SQL that reads rows of a table, to be made into `row` with `_make`."""
    return f"SELECT {columns(row)} FROM {table}"  # noqa: S608


def insert_sql(table: str, row: RowType) -> str:
    """SQL that writes a row; its bindings are the row itself."""
    return f"INSERT INTO {table} ({columns(row)}) VALUES ({', '.join('?' * len(row._fields))})"  # noqa: S608
