"""Refuses to delete what other entities of this marketplace refer to.

Only what still matters, and can be changed, stands in the way. What does not: replicas, whose origin alone could change
them, and who is told of the deletion as everybody is; entities in a final state, as completed orders and tasks that are
done; entities that nobody can change or delete, as their document has no such methods. Neither do references deep within an entity. An operator who would rather have
loose ends than refusals says so (`warn`); these can be listed (`hansa.business.rules.dangling`).
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from hansa.business.models import Models
from hansa.business.rules.paths import reference_places
from hansa.business.rules.references import ReferenceRules
from hansa.core.errors import Code, Refused
from hansa.store import Entity, Transaction
from hansa.store.tables.references import collection_numbers, referrers

Deletion = Literal["refuse", "warn"]
"""What becomes of the deletion of an entity that others refer to."""

CHANGING: Final = frozenset({"patch", "replace", "delete"})
REFERRERS_SHOWN_MAX: Final = 5
REFERRERS_READ_MAX: Final = 500
"""Referrers that are looked at, to see whether they stand in the way; where there are so many, it is taken for granted."""


class DeletionRules:
    """Checks deletions."""

    def __init__(self, models: Models, references: ReferenceRules, choice: Deletion) -> None:
        self._models = models
        self._references = references
        self._choice = choice
        referring: dict[str, set[str]] = {name: set() for name in models.types}
        for place in reference_places(models):
            for collection in models.types if place.collections is None else place.collections:
                referring[collection].add(place.collection)
        self._referring = {name: collection_numbers(sorted(found)) for name, found in referring.items()}
        """By collection, in which collections its entities can be referred to."""

    async def check(self, tx: Transaction, entity: Entity) -> None:
        """Check that nothing refers to an entity.

        Raises:
            Refused: `Code.STILL_REFERENCED`, naming some that do.
        """
        if self._choice == "warn":
            return
        found = await referrers(tx, self._referring[entity.type], entity.id, REFERRERS_READ_MAX)
        names = [
            f"{referrer.collection} {referrer.id!r}"
            for referrer in found
            if self._stands_in_the_way(referrer.collection, referrer.body, entity.id)
        ]
        if not names and len(found) == REFERRERS_READ_MAX:
            raise Refused(
                Code.STILL_REFERENCED,
                f"{entity.id!r} is referred to by {REFERRERS_READ_MAX} entities or more; change or delete these first.",
            )
        if names:
            more = " and others" if len(names) > REFERRERS_SHOWN_MAX else ""
            raise Refused(
                Code.STILL_REFERENCED,
                f"{entity.id!r} is referred to by {', '.join(names[:REFERRERS_SHOWN_MAX])}{more}; "
                "change or delete these first.",
            )

    def _stands_in_the_way(self, collection: str, body: bytes, target_id: str) -> bool:
        _, resource = self._models.served(collection)
        if CHANGING.isdisjoint((*resource.methods, *resource.operator_methods)):
            return False
        fields = msgspec.json.decode(body, type=dict[str, object])
        machine = self._models.lifecycle(resource)
        state = fields.get(resource.status_attribute or "")
        if machine is not None and isinstance(state, str) and machine.is_final(state):
            return False
        return any(each.target_id == target_id for each in self._references.references(resource, fields))
