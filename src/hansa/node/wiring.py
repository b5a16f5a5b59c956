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

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from hansa.api import routes as league_routes
from hansa.api.catalogue import catalogue_routes
from hansa.api.references import reference_routes
from hansa.business import BusinessApp
from hansa.business.context import Context, Policies
from hansa.business.hub import HubDispatcher
from hansa.business.index_plan import index_plan
from hansa.business.jobs.files import JobFiles
from hansa.business.jobs.runner import JobRunner
from hansa.business.models import Models
from hansa.business.models import load as load_models
from hansa.business.rules import Rules
from hansa.business.validation.extensions import Extensions
from hansa.business.visibility import PublicParts
from hansa.core.access import Authenticate
from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.core.keys import SigningKey
from hansa.core.members import Member
from hansa.identity import MemberCallerCheck, MemberSigner, TokenAuthenticate
from hansa.node.folder import JOBS, LEDGER, MEMBER_KEY, SCHEMAS, STORE, TOKEN_KEY
from hansa.node.http.front_door import FrontDoor
from hansa.node.http.own_routes import OwnRoutes, rest_application
from hansa.node.http.traffic import Traffic
from hansa.node.ledger_view import LedgerView
from hansa.node.outbound import OutboundClient, origin_of
from hansa.node.registry import MemberRegistry
from hansa.node.settings.loading import Settings
from hansa.node.status import StatusReporter
from hansa.node.tasks import BackgroundTasks
from hansa.portal.routes import DocsRoutes
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import (
    ABCI_SOCKET,
    RPC_SOCKET,
    ChildSpec,
    EngineProgress,
    EngineSettings,
    EngineWatch,
    Exit,
    Supervised,
    engine_environment,
    engine_spec,
    json_relay,
    supervised_engine,
    write_home,
)
from hansa.replication import Backlog, Follower, Publisher, ReplicationView, Retriever, counters
from hansa.store import Store
from hansa.store.tables import subscriptions

log = structlog.get_logger("hansa.node")

LEDGER_STATE_NAME: Final = "state.db"


class Children:
    """The two child processes; the engine is started after the application that it talks to."""

    def __init__(
        self, settings: Settings, genesis: bytes, environment: Mapping[str, str], clock: Clock
    ) -> None:
        limits = settings.limits
        self._clock, self._engine_stall_s = clock, limits.engine_stall_s
        write_home(
            LEDGER,
            EngineSettings(
                name=settings.name,
                p2p_port=settings.p2p_port,
                p2p_host=settings.p2p_host,
                p2p_external_address=settings.p2p_external_address,
                persistent_peers=settings.persistent_peers,
                is_single_machine=settings.single_machine,
            ),
            genesis,
        )
        application = ChildSpec(
            name="ledger",
            argv=(
                sys.executable,
                "-m",
                "hansa.pubsub.ledger",
                "--state",
                LEDGER_STATE_NAME,
                "--socket",
                ABCI_SOCKET,
            ),
            folder=LEDGER,
            environment={**engine_environment(environment), "PYTHONPATH": os.pathsep.join(sys.path)},
            stop_timeout_s=limits.stop_timeout_s,
            restart_backoff_max_s=limits.restart_backoff_max_s,
        )
        engine = engine_spec(
            LEDGER,
            environment,
            stop_timeout_s=limits.stop_timeout_s,
            restart_backoff_max_s=limits.restart_backoff_max_s,
        )
        self.engine = supervised_engine(engine, clock, log)
        self.application = Supervised(
            application,
            clock,
            log,
            json_relay(structlog.get_logger("hansa.ledger").bind(child="ledger")),
            on_exit=self._end_engine_too,
        )

    def _end_engine_too(self, _: Exit) -> None:
        """The engine is of no use without its application; it means to end then, and sometimes hangs in the attempt."""
        self.engine.kill()

    def all(self) -> tuple[Supervised, ...]:
        """Both, in the order in which they start."""
        return self.application, self.engine

    async def run_application(self) -> None:
        """Keep the ledger application running, until cancelled."""
        await self.application.start()
        await self.application.wait_until_ended()

    async def run_engine(self) -> None:
        """Keep the engine running, until cancelled."""
        await self.engine.start()
        await self.engine.wait_until_ended()

    async def watch_engine(self, progress: Callable[[], Awaitable[EngineProgress]]) -> None:
        """Have an engine that does not go on started again, until cancelled."""
        await EngineWatch(self.engine, progress, self._engine_stall_s, self._clock, log).run()

    async def stop(self) -> None:
        """Stop both, the engine first: it ends badly when its application goes before it."""
        await self.engine.stop()
        await self.application.stop()


class ListenerOrigins:
    """Origins of the hub listeners that are registered now."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = subscriptions.Revision(-1, 0)
        self._origins: set[str] = set()

    async def has_origin(self, origin: str) -> bool:
        """Whether a listener is registered at an origin."""
        revision = await subscriptions.revision(self._store)
        if revision != self._known:
            after = self._known.revision
            if revision.ended != self._known.ended:
                after = -1
                self._origins.clear()
            self._origins.update(map(origin_of, await subscriptions.callbacks(self._store, after)))
            self._known = revision
        return origin in self._origins


class ImportOrigins:
    """Origins that the operator lets import jobs fetch from."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._origins = frozenset(map(origin_of, hosts))

    async def has_origin(self, origin: str) -> bool:
        """Whether an origin is one of them."""
        return origin in self._origins


