"""What publishes, follows and retrieves, put together for one marketplace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from hansa import __version__
from hansa.business.models import Models
from hansa.business.models import digest as models_digest
from hansa.business.models.closure import ClosureNeeds
from hansa.business.validation.replicas import ReplicaCheck
from hansa.business.visibility import ConfidentialEntities, PublicParts
from hansa.core.audit import AuditNotes
from hansa.core.batches import BatchSigner
from hansa.core.cache import HasFigures
from hansa.core.clock import Clock
from hansa.core.confidential.agreement import PairwiseSecrets
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.keys import KeySigner
from hansa.core.parties import read_party_operators
from hansa.identity import MemberAnswerCheck, MemberAnswerSigner, MemberSigner
from hansa.node.folder import POLICIES
from hansa.node.membership import OwnAgreementKeys
from hansa.node.settings.loading import Settings
from hansa.pubsub.bus import Bus
from hansa.replication import Backlog, Follower, Publisher, ReplicationView, Retriever
from hansa.replication.announced.pushing import BundlePusher
from hansa.replication.announced.retained_bundles import RetainedBundles
from hansa.replication.conditions.closure import ClosureKeeper
from hansa.replication.conditions.former import FormerOrigins
from hansa.replication.conditions.past import PastWalk
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.watch import ConditionsWatch
from hansa.replication.confidential.audience import Audiences
from hansa.replication.confidential.demands import Demands
from hansa.replication.confidential.past import AddressedPast
from hansa.replication.confidential.publisher import ConfidentialPublisher
from hansa.replication.confidential.recognition import Recognition
from hansa.replication.confidential.retrieval import ConfidentialRetriever
from hansa.replication.confidential.return_exchange import ReturnClient
from hansa.replication.confidential.returns import SealedReturns
from hansa.replication.continuity.publication_walk import PublicationWalk
from hansa.replication.continuity.restoration import EntityRestoration
from hansa.replication.continuity.restored_store import RestoredStore
from hansa.replication.continuity.resync import Resync
from hansa.replication.continuity.sealed_restoration import SealedRestoration
from hansa.replication.own_claims import References
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.replication.replicas.pushed import PushedParts
from hansa.replication.replicas.pushed_intake import PushedIntake
from hansa.replication.sources.assembly import entity_sources
from hansa.replication.sources.peers import PeerView
from hansa.store import Store

log = structlog.get_logger("hansa.node")


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
    restoration: EntityRestoration
    sealed_restoration: SealedRestoration
    returns: SealedReturns
    restored: RestoredStore
    watch: ConditionsWatch
    past: PastWalk
    former: FormerOrigins
    closure: ClosureKeeper
    audiences: Audiences
    secrets: PairwiseSecrets
    sealing: ConfidentialPublisher
    opening: ConfidentialRetriever
    addressed: AddressedPast
    pusher: BundlePusher
    peers: PeerView
    answers: MemberAnswerSigner
    """Signs what other members are answered."""

    @property
    def caches(self) -> tuple[HasFigures, ...]:
        """Its caches, for their figures."""
        return self.watch.cache, self.secrets.cache

    def is_alive(self, did: str) -> None:
        """A member sent a signed request: whatever waits for it goes on."""
        self.retriever.is_alive(did)
        self.pusher.is_alive(did)

    async def _publish(self) -> None:
        await self.restored.wait_until_read()
        await self.publisher.run()

    async def _walk_past(self) -> None:
        await self.former.begin()
        await self.past.run()

    def tasks(self) -> tuple[tuple[str, Callable[[], Awaitable[None]]], ...]:
        """What runs in the background, by name."""
        return (
            ("publisher", self._publish),
            ("follower", self.follower.run),
            ("retriever", self.retriever.run),
            ("other members", self.retriever.sources.others.run),
            ("filling", self.retriever.sources.filling.run),
            ("publication walk", self.walk.run),
            ("conditions", self.watch.run),
            ("past walk", self._walk_past),
            ("closure", self.closure.run),
            ("confidential publisher", self.sealing.run),
            ("confidential retriever", self.opening.run),
            ("addressed past", self.addressed.run),
        )


def replication_parts(
    settings: Settings,
    store: Store,
    bus: Bus,
    registry: MemberRegistry,
    http: HttpClient,
    member_key: KeySigner,
    clock: Clock,
    entropy: Entropy,
    models: Models,
    references: References,
    backlog: Backlog,
    notes: AuditNotes,
    league: str,
    folder: Path = Path(),
) -> Replication:
    """The parts of replication, of the marketplace in a folder."""
    limits, did, former = settings.limits, settings.did, settings.former_members_replicas
    parts, view = PublicParts(models), ReplicationView(store, clock, limits)
    policy = DistributionPolicy(did, models.catalogue_types, parts, parts.rule())
    watch, needs = ConditionsWatch(folder / POLICIES, policy, backlog.conditions, clock), ClosureNeeds(models)
    signer, pushed = MemberSigner(member_key, did, clock, entropy, limits), PushedParts(clock)
    check, secrets, timing = ReplicaCheck(models, clock), PairwiseSecrets(league), (clock, entropy, limits)
    shared, retained = partial(policy.may_retrieve, None), RetainedBundles(clock)
    pusher = BundlePusher(store, registry, http, signer, did, shared, notes, clock, entropy, limits, retained)
    answers = MemberAnswerCheck(did, registry.callers)
    sources = entity_sources(store, bus, registry, http, signer, answers, policy, backlog, *timing, check)
    audiences = _audiences(settings, policy, models, registry)
    demands, batches = Demands(store, audiences, backlog.addressed), BatchSigner(member_key, did, clock)
    agreement_keys = _agreement_keys(folder, did, registry, backlog)
    recognition = Recognition(did, league, agreement_keys, secrets, audiences.types, limits)
    addressed = audiences, demands, secrets, league, backlog
    sealing = ConfidentialPublisher(store, bus, batches, *addressed, *timing)
    returning = policy, demands, lambda: sealing, agreement_keys, secrets, league, check
    return Replication(
        policy,
        Publisher(
            *(store, bus, registry, batches, policy, *timing, references, needs),
            backlog=backlog,
            pusher=pusher,
            demands=demands,
        ),
        Follower(
            *(store, bus, did, policy, backlog, clock, entropy, limits),
            pushed=PushedIntake(store, sources.intake, pushed, clock, limits),
            recognition=recognition,
        ),
        Retriever(store, registry, sources, backlog, clock, entropy, limits, _intake_rule()),
        ReplicaControl(store, registry, backlog, clock, entropy, limits),
        pushed,
        PublicationWalk(store, did, policy, parts.is_public, backlog, clock, entropy, limits),
        Resync(store, bus, did, policy, backlog),
        EntityRestoration(bus, sources.parts, policy),
        SealedRestoration(bus, sources.parts, ReturnClient(http, signer, limits), *returning),
        SealedReturns(store, bus, did, league, registry, recognition, secrets, entropy),
        RestoredStore(store, bus, did, clock, entropy),
        watch,
        PastWalk(store, bus, did, policy, backlog, clock, entropy, limits),
        FormerOrigins(policy, registry, former, backlog.conditions, clock, entropy),
        ClosureKeeper(store, bus, policy, needs, backlog, clock, entropy, limits),
        audiences,
        secrets,
        sealing,
        ConfidentialRetriever(store, registry, http, signer, policy, backlog, league, *timing, check),
        AddressedPast(store, bus, policy, recognition, backlog, clock, entropy, limits),
        pusher,
        PeerView(store, view, registry, sources.ranking, http, signer, did),
        MemberAnswerSigner(member_key, did, clock),
    )


def _intake_rule() -> str:
    """Names the release and the models by which replicas are judged."""
    return f"{__version__} {models_digest()}"


def _agreement_keys(folder: Path, did: str, registry: MemberRegistry, backlog: Backlog) -> OwnAgreementKeys:
    """The keys of this marketplace for key agreement; the keys of members wake what seals."""
    keys = OwnAgreementKeys(folder, did, log)
    registry.add_listener(keys.note_members)
    registry.add_listener(lambda _: backlog.addressed.notify())
    return keys


def _audiences(
    settings: Settings, policy: DistributionPolicy, models: Models, registry: MemberRegistry
) -> Audiences:
    """For whom confidential entities are."""
    operators = read_party_operators(settings.party_operators)
    return Audiences(policy, ConfidentialEntities(models), registry.known, operators)
