"""The schema of the store, as numbered migrations.

A database carries the number of its last migration in `PRAGMA user_version`. Opening runs the missing ones, each
in a transaction of its own; a database with a higher number was written by a newer release and is refused.
"""

from __future__ import annotations

from typing import Final

from hansa.store import jobs, publications, retrievals, subscriptions

APPLICATION_ID: Final = 0x48414E53
"""`HANS`, in SQLite's header: tells our databases from others."""

_ENTITIES: Final = """
CREATE TABLE entity (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  parent TEXT,
  origin TEXT,
  public INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  modified TEXT NOT NULL,
  hashlink TEXT NOT NULL,
  status TEXT,
  name TEXT,
  last_update TEXT,
  body BLOB NOT NULL
) STRICT;
-- Each index gives its rows in the order of their numbers, which is that of a list, and knows what is public.
CREATE INDEX entity_by_type ON entity (type, number, public);
CREATE INDEX entity_by_status ON entity (type, status, number, public);
CREATE INDEX entity_by_name ON entity (type, name, number, public);
CREATE INDEX entity_by_last_update ON entity (type, last_update, number, public);
CREATE INDEX entity_by_parent ON entity (type, parent, number, public) WHERE parent IS NOT NULL;

-- The values of the attributes that lists are often filtered on: one row per value of an entity.
CREATE TABLE entity_index (
  attribute INTEGER NOT NULL,
  value TEXT NOT NULL,
  entity INTEGER NOT NULL,
  public INTEGER NOT NULL,
  PRIMARY KEY (attribute, value, entity)
) STRICT, WITHOUT ROWID;
-- What each entity refers to, as marks of eight bytes.
CREATE TABLE entity_reference (
  collection INTEGER NOT NULL,
  entity INTEGER NOT NULL,
  marks BLOB NOT NULL,
  PRIMARY KEY (collection, entity)
) STRICT, WITHOUT ROWID;
-- Of what the columns and the index of a collection were made; the row without a name is for all that have none.
CREATE TABLE index_plan (type TEXT PRIMARY KEY, description TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- How many entities there are of a kind, kept by the writer with each commit. The status is in JSON.
CREATE TABLE entity_count (
  type TEXT NOT NULL,
  own INTEGER NOT NULL,
  public INTEGER NOT NULL,
  status TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (type, own, public, status)
) STRICT, WITHOUT ROWID;

-- What happened here, in order: the outbox of publishing and of notifications. The newest row is never removed:
-- its number is where the next one continues.
CREATE TABLE change (
  seq INTEGER PRIMARY KEY,
  time TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  type TEXT NOT NULL,
  operation TEXT NOT NULL,
  origin TEXT,
  status TEXT,
  parent TEXT
) STRICT;

-- That an entity was here: its number of writes goes on if its identifier is used again.
CREATE TABLE tombstone (
  id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  origin TEXT,
  revision INTEGER NOT NULL,
  time TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE cursor (
  name TEXT PRIMARY KEY,
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

_INDEX_TAIL: Final = """
-- After which number of an entity the index does not reach; see `hansa.store.tail`.
CREATE TABLE index_tail (after INTEGER NOT NULL) STRICT;
INSERT INTO index_tail SELECT ifnull(max(number), 0) FROM entity;
"""

MIGRATIONS: Final = (
    f"{_ENTITIES}{publications.SCHEMA}{retrievals.SCHEMA}{subscriptions.SCHEMA}{jobs.SCHEMA}",
    _INDEX_TAIL,
)
"""Migration n is element n - 1. A released one is never edited."""
