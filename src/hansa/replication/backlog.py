"""Pending retrievals: what an event calls for, and signals that there are more of them, or fewer."""

from __future__ import annotations

from hansa.core.clock import Clock
from hansa.core.signal import Signal
from hansa.pubsub.bus import CommittedEvent
from hansa.store.tables.retrievals import Retrieval


class Backlog:
    """Says when to look at the pending retrievals; the store has them.

    Args:
        clock: For waits with a time limit.
    """

    def __init__(self, clock: Clock) -> None:
        self.added = Signal(clock)
        """There may be a retrieval that can start: a new one, or room for one."""
        self.removed = Signal(clock)
        """An exchange ended: some retrievals may be settled."""


def retrieval_of(committed: CommittedEvent) -> Retrieval:
    """The retrieval that an event calls for."""
    event = committed.event
    return Retrieval(
        issuer=event.issuer,
        key=event.entity.key,
        type=event.entity.type,
        version=event.entity.version,
        hashlink=event.hashlink,
        position=committed.position,
        time=committed.time,
        nonce=event.nonce,
    )
