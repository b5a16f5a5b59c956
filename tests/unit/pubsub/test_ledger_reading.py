"""Reading the ledger: bounds, forms that are refused, and the same answers as a search by hand.

What is answered apart from that is the bus contract's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hansa.core.clock import ManualClock, rfc3339, rfc3339_at_ms
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import Metadata, event_time
from hansa.pubsub.ledger.queries import check_query
from hansa.pubsub.ledger.reading import LedgerReader, pages, search, time_ms_of
from hansa.pubsub.ledger.sqlite_state import MEMORY, SqliteState
from hansa.pubsub.ledger_records import CommittedEvent, EventFilter, EventPage
from hansa.pubsub.memory import MemoryLedger
from tests.contract.origins import NOW, Origin

ORIGIN = Origin("lubeck")
KEY = ORIGIN.key_of("e")


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    made = MemoryLedger([ORIGIN.member], ManualClock())
    yield made
    made.close()


@pytest.mark.parametrize(
    ("filter", "code"),
    [
        (EventFilter(from_time="2026-01-01T00:00:00"), Code.INVALID),
        (EventFilter(to_time="soon"), Code.INVALID),
        (EventFilter(keys=(KEY,) * 1001), Code.TOO_LARGE),
        (EventFilter(types=("x",) * 101), Code.TOO_LARGE),
        (EventFilter(types=("x",) * 50, issuers=("x",) * 51), Code.TOO_LARGE),
    ],
)
def test_a_filter_beyond_the_bounds_is_refused(ledger: MemoryLedger, filter: EventFilter, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        ledger.reader.events(0, filter)
    assert refused.value.code is code


def test_a_page_begins_somewhere_and_has_room(ledger: MemoryLedger) -> None:
    for after, limit in ((-1, 1), (0, 0)):
        with pytest.raises(Refused) as refused:
            ledger.reader.events(after, EventFilter(), limit)
        assert refused.value.code is Code.INVALID
    assert ledger.reader.events(0, EventFilter(), 10**9) == EventPage((), 0, 0)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
def test_events_in_a_row_are_read_as_each_of_them_alone(sizes: list[int], data: st.DataObject) -> None:
    origins = [Origin("lubeck"), Origin("bergen")]
    ledger = MemoryLedger([one.member for one in origins], ManualClock())

    async def publish() -> None:
        for number, size in enumerate(sizes):
            origin = origins[number % 2]
            await ledger.bus().publish(origin.events(size), origin.signer)

    asyncio.run(publish())
    first = data.draw(st.integers(1, sum(sizes)))
    last = data.draw(st.integers(first, sum(sizes)))
    together = ledger.reader.events_at(range(first, last + 1))
    alone = [one for at in range(first, last + 1) for one in ledger.reader.events_at([at])]
    assert list(together) == alone
    assert list(ledger.reader.events_at(range(last, first - 1, -1))) == alone[::-1]
    page = ledger.reader.events(first - 1, EventFilter(), last - first + 1, with_proofs=True)
    assert [one.content for one in page.events] == [one.content for one in alone]
    ledger.close()


def test_what_is_no_key_or_id_is_refused(ledger: MemoryLedger) -> None:
    for keys, code in (("x",), Code.INVALID), ((KEY,) * 1001, Code.TOO_LARGE):
        with pytest.raises(Refused) as refused:
            ledger.reader.claims(keys)
        assert refused.value.code is code
    for ids, code in (("x",), Code.INVALID), (("",) * 1001, Code.TOO_LARGE):
        with pytest.raises(Refused) as refused:
            ledger.reader.positions(ORIGIN.did, ids)
        assert refused.value.code is code


def test_before_its_genesis_a_ledger_answers_nothing() -> None:
    state = SqliteState(MEMORY)
    with pytest.raises(Unavailable):
        LedgerReader(state.connection).head()
    state.close()


# -- bounds -----------------------------------------------------------------------------------------------------


async def test_one_search_visits_a_bounded_number_of_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SCANNED_POSITIONS_MAX", 4)
    origin = Origin("lubeck")
    ledger = MemoryLedger([origin.member], ManualClock())
    await ledger.bus().publish(origin.events(10), origin.signer)
    rare = EventFilter(types=("productOfferingDeleteEvent",))
    scanned = 0
    for expected in (4, 8, 10):
        page = await ledger.bus().search(scanned, rare)
        assert (page.events, page.scanned_to) == ((), expected)
        scanned = page.scanned_to
    by_key = EventFilter(keys=(KEY,))
    assert (await ledger.bus().search(0, by_key)).scanned_to == 10


async def test_a_page_has_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = Origin("lubeck")
    ledger = MemoryLedger([origin.member], ManualClock())
    contents = origin.events(6)
    await ledger.bus().publish(contents, origin.signer)
    monkeypatch.setattr(pages, "PAGE_SIZE_MAX_BYTES", 2 * len(contents[0]) + 10)
    page = await ledger.bus().search(0)
    assert (len(page.events), page.scanned_to, page.last_position) == (2, 2, 6)
    monkeypatch.setattr(pages, "PAGE_SIZE_MAX_BYTES", 1)
    assert len((await ledger.bus().search(0)).events) == 1


async def test_the_proofs_of_a_page_hash_a_bounded_number_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    origin = Origin("lubeck")
    ledger = MemoryLedger([origin.member], ManualClock())
    for _ in range(3):
        await ledger.bus().publish(origin.events(4), origin.signer)
    size = len((await ledger.bus().search(0)).events[0].content)
    monkeypatch.setattr(pages, "HASHED_MAX_BYTES", 9 * size)
    page = await ledger.bus().search(0, with_proofs=True)
    assert (len(page.events), page.scanned_to) == (8, 8)
    monkeypatch.setattr(pages, "HASHED_MAX_BYTES", 1)
    assert len((await ledger.bus().search(8, with_proofs=True)).events) == 4
    assert len((await ledger.bus().search(0)).events) == 12


# -- the same as a search by hand -------------------------------------------------------------------------------

ENTITIES = ("a", "b", "c", "d")
METADATA = (
    Metadata(),
    Metadata(lifecycleStatus="Launched", categories=("cloud", "edge"), region=("EU",)),
    Metadata(lifecycleStatus="Retired", categories=("edge",), compliance=("GDPR", "C5")),
)


class Recorded:
    """A ledger of three members, with events of many times."""

    def __init__(self) -> None:
        self.origins = [Origin("lubeck"), Origin("bergen"), Origin("riga")]
        clock = ManualClock(NOW)
        self.ledger = MemoryLedger([origin.member for origin in self.origins], clock)
        self.events: list[CommittedEvent] = []

        async def publish() -> None:
            bus = self.ledger.bus()
            for number in range(40):
                origin = self.origins[number % 3]
                entity = ENTITIES[(number // 3) % 4]
                change = "Create" if number < 12 else ("StateChange", "AttributeValueChange")[number % 2]
                time = clock.now() + timedelta(seconds=(-80_000, -3000, 0, 290)[number * 7 % 4])
                await bus.publish(
                    [origin.event(entity, change, time=event_time(time), metadata=METADATA[number % 5 % 3])],
                    origin.signer,
                )
                await clock.advance(500)
            self.events += (await bus.search(0)).events

        asyncio.run(publish())
        self.times = [rfc3339(NOW + timedelta(seconds=second)) for second in range(-90_000, 25_000, 2500)]


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    made = Recorded()
    yield made
    made.ledger.close()


def some_of(values: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=3).map(tuple)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_pages_together_are_what_a_search_by_hand_gives(
    recorded: Recorded, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few positions one search may visit, and however small its pages are."""
    keys = [origin.key_of(entity) for origin in recorded.origins for entity in (*ENTITIES, "nothing")]
    types = [f"productOffering{change}Event" for change in ("Create", "StateChange", "Delete")]
    filter = EventFilter(
        types=data.draw(some_of(types)),
        issuers=data.draw(some_of([*(origin.did for origin in recorded.origins), "did:key:nobody"])),
        keys=data.draw(some_of([*keys, "no key"])),
        entity_types=data.draw(st.just(()) | some_of(["ProductOffering", "Category"])),
        lifecycle_statuses=data.draw(st.just(()) | some_of(["Launched", "launched", "Retired"])),
        categories=data.draw(st.just(()) | some_of(["cloud", "edge"])),
        regions=data.draw(st.just(()) | some_of(["EU", "E"])),
        compliance=data.draw(st.just(()) | some_of(["GDPR", "C5"])),
        from_time=data.draw(st.none() | st.sampled_from(recorded.times)),
        to_time=data.draw(st.none() | st.sampled_from(recorded.times)),
    )
    limit = data.draw(st.integers(1, 10))
    monkeypatch.setattr(search, "SCANNED_POSITIONS_MAX", data.draw(st.integers(1, 50)))
    monkeypatch.setattr(search, "VISITED_MAX", data.draw(st.integers(1, 50)))
    monkeypatch.setattr(search, "CONTENTS_VISITED_MAX", data.draw(st.integers(1, 50)))
    monkeypatch.setattr(search, "_CONTENTS_AT_ONCE", data.draw(st.integers(1, 10)))
    monkeypatch.setattr(search, "RUN_MIN", data.draw(st.integers(1, 5)))
    after = first = data.draw(st.integers(0, 45))
    matches: list[CommittedEvent] = []
    while True:
        page = recorded.ledger.reader.events(after, filter, limit)
        assert len(page.events) <= limit
        assert all(after < event.position <= page.scanned_to for event in page.events)
        matches += page.events
        assert page.scanned_to > after or page.scanned_to >= page.last_position
        after = page.scanned_to
        if after >= page.last_position:
            break
    assert matches == [
        event for event in recorded.events if event.position > first and filter.accepts(event.event)
    ]


