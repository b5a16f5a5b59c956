"""How a marketplace is put together: every part is made here, once, and given what it needs.

    store ◀── business ◀── front door ◀── HTTP
      ▲  ▲                     ▲
      │  └── hub dispatcher    ├── league routes (replication)
      │                        └── health, figures, status, front page
      ├── publisher ──▶ bus ──▶ engine ◀──▶ ledger application   (child processes)
      ├── follower  ◀── bus
      └── retriever ◀── outbound client ◀── other members

Nothing in here decides anything; who wants to know what a part does reads that part.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

import structlog
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from hansa.api import LeagueContext
from hansa.api import routes as league_routes
from hansa.api.newcomers.bootstrap import BootstrapSource
from hansa.api.webhooks import LedgerNotifier, SubscriptionsApi, subscription_filter
from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.business.hub import HubDispatcher
from hansa.business.index_plan import index_plan
from hansa.business.jobs.runner import JobRunner
from hansa.business.models import Models
from hansa.business.models import load as load_models
from hansa.business.search.indexing import IndexProgress
from hansa.business.visibility import PublicParts
from hansa.core.cache import HasFigures
from hansa.core.clock import Clock, rfc3339
from hansa.core.errors import Unavailable
from hansa.core.files import is_missing, write_failure
from hansa.core.http import HttpClient
from hansa.core.identifiers import Entropy
from hansa.core.keys import SigningKey
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.identity import MemberCallerCheck
from hansa.node.clients import Clients
from hansa.node.folder import (
    GENESIS,
    HISTORY,
    NODE_KEY,
    RESTORED,
    SNAPSHOTS,
    STORE,
    member_secret,
    read_genesis,
)
from hansa.node.health import HealthReporter, OwnMembership, membership_checks
from hansa.node.http.callers import Callers
from hansa.node.http.described.documents import LeagueDescriptions
from hansa.node.http.front_door import FrontDoor
from hansa.node.http.own_routes import OwnRoutes
from hansa.node.http.traffic import Traffic
from hansa.node.joining.history import HistoryFetcher
from hansa.node.ledger_access.choosing import open_access
from hansa.node.ledger_access.kinds import LedgerAccess, LightBlocks, NodeBus
from hansa.node.ledger_view import LedgerView
from hansa.node.membership import OwnEndpoints, OwnKey
from hansa.node.membership.release import add_readiness, own_release
from hansa.node.parts.access import AccessParts
from hansa.node.parts.auditing import Auditing, auditing
from hansa.node.parts.business import business_context, hub_dispatcher
from hansa.node.parts.development import development
from hansa.node.parts.forwarding import forwarding, received_writes
from hansa.node.parts.identity import IdentityParts
from hansa.node.parts.onboarding import onboarding_of, onboarding_routes
from hansa.node.parts.pages.marketplace.assembly import MarketplaceParts, marketplace_pages
from hansa.node.parts.pages.operators import Operated
from hansa.node.parts.pages.portal import portal
from hansa.node.parts.replication import Replication, replication_parts
from hansa.node.parts.search import Searching
from hansa.node.settings.loading import Settings
from hansa.node.status import StatusReporter
from hansa.node.tasks import BackgroundTasks
from hansa.node.verifier.logins import trust_sources, wallet_parts
from hansa.pubsub.engine import StateSync, bracketed, read_key
from hansa.pubsub.ledger.reading import RegistryState
from hansa.pubsub.ledger.snapshots.folder import SnapshotFolder
from hansa.pubsub.ledger.snapshots.reading import ServedSnapshots
from hansa.replication import Backlog, ReplicationView, counters
from hansa.replication.claims import nonce_on_ledger
from hansa.replication.continuity.binding import bind_store, is_continued
from hansa.replication.continuity.restored_store import note_restored
from hansa.replication.forwarding.queue import WriteQueue
from hansa.replication.registry import MemberRegistry
from hansa.store import Store
from hansa.store.sqlite.store import SqliteStore

log = structlog.get_logger("hansa.node")

Run = Callable[[], Awaitable[None]]
Tasks = tuple[tuple[str, Run], ...]


def _own_registration(
    settings: Settings, registry: MemberRegistry, own_key: OwnKey, clock: Clock
) -> OwnEndpoints:
    """This member's endpoints, as the registry comes to have them; and its key follows the registry."""
    endpoints = OwnEndpoints(settings.did, settings.endpoint, clock)
    registry.add_listener(own_key.note_members)
    registry.add_listener(endpoints.note_members)
    return endpoints


