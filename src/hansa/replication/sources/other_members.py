"""Versions that their origins do not serve, requested of every other member.

The hash of the event decides, so a version is as good from one member as from another. It is requested of
the others when its origin fails `FAILING_ATTEMPTS` times in a row, or has failed as often for this version
alone, as an origin that lost its store. Each origin has a lane of its own, in one of two states:

    requesting   the next versions, `BATCH_MAX` at most, of one member after the other, the best first
                 (`hansa.replication.sources.ranking`), until all of them are here; then those after these
    pausing      all were requested once. Where nothing came the pause doubles from `PAUSE_MIN_S` up to
                 `PAUSE_MAX_S`; else it is the first one

So what nobody has costs a request to each member now and then, for each `BATCH_MAX` versions. An absence is
no fault of who reports it, and delays nothing: the origin is requested all the same
(`hansa.replication.retriever`).

Versions of a type that may not be public are requested of their origins alone: the request itself would say
who has a part in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from hansa.core.backoff import Backoff
from hansa.core.clock import epoch_ms
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.members import Member
from hansa.core.retry import Retry
from hansa.replication.exchange import ResponseLine
from hansa.replication.replicas.bounds import exceeded_bound
from hansa.replication.sources.parts import RetrievalParts
from hansa.store.tables import heads, origins
from hansa.store.tables.heads import POSITION_MAX, Retrieval
from hansa.store.tables.origins import Origin

FAILING_ATTEMPTS: Final = 2
PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 3600.0
BATCH_MAX: Final = 100
SPLIT_MIN: Final = 12
SPLIT_INTO: Final = 8
"""Into so many parts a request is split, once, whose answer is larger than this marketplace takes."""
_ATTEMPTS_MAX: Final = 2**31

log = structlog.get_logger()


class _Lane:
    """When versions of one origin are requested of others, and which come next."""

    def __init__(self, pauses: Backoff) -> None:
        self.pauses = pauses
        self.due_s = 0.0
        """By the monotonic clock."""
        self.after = 0
        """Position after which the next versions are."""
        self.is_busy = False
        self.received = 0
        """Versions that came since the last pause."""

    def end(self, now_s: float, received: int, batch: Sequence[Retrieval], batch_max: int) -> None:
        """A batch was requested, and so many of its versions came."""
        assert self.is_busy, "it was begun"
        self.is_busy = False
        self.received += received
        if len(batch) == batch_max:
            self.after = batch[-1].position
            return
        if self.received:
            self.pauses.reset()
        self.after, self.received = 0, 0
        self.due_s = now_s + self.pauses.next_s()


class OtherMembers:
    """Requests versions of members that are not their origins.

    Args:
        parts: By which it requests, verifies and stores.
    """

    def __init__(self, parts: RetrievalParts) -> None:
        self._parts = parts
        self._batch_max = min(BATCH_MAX, parts.limits.retrieval_entities_max)
        self._lanes: dict[str, _Lane] = {}
        self._retry = Retry("other members", parts.clock, parts.entropy, PAUSE_MIN_S, PAUSE_MAX_S)

    async def run(self) -> None:
        """Request what origins do not serve, until cancelled. After it ended it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._lanes.clear()
        await self._retry(self._parts.honesty.remember)
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._parts.backlog.added.count
                pause_s = await self._retry(partial(self._start, tasks))
                await self._parts.backlog.added.wait(seen, pause_s)

    def others(self, origin: str) -> dict[str, Member]:
        """The members that may have versions of an origin, by DID."""
        return {one.did: one for one in self._parts.registry.others(origin, self._parts.did)}

    async def _start(self, tasks: asyncio.TaskGroup) -> float | None:
        """Begin what is due; seconds until something else is, None when nothing will be by itself."""
        pauses_s: list[float] = []
        known = await origins.origins(self._parts.store)
        self._parts.ranking.set_paused(origins.paused_among(known))
        for origin in known:
            is_served = not self._is_failing(origin) and origin.failed == 0
            if is_served or origin.paused_since is not None:
                self._lanes.pop(origin.did, None)
                continue
            if (
                origin.pending == 0
                or exceeded_bound(origin, epoch_ms(self._parts.clock), self._parts.limits) is not None
            ):
                continue
            lane = self._lanes.get(origin.did)
            if lane is None:
                lane = self._lanes[origin.did] = _Lane(Backoff(PAUSE_MIN_S, PAUSE_MAX_S, self._parts.entropy))
            if lane.is_busy:
                continue
            pause_s = lane.due_s - self._parts.clock.monotonic()
            if pause_s > 0:
                pauses_s.append(pause_s)
                continue
            lane.is_busy = True
            tasks.create_task(self._request(origin, lane))
        return min(pauses_s, default=None)

    @staticmethod
    def _is_failing(origin: Origin) -> bool:
        return origin.attempts >= FAILING_ATTEMPTS

    async def _request(self, origin: Origin, lane: _Lane) -> None:
        """Request the next versions of the other members, one after the other, until all of them are here."""
        batch = await self._retry(partial(self._batch, origin, lane))
        missing = [one for one in batch if one.type in self._parts.types]
        members = self.others(origin.did)
        received = 0
        for did in self._parts.ranking.ready(members):
            if not missing:
                break
            held = await self._exchange(members[did], missing)
            if held:
                await self._parts.intake.process(
                    origin, tuple(held), tuple(held.values()), None, is_held=True
                )
            received += len(held)
            missing = [one for one in missing if one not in held]
        lane.end(self._parts.clock.monotonic(), received, batch, self._batch_max)
        self._parts.backlog.added.notify()

    async def _batch(self, origin: Origin, lane: _Lane) -> tuple[Retrieval, ...]:
        attempts_min = 0 if self._is_failing(origin) else FAILING_ATTEMPTS
        places = ((attempts_min, _ATTEMPTS_MAX), (lane.after, POSITION_MAX))
        return await heads.pending(self._parts.store, origin, *places, self._batch_max, "ASC")

    async def held(self, member: Member, batch: Sequence[Retrieval]) -> dict[Retrieval, ResponseLine]:
        """What a member has of some versions, by their hashes; nothing when it does not answer.

        Raises:
            Refused: `Code.RETRIEVAL_TOO_LARGE`: its answer is larger than this marketplace takes.
        """
        parts = self._parts
        started_at_s = parts.clock.monotonic()
        try:
            answer = await parts.client.fetch(member, batch)
        except (Refused, Unavailable) as error:
            if error.code is Code.RETRIEVAL_TOO_LARGE:
                raise
            parts.ranking.failed(member.did)
            log.info("source_failed", source=member.did, issuer=batch[0].issuer, code=str(error.code))
            return {}
        return await parts.honesty.held(member.did, batch, answer, parts.clock.monotonic() - started_at_s)

    async def _exchange(self, member: Member, batch: Sequence[Retrieval]) -> dict[Retrieval, ResponseLine]:
        """The same of the first of them, when all are too large. Too much for a few of them is a failure."""
        try:
            return await self.held(member, batch)
        except Refused:
            if len(batch) <= SPLIT_MIN:
                self._parts.ranking.failed(member.did)
                return {}
        return await self._exchange(member, batch[: max(1, len(batch) // SPLIT_INTO)])
