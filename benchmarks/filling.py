"""A newcomer's store, filled from bundles of the other members, beside plain copying of the same bytes.

Three members have all of each other's offerings. The newcomer knows the heads of all, and has nothing; it is
filled as a marketplace that joins, with everything that this verifies: the signatures of the answers, hashes,
canonical form, the models' shape, keys and the binding of identifiers. All of it runs in this process and on
one event loop, so that figures include what the serving members do; `requests alone` says how much that is.
Plain copying requests the same bundles, and writes the same bytes into a store like the first, with its feed
and its indexes, without looking at them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, NamedTuple, TypeVar

import msgspec
from starlette.routing import Route

from benchmarks.figures import median
from benchmarks.offerings import TYPE, stored_offerings
from benchmarks.plan import Plan
from benchmarks.report import Figure, Row, Table
from hansa.api.entities import EntitiesApi
from hansa.business.index_plan import index_plan
from hansa.business.models import Models, load
from hansa.business.validation.replicas import ReplicaCheck
from hansa.core.audit import NoNotes
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import SystemClock
from hansa.core.events import ENTITIES_PATH
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.identifiers import bound_entity_id, entity_key
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.identity import MemberAnswerCheck, MemberAnswerSigner, MemberCallerCheck, MemberSigner
from hansa.node.http.application import rest_application
from hansa.pubsub.ledger.commitments.claims import bucket_of, decode_claim, encode_claim, issuer_digest
from hansa.pubsub.ledger.genesis import AppState
from hansa.pubsub.ledger.sqlite_state import SqliteState
from hansa.pubsub.ledger.storage.tree_tables import TreeTables
from hansa.pubsub.ledger_records import Claim, ClaimPage
from hansa.pubsub.memory import MemoryLedger
from hansa.replication import Backlog
from hansa.replication.announced.bundles import LINES_MAX
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.continuity.resync import WALKS, Resync
from hansa.replication.exchange import OriginClient, ResponseLine
from hansa.replication.registry import MemberRegistry
from hansa.replication.sources.assembly import EntitySources, entity_sources
from hansa.replication.sources.serving import VersionSource
from hansa.sim.world.exchange import Application, exchange
from hansa.store import EntityDraft, Store
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import heads, origins
from hansa.store.tables.heads import FOLLOWER_CURSOR, NewHead, Retrieval

SOURCES: Final = 3
PUTS_IN_TRANSACTION: Final = 500
BLOCK_TIME: Final = "2026-01-01T00:00:00.000Z"
TIMEOUT_S: Final = 600.0
CLOCK: Final = SystemClock()
LIMITS: Final = Limits()


T = TypeVar("T")


class Party(NamedTuple):
    """A member with its key."""

    member: Member
    key: SigningKey


class Version(NamedTuple):
    """An offering as its event announces it, and its bytes."""

    retrieval: Retrieval
    draft: EntityDraft


class Spent(NamedTuple):
    """What filling a store took."""

    wall_s: float
    cpu_s: float


class Sources:
    """The members that have everything, as an HTTP client reaches them."""

    def __init__(self, parties: Sequence[Party], store: Store, policy: DistributionPolicy) -> None:
        self._applications: dict[str, Application] = {}
        registered = [one.member for one in parties]
        for member, key in parties:
            check = MemberCallerCheck(
                *(member.did, partial(tuple, (member.endpoint,)), lambda: registered, CLOCK, LIMITS)
            )
            api = EntitiesApi(
                *(store, check, LIMITS, policy, NoNotes(), VersionSource(store, policy)),
                MemberAnswerSigner(key, member.did, CLOCK),
            )
            routes = [Route(ENTITIES_PATH, api.many, methods=["POST"])]
            self._applications[member.endpoint] = rest_application(routes)

    async def send(self, request: HttpRequest) -> HttpResponse:
        """What a member answers. See `HttpClient`."""
        endpoint = request.url.removesuffix(ENTITIES_PATH)
        application = self._applications[endpoint]
        return await exchange(application, request.method, ENTITIES_PATH, request.headers, request.body)


def parts_of(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Some values, so many at a time."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def parties() -> list[Party]:
    """The newcomer, and the members that it fills its store from."""
    made = []
    for number in range(SOURCES + 1):
        key = SigningKey.generate()
        did = key.verifying_key().did_key()
        made.append(Party(Member(did, f"m{number}", f"http://m{number}.example", (key.public,), 1), key))
    return made


def versions(owners: Sequence[Party], count: int) -> list[Version]:
    """So many offerings of some members, in turn."""
    draw = random.Random(1)
    made = []
    for number, fields in enumerate(islice(stored_offerings(count), count)):
        did, nonce = owners[number % len(owners)].member.did, draw.randbytes(16)
        entity_id = bound_entity_id(TYPE, did, nonce)
        body = canonical_json({**fields, "id": entity_id, "lifecycleStatus": "Launched"})
        link = hashlink(body)
        key = entity_key(did, entity_id)
        retrieval = Retrieval(did, key, TYPE, 1, link, number + 1, BLOCK_TIME, nonce=nonce.hex())
        made.append(Version(retrieval, EntityDraft(entity_id, TYPE, body, link, True, did)))
    return made


async def record(store: Store, some: Sequence[Version], *, is_stored: bool) -> None:
    """Let a store know the heads of some versions, and have their replicas if it is to."""
    for part in parts_of(some, PUTS_IN_TRANSACTION):
        async with store.transaction() as tx:
            if is_stored:
                await tx.add_all([one.draft for one in part])
            for did in {one.retrieval.issuer for one in part}:
                of_one = [one for one in part if one.retrieval.issuer == did]
                await origins.count_heads(tx, did, len(of_one))
                await heads.record(tx, did, [_head(one, is_stored=is_stored) for one in of_one])


def _head(version: Version, *, is_stored: bool) -> NewHead:
    if not is_stored:
        return NewHead(version.retrieval, "pending")
    draft = version.draft
    return NewHead(version.retrieval, "stored", entity_id=draft.id, size_bytes=len(draft.body))


class Scene:
    """The members, what they have, and the stores that are filled."""

    def __init__(
        self, folder: Path, models: Models, everyone: Sequence[Party], known: Sequence[Version]
    ) -> None:
        self._folder = folder
        self._models = models
        self.newcomer, *self.owners = everyone
        self.registered = tuple(one.member for one in everyone)
        self.versions = known
        self.policy = DistributionPolicy(self.newcomer.member.did, models.catalogue_types)
        self.sources: Sources
        self._numbers = 0

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[SqliteStore]:
        """An empty store, with the indexes and the durability of a marketplace's."""
        self._numbers += 1
        path = self._folder / f"{self._numbers}.db"
        store = await SqliteStore.open(path, CLOCK, LIMITS, plan=index_plan(self._models))
        try:
            yield store
        finally:
            await store.close()
            for file in self._folder.glob(f"{path.name}*"):
                file.unlink()

    def newcomers_sources(self, store: Store, ledger: MemoryLedger) -> EntitySources:
        """What fills the newcomer's store."""
        member, key = self.newcomer
        bus = ledger.bus()
        signer = MemberSigner(key, member.did, CLOCK, os.urandom, LIMITS)
        answers = MemberAnswerCheck(member.did, lambda: self.registered)
        registry, check = MemberRegistry(bus, CLOCK, self.registered), ReplicaCheck(self._models, CLOCK)
        return entity_sources(
            *(store, bus, registry, self.sources, signer, answers, self.policy),
            *(Backlog(CLOCK), CLOCK, os.urandom, LIMITS, check),
        )


