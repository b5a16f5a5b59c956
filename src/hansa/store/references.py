"""Who refers to whom, and what belongs to whom: what the indexes know about identifiers of other entities.

The index of attributes knows those at indexed paths (`hansa.store.plan`), in entities of every origin.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from hansa.core.canonical import canonical_json
from hansa.core.clock import Clock
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
    origin: str | None = None
    """DID of the origin of a replica."""


async def collections_of(tx: Transaction, ids: Sequence[str]) -> dict[str, str]:
    """The collections of those of the entities that are here, by identifier."""
    found: dict[str, str] = {}
    for start in range(0, len(ids), _VALUES_PER_STATEMENT):
        part = tuple(ids[start : start + _VALUES_PER_STATEMENT])
        marks = ", ".join("?" * len(part))
        found.update(tx.execute(f"SELECT id, type FROM entity WHERE id IN ({marks})", part))  # noqa: S608 - placeholders only
    return found


def place_numbers(places: Sequence[tuple[str, AttributePath]]) -> tuple[int, ...]:
    """What the index calls some places, each a collection and a path; to be worked out once."""
    return tuple(attribute_number(*place) for place in places)


async def referrers(
    tx: Transaction, places: Sequence[int], target_id: str, limit: int
) -> tuple[Referrer, ...]:
    """Entities of this marketplace that hold an identifier at one of some indexed places, `limit` at most.

    Args:
        tx: With what it wrote.
        places: As `place_numbers` gives them.
        target_id: The identifier; what the entity of that name says of itself is left out, and what is below it.
        limit: How many.
    """
    found: dict[str, Referrer] = {}
    value = canonical_json(target_id).decode()
    for start in range(0, len(places), _VALUES_PER_STATEMENT):
        part = tuple(places[start : start + _VALUES_PER_STATEMENT])
        rows = tx.execute(
            "SELECT DISTINCT entity.id, entity.type, entity.body FROM entity_index "  # noqa: S608 - placeholders only
            "JOIN entity ON entity.number = entity_index.entity "
            f"WHERE entity_index.attribute IN ({', '.join('?' * len(part))}) AND entity_index.value = ? "
            "AND entity.origin IS NULL AND entity.id <> ? AND entity.parent IS NOT ? LIMIT ?",
            (*part, value, target_id, target_id, limit),
        )
        found.update((row[0], Referrer(*row)) for row in rows)
        if len(found) >= limit:
            break
    return tuple(found.values())[:limit]


async def below(tx: Transaction, collections: Sequence[str], parent_id: str, limit: int) -> tuple[str, ...]:
    """Identifiers of the sub-resources of an entity, in some collections; `limit` at most."""
    marks = ", ".join("?" * len(collections))
    rows = tx.execute(
        f"SELECT id FROM entity WHERE type IN ({marks}) AND parent = ? LIMIT ?",  # noqa: S608 - placeholders only
        (*collections, parent_id, limit),
    )
    return tuple(row[0] for row in rows)


async def unresolved(
    store: Store, clock: Clock, place: tuple[str, AttributePath]
) -> AsyncIterator[tuple[str, Referrer]]:
    """Identifiers at an indexed place of which no entity is here, each with an entity that holds it.

    The index is read in parts, each when it is asked for, so that others get their turn.
    """
    number = attribute_number(*place)
    value, entity = "", -1
    while rows := store.fetch(
        "SELECT value, entity, EXISTS (SELECT 1 FROM entity WHERE id = json_extract(value, '$')) FROM entity_index "
        "WHERE attribute = ? AND (value, entity) > (?, ?) ORDER BY value, entity LIMIT ?",
        (number, value, entity, _VALUES_PER_STATEMENT),
    ):
        for value, entity, is_here in rows:
            if is_here:
                continue
            for found in store.fetch("SELECT id, type, body, origin FROM entity WHERE number = ?", (entity,)):
                yield msgspec.json.decode(value), Referrer(*found)
        await clock.sleep(0)  # let others in
