"""The tables of writes that are repeated and of writes that are forwarded.

What they mean: `hansa.store.tables.writes.idempotency`, `delegations` and `queued_writes`.
"""

from __future__ import annotations

from typing import Final

FORWARDING: Final = """
CREATE TABLE idempotency_key (
  account BLOB NOT NULL,
  name BLOB NOT NULL,
  fingerprint BLOB NOT NULL,
  expires_ms INTEGER NOT NULL,
  result BLOB NOT NULL,
  PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_key_expiry ON idempotency_key (expires_ms);
CREATE INDEX idempotency_key_first ON idempotency_key (account, expires_ms);
CREATE TABLE idempotency_account (
  account BLOB PRIMARY KEY,
  keys INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER idempotency_key_added AFTER INSERT ON idempotency_key BEGIN
  INSERT INTO idempotency_account VALUES (NEW.account, 1, length(NEW.result)) ON CONFLICT (account)
    DO UPDATE SET keys = keys + 1, size_bytes = size_bytes + length(NEW.result);
  INSERT INTO idempotency_account VALUES (x'', 1, length(NEW.result)) ON CONFLICT (account)
    DO UPDATE SET keys = keys + 1, size_bytes = size_bytes + length(NEW.result);
END;
CREATE TRIGGER idempotency_key_removed AFTER DELETE ON idempotency_key BEGIN
  UPDATE idempotency_account SET keys = keys - 1, size_bytes = size_bytes - length(OLD.result)
    WHERE account IN (OLD.account, x'');
  DELETE FROM idempotency_account WHERE account = OLD.account AND keys = 0;
END;

CREATE TABLE used_delegation (
  member TEXT NOT NULL,
  jti TEXT NOT NULL,
  forget_ms INTEGER NOT NULL,
  PRIMARY KEY (member, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX used_delegation_forget ON used_delegation (forget_ms);

CREATE TABLE queued_write (
  id TEXT PRIMARY KEY,
  origin TEXT NOT NULL,
  owner TEXT NOT NULL,
  subject TEXT NOT NULL,
  roles TEXT NOT NULL,
  digest BLOB NOT NULL,
  write BLOB NOT NULL,
  method TEXT NOT NULL,
  path TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  due_ms INTEGER NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  problem TEXT,
  reason TEXT,
  answer BLOB
) STRICT, WITHOUT ROWID;
CREATE INDEX queued_write_waiting ON queued_write (origin, path, created_ms, id) WHERE state = 'waiting';
CREATE INDEX queued_write_ended ON queued_write (expires_ms) WHERE state != 'waiting';
CREATE TABLE queued_write_account (
  owner TEXT PRIMARY KEY,
  writes INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER queued_write_added AFTER INSERT ON queued_write BEGIN
  INSERT INTO queued_write_account VALUES (NEW.owner, 1, length(NEW.write)) ON CONFLICT (owner)
    DO UPDATE SET writes = writes + 1, size_bytes = size_bytes + length(NEW.write);
  INSERT INTO queued_write_account VALUES ('', 1, length(NEW.write)) ON CONFLICT (owner)
    DO UPDATE SET writes = writes + 1, size_bytes = size_bytes + length(NEW.write);
END;
CREATE TRIGGER queued_write_changed AFTER UPDATE OF write, answer ON queued_write BEGIN
  UPDATE queued_write_account SET size_bytes = size_bytes
    + length(NEW.write) + coalesce(length(NEW.answer), 0) - length(OLD.write) - coalesce(length(OLD.answer), 0)
    WHERE owner IN (NEW.owner, '');
END;
CREATE TRIGGER queued_write_removed AFTER DELETE ON queued_write BEGIN
  UPDATE queued_write_account SET
    writes = writes - 1, size_bytes = size_bytes - length(OLD.write) - coalesce(length(OLD.answer), 0)
    WHERE owner IN (OLD.owner, '');
  DELETE FROM queued_write_account WHERE owner = OLD.owner AND writes = 0;
END;
"""

DELEGATION_ACCOUNTS: Final = """
CREATE TABLE delegation_account (
  member TEXT PRIMARY KEY,
  used INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO delegation_account SELECT member, count(*) FROM used_delegation GROUP BY member;
CREATE TRIGGER used_delegation_added AFTER INSERT ON used_delegation BEGIN
  INSERT INTO delegation_account VALUES (NEW.member, 1) ON CONFLICT (member) DO UPDATE SET used = used + 1;
END;
CREATE TRIGGER used_delegation_removed AFTER DELETE ON used_delegation BEGIN
  UPDATE delegation_account SET used = used - 1 WHERE member = OLD.member;
  DELETE FROM delegation_account WHERE member = OLD.member AND used = 0;
END;
"""
"""How many delegations of each member are remembered; a flood of them is not counted anew each time."""

QUEUED_ACTORS: Final = """
ALTER TABLE queued_write RENAME COLUMN roles TO actor;
UPDATE queued_write SET actor = json_object('roles', json('["' || replace(actor, ',', '","') || '"]'));
"""
"""As whom the callers of queued writes act: once by roles alone."""
