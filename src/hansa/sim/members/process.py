"""One process of a simulated member, put together from the production code, from its start to its end.

A process ends in one of two ways. It is *stopped*: its tasks are cancelled, and its store is closed. Or it
*crashes*: nothing of it has any effect from that moment on. Its tasks are cancelled too, but whatever they
still do meets a network and a ledger that do not listen to it, and a file that nobody reads any more, since
the next process begins with a copy of what was on the disk at that moment.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import apsw

from hansa.api import LeagueContext, routes
from hansa.api.webhooks import SubscriptionsApi
from hansa.business import BusinessApp
from hansa.business.context import Context
from hansa.business.index_plan import index_plan
from hansa.business.models import Models, load
from hansa.business.rules import Rules
from hansa.business.visibility import PublicParts
from hansa.core.access import ANONYMOUS, Caller
from hansa.core.clock import Clock
from hansa.core.errors import Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.identity import MemberCallerCheck
from hansa.identity.endings import Endings
from hansa.node.http.application import rest_application
from hansa.node.parts.auditing import auditing
from hansa.node.parts.forwarding import forwarding, received_writes
from hansa.node.parts.replication import replication_parts
from hansa.node.tasks import BackgroundTasks
from hansa.replication import Backlog
from hansa.replication.claims import nonce_on_ledger
from hansa.replication.registry import MemberRegistry
from hansa.sim.members.identity import Identity, settings_of
from hansa.sim.world.exchange import Application
from hansa.sim.world.ledger import SimulatedLedger
from hansa.sim.world.network import SimulatedNetwork
from hansa.store.sqlite.database.connection import open_for_writing
from hansa.store.sqlite.store import SqliteStore

LEAGUE: Final = "simulated"
"""Name of the chain."""
CONDITIONS: Final = "conditions"
"""Name of the task that watches the operator's files."""
SERVED_APIS: Final = frozenset({"TMF620", "TMF622"})
LOOK_S: Final = 2.0
IDLE_LOOK_S: Final = 3600.0
"""Between looks at the operator's files, while nobody has changed one: a file that is not changed is read
for nothing, some million times a month."""


@lru_cache(1)
def models() -> Models:
    """The models, which all members share; the catalogue and orders are served, so that starts are quick."""
    return load().with_routes_of(SERVED_APIS)


def authenticate(headers: Mapping[bytes, bytes]) -> Caller:
    """A token is a subject and its roles, as `Bearer ada:provider,operator`."""
    subject, _, roles = headers.get(b"authorization", b"").decode().removeprefix("Bearer ").partition(":")
    return Caller(subject, frozenset(roles.split(","))) if subject else ANONYMOUS


