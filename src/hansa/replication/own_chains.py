"""The version chains of this member's entities on the ledger, and events that do not continue them.

An event says which version it continues. When the ledger has another one, as after a restored backup, or
when the event has a time that this marketplace's clock does not say any more, the chain is read from the
ledger, and the entity is announced anew from its end. The former is done once for each entity until one of
its events is committed, the latter at most once a minute, so that nothing is announced in circles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import structlog

from hansa.core.retry import Retry
from hansa.core.signal import Signal
from hansa.pubsub.bus import Bus
from hansa.replication.announcement import OUTDATED_S, age_s
from hansa.replication.own_claims import OwnClaims
from hansa.store import Store
from hansa.store.tables import publications
from hansa.store.tables.publications import ChainEnd, Outgoing

log = structlog.get_logger()


class OwnChains:
    """Announces entities anew from the ends of their chains.

    Args:
        store: Has the outbox and the chains, as far as they are known here.
        bus: Has the chains of the ledger.
        did: This member.
        claims: Whose claim on an identifier holds.
        changed: Wakes the publisher.
        retry: Repeats what fails for a while.
    """

    def __init__(
        self, store: Store, bus: Bus, did: str, claims: OwnClaims, changed: Signal, retry: Retry
    ) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._claims = claims
        self._changed = changed
        self._retry = retry
        self._rebased: set[str] = set()
        """Identifiers of entities whose events were refused and announced anew, and not committed since."""

    def conclude(self, entity_ids: Iterable[str]) -> None:
        """Events of some entities were committed, or nothing is to be announced of them any more."""
        self._rebased.difference_update(entity_ids)

    async def rebase_broken(self, batch: tuple[Outgoing, ...]) -> tuple[Outgoing, ...]:
        """Announce anew what does not continue the ledger's version chains.

        Returns:
            The rest of the batch.
        """
        ends = await self._retry(partial(self._ends, [event.key for event in batch]))
        broken = [
            event
            for event in batch
            if event.entity_id not in self._rebased
            and (ends[event.key].version + 1, ends[event.key].hashlink) != (event.version, event.previous)
        ]
        if broken:
            log.warning("version_chains_rebased", entities=len(broken))
            await self._retry(partial(self._rebase, broken, ends))
            self._rebased.update(event.entity_id for event in broken)
        return tuple(event for event in batch if event not in broken)

    async def rebase_outdated(self, batch: tuple[Outgoing, ...], now: datetime) -> tuple[Outgoing, ...]:
        """Announce anew, with the present time, what has another one.

        Returns:
            The rest of the batch.
        """
        ages_s = {event.seq: age_s(event.content, self._did, now) for event in batch}
        outdated = [event for event in batch if not 0 <= ages_s[event.seq] < OUTDATED_S]
        if outdated:
            log.warning("outdated_events_rebased", entities=len(outdated))
            ends = await self._retry(partial(self._ends, [event.key for event in outdated]))
            await self._retry(partial(self._rebase, outdated, ends))
        return tuple(event for event in batch if event not in outdated)

    async def rebase_once(self, event: Outgoing) -> bool:
        """Announce an event anew that was refused alone; False when that has been done before."""
        if event.entity_id in self._rebased:
            self._rebased.discard(event.entity_id)
            return False
        ends = await self._retry(partial(self._ends, [event.key]))
        await self._retry(partial(self._rebase, [event], ends))
        self._rebased.add(event.entity_id)
        return True

    async def _ends(self, keys: Sequence[str]) -> dict[str, ChainEnd]:
        """The ends of some chains on the ledger, by key."""
        ends = dict.fromkeys(keys, ChainEnd())
        for claim in await self._bus.claims(keys):
            if claim.issuer == self._did:
                ends[claim.key] = ChainEnd(
                    claim.version, claim.hashlink, claim.first_position, claim.last_position, claim.is_deleted
                )
        return ends

    async def _rebase(self, events: Sequence[Outgoing], ends: dict[str, ChainEnd]) -> None:
        firsts = {one.entity_id: ends[one.key].first_position for one in events if ends[one.key].version > 0}
        lost = await self._claims.lost(firsts)
        async with self._store.transaction() as tx:
            for event in events:
                await publications.rebase(tx, event, ends[event.key])
                if event.entity_id in firsts:
                    await self._claims.settle(tx, event, lost.get(event.entity_id))
        self._changed.notify()
