"""Refuses to delete entities that other entities of this marketplace refer to.

Only a reference that still matters and can be changed prevents a deletion. These do not: those of replicas,
which only their origin can change, and which learns of the deletion as everybody does; of entities in a final
state, as completed orders and finished tasks; of entities that nobody can change or delete, as their document
has no such methods; and references deep within an entity. An operator who prefers dangling references to
refusals says so (`warn`); these can be listed (`hansa.business.rules.dangling`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Final

import msgspec

from hansa.business.models import Models
from hansa.business.rules.paths import reference_index_paths
from hansa.business.rules.references import ReferenceRules
from hansa.core.errors import Code, Refused
from hansa.core.policies import DeletionPolicy
from hansa.core.thread_work import SMALL_MAX_BYTES, run_refusable
from hansa.store import Entity, Referrer, Transaction

"""Outcome of deleting an entity that others refer to."""

CHANGING: Final = frozenset({"patch", "replace", "delete"})
REFERRERS_SHOWN_MAX: Final = 5
REFERRERS_AT_ONCE: Final = 20
"""Referrers that are examined together: small ones within one turn of the event loop, others beside it."""
REFERRERS_READ_MAX: Final = 500
"""Referrers that are examined; where there are more, one of them is assumed to prevent the deletion."""
REFERRERS_READ_MAX_BYTES: Final = 16_777_216
"""The same, where their bodies have more bytes together."""


@lru_cache(2)
def referring_collections(models: Models) -> Mapping[str, tuple[str, ...]]:
    """By collection, the collections whose entities can refer to its entities."""
    referring: dict[str, set[str]] = {name: set() for name in models.types}
    for path in reference_index_paths(models):
        for collection in models.types if path.collections is None else path.collections:
            referring[collection].add(path.collection)
    return MappingProxyType({name: tuple(sorted(names)) for name, names in referring.items()})


class DeletionRules:
    """Checks deletions."""

    def __init__(self, models: Models, references: ReferenceRules, policy: DeletionPolicy) -> None:
        self._models = models
        self._references = references
        self._policy = policy
        self._referring = referring_collections(models)

    async def check(self, tx: Transaction, entity: Entity) -> None:
        """Check that no entity that matters refers to an entity.

        Raises:
            Refused: `Code.STILL_REFERENCED`, naming some that do.
        """
        if self._policy == "warn":
            return
        count = size_bytes = 0
        while count < REFERRERS_READ_MAX and size_bytes < REFERRERS_READ_MAX_BYTES:
            collections = self._referring[entity.type]
            examined = await tx.referrers(collections, entity.id, REFERRERS_AT_ONCE, count)
            if not examined:
                return
            read_bytes = sum(len(one.body) for one in examined)
            work = partial(self._check_referrers, examined, entity.id)
            if read_bytes > SMALL_MAX_BYTES:
                await run_refusable(None, work)  # not behind others, for the transaction holds up all writes
            else:
                work()
            count += len(examined)
            size_bytes += read_bytes
        raise Refused(
            Code.STILL_REFERENCED,
            f"{entity.id!r} is referred to by {count} entities or more; change or delete these first.",
        )

    def _check_referrers(self, referrers: Iterable[Referrer], target_id: str) -> None:
        """Refuse a deletion that one of some entities prevents."""
        names = [
            f"{one.collection} {one.id!r}"
            for one in referrers
            if self._prevents_deletion(one.collection, one.body, target_id)
        ]
        if names:
            more = " and others" if len(names) > REFERRERS_SHOWN_MAX else ""
            raise Refused(
                Code.STILL_REFERENCED,
                f"{target_id!r} is referred to by {', '.join(names[:REFERRERS_SHOWN_MAX])}{more}; "
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
