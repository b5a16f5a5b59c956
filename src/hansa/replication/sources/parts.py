"""What everything needs that requests versions of members that are not their origins."""

from __future__ import annotations

from typing import NamedTuple

from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.replication.backlog import Backlog
from hansa.replication.exchange import OriginClient
from hansa.replication.intake import Intake
from hansa.replication.registry import MemberRegistry
from hansa.replication.sources.honesty import HonestyCheck
from hansa.replication.sources.ranking import SourceRanking
from hansa.store import Store


class RetrievalParts(NamedTuple):
    """The parts by which versions are requested, verified and stored."""

    store: Store
    """Has what is pending."""
    registry: MemberRegistry
    client: OriginClient
    """Requests."""
    intake: Intake
    """Verifies and stores."""
    honesty: HonestyCheck
    """Compares what came with what was requested."""
    ranking: SourceRanking
    """Who is requested first."""
    did: str
    """This member."""
    types: frozenset[str]
    """That may be public, for which other members are requested."""
    backlog: Backlog
    """Wakes what requests, and what waits for its results."""
    clock: Clock
    """For latencies and pauses."""
    entropy: Entropy
    """For pauses."""
    limits: Limits
    """`origin_…`, `retrieval_entities_max`."""
