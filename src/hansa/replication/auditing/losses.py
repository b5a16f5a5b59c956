"""What the ledger has of the anchors of this member's audit log, and the log has not: it was restored.

After a store was restored from a backup, or lost, the log goes on from what is there. Records that were
written since the backup are missing, which the anchors on the ledger show to everybody who verifies it. The
log says so itself, in a record that names those anchors, so that an honest loss can be told from a log that
was written anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from hansa.core.audit import ANCHOR_TYPE, ranges
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.auditing.anchoring import stored_anchor
from hansa.store import Transaction
from hansa.store.tables import audit, publications

log = structlog.get_logger()


async def record_lost_anchors(tx: Transaction, events: Sequence[CommittedEvent]) -> None:
    """Record which anchors of ours are of records that the log does not have.

    Args:
        tx: The transaction that moves the follower's cursor.
        events: Of this member, in ledger order, before the store is told of them.
    """
    anchors = [one for one in events if one.event.entity.type == ANCHOR_TYPE]
    if not anchors:
        return
    stored = await stored_anchor(tx)
    lost: list[int] = []
    is_gap = False
    for one in anchors:
        event = one.event
        known = await publications.known_end(tx, event.entity.key)
        if known is not None and event.entity.version <= known.version:
            continue
        ours = await publications.outgoing_hashlink(tx, known.entity_id) if known is not None else None
        if event.hashlink not in {ours, stored.anchor.hashlink if stored is not None else None}:
            is_gap |= not lost and event.entity.version > (known.version if known is not None else 0) + 1
            lost.append(one.position)
    if lost:
        log.warning("audit_log_is_older_than_ledger", anchors=len(lost))
        # Who is far behind reads the newest event of each key alone: earlier anchors are somewhere before it.
        positions = [(1, lost[-1])] if is_gap else ranges(lost)
        await audit.append(tx, "restored", {"positions": positions})
