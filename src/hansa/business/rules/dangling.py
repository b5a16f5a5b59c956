"""Lists references to what is not here: in a league it may still arrive, or it was deleted, or was never there."""

from __future__ import annotations

import msgspec

from hansa.business.models import Models
from hansa.business.rules.references import ReferenceRules
from hansa.core.clock import Clock
from hansa.store import Store
from hansa.store.tables.references import missing, referring


class DanglingReference(msgspec.Struct, frozen=True):
    """A reference to what is not here."""

    type: str
    """Collection of the entity that refers."""
    id: str
    """Its identifier."""
    origin: str | None
    """DID of its origin when it is a replica."""
    path: str
    """Where it does, as `category[0].id`."""
    target: str
    """The identifier of which nothing is here."""
    targets: tuple[str, ...]
    """Collections in which that would be; none when in any."""


async def dangling_references(
    store: Store, models: Models, references: ReferenceRules, clock: Clock, limit: int
) -> tuple[DanglingReference, ...]:
    """References to what is not here, `limit` at most."""
    found: list[DanglingReference] = []
    async for part in referring(store, clock):
        ends = [
            (referrer, reference)
            for referrer in part
            for reference in references.references(
                models.served(referrer.collection)[1], msgspec.json.decode(referrer.body)
            )
        ]
        gone = await missing(store, tuple({reference.target_id for _, reference in ends}))
        found += [
            DanglingReference(
                *(referrer.collection, referrer.id, referrer.origin),
                *(reference.path, reference.target_id, reference.collections or ()),
            )
            for referrer, reference in ends
            if reference.target_id in gone
        ]
        if len(found) >= limit:
            break
    return tuple(found[:limit])
