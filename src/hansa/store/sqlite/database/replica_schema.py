"""The tables of what is published and retrieved, as migrations (`hansa.store.sqlite.database.schema`)."""

from __future__ import annotations

from typing import Final

ANNOUNCED_PARTS: Final = """
CREATE TABLE announced_part (
  number INTEGER PRIMARY KEY,
  hashlink TEXT NOT NULL UNIQUE,
  key BLOB NOT NULL,
  version INTEGER NOT NULL,
  ended_ms INTEGER,
  size_bytes INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX announced_part_of_key ON announced_part (key, ended_ms, version);
CREATE INDEX announced_part_by_end ON announced_part (ended_ms, number, size_bytes);
"""
"""What they mean: `hansa.store.tables.announced`."""

HEADS: Final = """
CREATE TABLE head (
  origin INTEGER NOT NULL REFERENCES origin (number),
  key BLOB NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  hashlink TEXT NOT NULL,
  position INTEGER NOT NULL,
  time TEXT NOT NULL,
  nonce TEXT,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL DEFAULT 0,
  problem TEXT,
  reason TEXT,
  entity_id TEXT,
  size_bytes INTEGER NOT NULL DEFAULT 0,
  replica_version INTEGER,
  replica_hashlink TEXT,
  replica_position INTEGER,
  PRIMARY KEY (origin, key)
) STRICT, WITHOUT ROWID;
INSERT INTO head
  SELECT r.origin, r.key, r.type, r.version, r.hashlink, r.position, r.time, r.nonce, r.state, r.attempts, r.due_ms,
    r.problem, r.reason, p.entity_id, coalesce(p.size_bytes, 0), p.version, p.hashlink, p.position
  FROM retrieval AS r LEFT JOIN provenance AS p ON p.origin = r.origin AND p.key = r.key;
INSERT INTO head
  SELECT p.origin, p.key, coalesce((SELECT type FROM entity WHERE id = p.entity_id), ''), p.version, p.hashlink,
    p.position, p.time, NULL, 'stored', 0, 0, NULL, NULL, p.entity_id, p.size_bytes, NULL, NULL, NULL
  FROM provenance AS p WHERE NOT EXISTS (
    SELECT 1 FROM retrieval WHERE retrieval.origin = p.origin AND retrieval.key = p.key);
DROP TABLE retrieval;
DROP TABLE provenance;
CREATE INDEX head_due ON head (origin, due_ms, position) WHERE state = 'pending';
CREATE INDEX head_problem ON head (origin, problem, due_ms) WHERE state = 'pending' AND problem IS NOT NULL;
CREATE INDEX head_state ON head (origin, state, position);
CREATE TRIGGER head_added AFTER INSERT ON head BEGIN
  UPDATE origin SET
    pending = pending + (NEW.state = 'pending'),
    deferred = deferred + (NEW.state = 'deferred'),
    skipped = skipped + (NEW.state = 'skipped'),
    rejected = rejected + (NEW.state = 'rejected'),
    deleted = deleted + (NEW.state = 'deleted'),
    stored = stored + (NEW.state = 'stored'),
    failed = failed + (NEW.state = 'pending' AND NEW.problem IS NOT NULL),
    stored_bytes = stored_bytes + NEW.size_bytes
  WHERE number = NEW.origin;
END;
CREATE TRIGGER head_removed AFTER DELETE ON head BEGIN
  UPDATE origin SET
    pending = pending - (OLD.state = 'pending'),
    deferred = deferred - (OLD.state = 'deferred'),
    skipped = skipped - (OLD.state = 'skipped'),
    rejected = rejected - (OLD.state = 'rejected'),
    deleted = deleted - (OLD.state = 'deleted'),
    stored = stored - (OLD.state = 'stored'),
    failed = failed - (OLD.state = 'pending' AND OLD.problem IS NOT NULL),
    stored_bytes = stored_bytes - OLD.size_bytes
  WHERE number = OLD.origin;
END;
CREATE TRIGGER head_changed AFTER UPDATE OF state, problem, size_bytes ON head
WHEN OLD.state != NEW.state OR (OLD.problem IS NULL) != (NEW.problem IS NULL)
  OR OLD.size_bytes != NEW.size_bytes BEGIN
  UPDATE origin SET
    pending = pending - (OLD.state = 'pending') + (NEW.state = 'pending'),
    deferred = deferred - (OLD.state = 'deferred') + (NEW.state = 'deferred'),
    skipped = skipped - (OLD.state = 'skipped') + (NEW.state = 'skipped'),
    rejected = rejected - (OLD.state = 'rejected') + (NEW.state = 'rejected'),
    deleted = deleted - (OLD.state = 'deleted') + (NEW.state = 'deleted'),
    stored = stored - (OLD.state = 'stored') + (NEW.state = 'stored'),
    failed = failed - (OLD.state = 'pending' AND OLD.problem IS NOT NULL)
      + (NEW.state = 'pending' AND NEW.problem IS NOT NULL),
    stored_bytes = stored_bytes - OLD.size_bytes + NEW.size_bytes
  WHERE number = NEW.origin;
END;
"""
"""One table in place of two; what it means: `hansa.store.tables.heads`."""

EVIDENCE_PROOFS: Final = """
ALTER TABLE evidence ADD COLUMN proof BLOB;
"""
"""Request and signed answer that show what a member sent: `hansa.store.tables.evidence`."""

PAUSED_ORIGINS: Final = "ALTER TABLE origin ADD COLUMN paused_since TEXT"
"""Members of which nothing is requested, by decision of the operator."""

LOST_CHAINS: Final = """
-- What the store has lost of a chain is taken over by whatever is noted under its key, which is looked at then.
-- A row that stands for an entity whose identifier nobody knows any more is called after it when it is known.
-- What is announced anew is not to be taken from others any more.
DROP TRIGGER publication_added;
CREATE TRIGGER publication_named BEFORE INSERT ON publication
WHEN EXISTS (SELECT 1 FROM publication WHERE entity_id = '~' || lower(hex(NEW.key))) BEGIN
  UPDATE outbox SET entity_id = NEW.entity_id WHERE entity_id = '~' || lower(hex(NEW.key));
  UPDATE publication SET entity_id = NEW.entity_id WHERE entity_id = '~' || lower(hex(NEW.key));
END;
CREATE TRIGGER publication_added AFTER INSERT ON publication
WHEN EXISTS (SELECT 1 FROM lost_entity WHERE key = NEW.key) BEGIN
  UPDATE publication SET is_due = 1, (version, hashlink, first_position, last_position) = (
    SELECT version, hashlink, position, position FROM lost_entity WHERE key = NEW.key
  ) WHERE entity_id = NEW.entity_id AND version = 0;
  DELETE FROM lost_entity WHERE key = NEW.key;
END;
CREATE TRIGGER outbox_added AFTER INSERT ON outbox WHEN EXISTS (SELECT 1 FROM lost_entity) BEGIN
  DELETE FROM lost_entity WHERE key = (SELECT key FROM publication WHERE entity_id = NEW.entity_id);
END;
"""
"""What of ours the ledger has and the store has lost: `hansa.store.tables.publications`."""
