"""The publisher: batches, refusals, lost state, a bus that does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from hansa.core.batches import BatchSigner
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import LifecycleEvent, decode_event
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.replication.announcement import Announcer
from hansa.store import Entity, Store
from hansa.store.tables import publications
from hansa.store.tables.publications import Publication
from tests.support.league import League, Marketplace, draft


async def put_some(member: Marketplace, count: int, **fields: Any) -> None:
    await member.put_many([(member.id(str(n)), "Launched", "ProductOffering", fields) for n in range(count)])


async def chains(member: Marketplace) -> dict[str, Publication]:
    return await publications.states(member.store, list(await member.catalogue()))


class WatchedBus:
    """Lets publications through to a bus, watches them, and refuses what it is told to."""

    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self.batches: list[tuple[LifecycleEvent, ...]] = []
        self.under_way = 0
        self.under_way_max = 0
        self.refusals: dict[str, Code] = {}
        """By entity key."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        batch = tuple(decode_event(content, signer.issuer) for content in contents)
        for event in batch:
            if event.entity.key in self.refusals:
                raise Refused(self.refusals[event.entity.key], "The rule is the rule.")
        self.batches.append(batch)
        self.under_way += 1
        self.under_way_max = max(self.under_way, self.under_way_max)
        try:
            positions: tuple[int, ...] = await self._bus.publish(contents, signer)
            return positions
        finally:
            self.under_way -= 1


def watched(member: Marketplace) -> WatchedBus:
    bus = WatchedBus(member.bus)
    member.bus = bus
    return bus


async def test_the_first_event_travels_alone_and_the_rest_in_batches() -> None:
    limits = Limits(events_per_transaction_max=20, publish_in_flight_max=2)
    async with League(["lubeck"], limits) as league:
        (lubeck,) = league.marketplaces
        bus = watched(lubeck)
        league.ledger.commit_delay_s = 1.0
        league.start()
        await lubeck.put("first")
        await league.run(0.1)
        assert [len(batch) for batch in bus.batches] == [1]
        for n in range(100):
            await lubeck.put(str(n))
        await league.settle()
        assert max(map(len, bus.batches)) == 20
        assert bus.under_way_max == 2
        assert sum(map(len, bus.batches)) == 101


async def test_a_batch_stays_within_the_size_of_a_transaction() -> None:
    limits = Limits(transaction_size_max_bytes=8192)
    async with League(["lubeck"], limits) as league:
        (lubeck,) = league.marketplaces
        bus = watched(lubeck)
        league.ledger.commit_delay_s = 1.0
        league.start()
        await put_some(lubeck, 100, category=[{"id": f"category-{n:03}"} for n in range(30)])
        await league.settle()
        assert len(await chains(lubeck)) == 100
        assert max(map(len, bus.batches)) > 1


async def test_two_versions_of_an_entity_are_never_under_way_together() -> None:
    async with League(["lubeck"]) as league:
        (lubeck,) = league.marketplaces
        bus = watched(lubeck)
        league.ledger.commit_delay_s = 0.5
        league.start()
        for n in range(30):
            await put_some(lubeck, 5, n=n)
            await league.run(0.1)
        await league.settle()
        for batch in bus.batches:
            keys = [event.entity.key for event in batch]
            assert len(keys) == len(set(keys))
        assert all(chain.version < 12 for chain in (await chains(lubeck)).values())


async def test_a_refused_event_is_isolated_and_the_others_are_committed() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        bus = watched(lubeck)
        bad = entity_key(lubeck.did, lubeck.id("7"))
        bus.refusals[bad] = Code.EVENT_MALFORMED
        league.start()
        await put_some(lubeck, 20)
        await league.settle()
        assert len(await bergen.catalogue()) == 19
        (refused,) = await lubeck.view.refusals()
        assert (refused.entity_id, refused.refusal_code) == (lubeck.id("7"), "event-malformed")
        assert refused.refusal_message == "The rule is the rule."
        assert (await lubeck.view.progress((), None)).gauges.refused == 1
        assert lubeck.publisher.counters.events_refused == 1
        # Its next change is tried again, and so is everything at the next start.
        bus.refusals.clear()
        await lubeck.restart()
        await league.settle()
        assert len(await bergen.catalogue()) == 20
        assert await lubeck.view.refusals() == ()


async def test_the_next_change_of_a_refused_entity_is_published() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        bus = watched(lubeck)
        bus.refusals[entity_key(lubeck.did, lubeck.id("one"))] = Code.EVENT_TOO_LARGE
        league.start()
        await lubeck.put("one")
        await league.settle()
        bus.refusals.clear()
        await lubeck.put("one", name="better")
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert await lubeck.view.refusals() == ()


async def test_a_member_that_the_ledger_does_not_know_waits() -> None:
    async with League(["lubeck"]) as league:
        (lubeck,) = league.marketplaces
        bus = watched(lubeck)
        bus.refusals[entity_key(lubeck.did, lubeck.id("0"))] = Code.EVENT_ISSUER_UNKNOWN
        league.start()
        await put_some(lubeck, 3)
        await league.run(120)
        assert await lubeck.view.outbox_size() == 3
        assert lubeck.publisher.problem is Code.EVENT_ISSUER_UNKNOWN
        assert lubeck.publisher.counters.submissions_failed < 40
        bus.refusals.clear()
        await league.settle()
        assert len(await chains(lubeck)) == 3
        assert lubeck.publisher.problem is None


