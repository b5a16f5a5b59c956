"""The members of the league as this process knows them: at first from the ledger's state here, then from the bus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.core.members import Member
from hansa.node.outbound import origin_of
from hansa.pubsub.bus import Bus

REFRESH_S: Final = 30.0
RETRY_S: Final = 2.0


class MemberRegistry:
    """A copy of the ledger's registry that answers at once."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members: tuple[Member, ...] = ()
        self._origins: frozenset[str] = frozenset()
        self._take(tuple(members))

    def members(self) -> tuple[Member, ...]:
        """All members, suspended ones too."""
        return self._members

    def member(self, did: str) -> Member | None:
        """The member with that DID."""
        return next((member for member in self._members if member.did == did), None)

    async def has_origin(self, origin: str) -> bool:
        """Whether a member is registered at an origin, as `origin_of` writes it."""
        return origin in self._origins

    async def follow(self, bus: Bus, clock: Clock) -> None:
        """Keep the copy up to date, until cancelled."""
        while True:
            try:
                self._take(await bus.members())
            except Unavailable:
                await clock.sleep(RETRY_S)
            else:
                await clock.sleep(REFRESH_S)

    def _take(self, members: tuple[Member, ...]) -> None:
        self._members = members
        self._origins = frozenset(origin_of(member.endpoint) for member in members)
