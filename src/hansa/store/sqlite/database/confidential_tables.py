"""The tables of confidential entities, as a migration (`hansa.store.sqlite.database.schema`)."""

from __future__ import annotations

from typing import Final

CONFIDENTIAL: Final = """
CREATE TABLE confidential_publication (
  entity_id TEXT PRIMARY KEY,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  hashlink TEXT,
  audience TEXT NOT NULL,
  rule TEXT NOT NULL,
  is_due INTEGER NOT NULL,
  problem TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX confidential_publication_due ON confidential_publication (entity_id) WHERE is_due = 1;
CREATE INDEX confidential_publication_rule ON confidential_publication (rule, entity_id);
CREATE TABLE confidential_part (
  key BLOB PRIMARY KEY,
  entity_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  audience TEXT NOT NULL,
  ended_ms INTEGER,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX confidential_part_of_entity ON confidential_part (entity_id);
CREATE INDEX confidential_part_by_end ON confidential_part (ended_ms) WHERE ended_ms IS NOT NULL;
CREATE TABLE confidential_outbox (
  seq INTEGER PRIMARY KEY,
  entity_id TEXT NOT NULL,
  content BLOB NOT NULL
) STRICT;
CREATE TABLE confidential_head (
  issuer TEXT NOT NULL,
  entity_key BLOB NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  position INTEGER NOT NULL,
  key BLOB NOT NULL,
  hashlink TEXT NOT NULL,
  digest BLOB NOT NULL,
  nonce BLOB,
  content_key BLOB,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL DEFAULT 0,
  problem TEXT,
  reason TEXT,
  entity_id TEXT,
  size_bytes INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (issuer, entity_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX confidential_head_due ON confidential_head (issuer, due_ms) WHERE state = 'pending';
CREATE TABLE confidential_origin (
  issuer TEXT PRIMARY KEY,
  entities INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER confidential_head_added AFTER INSERT ON confidential_head BEGIN
  INSERT INTO confidential_origin VALUES (NEW.issuer, NEW.entity_id IS NOT NULL, NEW.size_bytes) ON CONFLICT (issuer)
    DO UPDATE SET entities = entities + (NEW.entity_id IS NOT NULL), size_bytes = size_bytes + NEW.size_bytes;
END;
CREATE TRIGGER confidential_head_changed AFTER UPDATE OF entity_id, size_bytes ON confidential_head BEGIN
  UPDATE confidential_origin SET
    entities = entities + (NEW.entity_id IS NOT NULL) - (OLD.entity_id IS NOT NULL),
    size_bytes = size_bytes + NEW.size_bytes - OLD.size_bytes
    WHERE issuer = NEW.issuer;
END;
CREATE INDEX confidential_head_state ON confidential_head (state, issuer, position);
"""
"""What they mean: `hansa.store.tables.confidential`."""

SEALED_POSITIONS: Final = "ALTER TABLE confidential_publication ADD COLUMN last_position INTEGER"
"""Where the last event of an entity is on the ledger; none of those before are known."""