class Failures:
    """A logger of background tasks: what ends one of them is a failure of the product."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def error(self, event: str, **fields: Any) -> None:
        """A task has ended."""
        self.texts.append(f"{event} {fields}")

    def exception(self, event: str, **fields: Any) -> None:
        """A task has ended by an exception, which is being handled."""
        import traceback

        self.texts.append(f"{event} {fields}\n{traceback.format_exc()}")


class Process:
    """A running member. Made by `Process.started`."""

    def __init__(
        self,
        one: Identity,
        folder: Path,
        network: SimulatedNetwork,
        ledger: SimulatedLedger,
        known: tuple[Member, ...],
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        failures: Failures,
    ) -> None:
        self.name, self.endpoint, self.did = one.name, one.endpoint, one.did
        self.is_running = True
        self.limits = limits
        self.path = folder / "store.db"
        self.folder = folder
        self._network = network
        self._clock = clock
        self._work: set[asyncio.Task[Any]] = set()
        settings, all_models = settings_of(one, limits), models()
        self.store = SqliteStore(
            open_for_writing(self.path, "off"), self.path, clock, limits, index_plan(all_models)
        )
        bus = self.bus = ledger.bus(one.did, lambda: self.is_running)
        registry = MemberRegistry(bus, clock, known)
        http = network.client(one.name, lambda: self.is_running)
        self.audit = auditing(self.store, one.did, Backlog(clock), clock, entropy, limits)
        basis = settings, self.store, bus, registry, http, one.key, clock, entropy
        forwards = forwarding(*basis, self.audit.notes, one.secret, Endings(self.store, clock))
        rules = Rules(all_models, limits=limits)
        identifiers = OwnIdentifiers(one.did, entropy, registry.known, partial(nonce_on_ledger, bus, one.did))
        context = Context(
            *(self.store, all_models, authenticate, clock, entropy, limits, one.endpoint, rules, identifiers),
            is_waiting=lambda entity_id: self.replication.closure.is_waiting(entity_id),  # noqa: PLW0108 - made below
            forwarder=forwards.forwarder,
            positions=forwards.positions,
        )
        business = BusinessApp(context)
        self.replication = replication_parts(
            *(*basis, all_models, rules.references_of, self.audit.backlog, self.audit.notes),
            *(LEAGUE, folder),
        )
        self.view_registry = registry
        league = self._league_context(settings.limits, context, registry, one, forwards, business)
        self.application = _application(business, rest_application(routes(league)))
        self.tasks = BackgroundTasks(clock, failures, limits.restart_backoff_max_s)  # type: ignore[arg-type]
        for name, run in (
            ("registry", registry.follow),
            ("write queue", forwards.queue.run),
            ("audit notes", self.audit.notes.run),
            *self.replication.tasks(),
        ):
            self.tasks.add(name, run if name != CONDITIONS else self._watch_conditions)
        self.started_at_s = clock.monotonic()
        self.looks_until_s = self.started_at_s + 10 * LOOK_S

    def _league_context(
        self,
        limits: Limits,
        context: Context,
        registry: MemberRegistry,
        one: Identity,
        forwards: Any,
        business: BusinessApp,
    ) -> LeagueContext:
        replication, clock = self.replication, self._clock
        checked = one.did, lambda: (one.endpoint,), registry.callers, clock, limits
        check = MemberCallerCheck(*checked, on_request=replication.is_alive)
        types = context.models.catalogue_types
        return LeagueContext(
            store=self.store,
            bus=self.bus,
            registry=registry,
            subscriptions=SubscriptionsApi(
                *(self.bus, registry, self.store, authenticate, None, clock, context.entropy),
                *(limits, one.endpoint, types),
                allow_private_networks=False,
            ),
            caller_check=check,
            authenticate=authenticate,
            dangling_references=partial(context.rules.dangling_references, self.store),
            replicas=replication.control,
            resync=replication.resync,
            restoration=replication.restoration,
            sealed_restoration=replication.sealed_restoration,
            returns=replication.returns,
            pushed=replication.pushed,
            answers=replication.answers,
            bundles=replication.pusher.retained,
            peers=replication.peers,
            did=one.did,
            clock=clock,
            limits=limits,
            policy=replication.policy,
            types=types,
            forwarding=received_writes(
                *(settings_of(one, limits), self.store, business, PublicParts(context.models)),
                *(replication.audiences, registry, check, clock),
            ),
            queue=forwards.queue,
            notes=self.audit.notes,
            endpoint=one.endpoint,
        )

    def start(self) -> None:
        """Begin to work, and to be reached."""
        self._network.begin(self)
        self.tasks.start()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine that ends with the process."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return task

    async def _watch_conditions(self) -> None:
        """Look at the operator's files often when one may have changed, and else seldom."""
        while True:
            is_idle = self._clock.monotonic() > self.looks_until_s
            await self._clock.sleep(IDLE_LOOK_S if is_idle else LOOK_S)
            self.replication.watch.look()

    def note_changed_files(self) -> None:
        """An operator has changed a file."""
        self.looks_until_s = self._clock.monotonic() + 5 * LOOK_S
        self.replication.watch.look()

    async def end(self) -> None:
        """Be reached no more, end all tasks, and close the store."""
        self.is_running = False
        self._network.end(self)
        await self.tasks.stop()
        for task in tuple(self._work):
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        await self.bus.close()
        await self.store.close()

    def after_commits(self, count: int, act: Callable[[], None]) -> None:
        """Do something as soon as so many more groups of transactions are on the disk; 0: never any more.

        It is done within the commit, before anything can follow from it.
        """
        left = itertools.count(count - 1, -1)

        def committed(*_: object) -> int:
            if next(left) == 0:
                act()
            return apsw.SQLITE_OK

        self.store._write.set_wal_hook(committed if count > 0 else None)  # noqa: SLF001

    async def anchor(self) -> None:
        """Anchor the audit log, unless the disk is full."""
        with suppress(Unavailable):
            await self.audit.anchoring.anchor()

    def rows_stored(self) -> int:
        """How many rows it has put into its store, or changed there."""
        return self.store._write.total_changes()  # noqa: SLF001

    def set_disk_room(self, pages: int | None) -> None:
        """Let the file grow by so many pages at most; None: as it likes."""
        ((count,),) = self.store._write.execute("PRAGMA page_count").fetchall()  # noqa: SLF001
        room = int(str(count)) + pages if pages is not None else 0x3FFF_FFFE
        self.store._write.execute(f"PRAGMA max_page_count = {room}").fetchall()  # noqa: SLF001


def _application(business: BusinessApp, rest: Application) -> Application:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await (business if business.handles(scope["path"]) else rest)(scope, receive, send)

    return application
