"""What members and clients of the league request of a marketplace over HTTP: `/league/v1/…`.

    method and path                       what                                   caller
    GET  /league/v1/entities/{id}?hl=…    an entity's exact bytes                anybody, or a signing member
    POST /league/v1/entities              many of them in one request            anybody, or a signing member
    POST /league/v1/bundles               what a member announces just now       a signing member
    POST /league/v1/confidential          encrypted bytes of sealed events        a signing member
    POST /league/v1/confidential/lost     what a member sealed for this one      that member, signing
    GET  /league/v1/confidential          what of them does not arrive           an operator
    GET  /league/v1/bundles, …/{digest}    what this one announced last           a signing member
    GET  /league/v1/events                committed events, a page at a time     anybody
    GET  /league/v1/events/stream         the same as server-sent events         anybody
    GET  /league/v1/members               the member registry                    anybody
    GET  /league/v1/proposals, …/{name}   what the members decide                anybody
    GET  /league/v1/ledger                the state of the ledger                anybody
    GET  /league/v1/ledger/inclusion/{n}, …/consistency/{n}, …/claims/{key}
                                          proofs about the ledger                anybody
    GET  /league/v1/anchors, …/certificates, …/policies
                                          what the members trust and allow       anybody
    GET  /trusted-issuers-registry/v4/issuers, /v5/issuers, …
                                          who may issue credentials              anybody
    GET  /league/v1/genesis, …/bootstrap  what a newcomer begins with            anybody
    GET  /league/v1/history/{number}      a segment of all events                anybody
    GET  /league/v1/snapshots, …/{height}, …/{height}/{index}
                                          the state to begin with, in parts      anybody
    GET  /league/v1/ledger/leaves, …/checkpoints
                                          what an audit reads                    anybody
    GET  /league/v1/entities/{id}/receipt, …/history; GET /league/v1/members/{did}/history
                                          proofs that hold without this member   anybody
    GET  /league/v1/ledger/state, …/batches
                                          what members without an engine read    anybody
    POST /league/v1/ledger/transactions   a place for a transaction              a signing member
    GET  /league/v1/light/{method}, …/blocks; POST /league/v1/light
                                          what light clients need of the engine  anybody
    GET  /league/v1/catalogue             what is public here, without content   anybody
    GET  /league/v1/references            references to what is not here         a client with a token
    GET  /league/v1/replicas, …/{name}    the states of what others published    an operator
    POST /league/v1/replicas/retry        have it requested again                an operator
    GET  /league/v1/peers, …/{did}/evidence
                                          what is known of the other members     an operator
    GET  /league/v1/followed?key=         how far this member is with its own    a signing member
    GET  /league/v1/lost                  what of ours the store has lost        an operator
    POST /league/v1/lost/restore          take it back from other members        an operator
    POST /league/v1/lost/restore-confidential
                                          likewise what was for some members     an operator
    POST /league/v1/lost/withdraw, …/withdraw-confidential
                                          withdraw what nobody has               an operator
    POST /league/v1/resync                compare the store with the ledger      an operator
    …    /league/v1/subscriptions…        webhooks for committed events          a client that may write
    GET  /league/v1/audit                 the audit log                          an operator
    POST /league/v1/writes                a write that a member forwards         a signing member
    GET  /league/v1/writes/{id}           what became of a queued write          the client that queued it

`GET /league/v1/status` is the node's own (`hansa.node.http.own_routes`): it reports on the process too.

Each path has a module with a class whose methods are the handlers. A handler reads its parameters with
`Parameters`, learns who calls from `callers`, and answers with `json_response`; an error it raises, and the
application that serves the routes makes it a response in TM Forum's form. While the ledger cannot be reached,
what depends on it is answered with 503 and `Retry-After`; entities and the catalogue are served all the same.
"""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from hansa.api.audit.log import AUDIT_PATH, AuditApi
from hansa.api.between_members.bundles import BundlesApi
from hansa.api.between_members.peers import PeersApi
from hansa.api.catalogue import CatalogueApi
from hansa.api.confidential.returning import ReturnsApi
from hansa.api.confidential.serving import ConfidentialApi
from hansa.api.decisions.members import MembersApi
from hansa.api.decisions.proposals import ProposalsApi
from hansa.api.entities import EntitiesApi
from hansa.api.events import EventsApi
from hansa.api.ledger import LedgerApi
from hansa.api.light import LightApi, LightReads, NoEngine
from hansa.api.light_members import (
    LedgerParts,
    LedgerPartsApi,
    NoParts,
    NoSubmissions,
    SubmissionsApi,
    Submits,
)
from hansa.api.newcomers.bootstrap import BOOTSTRAP_PATH, GENESIS_PATH, BootstrapApi, BootstrapSource
from hansa.api.newcomers.history import HISTORY_PATH, HistoryApi, HistoryReads, NoHistory
from hansa.api.newcomers.snapshots import NoSnapshots, SnapshotReads, SnapshotsApi
from hansa.api.receipts import NoReceipts, ReceiptReads, ReceiptsApi
from hansa.api.references import DanglingReferences, ReferencesApi
from hansa.api.replicas import ReplicasApi
from hansa.api.trust.decisions import TrustApi
from hansa.api.trust.issuers import REGISTRY_PATH, TrustedIssuersApi
from hansa.api.webhooks.registrations import SUBSCRIPTIONS_PATH, SubscriptionsApi
from hansa.api.writes.monitors import Monitors, NoQueue, WriteMonitorsApi
from hansa.api.writes.receiving import ForwardingParts, WritesApi
from hansa.core.access import Authenticate
from hansa.core.audit import AuditNotes, NoNotes
from hansa.core.clock import Clock
from hansa.core.events import ENTITIES_PATH
from hansa.core.forwarding import WRITES_PATH
from hansa.core.http import AnswerSigner, CallerCheck
from hansa.core.limits import Limits
from hansa.pubsub.bus import BusReads
from hansa.pubsub.light.remote import LIGHT_PATH
from hansa.pubsub.light_member.wire import BATCHES_PATH, SNAPSHOTS_PATH, STATE_PATH, TRANSACTIONS_PATH
from hansa.replication.announced.bundles import BUNDLES_PATH
from hansa.replication.announced.retained_bundles import RetainedBundles
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.confidential.exchange import CONFIDENTIAL_PATH
from hansa.replication.confidential.return_exchange import LOST_PATH
from hansa.replication.confidential.returns import SealedReturns
from hansa.replication.continuity.restoration import EntityRestoration
from hansa.replication.continuity.resync import Resync
from hansa.replication.continuity.sealed_restoration import SealedRestoration
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.replication.replicas.pushed import PushedParts
from hansa.replication.sources.peers import FOLLOWED_PATH, PeerView
from hansa.replication.sources.serving import VersionSource
from hansa.store import Store

