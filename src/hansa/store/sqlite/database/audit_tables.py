"""The tables of the audit log: `hansa.store.tables.audit`."""

from __future__ import annotations

from typing import Final

AUDIT: Final = """
CREATE TABLE audit_record (
  seq INTEGER PRIMARY KEY,
  time TEXT NOT NULL,
  kind TEXT NOT NULL,
  content BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;

-- The last record that was pruned.
CREATE TABLE audit_start (
  one INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE TRIGGER audit_record_next BEFORE INSERT ON audit_record
WHEN NEW.seq != 1 + ifnull((SELECT max(seq) FROM audit_record), ifnull((SELECT seq FROM audit_start), 0)) BEGIN
  SELECT raise(ABORT, 'a record of the audit log has the next number');
END;
CREATE TRIGGER audit_record_final BEFORE UPDATE ON audit_record BEGIN
  SELECT raise(ABORT, 'a record of the audit log is final');
END;
CREATE TRIGGER audit_record_pruned BEFORE DELETE ON audit_record
WHEN OLD.seq > ifnull((SELECT seq FROM audit_start), 0) BEGIN
  SELECT raise(ABORT, 'the newest record of the audit log that is removed is noted first');
END;
"""
