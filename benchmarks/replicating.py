"""What replication costs a member for each event, in this process: without a network, and without a ledger.

Following: three issuers' committed events come in pages, each with the bytes that its issuer has pushed; they
are verified and stored, and their closure is noted. Announcing: own entities that changed become events in
the outbox, are submitted, and concluded. Each is measured with the audit log, and with one that is not
written. Times are processor time, so that a busy machine spoils them less.

Memory: a member follows very many events of a bounded number of entities, and is looked at after each tenth.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any, Final, cast
from unittest import mock

from benchmarks.figures import median
from benchmarks.offerings import offering
from benchmarks.plan import Plan
from benchmarks.processes import memory_of, until
from benchmarks.report import Figure, Row, Table
from hansa.business.index_plan import index_plan
from hansa.business.models import Models, load
from hansa.business.models.closure import ClosureNeeds
from hansa.business.validation.replicas import ReplicaCheck
from hansa.business.visibility import PublicParts
from hansa.core.batches import BatchSigner
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import Clock, SystemClock
from hansa.core.events import committed_event
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger_records import CommittedEvent, EventPage
from hansa.replication import Backlog, Follower, Publisher
from hansa.replication.announced.bundles import BundledPart
from hansa.replication.announcement import Announcer
from hansa.replication.conditions.closure import CLOSURE_CURSOR, ClosureKeeper
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.intake import Intake
from hansa.replication.registry import MemberRegistry
from hansa.replication.replicas.pushed import PushedParts
from hansa.replication.replicas.pushed_intake import PushedIntake
from hansa.store import Entity, EntityDraft, Store
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import audit, publications
from hansa.store.tables.publications import Publication

TYPE: Final = "ProductOffering"
ISSUERS: Final = 3
PAGE_EVENTS: Final = 150
"""About what two batches in a block hold in a burst."""
POLL_S: Final = 0.02
PARAMS: Final = LedgerParams()


class _Issuer:
    """A member whose entities are announced."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.key = SigningKey.generate()
        self.did = self.key.verifying_key().did_key()
        self.member = Member(self.did, f"m{number}", f"https://m{number}.example", (self.key.public,), 1)
        self._identifiers = OwnIdentifiers(self.did, os.urandom)
        self._announcer = Announcer(self.did, lambda: PARAMS.event_size_max_bytes)
        self._clock = clock
        self._chains: dict[int, tuple[Entity, Publication]] = {}
        self._events = 0

    def entity(self, number: int, version: int) -> Entity:
        """One of its entities, which is another one in each version."""
        known = self._chains.get(number)
        entity_id, nonce = (known[0].id, known[0].nonce) if known else self._identifiers.new(TYPE)
        fields = {
            **offering(number),
            "@type": TYPE,
            "id": entity_id,
            "lifecycleStatus": "Launched",
            "version": f"{version}.0",
            "lastUpdate": "2026-01-01T00:00:00.000Z",
        }
        body = canonical_json(fields)
        return Entity(entity_id, TYPE, body, hashlink(body), True, None, version, nonce=nonce)

    def event(self, position: int, entities: int) -> tuple[CommittedEvent, BundledPart]:
        """The event about the next one of so many entities, and the bytes that it announces."""
        number, self._events = self._events % entities, self._events + 1
        chain = self._chains.get(number)
        version = chain[1].version + 1 if chain else 1
        entity = self.entity(number, version)
        out = self._announcer.announce(entity.id, entity, chain[1] if chain else None, self._clock.now())
        assert out is not None, "it is another version"
        end = Publication(
            *(entity.id, out.key, TYPE, version, out.hashlink, "Launched", 1, position),
            *(False, None, None, False, False),
        )
        self._chains[number] = entity, end
        committed = CommittedEvent(
            *(position, 1 + position // PAGE_EVENTS, "2026-01-01T00:00:00.000Z"),
            *(committed_event(out.content, self.did), out.content),
        )
        return committed, BundledPart(out.key, out.hashlink, cast("Any", entity.body))


class _Ledger:
    """Has pages of events for whoever follows, and takes what is published."""

    params = PARAMS

    def __init__(self, pages: Iterator[tuple[EventPage, Sequence[tuple[str, BundledPart]]]]) -> None:
        self._pages = pages
        self.pushed: PushedParts
        self.is_followed = asyncio.Event()
        self._position = 0

    async def follow(self, after: int) -> AsyncIterator[EventPage]:
        """The pages; then nothing."""
        del after
        for page, parts in self._pages:
            for did, part in parts:
                self.pushed.put(did, (part,))
            yield page
        self.is_followed.set()
        await asyncio.Event().wait()

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        """Positions, at once."""
        signer.sign(contents, self._position + 1)
        await asyncio.sleep(0)
        first, self._position = self._position + 1, self._position + len(contents)
        return tuple(range(first, self._position + 1))


def _pages(
    issuers: Sequence[_Issuer], events: int, entities: int
) -> Iterator[tuple[EventPage, list[tuple[str, BundledPart]]]]:
    """Pages of events, each about the next of so many entities of each issuer."""
    position = 0
    while position < events:
        page: list[CommittedEvent] = []
        parts: list[tuple[str, BundledPart]] = []
        for place in range(PAGE_EVENTS):
            position += 1
            issuer = issuers[place * len(issuers) // PAGE_EVENTS]
            committed, part = issuer.event(position, entities)
            page.append(committed)
            parts.append((issuer.did, part))
        yield EventPage(tuple(page), position, position), parts


class _Following:
    """A member that follows, with the parts that take part in it."""

    def __init__(self, store: Store, ledger: _Ledger, issuers: Sequence[_Issuer], models: Models) -> None:
        clock, limits, bus = SystemClock(), Limits(), cast("Bus", ledger)
        did = SigningKey.generate().verifying_key().did_key()
        parts, backlog = PublicParts(models), Backlog(clock)
        policy = DistributionPolicy(did, models.catalogue_types, parts, parts.rule())
        registry = MemberRegistry(bus, clock, [one.member for one in issuers])
        check = ReplicaCheck(models, clock)
        intake = Intake(store, bus, registry, policy, clock, os.urandom, limits, check)
        ledger.pushed = PushedParts(clock)
        self.follower = Follower(
            *(store, bus, did, policy, backlog, clock, os.urandom, limits),
            pushed=PushedIntake(store, intake, ledger.pushed, clock, limits),
        )
        self.closure = ClosureKeeper(
            store, bus, policy, ClosureNeeds(models), backlog, clock, os.urandom, limits
        )


async def follow(folder: Path, models: Models, events: int, *, with_closure: bool) -> float:
    """Processor time of an event that is followed."""
    clock = SystemClock()
    issuers = [_Issuer(number, clock) for number in range(ISSUERS)]
    ledger = _Ledger(iter(list(_pages(issuers, events, events))))
    store = await SqliteStore.open(folder / "store.db", clock, Limits(), plan=index_plan(models))
    following = _Following(store, ledger, issuers, models)

    async def is_closed() -> bool:
        return await store.cursor(CLOSURE_CURSOR) == await store.last_change()

    started_s = process_time()
    tasks = [asyncio.create_task(following.follower.run())]
    await ledger.is_followed.wait()
    if with_closure:
        tasks.append(asyncio.create_task(following.closure.run()))
        await until(is_closed, POLL_S)
    took_s = process_time() - started_s
    await _ended(tasks)
    assert following.follower.counters.replicas_pushed == events, "each was stored with its event"
    await store.close()
    return took_s / events


async def announce(folder: Path, models: Models, events: int) -> float:
    """Processor time of an own entity that is announced, submitted and concluded."""
    clock, limits = SystemClock(), Limits()
    issuer, ledger = _Issuer(0, clock), _Ledger(iter(()))
    store = await SqliteStore.open(folder / "store.db", clock, limits, plan=index_plan(models))
    for first in range(0, events, PAGE_EVENTS):
        async with store.transaction() as tx:
            for number in range(first, first + PAGE_EVENTS):
                one = issuer.entity(number, 1)
                await tx.put(EntityDraft(one.id, TYPE, one.body, one.hashlink, True, nonce=one.nonce))
    parts, bus = PublicParts(models), cast("Bus", ledger)
    policy = DistributionPolicy(issuer.did, models.catalogue_types, parts, parts.rule())
    signer = BatchSigner(issuer.key, issuer.did, clock)
    registry = MemberRegistry(bus, clock, [issuer.member])
    publisher = Publisher(
        *(store, bus, registry, signer, policy, clock, os.urandom, limits), needs=ClosureNeeds(models)
    )

    async def is_concluded() -> bool:
        is_done = publisher.counters.events_committed == events
        return is_done and not await publications.outbox_size(store)

    with mock.patch.object(MemberRegistry, "members", _known):
        started_s = process_time()
        task = asyncio.create_task(publisher.run())
        await until(is_concluded, POLL_S)
        took_s = process_time() - started_s
        await _ended([task])
    await store.close()
    return took_s / events


async def _known(registry: MemberRegistry) -> tuple[Member, ...]:
    return registry.known()


async def memory(folder: Path, models: Models, events: int, entities: int) -> list[int]:
    """Resident bytes of this process after each tenth of so many events."""
    clock = SystemClock()
    issuers = [_Issuer(number, clock) for number in range(ISSUERS)]
    sizes: list[int] = []

    def watched() -> Iterator[tuple[EventPage, list[tuple[str, BundledPart]]]]:
        for page, parts in _pages(issuers, events, entities):
            yield page, parts
            size = memory_of(os.getpid())
            if size is not None and page.scanned_to * 10 >= events * (len(sizes) + 1):
                sizes.append(size.rss_bytes)

    ledger = _Ledger(watched())
    store = await SqliteStore.open(folder / "store.db", clock, Limits(), plan=index_plan(models))
    following = _Following(store, ledger, issuers, models)
    tasks = [asyncio.create_task(following.follower.run()), asyncio.create_task(following.closure.run())]
    await ledger.is_followed.wait()
    await _ended(tasks)
    await store.close()
    return sizes


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _nothing(*_: Any) -> None:
    """In place of the audit log."""


@contextlib.contextmanager
def unaudited(is_audited: bool) -> Iterator[None]:
    """Have no audit log written, unless it is."""
    with contextlib.nullcontext() if is_audited else mock.patch.object(audit, "append_all", _nothing):
        yield


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables."""
    models, events = load(), plan.replicated_events // PAGE_EVENTS * PAGE_EVENTS
    times: dict[tuple[str, bool], list[float]] = {}
    for round_number in range(plan.replicated_rounds):
        for is_audited in (True, False):
            place = folder / f"{round_number}-{is_audited}"
            for name in ("following", "closure", "announcing"):
                (place / name).mkdir(parents=True)
            with unaudited(is_audited):
                for name, with_closure in (("following", False), ("closure", True)):
                    took_s = await follow(place / name, models, events, with_closure=with_closure)
                    times.setdefault((name, is_audited), []).append(took_s)
                took_s = await announce(place / "announcing", models, events)
                times.setdefault(("announcing", is_audited), []).append(took_s)
    rows = [
        Row(
            f"an event: {name}",
            (
                Figure("processor", median(times[name, True]), "seconds"),
                Figure("without audit log", median(times[name, False]), "seconds"),
                Figure("with / without", median(times[name, True]) / median(times[name, False]), "ratio"),
            ),
        )
        for name in ("following", "closure", "announcing")
    ]
    (folder / "memory").mkdir()
    sizes = await memory(folder / "memory", models, plan.followed_events, plan.followed_entities)
    tenths = Row(
        f"{plan.followed_events:,} events followed",
        tuple(Figure(f"{n * 10} %", size, "bytes") for n, size in enumerate(sizes, 1)),
    )
    return [
        Table("Replication in one process", tuple(rows), ("closure: following, and what replicas lack",)),
        Table("Memory of a member that follows", (tenths,)),
    ]
