"""State files of a ledger as earlier releases wrote them, made of one of this release."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import apsw

from hansa.core.events import committed_event
from hansa.pubsub.ledger.commitments.claims import CLAIM_SIZE_BYTES, issuer_digest
from hansa.pubsub.ledger.storage.compact import expanded_content

_SCHEMA_4 = """
CREATE TABLE claim (number INTEGER PRIMARY KEY, key BLOB NOT NULL, issuer INTEGER NOT NULL REFERENCES name) STRICT;
CREATE UNIQUE INDEX claim_key ON claim (key, issuer);
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch,
    id BLOB NOT NULL,
    issuer INTEGER NOT NULL REFERENCES name,
    type INTEGER NOT NULL REFERENCES name,
    claim INTEGER NOT NULL REFERENCES claim,
    time_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX event_id ON event (id, issuer);
CREATE INDEX event_claim ON event (claim);
"""


def as_schema_4(path: Path) -> None:
    """Give a state that is closed the schema before entities were named by positions."""
    connection = apsw.Connection(str(path))

    def rows(sql: str) -> list[Any]:
        return connection.execute(sql).fetchall()

    names = {text: number for number, text in rows("SELECT number, text FROM name")}
    issuers = {issuer_digest(text): number for text, number in names.items()}
    events = rows("SELECT * FROM event ORDER BY position")
    contents = dict(rows("SELECT position, content FROM event_content"))
    buckets = rows("SELECT records FROM claim_bucket")
    connection.execute("DROP TABLE used_id; DROP TABLE event")
    connection.execute(_SCHEMA_4)
    claims: dict[tuple[str, int], int] = {}
    for (records,) in buckets:
        for at in range(0, len(records), CLAIM_SIZE_BYTES):
            key, issuer = records[at : at + 32], issuers[records[at + 32 : at + 64]]
            claims[key.hex(), issuer] = len(claims) + 1
            connection.execute("INSERT INTO claim VALUES (?, ?, ?)", (len(claims), key, issuer))
    for position, batch, issuer, type_number, _, time_ms in events:
        event = committed_event(expanded_content(contents[position]), "did:web:somebody.example")
        row = (
            *(position, batch, uuid.UUID(event.id).bytes, issuer, type_number),
            *(claims[event.entity.key, issuer], time_ms),
        )
        connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.pragma("user_version", 4)
    connection.close()
