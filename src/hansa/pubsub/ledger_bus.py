"""The `Bus` on a ledger: what all ways of reaching a ledger application have in common.

Publishing is submitting a transaction and checking, after each new block, whether its events have positions.
The outcome of a submission can be unknown (the engine restarted and lost it, the connection broke, a peer
that was starting dropped it), so while positions are missing it is submitted again from time to time, as
another attempt that is gossiped anew: the ledger accepts an event once, and what is left of other attempts
falls out of the mempool. When another member has submitted some events of a batch (an event is public as soon
as it is sent), the others are submitted alone.

Following is reading pages until there are no more, then waiting for the signal of a new block. A slow safety
poll stands in for notifications that were lost with a connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

import msgspec

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import LifecycleEvent, read_event, verified_event
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.signal import Signal
from hansa.pubsub.bus import Claim, CommittedEvent, EventFilter, EventPage, LedgerStatus
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.queries import (
    ClaimsQuery,
    EventPosition,
    EventsAnswer,
    EventsQuery,
    LedgerHead,
    PositionsQuery,
    signed_content,
)
from hansa.pubsub.ledger.rules.events import encode_events
from hansa.pubsub.ledger.transactions import TransactionReader

RESUBMIT_S: Final = 2.0
BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0

_Result = TypeVar("_Result")


class LedgerBus(ABC):
    """A `Bus` that queries a ledger application and submits transactions to its engine."""

    safety_poll_s: float | None = None
    """Longest wait for a notification of a new block; None where none can get lost."""

    def __init__(self, clock: Clock, limits: Limits, signal: Signal) -> None:
        self._clock = clock
        self._limits = limits
        self._signal = signal
        self._closed = False
        self._reader = TransactionReader(
            LedgerParams(
                event_size_max_bytes=limits.event_size_max_bytes,
                events_per_transaction_max=limits.events_per_transaction_max,
                transaction_size_max_bytes=limits.transaction_size_max_bytes,
            )
        )

    # -- what an implementation provides ---------------------------------------------------------------------

    @abstractmethod
    async def _query(self, path: str, data: bytes) -> bytes:
        """The result of a query to the ledger application. Raises `Refused` or `Unavailable`."""

    @abstractmethod
    async def _submit(self, transaction: bytes) -> None:
        """Submit a transaction; one that waits already counts as submitted.

        Raises:
            Refused: the code of the rule that it breaks.
            Unavailable: the outcome is unknown.
        """

    @abstractmethod
    async def ledger(self) -> LedgerStatus:
        """The state of the ledger. See `Bus.ledger`."""

    # -- publishing ------------------------------------------------------------------------------------------

    async def publish(self, events: Sequence[str]) -> tuple[int, ...]:
        """Commit a batch of one issuer's events, all or none; returns their positions. See `Bus.publish`."""
        if not events:
            return ()
        self._reader.read_form(encode_events(events))
        read = {jws: read_event(jws)[0] for jws in events}
        deadline_s = self._clock.monotonic() + self._limits.publish_timeout_s
        positions: dict[str, int] = {}
        attempt = 0
        while len(positions) < len(read):
            missing = [jws for jws in read if jws not in positions]
            seen = self._signal.count
            try:
                await self._submit(encode_events(missing, attempt))
            except Refused as refusal:
                if refusal.code is not Code.EVENT_DUPLICATE:
                    raise
                known = await self._positions(missing, read)
                if not known:  # the same id twice in this batch, or another event has it
                    raise
                positions |= known
                continue
            attempt += 1
            positions |= await self._committed(missing, read, seen, deadline_s)
        assert all(position > 0 for position in positions.values()), "positions count from 1"
        return tuple(positions[jws] for jws in events)

    async def _committed(
        self, missing: Sequence[str], read: dict[str, LifecycleEvent], seen: int, deadline_s: float
    ) -> dict[str, int]:
        """Positions after one of the next blocks; none when it is time to submit again."""
        resubmit_at_s = self._clock.monotonic() + RESUBMIT_S
        while True:
            now_s = self._clock.monotonic()
            if now_s >= deadline_s:
                raise Unavailable(
                    Code.UNAVAILABLE, "The events are not on the ledger yet; the league may lack a quorum."
                )
            if now_s >= resubmit_at_s:
                return {}
            await self._wait(seen, min(resubmit_at_s, deadline_s) - now_s)
            self._check_open()
            seen = self._signal.count
            known = await self._positions(missing, read)
            if known:
                return known

    async def _positions(self, events: Sequence[str], read: dict[str, LifecycleEvent]) -> dict[str, int]:
        """Positions of those of the events that are on the ledger."""
        query = PositionsQuery(read[events[0]].issuer, tuple(read[jws].id for jws in events))
        answer = await self._request("/positions", query, tuple[EventPosition, ...])
        by_id = {entry.id: entry for entry in answer}
        positions: dict[str, int] = {}
        for jws in events:
            entry = by_id.get(read[jws].id)
            if entry is None:
                continue
            if entry.content != signed_content(jws):
                raise Refused(Code.EVENT_DUPLICATE, f"Another event has the id {entry.id}.")
            positions[jws] = entry.position
        return positions

    # -- reading ---------------------------------------------------------------------------------------------

    async def follow(self, after: int, filter: EventFilter | None = None) -> AsyncIterator[EventPage]:
        """Pages of matching events after position `after`, for ever. See `Bus.follow`."""
        cursor, backoff = after, Backoff(BACKOFF_MIN_S, BACKOFF_MAX_S)
        while not self._closed:
            seen = self._signal.count
            try:
                page = await self.search(cursor, filter)
            except Unavailable:
                await self._wait(seen, backoff.next_s())
                continue
            backoff.reset()
            if page.scanned_to > cursor:
                cursor = page.scanned_to
                yield page
            if cursor >= page.last_position and not self._closed:
                await self._wait(seen, self.safety_poll_s)

    async def search(
        self, after: int, filter: EventFilter | None = None, limit: int | None = None
    ) -> EventPage:
        """One page of matching events after position `after`. See `Bus.search`."""
        limit = min(limit or self._limits.events_page_max, self._limits.events_page_max)
        answer = await self._request(
            "/events", EventsQuery(after, filter or EventFilter(), limit), EventsAnswer
        )
        events = tuple(
            CommittedEvent(row.position, row.height, row.time, row.jws, verified_event(row.jws))
            for row in answer.events
        )
        return EventPage(events, answer.scanned_to, answer.last_position)

    async def claims(self, keys: Sequence[str]) -> tuple[Claim, ...]:
        """The claims on these entity keys. See `Bus.claims`."""
        unique = tuple(dict.fromkeys(keys))
        step = self._limits.claims_page_max
        claims: list[Claim] = []
        for start in range(0, len(unique), step):
            claims += await self._request(
                "/claims", ClaimsQuery(unique[start : start + step]), tuple[Claim, ...]
            )
        return tuple(claims)

    async def members(self) -> tuple[Member, ...]:
        """The member registry. See `Bus.members`."""
        return await self._request("/members", None, tuple[Member, ...])

    async def close(self) -> None:
        """End all follows."""
        self._closed = True
        self._signal.notify()

    # -- queries ---------------------------------------------------------------------------------------------

    async def _head(self) -> LedgerHead:
        return await self._request("/status", None, LedgerHead)

    async def _request(self, path: str, query: msgspec.Struct | None, type: type[_Result]) -> _Result:
        self._check_open()
        answer = await self._query(path, b"" if query is None else msgspec.json.encode(query))
        try:
            return msgspec.json.decode(answer, type=type)
        except msgspec.DecodeError as error:
            raise Unavailable(
                Code.UNAVAILABLE, "The ledger application's answer is of another version."
            ) from error

    async def _wait(self, seen: int, timeout_s: float | None) -> None:
        """Wait for a notification after those that were seen."""
        await self._signal.wait(seen, timeout_s)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(Code.UNAVAILABLE, "The bus is closed.")
