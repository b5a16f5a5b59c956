"""What becomes of a version that a condition withholds: its entity is not here, and the head says why."""

from __future__ import annotations

from hansa.core.errors import Code
from hansa.replication.conditions.unmet import Unmet
from hansa.store import Transaction
from hansa.store.sql import Readable
from hansa.store.tables import closure, heads
from hansa.store.tables.heads import NewHead, Retrieval


async def withhold(tx: Transaction, version: Retrieval, unmet: Unmet) -> NewHead:
    """Skip a version for a condition, whatever state it has, and remove the replica of it or an older one.

    Returns:
        What the head of its key is now.
    """
    head = await heads.of_key(tx, version.issuer, version.key)
    assert head is None or head.position <= version.position, "an older version decides nothing"
    entity = await tx.entity(head.entity_id) if head is not None and head.entity_id is not None else None
    await heads.forget(tx, version.issuer, version.key)
    if entity is not None and entity.origin == version.issuer:
        await tx.delete(entity.id)
    skipped = NewHead(version, "skipped", str(Code.CONDITION_UNMET), reason_of(unmet))
    await heads.record(tx, version.issuer, [skipped])
    return skipped


def reason_of(unmet: Unmet) -> str:
    """The sentence that a head has as its reason: which condition is not met, and why."""
    return f"[{unmet.condition}] {unmet.reason}"


async def is_withheld(source: Readable, unmet: Unmet | None, issuer: str, key: str) -> bool:
    """Whether a condition keeps an entity out, that is not here for the sake of what refers to it.

    Args:
        source: The store, or a transaction.
        unmet: The condition; None: all are met.
        issuer: DID of its origin.
        key: Its ledger key, hex.
    """
    if unmet is None or unmet.is_final:
        return unmet is not None
    return not await closure.is_required_key(source, issuer, key)
