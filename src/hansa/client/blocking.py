"""The client for callers without an event loop: each call runs one of its own until it has its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from hansa.client.league import Connect, LeagueClient, LeagueEvent
from hansa.client.ledger_query import LedgerQuery
from hansa.client.verification import KeySource
from hansa.core.clock import Clock
from hansa.core.members import Member

T = TypeVar("T")

_END: Final = object()


class BlockingLeagueClient:
    """Reads a league. Use it with `with`, in one thread; arguments and errors are those of `LeagueClient`."""

    def __init__(
        self,
        urls: Sequence[str],
        members: Sequence[Member] | None = None,
        *,
        keys: KeySource | None = None,
        token: str | None = None,
        clock: Clock | None = None,
        connect: Connect | None = None,
    ) -> None:
        self._client = LeagueClient(urls, members, keys=keys, token=token, clock=clock, connect=connect)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._runner.run(self._client.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._runner.run(self._client.__aexit__(kind, error, trace))
        finally:
            self._runner.close()

    @property
    def url(self) -> str:
        """Of the marketplace that is read now."""
        return self._client.url

    def position(self) -> int:
        """Of the newest event. See `LeagueClient.position`."""
        return self._runner.run(self._client.position())

    def members(self) -> tuple[Member, ...]:
        """The members. See `LeagueClient.members`."""
        return self._runner.run(self._client.members())

    def events(
        self, selection: LedgerQuery | None = None, *, after: int = 0, limit: int | None = None
    ) -> Iterator[LeagueEvent]:
        """The events of now. See `LeagueClient.events`."""
        return self._iterated(self._client.events(selection, after=after, limit=limit))

    def follow(
        self, selection: LedgerQuery | None = None, *, after: int | None = None
    ) -> Iterator[LeagueEvent]:
        """Events as they are committed. See `LeagueClient.follow`."""
        return self._iterated(self._client.follow(selection, after=after))

    def entity(self, event: LeagueEvent) -> bytes:
        """An entity's bytes. See `LeagueClient.entity`."""
        return self._runner.run(self._client.entity(event))

    def _iterated(self, items: AsyncIterator[T]) -> Iterator[T]:
        async def step() -> T | object:
            return await anext(items, _END)

        while (item := self._runner.run(step())) is not _END:
            yield item  # type: ignore[misc]
