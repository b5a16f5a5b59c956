"""Where requests may go: the origins of members, of hub listeners and of import files.

An `OutboundClient` has one of these, so that a request for one purpose cannot go where only another may.
Origins are written as `hansa.core.web_addresses.WebAddress.origin`. An address that is none, which an older
release may have taken, has no origin: no request goes to it, and it does not concern the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from hansa.core.errors import Refused
from hansa.core.members import Member
from hansa.core.web_addresses import web_address
from hansa.store import Store
from hansa.store.tables import subscriptions

log = structlog.get_logger("hansa.node")


class MemberOrigins:
    """Origins of the members' registered endpoints.

    Args:
        members: The registry as it is known now; another tuple when it has changed.
        followed: Endpoints of members that the operator names (`followed_members`).
    """

    def __init__(self, members: Callable[[], tuple[Member, ...]], followed: Iterable[str] = ()) -> None:
        self._members = members
        self._followed = _origins(followed)
        self._seen: tuple[Member, ...] = ()
        self._origins: frozenset[str] = frozenset()

    async def has_origin(self, origin: str) -> bool:
        """Whether a member is registered at an origin."""
        members = self._members()
        if members is not self._seen:
            self._origins = _origins(member.endpoint for member in members)
            self._seen = members
        return origin in self._origins or origin in self._followed


class ListenerOrigins:
    """Origins of the hub listeners that are registered now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = subscriptions.Revision(-1, 0)
        self._origins: set[str] = set()

    async def has_origin(self, origin: str) -> bool:
        """Whether a listener is registered at an origin."""
        revision = await subscriptions.revision(self._store)
        if revision != self._seen:
            after = self._seen.revision
            if revision.ended != self._seen.ended:
                after = -1
                self._origins.clear()
            self._origins.update(_origins(await subscriptions.callbacks(self._store, after)))
            self._seen = revision
        return origin in self._origins


class NamedOrigins:
    """Origins of addresses that the operator names, as those of `import_hosts`."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._origins = _origins(hosts)

    async def has_origin(self, origin: str) -> bool:
        """Whether an origin is one of them."""
        return origin in self._origins


class Origins(Protocol):
    """Some origins."""

    async def has_origin(self, origin: str) -> bool:
        """Whether an origin is one of them."""


class AnyOrigins:
    """Origins of one kind or another."""

    def __init__(self, *kinds: Origins) -> None:
        self._kinds = kinds

    async def has_origin(self, origin: str) -> bool:
        """Whether an origin is of one of the kinds."""
        for kind in self._kinds:
            if await kind.has_origin(origin):
                return True
        return False


def _origins(addresses: Iterable[str]) -> frozenset[str]:
    """The origins of addresses; of those that are none, nothing."""
    origins = set()
    for address in addresses:
        try:
            origins.add(web_address(address).origin)
        except Refused as error:
            log.warning("address_unusable", address=address[:200], problem=error.message)
    return frozenset(origins)
