"""What is read of a ledger, whichever way its state is reached: `BusReads` on a `LedgerReader`.

Following is reading pages until there are no more, then waiting for the signal of a new block. The engine
signals a block after its application has committed it, so whoever is woken reads that block's state. A slow
safety poll stands in for notifications that were lost with a connection.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from hansa.core.backoff import Backoff
from hansa.core.clock import Clock, rfc3339_at_ms
from hansa.core.errors import Code, Unavailable
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.signal import Signal
from hansa.pubsub.league import reports
from hansa.pubsub.league.reports import ProposalReport, RegisteredMember
from hansa.pubsub.league.state import LeagueState
from hansa.pubsub.ledger.commitments.claims import BUCKETS
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.reading import LedgerHead, LedgerReader, ReaderPool, check_filter
from hansa.pubsub.ledger.reading.parts import StateParts
from hansa.pubsub.ledger.rules.rulesets import rules_digest
from hansa.pubsub.ledger_records import (
    Claim,
    ClaimPage,
    CommittedEvent,
    EventFilter,
    EventPage,
    LedgerStatus,
    NewestPositions,
    RecordPage,
)
from hansa.pubsub.proofs import (
    NO_HISTORY,
    ClaimsProof,
    ConsistencyProof,
    HistoryRequest,
    InclusionProof,
    StateProofs,
    StoredCheckpoint,
)

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
STATUS_AGE_MAX_S: Final = 0.5
"""How old the ledger's status may be that strangers get."""

BUCKETS_AT_ONCE: Final = 4096
"""Of claims, in one reading, so that none is long."""
FOLLOWED_EVENTS_MAX: Final = 100
"""On a page for a stranger who follows: a slow client holds up one in memory."""
FOLLOWED_AT_ONCE_MAX: Final = 8
"""Readings for strangers who follow that are in the lane at once; whoever requests a page finds room."""

T = TypeVar("T")


def _in_order(positions: array[int]) -> array[int]:
    return array("Q", sorted(positions))


def params_of(limits: Limits) -> LedgerParams:
    """The limits of a league, as far as a member's settings name them."""
    return LedgerParams(
        event_size_max_bytes=limits.event_size_max_bytes,
        events_per_transaction_max=limits.events_per_transaction_max,
        transaction_size_max_bytes=limits.transaction_size_max_bytes,
    )


def ledger_status(
    head: LedgerHead, *, catching_up: bool, peers: int, peer_ids: tuple[str, ...] = ()
) -> LedgerStatus:
    """The status of a ledger with that head."""
    return LedgerStatus(
        height=head.height,
        position=head.position,
        app_hash=head.app_hash,
        ruleset=head.ruleset,
        rules_digest=rules_digest(head.ruleset),
        powers=head.powers,
        misbehavior=head.misbehavior,
        upgrade=head.upgrade,
        time=rfc3339_at_ms(head.time_ms) if head.height else None,
        catching_up=catching_up,
        peers=peers,
        peer_ids=peer_ids,
    )


