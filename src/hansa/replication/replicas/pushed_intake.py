"""The short way in: what was pushed before its event was read is verified, and stored with the event.

The follower has a page of events. Those of their versions whose bytes are here (`PushedParts`) are verified
as if they had been requested (`hansa.replication.intake`), before its transaction begins; that transaction
then writes the replicas, their heads and the cursor. Everything else takes the long way: its head is
pending, and the retriever requests it. So do bytes that do not hold, whoever's fault it is, and those of an
origin that is over one of its bounds, or paused by the operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hansa.core.clock import Clock, epoch_ms
from hansa.core.limits import Limits
from hansa.replication.intake import Intake
from hansa.replication.replicas.bounds import DAY_MS, exceeded_bound
from hansa.replication.replicas.pushed import PushedParts
from hansa.store import EntityDraft, Store, Transaction
from hansa.store.tables import origins
from hansa.store.tables.heads import NewHead, Retrieval
from hansa.store.tables.origins import Origin


class ReadyParts(msgspec.Struct, frozen=True):
    """Verified replicas of a page of events."""

    drafts: Mapping[Retrieval, EntityDraft] = {}
    costs: Mapping[str, tuple[int, int]] = {}
    """By issuer, the bytes that were received, and the milliseconds that verifying them took."""


class PushedIntake:
    """Verifies and writes what was pushed.

    Args:
        store: Has what each origin has cost.
        intake: Verifies.
        pushed: What is here.
        clock: For the days and durations of costs.
        limits: `origin_…`.
    """

    def __init__(
        self, store: Store, intake: Intake, pushed: PushedParts, clock: Clock, limits: Limits
    ) -> None:
        self._store = store
        self._intake = intake
        self._pushed = pushed
        self._clock = clock
        self._limits = limits

    async def ready(self, versions: Sequence[Retrieval]) -> ReadyParts:
        """Those of some versions whose bytes are here and hold."""
        bodies: dict[str, dict[Retrieval, bytes]] = {}
        for version in versions:
            body = self._pushed.take(version.issuer, version.key, version.hashlink)
            if body is not None:
                bodies.setdefault(version.issuer, {})[version] = body
        if not bodies:
            return ReadyParts()
        known = {one.did: one for one in await origins.origins(self._store)}
        drafts: dict[Retrieval, EntityDraft] = {}
        costs: dict[str, tuple[int, int]] = {}
        for issuer, received in bodies.items():
            origin = known.get(issuer)
            if origin is not None and self._is_held_back(origin):
                continue
            started_at_s = self._clock.monotonic()
            drafts |= await self._intake.verified(issuer, received)
            took_ms = round(1000 * (self._clock.monotonic() - started_at_s))
            costs[issuer] = (sum(map(len, received.values())), took_ms)
        return ReadyParts(drafts, costs)

    def _is_held_back(self, origin: Origin) -> bool:
        """Whether nothing of an origin is taken in: it is paused, or over a bound."""
        is_bounded = exceeded_bound(origin, epoch_ms(self._clock), self._limits) is not None
        return is_bounded or origin.paused_since is not None

    async def write(self, tx: Transaction, drafts: Mapping[Retrieval, EntityDraft]) -> list[NewHead]:
        """Write the replicas of versions that become the heads of their keys; what these heads are."""
        return await self._intake.write(tx, drafts)

    def committed(self, replicas: Sequence[NewHead]) -> None:
        """The transaction that wrote some replicas was committed."""
        self._intake.count_stored(replicas)

    async def count(self, tx: Transaction, parts: ReadyParts) -> None:
        """Count what the parts have cost."""
        for issuer, (size_bytes, verification_ms) in parts.costs.items():
            day = epoch_ms(self._clock) // DAY_MS
            await origins.count_received(tx, issuer, day, size_bytes, verification_ms)