__all__ = ["LeagueContext", "routes"]


class LeagueContext(msgspec.Struct, frozen=True):
    """What the handlers work with."""

    store: Store
    """Entities, and what has been published of them."""
    bus: BusReads
    """Events and the ledger."""
    registry: MemberRegistry
    caller_check: CallerCheck
    """Finds out which member signed a request."""
    authenticate: Authenticate
    """Finds out which client a token belongs to."""
    dangling_references: DanglingReferences
    replicas: ReplicaControl
    """What an operator sees and does about replicas."""
    resync: Resync
    """Compares the store with the ledger."""
    restoration: EntityRestoration
    """Takes own entities back that were lost."""
    sealed_restoration: SealedRestoration
    """Takes confidential ones back."""
    returns: SealedReturns
    """Gives other members theirs back."""
    pushed: PushedParts
    """What other members have pushed."""
    subscriptions: SubscriptionsApi
    """Webhooks for committed events."""
    did: str
    """This marketplace's own."""
    clock: Clock
    limits: Limits
    policy: DistributionPolicy
    """Who may retrieve what."""
    types: frozenset[str] = frozenset()
    """Types of which entities are published, by which names in queries are checked; empty: any name."""
    light: LightReads = NoEngine()
    """What light clients need of the engine."""
    bootstrap: BootstrapSource = BootstrapSource()
    """What newcomers need."""
    snapshots: SnapshotReads = NoSnapshots()
    """Snapshots of the ledger's state."""
    history: HistoryReads = NoHistory()
    """All events."""
    receipts: ReceiptReads = NoReceipts()
    forwarding: ForwardingParts | None = None
    """What writes of other members pass; None: none are taken."""
    notes: AuditNotes = NoNotes()
    """Takes note of what is served and refused, for the audit log."""
    bundles: RetainedBundles | None = None
    """What was pushed last; None: nothing is pushed."""
    peers: PeerView | None = None
    """What is known of the other members; None: nothing."""
    answers: AnswerSigner | None = None
    """Signs what other members are answered; None: nothing is signed."""
    queue: Monitors = NoQueue()
    """Has the writes that wait for their origins."""
    endpoint: str = ""
    """Where this marketplace is reached."""
    parts: LedgerParts = NoParts()
    """What light members read of the ledger."""
    submissions: Submits = NoSubmissions()
    """Takes transactions of light members."""


