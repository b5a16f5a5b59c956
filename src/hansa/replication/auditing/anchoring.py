"""Anchoring and pruning the audit log.

Every `audit_anchor_interval_s`, when the log has grown, its newest hash becomes the next version of an entity
that only this member can announce, under an identifier that follows from its DID. The entity is in no
catalogue and served by nobody; its event on the ledger names its hashlink, which anybody who has the log can
compute. The publisher announces it as every other (`anchor_entity`), so that whatever is killed when, the
newest anchor reaches the ledger once.

Records older than `audit_retention_s` are removed, a bounded number at a time, and not before an anchor on
the ledger commits to them; and the oldest ones beyond `audit_records_max`, whatever their age.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import msgspec

from hansa.core.audit import ANCHOR_TYPE, Anchor, anchor_id, anchor_nonce
from hansa.core.clock import Clock, read_rfc3339, rfc3339
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.store import Entity, Store
from hansa.store.sql import Readable
from hansa.store.tables import audit, facts, publications
from hansa.store.tables.publications import Publication

PRUNED_AT_ONCE_MAX: Final = 500
TICK_S: Final = 60.0


class StoredAnchor(msgspec.Struct, frozen=True):
    """The newest anchor, as the store has it."""

    anchor: Anchor
    time_s: float
    """When it was made, in seconds since 1970."""


async def stored_anchor(source: Readable) -> StoredAnchor | None:
    """The newest anchor; None before the first."""
    text = await facts.value(source, "audit_anchor")
    return None if text is None else msgspec.json.decode(text, type=StoredAnchor)


async def anchor_entity(store: Store, did: str, publication: Publication | None) -> Entity | None:
    """The newest anchor as the entity that is announced; None of every other publication."""
    if publication is None or publication.type != ANCHOR_TYPE:
        return None
    stored = await stored_anchor(store)
    if stored is None:
        return None
    anchor = stored.anchor
    return Entity(
        id=anchor.id,
        type=ANCHOR_TYPE,
        body=anchor.body(),
        hashlink=anchor.hashlink,
        public=True,
        origin=None,
        revision=1,
        nonce=anchor_nonce(did),
    )


class Anchoring:
    """Anchors and prunes the log of one member.

    Args:
        store: Has the log.
        did: The member.
        announce: Wakes the publisher.
        clock: For what is due.
        retry: Repeats what the store refuses for a while.
        limits: `audit_…`.
    """

    def __init__(
        self,
        store: Store,
        did: str,
        announce: Callable[[], None],
        clock: Clock,
        retry: Retry,
        limits: Limits,
    ) -> None:
        self._store = store
        self._did = did
        self._announce = announce
        self._clock = clock
        self._retry = retry
        self._limits = limits

    async def run(self) -> None:
        """Anchor and prune what is due, until cancelled."""
        while True:
            await self._clock.sleep(min(TICK_S, self._limits.audit_anchor_interval_s))
            await self._retry(self.anchor)
            while await self._retry(self.prune) >= PRUNED_AT_ONCE_MAX:
                await self._clock.sleep(0)

    async def anchor(self) -> bool:
        """Anchor the log, when that is due; whether it was."""
        now_s = self._clock.now().timestamp()
        before = await stored_anchor(self._store)
        since_s = before.time_s if before is not None else await self._begun_s()
        if since_s is None or 0 <= now_s - since_s < self._limits.audit_anchor_interval_s:
            return False
        id = anchor_id(self._did)
        async with self._store.transaction() as tx:
            head = await audit.head(tx)
            if before is not None and head.seq <= before.anchor.seq + 1:
                return False  # the record of the anchor before is no reason for another one
            anchor = Anchor(id, head.seq, head.hash.hex())
            await facts.record(tx, "audit_anchor", msgspec.json.encode(StoredAnchor(anchor, now_s)).decode())
            await publications.demand(tx, id, entity_key(self._did, id), ANCHOR_TYPE)
            await audit.append(tx, "anchored", {"seq": anchor.seq})
        self._announce()
        return True

    async def _begun_s(self) -> float | None:
        """When the oldest record was written, in seconds since 1970; None when there is none."""
        time = await audit.first_time(self._store)
        return None if time is None else read_rfc3339(time).timestamp()

    async def prune(self) -> int:
        """Remove records that are older than they are retained, or too many; how many."""
        limits = self._limits
        moment = self._clock.now() - timedelta(seconds=limits.audit_retention_s)
        id = anchor_id(self._did)
        stored = await stored_anchor(self._store)
        known = (await publications.states(self._store, (id,))).get(id)
        is_committed = stored is not None and known is not None and known.hashlink == stored.anchor.hashlink
        through = stored.anchor.seq if stored is not None and is_committed else 0
        async with self._store.transaction() as tx:
            return await audit.prune(
                *(tx, rfc3339(moment), through), limits.audit_records_max, PRUNED_AT_ONCE_MAX
            )
