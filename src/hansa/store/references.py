"""Who refers to whom: what the index of attributes knows about identifiers within other entities.

It knows those at indexed paths (`hansa.store.plan`), in entities of every origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hansa.core.canonical import canonical_json
from hansa.store.attributes import AttributePath
from hansa.store.indexing import attribute_number
from hansa.store.store import Store
from hansa.store.transaction import Transaction

_VALUES_PER_STATEMENT: Final = 500


class Referrer(msgspec.Struct, frozen=True):
    """An entity that holds an identifier at an indexed path."""

    id: str
    collection: str
    body: bytes


async def collections_of(tx: Transaction, ids: Sequence[str]) -> dict[str, str]:
    """The collections of those of the entities that are here, by identifier."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), _VALUES_PER_STATEMENT):
        part = tuple(ids[start : start + _VALUES_PER_STATEMENT])
        marks = ", ".join("?" * len(part))
        found.update(tx.execute(f"SELECT id, type FROM entity WHERE id IN ({marks})", part))  # noqa: S608 - placeholders only
    return found


async def referrers(
    tx: Transaction, places: Sequence[tuple[str, AttributePath]], target_id: str, limit: int
) -> tuple[Referrer, ...]:
    """Entities of this marketplace that hold an identifier at one of some indexed places, `limit` at most.

    Args:
        tx: With what it wrote.
        places: Collection and path.
        target_id: The identifier; what the entity of that name says of itself is left out.
        limit: How many.
    """
    found: dict[str, Referrer] = {}
    value = canonical_json(target_id).decode()
    for start in range(0, len(places), _VALUES_PER_STATEMENT):
        part = tuple(attribute_number(*place) for place in places[start : start + _VALUES_PER_STATEMENT])
        rows = tx.execute(
            "SELECT DISTINCT entity.id, entity.type, entity.body FROM entity_index "  # noqa: S608 - placeholders only
            "JOIN entity ON entity.number = entity_index.entity "
            f"WHERE entity_index.attribute IN ({', '.join('?' * len(part))}) AND entity_index.value = ? "
            "AND entity.origin IS NULL AND entity.id <> ? LIMIT ?",
            (*part, value, target_id, limit),
        )
        found.update((row[0], Referrer(*row)) for row in rows)
        if len(found) >= limit:
            break
    return tuple(found.values())[:limit]


async def unresolved(store: Store, place: tuple[str, AttributePath], limit: int) -> tuple[Referrer, ...]:
    """Entities that hold, at an indexed place, an identifier of which no entity is here; `limit` at most."""
    rows = store.fetch(
        "SELECT DISTINCT entity.id, entity.type, entity.body FROM entity_index "
        "JOIN entity ON entity.number = entity_index.entity "
        "WHERE entity_index.attribute = ? AND NOT EXISTS "
        "(SELECT 1 FROM entity AS target WHERE target.id = json_extract(entity_index.value, '$')) LIMIT ?",
        (attribute_number(*place), limit),
    )
    return tuple(Referrer(*row) for row in rows)
