"""This member's own events on the ledger, compared with what its store knows of them.

The publisher knows of every event that it submitted, unless the store is older than the ledger: restored from
a backup, or lost. What the ledger has beyond it is one of two:

    a newer version   of an entity that is here. The chain goes on from the ledger's version, and what is
                      public here is announced as the next one, so that all members agree again; unless the
                      league's versions are to be taken (`hansa.replication.continuity.restored_store`)
    another entity    which this store has lost. It is listed until it is taken from another member
                      (`hansa.replication.continuity.restoration`), or an entity with its identifier is
                      announced again, or its deletion

The publisher notes entities that it does not announce, too, as drafts. So one that has the identifier of a
lost entity is known, and what the others have of that is withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from hansa.core.audit import ANCHOR_TYPE
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.continuity.restored_store import Restored, restored
from hansa.store import Transaction
from hansa.store.tables import publications
from hansa.store.tables.publications import ChainEnd, KnownEnd, LostEntity

log = structlog.get_logger()


async def compare_own(tx: Transaction, events: Sequence[CommittedEvent]) -> bool:
    """Record what the ledger has of ours and the store has not; whether an entity is due because of it.

    Args:
        tx: The transaction that moves the follower's cursor.
        events: Of this member, in ledger order.
    """
    latest = {committed.event.entity.key: committed for committed in events}
    taken = await restored(tx) if latest else None
    is_taking = taken is not None and taken.state == "reading"
    lost = continued = 0
    ends = await publications.known_ends(tx, tuple(latest))
    for key, committed in latest.items():
        event, known = committed.event, ends.get(key)
        if known is None and event.entity.type == ANCHOR_TYPE:
            continue  # there is no content of it that could be lost
        if known is None:
            await publications.record_lost(tx, _lost(committed), is_deleted=event.is_delete)
            lost += not event.is_delete
        elif known.version < event.entity.version and is_taking and event.entity.type != ANCHOR_TYPE:
            assert taken is not None, "it says since when"
            continued += await _take(tx, known, committed, taken)
        elif known.version < event.entity.version and not known.is_under_way:
            await publications.continue_chain(tx, known.entity_id, _end(committed))
            continued += 1
    if lost or continued:
        log.warning("ledger_is_ahead_of_store", entities_lost=lost, entities_older=continued)
    return continued > 0


async def _take(tx: Transaction, known: KnownEnd, committed: CommittedEvent, taken: Restored) -> bool:
    """Let the league's version of an entity win, unless it was written here since; whether it was."""
    entity = await tx.entity(known.entity_id)
    is_here = entity is not None and entity.origin is None
    is_newer_here = entity is not None and is_here and entity.modified >= taken.since
    await publications.drop_outgoing(tx, known.entity_id)
    await publications.continue_chain(tx, known.entity_id, _end(committed), is_due=is_newer_here)
    if is_newer_here:
        return True
    if not committed.event.is_delete:
        await publications.record_lost(tx, _lost(committed), is_deleted=False)
    elif is_here:
        await tx.delete(known.entity_id)
    return False


def _lost(committed: CommittedEvent) -> LostEntity:
    event = committed.event
    return LostEntity(
        *(event.entity.key, event.entity.type, event.entity.version, event.hashlink),
        *(committed.position, committed.time),
    )


def _end(committed: CommittedEvent) -> ChainEnd:
    event = committed.event
    return ChainEnd(
        event.entity.version, event.hashlink, None, committed.position, is_withdrawn=event.is_delete
    )
