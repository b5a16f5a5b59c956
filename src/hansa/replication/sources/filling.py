"""Filling a store that lacks very much: bundles of up to a thousand versions, of all members that have them.

A marketplace that has just joined, or has lost its store, soon has a head for every entity of the ledger, and
none of their bytes. While an origin has `VERSIONS_MIN` versions or more that were never requested, they are
not requested by the retriever but handed out here, the newest first:

    to the origin          as long as it answers
    to every other member  a probe of `PROBE_MAX` first, and more while it has most of what it is asked for

`BATCH_MAX` versions are one request, answered with one bundle; `PER_SOURCE_MAX` requests go to one member at
a time, and `IN_FLIGHT_MAX` to all. What a member has not goes back, for the origin. When nothing is left to
be handed out, the retriever has what remains. A filling that brought little is followed by a pause, which
doubles from `PAUSE_MIN_S` to `PAUSE_MAX_S`, and in which the retriever does its work.

What is done is in the store alone, so a filling can be interrupted at any time, and everything that is here
already is served meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.backoff import Backoff
from hansa.core.clock import epoch_ms
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.members import Member
from hansa.core.retry import Retry
from hansa.replication.announced.bundles import LINES_MAX
from hansa.replication.exchange import MemberAnswer
from hansa.replication.replicas.bounds import exceeded_bound
from hansa.replication.sources.parts import RetrievalParts
from hansa.store.tables import heads, origins
from hansa.store.tables.heads import POSITION_MAX, Retrieval
from hansa.store.tables.origins import Origin

VERSIONS_MIN: Final = 1000
BATCH_MAX: Final = LINES_MAX
PROBE_MAX: Final = 50
PER_SOURCE_MAX: Final = 2
IN_FLIGHT_MAX: Final = 4
PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 60.0
RECENT_MAX: Final = 64
RECENT_S: Final = 60.0
"""What came in this time tells how long the rest takes."""
LITTLE_SHARE: Final = 0.5
"""Of what was handed out; a filling that brought less is followed by a pause."""

log = structlog.get_logger()


class FillingProgress(msgspec.Struct, frozen=True):
    """How far a filling is."""

    pending: int
    """Versions that are still to be retrieved, of all members."""
    rate_per_s: float
    """Versions that came of late, in a second."""
    left_s: float | None
    """How long it takes at this rate; None while nothing comes."""


class _Fill:
    """The versions of one origin that are handed out."""

    def __init__(self) -> None:
        self.before = POSITION_MAX
        """Position before which the next versions are."""
        self.returned: list[Retrieval] = []
        """What another member had not, for the origin."""
        self.probed: set[str] = set()
        self.in_flight = 0
        self.handed_out = 0
        self.received = 0


class Filling:
    """Fills the store.

    Args:
        parts: By which it requests, verifies and stores.
    """

    def __init__(self, parts: RetrievalParts) -> None:
        self._parts = parts
        self._fills: dict[str, _Fill] = {}
        self._pauses: dict[str, tuple[Backoff, float]] = {}
        """By origin, with when the next filling may begin, by the monotonic clock."""
        self._in_flight: dict[str, int] = {}
        """Requests by member."""
        self._recent: deque[tuple[float, int]] = deque(maxlen=RECENT_MAX)
        """When answers came of late, by the monotonic clock, and with how many versions."""
        self._retry = Retry("filling", parts.clock, parts.entropy, PAUSE_MIN_S, PAUSE_MAX_S)

    def is_filling(self, did: str) -> bool:
        """Whether the versions of an origin are handed out here."""
        return did in self._fills

    def progress(self, pending: int) -> FillingProgress | None:
        """How far it is, while so many versions are pending; None when nothing is filled."""
        if not self._fills:
            return None
        now_s = self._parts.clock.monotonic()
        recent = [(at_s, count) for at_s, count in self._recent if now_s - at_s <= RECENT_S]
        passed_s = now_s - recent[0][0] if recent else 0.0
        received = sum(count for _, count in recent)
        rate_per_s = received / passed_s if passed_s > 0 else 0.0
        left_s = round(pending / rate_per_s, 1) if rate_per_s > 0 else None
        return FillingProgress(pending, round(rate_per_s, 1), left_s)

    async def run(self) -> None:
        """Fill whenever much is missing, until cancelled. After it ended it may be called again.

        Raises:
            Fatal: The store is damaged.
        """
        self._fills.clear()
        self._in_flight.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                seen = self._parts.backlog.added.count
                pause_s = await self._retry(partial(self._start, tasks))
                await self._parts.backlog.added.wait(seen, pause_s)

    async def _start(self, tasks: asyncio.TaskGroup) -> float | None:
        """Hand out what there is; seconds until something else can be, None when nothing will by itself."""
        pauses_s: list[float] = []
        known = await origins.origins(self._parts.store)
        self._parts.ranking.set_paused(origins.paused_among(known))
        for origin in known:
            if origin.paused_since is not None:
                continue
            fill = self._fills.get(origin.did)
            if fill is None:
                if origin.pending - origin.failed < VERSIONS_MIN or self._is_bounded(origin):
                    continue
                _, due_s = self._pauses.get(origin.did, (None, 0.0))
                if due_s > self._parts.clock.monotonic():
                    pauses_s.append(due_s - self._parts.clock.monotonic())
                    continue
                if not self._fills:
                    self._recent.clear()
                    self._recent.append((self._parts.clock.monotonic(), 0))
                fill = self._fills[origin.did] = _Fill()
                log.info("filling_started", issuer=origin.did, pending=origin.pending)
            await self._hand_out(tasks, origin, fill)
        return min(pauses_s, default=None)

    def _is_bounded(self, origin: Origin) -> bool:
        return exceeded_bound(origin, epoch_ms(self._parts.clock), self._parts.limits) is not None

    async def _hand_out(self, tasks: asyncio.TaskGroup, origin: Origin, fill: _Fill) -> None:
        """Request versions of an origin, as many as there is room for; the end of the filling without any."""
        for source in () if self._is_bounded(origin) else self._sources(origin):
            while self._has_room(source.did):
                batch = await self._batch(origin, fill, source)
                if not batch:
                    break
                fill.in_flight += 1
                fill.handed_out += len(batch)
                self._in_flight[source.did] = self._in_flight.get(source.did, 0) + 1
                tasks.create_task(self._request(origin, fill, source, batch))
                if source.did != origin.did and not self._parts.ranking.is_rich(source.did):
                    break
        if fill.in_flight == 0:
            self._end(origin, fill)

    def _sources(self, origin: Origin) -> list[Member]:
        """Who may have versions of an origin, and may be requested now: the origin, then the best ones."""
        members = {one.did: one for one in self._parts.registry.others(self._parts.did)}
        ready = self._parts.ranking.ready(members)
        first = [origin.did] if origin.did in ready and origin.attempts == 0 else []
        return [members[did] for did in (*first, *(did for did in ready if did != origin.did))]

    def _has_room(self, did: str) -> bool:
        own = self._in_flight.get(did, 0)
        return own < PER_SOURCE_MAX and sum(self._in_flight.values()) < IN_FLIGHT_MAX

    async def _batch(self, origin: Origin, fill: _Fill, source: Member) -> list[Retrieval]:
        """What to request of a member next."""
        if source.did == origin.did and fill.returned:
            batch, fill.returned = fill.returned[:BATCH_MAX], fill.returned[BATCH_MAX:]
            return batch
        is_rich = source.did == origin.did or self._parts.ranking.is_rich(source.did)
        if not is_rich and source.did in fill.probed:
            return []
        fill.probed.add(source.did)
        size = BATCH_MAX if is_rich else PROBE_MAX
        places = (0, 0), (0, fill.before)
        batch = list(await heads.pending(self._parts.store, origin, *places, size, "DESC"))
        if batch:
            fill.before = batch[-1].position
        if source.did == origin.did:
            return batch
        fill.returned += [one for one in batch if one.type not in self._parts.types]
        return [one for one in batch if one.type in self._parts.types]

    async def _request(self, origin: Origin, fill: _Fill, source: Member, batch: Sequence[Retrieval]) -> None:
        """Request a batch of a member, and store what it has of it."""
        started_at_s = self._parts.clock.monotonic()
        received = 0
        try:
            answer = await self._parts.client.fetch_bundle(source, batch)
        except (Refused, Unavailable) as error:
            if error.code is not Code.RETRIEVAL_TOO_LARGE:
                self._parts.ranking.failed(source.did)
            if source.did != origin.did:
                fill.returned += batch
            log.info("bundle_not_received", source=source.did, issuer=origin.did, code=str(error.code))
        else:
            latency_s = self._parts.clock.monotonic() - started_at_s
            received = await self._store_answer(origin, fill, source, batch, answer, latency_s)
        fill.in_flight -= 1
        self._in_flight[source.did] -= 1
        assert fill.in_flight >= 0, "this request was in flight"
        fill.received += received
        self._recent.append((self._parts.clock.monotonic(), received))
        self._parts.backlog.added.notify()

    async def _store_answer(
        self,
        origin: Origin,
        fill: _Fill,
        source: Member,
        batch: Sequence[Retrieval],
        answer: MemberAnswer,
        latency_s: float,
    ) -> int:
        """Store what a member sent; how many versions that was."""
        if source.did == origin.did:
            received = sum(line.status == "found" for line in answer.lines)
            self._parts.ranking.answered(source.did, latency_s, len(batch), received)
            wrong = await self._parts.intake.process(origin, batch, answer.lines, answer.proof)
            if wrong:
                self._parts.ranking.sent_wrong(source.did, wrong)
        else:
            held = await self._parts.honesty.held(source.did, batch, answer, latency_s)
            received = len(held)
            if held:
                await self._parts.intake.process(
                    origin, tuple(held), tuple(held.values()), None, is_held=True
                )
            fill.returned += [one for one in batch if one not in held]
        return received

    def _end(self, origin: Origin, fill: _Fill) -> None:
        """Nothing is left that can be handed out."""
        del self._fills[origin.did]
        pauses, _ = self._pauses.get(origin.did) or (
            Backoff(PAUSE_MIN_S, PAUSE_MAX_S, self._parts.entropy),
            0.0,
        )
        if fill.received > LITTLE_SHARE * fill.handed_out:
            pauses.reset()
        self._pauses[origin.did] = (pauses, self._parts.clock.monotonic() + pauses.next_s())
        log.info("filling_ended", issuer=origin.did, requested=fill.handed_out, received=fill.received)
        self._parts.backlog.added.notify()
