"""What becomes of the entities that the publisher looks at: first worked out, then recorded together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hansa.core.errors import Refused
from hansa.core.identifiers import entity_key, is_bound_form
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.confidential.demands import Demand
from hansa.replication.own_claims import ClaimSteps
from hansa.store import Entity, Store
from hansa.store.tables import publications
from hansa.store.tables.publications import Outgoing


class PublisherCounters(msgspec.Struct, frozen=True):
    """What a publisher has done since it started."""

    events_committed: int = 0
    batches_committed: int = 0
    events_refused: int = 0
    submissions_failed: int = 0


class Outcomes:
    """What entities that the publisher looks at call for."""

    def __init__(self, claims: ClaimSteps, entities: Mapping[str, Entity], feed_end: int) -> None:
        self.claims = claims
        self.entities = entities
        """Whole, as they were when the feed ended at `feed_end`."""
        self.feed_end = feed_end
        self.parts: dict[str, Entity] = {}
        """What is published of each entity that is."""
        self.events: list[Outgoing] = []
        self.deferred: list[str] = []
        """Entities with an event under way."""
        self.settled: list[str] = []
        """Entities that were due, and call for nothing."""
        self.refusals: list[tuple[Entity, Refused]] = []
        self.blocked: list[tuple[Entity, str]] = []
        """Entities that wait for another one of ours, which is not public yet."""
        self.demands: list[Demand] = []
        """Entities that are, or were, for some members alone."""
        self.unpublished: list[tuple[str, str, str]] = []
        """Entities of which nothing is published, and nothing is known to have been; with key and type."""


async def unpublished_of(
    store: Store, entities: Iterable[Entity], policy: DistributionPolicy
) -> list[tuple[str, str, str]]:
    """Those of some unpublished entities that an earlier store may have published, with keys and types.

    What the ledger has of them may not have been followed yet, so catalogue types and chosen identifiers are
    all among them. Others are when it is known that they are lost.
    """
    own = [(one, entity_key(policy.did, one.id)) for one in entities if one.origin is None]
    lost = {one.key for one in await publications.lost_of(store, [key for _, key in own])}
    return [
        (one.id, key, one.type)
        for one, key in own
        if one.type in policy.types or key in lost or not is_bound_form(one.id)
    ]
