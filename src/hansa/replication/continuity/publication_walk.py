"""The walk that compares own entities with what is published of them, when the rule of publishing is another.

What is public, and which attributes of it, is decided by the release, from its models; what of it leaves this
marketplace, by the operator's conditions, which can change at any time (`hansa.replication.conditions`). When
either decides otherwise than before, nothing changes in the store, so no event would say so: entities that
the others requested by their earlier hash could not be retrieved, and what is private now would stay with
them. So the store knows the digest of the rule by which its entities were last compared
(`publication_rule`). When it is another one, all own entities are looked at once more, in the order of their
identifiers: what is public now is made so, what is no more is withdrawn, and what is published in another
form is announced as the next version.

The walk runs beside everything else, a page in a transaction, with its place in the store
(`publication_walk`), so that it continues after a restart; and no faster than the publisher, which does the
comparing, follows. A rule that was another one meanwhile, and is what it was, is walked for as well: what
was compared by the other one is published by that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy, entity_key
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.replication.backlog import Backlog
from hansa.replication.conditions.past import UNDECIDED
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.store import Entity, EntityDraft, Store
from hansa.store.tables import facts, publications

PAGE_SIZE: Final = 100
BACKOFF_MIN_S: Final = 0.1

log = structlog.get_logger()


class PublicationWalk:
    """Compares all own entities with what is published of them, once for each rule.

    Args:
        store: Has them.
        did: This member.
        policy: Has the rule.
        is_public: Whether an entity may be public, as the release says.
        backlog: Wakes the publisher; tells of other conditions.
        clock: For back-off.
        entropy: For back-off.
        limits: `publish_backoff_max_s`.
    """

    def __init__(
        self,
        store: Store,
        did: str,
        policy: DistributionPolicy,
        is_public: Callable[[Entity], bool],
        backlog: Backlog,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
    ) -> None:
        self._store = store
        self._did = did
        self._policy = policy
        self._is_public = is_public
        self._changed = backlog.due
        self._other_rule = backlog.conditions
        self._retry = Retry("publication walk", clock, entropy, BACKOFF_MIN_S, limits.publish_backoff_max_s)
        self._compared = 0
        self._begun_at = self._done_at = policy.publish_changes
        """Up to which change of the rule a walk has begun, and everything was compared."""

    @property
    def compared(self) -> int:
        """How many entities were compared since the start."""
        return self._compared

    async def run(self) -> None:
        """Walk whenever that has not been done for the rule that holds, until cancelled.

        Raises:
            Fatal: The store is damaged.
        """
        while True:
            seen = self._other_rule.count
            await self.walk()
            await self._other_rule.wait(seen)

    async def walk(self) -> None:
        """Compare all own entities, unless that has been done for this rule.

        Raises:
            Fatal: The store is damaged.
        """
        while not await self._is_done():
            rule, changes = self._policy.publish_rule, self._policy.publish_changes
            after = await self._place(rule) if changes == self._begun_at else ""
            self._begun_at = changes
            log.info("publication_walk_started", is_continued=bool(after))
            async for page in self._store.scan(
                own_only=True, public_only=False, after_id=after, limit=PAGE_SIZE
            ):
                await self._retry(partial(self._compare, page, rule))
                self._compared += len(page)
                self._changed.notify()
                await self._wait_for_publisher()
                if not self._is_rule(rule, changes):
                    break
            else:
                await self._retry(partial(self._finish, rule))
                self._done_at = changes
                log.info("publication_walk_finished", entities=self._compared)

    async def _is_done(self) -> bool:
        """Whether everything was compared by the rule that holds."""
        return self._is_rule(await facts.value(self._store, "publication_rule"), self._done_at)

    def _is_rule(self, rule: str | None, changes: int) -> bool:
        """Whether a rule holds, and held on since a change."""
        return rule == self._policy.publish_rule and changes == self._policy.publish_changes

    async def _place(self, rule: str) -> str:
        """Identifier after which an earlier walk by the same rule was interrupted; empty: the beginning."""
        walked, _, after = (await facts.value(self._store, "publication_walk") or "").partition(" ")
        return after if walked == rule else ""

    async def _compare(self, page: Sequence[Entity], rule: str) -> None:
        async with self._store.transaction() as tx:
            for known in page:
                entity = await tx.entity(known.id)
                if entity is None or entity.origin is not None:
                    continue
                is_public = self._is_public(entity)
                if is_public != (entity.public or entity.pending is not None):
                    # What becomes public is so when its claim is committed, as an entity that is created.
                    await tx.put(
                        EntityDraft(
                            *(entity.id, entity.type, entity.body, entity.hashlink, False),
                            parent=entity.parent,
                            is_pending=is_public,
                        )
                    )
                if is_public:
                    await publications.demand(tx, entity.id, entity_key(self._did, entity.id), entity.type)
            await publications.mark_due(tx, [entity.id for entity in page])
            await facts.record(tx, "publication_rule", UNDECIDED)
            await facts.record(tx, "publication_walk", f"{rule} {page[-1].id}")

    async def _wait_for_publisher(self) -> None:
        while True:
            seen = self._changed.count
            if len(await publications.due(self._store, PAGE_SIZE)) < PAGE_SIZE:
                return
            await self._changed.wait(seen)

    async def _finish(self, rule: str) -> None:
        async with self._store.transaction() as tx:
            await facts.record(tx, "publication_rule", rule)
            await facts.remove(tx, "publication_walk")
