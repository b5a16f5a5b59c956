"""The tables of the ledger's state.

head         one row: where the ledger stands. Written in the transaction of its block.
member       the registry
block        time of each block that has events
event        what is filtered on, a small row per event, so that scanning a window of positions is cheap
event_jws    the events themselves
claim        the last version per (issuer, entity key)
name         issuers and event names, by number
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x48414E4C
"""`HANL` in the file's header: this is a ledger's state and nothing else."""

SCHEMA_VERSION: Final = 1

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
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    height INTEGER NOT NULL,
    id BLOB NOT NULL,
    issuer INTEGER NOT NULL REFERENCES name,
    type INTEGER NOT NULL REFERENCES name,
    claim INTEGER NOT NULL REFERENCES claim
) STRICT;
CREATE UNIQUE INDEX event_id ON event (id, issuer);
CREATE INDEX event_claim ON event (claim);
CREATE TABLE event_jws (position INTEGER PRIMARY KEY, jws TEXT NOT NULL) STRICT;
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
