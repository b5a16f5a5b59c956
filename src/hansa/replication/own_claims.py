"""The claims of this marketplace on chosen identifiers: which are lost, and what follows from those that hold."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from hansa.pubsub.bus import Bus
from hansa.replication.claims import earlier_claim, first_claims, needs_look_up
from hansa.replication.registry import MemberRegistry
from hansa.store import EntityDraft, Transaction
from hansa.store.tables import publications, retrievals
from hansa.store.tables.publications import Outgoing

log = structlog.get_logger()


class OwnClaims:
    """Compares our claims with those of the other members.

    Args:
        bus: Has the claims.
        registry: The members.
        did: This member.
    """

    def __init__(self, bus: Bus, registry: MemberRegistry, did: str) -> None:
        self._bus = bus
        self._registry = registry
        self._did = did

    async def lost(self, positions: Mapping[str, int | None]) -> dict[str, tuple[str, int]]:
        """Those of some identifiers that another member has claimed before; its DID and position.

        Args:
            positions: By identifier, where our own claim is; None when it is not committed.

        Raises:
            Unavailable: The bus does not answer.
        """
        members = await self._registry.members() if positions else ()
        chosen = [each for each in positions if needs_look_up(each, members)]
        claims = await first_claims(self._bus, [one for one in members if one.did != self._did], chosen)
        earlier = {each: earlier_claim(claims[each], self._did, positions[each]) for each in claims}
        return {each: claim for each, claim in earlier.items() if claim is not None}

    async def settle(self, tx: Transaction, event: Outgoing, earlier: tuple[str, int] | None) -> None:
        """Make a pending entity public, as its identifier is ours; or record that this belongs to others."""
        if earlier is not None:
            owner, position = earlier
            await publications.lose(tx, event.entity_id, event.key, event.type, owner)
            await retrievals.record_conflicts(tx, [(event.entity_id, owner, position)])
            log.warning("identifier_lost", entity=event.entity_id, owner=owner, position=position)
            return
        entity = await tx.entity(event.entity_id)
        if entity is not None and entity.pending is not None:
            await tx.put(
                EntityDraft(entity.id, entity.type, entity.body, entity.hashlink, True, None, entity.parent)
            )
