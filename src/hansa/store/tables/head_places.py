"""The heads of the ledger (`hansa.store.tables.heads`), read for the comparison of very many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hansa.store.sql import Readable, statements_for
from hansa.store.tables.heads import State


class HeadPlace(NamedTuple):
    """What of a head is compared."""

    state: State
    hashlink: str
    position: int
    entity_id: str | None
    replica_hashlink: str | None

    @property
    def proved_hashlink(self) -> str | None:
        """Hashlink of the version that the replica is; None without one."""
        return self.hashlink if self.state == "stored" else self.replica_hashlink


async def places(source: Readable, issuer: str, keys: Sequence[str]) -> dict[str, HeadPlace]:
    """The heads of some keys (hex) of a member that there are, by key."""
    select = f"SELECT key, {', '.join(HeadPlace._fields)} FROM head WHERE origin = (SELECT number FROM origin WHERE did = ?)"  # noqa: S608 - constants
    statements = statements_for(f"{select} AND key", [bytes.fromhex(key) for key in keys], (issuer,))
    rows = [row for each in statements for row in await source.sql.fetch(*each)]
    return {row[0].hex(): HeadPlace(*row[1:]) for row in rows}
