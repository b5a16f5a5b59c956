"""Replicas of members that are members no more: those that left the league, and those that were removed.

Their events stay on the ledger, and what they published was verified; but nobody answers for it any more.
What becomes of their replicas is a setting (`former_members_replicas`):

    retain    they stay, at the versions that were retrieved last, and are shown as those of a former member
    drop      they are what a condition keeps out: the heads are skipped, and the replicas removed, by the
              walk over what was taken in (`hansa.replication.conditions.past`). A member that comes back, by
              a decision of the others, is taken in again by the same walk

What was sealed for this marketplace, as orders are, stays in either case. A suspended member is a member.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

import structlog

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.members import Member
from hansa.core.policies import FormerReplicas
from hansa.core.retry import Retry
from hansa.core.signal import Signal
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.registry import MemberRegistry

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0

log = structlog.get_logger()


class FormerOrigins:
    """Tells the policy whose entities are dropped.

    Args:
        policy: Decides by it.
        registry: Has the members.
        rule: What becomes of the replicas.
        changed: Wakes the walk.
        clock: For back-off.
        entropy: For back-off.
    """

    def __init__(
        self,
        policy: DistributionPolicy,
        registry: MemberRegistry,
        rule: FormerReplicas,
        changed: Signal,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._policy = policy
        self._registry = registry
        self._rule = rule
        self._changed = changed
        self._retry = Retry("former origins", clock, entropy, BACKOFF_MIN_S, BACKOFF_MAX_S)
        self._has_begun = False

    async def begin(self) -> None:
        """Find out who is a member, from the ledger itself, and go on noticing it.

        The walk begins after that: by an outdated list it would retrieve what it drops again in a moment.
        """
        if self._has_begun or self._rule == "retain":
            return
        await self._retry(partial(self._registry.members, 0.0))
        self._has_begun = True
        self._registry.add_listener(self._note)

    def _note(self, members: Iterable[Member]) -> None:
        former = frozenset([one.did for one in members if not one.is_current])
        if self._policy.drop_origins(former):
            log.info("former_origins_dropped", dids=sorted(former))
            self._changed.notify()
