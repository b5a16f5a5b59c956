"""The tables of announced versions, of heads and of origins, of every `Store`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.store import Store, Transaction
from hansa.store.tables import announced, heads, origins, publications
from hansa.store.tables.heads import NewHead, Retrieval
from hansa.store.tables.origins import Origin
from tests.contract.stores import ENGINES, Engine, opened, put
from tests.contract.test_store_tables import outgoing, retrieval
from tests.unit.store.drafts import draft

TIME = "2026-01-01T00:00:00.000Z"


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    engine: Engine = request.param
    async with opened(engine) as one:
        yield one


# -- announced ------------------------------------------------------------------------------------------------

KEY = ("a" * 32).encode().hex()


async def test_the_bytes_of_an_announced_version_are_retained_when_the_entity_gets_others(
    store: Store,
) -> None:
    first, second, third = (draft("a", n=n) for n in range(3))
    await put(store, first)
    async with store.transaction() as tx:
        await publications.enqueue(
            tx, [msgspec.structs.replace(outgoing("a"), hashlink=first.hashlink, key=KEY)]
        )
    await put(store, second, third)
    links = [one.hashlink for one in (first, second, third)]
    assert await announced.bodies(store, links) == {(KEY, first.hashlink): first.body}
    (event,) = await publications.outgoing(store, 0, 9)
    async with store.transaction() as tx:
        await publications.committed(tx, [(event, 7)])
        await announced.end(tx, KEY, 1, 50)
        assert not await announced.prune(tx, 51, 9, 9_000)
    assert len(await announced.bodies(store, links)) == 1, "it is the newest version that was announced"
    async with store.transaction() as tx:
        await announced.end(tx, KEY, 2, 50)
        assert not await announced.prune(tx, 50, 9, 9_000)
    assert len(await announced.bodies(store, links)) == 1, "it ended at that very moment"
    async with store.transaction() as tx:
        await announced.prune(tx, 51, 9, 9_000)
    assert await announced.bodies(store, links) == {}


async def test_what_was_not_announced_or_is_not_public_any_more_is_not_retained(store: Store) -> None:
    first = draft("a", n=1)
    await put(store, first, draft("a", n=2))
    async with store.transaction() as tx:
        await publications.enqueue(
            tx, [msgspec.structs.replace(outgoing("a"), hashlink=draft("a", n=2).hashlink, key=KEY)]
        )
    await put(store, draft("a", public=False, n=3), draft("a", n=4))
    replica = draft("b", origin="did:x:1", n=1)
    await put(store, replica, draft("b", origin="did:x:1", n=2))
    assert await store.sql.fetch("SELECT * FROM announced_part") == []


async def test_the_versions_whose_successors_were_committed_first_are_removed_first(store: Store) -> None:
    async with store.transaction() as tx:
        for version in range(1, 7):
            await announced.retain(tx, KEY, version, f"hl:{version}", b"x" * 10)
            if version % 2:
                await announced.end(tx, KEY, version + 1, 100 - version)
        await announced.retain(tx, KEY, 7, "hl:1", b"x" * 10)
        assert not await announced.prune(tx, 0, 9, 50)
    links = [f"hl:{version}" for version in range(1, 7)]
    assert {link for _, link in await announced.bodies(store, links)} == set(links) - {"hl:4"}
    async with store.transaction() as tx:
        assert not await announced.prune(tx, 0, 2, 50)
    assert {link for _, link in await announced.bodies(store, links)} == {"hl:6", "hl:1"}
    async with store.transaction() as tx:
        await announced.remove(tx, KEY)
    assert await announced.bodies(store, links) == {}


# -- heads ----------------------------------------------------------------------------------------------------


async def scheduled(store: Store, *ones: Retrieval) -> None:
    async with store.transaction() as tx:
        for one in ones:
            await heads.schedule(tx, one)


async def record_stored(tx: Transaction, entity_id: str, one: Retrieval, size_bytes: int) -> None:
    before = await heads.of_keys(tx, one.issuer, [one.key])
    replica = NewHead(one, "stored", entity_id=entity_id, size_bytes=size_bytes)
    await heads.record_stored(tx, one.issuer, [replica], before)


async def due(store: Store, now_ms: int = 0) -> list[Retrieval]:
    return [
        one for origin in await origins.origins(store) for one in await heads.due(store, origin, now_ms, 100)
    ]


async def test_a_newer_version_replaces_an_older_one_that_is_pending(store: Store) -> None:
    await scheduled(
        store, retrieval("a", 3), retrieval("b", 1), retrieval("a", 2), retrieval("c", 4, "did:x:2")
    )
    assert await due(store) == [retrieval("b", 1), retrieval("a", 3), retrieval("c", 4, "did:x:2")]
    await scheduled(store, retrieval("a", 5))
    assert await due(store) == [retrieval("b", 1), retrieval("a", 5), retrieval("c", 4, "did:x:2")]
    assert [(one.did, one.pending) for one in await origins.origins(store)] == [
        ("did:x:1", 2),
        ("did:x:2", 1),
    ]
    assert await heads.oldest_pending(store) == {
        "did:x:1": (1, "2026-01-01T00:00:01.000Z"),
        "did:x:2": (4, "2026-01-01T00:00:04.000Z"),
    }


async def test_a_version_that_is_stored_is_not_scheduled_again(store: Store) -> None:
    one = retrieval("a", 3)
    await scheduled(store, one)
    async with store.transaction() as tx:
        head = await heads.of_key(tx, one.issuer, one.key)
        assert head is not None
        assert head.is_due(one)
        assert not head.is_due(retrieval("a", 4))
        await tx.put(draft("a", origin=one.issuer))
        await record_stored(tx, "a", one, 70)
        await heads.schedule(tx, one)
        assert [origin.pending for origin in await origins.origins(tx)] == [0]
    assert await due(store) == []
    assert await heads.known_keys(store, one.issuer, [one.key, "ff"]) == {one.key}
    assert await heads.known_keys(store, "did:x:2", [one.key]) == frozenset()
    await scheduled(store, retrieval("a", 4))
    assert await due(store) == [retrieval("a", 4)]


async def test_what_its_origin_has_deleted_loses_its_replica(store: Store) -> None:
    one = retrieval("a", 3)
    await scheduled(store, one, retrieval("b", 4))
    async with store.transaction() as tx:
        await tx.put(draft("a", origin=one.issuer))
        await record_stored(tx, "a", one, 70)
        await heads.skip(tx, retrieval("a", 2), "deleted", None, "Deleted.")
    assert await store.entity("a") is not None  # a newer version than the deleted one is here
    async with store.transaction() as tx:
        await heads.skip(tx, retrieval("a", 5), "deleted", None, "Deleted.")
    await scheduled(store, retrieval("a", 4))
    assert await store.entity("a") is None
    assert await due(store) == [retrieval("b", 4)]
    assert await heads.known_keys(store, one.issuer, [one.key]) == frozenset()
    (head,) = await heads.of_all_members(store, one.key)
    assert (head.state, head.version, head.entity_id) == ("deleted", 5, None)


async def test_versions_between_the_replica_and_the_head_bring_the_replica_forward(store: Store) -> None:
    async def head() -> heads.HeadState:
        head = await heads.of_key(store, "did:x:1", retrieval("a", 1).key)
        assert head is not None
        return head

    await scheduled(store, retrieval("a", 9))
    assert (await head()).is_brought_forward_by(retrieval("a", 3))
    async with store.transaction() as tx:
        await record_stored(tx, "a", retrieval("a", 3), 70)
    now = await head()
    assert (now.state, now.version, now.replica_version, now.entity_id) == ("pending", 9, 3, "a")
    assert (now.proved_hashlink, now.proved_position) == ("hl:a3", 3)
    progress = [now.is_brought_forward_by(retrieval("a", n)) for n in (2, 3, 4, 9, 10)]
    assert progress == [False, False, True, True, False]
    (origin,) = await origins.origins(store)
    assert (origin.pending, origin.stored, origin.stored_bytes) == (1, 0, 70)
    async with store.transaction() as tx:
        await record_stored(tx, "a", retrieval("a", 9), 80)
    now = await head()
    assert (now.state, now.replica_version, now.proved_position) == ("stored", None, 9)
    assert not now.is_brought_forward_by(retrieval("a", 10))
    await scheduled(store, retrieval("a", 12))
    assert ((await head()).replica_version, (await head()).proved_hashlink) == (9, "hl:a9")
    (origin,) = await origins.origins(store)
    assert (origin.pending, origin.stored, origin.stored_bytes) == (1, 0, 80)


async def test_a_replica_that_goes_takes_the_head_along_that_it_was(store: Store) -> None:
    async with store.transaction() as tx:
        for name in "abc":
            await heads.schedule(tx, retrieval(name, 1))
            await record_stored(tx, name, retrieval(name, 1), 70)
        await heads.schedule(tx, retrieval("b", 2))
        await heads.forget_replica(tx, "did:x:1", retrieval("a", 1).key)
        await heads.forget_replica(tx, "did:x:1", retrieval("b", 1).key)
        await heads.displace(tx, "did:x:1", retrieval("c", 1).key, "identifier-stolen", "It is another's.")
    assert await heads.of_key(store, "did:x:1", retrieval("a", 1).key) is None
    b = await heads.of_key(store, "did:x:1", retrieval("b", 1).key)
    c = await heads.of_key(store, "did:x:1", retrieval("c", 1).key)
    assert b is not None
    assert (b.state, b.entity_id, b.proved_hashlink) == ("pending", None, None)
    assert c is not None
    assert (c.state, c.entity_id, c.problem) == ("rejected", None, "identifier-stolen")
    (origin,) = await origins.origins(store)
    assert (origin.stored, origin.pending, origin.rejected, origin.stored_bytes) == (0, 1, 1, 0)


async def test_every_head_is_counted_in_one_state(store: Store) -> None:
    async def origin() -> Origin:
        (origin,) = await origins.origins(store)
        assert origin.unaccounted == 0
        return origin

    ones = {name: retrieval(name, number) for number, name in enumerate("abcde", 1)}
    async with store.transaction() as tx:
        await origins.count_heads(tx, "did:x:1", len(ones))
        for one in ones.values():
            await heads.schedule(tx, one)
    assert (await origin()).pending == 5
    async with store.transaction() as tx:
        await tx.put(draft("a", origin="did:x:1"))
        await record_stored(tx, "a", ones["a"], 70)
        await heads.conclude(tx, ones["b"], "rejected", "entity-invalid", "No.")
        await heads.conclude(tx, ones["c"], "deferred", "origin-bound-reached", "Later.")
        await heads.skip(tx, retrieval("d", 9), "skipped", None, "No.")
        await heads.postpone(tx, ones["e"], 500, "hash-mismatch", "Other bytes.")
    now = await origin()
    assert (now.stored, now.rejected, now.deferred, now.skipped, now.pending) == (1, 1, 1, 1, 1)
    assert (now.failed, now.stored_bytes) == (1, 70)
    states = {head.state: head for head in await heads.page(store, heads.RETRYABLE, None, 0, 9)}
    assert set(states) == set(heads.RETRYABLE)
    assert (states["rejected"].reason, states["pending"].problem) == ("No.", "hash-mismatch")
    assert [one.state for one in await heads.of_all_members(store, ones["a"].key)] == ["stored"]

    await scheduled(store, retrieval("a", 10))  # a newer version than the stored one
    now = await origin()
    assert (now.stored, now.pending) == (0, 2)
    async with store.transaction() as tx:
        await tx.put(draft("a", origin="did:x:1"))
        await record_stored(tx, "a", retrieval("a", 10), 90)
        await heads.release_deferred(tx, now, 9)
        assert await heads.retry(tx, ("rejected", "skipped"), 9, "did:x:1") == 2
        assert await heads.retry(tx, ("pending",), 9) == 1
    now = await origin()
    assert (now.stored, now.pending, now.failed, now.stored_bytes) == (1, 4, 0, 90)


async def test_what_was_received_of_an_origin_is_counted_for_each_day(store: Store) -> None:
    for day, size_bytes, duration_ms in ((7, 10, 1), (7, 20, 2), (8, 5, 4)):
        async with store.transaction() as tx:
            await origins.count_received(tx, "did:x:1", day, size_bytes, duration_ms)
    (origin,) = await origins.origins(store)
    assert (origin.day, origin.day_bytes, origin.day_verification_ms) == (8, 5, 4)


async def test_failures_of_one_kind_are_brought_forward_a_part_at_a_time(store: Store) -> None:
    ones = [retrieval(name, number) for number, name in enumerate("abc", 1)]
    await scheduled(store, *ones)
    async with store.transaction() as tx:
        for number, one in enumerate(ones):
            await heads.postpone(tx, one, 1000 + number, "hash-mismatch")
        await heads.bring_forward(tx, "did:x:1", ("hash-mismatch", "retrieval-missing"), 10, 10, 2)
    assert [one.key for one in await due(store, 10)] == [one.key for one in ones[:2]]


async def test_failures_postpone_retrievals_and_origins(store: Store) -> None:
    one = retrieval("a", 1)
    await scheduled(store, one, retrieval("b", 2))
    async with store.transaction() as tx:
        await heads.postpone(tx, one, 500, "hash-wrong")
        await origins.failed(tx, one.issuer, 1, 900, "timeout")
    (origin,) = await origins.origins(store)
    assert (origin.attempts, origin.due_ms, origin.problem) == (1, 900, "timeout")
    assert (origin.failing_since, origin.failed, origin.pending) == (TIME, 1, 2)
    assert await due(store, 499) == [retrieval("b", 2)]
    assert await heads.next_due_ms(store, origin, 0) == 500
    assert await heads.next_due_ms(store, origin, 500) is None
    (_, failed) = await due(store, 500)
    assert (failed.attempts, failed.due_ms, failed.problem) == (1, 500, "hash-wrong")
    untried = await heads.due(store, origin, 500, 9, untried_only=True)
    assert untried == (retrieval("b", 2),)
    async with store.transaction() as tx:
        await heads.bound_pauses(tx, 300)
        await origins.bound_pauses(tx, 300)
        await origins.answered(tx, one.issuer)
    assert len(await due(store, 300)) == 2
    (origin,) = await origins.origins(store)
    assert (origin.attempts, origin.due_ms, origin.problem, origin.failing_since) == (0, 0, None, None)
