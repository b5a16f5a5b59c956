"""A whole league in one process: the code of replication on a ledger, stores and a network in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import msgspec

from hansa.api import LeagueContext, routes
from hansa.api.events import CLOUD_EVENT
from hansa.api.webhooks import SubscriptionsApi
from hansa.business.operations.writes import held_until_claimed
from hansa.core.access import ANONYMOUS, Caller
from hansa.core.batches import BatchSigner
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock
from hansa.core.confidential.agreement import AgreementKey
from hansa.core.events import (
    CREATE,
    EntityVersion,
    LifecycleEvent,
    encode_event,
    event_name,
    event_time,
    identified,
)
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.core.retry import Retry
from hansa.identity import MemberAnswerSigner, MemberCallerCheck, MemberSigner
from hansa.node.http.application import rest_application
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.memory import MemoryLedger
from hansa.replication import Backlog, Follower, Publisher, ReplicationView, Retriever
from hansa.replication.announced.pushing import BundlePusher
from hansa.replication.announced.retained_bundles import RetainedBundles
from hansa.replication.auditing.notes import GatheredNotes
from hansa.replication.conditions.closure import ClosureKeeper
from hansa.replication.conditions.needs import NO_NEEDS, Needs
from hansa.replication.conditions.past import PastWalk
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.watch import ConditionsWatch
from hansa.replication.confidential.audience import Audiences
from hansa.replication.confidential.past import AddressedPast
from hansa.replication.confidential.publisher import ConfidentialPublisher
from hansa.replication.confidential.retrieval import ConfidentialRetriever
from hansa.replication.continuity.publication_walk import PublicationWalk
from hansa.replication.continuity.restoration import EntityRestoration
from hansa.replication.continuity.restored_store import RestoredStore
from hansa.replication.continuity.resync import Resync
from hansa.replication.intake import check_type
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.control import ReplicaControl
from hansa.replication.replicas.pushed import PushedParts
from hansa.replication.replicas.pushed_intake import PushedIntake
from hansa.store import Entity, EntityDraft, Store
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import origins
from tests.support.asgi import AsgiClient
from tests.support.confidential_types import PUBLIC_STATUSES, ConfidentialEntities
from tests.support.league_parts import (
    LEAGUE,
    ConfidentialParts,
    confidential_parts,
    no_dangling_references,
    peers_of,
    sources_of,
)
from tests.support.listeners import Listeners
from tests.support.network import Network

TYPES = frozenset({"Category", "ProductOffering", "ProductSpecification"})
TURNS_PER_CHECK = 20
STEP_S = 0.05


def authenticate(headers: Mapping[bytes, bytes]) -> Caller:
    """A token here is a subject and its roles, as `Bearer ada:provider,operator`."""
    subject, _, roles = headers.get(b"authorization", b"").decode().removeprefix("Bearer ").partition(":")
    return Caller(subject, frozenset(roles.split(","))) if subject else ANONYMOUS


class Marketplace:
    """One member."""

    def __init__(self, league: League, name: str, path: Path | None) -> None:
        self.league = league
        self.name = name
        self.path = path
        self.key = SigningKey.generate()
        self.did = self.key.verifying_key().did_key()
        self.endpoint = f"https://{name}.example"
        self.agreement_keys = [AgreementKey.generate(random.Random(f"{name}-agreement").randbytes)]
        self.member = Member(
            *(self.did, name, self.endpoint, (self.key.public,), 1),
            agreement_key=self.agreement_keys[0].public,
            country=league.countries.get(name, ""),
        )
        self.party_operators: dict[str, str] = {}
        self.signer = BatchSigner(self.key, self.did, league.clock)
        self.answers = MemberAnswerSigner(self.key, self.did, league.clock)
        self.entropy = random.Random(name).randbytes
        self.identifiers = OwnIdentifiers(self.did, self.entropy, lambda: league.registered)
        self.bus: Bus
        self.store: Store
        self.backlog: Backlog
        self.walk: PublicationWalk
        self.past: PastWalk
        self.closure: ClosureKeeper
        self.following: MemberRegistry
        self.needs: Needs = NO_NEEDS
        self.policies: Path | None = None
        """Folder with conditions, watched from the start on."""
        self.is_public: Callable[[Entity], bool] = lambda one: one.public or one.pending is not None
        self.policy = DistributionPolicy(self.did, TYPES, release_rule="first")
        self.audiences = Audiences(
            *(self.policy, ConfidentialEntities(), lambda: self.following.known(), self.party_operators),  # noqa: PLW0108 - made at the start
        )
        self.publisher: Publisher
        self.follower: Follower
        self.retriever: Retriever
        self.watch: ConditionsWatch | None = None
        self.league_context: LeagueContext
        self.confidential: ConfidentialParts
        self.sealing: ConfidentialPublisher
        self.opening: ConfidentialRetriever
        self.addressed: AddressedPast
        self.pusher: BundlePusher
        self.pushed: PushedParts
        self.notes: GatheredNotes
        self.retained: RetainedBundles
        self._tasks: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Open the store, and be reachable."""
        league = self.league
        league.network.closed.discard(self.endpoint)
        self.bus = league.ledger.bus()
        self.backlog = Backlog(league.clock)
        self.pushed = PushedParts(league.clock)
        self.retained = RetainedBundles(league.clock)
        self.store = await SqliteStore.open(self.path, league.clock, league.limits)
        retry = Retry("audit", league.clock, self.entropy, 0.1, 1.0)
        self.notes = GatheredNotes(self.store, league.clock, retry, league.limits.audit_notes_interval_s)
        check = MemberCallerCheck(
            *(self.did, lambda: (self.endpoint,), lambda: league.registered, league.clock, league.limits),
            on_request=self._is_alive,
        )
        registry = MemberRegistry(self.bus, league.clock)
        subscriptions = SubscriptionsApi(
            *(self.bus, registry, self.store, authenticate, league.listeners, league.clock, self.entropy),
            *(league.limits, self.endpoint, TYPES),
            allow_private_networks=False,
        )
        self.resync = Resync(*(self.store, self.bus, self.did, self.policy, self.backlog))
        self.restoration = EntityRestoration(self.bus, sources_of(self).parts, self.policy)
        self.confidential = confidential_parts(self)
        self.view = ReplicationView(self.store, league.clock, league.limits)
        context = LeagueContext(
            store=self.store,
            bus=self.bus,
            registry=registry,
            subscriptions=subscriptions,
            caller_check=check,
            authenticate=authenticate,
            dangling_references=no_dangling_references,
            replicas=ReplicaControl(
                *(self.store, MemberRegistry(self.bus, league.clock, league.registered), self.backlog),
                *(league.clock, self.entropy, league.limits),
            ),
            resync=self.resync,
            restoration=self.restoration,
            sealed_restoration=self.confidential.restoration,
            returns=self.confidential.returns,
            pushed=self.pushed,
            answers=self.answers,
            bundles=self.retained,
            did=self.did,
            clock=league.clock,
            limits=league.limits,
            policy=self.policy,
            notes=self.notes,
            peers=peers_of(self),
        )
        self.league_context = context
        application = rest_application(routes(context))
        league.network.applications[self.endpoint] = application
        league.network.signers[self.endpoint] = self.answers
        self.client = AsgiClient(application)

    def start(self) -> None:
        """Begin to replicate."""
        league, clock, limits = self.league, self.league.clock, self.league.limits
        backlog, registry = self.backlog, MemberRegistry(self.bus, clock)
        signer = MemberSigner(self.key, self.did, clock, self.entropy, limits)
        self.pusher = BundlePusher(
            *(
                self.store,
                MemberRegistry(self.bus, clock, league.registered),
                league.network,
                signer,
                self.did,
            ),
            partial(self.policy.may_retrieve, None),
            self.notes,
            *(clock, self.entropy, limits, self.retained),
        )
        following = self.following = MemberRegistry(self.bus, clock, league.registered)
        following.add_listener(lambda _: backlog.addressed.notify())
        secrets, demands, recognition, *_ = self.confidential
        self.publisher = Publisher(
            *(self.store, self.bus, registry, self.signer, self.policy, clock, self.entropy, limits),
            references=lambda entity: ids_in(msgspec.json.decode(entity.body)),
            needs=self.needs,
            backlog=backlog,
            pusher=self.pusher if league.has_pushes else None,
            demands=demands,
        )
        sources = sources_of(self)
        self.retriever = Retriever(self.store, registry, sources, backlog, clock, self.entropy, limits)
        self.follower = Follower(
            *(self.store, self.bus, self.did, self.policy, backlog, clock, self.entropy, limits),
            pushed=PushedIntake(self.store, sources.intake, self.pushed, clock, limits),
            recognition=recognition,
        )
        self.walk = PublicationWalk(
            *(self.store, self.did, self.policy, self.is_public, backlog, clock, self.entropy, limits)
        )
        self.past = PastWalk(
            *(self.store, self.bus, self.did, self.policy, backlog, clock, self.entropy, limits)
        )
        self.closure = ClosureKeeper(
            *(self.store, self.bus, self.policy, self.needs, backlog, clock, self.entropy, limits)
        )
        self.sealing = ConfidentialPublisher(
            *(self.store, self.bus, self.signer, self.audiences, demands, secrets, LEAGUE, backlog),
            *(clock, self.entropy, limits),
        )
        self.opening = ConfidentialRetriever(
            *(self.store, following, league.network, signer, self.policy, backlog, LEAGUE),
            *(clock, self.entropy, limits, check_type),
        )
        self.addressed = AddressedPast(
            *(self.store, self.bus, self.policy, recognition, backlog, clock, self.entropy, limits)
        )
        self.watch = None
        if self.policies is not None:
            self.watch = ConditionsWatch(self.policies, self.policy, backlog.conditions, clock)
        self._tasks = asyncio.create_task(self._run())

    async def _publish(self) -> None:
        restored = RestoredStore(self.store, self.bus, self.did, self.league.clock, self.entropy)
        await restored.wait_until_read()
        await self.publisher.run()

    def _is_alive(self, did: str) -> None:
        if self.is_running:
            self.retriever.is_alive(did)
            self.pusher.is_alive(did)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish())
            tasks.create_task(self.follower.run())
            tasks.create_task(self.retriever.run())
            tasks.create_task(self.retriever.sources.others.run())
            tasks.create_task(self.retriever.sources.filling.run())
            tasks.create_task(self.walk.run())
            tasks.create_task(self.past.run())
            tasks.create_task(self.closure.run())
            tasks.create_task(self.sealing.run())
            tasks.create_task(self.opening.run())
            tasks.create_task(self.addressed.run())
            tasks.create_task(self.notes.run())
            if self.watch is not None:
                tasks.create_task(self.watch.run())

    @property
    def is_running(self) -> bool:
        """Whether it replicates."""
        return self._tasks is not None and not self._tasks.done()

    async def stop(self) -> None:
        """Forget everything but the store, wherever it was."""
        if self._tasks is not None:
            self._tasks.cancel()
            await asyncio.gather(self._tasks, return_exceptions=True)
            self._tasks = None

    async def failure(self) -> BaseException | None:
        """What ended the replication, if it has ended."""
        if self._tasks is None or not self._tasks.done():
            return None
        (result,) = await asyncio.gather(self._tasks, return_exceptions=True)
        return result

    async def rerun(self) -> None:
        """Stop, and run the same parts again."""
        await self.stop()
        self._tasks = asyncio.create_task(self._run())

    async def restart(self) -> None:
        """Stop, and begin from the store."""
        await self.stop()
        self.start()

    async def close(self) -> None:
        """Leave."""
        self.league.network.closed.add(self.endpoint)
        await self.stop()
        await self.store.close()

    # -- what people do -------------------------------------------------------------------------------------

    def id(self, name: str, type_name: str = "ProductOffering") -> str:
        """An identifier of this marketplace."""
        return f"urn:ngsi-ld:{type_name.lower()}:{self.name}:{name}"

    async def put(
        self, name: str, /, status: str | None = "Launched", type_name: str = "ProductOffering", **fields: Any
    ) -> str:
        """Write an entity of ours, given its name or whole identifier; its identifier."""
        entity_id = name if name.startswith("urn:") else self.id(name, type_name)
        await self.put_many([(entity_id, status, type_name, fields)])
        return entity_id

    async def put_bound(self, status: str | None = "Launched", **fields: Any) -> str:
        """Write an entity under an identifier that this marketplace makes; the identifier."""
        entity_id, nonce = self.identifiers.new("ProductOffering")
        new = msgspec.structs.replace(draft(entity_id, status, **fields), nonce=nonce)
        async with self.store.transaction() as tx:
            await tx.put((await held_until_claimed(tx, self.identifiers, new, None, ids_in(fields)))[0])
        return entity_id

    async def put_many(self, entities: Sequence[tuple[str, str | None, str, dict[str, Any]]]) -> None:
        """Write entities in one transaction."""
        async with self.store.transaction() as tx:
            for entity_id, status, type_name, fields in entities:
                new = draft(entity_id, status, type_name, **fields)
                current = await tx.entity(entity_id)
                await tx.put(
                    (await held_until_claimed(tx, self.identifiers, new, current, ids_in(fields)))[0]
                )

    async def delete(self, entity_id: str) -> None:
        """Delete an entity."""
        async with self.store.transaction() as tx:
            await tx.delete(entity_id)

    async def catalogue(self) -> dict[str, tuple[str, str]]:
        """What is public here: identifier to (hashlink, DID of the origin)."""
        entities: dict[str, tuple[str, str]] = {}
        async for page in self.store.scan():
            entities |= {entity.id: (entity.hashlink, entity.origin or self.did) for entity in page}
        return entities

    async def evidence(self) -> set[tuple[str, str]]:
        """(issuer, code) of what did not hold."""
        return set(await self.view.evidence_counts())

    async def is_idle(self) -> bool:
        """Whether it has published, followed and retrieved everything there is."""
        if await self.view.unpublished():
            return False
        position = self.league.ledger.application.state.head.position
        if await self.view.followed_to() < position:
            return False
        others = await origins.origins(self.store)
        assert all(origin.unaccounted == 0 for origin in others), "every head has a state"
        return all(origin.pending == 0 and origin.deferred == 0 for origin in others)

    # -- what nobody should do ------------------------------------------------------------------------------

    async def announce(self, entity_id: str, body: bytes, **overrides: Any) -> LifecycleEvent:
        """Put a first version on the ledger without the publisher."""
        key = entity_key(self.did, entity_id)
        now = self.league.clock.now()
        fields: dict[str, Any] = {
            "id": "",
            "type": event_name("ProductOffering", CREATE),
            "time": event_time(now),
            "issuer": self.did,
            "entity": EntityVersion(key, "ProductOffering", 1),
            "hashlink": hashlink(body),
        }
        event = LifecycleEvent(**(fields | overrides))
        event = event if event.id else identified(event)
        await self.bus.publish([encode_event(event)], self.signer)
        return event


