"""The tables of those who are logged in: `hansa.store.tables.logins`."""

from __future__ import annotations

from typing import Final

FAVOURITES: Final = """
CREATE TABLE favourite (
  subject TEXT NOT NULL,
  entity TEXT NOT NULL,
  added_ms INTEGER NOT NULL,
  PRIMARY KEY (subject, entity)
) STRICT, WITHOUT ROWID;
"""

LOGINS: Final = """
CREATE TABLE browser_session (
  name BLOB PRIMARY KEY,
  subject TEXT NOT NULL,
  principal BLOB NOT NULL,
  begun_s INTEGER NOT NULL,
  seen_s INTEGER NOT NULL,
  ends_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE token_family (
  handle BLOB PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  secret BLOB NOT NULL,
  subject TEXT NOT NULL,
  client TEXT NOT NULL,
  content BLOB NOT NULL,
  ends_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX token_family_of ON token_family (subject, client, ends_s);
CREATE INDEX token_family_end ON token_family (ends_s);

CREATE TABLE ended_token (
  name TEXT PRIMARY KEY,
  forget_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_token_forget ON ended_token (forget_s);

CREATE TABLE removed_party (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  since_s INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
"""
