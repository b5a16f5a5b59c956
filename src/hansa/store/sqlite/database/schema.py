"""The schema of the store, as numbered migrations.

A database carries the number of its last migration in `PRAGMA user_version`. Opening runs the missing ones,
each in a transaction of its own; a database with a higher number was written by a newer release and is
refused.
"""

from __future__ import annotations

from typing import Final

from hansa.store.sqlite.database.audit_tables import AUDIT
from hansa.store.sqlite.database.confidential_tables import CONFIDENTIAL, SEALED_POSITIONS
from hansa.store.sqlite.database.forwarding_tables import DELEGATION_ACCOUNTS, FORWARDING, QUEUED_ACTORS
from hansa.store.sqlite.database.issuing_tables import ISSUING
from hansa.store.sqlite.database.login_tables import FAVOURITES, LOGINS
from hansa.store.sqlite.database.onboarding_tables import EDITING, LISTENER_CALLERS, ONBOARDING
from hansa.store.sqlite.database.replica_schema import (
    ANNOUNCED_PARTS,
    EVIDENCE_PROOFS,
    HEADS,
    LOST_CHAINS,
    PAUSED_ORIGINS,
)

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
-- Of what the columns and the index of a collection were made; the row without a name is for all that have
-- none.
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

-- What happened here, in order: the outbox of publishing and of notifications. The newest row is never
-- removed: its number is where the next one continues.
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

_PUBLICATIONS: Final = """
CREATE TABLE publication (
  entity_id TEXT PRIMARY KEY,
  key BLOB NOT NULL UNIQUE,
  type TEXT NOT NULL,
  version INTEGER NOT NULL DEFAULT 0,
  hashlink TEXT,
  lifecycle_status TEXT,
  first_position INTEGER,
  last_position INTEGER,
  is_withdrawn INTEGER NOT NULL DEFAULT 0,
  is_due INTEGER NOT NULL DEFAULT 0,
  refusal_code TEXT,
  refusal_message TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX publication_due ON publication (is_due) WHERE is_due = 1;
CREATE INDEX publication_refused ON publication (refusal_code) WHERE refusal_code IS NOT NULL;

CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_id TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  hashlink TEXT NOT NULL,
  lifecycle_status TEXT,
  is_delete INTEGER NOT NULL,
  jws TEXT NOT NULL
) STRICT;
"""
"""What they mean: `hansa.store.tables.publications`."""

_RETRIEVALS: Final = """
CREATE TABLE origin (
  number INTEGER PRIMARY KEY,
  did TEXT NOT NULL UNIQUE,
  pending INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL DEFAULT 0,
  failing_since TEXT,
  problem TEXT,
  deferred_after INTEGER
) STRICT;

CREATE TABLE retrieval (
  origin INTEGER NOT NULL REFERENCES origin (number),
  key BLOB NOT NULL,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  hashlink TEXT NOT NULL,
  position INTEGER NOT NULL,
  time TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_ms INTEGER NOT NULL DEFAULT 0,
  problem TEXT,
  PRIMARY KEY (origin, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX retrieval_due ON retrieval (origin, due_ms, position);
CREATE INDEX retrieval_problem ON retrieval (origin, problem) WHERE problem IS NOT NULL;
CREATE TRIGGER retrieval_added AFTER INSERT ON retrieval BEGIN
  UPDATE origin SET pending = pending + 1 WHERE number = NEW.origin;
END;
CREATE TRIGGER retrieval_ended AFTER DELETE ON retrieval BEGIN
  UPDATE origin SET pending = pending - 1 WHERE number = OLD.origin;
END;

CREATE TABLE provenance (
  entity_id TEXT PRIMARY KEY,
  origin INTEGER NOT NULL REFERENCES origin (number),
  key BLOB NOT NULL,
  version INTEGER NOT NULL,
  hashlink TEXT NOT NULL,
  position INTEGER NOT NULL,
  time TEXT NOT NULL,
  UNIQUE (origin, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  issuer TEXT NOT NULL,
  code TEXT NOT NULL,
  key BLOB NOT NULL,
  version INTEGER NOT NULL,
  position INTEGER NOT NULL,
  reason TEXT NOT NULL,
  first_time TEXT NOT NULL,
  last_time TEXT NOT NULL,
  count INTEGER NOT NULL DEFAULT 1,
  UNIQUE (issuer, key, version, code)
) STRICT;

CREATE TABLE conflict (
  entity_id TEXT NOT NULL,
  issuer TEXT NOT NULL,
  first_position INTEGER NOT NULL,
  time TEXT NOT NULL,
  PRIMARY KEY (entity_id, issuer)
) STRICT, WITHOUT ROWID;
"""
"""Members that are followed, and what was wrong of what they sent (tables `origins` and `evidence`)."""

