"""Refuses to delete what other entities of this marketplace refer to.

Replicas do not stand in the way: their origin alone could change them, and it is told of the deletion as everybody
is. Neither do references at paths that are not indexed, deep within an entity. An operator who would rather have
loose ends than refusals says so (`warn`); these can be listed (`hansa.business.rules.loose_ends`).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.business.models import Models
from hansa.business.rules.paths import ReferencePath, reference_places
from hansa.business.rules.references import ReferenceRules
from hansa.core.errors import Code, Refused
from hansa.store import Entity, Transaction
from hansa.store.references import referrers

Deletion = Literal["refuse", "warn"]
"""What becomes of the deletion of an entity that others refer to."""

REFERRERS_SHOWN_MAX: Final = 5
REFERRERS_READ_MAX: Final = 50
"""Referrers that are looked at. Some may hold a value of that identifier, which is no reference."""


class DeletionRules:
    """Checks deletions."""

    def __init__(self, models: Models, references: ReferenceRules, choice: Deletion) -> None:
        self._models = models
        self._references = references
        self._choice = choice
        places = reference_places(models)
        self._anywhere = tuple(place for place in places if place.collections is None)
        self._places: dict[str, tuple[ReferencePath, ...]] = {}
        for place in places:
            for collection in place.collections or ():
                self._places[collection] = (*self._places.get(collection, ()), place)

    async def check(self, tx: Transaction, entity: Entity) -> None:
        """Check that nothing refers to an entity.

        Raises:
            Refused: `Code.STILL_REFERENCED`, naming some that do.
        """
        if self._choice == "warn":
            return
        places = (*self._places.get(entity.type, ()), *self._anywhere)
        found = await referrers(
            tx, [(place.collection, place.path) for place in places], entity.id, REFERRERS_READ_MAX
        )
        names = [
            f"{referrer.collection} {referrer.id!r}"
            for referrer in found
            if self._refers(referrer.collection, referrer.body, entity.id)
        ]
        if names:
            more = " and others" if len(names) > REFERRERS_SHOWN_MAX else ""
            raise Refused(
                Code.STILL_REFERENCED,
                f"{entity.id!r} is referred to by {', '.join(names[:REFERRERS_SHOWN_MAX])}{more}; "
                "change or delete these first.",
            )

    def _refers(self, collection: str, body: bytes, target_id: str) -> bool:
        _, resource = self._models.served(collection)
        fields = msgspec.json.decode(body, type=dict[str, object])
        return any(each.target_id == target_id for each in self._references.references(resource, fields))