def _subscription_routes(api: SubscriptionsApi) -> list[Route]:
    return [
        Route(SUBSCRIPTIONS_PATH, api.list, methods=["GET"]),
        Route(SUBSCRIPTIONS_PATH, api.add, methods=["POST"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}", api.one, methods=["GET"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}", api.end, methods=["DELETE"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}/dead-letters", api.dead_letters, methods=["GET"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}/resend", api.resend, methods=["POST"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}/resume", api.resume, methods=["POST"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}/secret", api.secret, methods=["GET"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}/secret", api.exchange_secret, methods=["POST"]),
        Route(f"{SUBSCRIPTIONS_PATH}/{{id}}/test", api.test, methods=["POST"]),
    ]


def _newcomer_routes(context: LeagueContext) -> list[Route]:
    bootstrap = BootstrapApi(context.bootstrap, context.limits)
    snapshots = SnapshotsApi(context.snapshots, context.limits)
    history = HistoryApi(context.history, context.limits)
    return [
        Route(GENESIS_PATH, bootstrap.genesis, methods=["GET"]),
        Route(BOOTSTRAP_PATH, bootstrap.bootstrap, methods=["GET"]),
        Route(SNAPSHOTS_PATH, snapshots.list, methods=["GET"]),
        Route(f"{SNAPSHOTS_PATH}/{{height}}", snapshots.manifest, methods=["GET"]),
        Route(f"{SNAPSHOTS_PATH}/{{height}}/{{index}}", snapshots.chunk, methods=["GET"]),
        Route(f"{HISTORY_PATH}/{{number}}", history.segment, methods=["GET"]),
    ]


def _confidential_routes(context: LeagueContext) -> list[Route]:
    api = ConfidentialApi(
        *(context.store, context.caller_check, context.authenticate, context.limits),
        *(context.bus, context.notes),
    )
    returns = ReturnsApi(context.returns, context.caller_check, context.limits, context.notes)
    return [
        Route(LOST_PATH, returns.lost, methods=["POST"]),
        Route(CONFIDENTIAL_PATH, api.parts, methods=["POST"]),
        Route(CONFIDENTIAL_PATH, api.report, methods=["GET"]),
    ]


def _write_routes(context: LeagueContext) -> tuple[Route, ...]:
    limits = context.limits
    writes = WritesApi(
        *(context.store, context.bus, context.caller_check, context.forwarding),
        *(context.clock, limits, context.notes),
    )
    monitors = WriteMonitorsApi(context.queue, context.authenticate, limits, context.endpoint)
    return (
        Route(WRITES_PATH, writes.receive, methods=["POST"]),
        Route(f"{WRITES_PATH}/{{id}}", monitors.one, methods=["GET"]),
    )


def _peer_routes(context: LeagueContext, source: VersionSource) -> list[Route]:
    check, limits = context.caller_check, context.limits
    bundles = BundlesApi(check, context.pushed, context.bundles, context.answers, source, limits)
    peers = PeersApi(
        *(context.store, context.peers, context.replicas, context.did, check, context.authenticate, limits)
    )
    return [
        Route(BUNDLES_PATH, bundles.push, methods=["POST"]),
        Route(BUNDLES_PATH, bundles.list, methods=["GET"]),
        Route(f"{BUNDLES_PATH}/{{digest}}", bundles.one, methods=["GET"]),
        Route("/league/v1/peers", peers.list, methods=["GET"]),
        Route("/league/v1/peers/{did}/evidence", peers.evidence, methods=["GET"]),
        Route("/league/v1/peers/{did}/pause", peers.pause, methods=["POST"]),
        Route("/league/v1/peers/{did}/resume", peers.resume, methods=["POST"]),
        Route(FOLLOWED_PATH, peers.followed, methods=["GET"]),
    ]


def routes(context: LeagueContext) -> list[Route]:
    """All routes, for the application that makes responses of the errors that they raise."""
    limits, registry = context.limits, context.registry
    source = VersionSource(context.store, context.policy)
    entities = EntitiesApi(
        *(context.store, context.caller_check, limits, context.policy, context.notes, source, context.answers)
    )
    audit = AuditApi(context.store, context.authenticate, context.did, limits)
    events = EventsApi(context.bus, registry, context.clock, limits, context.types)
    members = MembersApi(context.bus, registry, limits)
    proposals = ProposalsApi(context.bus, limits)
    ledger = LedgerApi(context.bus, registry, limits)
    receipts = ReceiptsApi(context.receipts, limits)
    light = LightApi(context.light, limits)
    catalogue = CatalogueApi(context.store, context.did, limits, context.policy, context.types)
    references = ReferencesApi(context.dangling_references, context.authenticate, limits)
    trust = TrustApi(context.bus, context.clock, limits)
    issuers = TrustedIssuersApi(context.bus, registry, context.did, limits)
    replicas = ReplicasApi(
        *(context.replicas, context.resync, context.restoration, context.sealed_restoration),
        *(context.authenticate, limits),
    )
    parts = LedgerPartsApi(context.parts, limits)
    submissions = SubmissionsApi(context.submissions, context.caller_check, limits)
    return [
        *_replica_routes(replicas),
        *_peer_routes(context, source),
        Route(ENTITIES_PATH, entities.many, methods=["POST"]),
        *_confidential_routes(context),
        Route(f"{ENTITIES_PATH}/{{id:path}}/receipt", receipts.receipt, methods=["GET"]),
        Route(f"{ENTITIES_PATH}/{{id:path}}/history", receipts.history, methods=["GET"]),
        Route(f"{ENTITIES_PATH}/{{id:path}}", entities.one, methods=["GET"]),
        Route("/league/v1/events", events.page, methods=["GET"]),
        Route("/league/v1/events/stream", events.stream, methods=["GET"]),
        Route("/league/v1/members", members.list, methods=["GET"]),
        Route("/league/v1/members/{did}/history", receipts.member, methods=["GET"]),
        Route("/league/v1/proposals", proposals.list, methods=["GET"]),
        Route("/league/v1/proposals/{name}", proposals.one, methods=["GET"]),
        Route("/league/v1/ledger", ledger.get, methods=["GET"]),
        Route("/league/v1/ledger/inclusion/{position}", ledger.inclusion, methods=["GET"]),
        Route("/league/v1/ledger/consistency/{size}", ledger.consistency, methods=["GET"]),
        Route("/league/v1/ledger/leaves", ledger.leaves, methods=["GET"]),
        Route("/league/v1/ledger/checkpoints", ledger.checkpoints, methods=["GET"]),
        Route("/league/v1/ledger/claims/{key}", ledger.claims, methods=["GET"]),
        Route(STATE_PATH, parts.state, methods=["GET"]),
        Route(BATCHES_PATH, parts.batches, methods=["GET"]),
        Route(TRANSACTIONS_PATH, submissions.add, methods=["POST"]),
        *_newcomer_routes(context),
        Route(LIGHT_PATH, light.rpc, methods=["POST"]),
        Route(f"{LIGHT_PATH}/blocks", light.blocks, methods=["GET"]),
        Route(f"{LIGHT_PATH}/{{method}}", light.call, methods=["GET"]),
        Route("/league/v1/catalogue", catalogue.page, methods=["GET"]),
        Route("/league/v1/references", references.list, methods=["GET"]),
        *_subscription_routes(context.subscriptions),
        Route(AUDIT_PATH, audit.page, methods=["GET"]),
        *_write_routes(context),
        Route("/league/v1/anchors", trust.anchors, methods=["GET"]),
        Route("/league/v1/certificates", trust.certificates, methods=["GET"]),
        Route("/league/v1/policies", trust.policies, methods=["GET"]),
        Route(f"{REGISTRY_PATH}/v4/issuers", issuers.list, methods=["GET"]),
        Route(f"{REGISTRY_PATH}/v4/issuers/{{did}}", issuers.one_with_attributes, methods=["GET"]),
        Route(f"{REGISTRY_PATH}/v5/issuers", issuers.list, methods=["GET"]),
        Route(f"{REGISTRY_PATH}/v5/issuers/{{did}}", issuers.one, methods=["GET"]),
        Route(f"{REGISTRY_PATH}/v5/issuers/{{did}}/attributes", issuers.attributes, methods=["GET"]),
        Route(f"{REGISTRY_PATH}/v5/issuers/{{did}}/attributes/{{id}}", issuers.attribute, methods=["GET"]),
    ]


def _replica_routes(replicas: ReplicasApi) -> list[Route]:
    """What operators see and do about replicas, and about what the store has lost."""
    return [
        Route("/league/v1/replicas", replicas.list, methods=["GET"]),
        Route("/league/v1/lost", replicas.lost, methods=["GET"]),
        Route("/league/v1/lost/restore", replicas.restore, methods=["POST"]),
        Route("/league/v1/lost/restore-confidential", replicas.restore_confidential, methods=["POST"]),
        Route("/league/v1/lost/withdraw-confidential", replicas.withdraw_confidential, methods=["POST"]),
        Route("/league/v1/lost/withdraw", replicas.withdraw, methods=["POST"]),
        Route("/league/v1/incomplete", replicas.incomplete, methods=["GET"]),
        Route("/league/v1/replicas/retry", replicas.retry, methods=["POST"]),
        Route("/league/v1/resync", replicas.resync, methods=["POST"]),
        Route("/league/v1/replicas/{name:path}", replicas.one, methods=["GET"]),
    ]