class League:
    """Some members, their ledger, their network, and their time."""

    def __init__(
        self,
        names: Sequence[str],
        limits: Limits | None = None,
        folder: Path | None = None,
        params: LedgerParams | None = None,
        *,
        has_pushes: bool = True,
        countries: Mapping[str, str] = {},
    ) -> None:
        self.countries = countries
        self.has_pushes = has_pushes
        self.clock = ManualClock()
        self.limits = limits or Limits()
        self.listeners = Listeners(CLOUD_EVENT)
        self.network = Network(self.clock)
        self.marketplaces = [
            Marketplace(self, name, folder / f"{name}.db" if folder else None) for name in names
        ]
        self.registered = tuple(marketplace.member for marketplace in self.marketplaces)
        self.ledger = MemoryLedger(self.registered, self.clock, self.limits, params=params)

    async def __aenter__(self) -> Self:
        """Open all stores; replication begins with `start`."""
        for marketplace in self.marketplaces:
            await marketplace.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything."""
        for marketplace in self.marketplaces:
            await marketplace.close()
        self.ledger.close()

    def start(self) -> None:
        """All begin to replicate."""
        for marketplace in self.marketplaces:
            marketplace.start()

    async def run(self, seconds: float, step_s: float = STEP_S) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step_s)):
            await self._loop_turns()
            await self.clock.advance(step_s)
        await self._loop_turns()

    async def until(self, condition: Callable[[], Any], timeout_s: float = 600.0) -> None:
        """Let time pass until a condition holds (a function, or one that gives something to await)."""
        for _ in range(round(timeout_s / STEP_S)):
            await self._loop_turns()
            holds = condition()
            if await holds if hasattr(holds, "__await__") else holds:
                return
            for marketplace in self.marketplaces:
                failure = await marketplace.failure()
                if isinstance(failure, Exception):
                    raise failure
            await self.clock.advance(STEP_S)
        reports = [msgspec.to_builtins(await m.view.progress((), None)).gauges for m in self.marketplaces]
        raise AssertionError(f"it did not come to hold: {reports}")

    async def settle(self, *marketplaces: Marketplace, timeout_s: float = 600.0) -> None:
        """Let time pass until everything has arrived everywhere (or at these)."""

        async def idle() -> bool:
            return all([await one.is_idle() for one in marketplaces or self.marketplaces if one.is_running])

        await self.until(idle, timeout_s)

    async def catalogues(self) -> list[dict[str, tuple[str, str]]]:
        """What is public at each."""
        return [await marketplace.catalogue() for marketplace in self.marketplaces]

    async def _loop_turns(self) -> None:
        for _ in range(TURNS_PER_CHECK):
            await asyncio.sleep(0)


def ids_in(fields: dict[str, Any]) -> frozenset[str]:
    """Identifiers to which the attributes of an entity refer: a list of references each."""
    lists = [value for value in fields.values() if isinstance(value, list)]
    references = (one for items in lists for one in items if isinstance(one, dict))
    return frozenset(one["id"] for one in references if "id" in one)


def draft(
    entity_id: str, /, status: str | None = "Launched", type_name: str = "ProductOffering", **fields: Any
) -> EntityDraft:
    """An entity as the business layer would write it."""
    body: dict[str, Any] = {"@type": type_name, "id": entity_id, **fields}
    if status is not None:
        body["lifecycleStatus"] = status
    canonical = canonical_json(body)
    is_public = type_name in TYPES and status in PUBLIC_STATUSES
    return EntityDraft(entity_id, type_name, canonical, hashlink(canonical), is_public)