def bootstrap_source(settings: Settings, genesis: bytes) -> BootstrapSource:
    """What newcomers get of this marketplace."""
    engine = ""
    if settings.bus != "light":
        node_id = read_key(NODE_KEY).node_id
        address = settings.p2p_external_address or f"{bracketed(settings.p2p_host)}:{settings.p2p_port}"
        engine = f"{node_id}@{address}"
    snapshots = SnapshotFolder(SNAPSHOTS)
    return BootstrapSource(
        genesis,
        read_genesis(genesis, GENESIS).chain_id,
        engine,
        lambda: tuple(one.manifest.height for one in snapshots.list()),
    )


def _other_endpoints(registry: MemberRegistry, did: str) -> list[str]:
    return [one.endpoint for one in registry.known() if one.did != did]


def league_context(
    settings: Settings,
    context: Context,
    bus: NodeBus,
    light: LightBlocks,
    bootstrap: BootstrapSource,
    registry: MemberRegistry,
    caller_check: MemberCallerCheck,
    replication: Replication,
    business: BusinessApp,
    queue: WriteQueue,
    audit: Auditing,
) -> LeagueContext:
    """What the handlers of `/league/v1` work with."""
    subscriptions = SubscriptionsApi(
        *(bus.for_strangers, registry, context.store, context.authenticate, context.to_listeners),
        *(context.clock, context.entropy, settings.limits, settings.endpoint),
        types=context.models.catalogue_types,
        allow_private_networks=settings.allow_private_networks,
    )
    parts = PublicParts(context.models)
    return LeagueContext(
        store=context.store,
        bus=bus.for_strangers,
        light=light,
        bootstrap=bootstrap,
        history=bus.for_strangers,
        snapshots=ServedSnapshots(SnapshotFolder(SNAPSHOTS)),
        parts=bus.for_strangers,
        submissions=bus,
        receipts=light,
        registry=registry,
        caller_check=caller_check,
        authenticate=context.authenticate,
        dangling_references=partial(context.rules.dangling_references, context.store),
        replicas=replication.control,
        pushed=replication.pushed,
        answers=replication.answers,
        bundles=replication.pusher.retained,
        peers=replication.peers,
        resync=replication.resync,
        restoration=replication.restoration,
        sealed_restoration=replication.sealed_restoration,
        returns=replication.returns,
        subscriptions=subscriptions,
        did=settings.did,
        clock=context.clock,
        limits=settings.limits,
        policy=replication.policy,
        types=context.models.catalogue_types,
        forwarding=received_writes(
            *(settings, context.store, business, parts, replication.audiences),
            *(registry, caller_check, context.clock),
        ),
        queue=queue,
        notes=audit.notes,
        endpoint=settings.endpoint,
    )


def ledger_notifier(
    context: Context, bus: NodeBus, registry: MemberRegistry, to_listeners: HttpClient
) -> LedgerNotifier:
    """What posts the events of the league to listeners."""
    return LedgerNotifier(
        bus.for_strangers,
        registry,
        partial(
            subscription_filter,
            types=context.models.catalogue_types,
            registry=registry,
            limits=context.limits,
        ),
        *(context.store, to_listeners, context.clock, context.entropy, context.limits),
    )