def surroundings(
    settings: Settings,
    store: Store,
    models: Models,
    authenticate: Authenticate,
    clock: Clock,
    entropy: Entropy,
) -> tuple[Context, JobFiles]:
    """What the handlers of the TM Forum APIs work with, as the settings say.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, when an extension schema cannot be used.
    """
    desk = JobFiles(JOBS, models, settings.limits)
    context = Context(
        store=store,
        models=models,
        authenticate=authenticate,
        clock=clock,
        entropy=entropy,
        limits=settings.limits,
        endpoint=settings.endpoint,
        rules=Rules(
            models,
            unresolved_references=settings.unresolved_references,
            referenced_deletion=settings.referenced_deletion,
            limits=settings.limits,
        ),
        policies=Policies(settings.unknown_attributes),
        extensions=Extensions.load(SCHEMAS, settings.unknown_extensions),
        jobs=desk,
    )
    return context, desk


class Marketplace:
    """A marketplace, put together and not yet running. Made by `assemble`."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        models: Models,
        registry: MemberRegistry,
        children: Children,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        limits, did, endpoint = settings.limits, settings.did, settings.endpoint
        private = settings.allow_private_networks
        member_key = SigningKey.load(MEMBER_KEY)
        self.store = store
        self.children = children
        self.bus = CometBftBus(LEDGER / RPC_SOCKET, clock, limits)
        self.to_members = OutboundClient(registry.has_origin, allow_private_networks=private)
        self.to_listeners = OutboundClient(ListenerOrigins(store).has_origin, allow_private_networks=private)
        self.to_files = OutboundClient(
            ImportOrigins(settings.import_hosts).has_origin, allow_private_networks=private
        )

        # Who calls, and who we are to others.
        authenticate = TokenAuthenticate(SigningKey.load(TOKEN_KEY).verifying_key(), did, clock)
        signer = MemberSigner(member_key, did, clock, entropy, limits)
        caller_check = MemberCallerCheck(did, endpoint, registry.members, clock, limits)

        # The TM Forum APIs and their notifications.
        context, desk_of_jobs = surroundings(settings, store, models, authenticate, clock, entropy)
        business = BusinessApp(context)
        jobs = JobRunner(context, desk_of_jobs, business.resources, self.to_files)
        hub = HubDispatcher(store, models, self.to_listeners, clock, entropy, limits, endpoint)

        # What of ours goes to the others, and of theirs comes here.
        types, backlog, parts = models.catalogue_types, Backlog(clock), PublicParts(models)
        publisher = Publisher(
            store, self.bus, member_key, did, endpoint, types, clock, entropy, limits, parts
        )
        follower = Follower(store, self.bus, did, types, backlog, clock, entropy, limits)
        retriever = Retriever(
            store, self.bus, self.to_members, signer, did, backlog, clock, entropy, limits, models.belongs_to
        )

        # What runs in the background.
        self.tasks = BackgroundTasks(clock, log, limits.restart_backoff_max_s)
        self.tasks.add("ledger", children.run_application)
        self.tasks.add("engine", children.run_engine)
        self.tasks.add("engine watch", lambda: children.watch_engine(self.bus.progress))
        self.tasks.add("registry", lambda: registry.follow(self.bus, clock))
        self.tasks.add("publisher", publisher.run)
        self.tasks.add("follower", follower.run)
        self.tasks.add("retriever", retriever.run)
        self.tasks.add("hub", hub.run)
        self.tasks.add("jobs", jobs.run)

        # What is served.
        traffic = Traffic()
        ledger = LedgerView(self.bus, clock)
        view = ReplicationView(store)
        done = partial(counters, publisher, follower, retriever)
        desk = StatusReporter(settings, store, ledger, registry, view, done, self.tasks, children.all, clock)
        own = OwnRoutes(settings, store, ledger, registry, desk, traffic, len(models.apis), hub)
        routes = [
            *own.routes(),
            *DocsRoutes(settings.name, models, endpoint).routes(),
            *catalogue_routes(store, did, limits, parts),
            *reference_routes(store, context.rules, authenticate, clock, limits),
            *league_routes(store, self.bus, caller_check, clock, limits, parts),
        ]
        self.front_door = FrontDoor(business, rest_application(routes), traffic, desk.is_disk_full, clock)

    async def close(self) -> None:
        """Stop what runs and let go of everything, in the order in which parts need one another."""
        await self.tasks.stop()
        await self.children.stop()
        await self.bus.close()
        await self.to_members.close()
        await self.to_listeners.close()
        await self.to_files.close()
        await self.store.close()


async def assemble(
    settings: Settings,
    genesis: bytes,
    members: tuple[Member, ...],
    environment: Mapping[str, str],
    clock: Clock,
    entropy: Entropy,
) -> Marketplace:
    """Put the marketplace of the working folder together.

    Raises:
        Fatal: of the store, the engine's folder or the keys.
    """
    children = Children(settings, genesis, environment, clock)
    models = load_models()
    plan = index_plan(models, settings.indexed_attributes)
    store = await Store.open(Path(STORE), clock, settings.limits, plan=plan)
    try:
        return Marketplace(settings, store, models, MemberRegistry(members), children, clock, entropy)
    except BaseException:
        await store.close()
        raise
