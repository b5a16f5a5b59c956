"""Signals between follower and retriever: the pending retrievals in the store became more, or fewer."""

from __future__ import annotations

from hansa.core.clock import Clock
from hansa.core.signal import Signal


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
