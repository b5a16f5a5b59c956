"""Transactions that wait for a block: a bounded queue for each sender, from which proposals take turns.

The engine's mempool is one list, first in, first out: whoever fills it makes all others wait. So it only
carries transactions from member to member, and what waits is decided here.

    check      CheckTx: cheap refusals first (outdated, a queue that is full), then the full check against the
               committed state; what passes waits in its sender's queue, ordered by `seq`
    fill       PrepareProposal: turns over the senders by bytes, so that a block has something of each
    settle     Commit: what was committed, and what can no longer be valid, leaves the queues
    recheck    CheckTx of a transaction that waits: one look-up, since `settle` has decided it

A transaction may continue an entity's chain behind one that waits before it in the same queue, equal in key,
version and hashlink: its issuer's member is a block ahead of this one. Otherwise it must be valid now.

The engine makes blocks as long as its mempool holds anything, so what waits here without ever becoming valid
would make empty blocks without end. CheckTx judges times and quotas by this member's clock, since the next
blocks have a later time than the last; block time catches up within `LATE_BLOCKS_MAX` blocks, and what is not
valid by then is dropped. Whatever else may keep a transaction waiting, a run of empty blocks longer than any
honest league makes drops it too.
"""

from hansa.pubsub.ledger.waiting.figures import QueueFigures, WaitingFigures
from hansa.pubsub.ledger.waiting.queues import WaitingTransactions, waiting_max

__all__ = ["QueueFigures", "WaitingFigures", "WaitingTransactions", "waiting_max"]
