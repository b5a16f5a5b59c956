"""The `Bus` on a ledger: what all ways of reaching a ledger application have in common.

Publishing is submitting a transaction and checking, after each new block, whether its events have positions.
The outcome of a submission can be unknown (the engine restarted and lost it, the connection broke, a peer
that was starting dropped it), so while positions are missing the events are submitted again with growing
pauses, as another batch with the next `seq`: its bytes are new, so they are gossiped anew. The ledger accepts
an event once, and what is left of earlier submissions falls out of the mempool. A batch that was overtaken by
a later one of the same issuer can never be committed, so its events are signed and submitted again at once.

Following is reading pages until there are no more, then waiting for the signal of a new block. A slow safety
poll stands in for notifications that were lost with a connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Final, TypeVar

import msgspec

from hansa.core.backoff import Backoff
from hansa.core.batches import BatchSigner
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import committed_event, decode_event
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.signal import Signal
from hansa.pubsub.bus import Claim, CommittedEvent, EventFilter, EventPage, LedgerStatus
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.queries import (
    ClaimsQuery,
    EventsAnswer,
    EventsQuery,
    LedgerHead,
    PositionsAnswer,
    PositionsQuery,
    content_digest,
)
from hansa.pubsub.ledger.results import SIZE
from hansa.pubsub.ledger.rules.events import check_events, encode_events

RESUBMIT_MIN_S: Final = 2.0
RESUBMIT_MAX_S: Final = 30.0
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
        self._params = LedgerParams(
            event_size_max_bytes=limits.event_size_max_bytes,
            events_per_transaction_max=limits.events_per_transaction_max,
            transaction_size_max_bytes=limits.transaction_size_max_bytes,
        )
        self._seq = 0
        """Of the last batch that was submitted or seen on the ledger."""
        self._committed_seq = 0
        """Of the issuer's last batch on the ledger."""

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

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        """Commit a batch of the signer's events, all or none; returns their positions. See `Bus.publish`."""
        if not contents:
            return ()
        check_events(contents, self._params)
        ids = {content: decode_event(content, signer.issuer).id for content in contents}
        if not self._seq:
            await self._positions(contents, ids, signer.issuer)
        deadline_s = self._clock.monotonic() + self._limits.publish_timeout_s
        pauses = Backoff(RESUBMIT_MIN_S, RESUBMIT_MAX_S)
        positions: dict[bytes, int] = {}
        while len(positions) < len(ids):
            missing = [content for content in ids if content not in positions]
            seen = self._signal.count
            seq = self._seq = self._seq + 1
            transaction = encode_events(signer.sign(missing, seq), missing)
            if len(transaction) > self._params.transaction_size_max_bytes:
                raise SIZE.broken(f"The transaction has {len(transaction)} bytes.")
            try:
                await self._submit(transaction)
            except Refused as refusal:
                if refusal.code not in {Code.EVENT_DUPLICATE, Code.BATCH_OUTDATED}:
                    raise
                known = await self._positions(missing, ids, signer.issuer)
                if not known and refusal.code is Code.EVENT_DUPLICATE:
                    raise  # the same id twice in this batch, or another event has it
                positions |= known
                self._check_deadline(deadline_s)
                continue
            until_s = min(self._clock.monotonic() + pauses.next_s(), deadline_s)
            positions |= await self._committed(missing, ids, signer.issuer, seq, seen, until_s)
            self._check_deadline(deadline_s)
        assert all(position > 0 for position in positions.values()), "positions count from 1"
        return tuple(positions[content] for content in contents)

    async def _committed(
        self,
        missing: Sequence[bytes],
        ids: dict[bytes, str],
        issuer: str,
        seq: int,
        seen: int,
        until_s: float,
    ) -> dict[bytes, int]:
        """Positions after one of the next blocks; none when it is time to submit again."""
        while True:
            now_s = self._clock.monotonic()
            if now_s >= until_s:
                return {}
            await self._wait(seen, until_s - now_s)
            self._check_open()
            seen = self._signal.count
            known = await self._positions(missing, ids, issuer)
            if known or self._committed_seq >= seq:
                return known

    def _check_deadline(self, deadline_s: float) -> None:
        if self._clock.monotonic() >= deadline_s:
            raise Unavailable(
                Code.UNAVAILABLE, "The events are not on the ledger yet; the league may lack a quorum."
            )

    async def _positions(
        self, contents: Sequence[bytes], ids: dict[bytes, str], issuer: str
    ) -> dict[bytes, int]:
        """Positions of those of the events that are on the ledger."""
        query = PositionsQuery(issuer, tuple(ids[content] for content in contents))
        answer = await self._request("/positions", query, PositionsAnswer)
        self._committed_seq = answer.seq
        self._seq = max(self._seq, answer.seq)
        by_id = {entry.id: entry for entry in answer.positions}
        positions: dict[bytes, int] = {}
        for content in contents:
            entry = by_id.get(ids[content])
            if entry is None:
                continue
            if entry.content != content_digest(content):
                raise Refused(Code.EVENT_DUPLICATE, f"Another event has the id {entry.id}.")
            positions[content] = entry.position
        return positions

    # -- reading ---------------------------------------------------------------------------------------------

    async def follow(
        self, after: int, filter: EventFilter | None = None, *, with_proofs: bool = False
    ) -> AsyncIterator[EventPage]:
        """Pages of matching events after position `after`, for ever. See `Bus.follow`."""
        cursor, backoff = after, Backoff(BACKOFF_MIN_S, BACKOFF_MAX_S)
        while not self._closed:
            seen = self._signal.count
            try:
                page = await self.search(cursor, filter, with_proofs=with_proofs)
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
        self,
        after: int,
        filter: EventFilter | None = None,
        limit: int | None = None,
        *,
        with_proofs: bool = False,
    ) -> EventPage:
        """One page of matching events after position `after`. See `Bus.search`."""
        limit = min(limit or self._limits.events_page_max, self._limits.events_page_max)
        answer = await self._request(
            "/events", EventsQuery(after, filter or EventFilter(), limit, with_proofs), EventsAnswer
        )
        contents = [row.content.encode() for row in answer.events]
        events = tuple(
            CommittedEvent(
                row.position, row.height, row.time, committed_event(content, row.issuer), content, row.proof
            )
            for row, content in zip(answer.events, contents, strict=True)
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
