"""The retriever: from pending retrievals to requests to the origins.

The queue of retrievals is in the store; the follower fills it. Every origin has a lane of its own: a bounded
number of requests in flight, many entities in each, those that are due for longest first. The retriever is
woken by the follower's signal, by the end of an exchange, and by the clock when something comes due; it never
polls.

An origin is in one of two states, which are in the store and outlast a restart:

    answering    its retrievals are requested as they come due, up to `batch_max` entities in one request and
                 `retrieval_parallel_per_origin_max` requests at a time. `batch_max` doubles with every
                 response, up to `retrieval_entities_max`
    failing      an exchange failed: unreachable, too slow, too large, or a response in a wrong form. Nothing
                 is requested before `due_ms`, then one entity in one request. Each failure doubles the pause,
                 from `retrieval_backoff_min_s` to `retrieval_backoff_max_s` (to `CONTENT_PAUSE_MAX_S` when a
                 response came, but a wrong one). The first good response ends the state

So an origin that is down delays its own entities alone, and costs one small request now and then. What
concerns one entity (it is missing, its bytes are wrong) delays that entity alone, with a back-off of its own
(`hansa.replication.intake`). A request for a single entity that fails delays its entity too, so that one that
cannot be served does not block the others.

Where an origin is comes from the ledger's registry, never from an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.backoff import Retry, backoff_s
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpClient, RequestSigner
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.pubsub.bus import Bus
from hansa.replication.backlog import Backlog
from hansa.replication.exchange import OriginClient, ResponseLine
from hansa.replication.intake import Intake, TypeCheck, is_same_type, now_ms
from hansa.replication.registry import MemberRegistry
from hansa.store import Store, Transaction
from hansa.store.tables import retrievals
from hansa.store.tables.retrievals import Origin, Retrieval

CONTENT_PAUSE_MAX_S: Final = 1.0
"""Longest pause for an origin that responds, but wrongly."""
_ABOUT_CONTENT: Final = frozenset({Code.RETRIEVAL_TOO_LARGE, Code.RETRIEVAL_ANSWER_INVALID})

log = structlog.get_logger()


class RetrieverCounters(msgspec.Struct, frozen=True):
    """What a retriever has done since it started."""

    exchanges: int = 0
    exchanges_failed: int = 0
    entities_stored: int = 0
    entities_rejected: int = 0
    bytes_stored: int = 0


class _OriginLane:
    """The requests in flight to one origin."""

    def __init__(self, batch_max: int) -> None:
        self.batch_max = batch_max
        """Entities in the next request, at most."""
        self.requests = 0
        """Requests in flight."""
        self.keys: set[str] = set()
        """Ledger keys of the entities in them."""

    def begin(self, batch: Sequence[Retrieval]) -> None:
        """Count a request as in flight."""
        assert self.keys.isdisjoint(retrieval.key for retrieval in batch), (
            "an entity is requested once at a time"
        )
        self.requests += 1
        self.keys.update(retrieval.key for retrieval in batch)

    def end(self, batch: Sequence[Retrieval]) -> None:
        """Count a request as finished."""
        assert self.requests > 0, "it was in flight"
        assert self.keys.issuperset(retrieval.key for retrieval in batch), "with these entities"
        self.requests -= 1
        self.keys.difference_update(retrieval.key for retrieval in batch)


class Retriever:
    """Retrieves the entities that the follower queued. One per store.

    Args:
        store: Has the queue, and takes the replicas.
        bus: Has the members' claims.
        registry: Has their endpoints.
        http: To the origins.
        signer: Proves to an origin which member asks.
        did: This member.
        backlog: Shared with the follower.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrieval_…`, `entity_size_max_bytes`, `evidence_rows_max`.
        is_of: Whether an entity of a type belongs to a collection.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        registry: MemberRegistry,
        http: HttpClient,
        signer: RequestSigner,
        did: str,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        is_of: TypeCheck = is_same_type,
    ) -> None:
        self._store = store
        self._backlog = backlog
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._registry = registry
        self._client = OriginClient(http, signer, limits)
        self._intake = Intake(store, bus, self._registry, did, clock, entropy, limits, is_of)
        self._lanes: dict[str, _OriginLane] = {}
        self._exchanges = 0
        self._exchanges_failed = 0
        backoff_max_s = limits.retrieval_backoff_max_s
        self._retry = Retry("retriever", clock, entropy, limits.retrieval_backoff_min_s, backoff_max_s)

    @property
    def counters(self) -> RetrieverCounters:
        """What has been done since the start."""
        intake = self._intake.counters
        return RetrieverCounters(
            self._exchanges,
            self._exchanges_failed,
            intake.entities_stored,
            intake.entities_rejected,
            intake.bytes_stored,
        )

    async def run(self) -> None:
        """Retrieve until cancelled. After it ended, for whatever reason, it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._lanes.clear()
        await self._retry(self._bound_pauses)
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._backlog.added.count
                pause_s = await self._start_requests(tasks)
                if pause_s is not None and pause_s > self._limits.retrieval_backoff_max_s + 1:
                    await self._retry(self._bound_pauses)
                    continue
                await self._backlog.added.wait(seen, pause_s)

    async def _bound_pauses(self) -> None:
        """Shorten pauses that are longer than any may be, as after the clock was set back by hours."""
        latest_ms = now_ms(self._clock) + int(self._limits.retrieval_backoff_max_s * 1000)
        async with self._store.transaction() as tx:
            await retrievals.bound_pauses(tx, latest_ms)

    # -- scheduling -------------------------------------------------------------------------------------------

    async def _start_requests(self, tasks: asyncio.TaskGroup) -> float | None:
        """Request what is due, as far as the lanes have room.

        Returns:
            Seconds until something else comes due; None when nothing will by itself.
        """
        now = now_ms(self._clock)
        next_ms: list[int] = []
        for origin in await retrievals.origins(self._store):
            if origin.pending == 0:
                continue
            lane = self._lanes.setdefault(origin.did, _OriginLane(self._limits.retrieval_entities_max))
            if origin.attempts > 0 and origin.due_ms > now:
                next_ms.append(origin.due_ms)
                continue
            requests_max = 1 if origin.attempts > 0 else self._limits.retrieval_parallel_per_origin_max
            if origin.attempts > 0:
                lane.batch_max = 1
            while lane.requests < requests_max:
                batch = await self._next_batch(origin, lane, now)
                if not batch:
                    due_ms = await retrievals.next_due_ms(self._store, origin, now)
                    next_ms += [due_ms] if due_ms is not None else []
                    break
                lane.begin(batch)
                tasks.create_task(self._process_batch(origin, lane, batch))
        return max(0.001, (min(next_ms) - now) / 1000) if next_ms else None

    async def _next_batch(self, origin: Origin, lane: _OriginLane, now: int) -> list[Retrieval]:
        due = await retrievals.due(self._store, origin, now, lane.batch_max + len(lane.keys))
        return [retrieval for retrieval in due if retrieval.key not in lane.keys][: lane.batch_max]

    async def _process_batch(self, origin: Origin, lane: _OriginLane, batch: Sequence[Retrieval]) -> None:
        """Request a batch, and store what follows from the response or its absence."""
        assert 0 < len(batch) <= self._limits.retrieval_entities_max, (
            "a request names an entity, and not too many"
        )
        self._exchanges += 1
        try:
            lines = await self._exchange(origin, batch)
        except (Refused, Unavailable) as error:
            self._exchanges_failed += 1
            lane.batch_max = 1
            await self._retry(partial(self._record_failure, origin, batch, error))
        else:
            lane.batch_max = min(2 * lane.batch_max, self._limits.retrieval_entities_max)
            if origin.attempts > 0:
                await self._retry(partial(self._record_recovery, origin))
            await self._intake.process(origin.did, batch, lines)
        lane.end(batch)
        self._backlog.added.notify()
        self._backlog.removed.notify()

    async def _exchange(self, origin: Origin, batch: Sequence[Retrieval]) -> tuple[ResponseLine, ...]:
        member = await self._registry.member(origin.did)
        if member is None:
            raise Refused(Code.HOST_NOT_ALLOWED, f"The league does not know {origin.did}.")
        return await self._client.fetch(member, batch)

    # -- the state of an origin -------------------------------------------------------------------------------

    async def _record_recovery(self, origin: Origin) -> None:
        async with self._store.transaction() as tx:
            await retrievals.origin_answered(tx, origin.did)
        log.info("origin_recovered", issuer=origin.did, failing_since=origin.failing_since)

    async def _record_failure(self, origin: Origin, batch: Sequence[Retrieval], error: HansaError) -> None:
        limits, attempts = self._limits, origin.attempts + 1
        is_about_content = error.code in _ABOUT_CONTENT
        max_s = CONTENT_PAUSE_MAX_S if is_about_content else limits.retrieval_backoff_max_s
        pause_s = backoff_s(attempts, limits.retrieval_backoff_min_s, max_s, self._entropy)
        if isinstance(error, Unavailable):
            pause_s = max(pause_s, min(error.retry_after_s, max_s))
        due_ms = now_ms(self._clock) + int(pause_s * 1000)
        async with self._store.transaction() as tx:
            await retrievals.origin_failed(tx, origin.did, attempts, due_ms, str(error.code))
            if is_about_content:
                await retrievals.record_evidence(
                    tx, origin.did, str(error.code), error.message, limits.evidence_rows_max
                )
            if len(batch) == 1 and error.code is not Code.RETRIEVAL_UNREACHABLE:
                await self._postpone_single(tx, batch[0], error)
        log.info(
            "exchange_failed",
            issuer=origin.did,
            code=str(error.code),
            attempts=attempts,
            pause_s=round(pause_s, 3),
        )

    async def _postpone_single(self, tx: Transaction, retrieval: Retrieval, error: HansaError) -> None:
        """Let the others go first: the one entity of a request that failed may be the reason."""
        attempts = retrieval.attempts + 1
        if error.code in _ABOUT_CONTENT and attempts >= self._limits.retrieval_attempts_max:
            await retrievals.settle(tx, retrieval)
            return
        await retrievals.postpone(tx, retrieval, self._intake.due_ms(attempts), str(error.code))
