"""Events of a ledger as marketplaces return them: a page after the other, or as they are committed.

`follow` is a state machine over the marketplaces:

    connected    the stream of one of them is open; its messages advance the position
    interrupted  the stream broke, or brought what does not pass the check: the next marketplace is tried,
                 from the position reached, after a pause that doubles while all of them fail

Positions grow strictly. What is at or before the position reached is passed over, so an event is yielded
once, however often the stream is opened.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from hansa.client.connection import MarketplaceConnection, Parameters
from hansa.core.backoff import Backoff
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.identifiers import Entropy

EVENTS: Final = "/league/v1/events"
STREAM: Final = "/league/v1/events/stream"
LEDGER: Final = "/league/v1/ledger"
PAGE_SIZE_MAX: Final = 500
BACKOFF_MIN_S: Final = 0.5
BACKOFF_MAX_S: Final = 15.0

T = TypeVar("T")
Document = dict[str, Any]
"""An event as a marketplace returned it."""
Check = Callable[[Document], Awaitable[T]]
"""Makes of a document what the caller gets; raises `Refused` when it cannot be used."""


class EventSource:
    """Reads the events of one ledger from one of several marketplaces, the first that answers.

    Args:
        connections: To the marketplaces, open.
        clock: For pauses.
        entropy: For jitter; None: no jitter.
    """

    def __init__(
        self, connections: Sequence[MarketplaceConnection], clock: Clock, entropy: Entropy | None = None
    ) -> None:
        assert connections, "there is a marketplace"
        self._connections = tuple(connections)
        self._clock = clock
        self._entropy = entropy
        self._current = 0

    @property
    def connection(self) -> MarketplaceConnection:
        """To the marketplace that is read now."""
        return self._connections[self._current]

    async def get(self, path: str, parameters: Parameters = ()) -> Any:
        """A document of the first marketplace that answers, from the one that is read on.

        Raises:
            HansaError: none answers, or one refuses.
        """
        problem: HansaError | None = None
        for _ in self._connections:
            try:
                return await self.connection.get(path, parameters)
            except Unavailable as error:
                problem = error
                self._switch()
        assert problem is not None, "there is a marketplace"
        raise problem

    async def position(self) -> int:
        """Of the newest event on the ledger.

        Raises:
            HansaError: no marketplace answers, or one refuses.
        """
        document = await self.get(LEDGER)
        position = document.get("position") if isinstance(document, dict) else None
        if not isinstance(position, int):
            raise self.connection.not_a_marketplace()
        return position

    async def pages(
        self, selected: Parameters, check: Check[T], *, after: int = 0, limit: int | None = None
    ) -> AsyncIterator[T]:
        """The events that are on the ledger now, after a position.

        Args:
            selected: Parameters that say which.
            check: What the caller gets of each.
            after: 0 for all.
            limit: How many at most.

        Raises:
            HansaError: no marketplace answers, one refuses, or an event does not pass the check.
        """
        count = 0
        while limit is None or count < limit:
            size = PAGE_SIZE_MAX if limit is None else min(PAGE_SIZE_MAX, limit - count)
            page = await self.get(EVENTS, [("after", str(after)), ("limit", str(size)), *selected])
            rows, scanned_to, last = _page(page, self.connection)
            for row in rows:
                yield await check(row)
                count += 1
            if scanned_to <= after or scanned_to >= last:
                return
            after = scanned_to

    async def follow(
        self,
        selected: Parameters,
        check: Check[T],
        *,
        after: int,
        on_interruption: Callable[[HansaError], None] = lambda _: None,
    ) -> AsyncGenerator[T]:
        """Events as they are committed, for ever.

        Args:
            selected: Parameters that say which.
            check: What the caller gets of each.
            after: A position.
            on_interruption: Gets the reason when a stream ended by an error, before the next is opened.

        Raises:
            HansaError: nothing could be read at first.
        """
        backoff, failures, has_begun = Backoff(BACKOFF_MIN_S, BACKOFF_MAX_S, self._entropy), 0, False
        while True:
            resume = str(after) if has_begun else None
            stream = self.connection.stream(STREAM, [("after", str(after)), *selected], resume)
            try:
                async with contextlib.aclosing(stream) as messages:
                    async for message in messages:
                        backoff.reset()
                        failures, has_begun = 0, True
                        document = _decoded(message.data)
                        reached = int(message.id) if message.id.isascii() and message.id.isdigit() else after
                        if document is not None and _position(document, reached) > after:
                            yield await check(document)
                        after = max(after, reached)
            except HansaError as error:
                failures += 1
                if not has_begun and (
                    not isinstance(error, Unavailable) or failures == len(self._connections)
                ):
                    raise
                on_interruption(error)
            self._switch()
            if self._current == 0 or len(self._connections) == 1:
                await self._clock.sleep(backoff.next_s())

    def _switch(self) -> None:
        self._current = (self._current + 1) % len(self._connections)


def _position(document: Document, otherwise: int) -> int:
    position = document.get("position")
    data = document.get("data")
    if position is None and isinstance(data, dict):
        position = data.get("position")
    return position if isinstance(position, int) else otherwise


def _page(page: Any, connection: MarketplaceConnection) -> tuple[list[Document], int, int]:
    """Rows of a page, how far the ledger was searched, and its newest position."""
    if isinstance(page, dict):
        rows, scanned_to, last = page.get("events"), page.get("scanned_to"), page.get("last_position")
        is_list = isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
        if is_list and isinstance(scanned_to, int) and isinstance(last, int):
            return list(rows or ()), scanned_to, last
    raise connection.not_a_marketplace()


def _decoded(data: str) -> Document | None:
    """The event of a message; None where it only advances the position.

    Raises:
        Refused: `Code.MALFORMED`.
    """
    if not data:
        return None
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except UNREADABLE as error:
        raise Refused(Code.MALFORMED, "The stream has something else than events.") from error