_SUBSCRIPTIONS: Final = """
CREATE TABLE subscription (
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  api TEXT NOT NULL,
  topic TEXT NOT NULL,
  callback TEXT NOT NULL,
  query TEXT NOT NULL,
  subscriber TEXT NOT NULL,
  position INTEGER NOT NULL,
  is_behind INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER NOT NULL DEFAULT 0,
  failures INTEGER NOT NULL DEFAULT 0,
  refusals INTEGER NOT NULL DEFAULT 0,
  problem TEXT,
  answered INTEGER,
  failing_since TEXT,
  is_paused INTEGER NOT NULL DEFAULT 0,
  letters_dropped INTEGER NOT NULL DEFAULT 0,
  revision INTEGER NOT NULL DEFAULT 0,
  UNIQUE (api, topic, callback, query)
) STRICT;
CREATE INDEX subscription_by_revision ON subscription (revision);
CREATE INDEX subscription_of_topic ON subscription (topic) WHERE topic != '';

CREATE TABLE dead_letter (
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  subscription TEXT NOT NULL,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  place INTEGER NOT NULL,
  time TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  problem TEXT NOT NULL,
  answered INTEGER,
  is_due INTEGER NOT NULL DEFAULT 0,
  UNIQUE (subscription, place)
) STRICT;

CREATE TABLE subscription_revision (revision INTEGER NOT NULL, ended INTEGER NOT NULL) STRICT;
INSERT INTO subscription_revision VALUES (0, 0);
CREATE TRIGGER subscription_made AFTER INSERT ON subscription BEGIN
  UPDATE subscription_revision SET revision = revision + 1;
  UPDATE subscription SET revision = (SELECT revision FROM subscription_revision) WHERE serial = NEW.serial;
END;
CREATE TRIGGER subscription_ended AFTER DELETE ON subscription BEGIN
  UPDATE subscription_revision SET revision = revision + 1, ended = ended + 1;
  DELETE FROM dead_letter WHERE subscription = OLD.id;
END;
-- The listeners of a topic go with it.
CREATE TRIGGER subscription_topic_ended AFTER DELETE ON entity BEGIN
  DELETE FROM subscription WHERE topic = OLD.id AND topic != '';
END;
"""
"""What they mean: `hansa.store.tables.subscriptions`."""

