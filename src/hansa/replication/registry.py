"""The members of the league as the ledger's registry has them, remembered for a while."""

from __future__ import annotations

from typing import Final

from hansa.core.clock import Clock
from hansa.core.members import Member
from hansa.pubsub.bus import Bus

AGE_MAX_S: Final = 30.0
UNKNOWN_AGE_MAX_S: Final = 1.0
"""How old the registry may be when a member is not in it."""


class Registry:
    """Asks the bus, but not for every retrieval."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._members: dict[str, Member] = {}
        self._read_at_s: float | None = None

    async def members(self, age_max_s: float = AGE_MAX_S) -> tuple[Member, ...]:
        """All members.

        Raises:
            Unavailable: The bus does not answer.
        """
        now_s = self._clock.monotonic()
        if self._read_at_s is None or now_s - self._read_at_s > age_max_s:
            self._members = {member.did: member for member in await self._bus.members()}
            self._read_at_s = now_s
        return tuple(self._members.values())

    async def member(self, did: str) -> Member | None:
        """A member; None when the league does not know it.

        Raises:
            Unavailable: The bus does not answer.
        """
        await self.members()
        if did not in self._members:
            await self.members(UNKNOWN_AGE_MAX_S)
        return self._members.get(did)
