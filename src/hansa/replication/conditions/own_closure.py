"""Closure at the origin: nothing is announced before what it needs is.

An offering whose specification is a draft here, or is not for everyone, would be of no use to the others. So
its event waits until the specification is published, too; a new version waits as the first one does, and the
others have the one before until then. What is not here at all holds nothing back: it may be another member's,
and be on its way.

The one that waits names the first that is missing (`waits_for`, `hansa.store.tables.publications`), and is
looked at again when that is announced. Two that need each other do not wait: both can be published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hansa.core.identifiers import entity_key
from hansa.replication.conditions.needs import Needs
from hansa.replication.conditions.policy import DistributionPolicy, PublishedPart
from hansa.store import Entity, Store, Transaction
from hansa.store.tables import publications


class OwnClosure:
    """Finds what own entities wait for.

    Args:
        policy: Decides what is published.
        needs: What entities need.
        store: Has them.
    """

    def __init__(self, policy: DistributionPolicy, needs: Needs, store: Store) -> None:
        self._policy = policy
        self._needs = needs
        self._store = store
        self._has_waiting = True

    async def begin(self) -> None:
        """Find out whether anything waits."""
        self._has_waiting = await publications.is_any_waiting(self._store)

    async def blockers(
        self, entities: Sequence[Entity], fields: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, str]:
        """Those of some entities that wait, each with the first one for which it does.

        Args:
            entities: Published parts.
            fields: Those of them that are decoded, by identifier.
        """
        needs = {one.id: self._needs.of(one, fields.get(one.id)) for one in entities}
        ids = tuple({other for each in needs.values() for other in each})
        others = await self._store.entities(ids) if ids else {}
        missing = {each for each, other in others.items() if not self._is_published(other)}
        if not missing:
            return {}
        return {
            entity_id: next(each for each in needed if each in missing)
            for entity_id, needed in needs.items()
            if not missing.isdisjoint(needed)
        }

    async def apply(
        self, tx: Transaction, blocked: Sequence[tuple[Entity, str]], announced: Sequence[str]
    ) -> None:
        """Let entities wait, and have those looked at again that waited for what is announced."""
        if self._has_waiting:
            for entity_id in announced:
                await publications.release(tx, entity_id)
        for entity, blocker in blocked:
            self._has_waiting = True
            key = entity_key(self._policy.did, entity.id)
            await publications.wait_for(tx, entity.id, key, entity.type, blocker)
            other = await tx.entity(blocker)
            if other is None or self._is_published(other):  # meanwhile
                await publications.release(tx, blocker)

    def _is_published(self, other: Entity) -> bool:
        return other.origin is not None or isinstance(self._policy.publishes(other), PublishedPart)
