"""The client of a league: its events and entities, from one marketplace or from several.

Every event is verified before the caller gets it: that the member who it says issued it signed it, with a key
that was that member's at the event's position; and every entity, by its hash, which the event names. So a
marketplace can withhold events, but not make them up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from hansa.client.connection import MarketplaceConnection
from hansa.client.ledger_query import LedgerQuery
from hansa.client.registered_keys import RegisteredKeys, RegistryRow, ReportedRegistry
from hansa.client.source import EventSource
from hansa.client.verification import EventVerifier, KeySource, MemberKeys
from hansa.core.canonical import hashlink
from hansa.core.clock import Clock, SystemClock
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.events import LifecycleEvent
from hansa.core.identifiers import Entropy
from hansa.core.members import Member

MEMBERS: Final = "/league/v1/members"

Connect = Callable[[str], MarketplaceConnection]


class LeagueEvent(msgspec.Struct, frozen=True):
    """A committed event that its issuer signed."""

    position: int
    """On the ledger, from 1."""
    height: int
    """Of the block that committed it."""
    block_time: str
    """Of that block; RFC 3339."""
    content: LifecycleEvent
    """What was signed, and who signed it."""
    location: str | None
    """Where its issuer serves the entity; not signed."""
    document: dict[str, Any]
    """As the marketplace returned it."""


class LeagueClient:
    """Reads a league. Use it with `async with`.

    Args:
        urls: Addresses of marketplaces; the first that answers is read.
        members: Whose events are believed, with their keys, as a genesis or `members()` has them; a key is
            believed at every position.
        keys: Knows their keys, in place of `members`. None of both: those on which all marketplaces of `urls`
            agree that answer, which is as good as the most honest of them.
        token: A bearer token for what is not public.
        clock: For pauses.
        entropy: For jitter.
        connect: Makes the connections.
    """

    def __init__(
        self,
        urls: Sequence[str],
        members: Sequence[Member] | None = None,
        *,
        keys: KeySource | None = None,
        token: str | None = None,
        clock: Clock | None = None,
        entropy: Entropy = os.urandom,
        connect: Connect | None = None,
    ) -> None:
        if not urls:
            raise Refused(Code.INVALID, "A client needs the address of a marketplace.")
        clock = clock or SystemClock()
        make = connect or (lambda url: MarketplaceConnection(url, token))
        self._connections = [make(url) for url in urls]
        self._connect_origin = connect or MarketplaceConnection  # without the token: it is not for others
        if keys is None:
            keys = RegisteredKeys(self._registry, clock) if members is None else MemberKeys(members)
        self._verifier = EventVerifier(keys)
        self._source = EventSource(self._connections, clock, entropy)
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for connection in self._connections:
            await self._resources.enter_async_context(connection)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    @property
    def url(self) -> str:
        """Of the marketplace that is read now."""
        return self._source.connection.url

    async def position(self) -> int:
        """Of the newest event on the ledger.

        Raises:
            HansaError: no marketplace answers.
        """
        return await self._source.position()

    async def members(self) -> tuple[Member, ...]:
        """The members on which all marketplaces that answer agree.

        Raises:
            Unavailable: none answers.
            Refused: `Code.CONFLICT`, when they do not agree.
        """
        return tuple(row.member for row in await self._agreed())

    async def events(
        self, selection: LedgerQuery | None = None, *, after: int = 0, limit: int | None = None
    ) -> AsyncIterator[LeagueEvent]:
        """The events that are on the ledger now, after a position.

        Raises:
            HansaError: no marketplace answers, or one returned what does not verify.
        """
        selected = (selection or LedgerQuery()).parameters()
        check = partial(verified, verifier=self._verifier)
        async for event in self._source.pages(selected, check, after=after, limit=limit):
            yield event

    async def follow(
        self, selection: LedgerQuery | None = None, *, after: int | None = None
    ) -> AsyncIterator[LeagueEvent]:
        """Events as they are committed, for ever; interruptions are bridged (`hansa.client.source`).

        Args:
            selection: Which ones; its `to_time` is of no use here.
            after: A position; None: new ones.

        Raises:
            HansaError: nothing answered at all at first.
        """
        check = partial(verified, verifier=self._verifier)
        after = await self.position() if after is None else after
        selected = [one for one in (selection or LedgerQuery()).parameters() if one[0] != "to"]
        async with contextlib.aclosing(self._source.follow(selected, check, after=after)) as events:
            async for event in events:
                yield event

    async def entity(self, event: LeagueEvent) -> bytes:
        """The exact bytes of the version that an event is about, by its hash.

        They are requested of the marketplaces of this client, then of the issuer, where the registry has it
        now, wherever it was when the event was committed.

        Raises:
            Refused: `Code.NOT_FOUND` or `Code.GONE`, when no marketplace has that version any more;
                `Code.HASH_MISMATCH`, when what was returned is something else.
            Unavailable: none answers.
        """
        problem: HansaError | None = None
        for connection in self._connections:
            try:
                return await _version(connection, event)
            except HansaError as error:
                problem = error
        assert problem is not None, "a client has a marketplace"
        origin = next((one for one in await self.members() if one.did == event.content.issuer), None)
        if origin is None or origin.endpoint in {one.url for one in self._connections}:
            raise problem
        async with self._connect_origin(origin.endpoint) as connection:
            return await _version(connection, event)

    async def _registry(self) -> ReportedRegistry:
        position = await self.position()
        return ReportedRegistry(position, await self._agreed())

    async def _agreed(self) -> tuple[RegistryRow, ...]:
        """The registry on which all marketplaces that answer agree. See `members`."""
        registries: dict[str, tuple[RegistryRow, ...]] = {}
        problem: HansaError | None = None
        for connection in self._connections:
            try:
                content = await connection.get(MEMBERS, [("history", "true")])
                registries[connection.url] = _rows(content, connection)
            except HansaError as error:
                problem = error
        if not registries:
            assert problem is not None, "a client has a marketplace"
            raise problem
        (first, rows), *others = registries.items()
        for url, registry in others:
            if registry != rows:
                raise Refused(Code.CONFLICT, f"{url} and {first} disagree about the members of the league.")
        return rows


async def _version(connection: MarketplaceConnection, event: LeagueEvent) -> bytes:
    """What a marketplace has of the version that an event is about."""
    path = f"/league/v1/entities/{event.content.entity.key}"
    response = await connection.request("GET", path, parameters=[("hl", event.content.hashlink)])
    if response.status != 200:
        raise connection.refusal(response)
    if hashlink(response.body) != event.content.hashlink:
        raise Refused(Code.HASH_MISMATCH, f"{connection.url} returned another version.")
    return response.body


async def verified(document: Any, verifier: EventVerifier) -> LeagueEvent:
    """An event as a marketplace returned it, which its issuer signed.

    Raises:
        Refused: `Code.EVENT_SIGNATURE_INVALID`.
    """
    if not isinstance(document, dict):
        raise Refused(Code.EVENT_SIGNATURE_INVALID, "What was returned is no event.")
    content = await verifier.verify(document)
    location = document["event"].get("location")
    try:
        return LeagueEvent(
            position=int(document["position"]),
            height=int(document["height"]),
            block_time=str(document["time"]),
            content=content,
            location=location if isinstance(location, str) else None,
            document=document,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(Code.EVENT_SIGNATURE_INVALID, "An event has no position.") from error


def _rows(document: Any, connection: MarketplaceConnection) -> tuple[RegistryRow, ...]:
    try:
        rows = msgspec.convert(document, tuple[RegistryRow, ...])
    except msgspec.ValidationError as error:
        raise connection.not_a_marketplace() from error
    return tuple(sorted(rows, key=lambda row: row.member.did))
