"""The progress of replication, for `hansa status`, `/league/v1/status` and `/metrics`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hansa.core.clock import Clock, epoch_ms, rfc3339_at_ms
from hansa.core.limits import Limits
from hansa.core.members import Member, MemberStatus
from hansa.pubsub.ledger_records import LedgerStatus
from hansa.replication.confidential.publisher import ConfidentialPublisher
from hansa.replication.confidential.retrieval import ConfidentialRetriever
from hansa.replication.continuity.publication_walk import PublicationWalk
from hansa.replication.follower import Follower
from hansa.replication.publisher import PUBLISHER_CURSOR, Publisher
from hansa.replication.replicas.bounds import exceeded_bound
from hansa.replication.retriever import Retriever
from hansa.store import Store
from hansa.store.tables import evidence, heads, publications
from hansa.store.tables import origins as origin_rows
from hansa.store.tables.evidence import Conflict, Evidence
from hansa.store.tables.heads import FOLLOWER_CURSOR
from hansa.store.tables.origins import Origin
from hansa.store.tables.publications import Publication


class OriginProgress(msgspec.Struct, frozen=True):
    """The progress of this marketplace with another member's entities."""

    did: str
    name: str
    pending: int
    """Retrievals that wait or are in flight."""
    failed: int
    """Those of them whose last attempt failed."""
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
    heads: int = 0
    """Entities of its on the ledger, as far as it was followed, the deleted ones too."""
    stored: int = 0
    """Those of them whose newest version is a replica here."""
    deferred: int = 0
    """Those that wait until the origin is within the bounds of this marketplace again."""
    skipped: int = 0
    """Those that are not retrieved for a reason of this marketplace alone."""
    rejected: int = 0
    """Those whose newest version was retrieved and is not valid."""
    deleted: int = 0
    unaccounted: int = 0
    """Heads in none of these states and not pending: always 0."""
    stored_bytes: int = 0
    """Size of its replicas."""
    next_attempt: str | None = None
    """When a failing origin is tried again; RFC 3339."""
    bound: str | None = None
    """The bound of this marketplace that it has reached: `entities`, `bytes`, `bytes-per-day` or
    `verification-time`."""
    paused_since: str | None = None
    """Since when nothing is requested of it, by decision of the operator; RFC 3339."""
    status: MemberStatus | None = None
    """Of the member: `left` and `removed` are members no more. None: the registry does not know it."""


class ReplicationCounters(msgspec.Struct, frozen=True):
    """Counts since the start, for metrics."""

    events_published: int
    batches_published: int
    events_refused: int
    """Own events that the ledger refused."""
    submissions_failed: int
    bundles_sent: int
    bundles_failed: int
    """Those that a member did not take."""
    events_followed: int
    replicas_pushed: int
    """Replicas that were stored with their events, since they had been pushed."""
    entities_compared: int
    """Own entities looked at again, since this release publishes by another rule than the one before it."""
    exchanges: int
    exchanges_failed: int
    entities_stored: int
    entities_rejected: int
    requests_hedged: int
    """Requests to another member beside a slow one to the origin."""
    bundles_pulled: int
    """Bundles that had not been pushed to this marketplace, or not been received."""
    bytes_stored: int
    confidential_events_published: int
    """Sealed events of ours that the ledger took."""
    confidential_events_refused: int
    confidential_exchanges_failed: int
    confidential_entities_stored: int
    """Entities that were sealed for this marketplace."""
    confidential_entities_rejected: int


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
    lost: int
    """Entities of ours that the ledger has and the store has lost."""


class ReplicationProgress(msgspec.Struct, frozen=True):
    """Current sizes, and the progress with each origin, as of one moment."""

    gauges: ReplicationGauges
    origins: tuple[OriginProgress, ...]


