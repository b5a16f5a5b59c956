"""Consume conditions and the past: what was followed while other conditions held is decided about anew.

The store knows by which conditions the heads in it were decided about (`consume_rule`). When others hold, the
ledger is walked once, a part at a time, up to where the follower is:

    stored, pending or deferred    and a condition is not met now: the replica is removed, the head skipped
    skipped for a condition        and the conditions on events are met now, or it was needed by a replica
                                   before one forbade it, which does so no more: it is retrieved, and decided
                                   about by its bytes

Heads that are skipped for another reason, rejected or deleted stay as they are. The follower and the intake
decide by the new conditions already. The end of the walk is compared with the follower's cursor in one
transaction, and both decide within theirs, so that no head falls between them. The place of the walk is in
the store (`consume_walk`), so that it continues after a restart. From its first part to its last, no rule is
that of all heads. A rule that was another one meanwhile, and is what it was, is walked for as well, from the
beginning: heads were decided about by the other one.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Code
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads
from hansa.pubsub.ledger_records import CommittedEvent
from hansa.replication.auditing.outcomes import EventOutcomes
from hansa.replication.backlog import Backlog, retrieval_of
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.withholding import is_withheld, withhold
from hansa.store import Store, Transaction
from hansa.store.tables import facts, heads
from hansa.store.tables.heads import FOLLOWER_CURSOR

EVENTS_MAX: Final = 50
"""Events in a part."""
BACKOFF_MIN_S: Final = 0.1
UNDECIDED: Final = "undecided"
"""In place of a rule: some heads were decided about by one, and some by another."""

log = structlog.get_logger()


class PastWalk:
    """Decides about heads by the conditions that hold now.

    Args:
        store: Has the heads.
        bus: Has their events.
        did: This member.
        policy: Decides.
        backlog: Wakes the retriever; tells of other conditions.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrieval_backoff_max_s`.
    """

    def __init__(
        self,
        store: Store,
        bus: BusReads,
        did: str,
        policy: DistributionPolicy,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._bus = bus
        self._did = did
        self._policy = policy
        self._backlog = backlog
        self._retry = Retry("past walk", clock, entropy, BACKOFF_MIN_S, limits.retrieval_backoff_max_s)
        self._withheld = 0
        self._released = 0
        self._begun_at = self._done_at = policy.consume_changes
        """Up to which change of the rule a walk has begun, and everything was decided about."""

    async def run(self) -> None:
        """Walk whenever other conditions hold, until cancelled.

        Raises:
            Fatal: The store is damaged.
        """
        while True:
            seen = self._backlog.conditions.count
            await self.walk()
            await self._backlog.conditions.wait(seen)

    async def walk(self) -> None:
        """Decide about all heads, unless that was done by these conditions.

        Raises:
            Fatal: The store is damaged.
        """
        while not await self._retry(self._is_done):
            rule, changes = self._policy.consume_rule, self._policy.consume_changes
            name, _, place = (await facts.value(self._store, "consume_walk") or "").rpartition(" ")
            after = int(place) if name == rule and place and changes == self._begun_at else 0
            self._withheld = self._released = 0
            log.info("past_walk_started", is_continued=after > 0)
            next_after: int | None = after
            self._begun_at = changes
            while next_after is not None and self._is_rule(rule, changes):
                next_after = await self._retry(partial(self._decide_part, rule, next_after))
                self._backlog.added.notify()
                await asyncio.sleep(0)
            self._done_at = changes if next_after is None else self._done_at
            log.info("past_walk_finished", withheld=self._withheld, released=self._released)

    async def _is_done(self) -> bool:
        """Whether the heads were decided about by what holds now.

        A store that has never heard of conditions was filled without any.
        """
        rule = await facts.value(self._store, "consume_rule") or ""
        return self._is_rule(rule, self._done_at)

    def _is_rule(self, rule: str, changes: int) -> bool:
        """Whether a rule holds, and held on since a change."""
        return rule == self._policy.consume_rule and changes == self._policy.consume_changes

    async def _decide_part(self, rule: str, after: int) -> int | None:
        """Decide about the heads among some events; where the walk continues, None at its end.

        Raises:
            Unavailable: The bus does not answer.
        """
        page = await self._bus.search(after, limit=EVENTS_MAX)
        others = [one for one in page.events if one.event.issuer != self._did and not one.event.is_delete]
        claims = await self._bus.claims(tuple({one.event.entity.key for one in others})) if others else ()
        newest = {(claim.issuer, claim.key): claim.last_position for claim in claims}
        position = page.events[-1].position if page.events else after
        withheld, released, outcomes = 0, 0, EventOutcomes()
        async with self._store.transaction() as tx:
            cursor = await tx.cursor(FOLLOWER_CURSOR)
            for one in others:
                is_newest = newest.get((one.event.issuer, one.event.entity.key)) == one.position
                if is_newest and one.position <= cursor:
                    outcome = await self._decide(tx, one, outcomes)
                    withheld, released = (
                        withheld + (outcome == "withheld"),
                        released + (outcome == "released"),
                    )
            is_end = position >= cursor or not page.events
            if is_end:
                await facts.record(tx, "consume_rule", rule)
                await facts.remove(tx, "consume_walk")
            else:
                await facts.record(tx, "consume_rule", UNDECIDED)
                await facts.record(tx, "consume_walk", f"{rule} {position}")
            await outcomes.append(tx)
        self._withheld += withheld
        self._released += released
        return None if is_end else position

    async def _decide(
        self, tx: Transaction, committed: CommittedEvent, outcomes: EventOutcomes
    ) -> str | None:
        event, version = committed.event, retrieval_of(committed)
        head = await heads.of_key(tx, event.issuer, event.entity.key)
        if head is None or head.position != committed.position:
            return None
        unmet = self._policy.wants(event)
        if head.state == "skipped":
            is_withheld_still = await is_withheld(tx, unmet, event.issuer, event.entity.key)
            if head.problem != Code.CONDITION_UNMET or is_withheld_still:
                return None
            await heads.forget(tx, event.issuer, event.entity.key)
            await heads.schedule(tx, version)
            return "released"
        if head.state not in {"stored", "pending", "deferred"}:
            return None
        entity = await tx.entity(head.entity_id) if head.entity_id is not None else None
        of_replica = (
            self._policy.accepts(entity) if entity is not None and entity.origin is not None else None
        )
        if unmet is None and of_replica is not None and head.state != "stored":
            assert entity is not None, "it has been decided about"
            await heads.forget_replica(tx, event.issuer, event.entity.key)  # the newer version decides
            await tx.delete(entity.id)
            return None
        unmet = unmet or of_replica
        if unmet is None or not await is_withheld(tx, unmet, event.issuer, event.entity.key):
            return None
        outcomes.note_head(await withhold(tx, version, unmet))
        return "withheld"
