"""Where requests may go: the origins of members, of hub listeners and of import files.

An `OutboundClient` has one of these, so that a request for one purpose cannot go where only another may.
Origins are written as `hansa.node.outbound.origin_of` writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hansa.core.members import Member
from hansa.node.outbound import origin_of
from hansa.store import Store
from hansa.store.tables import subscriptions


class MemberOrigins:
    """Origins of the members' registered endpoints.

    Args:
        members: The registry as it is known now; another tuple when it has changed.
    """

    def __init__(self, members: Callable[[], tuple[Member, ...]]) -> None:
        self._members = members
        self._seen: tuple[Member, ...] = ()
        self._origins: frozenset[str] = frozenset()

    async def has_origin(self, origin: str) -> bool:
        """Whether a member is registered at an origin."""
        members = self._members()
        if members is not self._seen:
            self._origins = frozenset(origin_of(member.endpoint) for member in members)
            self._seen = members
        return origin in self._origins


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
            self._origins.update(map(origin_of, await subscriptions.callbacks(self._store, after)))
            self._seen = revision
        return origin in self._origins


class ImportOrigins:
    """Origins that the operator lets import jobs fetch from (`import_hosts`)."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._origins = frozenset(map(origin_of, hosts))

    async def has_origin(self, origin: str) -> bool:
        """Whether an origin is one of them."""
        return origin in self._origins
