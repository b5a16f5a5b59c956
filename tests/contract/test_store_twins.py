"""The same steps on every `Store` lead to the same that can be observed, whatever the steps."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock
from hansa.core.errors import HansaError
from hansa.store import EntityDraft, Filter, Query, SortKey, Store, Transaction
from hansa.store.operators import GTE, LT, REGEX
from hansa.store.tables import evidence, heads, jobs, origins, publications, subscriptions
from hansa.store.tables.heads import NewHead, Retrieval
from hansa.store.tables.jobs import JobProgress
from hansa.store.tables.publications import Outgoing
from hansa.store.tables.subscriptions import DeadLetter, DeliveryProgress
from tests.contract.stores import ENGINES, open_store

IDS = ("a", "b", "c", "d e")
TYPES = ("ProductOffering", "Category", "Topic")
ORIGINS = (None, "did:x:1", "did:x:2")


def made(
    id: str,
    type: str,
    visibility: str,
    origin: str | None,
    parent: str | None,
    nonce: bytes | None,
    attributes: dict[str, Any],
) -> EntityDraft:
    """An entity with these attributes."""
    body = canonical_json({"id": id, "@type": type, **attributes})
    is_public, is_pending = visibility == "public", visibility == "pending"
    return EntityDraft(
        id, type, body, hashlink(body), is_public, origin, parent, nonce=nonce, is_pending=is_pending
    )


ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(("", "x", "y", "ü", None)),
        "lifecycleStatus": st.sampled_from(("", "Launched", "Retired", None)),
        "lastUpdate": st.sampled_from(("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+02:00", "never")),
        "category": st.sampled_from(({"id": "a"}, [{"id": "b"}, {"id": "a"}], [{"id": 5}], "a", [])),
        "size": st.sampled_from((0, 1.5, 10, True, "10", {"of": 1})),
    },
)
DRAFT_OF = (
    st.sampled_from(TYPES),
    st.sampled_from(("public", "private", "pending")),
    st.sampled_from(ORIGINS),
    st.sampled_from((None, "a", "p")),
    st.sampled_from((None, bytes(16), b"x" * 16)),
    ATTRIBUTES,
)


class Write(msgspec.Struct, frozen=True):
    """One step of a transaction: a key of `STEPS`, and what it is about."""

    kind: str
    draft: EntityDraft
    number: int

    @property
    def key(self) -> str:
        """The ledger's key of the entity."""
        return self.draft.id.encode().hex()

    @property
    def retrieval(self) -> Retrieval:
        """A version of the entity as an origin has it."""
        one, number = self.draft, self.number
        return Retrieval(
            *(one.origin or "did:x:1", self.key, one.type, number, one.hashlink, number),
            f"2026-01-01T00:00:0{number}.000Z",
        )


async def put(tx: Transaction, write: Write) -> object:
    if write.draft.origin:
        one = write.retrieval
        before = await heads.of_keys(tx, one.issuer, [one.key])
        replica = NewHead(one, "stored", entity_id=write.draft.id, size_bytes=len(write.draft.body))
        await heads.record_stored(tx, one.issuer, [replica], before)
    return await tx.put(write.draft)


async def delete(tx: Transaction, write: Write) -> object:
    return await tx.delete(write.draft.id)


async def move_cursor(tx: Transaction, write: Write) -> object:
    await tx.set_cursor(write.draft.id, write.number)
    return await tx.cursor(write.draft.id)


async def save_job(tx: Transaction, write: Write) -> None:
    await jobs.save(tx, JobProgress(write.draft.id, write.number, errors=(write.draft.type,)))


async def schedule(tx: Transaction, write: Write) -> object:
    await heads.schedule(tx, write.retrieval)
    return await heads.of_key(tx, write.retrieval.issuer, write.key)


async def reject(tx: Transaction, write: Write) -> object:
    await heads.conclude(tx, write.retrieval, "rejected", "entity-invalid", "why")
    return await origins.origins(tx)


async def retry(tx: Transaction, write: Write) -> object:
    return await heads.retry(tx, ("rejected", "skipped"), 9, write.retrieval.issuer, write.key)


async def postpone(tx: Transaction, write: Write) -> object:
    await heads.postpone(tx, write.retrieval, write.number, "hash-mismatch", "why")
    return await origins.origins(tx)


async def skip(tx: Transaction, write: Write) -> None:
    await heads.skip(tx, write.retrieval, "deleted", None, "why")


async def record_evidence(tx: Transaction, write: Write) -> None:
    one = write.retrieval
    await evidence.record(tx, one, one.type, "why", 3)


async def publish(tx: Transaction, write: Write) -> object:
    one = write.draft
    event = Outgoing(write.number, one.id, write.key, one.type, 1, one.hashlink, None, False, b"{}", None)
    await publications.committed(tx, [(event, write.number)])
    if not await tx.sql.fetch("SELECT 1 FROM outbox WHERE entity_id = ?", (one.id,)):
        await publications.enqueue(tx, [event])
    return await tx.sql.fetch("SELECT is_due FROM publication WHERE entity_id = ?", (one.id,))


async def register(tx: Transaction, write: Write) -> object:
    id, number = write.draft.id, write.number
    topic = id if number > 2 else ""
    added = await subscriptions.add(
        tx, id=id, api="A", callback=write.draft.type, query="", subscriber="s", topic=topic
    )
    letter = DeadLetter("e", "t", number, tx.time, 1, "refused")
    await subscriptions.save(tx, [DeliveryProgress(id, number, dead_letters_added=(letter,))], 2)
    return added


