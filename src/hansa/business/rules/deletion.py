"""Refuses to delete entities that other entities of this marketplace refer to.

Only a reference that still matters and can be changed prevents a deletion. These do not: those of replicas,
which only their origin can change, and which learns of the deletion as everybody does; of entities in a final
state, as completed orders and finished tasks; of entities that nobody can change or delete, as their document
has no such methods; and references deep within an entity. An operator who prefers dangling references to
refusals says so (`warn`); these can be listed (`hansa.business.rules.dangling`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from hansa.business.models import Models
from hansa.business.rules.paths import reference_index_paths
from hansa.business.rules.references import ReferenceRules
from hansa.core.errors import Code, Refused
from hansa.core.policies import DeletionPolicy
from hansa.store import Entity, Referrer, Transaction

"""Outcome of deleting an entity that others refer to."""

CHANGING: Final = frozenset({"patch", "replace", "delete"})
REFERRERS_SHOWN_MAX: Final = 5
REFERRERS_READ_FIRST: Final = 20
"""Referrers that are examined before any further ones are read."""
REFERRERS_READ_MAX: Final = 500
"""Referrers that are examined; where there are as many, one of them is assumed to prevent the deletion."""


class DeletionRules:
    """Checks deletions."""

    def __init__(self, models: Models, references: ReferenceRules, policy: DeletionPolicy) -> None:
        self._models = models
        self._references = references
        self._policy = policy
        referring: dict[str, set[str]] = {name: set() for name in models.types}
        for path in reference_index_paths(models):
            for collection in models.types if path.collections is None else path.collections:
                referring[collection].add(path.collection)
        self._referring = {name: tuple(sorted(names)) for name, names in referring.items()}
        """By collection, the collections whose entities can refer to its entities."""

    async def check(self, tx: Transaction, entity: Entity) -> None:
        """Check that no entity that matters refers to an entity.

        Raises:
            Refused: `Code.STILL_REFERENCED`, naming some that do.
        """
        if self._policy == "warn":
            return
        examined: tuple[Referrer, ...] = ()
        names: list[str] = []
        for limit in (REFERRERS_READ_FIRST, REFERRERS_READ_MAX):  # few, mostly: their bodies may be large
            examined = await tx.referrers(self._referring[entity.type], entity.id, limit)
            names = [
                f"{referrer.collection} {referrer.id!r}"
                for referrer in examined
                if self._prevents_deletion(referrer.collection, referrer.body, entity.id)
            ]
            if names or len(examined) < limit:
                break
        if not names and len(examined) == REFERRERS_READ_MAX:
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

    def _prevents_deletion(self, collection: str, body: bytes, target_id: str) -> bool:
        _, resource = self._models.served(collection)
        if CHANGING.isdisjoint((*resource.methods, *resource.operator_methods)):
            return False
        fields = msgspec.json.decode(body, type=dict[str, object])
        machine = self._models.lifecycle(resource)
        state = fields.get(resource.status_attribute or "")
        if machine is not None and isinstance(state, str) and machine.is_final(state):
            return False
        return any(each.target_id == target_id for each in self._references.references(resource, fields))