def test_a_search_from_now_finds_what_is_in_a_block_of_an_earlier_time(recorded: Recorded) -> None:
    """After a silence a block has the time of the one before."""
    ahead = [committed for committed in recorded.events if committed.event.time > committed.time]
    assert ahead
    for committed in ahead:
        assert (
            committed in recorded.ledger.reader.events(0, EventFilter(from_time=committed.event.time)).events
        )


def test_a_search_until_now_finds_what_is_in_a_block_of_a_later_time(recorded: Recorded) -> None:
    behind = [committed for committed in recorded.events if committed.event.time < committed.time]
    assert behind
    for committed in behind:
        assert committed in recorded.ledger.reader.events(0, EventFilter(to_time=committed.time)).events


# -- times ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_written_is_the_time_read(time_ms: int) -> None:
    assert time_ms_of(rfc3339_at_ms(time_ms)) == time_ms


def test_a_fraction_of_a_millisecond_counts_as_the_next() -> None:
    assert time_ms_of("1970-01-01T00:00:00.0001Z") == 1
    assert time_ms_of("1970-01-01T01:00:00.001000+01:00") == 1


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-W05-1T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_within_the_years_that_there_are_in_utc_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        time_ms_of(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_the_ends_of_the_calendar_are_times(text: str) -> None:
    origin = Origin("lubeck")
    ledger = MemoryLedger([origin.member], ManualClock())
    await ledger.bus().publish(origin.events(1), origin.signer)
    earlier = await ledger.bus().search(0, EventFilter(to_time=text))
    later = await ledger.bus().search(0, EventFilter(from_time=text))
    assert len(earlier.events) + len(later.events) == 1
    assert earlier.scanned_to == later.scanned_to == 1


# -- queries of the engine --------------------------------------------------------------------------------------


def with_node_ids(origin: Origin, node_ids: Sequence[str]) -> Origin:
    origin.member = msgspec.structs.replace(origin.member, node_ids=tuple(node_ids))
    return origin


def test_only_engines_of_members_are_peers_and_suspended_ones_still_vote() -> None:
    members = (
        with_node_ids(Origin("lubeck"), ("a" * 40, "b" * 40)).member,
        with_node_ids(Origin("bergen", status="left"), ("c" * 40,)).member,
        with_node_ids(Origin("riga", status="suspended"), ("e" * 40,)).member,
    )
    for accepted in ("id/" + "a" * 40, "id/" + "e" * 40, "id/" + "b" * 40, "addr/203.0.113.7:26656"):
        check_query(f"/p2p/filter/{accepted}", members)
    for refused in ("id/" + "c" * 40, "id/" + "d" * 40, "id/" + "A" * 40, "id/", "", "other/" + "a" * 40):
        with pytest.raises(Refused) as refusal:
            check_query(f"/p2p/filter/{refused}", members)
        assert refusal.value.code is Code.FORBIDDEN


@pytest.mark.parametrize("path", ["", "/", "/status", "/events", "/check", "/p2p"])
def test_the_application_answers_no_other_query(path: str) -> None:
    with pytest.raises(Refused) as refused:
        check_query(path, ())
    assert refused.value.code is Code.NOT_FOUND
