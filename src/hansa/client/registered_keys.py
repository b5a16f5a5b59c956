"""The keys of members as marketplaces report the registry: with the positions between which each was valid.

What is reported is as good as the most honest of the marketplaces, since they have to agree; whoever needs no
trust in any of them verifies receipts (`hansa verify`, `hansa events --genesis`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from hansa.core.clock import Clock
from hansa.core.histories import EndpointPeriod, KeyPeriod, LedgerHistory
from hansa.core.keys import PublicJwk
from hansa.core.members import Member

REFRESH_S: Final = 1.0
"""How old the registry may be for an event that is newer, or a key that is not in it."""


class _Key(msgspec.Struct, frozen=True):
    jwk: PublicJwk
    since: int
    until: int | None


class _Endpoint(msgspec.Struct, frozen=True):
    since: int
    endpoint: str


class RegistryRow(msgspec.Struct, frozen=True):
    """A member, as `/league/v1/members?history=true` reports it."""

    member: Member
    keys: tuple[_Key, ...]
    endpoints: tuple[_Endpoint, ...]


class ReportedRegistry(msgspec.Struct, frozen=True):
    """What marketplaces agree on."""

    position: int
    """Of the newest event before it was read."""
    rows: tuple[RegistryRow, ...]


def history_of(rows: Sequence[RegistryRow]) -> LedgerHistory:
    """The history that rows report. Rules that remember none let no member change."""
    keys: list[KeyPeriod] = []
    endpoints: list[EndpointPeriod] = []
    for row in rows:
        did = row.member.did
        keys += [KeyPeriod(did, one.jwk, one.since, one.until) for one in row.keys] or [
            KeyPeriod(did, jwk, 1, None) for jwk in row.member.keys
        ]
        endpoints += [EndpointPeriod(did, one.endpoint, one.since) for one in row.endpoints]
    return LedgerHistory(tuple(keys), tuple(endpoints))


class RegisteredKeys:
    """The keys that the registry names; it is read again for what is newer.

    Args:
        read: Reads it.
        clock: For its age.
    """

    def __init__(self, read: Callable[[], Awaitable[ReportedRegistry]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._read_at_s: float | None = None
        self._position = 0
        self._history = LedgerHistory()

    async def key(self, did: str, kid: str, position: int) -> PublicJwk | None:
        """See `hansa.client.verification.KeySource.key`."""
        is_known = position <= self._position and self._history.period(did, kid) is not None
        if self._read_at_s is None or (not is_known and self._age_s() >= REFRESH_S):
            now_s = self._clock.monotonic()
            registry = await self._read()
            self._position, self._history = registry.position, history_of(registry.rows)
            self._read_at_s = now_s
        return self._history.key(did, kid, position)

    def _age_s(self) -> float:
        assert self._read_at_s is not None, "it was read"
        return self._clock.monotonic() - self._read_at_s