class LedgerReads(ABC):
    """The reading half of a bus on a ledger."""

    safety_poll_s: float | None = None
    """Longest wait for a notification of a new block; None where none can get lost."""

    def __init__(
        self, clock: Clock, limits: Limits, signal: Signal, params: LedgerParams | None = None
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._signal = signal
        self._closed = False
        self._params = params or params_of(limits)

    @property
    def params(self) -> LedgerParams:
        """The league's limits, as they were last read. See `BusReads.params`."""
        return self._params

    # -- what an implementation provides ---------------------------------------------------------------------

    @abstractmethod
    async def _read(self, work: Callable[[LedgerReader], T]) -> T:
        """What `work` reads of the ledger's state. Raises `Refused` or `Unavailable`."""

    @abstractmethod
    async def ledger(self) -> LedgerStatus:
        """The state of the ledger. See `BusReads.ledger`."""

    @property
    def notifications(self) -> int:
        """How many notifications of blocks there were."""
        return self._signal.count

    async def wait_for_block(self, seen: int, timeout_s: float | None) -> None:
        """Wait for a notification after those that were seen."""
        await self._signal.wait(seen, timeout_s)

    async def _next_page(self, seen: int, after: int, filter: EventFilter, *, with_proofs: bool) -> EventPage:
        """The page for somebody who follows, and has seen so many notifications."""
        del seen
        return await self.search(after, filter, with_proofs=with_proofs)

    # -- reading ---------------------------------------------------------------------------------------------

    async def follow(
        self, after: int, filter: EventFilter | None = None, *, with_proofs: bool = False
    ) -> AsyncIterator[EventPage]:
        """Pages of matching events after position `after`, for ever. See `BusReads.follow`."""
        cursor, backoff, filter = after, Backoff(BACKOFF_MIN_S, BACKOFF_MAX_S), filter or EventFilter()
        while not self._closed:
            seen = self._signal.count
            try:
                page = await self._next_page(seen, cursor, filter, with_proofs=with_proofs)
            except Unavailable:
                await self.wait_for_block(seen, backoff.next_s())
                continue
            backoff.reset()
            if page.scanned_to > cursor:
                cursor = page.scanned_to
                yield page
            if cursor >= page.last_position and not self._closed:
                await self.wait_for_block(seen, self.safety_poll_s)

    async def blocks(self) -> AsyncIterator[None]:
        """One item at once, then one after each block. See `BusReads.blocks`."""
        while not self._closed:
            seen = self._signal.count
            yield
            await self.wait_for_block(seen, self.safety_poll_s)

    async def check(self, filter: EventFilter) -> None:
        """Whether events can be followed with this filter. See `BusReads.check`."""
        check_filter(filter)
        self._check_open()
        await self._read(LedgerReader.head)

    async def search(
        self,
        after: int,
        filter: EventFilter | None = None,
        limit: int | None = None,
        *,
        with_proofs: bool = False,
    ) -> EventPage:
        """One page of matching events after position `after`. See `BusReads.search`."""
        size = min(limit or self._limits.events_page_max, self._limits.events_page_max)
        requested = filter or EventFilter()
        self._check_open()
        return await self._read(lambda reader: reader.events(after, requested, size, with_proofs=with_proofs))

    async def newest_positions(self, after: int) -> NewestPositions:
        """Where the newest event of each key is. See `BusReads.newest_positions`."""
        self._check_open()
        end = await self._read(LedgerReader.visible)
        positions = array("Q")
        for first in range(0, BUCKETS, BUCKETS_AT_ONCE):
            self._check_open()
            buckets = range(first, first + BUCKETS_AT_ONCE)
            positions += await self._read(
                lambda reader, buckets=buckets: reader.newest_positions(buckets, after, end)  # type: ignore[misc]
            )
        return NewestPositions(await asyncio.to_thread(_in_order, positions), end)

    async def events_at(self, positions: Sequence[int]) -> tuple[CommittedEvent, ...]:
        """Events by their positions. See `BusReads.events_at`."""
        self._check_open()
        return await self._read(lambda reader: reader.events_at(positions))

    async def claims_from(self, bucket: int, count: int) -> ClaimPage:
        """Claims in the order of their keys. See `BusReads.claims_from`."""
        self._check_open()
        return await self._read(lambda reader: reader.claims_from(bucket, count))

    async def claims(self, keys: Sequence[str]) -> tuple[Claim, ...]:
        """The claims on these entity keys. See `BusReads.claims`."""
        unique = tuple(dict.fromkeys(keys))
        step = self._limits.claims_page_max
        claims: list[Claim] = []
        for start in range(0, len(unique), step):
            part = unique[start : start + step]
            self._check_open()
            claims += await self._read(lambda reader, part=part: reader.claims(part))  # type: ignore[misc]
        return tuple(claims)

    async def missing_events(self) -> tuple[int, int] | None:
        """First and last position of the events that are not here yet; None when all are.

        Raises:
            Unavailable: The state cannot be read now.
        """
        self._check_open()
        return await self._read(LedgerReader.missing)

    async def history_segment(self, number: int) -> bytes:
        """A segment of the history as it travels (`hansa.pubsub.ledger.history.segment`).

        Raises:
            Refused: `Code.NOT_FOUND`.
            Unavailable: It cannot be read now.
        """
        self._check_open()
        return await self._read(lambda reader: reader.history_segment(number))

    async def batches_after(self, after: int) -> bytes:
        """The batches after a position, as they travel (`hansa.pubsub.ledger.history.segment`).

        Raises:
            Unavailable: They cannot be read now.
        """
        self._check_open()
        return await self._read(lambda reader: reader.batches_after(after))

    async def state_parts(self, known: frozenset[str]) -> StateParts:
        """The state in parts that prove themselves (`hansa.pubsub.ledger.reading.parts`).

        Args:
            known: Tags of sections whose records are not needed.

        Raises:
            Unavailable: It cannot be read now.
        """
        self._check_open()
        return await self._read(lambda reader: reader.state_parts(known))

    async def inclusion_proof(self, position: int) -> InclusionProof:
        """That an event is on the ledger. See `BusReads.inclusion_proof`."""
        self._check_open()
        return await self._read(lambda reader: reader.inclusion_proof(position))

    async def consistency_proof(self, earlier_size: int) -> ConsistencyProof:
        """That an earlier ledger is the beginning of this one. See `BusReads.consistency_proof`."""
        self._check_open()
        return await self._read(lambda reader: reader.consistency_proof(earlier_size))

    async def claims_proof(self, key: str) -> ClaimsProof:
        """Which claims there are on an entity key. See `BusReads.claims_proof`."""
        self._check_open()
        return await self._read(lambda reader: reader.claims_proof(key))

    async def state_proofs(
        self, positions: Sequence[int], key: str | None, history: HistoryRequest = NO_HISTORY
    ) -> StateProofs:
        """Proofs of one state. See `BusReads.state_proofs`."""
        self._check_open()
        return await self._read(lambda reader: reader.state_proofs(positions, key, history))

    async def leaves(self, after: int, limit: int) -> bytes:
        """Leaf hashes. See `BusReads.leaves`."""
        self._check_open()
        return await self._read(lambda reader: reader.leaves(after, limit))

    async def checkpoints(self, after: int, limit: int) -> tuple[StoredCheckpoint, ...]:
        """Checkpoints. See `BusReads.checkpoints`."""
        self._check_open()
        return await self._read(lambda reader: reader.checkpoints(after, limit))

    async def event_position(self, event_id: str) -> int | None:
        """Position of an event. See `BusReads.event_position`."""
        self._check_open()
        return await self._read(lambda reader: reader.event_position(event_id))

    async def members(self) -> tuple[Member, ...]:
        """The member registry. See `BusReads.members`."""
        self._check_open()
        registry = await self._read(LedgerReader.registry)
        self._params = registry.params
        return registry.members

    async def revoked_keys(self) -> frozenset[str]:
        """The keys of members that were revoked. See `BusReads.revoked_keys`."""
        self._check_open()
        return await self._read(LedgerReader.revoked_keys)

    async def record_page(self, section: str, offset: int, limit: int) -> RecordPage:
        """Some records of a section of the state. See `BusReads.record_page`."""
        self._check_open()
        return await self._read(lambda reader: reader.record_page(section, offset, limit))

    async def record(self, section: str, key: str) -> bytes | None:
        """A record of a section of the state. See `BusReads.record`."""
        self._check_open()
        return await self._read(lambda reader: reader.record(section, key))

    async def proposals(self, *, with_closed: bool = False) -> tuple[ProposalReport, ...]:
        """What the members decide. See `BusReads.proposals`."""
        self._check_open()
        return await self._read(lambda reader: reports.proposals(reader.league(), with_closed=with_closed))

    async def proposal(self, name: str) -> ProposalReport:
        """A proposal. See `BusReads.proposal`."""
        self._check_open()
        return await self._read(lambda reader: reports.proposal_named(reader.league(), name))

    async def histories(self) -> tuple[RegisteredMember, ...]:
        """The members with their history. See `BusReads.histories`."""
        self._check_open()
        return await self._read(lambda reader: reports.histories(reader.league()))

    async def league(self) -> LeagueState:
        """What the members have decided. See `BusReads.league`."""
        self._check_open()
        return await self._read(LedgerReader.league)

    async def close(self) -> None:
        """End all follows."""
        self._closed = True
        self._signal.notify()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(Code.UNAVAILABLE, "The bus is closed.")


class StrangersReads(LedgerReads):
    """What strangers read of a bus: in a lane of their own, so that this member's own reading never waits.

    Those who follow the same events are woken by the same block, and their page is read once for all of them.

    Args:
        bus: Wakes those who follow, and knows the engine.
        pool: Reads the state.
        clock: For the age of the status.
        limits: Of pages.
        signal: That of the bus.
    """

    def __init__(
        self, bus: LedgerReads, pool: ReaderPool, clock: Clock, limits: Limits, signal: Signal
    ) -> None:
        super().__init__(clock, limits, signal)
        self.safety_poll_s = bus.safety_poll_s
        self._bus = bus
        self._pool = pool
        self._pages: dict[tuple[int, int, EventFilter, bool], asyncio.Task[EventPage]] = {}
        """Those that are being read for somebody who follows."""
        self._status: LedgerStatus | Unavailable = Unavailable(Code.UNAVAILABLE, "The engine starts.")
        self._status_until_s = 0.0
        """By the clock's monotonic time: when the status is read again."""
        self._followed_slots = asyncio.Semaphore(FOLLOWED_AT_ONCE_MAX)
        self._status_lock = asyncio.Lock()
        self._check_lock = asyncio.Lock()
        self._checked_until_s = 0.0

    @property
    def params(self) -> LedgerParams:
        """The league's limits, as this member itself last read them."""
        return self._bus.params

    async def ledger(self) -> LedgerStatus:
        """The state of the ledger, or why there is none, at most `STATUS_AGE_MAX_S` old.

        So the engine is not queried for each, and an engine that does not answer is waited for once.
        """
        async with self._status_lock:
            if self._clock.monotonic() >= self._status_until_s:
                try:
                    self._status = await self._bus.ledger()
                except Unavailable as error:
                    self._status = error
                self._status_until_s = self._clock.monotonic() + STATUS_AGE_MAX_S
        if isinstance(self._status, LedgerStatus):
            return self._status
        raise Unavailable(self._status.code, self._status.message, self._status.retry_after_s)

    async def check(self, filter: EventFilter) -> None:
        """Whether events can be followed. However many want to know, the ledger is read for one of them."""
        check_filter(filter)
        self._check_open()
        async with self._check_lock:
            if self._clock.monotonic() >= self._checked_until_s:
                await self._read(LedgerReader.head)
                self._checked_until_s = self._clock.monotonic() + STATUS_AGE_MAX_S

    async def wait_for_block(self, seen: int, timeout_s: float | None) -> None:
        """Wait for a notification after those that were seen."""
        await self._bus.wait_for_block(seen, timeout_s)

    async def _read(self, work: Callable[[LedgerReader], T]) -> T:
        return await self._pool.run(work)

    async def _next_page(self, seen: int, after: int, filter: EventFilter, *, with_proofs: bool) -> EventPage:
        # A page that somebody requested before the last notification may lack that block.
        key = seen, after, filter, with_proofs
        reading = self._pages.get(key)
        if reading is None:
            reading = asyncio.create_task(self._read_followed(after, filter, with_proofs=with_proofs))
            self._pages[key] = reading

            def end(reading: asyncio.Task[EventPage]) -> None:
                del self._pages[key]
                if not reading.cancelled():
                    reading.exception()  # retrieved, should everybody have gone away

            reading.add_done_callback(end)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            if self._closed and reading.cancelled():
                raise Unavailable(Code.UNAVAILABLE, "The bus is closed.") from None
            raise

    async def _read_followed(self, after: int, filter: EventFilter, *, with_proofs: bool) -> EventPage:
        async with self._followed_slots:
            return await self.search(after, filter, FOLLOWED_EVENTS_MAX, with_proofs=with_proofs)

    async def close(self) -> None:
        """End all follows."""
        await super().close()
        pages = tuple(self._pages.values())
        for reading in pages:
            reading.cancel()
        await asyncio.gather(*pages, return_exceptions=True)
        self._pool.close()
