"""This member's own events on the ledger, compared with what its store knows of them.

The publisher knows of every event that it submitted, unless the store is older than the ledger: restored from
a backup, or lost. What the ledger has beyond it is one of two:

    a newer version   of an entity that is here. The chain goes on from the ledger's version, and what is
                      public here is announced as the next one, so that all members agree again
    another entity    which this store has lost. It is listed until an entity with its identifier is announced
                      again, or its deletion; the other members have the last version
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from hansa.core.audit import ANCHOR_TYPE
from hansa.pubsub.bus import CommittedEvent
from hansa.store import Transaction
from hansa.store.tables import publications
from hansa.store.tables.publications import ChainEnd, LostEntity

log = structlog.get_logger()


async def compare_own(tx: Transaction, events: Sequence[CommittedEvent]) -> bool:
    """Record what the ledger has of ours and the store has not; whether an entity is due because of it.

    Args:
        tx: The transaction that moves the follower's cursor.
        events: Of this member, in ledger order.
    """
    latest = {committed.event.entity.key: committed for committed in events}
    lost = continued = 0
    ends = await publications.known_ends(tx, tuple(latest))
    for key, committed in latest.items():
        event, known = committed.event, ends.get(key)
        if known is None and event.entity.type == ANCHOR_TYPE:
            continue  # there is no content of it that could be lost
        if known is None:
            entity = LostEntity(
                *(key, event.entity.type, event.entity.version, event.hashlink),
                *(committed.position, committed.time),
            )
            await publications.record_lost(tx, entity, is_deleted=event.is_delete)
            lost += not event.is_delete
        elif not known.is_under_way and known.version < event.entity.version:
            end = ChainEnd(
                event.entity.version, event.hashlink, None, committed.position, is_withdrawn=event.is_delete
            )
            await publications.continue_chain(tx, known.entity_id, end)
            continued += 1
    if lost or continued:
        log.warning("ledger_is_ahead_of_store", entities_lost=lost, entities_older=continued)
    return continued > 0
