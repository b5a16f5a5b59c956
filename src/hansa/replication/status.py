"""The progress of replication, for `hansa status`, `/league/v1/status` and `/metrics`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hansa.core.members import Member
from hansa.pubsub.bus import LedgerStatus
from hansa.replication.follower import Follower
from hansa.replication.publisher import PUBLISHER_CURSOR, Publisher
from hansa.replication.retriever import Retriever
from hansa.store import Store
from hansa.store.tables import publications, retrievals
from hansa.store.tables.publications import Publication
from hansa.store.tables.retrievals import FOLLOWER_CURSOR, Conflict, Evidence


class OriginProgress(msgspec.Struct, frozen=True):
    """The progress of this marketplace with another member's entities."""

    did: str
    name: str
    pending: int
    """Retrievals that wait or are in flight."""
    failed: int
    """Those of them whose last attempt failed for a reason of their own."""
    oldest_position: int | None
    """Of the events whose entities are pending."""
    oldest_time: str | None
    """When the ledger committed that event."""
    lag: int
    """Positions of the ledger from that event to the newest; 0 when nothing is pending."""
    failing_since: str | None
    """Since when exchanges with it fail, RFC 3339; None while they succeed."""
    attempts: int
    """Failures in a row."""
    problem: str | None
    """Code of the last failure."""
    is_deferred: bool
    """Whether its events are skipped until some of its retrievals are settled."""


class ReplicationCounters(msgspec.Struct, frozen=True):
    """Counts since the start, for metrics."""

    events_published: int
    batches_published: int
    events_refused: int
    """Own events that the ledger refused."""
    submissions_failed: int
    events_followed: int
    exchanges: int
    exchanges_failed: int
    entities_stored: int
    entities_rejected: int
    bytes_stored: int


class ReplicationGauges(msgspec.Struct, frozen=True):
    """Current sizes, for metrics."""

    followed_to: int
    unpublished: int
    outbox: int
    refused: int
    pending: int
    failing_origins: int
    evidence: int
    conflicts: int


class ReplicationView:
    """Reads the progress of replication from the store.

    Args:
        store: Of this marketplace.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def followed_to(self) -> int:
        """Ledger position up to which events were applied."""
        return await self._store.cursor(FOLLOWER_CURSOR)

    async def unpublished(self) -> int:
        """Changes of own entities that were not announced yet, and events that are not committed yet."""
        announced_to = await self._store.cursor(PUBLISHER_CURSOR)
        return await self._store.own_changes(announced_to) + await self.outbox_size()

    async def outbox_size(self) -> int:
        """Signed events that are not committed yet."""
        return await publications.outbox_size(self._store)

    async def refusals(self, limit: int = 100) -> tuple[Publication, ...]:
        """Own entities whose last event the ledger refused, with its reason."""
        return await publications.refusals(self._store, limit)

    async def evidence(self) -> int:
        """How many records there are of wrong things that others sent."""
        return sum((await self.evidence_counts()).values())

    async def evidence_counts(self) -> dict[tuple[str, str], int]:
        """Those records by (issuer, code)."""
        return await retrievals.evidence_counts(self._store)

    async def evidence_records(self, limit: int = 100) -> tuple[Evidence, ...]:
        """The newest of those records."""
        return await retrievals.evidence(self._store, limit)

    async def conflicts(self, limit: int = 100) -> tuple[Conflict, ...]:
        """Own entities whose identifier another member has claimed."""
        return await retrievals.conflicts(self._store, limit)

    async def origins(
        self, members: Sequence[Member], ledger: LedgerStatus | None
    ) -> tuple[OriginProgress, ...]:
        """The progress with each of the other members that published anything.

        Args:
            members: For their names.
            ledger: For its newest position; None when it is unknown, then the lag is to what was followed.
        """
        names = {member.did: member.name for member in members}
        oldest = await retrievals.oldest_pending(self._store)
        failed = await retrievals.failed_counts(self._store)
        progress: list[OriginProgress] = []
        for origin in await retrievals.origins(self._store):
            position, time = oldest.get(origin.did, (None, None))
            newest = ledger.position if ledger is not None else await self.followed_to()
            progress.append(
                OriginProgress(
                    did=origin.did,
                    name=names.get(origin.did, origin.did),
                    pending=origin.pending,
                    failed=failed.get(origin.did, 0),
                    oldest_position=position,
                    oldest_time=time,
                    lag=max(0, newest - position + 1) if position is not None else 0,
                    failing_since=origin.failing_since,
                    attempts=origin.attempts,
                    problem=origin.problem,
                    is_deferred=origin.deferred_after is not None,
                )
            )
        return tuple(progress)

    async def gauges(self) -> ReplicationGauges:
        """All current sizes."""
        origins = await retrievals.origins(self._store)
        return ReplicationGauges(
            followed_to=await self.followed_to(),
            unpublished=await self.unpublished(),
            outbox=await self.outbox_size(),
            refused=sum((await publications.refusal_counts(self._store)).values()),
            pending=sum(origin.pending for origin in origins),
            failing_origins=sum(origin.attempts > 0 for origin in origins),
            evidence=await self.evidence(),
            conflicts=await retrievals.conflict_count(self._store),
        )


def counters(publisher: Publisher, follower: Follower, retriever: Retriever) -> ReplicationCounters:
    """What publisher, follower and retriever have done since the start."""
    published, followed, retrieved = publisher.counters, follower.counters, retriever.counters
    return ReplicationCounters(
        events_published=published.events_committed,
        batches_published=published.batches_committed,
        events_refused=published.events_refused,
        submissions_failed=published.submissions_failed,
        events_followed=followed.events_read,
        exchanges=retrieved.exchanges,
        exchanges_failed=retrieved.exchanges_failed,
        entities_stored=retrieved.entities_stored,
        entities_rejected=retrieved.entities_rejected,
        bytes_stored=retrieved.bytes_stored,
    )
