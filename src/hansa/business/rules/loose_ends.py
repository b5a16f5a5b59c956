"""Lists references to what is not here: in a league it may still arrive, or it was deleted, or was never there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hansa.business.models import Models
from hansa.business.rules.paths import reference_places
from hansa.business.rules.references import ReferenceRules
from hansa.core.clock import Clock
from hansa.store import Store
from hansa.store.references import unresolved


class LooseEnd(msgspec.Struct, frozen=True):
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


async def loose_ends(
    store: Store, models: Models, references: ReferenceRules, clock: Clock, limit: int
) -> tuple[LooseEnd, ...]:
    """References to what is not here, at the paths that are indexed; `limit` at most."""
    found: dict[tuple[str, str, str], LooseEnd] = {}
    for place in reference_places(models):
        _, resource = models.served(place.collection)
        async for target_id, referrer in unresolved(store, clock, (place.collection, place.path)):
            body: Mapping[str, Any] = msgspec.json.decode(referrer.body)
            for reference in references.references(resource, body):
                if reference.target_id == target_id:
                    end = LooseEnd(
                        *(referrer.collection, referrer.id, referrer.origin),
                        *(reference.path, target_id, reference.collections or ()),
                    )
                    found[end.type, end.id, end.path] = end
            if len(found) >= limit:
                return tuple(found.values())[:limit]
    return tuple(found.values())
