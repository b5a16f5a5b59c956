"""The members of the league: a copy of the ledger's registry, which every part of a marketplace shares.

`known` is the copy as it is, for those that cannot wait. `members` and `member` read the registry again when
the copy is too old, and fail when that is impossible. `follow` reads it after each block, so that whatever
the league decides (a member, an endpoint, a key, a status) has effect here `FOLLOW_INTERVAL_S` after the
block at the latest. No part of a marketplace holds on to members that it read earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.core.members import Member
from hansa.core.trust.certificates import certificate_key
from hansa.pubsub.bus import Bus

AGE_MAX_S: Final = 30.0
UNKNOWN_AGE_MAX_S: Final = 1.0
"""How old the copy may be when a member is not in it."""
RETRY_S: Final = 2.0
"""Pause before `follow` reads again from a bus that did not answer."""
FOLLOW_INTERVAL_S: Final = 0.1
"""Shortest time between two readings of `follow`, however fast blocks come."""


class MemberRegistry:
    """The members as the bus last reported them.

    Args:
        bus: Has the registry.
        clock: For the age of the copy.
        known: The copy before the bus has answered for the first time.
    """

    def __init__(self, bus: Bus, clock: Clock, known: Iterable[Member] = ()) -> None:
        self._bus = bus
        self._clock = clock
        self._known = tuple(known)
        self._callers = self._known
        self._read_at_s: float | None = None
        self._listeners: list[Callable[[tuple[Member, ...]], None]] = []

    def add_listener(self, listener: Callable[[tuple[Member, ...]], None]) -> None:
        """Have a function called with the members whenever they have changed, and once now.

        It neither waits nor raises.
        """
        self._listeners.append(listener)
        listener(self._known)

    def known(self) -> tuple[Member, ...]:
        """All members, suspended ones too, as they were when the registry was last read."""
        return self._known

    def known_member(self, did: str) -> Member | None:
        """One of them; None when the registry did not have it."""
        return _by_did(self._known, did)

    def others(self, *dids: str) -> tuple[Member, ...]:
        """The current members, without some: neither suspended nor former ones."""
        return tuple(one for one in self._known if one.is_current and one.did not in dids)

    def former_status(self, did: str) -> str | None:
        """How a member ceased to be one, `left` or `removed`; None of every other, and of strangers."""
        member = self.known_member(did)
        return None if member is None or member.is_current else member.status

    def callers(self) -> tuple[Member, ...]:
        """The same members, without the keys that were revoked: those speak for nobody any more."""
        return self._callers

    async def members(self, age_max_s: float = AGE_MAX_S) -> tuple[Member, ...]:
        """All members, suspended ones too, as they were `age_max_s` ago or later.

        Raises:
            Unavailable: The bus does not answer.
        """
        if self._read_at_s is None or self._clock.monotonic() - self._read_at_s > age_max_s:
            await self._read()
        return self._known

    async def member(self, did: str) -> Member | None:
        """A member; None when the league does not know it.

        Raises:
            Unavailable: The bus does not answer.
        """
        member = _by_did(await self.members(), did)
        return member or _by_did(await self.members(UNKNOWN_AGE_MAX_S), did)

    async def follow(self) -> None:
        """Keep the copy fresh, until cancelled or the bus is closed."""
        async for _ in self._bus.blocks():
            while not await self._is_read():
                await self._clock.sleep(RETRY_S)
            await self._clock.sleep(FOLLOW_INTERVAL_S)

    async def _is_read(self) -> bool:
        """Read the registry again; False when the bus does not answer."""
        try:
            await self._read()
        except Unavailable:
            return False
        return True

    async def _read(self) -> None:
        started_at_s = self._clock.monotonic()
        members, revoked = await self._bus.members(), await self._bus.revoked_keys()
        self._read_at_s = started_at_s
        self._callers = members if not revoked else tuple(_without(member, revoked) for member in members)
        if members == self._known:
            return  # the same tuple as before tells its users that nothing has changed
        self._known = members
        for listener in self._listeners:
            listener(members)


def _without(member: Member, revoked: frozenset[str]) -> Member:
    """A member with the keys of it that were not revoked."""
    keys = tuple(key for key in member.keys if certificate_key(member.did, key.kid) not in revoked)
    return msgspec.structs.replace(member, keys=keys)


def _by_did(members: tuple[Member, ...], did: str) -> Member | None:
    return next((member for member in members if member.did == did), None)
