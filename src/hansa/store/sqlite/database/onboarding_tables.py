"""The table of organisations that registered: `hansa.store.tables.onboarding.registrations`."""

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
