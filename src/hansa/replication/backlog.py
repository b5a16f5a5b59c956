"""Pending work: what an event calls for, and signals that there is more to retrieve, or to announce."""

from __future__ import annotations

from hansa.core.clock import Clock
from hansa.core.signal import Signal
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.store.tables.heads import Retrieval


class Backlog:
    """Says when to look at what is pending; the store has it.

    Args:
        clock: For waits with a time limit.
    """

    def __init__(self, clock: Clock) -> None:
        self.added = Signal(clock)
        """There may be a retrieval that can start: a new one, or room for one."""
        self.due = Signal(clock)
        """An entity of ours may have to be announced."""
        self.addressed = Signal(clock)
        """An entity of ours may have to be sealed for other members, or withdrawn from them."""
        self.sealed = Signal(clock)
        """Something may be retrieved that was sealed for this marketplace."""
        self.conditions = Signal(clock)
        """Other conditions of distribution hold."""


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
