"""The retriever: gets what is wanted from its origins.

Every origin is served by itself: a bounded number of requests at a time, many entities in each, oldest first. It is
woken by the follower, and by the clock when something comes due; it never polls.

An origin is in one of two states:

    answering    its retrievals go out as they come due, in requests of up to `batch_max` entities. That doubles with
                 every answer that comes, up to `retrieval_entities_max`
    failing      an exchange failed: unreachable, too slow, too large, or not an answer at all. Nothing is asked before
                 `due_ms`, then one entity in one request; each failure doubles the pause. The first answer ends it

An origin that is down so delays its own entities and costs one small request now and then. What concerns one entity
(it is missing, its bytes are wrong) delays that one alone, with a back-off of its own. A single request that fails
over its content delays its entity too, so that one that cannot be answered does not stand in the way of the others.

Both states are in the store and outlast a restart. Where an origin is comes from the ledger's registry, never from
an event.
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
from hansa.replication.exchange import AnswerLine, OriginClient
from hansa.replication.intake import Intake, TypeCheck, is_of_that_name, now_ms
from hansa.replication.registry import MemberRegistry
from hansa.store import Store, Transaction
from hansa.store.tables import retrievals
from hansa.store.tables.retrievals import Origin, Retrieval

CONTENT_PAUSE_MAX_S: Final = 1.0
"""Longest pause for an origin that answers, but wrongly."""
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
    """What is going on with one origin."""

    def __init__(self, batch_max: int) -> None:
        self.batch_max = batch_max
        self.requests = 0
        self.keys: set[str] = set()
        """Entities in requests that are under way."""


class Retriever:
    """Retrieves what the follower has noted. One per store.

    Args:
        store: What is wanted, and where replicas go.
        bus: Who claimed what first.
        registry: Where origins are.
        http: To the origins.
        signer: Says who is asking.
        did: This member.
        backlog: Shared with the follower.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrieval_…`, `entity_size_max_bytes`, `evidence_rows_max`.
        is_of: Tells whether what an entity calls itself belongs to the collection that its event names.
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
        is_of: TypeCheck = is_of_that_name,
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
        self._insist = Retry("retriever", clock, entropy, limits.retrieval_backoff_min_s, backoff_max_s)

    @property
    def counters(self) -> RetrieverCounters:
        """What has been done since the start."""
        taken = self._intake.counters
        return RetrieverCounters(
            self._exchanges,
            self._exchanges_failed,
            taken.entities_stored,
            taken.entities_rejected,
            taken.bytes_stored,
        )

    async def run(self) -> None:
        """Retrieve until cancelled. After it ended, for whatever reason, it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._lanes.clear()
        await self._insist(self._bound_pauses)
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._backlog.grew.count
                pause_s = await self._start_requests(tasks)
                if pause_s is not None and pause_s > self._limits.retrieval_backoff_max_s + 1:
                    await self._insist(self._bound_pauses)
                    continue
                await self._backlog.grew.wait(seen, pause_s)

    async def _bound_pauses(self) -> None:
        """A clock that was set back must not leave pauses of hours behind."""
        latest_ms = now_ms(self._clock) + int(self._limits.retrieval_backoff_max_s * 1000)
        async with self._store.transaction() as tx:
            await retrievals.bound_pauses(tx, latest_ms)

    # -- scheduling -------------------------------------------------------------------------------------------

    async def _start_requests(self, tasks: asyncio.TaskGroup) -> float | None:
        """Send what is due to whoever is free; seconds until something else comes due, None when nothing will."""
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
                lane.requests += 1
                lane.keys.update(retrieval.key for retrieval in batch)
                tasks.create_task(self._carry(origin, lane, batch))
        return max(0.001, (min(next_ms) - now) / 1000) if next_ms else None

    async def _next_batch(self, origin: Origin, lane: _OriginLane, now: int) -> list[Retrieval]:
        due = await retrievals.due(self._store, origin, now, lane.batch_max + len(lane.keys))
        return [retrieval for retrieval in due if retrieval.key not in lane.keys][: lane.batch_max]

    async def _carry(self, origin: Origin, lane: _OriginLane, batch: Sequence[Retrieval]) -> None:
        """One exchange, and what follows from it."""
        self._exchanges += 1
        try:
            lines = await self._exchange(origin, batch)
        except (Refused, Unavailable) as error:
            self._exchanges_failed += 1
            lane.batch_max = 1
            await self._insist(partial(self._note_failure, origin, batch, error))
        else:
            lane.batch_max = min(2 * lane.batch_max, self._limits.retrieval_entities_max)
            if origin.attempts > 0:
                await self._insist(partial(self._note_answer, origin))
            await self._intake.take(origin.did, batch, lines)
        lane.requests -= 1
        lane.keys.difference_update(retrieval.key for retrieval in batch)
        self._backlog.grew.notify()
        self._backlog.shrank.notify()

    async def _exchange(self, origin: Origin, batch: Sequence[Retrieval]) -> tuple[AnswerLine, ...]:
        member = await self._registry.member(origin.did)
        if member is None:
            raise Refused(Code.HOST_NOT_ALLOWED, f"The league does not know {origin.did}.")
        return await self._client.fetch(member, batch)

    # -- what is remembered of an exchange --------------------------------------------------------------------

    async def _note_answer(self, origin: Origin) -> None:
        async with self._store.transaction() as tx:
            await retrievals.origin_answered(tx, origin.did)
        log.info("an origin answers again", issuer=origin.did, failing_since=origin.failing_since)

    async def _note_failure(self, origin: Origin, batch: Sequence[Retrieval], error: HansaError) -> None:
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
                await self._delay_alone(tx, batch[0], error)
        log.info(
            "an origin does not answer",
            issuer=origin.did,
            code=str(error.code),
            attempts=attempts,
            pause_s=round(pause_s, 3),
        )

    async def _delay_alone(self, tx: Transaction, retrieval: Retrieval, error: HansaError) -> None:
        """An entity that stood alone in a request that failed may be the reason: the others go first."""
        attempts = retrieval.attempts + 1
        if error.code in _ABOUT_CONTENT and attempts >= self._limits.retrieval_attempts_max:
            await retrievals.settle(tx, retrieval)
            return
        await retrievals.postpone(tx, retrieval, self._intake.due_ms(attempts), str(error.code))