_JOBS: Final = """
CREATE TABLE job (
  id TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  done INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  errors TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
"""What they mean: `hansa.store.tables.jobs`."""

_INDEX_TAIL: Final = """
-- After which number of an entity the index does not reach; see `hansa.store.sqlite.index_tail`.
CREATE TABLE index_tail (after INTEGER NOT NULL) STRICT;
INSERT INTO index_tail SELECT ifnull(max(number), 0) FROM entity;
"""

_UNSIGNED_OUTBOX: Final = """
UPDATE publication SET is_due = 1 WHERE entity_id IN (SELECT entity_id FROM outbox);
DROP TABLE outbox;
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_id TEXT NOT NULL UNIQUE,
  version INTEGER NOT NULL,
  hashlink TEXT NOT NULL,
  lifecycle_status TEXT,
  is_delete INTEGER NOT NULL,
  content BLOB NOT NULL
) STRICT;
"""
"""Events are signed in batches, when they are submitted; those that wait are announced anew."""

_CLAIMS: Final = """
-- What binds an identifier to this marketplace; and the operation in the feed by which an entity whose claim
-- is not committed will become public.
ALTER TABLE entity ADD COLUMN nonce BLOB;
ALTER TABLE entity ADD COLUMN pending TEXT;
ALTER TABLE tombstone ADD COLUMN nonce BLOB;
ALTER TABLE change ADD COLUMN is_pending INTEGER NOT NULL DEFAULT 0;
ALTER TABLE publication ADD COLUMN claimed_by TEXT;
ALTER TABLE publication ADD COLUMN waits_for TEXT;
CREATE INDEX entity_pending ON entity (id) WHERE pending IS NOT NULL;
CREATE INDEX publication_claimed ON publication (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE INDEX publication_waiting ON publication (waits_for) WHERE waits_for IS NOT NULL;
ALTER TABLE retrieval ADD COLUMN nonce TEXT;
"""

_SUBSCRIBERS: Final = """
CREATE INDEX subscription_by_subscriber ON subscription (subscriber);
"""
"""How many registrations a subject has is counted at each new one."""

_REPLICA_STATES: Final = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Entities of this marketplace that the ledger has and the store has lost.
CREATE TABLE lost_entity (
  key BLOB PRIMARY KEY,
  type TEXT NOT NULL,
  version INTEGER NOT NULL,
  hashlink TEXT NOT NULL,
  position INTEGER NOT NULL,
  time TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER publication_added AFTER INSERT ON publication BEGIN
  DELETE FROM lost_entity WHERE key = NEW.key;
END;

DROP TRIGGER retrieval_added;
DROP TRIGGER retrieval_ended;
DROP INDEX retrieval_due;
DROP INDEX retrieval_problem;
ALTER TABLE retrieval ADD COLUMN state TEXT NOT NULL DEFAULT 'pending';
ALTER TABLE retrieval ADD COLUMN reason TEXT;
CREATE INDEX retrieval_due ON retrieval (origin, due_ms, position) WHERE state = 'pending';
CREATE INDEX retrieval_problem ON retrieval (origin, problem, due_ms)
  WHERE state = 'pending' AND problem IS NOT NULL;
CREATE INDEX retrieval_state ON retrieval (state, position);

ALTER TABLE provenance ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE provenance SET
  size_bytes = coalesce((SELECT length(body) FROM entity WHERE entity.id = provenance.entity_id), 0);

ALTER TABLE origin DROP COLUMN deferred_after;
ALTER TABLE origin ADD COLUMN heads INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN deferred INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN rejected INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN failed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN day INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN day_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE origin ADD COLUMN day_verification_ms INTEGER NOT NULL DEFAULT 0;
UPDATE origin SET
  pending = (SELECT count(*) FROM retrieval WHERE retrieval.origin = origin.number),
  failed = (SELECT count(*) FROM retrieval WHERE retrieval.origin = origin.number AND problem IS NOT NULL),
  stored = (SELECT count(*) FROM provenance WHERE provenance.origin = origin.number AND NOT EXISTS (
    SELECT 1 FROM retrieval WHERE retrieval.origin = provenance.origin AND retrieval.key = provenance.key)),
  stored_bytes = (
    SELECT coalesce(sum(size_bytes), 0) FROM provenance WHERE provenance.origin = origin.number);
CREATE TRIGGER retrieval_added AFTER INSERT ON retrieval BEGIN
  UPDATE origin SET
    pending = pending + (NEW.state = 'pending'),
    deferred = deferred + (NEW.state = 'deferred'),
    skipped = skipped + (NEW.state = 'skipped'),
    rejected = rejected + (NEW.state = 'rejected'),
    deleted = deleted + (NEW.state = 'deleted'),
    failed = failed + (NEW.state = 'pending' AND NEW.problem IS NOT NULL),
    stored = stored - EXISTS (SELECT 1 FROM provenance WHERE origin = NEW.origin AND key = NEW.key)
  WHERE number = NEW.origin;
END;
CREATE TRIGGER retrieval_ended AFTER DELETE ON retrieval BEGIN
  UPDATE origin SET
    pending = pending - (OLD.state = 'pending'),
    deferred = deferred - (OLD.state = 'deferred'),
    skipped = skipped - (OLD.state = 'skipped'),
    rejected = rejected - (OLD.state = 'rejected'),
    deleted = deleted - (OLD.state = 'deleted'),
    failed = failed - (OLD.state = 'pending' AND OLD.problem IS NOT NULL),
    stored = stored + EXISTS (SELECT 1 FROM provenance WHERE origin = OLD.origin AND key = OLD.key)
  WHERE number = OLD.origin;
END;
CREATE TRIGGER retrieval_changed AFTER UPDATE OF state, problem ON retrieval
WHEN OLD.state != NEW.state OR (OLD.problem IS NULL) != (NEW.problem IS NULL) BEGIN
  UPDATE origin SET
    pending = pending - (OLD.state = 'pending') + (NEW.state = 'pending'),
    deferred = deferred - (OLD.state = 'deferred') + (NEW.state = 'deferred'),
    skipped = skipped - (OLD.state = 'skipped') + (NEW.state = 'skipped'),
    rejected = rejected - (OLD.state = 'rejected') + (NEW.state = 'rejected'),
    deleted = deleted - (OLD.state = 'deleted') + (NEW.state = 'deleted'),
    failed = failed - (OLD.state = 'pending' AND OLD.problem IS NOT NULL)
      + (NEW.state = 'pending' AND NEW.problem IS NOT NULL)
  WHERE number = NEW.origin;
END;
CREATE TRIGGER provenance_added AFTER INSERT ON provenance BEGIN
  UPDATE origin SET
    stored = stored + NOT EXISTS (SELECT 1 FROM retrieval WHERE origin = NEW.origin AND key = NEW.key),
    stored_bytes = stored_bytes + NEW.size_bytes
  WHERE number = NEW.origin;
END;
CREATE TRIGGER provenance_ended AFTER DELETE ON provenance BEGIN
  UPDATE origin SET
    stored = stored - NOT EXISTS (SELECT 1 FROM retrieval WHERE origin = OLD.origin AND key = OLD.key),
    stored_bytes = stored_bytes - OLD.size_bytes
  WHERE number = OLD.origin;
END;
CREATE TRIGGER provenance_changed AFTER UPDATE OF size_bytes ON provenance
WHEN OLD.size_bytes != NEW.size_bytes BEGIN
  UPDATE origin SET stored_bytes = stored_bytes + NEW.size_bytes - OLD.size_bytes WHERE number = NEW.origin;
END;

-- The ledger is followed from its beginning once more: that counts the heads, and finds what was given up.
DELETE FROM cursor WHERE name = 'follower';
"""
"""Every head of the ledger has a state; earlier stores lost sight of some."""

_REFERENCE_INDEX: Final = """
CREATE TABLE reference_index (
  fingerprint BLOB NOT NULL,
  collection INTEGER NOT NULL,
  entity INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, collection, entity)
) STRICT, WITHOUT ROWID;
CREATE TABLE reference_tail (after INTEGER NOT NULL) STRICT;
INSERT INTO reference_tail VALUES (0);
"""
"""Who refers to an entity. Filled while the store is open."""

_REFERENCE_BLOCKS: Final = """
DROP TABLE reference_index;
CREATE TABLE reference_block (
  fingerprint BLOB NOT NULL,
  collection INTEGER NOT NULL,
  first INTEGER NOT NULL,
  entities TEXT NOT NULL,
  PRIMARY KEY (fingerprint, collection, first)
) STRICT, WITHOUT ROWID;
UPDATE reference_tail SET after = 0;
"""
"""The same with many entities in a row: `hansa.store.sqlite.commit.reference_index`."""

_SIGNED_NOTIFICATIONS: Final = """
-- With what notifications are signed; empty: they are not. The one before is good until the time beside it.
ALTER TABLE subscription ADD COLUMN secret TEXT NOT NULL DEFAULT '';
ALTER TABLE subscription ADD COLUMN secret_before TEXT NOT NULL DEFAULT '';
ALTER TABLE subscription ADD COLUMN secret_before_until TEXT;
"""

_CLOSURE: Final = """
CREATE TABLE closure (
  entity_id TEXT NOT NULL,
  target_id TEXT NOT NULL,
  depth INTEGER NOT NULL,
  since_ms INTEGER NOT NULL,
  issuer TEXT,
  target_key TEXT,
  is_missing INTEGER NOT NULL,
  PRIMARY KEY (entity_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX closure_target ON closure (target_id);
CREATE INDEX closure_key ON closure (target_key) WHERE target_key IS NOT NULL;
"""
"""What replicas lack of what they refer to: `hansa.store.tables.closure`."""

MIGRATIONS: Final = (
    f"{_ENTITIES}{_PUBLICATIONS}{_RETRIEVALS}{_SUBSCRIPTIONS}{_JOBS}",
    _INDEX_TAIL,
    _UNSIGNED_OUTBOX,
    _CLAIMS,
    _SUBSCRIBERS,
    _REPLICA_STATES,
    _REFERENCE_INDEX,
    _SIGNED_NOTIFICATIONS,
    _CLOSURE,
    FORWARDING,
    ANNOUNCED_PARTS,
    HEADS,
    _REFERENCE_BLOCKS,
    CONFIDENTIAL,
    DELEGATION_ACCOUNTS,
    AUDIT,
    EVIDENCE_PROOFS,
    SEALED_POSITIONS,
    PAUSED_ORIGINS,
    LOST_CHAINS,
    LOGINS,
    ISSUING,
    ONBOARDING,
    LISTENER_CALLERS,
    EDITING,
    QUEUED_ACTORS,
    FAVOURITES,
)
"""Migration n is element n - 1. A released one is never edited."""
