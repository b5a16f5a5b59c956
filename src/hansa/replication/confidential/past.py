"""Consume conditions and confidential replicas of the past: they are decided about anew when others hold.

The store knows by which conditions the confidential entities of others were decided about (`addressed_rule`).
When others hold, all that are of catalogue types are walked, a part at a time:

    stored                      and a condition is not met now: the replica is removed, the entity skipped
    pending                     the same of the replica of an older version; the newer one decides by itself
    skipped for a condition     it is retrieved again, and decided about by its bytes: nothing else is known

The key that decrypts a version is not retained. For what is retrieved again, its event is read from the
ledger and opened once more; what no key of this marketplace opens any more, after several rotations, stays
skipped until its origin seals it anew. The retriever decides by the new conditions already, and each part is
decided in one transaction. An interruption repeats the walk, which changes nothing. A rule that was another
one meanwhile, and is what it was, is walked for as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import structlog

from hansa.core.clock import Clock
from hansa.core.errors import Code
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import BusReads, all_events_at
from hansa.replication.auditing.outcomes import EventOutcomes, code_with_condition
from hansa.replication.backlog import Backlog
from hansa.replication.conditions.past import UNDECIDED
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.withholding import reason_of
from hansa.replication.confidential.recognition import Recognition, without_bytes
from hansa.store import Store, Transaction
from hansa.store.tables import facts
from hansa.store.tables.confidential import received
from hansa.store.tables.confidential.received import ReceivedHead

HEADS_MAX: Final = 50
"""Entities in a part."""
BACKOFF_MIN_S: Final = 0.1

log = structlog.get_logger()


class AddressedPast:
    """Decides about the confidential entities of others by the conditions that hold now.

    Args:
        store: Has what is known of them.
        bus: Has their events.
        policy: Decides.
        recognition: Opens the events.
        backlog: Wakes the retriever; tells of other conditions.
        clock: For back-off.
        entropy: For back-off.
        limits: `retrieval_backoff_max_s`.
    """

    def __init__(
        self,
        store: Store,
        bus: BusReads,
        policy: DistributionPolicy,
        recognition: Recognition,
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._bus = bus
        self._policy = policy
        self._recognition = recognition
        self._backlog = backlog
        self._done_at = policy.consume_changes
        """Up to which change of the rule everything was decided about."""
        self._retry = Retry("addressed past", clock, entropy, BACKOFF_MIN_S, limits.retrieval_backoff_max_s)

    async def run(self) -> None:
        """Walk whenever other conditions hold, until cancelled.

        Raises:
            Fatal: The store is damaged.
        """
        while True:
            seen = self._backlog.conditions.count
            await self._walk()
            await self._backlog.conditions.wait(seen)

    async def _walk(self) -> None:
        """Decide about everything, unless that was done by these conditions."""
        while not await self._retry(self._is_done):
            rule, changes = self._policy.consume_rule, self._policy.consume_changes
            after: tuple[str, bytes] | None = ("", b"")
            while after is not None and self._is_rule(rule, changes):
                after = await self._retry(partial(self._decide_part, rule, after))
                self._backlog.sealed.notify()
                await asyncio.sleep(0)
            self._done_at = changes if after is None else self._done_at

    async def _is_done(self) -> bool:
        """Whether everything was decided about by what holds now; without conditions, at the beginning."""
        return self._is_rule(await facts.value(self._store, "addressed_rule") or "", self._done_at)

    def _is_rule(self, rule: str, changes: int) -> bool:
        """Whether a rule holds, and held on since a change."""
        return rule == self._policy.consume_rule and changes == self._policy.consume_changes

    async def _decide_part(self, rule: str, after: tuple[str, bytes]) -> tuple[str, bytes] | None:
        """Decide about some entities; after which the walk continues, None at its end.

        Raises:
            Unavailable: The bus does not answer.
        """
        page = await received.walk(self._store, after, HEADS_MAX)
        opened = await self._opened(page)
        outcomes = EventOutcomes()
        async with self._store.transaction() as tx:
            for seen in page:
                head = await received.of_entity(tx, seen.issuer, seen.entity_key)
                if head != seen:
                    continue  # another version has come, which is decided about by itself
                again = opened.get((seen.issuer, seen.entity_key))
                if again is not None:
                    await received.record(tx, again)
                elif head.state in {"stored", "pending"} and head.type in self._policy.types:
                    await self._decide(tx, head, outcomes)
            is_end = len(page) < HEADS_MAX
            await facts.record(tx, "addressed_rule", rule if is_end else UNDECIDED)
            await outcomes.append(tx)
        return None if is_end else (page[-1].issuer, page[-1].entity_key)

    async def _opened(self, page: Sequence[ReceivedHead]) -> dict[tuple[str, bytes], ReceivedHead]:
        """What a condition keeps out of some entities, to be retrieved again, by issuer and entity."""
        skipped = [one for one in page if (one.state, one.problem) == ("skipped", Code.CONDITION_UNMET)]
        events = await all_events_at(self._bus, [one.position for one in skipped])
        contents = {
            (one.committed.position, one.opened.notice.entity_key): one.opened
            for one in self._recognition.recognised(events)
            if one.opened is not None
        }
        opened: dict[tuple[str, bytes], ReceivedHead] = {}
        for head in skipped:
            content = contents.get((head.position, head.entity_key))
            if content is None:
                log.warning("sealed_event_unreadable", issuer=head.issuer, position=head.position)
                continue
            opened[head.issuer, head.entity_key] = msgspec.structs.replace(
                head,
                state="pending",
                content_key=content.content_key,
                attempts=0,
                due_ms=0,
                problem=None,
                reason=None,
            )
        return opened

    async def _decide(self, tx: Transaction, head: ReceivedHead, outcomes: EventOutcomes) -> None:
        """Remove a replica that a condition keeps out now."""
        entity = await tx.entity(head.entity_id) if head.entity_id is not None else None
        if entity is None or entity.origin != head.issuer or entity.public:
            return
        unmet = self._policy.accepts_addressed(entity)
        if unmet is None:
            return
        await tx.delete(entity.id)
        if head.state == "pending":  # the newer version decides
            await received.record(tx, msgspec.structs.replace(head, entity_id=None, size_bytes=0))
            return
        code, reason = str(Code.CONDITION_UNMET), reason_of(unmet)
        await received.record(tx, without_bytes(head, "skipped", problem=code, reason=reason))
        outcomes.note("skipped", head.position, code_with_condition(code, reason))