async def test_events_wait_for_a_bus_that_is_away() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        lubeck.bus.is_connected = False  # type: ignore[attr-defined]
        league.start()
        await put_some(lubeck, 5)
        await league.run(60)
        assert await lubeck.view.unpublished() == 5
        assert lubeck.publisher.problem is Code.UNAVAILABLE
        lubeck.bus.is_connected = True  # type: ignore[attr-defined]
        await league.until(lambda: bergen.store.entity(lubeck.id("4")), timeout_s=11)
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()


async def test_a_lost_store_continues_the_chains_on_the_ledger() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await put_some(lubeck, 150)
        await lubeck.put("0", name="version 2")
        await lubeck.put("gone")
        await league.settle()
        await lubeck.delete(lubeck.id("gone"))
        await league.settle()
        await lubeck.close()
        await lubeck.open()
        lubeck.start()
        await put_some(lubeck, 150)
        await lubeck.put("0", name="version 3")
        await lubeck.put("1", "In design")
        await lubeck.put("gone", name="and back")
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert len(await bergen.catalogue()) == 150
        states = await chains(lubeck)
        assert states[lubeck.id("5")].version == 1
        assert states[lubeck.id("5")].first_position is not None
        assert states[lubeck.id("0")].version >= 3
        assert states[lubeck.id("gone")].version == 3
        assert await lubeck.view.refusals() == ()


async def test_a_restored_older_store_catches_up(tmp_path: Any) -> None:
    async with League(["lubeck", "bergen"], folder=tmp_path) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        await put_some(lubeck, 10, n=1)
        await league.settle()
        await lubeck.close()
        assert lubeck.path is not None
        backup = lubeck.path.read_bytes()
        await lubeck.open()
        lubeck.start()
        await put_some(lubeck, 10, n=2)
        await league.settle()
        await lubeck.close()
        lubeck.path.write_bytes(backup)
        await lubeck.open()
        lubeck.start()
        await put_some(lubeck, 5, n=3)
        await league.settle()
        ours, theirs = await lubeck.catalogue(), await bergen.catalogue()
        changed = {lubeck.id(str(n)) for n in range(5)}
        assert {id: ours[id] for id in changed} == {id: theirs[id] for id in changed}


async def test_a_store_that_is_full_is_waited_for() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces

        class FullStore:
            """Refuses the first transactions."""

            refusals = 3

            def __init__(self, store: Store) -> None:
                self._store = store

            def __getattr__(self, name: str) -> Any:
                return getattr(self._store, name)

            def transaction(self) -> Any:
                if self.refusals:
                    self.refusals -= 1
                    raise Unavailable(Code.DISK_FULL, "The disk is full.", 0.2)
                return self._store.transaction()

        real = lubeck.store, bergen.store
        lubeck.store, bergen.store = FullStore(lubeck.store), FullStore(bergen.store)
        league.start()
        lubeck.store, bergen.store = real
        await lubeck.put("one")
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()


# -- what events say ------------------------------------------------------------------------------------------


def announced(limits: Limits | None = None, **fields: Any) -> tuple[LifecycleEvent, bytes]:
    did = SigningKey.generate().verifying_key().did_key()
    size_max_bytes = (limits or Limits()).event_size_max_bytes
    announcer = Announcer(did, lambda: size_max_bytes)
    one = draft("urn:x:1", **fields)
    entity = Entity(one.id, one.type, one.body, one.hashlink, True, None, 1)
    event = announcer.announce("urn:x:1", entity, None, ManualClock().now())
    assert event is not None
    return decode_event(event.content, did), event.content


def test_an_event_tells_what_others_decide_by() -> None:
    event, _ = announced(
        category=[{"id": "cloud", "name": "Cloud"}, {"name": "no id"}, {"id": "edge"}, {"id": "cloud"}],
        validFor={"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": 7},
        name="not told",
    )
    assert msgspec.to_builtins(event.metadata) == {
        "lifecycleStatus": "Launched",
        "validFor": {"startDateTime": "2026-01-01T00:00:00Z"},
        "categories": ("cloud", "edge"),
    }
    assert event.type == "productOfferingCreateEvent"
    assert "not told" not in str(event)


@pytest.mark.parametrize(
    "fields",
    [
        {"category": [{"id": "é" * 100 + str(n)} for n in range(1000)]},
        {"category": "cloud", "validFor": []},
        {"category": [None, 1, {"id": None}], "validFor": {"startDateTime": "x" * 9999}},
        {"category": [{"id": "\n" * 128} for _ in range(99)]},
    ],
)
def test_an_event_stays_small_whatever_the_entity_holds(fields: dict[str, Any]) -> None:
    _, jws = announced(Limits(event_size_max_bytes=2048), **fields)
    assert len(jws) <= 2048


async def test_publishing_stops_when_it_is_cancelled() -> None:
    async with League(["lubeck"]) as league:
        (lubeck,) = league.marketplaces
        league.start()
        await lubeck.put("one")
        await league.run(0.1)
        await lubeck.stop()
        assert not lubeck.is_running
