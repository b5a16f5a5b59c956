"""The schema of the store, as numbered migrations.

A database carries the number of its last migration in `PRAGMA user_version`. Opening runs the missing ones, each
in a transaction of its own; a database with a higher number was written by a newer release and is refused.
"""

from __future__ import annotations

from typing import Final

from hansa.store import publications, retrievals, subscriptions

APPLICATION_ID: Final = 0x48414E53
"""`HANS`, in SQLite's header: tells our databases from others."""

_ENTITIES: Final = """
CREATE TABLE entity (
  rowid INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  origin TEXT,
  public INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  hashlink TEXT NOT NULL,
  lifecycle_status TEXT,
  name TEXT,
  last_update TEXT,
  body BLOB NOT NULL
) STRICT;
-- Each index gives its rows in the order of rowid, which is that of a list.
CREATE INDEX entity_by_type ON entity (type);
CREATE INDEX entity_public_by_type ON entity (type) WHERE public = 1;
CREATE INDEX entity_by_status ON entity (type, lifecycle_status);
CREATE INDEX entity_by_name ON entity (type, name);
CREATE INDEX entity_by_last_update ON entity (type, last_update);

-- The attributes within arrays and references that lists are often filtered on: one row per value.
CREATE TABLE entity_index (
  attribute TEXT NOT NULL,
  value TEXT NOT NULL,
  entity INTEGER NOT NULL,
  public INTEGER NOT NULL,
  PRIMARY KEY (attribute, value, entity)
) STRICT, WITHOUT ROWID;
CREATE TABLE indexed_path (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Exact totals without counting: the triggers keep a row per combination.
CREATE TABLE entity_count (
  type TEXT NOT NULL,
  own INTEGER NOT NULL,
  public INTEGER NOT NULL,
  lifecycle_status TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (type, own, public, lifecycle_status)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entity_counted_in AFTER INSERT ON entity BEGIN
  INSERT INTO entity_count
    VALUES (NEW.type, NEW.origin IS NULL, NEW.public, ifnull(NEW.lifecycle_status, ''), 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER entity_counted_out AFTER DELETE ON entity BEGIN
  UPDATE entity_count SET count = count - 1
    WHERE type = OLD.type AND own = (OLD.origin IS NULL) AND public = OLD.public
      AND lifecycle_status = ifnull(OLD.lifecycle_status, '');
END;
CREATE TRIGGER entity_counted_anew AFTER UPDATE OF type, origin, public, lifecycle_status ON entity
WHEN OLD.type IS NOT NEW.type OR OLD.origin IS NOT NEW.origin OR OLD.public IS NOT NEW.public
  OR OLD.lifecycle_status IS NOT NEW.lifecycle_status BEGIN
  UPDATE entity_count SET count = count - 1
    WHERE type = OLD.type AND own = (OLD.origin IS NULL) AND public = OLD.public
      AND lifecycle_status = ifnull(OLD.lifecycle_status, '');
  INSERT INTO entity_count
    VALUES (NEW.type, NEW.origin IS NULL, NEW.public, ifnull(NEW.lifecycle_status, ''), 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;

-- What happened here, in order: the outbox of publishing and of notifications. The newest row is never removed:
-- its number is where the next one continues.
CREATE TABLE change (
  seq INTEGER PRIMARY KEY,
  time TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  type TEXT NOT NULL,
  operation TEXT NOT NULL,
  origin TEXT
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

MIGRATIONS: Final = (f"{_ENTITIES}{publications.SCHEMA}{retrievals.SCHEMA}{subscriptions.SCHEMA}",)
"""Migration n is element n - 1. A released one is never edited."""