STEPS = {
    step.__name__: step
    for step in (
        *(put, delete, move_cursor, save_job, schedule, reject, retry, postpone, skip, record_evidence),
        *(publish, register),
    )
}
writes = st.builds(
    Write,
    st.sampled_from(("put", "put", "put", *STEPS)),
    st.builds(made, st.sampled_from(IDS), *DRAFT_OF),
    st.integers(0, 5),
)


def queries() -> list[Query]:
    conditions: list[tuple[Filter, ...]] = [
        (),
        (Filter(("lifecycleStatus",), ("Launched", "")),),
        (Filter(("category", "id"), ("a", "5")),),
        (Filter(("size",), ("10", "true")),),
        (Filter(("size",), ("1",), GTE),),
        (Filter(("name",), ("y",), LT),),
        (Filter(("name",), ("^.?$",), REGEX), Filter(("category", "id"), ("b",))),
        (Filter(("lastUpdate",), ("2025-12-31T23:30:00Z",), GTE, is_instant=True),),
        (Filter(("id",), ("a", "d e")),),
    ]
    orders: list[tuple[SortKey, ...]] = [
        (),
        (SortKey(("size",)), SortKey(("name",), descending=True)),
        (SortKey(("lastUpdate",), descending=True, is_instant=True),),
    ]
    pages = itertools.cycle(
        ((0, 100, False, None), (1, 2, True, None), (0, 9, False, "a"), (0, 3, True, None))
    )
    collections = itertools.cycle((TYPES[0], TYPES[0], TYPES[1]))
    return [
        Query(next(collections), filters, sort, *next(pages))
        for filters, sort in itertools.product(conditions, orders)
    ]


QUERIES = queries()


async def apply(store: Store, steps: Sequence[Write], *, fails: bool) -> list[object]:
    """One transaction; what its steps returned, and what it read after each."""
    results: list[object] = []
    try:
        async with store.transaction() as tx:
            for step in steps:
                one = step.draft
                results.append(await STEPS[step.kind](tx, step))
                results.append((await tx.entity(one.id), await tx.collections_of(IDS)))
                results.append({found.id for found in await tx.referrers(TYPES, one.id, 10)})
                results.append(set(await tx.below(TYPES, "a", 10)))
                results.append((tx.last_change, await tx.feed_end()))
            if fails:
                raise LookupError
    except LookupError:
        results.append("undone")
    return results


async def observed(store: Store) -> list[object]:
    """Everything that can be read, but for revisions of collections and what has no order."""
    pages = [await store.list(query) for query in QUERIES]
    members = await origins.origins(store)
    return [
        [(page.ids, page.total, page.bodies, page.is_plain) for page in pages],
        [await store.entity(each) for each in IDS],
        await store.entities(IDS),
        await store.collections_of(IDS),
        await store.missing(IDS),
        await store.counts(),
        await store.changes(0, 1000),
        await store.own_changes(1),
        await store.last_change(),
        [await store.cursor(each) for each in IDS],
        [page async for page in store.scan(limit=2, public_only=False)],
        [page async for page in store.scan(TYPES[:1], own_only=True)],
        sorted([one.id async for part in store.referring() for one in part]),
        [await jobs.get(store, each) for each in IDS],
        members,
        [await heads.due(store, origin, 0, 10) for origin in members],
        await heads.oldest_pending(store),
        [await heads.known_keys(store, one.did, [each.encode().hex() for each in IDS]) for one in members],
        [await heads.of_all_members(store, each.encode().hex()) for each in IDS],
        await heads.page(store, heads.STATES, None, 0, 10),
        await evidence.records(store, 10),
        await publications.states(store, IDS),
        await publications.outgoing(store, 0, 10),
        await subscriptions.since(store, -1),
        await subscriptions.revision(store),
        [await subscriptions.dead_letters(store, each) for each in IDS],
    ]


class Twins(RuleBasedStateMachine):
    """Runs every step on all stores, and compares."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stores: list[Store] = []
        self.created = 0

    @initialize()
    def open(self) -> None:
        clock = ManualClock()
        self.stores = [self.runner.run(open_store(engine, clock=clock)) for engine in ENGINES]

    @rule(steps=st.lists(writes, max_size=4), fails=st.booleans())
    def write(self, steps: list[Write], fails: bool) -> None:
        first, *others = [self.runner.run(apply(one, steps, fails=fails)) for one in self.stores]
        assert all(first == other for other in others)

    @rule(draft_of=st.tuples(*DRAFT_OF))
    def create(self, draft_of: tuple[Any, ...]) -> None:
        self.created += 1
        new = made(f"new-{self.created}", *draft_of)

        async def create(store: Store) -> object:
            committed: asyncio.Future[HansaError | None] = asyncio.get_running_loop().create_future()
            entity = await store.create(new, committed)
            return entity, await committed

        first, *others = [self.runner.run(create(one)) for one in self.stores]
        assert all(first == other for other in others)

    @invariant()
    def all_stores_show_the_same(self) -> None:
        if self.stores:
            first, *others = [self.runner.run(observed(one)) for one in self.stores]
            for other in others:
                for here, there in zip(first, other, strict=True):
                    assert here == there

    def teardown(self) -> None:
        for one in self.stores:
            self.runner.run(one.close())
        self.runner.close()


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)
