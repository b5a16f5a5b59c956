"""Entities of the store and of the ledger, as the pages of operators show them."""

from __future__ import annotations

from collections import Counter

from hansa.core.errors import Code, Refused
from hansa.core.identifiers import entity_key, is_entity_key
from hansa.node.parts.pages.origins import LedgerOrigins
from hansa.portal.operators.marketplace.entities import (
    CollectionCount,
    EntityKeyRow,
    EntityView,
    PublicationView,
    ReplicaView,
)
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.unmet import Unmet
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.store import Entity, Query, Store
from hansa.store.tables import publications
from hansa.store.tables.heads import HeadState
from hansa.store.tables.publications import Publication


class KnownEntities:
    """The `EntityReads` of the pages.

    Args:
        did: This marketplace.
        store: Has the entities.
        origins: Knows where they come from, and their events.
        control: Knows the states of replicas.
        policy: Decides what is published.
        registry: The members.
    """

    def __init__(
        self,
        did: str,
        store: Store,
        origins: LedgerOrigins,
        control: ReplicaControl,
        policy: DistributionPolicy,
        registry: MemberRegistry,
    ) -> None:
        self._did = did
        self._store = store
        self._origins = origins
        self._control = control
        self._policy = policy
        self._registry = registry

    async def collections(self) -> tuple[CollectionCount, ...]:
        """See `EntityReads`, as for what follows."""
        counts: Counter[str] = Counter()
        for (type, _, _), count in (await self._store.counts()).items():
            counts[type] += count
        return tuple(CollectionCount(type, counts[type]) for type in sorted(counts))

    async def page(self, type: str, limit: int, offset: int) -> tuple[EntityKeyRow, ...]:
        """Entities of a collection."""
        if type not in {one.type for one in await self.collections()}:
            raise Refused(Code.INVALID, "type is a collection that has entities here.")
        page = await self._store.list(Query(type, offset=offset, limit=limit, public_only=False))
        entities = await self._store.entities(page.ids)
        return tuple(self._row(entities[id]) for id in page.ids if id in entities)

    async def is_known(self, name: str) -> bool:
        """Whether there is one."""
        return await self._look_up(name) is not None

    async def one(self, name: str) -> EntityView | None:
        """An entity by its identifier or its ledger key."""
        known = await self._look_up(name)
        if known is None:
            return None
        entity_id, entity, publication, heads = known
        provenance = None if entity is None else await self._origins.provenance(entity)
        is_own = entity is None or entity.origin is None
        return EntityView(
            name=entity_id,
            is_here=entity is not None,
            type=entity.type if entity is not None else publication.type if publication else heads[0].type,
            origin="" if entity is None or is_own else self._origins.name(entity.origin),
            is_public=entity is not None and entity.public,
            revision=0 if entity is None else entity.revision,
            hashlink="" if entity is None else entity.hashlink,
            keys=() if is_entity_key(entity_id) else self._keys(entity_id),
            publication=self._published(entity, publication) if is_own else None,
            replicas=tuple(map(self._replica, heads)),
            history=() if entity is None else await self._origins.history(entity),
            receipt=None if provenance is None else provenance.receipt,
        )

    async def _look_up(
        self, name: str
    ) -> tuple[str, Entity | None, Publication | None, tuple[HeadState, ...]] | None:
        """What is known under a name: the identifier, and what the store has; None: nothing."""
        heads = await self._control.of_entity(name)
        publication = await self._publication(name)
        named = [one.entity_id for one in heads if one.entity_id]
        entity_id = named[0] if named else name
        if publication is not None:
            entity_id = publication.entity_id
        entity = await self._store.entity(entity_id)
        if entity is None and publication is None and not heads:
            return None
        return entity_id, entity, publication, heads

    async def _publication(self, name: str) -> Publication | None:
        if is_entity_key(name):
            return (await publications.by_keys(self._store, (name,))).get(name)
        return (await publications.states(self._store, (name,))).get(name)

    def _row(self, entity: Entity) -> EntityKeyRow:
        origin = entity.origin
        name = "" if origin is None else self._origins.name(origin)
        return EntityKeyRow(entity.id, entity_key(origin or self._did, entity.id), name, entity.public)

    def _keys(self, entity_id: str) -> tuple[tuple[str, str], ...]:
        return tuple((one.name, entity_key(one.did, entity_id)) for one in self._registry.known())

    def _published(self, entity: Entity | None, known: Publication | None) -> PublicationView | None:
        outcome = None if entity is None else self._policy.publishes(entity)
        unmet = f"{outcome.condition}: {outcome.reason}" if isinstance(outcome, Unmet) else None
        if known is None:
            return None if unmet is None else PublicationView(
                0, None, None, False, False, False, None, None, None, unmet
            )  # fmt: skip
        return PublicationView(
            version=known.version,
            first_position=known.first_position,
            last_position=known.last_position,
            is_withdrawn=known.is_withdrawn,
            is_under_way=known.is_under_way,
            is_due=known.is_due,
            refusal_code=known.refusal_code,
            refusal=known.refusal_message,
            claimed_by=None if known.claimed_by is None else self._origins.name(known.claimed_by),
            unmet=unmet,
        )

    def _replica(self, head: HeadState) -> ReplicaView:
        return ReplicaView(
            member=self._origins.name(head.issuer),
            state=head.state,
            version=head.version,
            position=head.position,
            replica_version=head.replica_version,
            attempts=head.attempts,
            problem=head.problem,
            reason=head.reason,
        )
