"""What retrieves versions from members, put together."""

from __future__ import annotations

from typing import NamedTuple

from hansa.core.clock import Clock
from hansa.core.http import AnswerCheck, HttpClient, RequestSigner
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.retry import Retry
from hansa.pubsub.bus import Bus
from hansa.replication.backlog import Backlog
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.exchange import OriginClient
from hansa.replication.intake import EntityCheck, Intake, check_type
from hansa.replication.registry import MemberRegistry
from hansa.replication.sources.filling import Filling
from hansa.replication.sources.hedging import HedgedRequests
from hansa.replication.sources.honesty import HonestyCheck
from hansa.replication.sources.other_members import OtherMembers
from hansa.replication.sources.parts import RetrievalParts
from hansa.replication.sources.pulling import BundlePull
from hansa.replication.sources.ranking import SourceRanking
from hansa.store import Store


class EntitySources(NamedTuple):
    """What requests versions of members, and takes in what they send."""

    intake: Intake
    ranking: SourceRanking
    requests: HedgedRequests
    """To origins."""
    others: OtherMembers
    bundles: BundlePull
    filling: Filling
    parts: RetrievalParts
    """By which all of them request and verify."""


def entity_sources(
    store: Store,
    bus: Bus,
    registry: MemberRegistry,
    http: HttpClient,
    signer: RequestSigner,
    answers: AnswerCheck | None,
    policy: DistributionPolicy,
    backlog: Backlog,
    clock: Clock,
    entropy: Entropy,
    limits: Limits,
    check: EntityCheck = check_type,
) -> EntitySources:
    """The parts for one store.

    Args:
        store: Has what is pending, and takes the replicas.
        bus: Has the members' claims.
        registry: The members.
        http: To them.
        signer: Proves to a member which one asks.
        answers: Finds out whether a member has signed its answer; None: nobody is believed to.
        policy: What is taken in.
        backlog: Wakes what retrieves.
        clock: For latencies and pauses.
        entropy: For pauses.
        limits: `retrieval_…`, `entity_size_max_bytes`, `evidence_rows_max`, `origin_…`.
        check: By the models.
    """
    client = OriginClient(http, signer, limits, answers)
    intake = Intake(store, bus, registry, policy, clock, entropy, limits, check)
    ranking = SourceRanking(clock, entropy)
    pauses_s = (limits.retrieval_backoff_min_s, limits.retrieval_backoff_max_s)
    honesty = HonestyCheck(store, ranking, limits, Retry("honesty", clock, entropy, *pauses_s))
    parts = RetrievalParts(
        *(store, registry, client, intake, honesty, ranking, policy.did, policy.types),
        *(backlog, clock, entropy, limits),
    )
    others = OtherMembers(parts)
    requests = HedgedRequests(client, others, ranking, policy.types, clock)
    bundles = BundlePull(http, signer, clock, limits)
    return EntitySources(intake, ranking, requests, others, bundles, Filling(parts), parts)