async def spent(work: Callable[[], Awaitable[None]]) -> Spent:
    """What some work takes."""
    begun_s, begun_cpu_s = perf_counter(), process_time()
    await work()
    return Spent(perf_counter() - begun_s, process_time() - begun_cpu_s)


async def filled(scene: Scene) -> Spent:
    """Fill a store as a newcomer's."""
    ledger = MemoryLedger(scene.registered, CLOCK, LIMITS)
    async with scene.store() as store:
        await record(store, scene.versions, is_stored=False)
        sources = scene.newcomers_sources(store, ledger)

        async def until_nothing_is_pending() -> None:
            async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
                filling = tasks.create_task(sources.filling.run())
                backlog = sources.parts.backlog.added
                while sum([one.pending for one in await origins.origins(store)]):
                    await backlog.wait(backlog.count)
                filling.cancel()

        result = await spent(until_nothing_is_pending)
        assert sources.intake.counters.entities_stored == len(scene.versions), (
            "everything is verified and stored"
        )
    ledger.close()
    return result


async def each_bundle(scene: Scene) -> AsyncIterator[Sequence[ResponseLine]]:
    """Everything in bundles of its owners, with signed requests and answers."""
    member, key = scene.newcomer
    client = OriginClient(
        *(scene.sources, MemberSigner(key, member.did, CLOCK, os.urandom, LIMITS), LIMITS),
        MemberAnswerCheck(member.did, lambda: scene.registered),
    )
    for owner in scene.owners:
        own = [one.retrieval for one in scene.versions if one.retrieval.issuer == owner.member.did]
        for part in parts_of(own, LINES_MAX):
            answer = await client.fetch_bundle(owner.member, part)
            yield answer.lines


