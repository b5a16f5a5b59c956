"""Tables of organisations that registered, of what listeners see, and of what people write on pages.

Those of `hansa.store.tables.onboarding`, `hansa.business.hub` and `hansa.store.tables.editing`.
"""

from __future__ import annotations

from typing import Final

ONBOARDING: Final = """
CREATE TABLE organization_registration (
  organization TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  country TEXT NOT NULL,
  state TEXT NOT NULL,
  registrant TEXT NOT NULL,
  registrant_name TEXT NOT NULL,
  registrant_email TEXT NOT NULL,
  roles TEXT NOT NULL,
  terms TEXT NOT NULL,
  accepted_ms INTEGER NOT NULL,
  registered_ms INTEGER NOT NULL,
  decided_ms INTEGER,
  organization_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX organization_registration_by_state ON organization_registration (state, registered_ms, organization);
"""

LISTENER_CALLERS: Final = """
-- A callback and a query are registered once for each organisation, not once in all.
ALTER TABLE subscription RENAME TO subscription_before;
CREATE TABLE subscription (
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  api TEXT NOT NULL,
  topic TEXT NOT NULL,
  callback TEXT NOT NULL,
  query TEXT NOT NULL,
  subscriber TEXT NOT NULL,
  organization TEXT NOT NULL DEFAULT '',
  caller TEXT NOT NULL DEFAULT '',
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
  secret TEXT NOT NULL DEFAULT '',
  secret_before TEXT NOT NULL DEFAULT '',
  secret_before_until TEXT,
  UNIQUE (api, topic, callback, query, organization)
) STRICT;
INSERT INTO subscription (serial, id, api, topic, callback, query, subscriber, position, is_behind, delivered,
    failures, refusals, problem, answered, failing_since, is_paused, letters_dropped, revision, secret,
    secret_before, secret_before_until)
  SELECT serial, id, api, topic, callback, query, subscriber, position, is_behind, delivered, failures,
    refusals, problem, answered, failing_since, is_paused, letters_dropped, revision, secret, secret_before,
    secret_before_until
  FROM subscription_before;
DROP TRIGGER subscription_made;
DROP TRIGGER subscription_ended;
DROP TRIGGER subscription_topic_ended;
DROP TABLE subscription_before;
CREATE INDEX subscription_by_revision ON subscription (revision);
CREATE INDEX subscription_of_topic ON subscription (topic) WHERE topic != '';
CREATE INDEX subscription_by_subscriber ON subscription (subscriber);
CREATE INDEX subscription_by_organization ON subscription (organization) WHERE organization != '';
CREATE TRIGGER subscription_made AFTER INSERT ON subscription BEGIN
  UPDATE subscription_revision SET revision = revision + 1;
  UPDATE subscription SET revision = (SELECT revision FROM subscription_revision) WHERE serial = NEW.serial;
END;
CREATE TRIGGER subscription_ended AFTER DELETE ON subscription BEGIN
  UPDATE subscription_revision SET revision = revision + 1, ended = ended + 1;
  DELETE FROM dead_letter WHERE subscription = OLD.id;
END;
CREATE TRIGGER subscription_topic_ended AFTER DELETE ON entity BEGIN
  DELETE FROM subscription WHERE topic = OLD.id AND topic != '';
END;

CREATE TABLE deletion (
  serial INTEGER PRIMARY KEY AUTOINCREMENT,
  entity_id TEXT NOT NULL UNIQUE ON CONFLICT REPLACE,
  was_public INTEGER NOT NULL,
  facts BLOB NOT NULL
) STRICT;
"""

EDITING: Final = """
CREATE TABLE form_draft (
  id TEXT PRIMARY KEY,
  subject TEXT NOT NULL,
  kind TEXT NOT NULL,
  entity TEXT NOT NULL,
  version TEXT NOT NULL,
  base BLOB NOT NULL,
  content BLOB NOT NULL,
  created_s INTEGER NOT NULL,
  saved_s INTEGER NOT NULL
) STRICT;
CREATE INDEX form_draft_by_subject ON form_draft (subject, saved_s);
CREATE INDEX form_draft_by_age ON form_draft (saved_s, id);
CREATE TABLE import_file (
  subject TEXT PRIMARY KEY,
  id TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  state TEXT NOT NULL,
  content BLOB NOT NULL,
  mapping BLOB NOT NULL,
  report BLOB NOT NULL,
  saved_s INTEGER NOT NULL
) STRICT;
CREATE INDEX import_file_by_age ON import_file (saved_s, subject);
"""
