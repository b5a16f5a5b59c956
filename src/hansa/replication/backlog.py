"""How the follower and the retriever of a member tell each other that the pending retrievals grew or shrank."""

from __future__ import annotations

from hansa.core.clock import Clock
from hansa.core.signal import Signal


class Backlog:
    """Two bells. What is pending stands in the store; these only say when to look."""

    def __init__(self, clock: Clock) -> None:
        self.grew = Signal(clock)
        self.shrank = Signal(clock)