async def requested(scene: Scene) -> Spent:
    """Request everything, and do nothing with it."""

    async def request_all() -> None:
        async for lines in each_bundle(scene):
            assert all(line.status == "found" for line in lines), "the members have everything"

    return await spent(request_all)


async def copied(scene: Scene) -> Spent:
    """Request the same bundles, and write what is in them without looking at it."""
    drafts = {one.retrieval.key: one.draft for one in scene.versions}
    async with scene.store() as store:

        async def copy_all() -> None:
            async for lines in each_bundle(scene):
                async with store.transaction() as tx:
                    await tx.add_all([drafts[line.key] for line in lines])

        return await spent(copy_all)


class RecordedClaims:
    """The part of a bus that a comparison reads while everything is as it should be: the claims."""

    def __init__(self, path: Path, known: Sequence[Version]) -> None:
        state = SqliteState(path)
        state.write_genesis(AppState(()), 0)
        self._tables = TreeTables(state.connection)
        self._close = state.close
        self._dids = {issuer_digest(one.retrieval.issuer): one.retrieval.issuer for one in known}
        buckets: dict[int, list[bytes]] = {}
        for one in known:
            version = one.retrieval
            place = version.position, version.position, version.version, version.hashlink
            claim = Claim(version.key, version.issuer, *place, is_deleted=False)
            buckets.setdefault(bucket_of(version.key), []).append(encode_claim(claim))
        rows = [(bucket, bytes(32), b"".join(sorted(records))) for bucket, records in buckets.items()]
        self._tables.write_buckets(rows)

    async def claims_from(self, bucket: int, count: int) -> ClaimPage:
        """See `BusReads.claims_from`."""
        records, next_bucket = self._tables.claims_from(bucket, count)
        return ClaimPage(tuple([decode_claim(one, self._dids[one[32:64]]) for one in records]), next_bucket)

    def close(self) -> None:
        """Close the file."""
        self._close()


async def compared(scene: Scene, holder: Store, folder: Path) -> tuple[Spent, int]:
    """Compare a store that is as the ledger says; the second value is the bytes of all answers."""
    claims = RecordedClaims(folder / "claims.db", scene.versions)
    async with holder.transaction() as tx:
        await tx.set_cursor(FOLLOWER_CURSOR, len(scene.versions))
    resync = Resync(holder, claims, "did:key:zHolder", scene.policy, Backlog(CLOCK))  # type: ignore[arg-type]
    size_bytes = 0

    async def compare_all() -> None:
        nonlocal size_bytes
        for walk in WALKS:
            after: str | None = ""
            while after is not None:
                part = await resync.compare(walk, after, is_repair=True)
                assert not part.differences, "everything is equal"
                size_bytes += len(msgspec.json.encode(part))
                after = part.next_after

    result = await spent(compare_all)
    claims.close()
    return result, size_bytes


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """Fill a newcomer's store, and copy the same into another, alternately."""
    models, everyone = load(), parties()
    known = versions(everyone[1:], plan.filled_entities)
    scene = Scene(folder, models, everyone, known)
    results: dict[str, list[Spent]] = {"filling": [], "requests alone": [], "plain copying": []}
    async with scene.store() as holder:
        await record(holder, known, is_stored=True)
        scene.sources = Sources(
            everyone, holder, DistributionPolicy("did:key:zHolder", models.catalogue_types)
        )
        for _ in range(plan.filled_rounds):
            results["filling"].append(await filled(scene))
            results["requests alone"].append(await requested(scene))
            results["plain copying"].append(await copied(scene))
        comparison, answers_bytes = await compared(scene, holder, folder)
    rows = [_row(name, ones, len(known)) for name, ones in results.items()]
    pairs = zip(results["filling"], results["plain copying"], strict=True)
    ratio = median([copy.wall_s / fill.wall_s for fill, copy in pairs])
    rows.append(Row("filling, of plain copying", (Figure("ratio", ratio, "ratio"),)))
    whole = _row("comparing all of them with the ledger", [comparison], len(known))
    answers = Figure("answers", float(answers_bytes), "bytes")
    rows.append(Row(whole.name, (*whole.figures, Figure("took", comparison.wall_s, "seconds"), answers)))
    size_bytes = sum(len(one.draft.body) for one in known) // len(known)
    title = (
        f"Filling a newcomer's store with {len(known):,} offerings of {size_bytes} bytes from three members"
    )
    return [Table(title, tuple(rows), ("CPU is that of all members and threads of this process.",))]


def _row(name: str, ones: Sequence[Spent], count: int) -> Row:
    return Row(
        name,
        (
            Figure("entities", median([count / one.wall_s for one in ones]), "per second"),
            Figure("CPU each", median([one.cpu_s / count for one in ones]), "seconds"),
        ),
    )