def front_door(
    settings: Settings,
    business: BusinessApp,
    rest: Starlette,
    traffic: Traffic,
    reporter: StatusReporter,
    clock: Clock,
    entropy: Entropy,
) -> FrontDoor:
    """The root application."""
    return FrontDoor(
        *(business, rest, traffic, reporter.is_disk_full, clock, entropy, settings.allowed_origins),
        compressor=business.compressor,
        has_access_log=settings.access_log,
    )


def status_parts(
    settings: Settings,
    store: Store,
    bus: NodeBus,
    registry: MemberRegistry,
    replication: Replication,
    access: LedgerAccess,
    tasks: BackgroundTasks,
    searching: Callable[[], Awaitable[IndexProgress]],
    chain_id: str,
    light: LightBlocks,
    own: Callable[[], OwnMembership],
    clock: Clock,
    policies_problem: Callable[[], str | None],
    trust_problem: Callable[[], str | None],
) -> tuple[LedgerView, StatusReporter]:
    """What reports the state of the ledger, and that of the whole marketplace."""
    ledger, view = (
        LedgerView(bus, clock, bus.waiting, access.pids),
        ReplicationView(store, clock, settings.limits),
    )
    publisher = replication.publisher
    health = HealthReporter(
        *(settings.did, ledger, registry, view, lambda: publisher.problem),
        lambda: replication.follower.is_ledger_behind,
        lambda: replication.watch.problem or policies_problem(),
        trust_problem,
        record=bus.record,
        guard=access.guard,
        following=lambda: access.following,
        blocks=access.blocks,
        release=own_release(),
        stopped_because=lambda: access.upgrade_message,
        evidence=lambda: light.evidence,
        membership=membership_checks(bus.league, own),
        clock=clock,
    )
    done = partial(
        counters,
        *(publisher, replication.follower, replication.retriever, replication.walk),
        *(replication.sealing, replication.opening),
    )
    reporter = StatusReporter(
        *(
            settings,
            store,
            ledger,
            registry,
            view,
            done,
            replication.retriever.sources.filling.progress,
            searching,
            tasks,
        ),
        *(access, health, chain_id, clock),
    )
    return ledger, reporter


