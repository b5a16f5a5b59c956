"""What publishes, follows and retrieves, put together for one marketplace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from hansa import __version__
from hansa.business.models import Models
from hansa.business.models import digest as models_digest
from hansa.business.models.closure import ClosureNeeds
from hansa.business.validation.replicas import ReplicaCheck
from hansa.business.visibility import PublicParts
from hansa.core.batches import BatchSigner
from hansa.core.clock import Clock
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.identity import MemberSigner
from hansa.node.folder import POLICIES
from hansa.node.settings.loading import Settings
from hansa.pubsub.bus import Bus
from hansa.replication import Backlog, Follower, Publisher, Retriever
from hansa.replication.announced.pushing import BundlePusher
from hansa.replication.conditions.closure import ClosureKeeper
from hansa.replication.conditions.past import PastWalk
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.watch import ConditionsWatch
from hansa.replication.continuity.publication_walk import PublicationWalk
from hansa.replication.continuity.resync import Resync
from hansa.replication.own_claims import References
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.replication.replicas.pushed import PushedParts
from hansa.replication.replicas.pushed_intake import PushedIntake
from hansa.store import Store


class Replication(NamedTuple):
    """What of ours goes to the other members, and what of theirs is stored here."""

    policy: DistributionPolicy
    publisher: Publisher
    follower: Follower
    retriever: Retriever
    control: ReplicaControl
    pushed: PushedParts
    walk: PublicationWalk
    resync: Resync
    watch: ConditionsWatch
    past: PastWalk
    closure: ClosureKeeper

    def tasks(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """What runs in the background, by name."""
        return (
            ("publisher", self.publisher.run),
            ("follower", self.follower.run),
            ("retriever", self.retriever.run),
            ("publication walk", self.walk.run),
            ("conditions", self.watch.run),
            ("past walk", self.past.run),
            ("closure", self.closure.run),
        )


def replication_parts(
    settings: Settings,
    store: Store,
    models: Models,
    bus: Bus,
    registry: MemberRegistry,
    http: HttpClient,
    member_key: KeySigner,
    clock: Clock,
    entropy: Entropy,
    references: References,
    policies: Path = POLICIES,
) -> Replication:
    """The publisher, the follower and the retriever; `policies` is the folder of the operator's files."""
    limits, did = settings.limits, settings.did
    backlog, parts = Backlog(clock), PublicParts(models)
    policy = DistributionPolicy(did, models.catalogue_types, parts, parts.rule())
    watch, needs = ConditionsWatch(policies, policy, backlog.conditions, clock), ClosureNeeds(models)
    signer, pushed = MemberSigner(member_key, did, clock, entropy, limits), PushedParts(clock)
    shared = partial(policy.may_retrieve, None)
    pusher = BundlePusher(store, registry, http, signer, did, shared, clock, entropy, limits)
    retriever = Retriever(
        *(store, bus, registry, http, signer, policy, backlog, clock, entropy, limits),
        *(ReplicaCheck(models, clock), f"{__version__} {models_digest()}"),
    )
    return Replication(
        policy,
        Publisher(
            *(store, bus, registry, BatchSigner(member_key, did, clock), policy),
            *(clock, entropy, limits, references, needs),
            backlog=backlog,
            pusher=pusher,
        ),
        Follower(
            *(store, bus, did, policy, backlog, clock, entropy, limits),
            pushed=PushedIntake(store, retriever.intake, pushed, clock, limits),
        ),
        retriever,
        ReplicaControl(store, registry, backlog, clock, entropy, limits),
        pushed,
        PublicationWalk(store, did, policy, parts.is_public, backlog, clock, entropy, limits),
        Resync(store, bus, did, policy, backlog),
        watch,
        PastWalk(store, bus, did, policy, backlog, clock, entropy, limits),
        ClosureKeeper(store, bus, registry, policy, needs, backlog, clock, entropy, limits),
    )
