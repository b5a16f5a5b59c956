"""The tables of the issuer of credentials: `hansa.store.tables.issuing`."""

from __future__ import annotations

from typing import Final

ISSUING: Final = """
CREATE TABLE credential_offer (
  id TEXT PRIMARY KEY,
  reference BLOB NOT NULL UNIQUE,
  code BLOB NOT NULL UNIQUE,
  tx_code BLOB,
  tries INTEGER NOT NULL DEFAULT 0,
  token BLOB UNIQUE,
  token_expires_ms INTEGER,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  content BLOB NOT NULL,
  issued TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX credential_offer_expiry ON credential_offer (expires_ms);

CREATE TABLE status_list (
  number INTEGER PRIMARY KEY,
  organization TEXT NOT NULL,
  kind TEXT NOT NULL,
  taken INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX status_list_of_organization ON status_list (organization, kind, number);

CREATE TABLE issued_credential (
  id TEXT PRIMARY KEY,
  configuration TEXT NOT NULL,
  organization TEXT NOT NULL,
  organization_name TEXT NOT NULL,
  country TEXT NOT NULL,
  holder TEXT NOT NULL,
  email TEXT NOT NULL,
  list_number INTEGER NOT NULL REFERENCES status_list (number),
  place INTEGER NOT NULL,
  status INTEGER NOT NULL DEFAULT 0,
  issued_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  UNIQUE (list_number, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX issued_credential_by_time ON issued_credential (issued_ms, id);
CREATE INDEX issued_credential_of ON issued_credential (organization, issued_ms, id);
CREATE INDEX issued_credential_bad ON issued_credential (list_number) WHERE status != 0;
"""
