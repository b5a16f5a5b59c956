"""What becomes of the entities that the publisher looks at: first worked out, then recorded together."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hansa.core.errors import Refused
from hansa.replication.confidential.demands import Demand
from hansa.replication.own_claims import ClaimSteps
from hansa.store import Entity
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