class ReplicationView:
    """Reads the progress of replication from the store.

    Args:
        store: Of this marketplace.
        clock: For what an origin cost today.
        limits: `origin_…`.
    """

    def __init__(self, store: Store, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits

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
        return await evidence.counts(self._store)

    async def evidence_records(self, limit: int = 100) -> tuple[Evidence, ...]:
        """The newest of those records."""
        return await evidence.records(self._store, limit)

    async def conflicts(self, limit: int = 100) -> tuple[Conflict, ...]:
        """Own entities whose identifier another member has claimed."""
        return await evidence.conflicts(self._store, limit)

    async def progress(self, members: Sequence[Member], ledger: LedgerStatus | None) -> ReplicationProgress:
        """All current sizes, and the progress with each of the other members that published anything.

        Args:
            members: For their names.
            ledger: For its newest position; None when it is unknown, then the lag is to what was followed.
        """
        origins = await origin_rows.origins(self._store)
        gauges = await self._gauges(origins)
        by_did = {member.did: member for member in members}
        oldest = await heads.oldest_pending(self._store)
        newest = ledger.position if ledger is not None else gauges.followed_to
        return ReplicationProgress(
            gauges,
            tuple(
                self._progress(origin, by_did.get(origin.did), oldest.get(origin.did), newest)
                for origin in origins
            ),
        )

    def _progress(
        self, origin: Origin, member: Member | None, oldest: tuple[int, str] | None, newest: int
    ) -> OriginProgress:
        position, time = oldest or (None, None)
        is_failing = origin.attempts > 0
        return OriginProgress(
            did=origin.did,
            name=member.name if member is not None else origin.did,
            pending=origin.pending,
            failed=origin.failed,
            oldest_position=position,
            oldest_time=time,
            lag=max(0, newest - position + 1) if position is not None else 0,
            failing_since=origin.failing_since,
            attempts=origin.attempts,
            problem=origin.problem,
            heads=origin.heads,
            stored=origin.stored,
            deferred=origin.deferred,
            skipped=origin.skipped,
            rejected=origin.rejected,
            deleted=origin.deleted,
            unaccounted=origin.unaccounted,
            stored_bytes=origin.stored_bytes,
            next_attempt=rfc3339_at_ms(origin.due_ms) if is_failing else None,
            bound=exceeded_bound(origin, epoch_ms(self._clock), self._limits),
            paused_since=origin.paused_since,
            status=member.status if member is not None else None,
        )

    async def _gauges(self, origins: Sequence[Origin]) -> ReplicationGauges:
        return ReplicationGauges(
            followed_to=await self.followed_to(),
            unpublished=await self.unpublished(),
            outbox=await self.outbox_size(),
            refused=sum((await publications.refusal_counts(self._store)).values()),
            pending=sum(origin.pending for origin in origins),
            failing_origins=sum(origin.attempts > 0 for origin in origins),
            evidence=await self.evidence(),
            conflicts=await evidence.conflict_count(self._store),
            lost=await publications.lost_count(self._store),
        )


def counters(
    publisher: Publisher,
    follower: Follower,
    retriever: Retriever,
    walk: PublicationWalk,
    sealing: ConfidentialPublisher,
    opening: ConfidentialRetriever,
) -> ReplicationCounters:
    """What the parts of replication have done since the start."""
    published, followed, retrieved = publisher.counters, follower.counters, retriever.counters
    pushed = publisher.pushed
    return ReplicationCounters(
        events_published=published.events_committed,
        batches_published=published.batches_committed,
        events_refused=published.events_refused,
        submissions_failed=published.submissions_failed,
        bundles_sent=pushed.bundles_sent,
        bundles_failed=pushed.bundles_failed,
        events_followed=followed.events_read,
        replicas_pushed=followed.replicas_pushed,
        entities_compared=walk.compared,
        exchanges=retrieved.exchanges,
        exchanges_failed=retrieved.exchanges_failed,
        entities_stored=retrieved.entities_stored,
        entities_rejected=retrieved.entities_rejected,
        requests_hedged=retriever.sources.ranking.hedges,
        bundles_pulled=retriever.sources.bundles.pulled,
        bytes_stored=retrieved.bytes_stored,
        confidential_events_published=sealing.counters.events_committed,
        confidential_events_refused=sealing.counters.events_refused,
        confidential_exchanges_failed=opening.counters.exchanges_failed,
        confidential_entities_stored=opening.counters.entities_stored,
        confidential_entities_rejected=opening.counters.entities_rejected,
    )
