"""Lists dangling references: their entity was deleted, never existed, or is still to be replicated."""

from __future__ import annotations

import msgspec

from hansa.business.models import Models
from hansa.business.rules.references import ReferenceRules
from hansa.store import Store


class DanglingReference(msgspec.Struct, frozen=True):
    """A reference to an entity that is not in the store."""

    type: str
    """Collection of the entity that refers."""
    id: str
    """Its identifier."""
    origin: str | None
    """DID of its origin when it is a replica."""
    path: str
    """Attribute that refers, as `category[0].id`."""
    target: str
    """Identifier of the missing entity."""
    targets: tuple[str, ...]
    """Collections to which that can belong; empty for any."""


async def dangling_references(
    store: Store, models: Models, references: ReferenceRules, limit: int
) -> tuple[DanglingReference, ...]:
    """The dangling references of all entities, `limit` at most."""
    dangling: list[DanglingReference] = []
    async for part in store.referring():
        pairs = [
            (referrer, reference)
            for referrer in part
            for reference in references.references(
                models.served(referrer.collection)[1], msgspec.json.decode(referrer.body)
            )
        ]
        absent = await store.missing(tuple({reference.target_id for _, reference in pairs}))
        dangling += [
            DanglingReference(
                *(referrer.collection, referrer.id, referrer.origin),
                *(reference.path, reference.target_id, reference.collections or ()),
            )
            for referrer, reference in pairs
            if reference.target_id in absent
        ]
        if len(dangling) >= limit:
            break
    return tuple(dangling[:limit])
