"""The claims of this marketplace on chosen identifiers: those that are lost, and those that hold.

An entity that refers to another one, whose identifier is still to be claimed, would tell that identifier: its
event by the categories in the metadata, its body to everybody who reads it. So the event waits for the claim
when it would tell, and the entity becomes public only when nothing that it refers to is still to be claimed.
Entities that refer to each other do not wait for one another: both claims can be made before either is
public.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from hansa.core.errors import Code
from hansa.core.identifiers import entity_key, is_bound_form
from hansa.core.members import prefix_owner
from hansa.pubsub.bus import Bus
from hansa.replication.announcement import published_ids
from hansa.replication.backlog import retrieval_of
from hansa.replication.claims import earlier_claim, first_claims, needs_look_up
from hansa.replication.registry import MemberRegistry
from hansa.store import Entity, EntityDraft, Store, Transaction
from hansa.store.tables import evidence, heads, publications
from hansa.store.tables.heads import Retrieval
from hansa.store.tables.publications import Outgoing, Publication

References = Callable[[Entity], frozenset[str]]
"""The identifiers of all entities to which one refers."""


def no_references(entity: Entity) -> frozenset[str]:
    """The `References` of entities that refer to nothing."""
    del entity
    return frozenset()


log = structlog.get_logger()


class OwnClaims:
    """Compares our claims with those of the other members.

    Args:
        bus: Has the claims.
        registry: The members.
        did: This member.
        store: Has the entities.
        references: To which entities one refers.
    """

    def __init__(
        self, bus: Bus, registry: MemberRegistry, did: str, store: Store, references: References
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._did = did
        self._store = store
        self._references = references

    def is_own(self, entity_id: str) -> bool:
        """Whether an identifier is ours without a claim."""
        owner = prefix_owner(self._registry.known(), entity_id)
        return is_bound_form(entity_id) or (owner is not None and owner.did == self._did)

    async def to_be_claimed(self, entity: Entity, source: Store | Transaction) -> tuple[str, ...]:
        """Identifiers that an entity tells and that are still to be claimed; `source` has their state."""
        pending = self._store.pending_ids()
        ids = pending & self._references(entity) if pending else ()
        result = []
        for each in sorted(ids):
            other = await source.entity(each)
            if each == entity.id or other is None or other.pending is None or self.is_own(each):
                continue
            claim = await publications.claim_state(source, each)
            if not claim.is_committed and claim.refusal != Code.IDENTIFIER_CLAIMED:
                result.append(each)
        return tuple(result)

    async def reveal(self, tx: Transaction, entity_id: str) -> None:
        """Make an entity of ours public, or let it wait while it names what is still to be claimed."""
        entity = await tx.entity(entity_id)
        if entity is None or entity.pending is None:
            return
        blockers = await self.to_be_claimed(entity, tx)
        if blockers:
            await self.wait_for(tx, entity, blockers[0])
            return
        await tx.put(
            EntityDraft(entity.id, entity.type, entity.body, entity.hashlink, True, None, entity.parent)
        )

    async def wait_for(self, tx: Transaction, entity: Entity, other_id: str) -> None:
        """Look at an entity again when the claim on an identifier that it tells is settled."""
        key = entity_key(self._did, entity.id)
        await publications.wait_for(tx, entity.id, key, entity.type, other_id)
        if other_id not in await self.to_be_claimed(entity, tx):  # settled meanwhile
            await publications.release(tx, other_id)

    async def version_of(self, owner: str, entity_id: str) -> Retrieval | None:
        """The last version that another member has under an identifier; None when that is deleted.

        Raises:
            Unavailable: The bus does not answer.
        """
        key = entity_key(owner, entity_id)
        for claim in await self._bus.claims((key,)):
            if claim.issuer == owner and not claim.is_deleted:
                page = await self._bus.search(claim.last_position - 1, limit=1)
                assert page.events, "a claim is on the ledger"
                return retrieval_of(page.events[0])
        return None

    async def lost(self, positions: Mapping[str, int | None]) -> dict[str, tuple[str, int]]:
        """Those of some identifiers that another member has claimed before; its DID and position.

        Args:
            positions: By identifier, where our own claim is; None while we do not know of any. One that is on
                the ledger all the same, since we crashed, is not lost before it is concluded.

        Raises:
            Unavailable: The bus does not answer.
        """
        members = await self._registry.members() if positions else ()
        chosen = [each for each in positions if needs_look_up(each, members)]
        claims = await first_claims(self._bus, members, chosen)
        own = {each: claims[each].get(self._did, positions[each]) for each in claims}
        known = [each for each in claims if own[each] is None or positions[each] is not None]
        earlier = {each: earlier_claim(claims[each], self._did, own[each]) for each in known}
        return {each: claim for each, claim in earlier.items() if claim is not None}

    async def settle(self, tx: Transaction, event: Outgoing, earlier: tuple[str, int] | None) -> None:
        """Make a pending entity public, as its identifier is ours; or record that this belongs to others."""
        if earlier is not None:
            owner, position = earlier
            await publications.lose(tx, event.entity_id, event.key, event.type, owner)
            await evidence.record_conflicts(tx, [(event.entity_id, owner, position)])
            log.warning("identifier_lost", entity=event.entity_id, owner=owner, position=position)
        else:
            await self.reveal(tx, event.entity_id)
        await publications.release(tx, event.entity_id)


class ClaimSteps:
    """What follows from claims for some entities that the publisher looks at: first noted, then applied."""

    def __init__(self, claims: OwnClaims) -> None:
        self._claims = claims
        self._resolved: list[str] = []
        self._retrievals: list[Retrieval] = []
        self._revealed: list[str] = []
        self._private: list[str] = []
        self._waiting: list[tuple[Entity, str]] = []

    @property
    def has_retrievals(self) -> bool:
        """Whether entities of other members are to be retrieved."""
        return bool(self._retrievals)

    async def consider(
        self, entity_id: str, entity: Entity | None, publication: Publication | None, store: Store
    ) -> tuple[bool, Entity | None]:
        """Note what follows for one entity; whether it may be announced now, and what is published of it.

        What belongs to another member is withdrawn; when ours is deleted, theirs is retrieved.

        Args:
            entity_id: Which.
            entity: Its published part; None when nothing of it is to be published.
            publication: What was published of it.
            store: Has the others.
        """
        if publication is not None and publication.claimed_by is not None:
            if entity is None:
                self._resolved.append(entity_id)
                version = await self._claims.version_of(publication.claimed_by, entity_id)
                self._retrievals += [version] if version is not None else []
            entity = None
        if entity is None:
            self._private.append(entity_id)
            if publication is not None and publication.refusal_code and publication.claimed_by is None:
                self._resolved.append(entity_id)
        if entity is None or entity.pending is None:
            return True, entity
        named = set(published_ids(entity)).intersection(await self._claims.to_be_claimed(entity, store))
        if named:
            self._waiting.append((entity, min(named)))
            return False, entity
        if self._claims.is_own(entity_id) or (publication is not None and publication.version > 0):
            self._revealed.append(entity_id)
        return True, entity

    async def apply(self, tx: Transaction) -> None:
        """Do what was noted."""
        for entity_id in self._resolved:
            await publications.resolve_refusal(tx, entity_id)
            await evidence.resolve_conflicts(tx, entity_id)
        for retrieval in self._retrievals:
            await heads.schedule(tx, retrieval)
            await heads.retry(tx, ("skipped",), 1, retrieval.issuer, retrieval.key)
        for entity, other_id in self._waiting:
            await self._claims.wait_for(tx, entity, other_id)
        for entity_id in self._revealed:
            await self._claims.reveal(tx, entity_id)
        for entity_id in self._private:  # there is no claim to wait for any more
            await publications.release(tx, entity_id)
