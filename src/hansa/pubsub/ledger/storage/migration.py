"""Brings the file of an earlier schema to the present one, within one transaction.

What SQL cannot say is a function of it: by which rules a ledger is judged, and where an entity's first event
is, as its claim has it.
"""

from __future__ import annotations

from typing import Any

import apsw

from hansa.pubsub.ledger.commitments.app_hash import RULESET_3, Sections
from hansa.pubsub.ledger.commitments.claims import bucket_of, first_position_of, record_of
from hansa.pubsub.ledger.storage.schema import MIGRATIONS, SCHEMA_VERSION


def migrate(connection: apsw.Connection, version: int) -> None:
    """Bring a file of a version to `SCHEMA_VERSION`.

    Raises:
        apsw.Error: It cannot be read or written, or contradicts itself; nothing is changed.
    """

    def first_position(*arguments: Any) -> int | None:
        key, issuer = arguments
        row = connection.execute(
            "SELECT records FROM claim_bucket WHERE bucket = ?", (bucket_of(key.hex()),)
        ).fetchone()
        record = None if row is None else record_of(row[0], key.hex(), issuer)
        return None if record is None else first_position_of(record)

    def is_judged_by_3(*arguments: Any) -> bool:
        assert not arguments, "it is of the whole ledger"
        row = connection.execute("SELECT sections FROM head").fetchone()
        return row is not None and Sections.decoded(row[0]).ruleset == RULESET_3

    connection.create_scalar_function("first_position", first_position, 2, deterministic=True)
    connection.create_scalar_function("is_judged_by_3", is_judged_by_3, 0, deterministic=True)
    with connection:
        for step in range(version, SCHEMA_VERSION):
            connection.execute(MIGRATIONS[step])
        connection.pragma("user_version", SCHEMA_VERSION)
