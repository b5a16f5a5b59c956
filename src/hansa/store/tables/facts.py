"""Facts about the store as a whole: texts by name, each written in the transaction that makes it true.

ledger               on which ledger the follower's cursor counts (`hansa.replication.continuity.binding`)
followed_event       digest of the last event up to which it was followed
publication_rule     digest of the rule by which own entities were last compared with what is published
publication_walk     identifier up to which a comparison by another rule has come
intake_rule          digest of the rule by which replicas were last verified
consume_rule         digest of the conditions by which heads were last decided about
consume_walk         ledger position up to which other conditions have been applied
restored             since when newer versions are taken from the league (`replication.continuity`)
confidential_scan    that entities stored by earlier releases were looked at for whom they are
addressed_rule       digest of the conditions by which confidential entities of others were last decided about
audit_anchor         the newest anchor of the audit log (`hansa.replication.auditing`)
member_notes         what operators noted about other members (`hansa.node.parts.pages.league.notes`)
"""

from __future__ import annotations

from typing import Final, Literal

from hansa.store.interface import Transaction
from hansa.store.sql import Readable, upsert

Name = Literal[
    "ledger",
    "followed_event",
    "publication_rule",
    "publication_walk",
    "intake_rule",
    "consume_rule",
    "consume_walk",
    "restored",
    "confidential_scan",
    "addressed_rule",
    "audit_anchor",
    "member_notes",
]

_SET: Final = upsert("fact", ("name", "value"), ("name",))


async def value(source: Readable, name: Name) -> str | None:
    """A fact; None when it was never recorded."""
    rows = await source.sql.fetch("SELECT value FROM fact WHERE name = ?", (name,))
    return str(rows[0][0]) if rows else None


async def record(tx: Transaction, name: Name, text: str) -> None:
    """Record a fact in place of what was recorded before."""
    await tx.sql.execute(_SET, (name, text))


async def remove(tx: Transaction, name: Name) -> None:
    """Forget a fact."""
    await tx.sql.execute("DELETE FROM fact WHERE name = ?", (name,))
