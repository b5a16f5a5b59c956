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
CREATE INDEX entity_by_type ON entity (type, public);
CREATE INDEX entity_by_status ON entity (type, lifecycle_status, public);
CREATE INDEX entity_by_name ON entity (type, name);
CREATE INDEX entity_by_last_update ON entity (type, last_update);

-- The array attributes that lists are often filtered on, one row per element.
CREATE TABLE entity_reference (
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  entity INTEGER NOT NULL REFERENCES entity (rowid) ON DELETE CASCADE,
  PRIMARY KEY (path, value, entity)
) STRICT, WITHOUT ROWID;
CREATE INDEX entity_reference_by_entity ON entity_reference (entity);

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

-- What happened here, in order: the outbox of publishing and of notifications.
CREATE TABLE change (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
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

MIGRATIONS: Final = (
    "\n".join((_ENTITIES, publications.SCHEMA, retrievals.SCHEMA, subscriptions.SCHEMA)),
)
"""Migration n is element n - 1. A released one is never edited."""
