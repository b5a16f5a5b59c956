"""Who refers to whom, and what belongs to whom: what the indexes know about identifiers of other entities.

What is known of references are those at the paths of the plan (`hansa.store.index.plan`), in entities of every origin.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

import msgspec

from hansa.core.clock import Clock
from hansa.store.index.extraction import attribute_number, mark_of
from hansa.store.sqlite.commit.transaction import Transaction
from hansa.store.sqlite.lookups import rows_with
from hansa.store.sqlite.store import Store

_ENTITIES_AT_ONCE: Final = 200


class Referrer(msgspec.Struct, frozen=True):
    """An entity that refers to others."""

    id: str
    collection: str
    body: bytes
    origin: str | None = None
    """DID of the origin of a replica."""


def collection_numbers(collections: Iterable[str]) -> tuple[int, ...]:
    """What the table of marks calls some collections; to be worked out once."""
    return tuple(attribute_number(collection, ()) for collection in collections)


async def referrers(
    tx: Transaction, collections: Sequence[int], target_id: str, limit: int
) -> tuple[Referrer, ...]:
    """Entities of this marketplace that hold an identifier, or one with the same mark; `limit` at most.

    Args:
        tx: With what it wrote.
        collections: Where to look, as `collection_numbers` gives them.
        target_id: The identifier; what the entity of that name says of itself is left out, and what is below it.
        limit: How many.
    """
    marks = ", ".join("?" * len(collections))
    rows = tx.execute(
        "SELECT entity.id, entity.type, entity.body FROM entity_reference "  # noqa: S608 - placeholders only
        "JOIN entity ON entity.number = entity_reference.entity "
        f"WHERE entity_reference.collection IN ({marks}) AND instr(entity_reference.marks, ?) "
        "AND entity.origin IS NULL AND entity.id <> ? AND entity.parent IS NOT ? LIMIT ?",
        (*collections, mark_of(target_id), target_id, target_id, limit),
    )
    return tuple(Referrer(*row) for row in rows)


async def below(tx: Transaction, collections: Sequence[str], parent_id: str, limit: int) -> tuple[str, ...]:
    """Identifiers of the sub-resources of an entity, in some collections; `limit` at most."""
    marks = ", ".join("?" * len(collections))
    rows = tx.execute(
        f"SELECT id FROM entity WHERE type IN ({marks}) AND parent = ? LIMIT ?",  # noqa: S608 - placeholders only
        (*collections, parent_id, limit),
    )
    return tuple(row[0] for row in rows)


async def referring(store: Store, clock: Clock) -> AsyncIterator[tuple[Referrer, ...]]:
    """All entities that refer to any, a part at a time, so that others get their turn."""
    collection, number = 0, 0
    while rows := store.fetch(
        "SELECT r.collection, r.entity, e.id, e.type, e.body, e.origin FROM entity_reference AS r "
        "JOIN entity AS e ON e.number = r.entity WHERE (r.collection, r.entity) > (?, ?) "
        "ORDER BY r.collection, r.entity LIMIT ?",
        (collection, number, _ENTITIES_AT_ONCE),
    ):
        collection, number = rows[-1][:2]
        yield tuple(Referrer(*row[2:]) for row in rows)
        await clock.sleep(0)


async def missing(store: Store, ids: Sequence[str]) -> frozenset[str]:
    """Those of some identifiers of which no entity is here."""
    return frozenset(ids).difference(
        row[0] for row in rows_with(store.fetch, "SELECT id FROM entity WHERE id", ids)
    )