class Marketplace:
    """A marketplace, put together and not yet running. Made by `assemble`."""

    def __init__(
        self,
        settings: Settings,
        store: SqliteStore,
        models: Models,
        bus: NodeBus,
        registry: MemberRegistry,
        own_key: OwnKey,
        access: LedgerAccess,
        chain_id: str,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        limits, did, endpoint = settings.limits, settings.did, settings.endpoint
        self.store, self.access, self.bus = store, access, bus
        endpoints = _own_registration(settings, registry, own_key, clock)
        self.clients = Clients(settings, store, registry)
        to_members, to_listeners = self.clients.to_members, self.clients.to_listeners
        self.light = access.light_blocks(to_members, registry)
        # The TM Forum APIs, their jobs and their notifications.
        self.identity = identity = IdentityParts(settings, store, registry, own_key, clock, entropy)
        self.rights = AccessParts(clock, limits, identity.party_roles.of)
        self.trust = trust_sources(settings, self.clients.to_issuers, clock)
        identifiers = OwnIdentifiers(did, entropy, registry.known, partial(nonce_on_ledger, self.bus, did))
        audit = auditing(store, did, Backlog(clock), clock, entropy, limits)
        basis = settings, store, bus, registry, to_members, own_key, clock, entropy
        forwards = forwarding(*basis, audit.notes, member_secret(Path()), identity.endings)
        context, job_files = business_context(
            *(settings, store, models, identity, clock, entropy, identifiers, to_listeners, forwards),
            is_waiting=lambda one: replication.closure.is_waiting(one),  # noqa: PLW0108 - it is made below
            former_status=registry.former_status,
            withheld_by=lambda one: replication.policy.withheld_by(one),  # noqa: PLW0108 - likewise
            authorize=self.rights.rights,
        )
        business = BusinessApp(context, job_files)
        self.searching = searching = Searching(context, registry, settings.name)
        jobs = JobRunner(context, job_files, business.operations, self.clients.to_files)
        hub = hub_dispatcher(context, to_listeners)
        webhooks = ledger_notifier(context, self.bus, registry, to_listeners)
        replicated = models, context.rules.references_of, audit.backlog, audit.notes, chain_id
        self.replication = replication = replication_parts(*basis, *replicated)
        # What runs in the background.
        self.tasks = BackgroundTasks(clock, log, limits.restart_backoff_max_s)
        access.add_tasks(self.tasks, to_members)
        add_readiness(self.tasks, access, own_key, did, clock, log)
        own_tasks = registry, did, clock, jobs.run, hub.run, webhooks.run, forwards.queue.run
        groups = replication, audit, identity, searching, self.rights
        self._add_tasks(*own_tasks, *(one.tasks() for one in groups))
        # What is served.
        self.traffic = traffic = Traffic()
        ledger, reporter = status_parts(
            *(settings, store, self.bus, registry, replication, access, self.tasks, searching.progress),
            *(chain_id, self.light, lambda: OwnMembership(did, own_key.kid, endpoint), clock),
            policies_problem=lambda: self.rights.watch.problem,
            trust_problem=lambda: self.trust.problem,
        )
        operated = did, endpoint, store, bus, own_key, self.light, registry, reporter, replication
        self.operated = Operated(*operated, clock, entropy)
        checked = did, endpoints.accepted, registry.callers, clock, limits
        caller_check = MemberCallerCheck(*checked, on_request=replication.is_alive)
        self.callers = Callers(limits, clock.monotonic, identity.authenticate.claimed, caller_check.claimed)
        served = settings, context, self.bus, self.light, bootstrap_source(settings, access.genesis)
        league = league_context(*served, registry, caller_check, replication, business, forwards.queue, audit)
        caches = [*store.caches, *business.caches, *hub.caches, *self.light.caches, *replication.caches]
        caches += *self.identity.caches, *searching.caches, caller_check.keys.cache
        others = [*league_routes(league), *self.rights.routes(context)]
        reported = replication, others, hub, ledger, reporter, traffic, caches
        self.metrics, rest = self._rest(settings, context, business, registry, *reported)
        self.front_door = front_door(settings, business, rest, traffic, reporter, clock, entropy)
        self._stop_waits = forwards.positions.stop

    def _rest(
        self,
        settings: Settings,
        context: Context,
        business: BusinessApp,
        registry: MemberRegistry,
        replication: Replication,
        others: list[BaseRoute],
        hub: HubDispatcher,
        ledger: LedgerView,
        reporter: StatusReporter,
        traffic: Traffic,
        caches: list[HasFigures],
    ) -> tuple[Starlette, Starlette]:
        """What serves the figures alone, and what serves all but the TM Forum APIs."""
        described = LeagueDescriptions(settings.endpoint)
        served_to = self.identity.people, business, self.searching, self.bus.for_strangers, registry
        shown = *served_to, self.operated, replication, self.clients.to_members
        pages = portal(settings, context, reporter.overview, described, *shown)
        self.tasks.add("page jobs", pages.run)
        from_wallets = self.bus, self.clients.to_issuers, self.trust, self.identity
        wallets = wallet_parts(settings, *from_wallets, pages.frame, context.clock, context.entropy, log)
        trial = development(
            *(settings, self.store, self.identity.authenticate, self.identity.sessions, self.identity.proofs),
            pages.frame,
            self.clients.to_members,
            *(context.clock, context.entropy),
        )
        caches += *wallets.caches, *trial.caches, self.callers.cheap, *pages.caches
        served = self.store, reporter, ledger, traffic, hub, tuple(caches)
        own = OwnRoutes(*served, self.store.commit_times, self.identity.authenticate, described)
        oidc = self.identity.routes(pages.frame, wallets.credentials)
        self.tasks.add("credentials of sessions", self.identity.status_watch(wallets.credentials).run)
        basis = settings, self.store, self.identity
        onboarding = onboarding_of(*basis, business.operations, context.clock)
        oidc += *onboarding_routes(*basis, pages.frame, onboarding, trial.issuer), *trial.routes
        running = reporter, self.tasks, traffic, caches, self.callers
        parts = registry, self.rights, replication, running, onboarding, trial.issuer
        own_pages = marketplace_pages(pages, MarketplaceParts(settings, context, self.identity, *parts))
        rest = pages.application([*own.routes(), *others, *wallets.routes, *oidc, *own_pages])
        return own.metrics_application(), rest

    def _add_tasks(
        self,
        registry: MemberRegistry,
        did: str,
        clock: Clock,
        jobs: Run,
        hub: Run,
        webhooks: Run,
        queue: Run,
        *groups: Tasks,
    ) -> None:
        """Add what runs in the background, and groups of it."""
        history = self._history(registry, did, clock)
        own = (
            *(("registry", registry.follow), ("light blocks", self.light.run)),
            *(("jobs", jobs), ("history", history), ("trust anchors", self.trust.run)),
            *(("hub", hub), ("webhooks", webhooks), ("write queue", queue)),
        )
        for name, run in chain(own, *groups):
            self.tasks.add(name, run)

    def _history(self, registry: MemberRegistry, did: str, clock: Clock) -> Callable[[], Awaitable[None]]:
        """What fetches the history of a ledger that began with a snapshot, from the other members."""
        others = partial(_other_endpoints, registry, did)
        return HistoryFetcher(HISTORY, self.bus, self.clients.to_members, others, clock, log).run

    def stop(self) -> None:
        """End the responses that would wait for long, so that the server can stop."""
        self.front_door.stop_streams()
        self._stop_waits()

    async def close(self) -> None:
        """Stop what runs and let go of everything, in the order in which parts need one another."""
        await self.tasks.stop()
        await self.access.stop()
        await self.bus.close()
        self.light.close()
        await self.clients.close()
        await self.identity.close()
        await self.searching.close()
        await self.store.close()


async def assemble(
    settings: Settings,
    genesis: bytes,
    registered: RegistryState,
    member_key: SigningKey,
    environment: Mapping[str, str],
    clock: Clock,
    entropy: Entropy,
    state_sync: StateSync | None = None,
) -> Marketplace:
    """Put the marketplace of the working folder together.

    Raises:
        Fatal: of the store, which may be another marketplace's or another ledger's (`Code.STORE_FOREIGN`), of
            the engine's folder or the keys.
    """
    own_key = OwnKey(Path(), settings.did, member_key, clock, log)
    registry, access = open_access(
        settings, genesis, registered, own_key, environment, clock, entropy, state_sync
    )
    models = load_models()
    plan = index_plan(models, settings.indexed_attributes)
    store = await SqliteStore.open(Path(STORE), clock, settings.limits, plan=plan)
    document = read_genesis(genesis, GENESIS)
    try:
        await bind_store(store, settings.did, document.chain_id, document.genesis_time)
        await _adopt_restored(store, clock)
        parts = access.bus, registry, own_key, access, document.chain_id
        marketplace = Marketplace(settings, store, models, *parts, clock, entropy)
        await marketplace.identity.load()
        with suppress(Unavailable):  # before the first start there is no ledger to compare with
            await is_continued(store, access.bus)
    except BaseException:
        await store.close()
        raise
    return marketplace


async def _adopt_restored(store: Store, clock: Clock) -> None:
    """Note in a store that was restored to take newer versions from the league since when it may be written.

    Raises:
        Fatal: The mark in the folder cannot be removed.
    """
    if is_missing(RESTORED):
        return
    await note_restored(store, rfc3339(clock.now()))
    try:
        RESTORED.unlink(missing_ok=True)
    except OSError as error:
        raise write_failure(RESTORED, error) from error
