"""Waiting until an event of the ledger has had its effect on the store of this marketplace.

An event has had its effect when it was followed and its entity does not wait to be retrieved: it is stored,
or skipped, rejected or deleted. What other entities wait for does not matter, so that an origin that
withholds one of them stops nobody who asks about another.
"""

from __future__ import annotations

from typing import Final

from hansa.core.clock import Clock
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.store import Store
from hansa.store.tables import heads
from hansa.store.tables.confidential import received
from hansa.store.tables.heads import FOLLOWER_CURSOR

POLL_S: Final = 0.02
RESERVED_PART: Final = 4
"""One of so many places is for those who are known."""


class FollowedPositions:
    """The `LedgerPositions` of this marketplace.

    Args:
        store: Has the cursor, and the states of entities.
        bus: Has the events.
        did: This member.
        clock: For the wait.
        limits: `position_wait_s`, `position_waiters_max`.
    """

    def __init__(self, store: Store, bus: BusReads, did: str, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._clock = clock
        self._wait_s = limits.position_wait_s
        self._waiters_max = limits.position_waiters_max
        self._waiters = 0
        self._is_stopping = False

    def stop(self) -> None:
        """Have nobody wait any more: the marketplace stops."""
        self._is_stopping = True

    async def reached(self, position: int, *, is_stranger: bool) -> None:
        """See `LedgerPositions`."""
        if await self._is_reached(position):
            return
        count_max = (
            self._waiters_max - self._waiters_max // RESERVED_PART if is_stranger else self._waiters_max
        )
        if self._waiters >= count_max:
            raise Unavailable(Code.OVERLOADED, "Too many requests wait for a position of the ledger.")
        self._waiters += 1
        try:
            until_s = self._clock.monotonic() + self._wait_s
            while self._clock.monotonic() < until_s and not self._is_stopping:
                await self._clock.sleep(POLL_S)
                if await self._is_reached(position):
                    return
        finally:
            self._waiters -= 1
        raise Unavailable(
            Code.UNAVAILABLE, f"Position {position} of the ledger has not had its effect here yet.", 1.0
        )

    async def _is_reached(self, position: int) -> bool:
        if position <= 0:
            return True
        if await self._store.cursor(FOLLOWER_CURSOR) < position:
            return False
        page = await self._bus.search(position - 1, limit=1)
        if not page.events or page.events[0].position != position:
            return True  # the ledger began with a snapshot after it
        event = page.events[0].event
        if event.issuer == self._did:
            return True
        if event.sealed is not None:
            return not await received.is_pending(self._store, event.issuer, position)
        known = await heads.of_all_members(self._store, event.entity.key)
        return not any(head.issuer == event.issuer and head.state == "pending" for head in known)
