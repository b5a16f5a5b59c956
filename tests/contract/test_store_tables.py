"""The domain tables of every `Store`: the same SQL gives the same answers, and moves with its transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from hansa.store import Store
from hansa.store.tables import evidence, facts, jobs, publications, subscriptions
from hansa.store.tables.evidence import Conflict
from hansa.store.tables.heads import Retrieval
from hansa.store.tables.jobs import JobProgress
from hansa.store.tables.publications import ChainEnd, Outgoing
from hansa.store.tables.subscriptions import DeadLetter, DeliveryProgress, DeliveryTotals
from tests.contract.stores import ENGINES, Engine, opened
from tests.unit.store.drafts import draft

TIME = "2026-01-01T00:00:00.000Z"


@pytest.fixture(params=ENGINES)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    engine: Engine = request.param
    async with opened(engine) as one:
        yield one


async def fail_after(store: Store, *progress: JobProgress) -> None:
    async with store.transaction() as tx:
        for one in progress:
            await jobs.save(tx, one)
        raise LookupError


# -- jobs -----------------------------------------------------------------------------------------------------


async def test_a_job_goes_on_where_its_last_commit_was(store: Store) -> None:
    first = JobProgress("j", 10, 8, 2, ("line 3: no name", "line 7: ü"))
    async with store.transaction() as tx:
        await jobs.save(tx, first)
        await jobs.save(tx, JobProgress("other"))
        assert await jobs.get(store, "j") is None
    assert await jobs.get(store, "j") == first
    with pytest.raises(LookupError):
        await fail_after(store, JobProgress("j", 20), JobProgress("void"))
    assert await jobs.get(store, "j") == first
    async with store.transaction() as tx:
        await jobs.save(tx, msgspec.structs.replace(first, position=30, done=28))
        await jobs.remove(tx, "other")
        await jobs.remove(tx, "none")
    assert await jobs.get(store, "j") == msgspec.structs.replace(first, position=30, done=28)
    assert await jobs.identifiers(store) == {"j"}


# -- publications ---------------------------------------------------------------------------------------------


def outgoing(name: str, version: int = 1, *, is_delete: bool = False) -> Outgoing:
    return Outgoing(
        seq=0,
        entity_id=name,
        key=(name * 32).encode().hex(),
        type="ProductOffering",
        version=version,
        hashlink=f"hl:{name}{version}",
        lifecycle_status="Launched",
        is_delete=is_delete,
        content=f"content-{name}-{version}".encode(),
        previous=None,
    )


async def enqueued(store: Store, *events: Outgoing) -> tuple[Outgoing, ...]:
    async with store.transaction() as tx:
        await publications.enqueue(tx, events)
    return await publications.outgoing(store, 0, 100)


async def test_an_event_moves_from_the_outbox_to_the_chain(store: Store) -> None:
    a, b = await enqueued(store, outgoing("a"), outgoing("b"))
    assert (a.entity_id, b.entity_id, a.seq < b.seq, a.is_delete) == ("a", "b", True, False)
    assert (a.key, a.content, a.previous) == (outgoing("a").key, b"content-a-1", None)
    assert await publications.outgoing(store, a.seq, 100) == (b,)
    assert await publications.outbox_size(store) == 2
    before = (await publications.states(store, ["a", "none"]))["a"]
    assert (before.version, before.is_under_way, before.is_due, before.hashlink) == (0, True, False, None)
    async with store.transaction() as tx:
        await publications.committed(tx, [(a, 7)])
    after = (await publications.by_keys(store, [a.key, "ff"]))[a.key]
    assert (after.version, after.hashlink, after.lifecycle_status) == (1, "hl:a1", "Launched")
    assert (after.first_position, after.last_position) == (7, 7)
    assert (after.is_under_way, after.is_withdrawn, after.is_due) == (False, False, False)
    (second,) = [
        one for one in await enqueued(store, outgoing("a", 2, is_delete=True)) if one.entity_id == "a"
    ]
    assert (second.previous, second.is_delete) == ("hl:a1", True)
    async with store.transaction() as tx:
        await publications.mark_due(tx, ["a"])
        await publications.committed(tx, [(second, 9)])
    end = (await publications.states(store, ["a"]))["a"]
    assert (end.first_position, end.last_position, end.is_withdrawn, end.is_due) == (7, 9, True, True)


async def test_an_entity_is_due_unless_it_is_under_way(store: Store) -> None:
    a, b = await enqueued(store, outgoing("a"), outgoing("b"))
    async with store.transaction() as tx:
        await publications.mark_due(tx, ["a", "b"])
    assert await publications.due(store, 9) == ()
    async with store.transaction() as tx:
        await publications.rebase(tx, a, ChainEnd(4, "hl:ledger", 1, 5))
        await publications.refused(tx, b, "EVENT_OLD", "too old")
    assert set(await publications.due(store, 9)) == {"a", "b"}
    async with store.transaction() as tx:
        await publications.mark_due(tx, ["b"], is_due=False)
    assert await publications.due(store, 9) == ("a",)
    state = (await publications.states(store, ["a"]))["a"]
    assert (state.version, state.hashlink, state.last_position) == (4, "hl:ledger", 5)
    (refusal,) = await publications.refusals(store, 9)
    assert (refusal.entity_id, refusal.refusal_code, refusal.refusal_message) == ("b", "EVENT_OLD", "too old")
    assert await publications.refusal_counts(store) == {"EVENT_OLD": 1}
    async with store.transaction() as tx:
        await publications.retry_refused(tx)
    assert await publications.refusals(store, 9) == ()
    assert set(await publications.due(store, 9)) == {"a", "b"}


async def test_publications_of_very_many_entities_are_read_at_once(store: Store) -> None:
    async with store.transaction() as tx:
        await publications.enqueue(
            tx,
            [msgspec.structs.replace(outgoing("a"), entity_id=f"e{n}", key=f"{n:064x}") for n in range(1100)],
        )
    assert len(await publications.states(store, [f"e{n}" for n in range(1200)])) == 1100
    assert len(await publications.by_keys(store, [f"{n:064x}" for n in range(1200)])) == 1100


# -- evidence and facts -----------------------------------------------------------------------------------


def retrieval(name: str, position: int, issuer: str = "did:x:1") -> Retrieval:
    return Retrieval(
        issuer=issuer,
        key=(name * 32).encode().hex(),
        type="ProductOffering",
        version=position,
        hashlink=f"hl:{name}{position}",
        position=position,
        time=f"2026-01-01T00:00:{position:02}.000Z",
    )


async def test_facts_are_recorded_replaced_and_removed(store: Store) -> None:
    async with store.transaction() as tx:
        await facts.record(tx, "ledger", "a")
        await facts.record(tx, "ledger", "b")
        await facts.record(tx, "intake_rule", "c")
        await facts.remove(tx, "intake_rule")
    assert await facts.value(store, "ledger") == "b"
    assert await facts.value(store, "intake_rule") is None


async def test_evidence_of_one_kind_is_counted_and_bounded(store: Store) -> None:
    async with store.transaction() as tx:
        for _ in range(3):
            await evidence.record(tx, retrieval("a", 1), "bad-hash", "not the hash", 2)
        await evidence.record(tx, retrieval("b", 2, "did:x:2"), "bad-event", "unreadable", 2)
    newest, older = await evidence.records(store, 9)
    assert (newest.issuer, newest.key, newest.position, newest.count) == (
        *("did:x:2", retrieval("b", 2).key),
        *(2, 1),
    )
    assert (older.code, older.key, older.version, older.count) == ("bad-hash", retrieval("a", 1).key, 1, 3)
    assert await evidence.counts(store) == {("did:x:1", "bad-hash"): 1, ("did:x:2", "bad-event"): 1}
    assert await evidence.records(store, 1) == (newest,)
    async with store.transaction() as tx:
        await evidence.record(tx, retrieval("c", 3, "did:x:3"), "bad-hash", "not the hash", 2)
        await evidence.record(tx, retrieval("d", 4, "did:x:4"), "bad-hash", "not the hash", 2)
    assert [one.issuer for one in await evidence.records(store, 9)] == ["did:x:4", "did:x:3"]


async def test_a_conflict_is_noted_once(store: Store) -> None:
    async with store.transaction() as tx:
        await evidence.record_conflicts(tx, [("a", "did:x:1", 5), ("a", "did:x:2", 6), ("a", "did:x:1", 9)])
    assert set(await evidence.conflicts(store, 9)) == {
        Conflict("a", "did:x:1", 5, TIME),
        Conflict("a", "did:x:2", 6, TIME),
    }
    assert await evidence.conflict_count(store) == 2


# -- subscriptions --------------------------------------------------------------------------------------------


async def registered(store: Store, *ids: str, topic: str = "") -> None:
    async with store.transaction() as tx:
        for id in ids:
            assert await subscriptions.add(
                tx, id=id, api="TMF620", callback=f"http://{id}", query="", subscriber=f"by-{id}", topic=topic
            )


def letter(place: int) -> DeadLetter:
    return DeadLetter(f"e{place}", "catalogCreateEvent", place, TIME, 1, "listener-refused", 400)


async def test_a_registration_is_served_from_what_happens_next_on(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put(draft("a"))
        one = await subscriptions.add(
            tx, id="s", api="TMF620", callback="http://s", query="q", subscriber="me"
        )
        again = await subscriptions.add(
            tx, id="t", api="TMF620", callback="http://s", query="q", subscriber="me"
        )
    assert one is not None
    assert (one.position, one.state, one.is_behind, again) == (1, "active", False, None)
    revised = msgspec.structs.replace(one, revision=(await subscriptions.revision(store)).revision)
    assert (await subscriptions.get(store, "s"), await subscriptions.get(store, "t")) == (revised, None)


async def test_what_happens_to_registrations_makes_their_revision_grow(store: Store) -> None:
    first = await subscriptions.revision(store)
    await registered(store, "a", "b")
    second = await subscriptions.revision(store)
    assert (second.revision, second.ended) == (first.revision + 2, 0)
    async with store.transaction() as tx:
        await subscriptions.resume(tx, "a")
        assert await subscriptions.resend(tx, "a") == 0
        await subscriptions.save(tx, [DeliveryProgress("b", 7)])
        assert await subscriptions.count(tx) == 2
    assert [one.id for one in await subscriptions.since(store, second.revision)] == ["a"]
    assert await subscriptions.callbacks(store, second.revision) == {"http://a"}
    async with store.transaction() as tx:
        assert await subscriptions.remove(tx, "a")
        assert not await subscriptions.remove(tx, "a")
    assert (await subscriptions.revision(store)).ended == 1
    assert await subscriptions.identifiers(store) == {"b"}


async def test_a_position_never_goes_back_when_a_listener_is_passed_by(store: Store) -> None:
    await registered(store, "a", "b", "c")
    async with store.transaction() as tx:
        await subscriptions.save(
            tx, [DeliveryProgress("a", 10, is_behind=True), DeliveryProgress("b", 3, is_behind=True)]
        )
        await subscriptions.pass_by(tx, ["a", "b"], 7)
        await subscriptions.pass_by(tx, [], 9)
    positions = {one.id: (one.position, one.is_behind) for one in await subscriptions.since(store, -1)}
    assert positions == {"a": (10, True), "b": (7, False), "c": (0, False)}


async def test_dead_letters_of_an_event_are_one_and_the_newest_stay(store: Store) -> None:
    await registered(store, "a")
    async with store.transaction() as tx:
        added = tuple(letter(place) for place in range(5))
        await subscriptions.save(tx, [DeliveryProgress("a", 1, dead_letters_added=added)], 3)
        await subscriptions.save(tx, [DeliveryProgress("a", 1, dead_letters_added=(letter(4),))], 3)
        await subscriptions.save(tx, [DeliveryProgress("ended", 1, dead_letters_added=(letter(1),))], 3)
    letters, total = await subscriptions.dead_letters(store, "a")
    assert ([(one.event_id, one.attempts) for one in letters], total) == (
        [("e2", 1), ("e3", 1), ("e4", 2)],
        3,
    )
    assert (await subscriptions.dead_letters(store, "a", offset=1, limit=1))[0] == letters[1:2]
    assert (await subscriptions.dead_letters(store, "ended"))[1] == 0
    state = await subscriptions.get(store, "a")
    assert state is not None
    assert state.dead_letters_dropped == 2
    async with store.transaction() as tx:
        assert await subscriptions.resend(tx, "a", "e3") == 1
        assert await subscriptions.resend(tx, "a", "none") == 0
    due_letters, total = await subscriptions.dead_letters(store, "a", due_only=True)
    assert ([(one.event_id, one.is_due) for one in due_letters], total) == ([("e3", True)], 1)
    async with store.transaction() as tx:
        assert await subscriptions.resend(tx, "a") == 3
        await subscriptions.save(tx, [DeliveryProgress("a", 1, dead_letters_resolved=(3,))])
        assert await subscriptions.remove(tx, "a")
    assert (await subscriptions.dead_letters(store, "a"))[1] == 0


async def test_registrations_are_listed_by_subscriber_and_state(store: Store) -> None:
    await registered(store, "a", "b", "c")
    async with store.transaction() as tx:
        await subscriptions.save(
            tx,
            [
                DeliveryProgress("a", 1, delivered=5),
                DeliveryProgress("b", 1, delivered=2, failures=3, dead_letters_added=(letter(8),)),
                DeliveryProgress("c", 1, failures=9, is_paused=True, problem="gone", answered=410),
            ],
        )

    async def listed(**arguments: object) -> tuple[str, int]:
        ones, total = await subscriptions.page(
            store,
            "TMF620",
            **{"subscriber": None, "offset": 0, "limit": 9, **arguments},  # type: ignore[arg-type]
        )
        return "".join(one.id for one in ones), total

    assert await listed() == ("abc", 3)
    assert await listed(offset=1, limit=1) == ("b", 3)
    assert await listed(subscriber="by-c") == ("c", 1)
    assert await listed(topic="t") == ("", 0)
    assert [await listed(state=state) for state in ("active", "failing", "paused")] == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
    ]
    assert await subscriptions.delivery_totals(store) == DeliveryTotals(7, 1)


async def test_the_listeners_of_a_topic_end_with_it(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.put(draft("t", "Topic"))
    await registered(store, "a", "b", topic="t")
    await registered(store, "c")
    async with store.transaction() as tx:
        await tx.delete("t")
        assert await subscriptions.count(tx) == 1
        assert len(await subscriptions.identifiers(store)) == 3
    assert await subscriptions.identifiers(store) == {"c"}
