"""The retriever: from pending retrievals to requests to the origins.

The queue of retrievals is in the store; the follower fills it. Every origin has a lane of its own: a bounded
number of requests in flight, many entities in each, those that are due for longest first. The retriever is
woken by the follower's signal, by the end of an exchange, and by the clock when something comes due; it never
polls.

An origin is in one of two states, which are in the store and outlast a restart:

    answering    its retrievals are requested as they come due, up to `batch_max` entities in one request and
                 `retrieval_parallel_per_origin_max` requests at a time. `batch_max` doubles with every
                 response, up to `retrieval_entities_max`
    failing      an exchange failed: unreachable, too slow, too large, another status than 200, or a response
                 in another form, as the page of a proxy. Nothing is requested before `due_ms`, then one
                 entity in one request. Each failure doubles the pause, from `retrieval_backoff_min_s` to
                 `retrieval_backoff_max_s`, or to a twentieth of the time since it fails when that is longer,
                 up to `retrieval_backoff_limit_s`. The first good response ends the state

So an origin that is down delays its own entities alone, and costs one small request now and then; and no
version is ever given up for what an origin, or something on the way to it, answers. What concerns one entity
(it is missing, its bytes are wrong) delays that entity alone, with a back-off of its own
(`hansa.replication.intake`).

One entity that cannot be served must not block the others, though its failure is that of a whole exchange. So
a request for a single entity that fails delays its entity too: until the origin is tried next, when that has
failed `FAILING_ATTEMPTS` times in a row, or with a back-off of its own. And while an origin responds, though
wrongly, entities that were never requested are tried once each, `UNTRIED_PAUSE_S` apart.

Of an origin that the operator has paused nothing is requested: what it announces waits, and is requested when
it is resumed.

What was rejected is requested once more when another release, or other models, judge it.

An exchange that was not begun, because this marketplace does not know where the origin is (its own engine is
starting, say), is no failure of the origin: it is begun again after `RETRY_S`.

An origin over one of its bounds (`hansa.replication.replicas.bounds`) has its retrievals deferred as they
come due, and released as soon as there is room.

Where an origin is comes from the ledger's registry, never from an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.backoff import backoff_s
from hansa.core.clock import Clock, epoch_ms, read_rfc3339
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.retry import Retry
from hansa.replication.backlog import Backlog
from hansa.replication.intake import Intake
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.bounds import exceeded_bound, reason_of
from hansa.replication.sources.assembly import EntitySources
from hansa.store import Store, Transaction
from hansa.store.tables import facts, heads, origins
from hansa.store.tables.heads import Retrieval
from hansa.store.tables.origins import Origin

UNTRIED_PAUSE_S: Final = 1.0
"""Pause before an entity that was never requested is tried at an origin that responds, but wrongly."""
FAILING_ATTEMPTS: Final = 3
"""After so many failures in a row it is the origin that fails, not one of its entities."""
RETRY_S: Final = 1.0
"""Pause after an exchange that was not begun, and before deferred retrievals are looked at again."""
FAILED_SHARE: Final = 0.05
"""Longest pause as a share of the time since an origin fails."""
DEFERRED_RETRY_S: Final = 60.0
"""Pause before the bounds of an origin with deferred retrievals are looked at again."""
ALIVE_PAUSE_S: Final = 10.0
"""Between two signs of life of a failing origin that count."""
REJECTED_MAX: Final = 500
"""Rejected retrievals that are attempted again in one transaction."""
RELEASED_MAX: Final = 500
"""Deferred retrievals that are released at a time."""
_OF_EXCHANGES: Final = (str(Code.RETRIEVAL_TIMEOUT), str(Code.RETRIEVAL_ANSWER_INVALID))
"""Failures of a whole exchange that delay an entity, too."""
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
        self.batch_limit = batch_max
        """What that may grow to: less, while responses are larger than this marketplace takes."""
        self.requests = 0
        """Requests in flight."""
        self.keys: set[str] = set()
        """Ledger keys of the entities in them."""
        self.untried_at_ms = 0
        """When an entity that was never requested may be tried though the origin is failing."""
        self.retry_at_ms = 0
        """When an exchange that was not begun may be begun again."""

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
        registry: Has the origins' endpoints.
        sources: Request versions, and verify what was sent.
        backlog: Shared with the follower.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrieval_…`, `origin_…`.
        rule: Names the release and the models by which replicas are judged.
    """

    def __init__(
        self,
        store: Store,
        registry: MemberRegistry,
        sources: EntitySources,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        rule: str = "",
    ) -> None:
        self._rule = rule
        self._store = store
        self._backlog = backlog
        self._clock = clock
        self._entropy = entropy
        self._limits = limits
        self._registry = registry
        self.sources: Final = sources
        self._intake = sources.intake
        self._lanes: dict[str, _OriginLane] = {}
        self._failing: dict[str, float] = {}
        """Origins that fail, with when a sign of life of theirs counts, by the monotonic clock."""
        self._alive: set[str] = set()
        """Failing origins that gave a sign of life, and were not requested since."""
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

    @property
    def intake(self) -> Intake:
        """What verifies what was retrieved."""
        return self._intake

    def is_alive(self, did: str) -> None:
        """A member gave a sign of life: if requests to it failed, it is requested again now.

        Once in `ALIVE_PAUSE_S` at most, lest one that asks and does not answer is requested all the time.
        """
        self.sources.ranking.is_alive(did)
        if did in self._failing and self._clock.monotonic() >= self._failing[did]:
            self._failing[did] = self._clock.monotonic() + ALIVE_PAUSE_S
            self._alive.add(did)
            self._backlog.added.notify()

    async def run(self) -> None:
        """Retrieve until cancelled. After it ended, for whatever reason, it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._lanes.clear()
        await self._retry(self._bound_pauses)
        while await self._retry(self._retry_rejected):
            pass
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._backlog.added.count
                pause_s = await self._start_requests(tasks)
                if pause_s is not None and pause_s > self._limits.retrieval_backoff_limit_s + 1:
                    await self._retry(self._bound_pauses)
                    continue
                await self._backlog.added.wait(seen, pause_s)

    async def _retry_rejected(self) -> bool:
        """Request some rejected entities again when another rule has rejected them; False: all were."""
        judged_by = await facts.value(self._store, "intake_rule")
        if judged_by == self._rule:
            return False
        async with self._store.transaction() as tx:
            if judged_by is not None and await heads.retry(tx, ("rejected",), REJECTED_MAX):
                return True
            await facts.record(tx, "intake_rule", self._rule)
        return False

    async def _bound_pauses(self) -> None:
        """Shorten pauses that are longer than any may be, as after the clock was set back by hours."""
        now, limits = epoch_ms(self._clock), self._limits
        origin_latest_ms = now + int(limits.retrieval_backoff_max_s * 1000)
        latest_ms = now + int(limits.retrieval_backoff_limit_s * 1000)
        for lane in self._lanes.values():
            lane.retry_at_ms = min(lane.retry_at_ms, origin_latest_ms)
            lane.untried_at_ms = min(lane.untried_at_ms, origin_latest_ms)
        async with self._store.transaction() as tx:
            await origins.bound_pauses(tx, origin_latest_ms)
            await heads.bound_pauses(tx, latest_ms)

    # -- scheduling -------------------------------------------------------------------------------------------

    async def _start_requests(self, tasks: asyncio.TaskGroup) -> float | None:
        """Request what is due, as far as the lanes have room.

        Returns:
            Seconds until something else comes due; None when nothing will by itself.
        """
        now = epoch_ms(self._clock)
        next_ms: list[int] = []
        known = await origins.origins(self._store)
        self.sources.ranking.set_paused(origins.paused_among(known))
        for origin in known:
            if origin.attempts == 0:
                self._failing.pop(origin.did, None)
            elif origin.did not in self._failing:
                self._failing[origin.did] = 0.0
            is_elsewhere = self.sources.filling.is_filling(origin.did)
            has_nothing = origin.pending == 0 and origin.deferred == 0
            if has_nothing or is_elsewhere or origin.paused_since is not None:
                continue
            lane = self._lanes.setdefault(origin.did, _OriginLane(self._limits.retrieval_entities_max))
            if lane.retry_at_ms > now:
                next_ms.append(lane.retry_at_ms)
                continue
            next_ms += await self._start_of_origin(tasks, origin, lane, now)
        return max(0.001, (min(next_ms) - now) / 1000) if next_ms else None

    async def _start_of_origin(
        self, tasks: asyncio.TaskGroup, origin: Origin, lane: _OriginLane, now: int
    ) -> list[int]:
        """Request what of one origin is due; when to look again, if that is known."""
        next_ms: list[int] = []
        is_failing = origin.attempts > 0
        if origin.deferred and exceeded_bound(origin, now, self._limits) is None:
            await self._retry(partial(self._release_deferred, origin))
        elif origin.deferred:
            next_ms.append(now + int(DEFERRED_RETRY_S * 1000))
        is_alive = await self._is_alive(origin, now)
        untried_only = is_failing and origin.due_ms > now and not is_alive
        if untried_only:
            next_ms.append(origin.due_ms)
            if origin.problem not in _ABOUT_CONTENT:
                return next_ms
            if lane.untried_at_ms > now:
                return [*next_ms, lane.untried_at_ms]
        requests_max = 1 if is_failing else self._limits.retrieval_parallel_per_origin_max
        if is_failing:
            lane.batch_max = 1
        while lane.requests < requests_max:
            batch = await self._next_batch(origin, lane, now, untried_only=untried_only)
            if batch is None:
                continue
            if not batch:
                due_ms = await heads.next_due_ms(self._store, origin, now)
                next_ms += [due_ms] if due_ms is not None and not untried_only else []
                break
            lane.begin(batch)
            tasks.create_task(self._process_batch(origin, lane, batch))
        return next_ms

    async def _is_alive(self, origin: Origin, now: int) -> bool:
        """Whether a failing origin gave a sign of life; then what waited for it is due."""
        if origin.did not in self._alive:
            return False
        self._alive.discard(origin.did)
        await self._retry(partial(self._bring_forward, origin, now))
        return True

    async def _bring_forward(self, origin: Origin, now: int) -> None:
        async with self._store.transaction() as tx:
            await origins.attempt(tx, origin.did)
            await heads.bring_forward(tx, origin.did, _OF_EXCHANGES, now, now, RELEASED_MAX)

    async def _next_batch(
        self, origin: Origin, lane: _OriginLane, now: int, *, untried_only: bool
    ) -> list[Retrieval] | None:
        """What to request next; None when all that was due has been deferred, and more may be due."""
        count_max = lane.batch_max + len(lane.keys)
        due = await heads.due(self._store, origin, now, count_max, untried_only=untried_only)
        batch = [retrieval for retrieval in due if retrieval.key not in lane.keys][: lane.batch_max]
        bound = exceeded_bound(origin, now, self._limits) if batch else None
        if bound is None:
            return batch
        keys = [retrieval.key for retrieval in batch]
        known = await heads.known_keys(self._store, origin.did, keys) if bound == "entities" else ()
        deferred = [retrieval for retrieval in batch if retrieval.key not in known]
        await self._retry(partial(self._defer, deferred, reason_of(bound)))
        return [retrieval for retrieval in batch if retrieval.key in known] or None

    async def _defer(self, deferred: Sequence[Retrieval], reason: str) -> None:
        async with self._store.transaction() as tx:
            for retrieval in deferred:
                code = str(Code.ORIGIN_BOUND_REACHED)
                await heads.conclude(tx, retrieval, "deferred", code, reason)

    async def _release_deferred(self, origin: Origin) -> None:
        room = max(1, self._limits.origin_entities_max - origin.stored)
        async with self._store.transaction() as tx:
            await heads.release_deferred(tx, origin, min(room, RELEASED_MAX))

    async def _process_batch(self, origin: Origin, lane: _OriginLane, batch: Sequence[Retrieval]) -> None:
        """Request a batch, and store what follows from the response or its absence."""
        assert 0 < len(batch) <= self._limits.retrieval_entities_max, (
            "a request names an entity, and not too many"
        )
        member = await self._member(origin.did)
        if member is None:
            lane.retry_at_ms = epoch_ms(self._clock) + int(RETRY_S * 1000)
        else:
            await self._exchange(origin, member, lane, batch)
        lane.end(batch)
        self._backlog.added.notify()

    async def _member(self, did: str) -> Member | None:
        """An origin as the registry has it; None while this marketplace cannot say where it is."""
        try:
            return await self._registry.member(did)
        except Unavailable as error:
            known = self._registry.known_member(did)
            if known is None:
                log.info("origin_not_known_yet", issuer=did, code=str(error.code))
            return known

    async def _exchange(
        self, origin: Origin, member: Member, lane: _OriginLane, batch: Sequence[Retrieval]
    ) -> None:
        if origin.attempts == 0:
            pulled = await self.sources.bundles.held(member, batch)
            if pulled:
                await self._intake.process(origin, tuple(pulled), tuple(pulled.values()), None, is_held=True)
            batch = [one for one in batch if one not in pulled]
            if not batch:
                return
        self._exchanges += 1
        try:
            answer, is_of_origin = await self.sources.requests.fetch(member, batch)
        except (Refused, Unavailable) as error:
            if error.code is Code.RETRIEVAL_TOO_LARGE and len(batch) > 1:
                lane.batch_max = lane.batch_limit = len(batch) // 2
                return  # it is our limit: what is left of them is requested at once
            self._exchanges_failed += 1
            lane.batch_max = 1
            lane.untried_at_ms = epoch_ms(self._clock) + int(UNTRIED_PAUSE_S * 1000)
            await self._retry(partial(self._record_failure, origin, batch, error))
            return
        if not is_of_origin:  # another member was faster, and nothing is known of the origin
            await self._intake.process(origin, batch, answer.lines, None, is_held=True)
            return
        lane.batch_limit = min(lane.batch_limit + 1, self._limits.retrieval_entities_max)
        lane.batch_max = min(2 * lane.batch_max, lane.batch_limit)
        if origin.attempts > 0:
            await self._retry(partial(self._record_recovery, origin))
        wrong = await self._intake.process(origin, batch, answer.lines, answer.proof)
        if wrong:
            self.sources.ranking.sent_wrong(origin.did, wrong)

    # -- the state of an origin -------------------------------------------------------------------------------

    async def _record_recovery(self, origin: Origin) -> None:
        async with self._store.transaction() as tx:
            await origins.answered(tx, origin.did)
        log.info("origin_recovered", issuer=origin.did, failing_since=origin.failing_since)

    async def _record_failure(self, origin: Origin, batch: Sequence[Retrieval], error: HansaError) -> None:
        attempts = origin.attempts + 1
        pause_s = self._pause_s(origin, attempts)
        if isinstance(error, Unavailable):
            pause_s = max(pause_s, min(error.retry_after_s, self._limits.retrieval_backoff_max_s))
        due_ms = epoch_ms(self._clock) + int(pause_s * 1000)
        async with self._store.transaction() as tx:
            await origins.failed(tx, origin.did, attempts, due_ms, str(error.code))
            if len(batch) == 1 and error.code is not Code.RETRIEVAL_UNREACHABLE:
                await self._postpone_single(tx, batch[0], attempts, due_ms, error)
        log.info(
            "exchange_failed",
            issuer=origin.did,
            code=str(error.code),
            reason=error.message,
            attempts=attempts,
            pause_s=round(pause_s, 3),
        )

    def _pause_s(self, origin: Origin, attempts: int) -> float:
        """How long not to request anything of an origin after failures in a row, in seconds."""
        limits = self._limits
        failing_s = 0.0
        if origin.failing_since is not None:
            failing_since = read_rfc3339(origin.failing_since)
            failing_s = (self._clock.now() - failing_since).total_seconds()
        longest_s = max(limits.retrieval_backoff_max_s, FAILED_SHARE * failing_s)
        max_s = min(longest_s, limits.retrieval_backoff_limit_s)
        return backoff_s(attempts, limits.retrieval_backoff_min_s, max_s, self._entropy)

    async def _postpone_single(
        self,
        tx: Transaction,
        retrieval: Retrieval,
        origin_attempts: int,
        origin_due_ms: int,
        error: HansaError,
    ) -> None:
        """Let the others go first: the one entity of a request that failed may be the reason."""
        due_ms = origin_due_ms
        if origin_attempts < FAILING_ATTEMPTS:
            limits = self._limits
            limit_s = limits.retrieval_backoff_limit_s
            own_s = backoff_s(retrieval.attempts + 1, limits.retrieval_backoff_min_s, limit_s, self._entropy)
            due_ms = epoch_ms(self._clock) + int(own_s * 1000)
        await heads.postpone(tx, retrieval, due_ms, str(error.code), error.message)
