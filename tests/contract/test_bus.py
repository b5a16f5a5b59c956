"""What every `Bus` keeps. The ledger of a case may hold events of the cases before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import EntityVersion, read_event
from hansa.core.limits import Limits
from hansa.pubsub.bus import Bus, CommittedEvent, EventFilter, EventPage
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.memory import MemoryLedger
from tests.contract.leagues import Validator
from tests.contract.origins import Origin

LIMITS = Limits()
CLOCK = SystemClock()
MakeBus = Callable[[], Bus]


class League:
    """Two active members and a suspended one, on one ledger."""

    def __init__(self) -> None:
        self.lubeck = Origin("lubeck")
        self.bergen = Origin("bergen", "Ed25519")
        self.riga = Origin("riga", status="suspended")
        self.members = [self.lubeck.member, self.bergen.member, self.riga.member]


@pytest.fixture(scope="module", params=["memory", pytest.param("cometbft", marks=pytest.mark.league)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def league(backend: str) -> League:
    return League()


@pytest.fixture(scope="module")
def make_bus(backend: str, league: League, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeBus]:
    if backend == "memory":
        ledger = MemoryLedger(league.members, CLOCK, LIMITS)
        yield ledger.bus
        ledger.close()
        return
    validator = Validator(tmp_path_factory.mktemp("validator"), league.members)
    try:
        asyncio.run(validator.start())
        yield lambda: CometBftBus(validator.rpc_socket, CLOCK, LIMITS)
    finally:
        validator.stop()


@pytest.fixture
async def buses(make_bus: MakeBus) -> AsyncIterator[MakeBus]:
    made: list[Bus] = []

    def bus() -> Bus:
        made.append(make_bus())
        return made[-1]

    yield bus
    for each in made:
        await each.close()


@pytest.fixture
def bus(buses: MakeBus) -> Bus:
    return buses()


async def end(bus: Bus) -> int:
    return (await bus.ledger()).position


async def all_events(bus: Bus, after: int, filter: EventFilter | None = None) -> list[CommittedEvent]:
    """Every matching event, page by page."""
    events: list[CommittedEvent] = []
    while True:
        page = await bus.search(after, filter)
        events += page.events
        after = page.scanned_to
        if after >= page.last_position:
            return events


async def first_page(pages: AsyncIterator[EventPage]) -> EventPage:
    """The next page that has events."""
    return await anext(page async for page in pages if page.events)


async def expect_refusal(bus: Bus, code: Code, *events: str) -> None:
    before = await end(bus)
    with pytest.raises(Refused) as refused:
        await bus.publish(events)
    assert refused.value.code is code
    assert await end(bus) == before


# -- publishing -------------------------------------------------------------------------------------------------


async def test_published_events_have_positions_without_gaps(bus: Bus, league: League) -> None:
    start = await end(bus)
    assert await bus.publish(league.lubeck.events(3)) == (start + 1, start + 2, start + 3)
    assert await bus.publish(league.bergen.events(2)) == (start + 4, start + 5)
    assert await end(bus) == start + 5


async def test_publishing_again_returns_the_same_positions(bus: Bus, league: League) -> None:
    events = league.lubeck.events(3)
    positions = await bus.publish(events)
    assert await bus.publish(events) == positions
    assert await bus.publish([events[2], events[0]]) == (positions[2], positions[0])
    assert await end(bus) == positions[-1]


async def test_what_is_missing_of_a_batch_is_published(bus: Bus, league: League) -> None:
    events = league.lubeck.events(3)
    (middle,) = await bus.publish(events[1:2])
    assert await bus.publish(events) == (middle + 1, middle, middle + 2)


async def test_publishing_nothing_does_nothing(bus: Bus) -> None:
    before = await end(bus)
    assert await bus.publish([]) == ()
    assert await end(bus) == before


async def test_members_publish_at_the_same_time(buses: MakeBus, league: League) -> None:
    start = await end(buses())
    batches = [origin.events(5) for origin in (league.lubeck, league.bergen) for _ in range(4)]
    positions = await asyncio.gather(*(buses().publish(batch) for batch in batches))
    assert sorted(itertools.chain(*positions)) == list(range(start + 1, start + 41))


async def test_an_entity_changes_is_deleted_and_comes_back(bus: Bus, league: League) -> None:
    origin = league.lubeck
    for change in ("Create", "AttributeValueChange", "Delete", "Create"):
        await bus.publish([origin.event("phoenix", change)])
    (claim,) = await bus.claims([origin.key_of("phoenix")])
    assert (claim.version, claim.is_deleted) == (4, False)


# -- refusals ---------------------------------------------------------------------------------------------------


async def test_a_forged_signature_is_refused(bus: Bus, league: League) -> None:
    forged = Origin("lubeck").sign(league.lubeck.describe("new"))
    await expect_refusal(bus, Code.EVENT_SIGNATURE_INVALID, forged)


async def test_a_stranger_is_refused(bus: Bus) -> None:
    await expect_refusal(bus, Code.EVENT_ISSUER_UNKNOWN, Origin("stranger").event("new"))


async def test_a_suspended_member_is_refused(bus: Bus, league: League) -> None:
    await expect_refusal(bus, Code.EVENT_ISSUER_UNKNOWN, league.riga.sign(league.riga.describe("new")))


async def test_a_location_at_somebody_else_is_refused(bus: Bus, league: League) -> None:
    event = league.lubeck.describe("new")
    elsewhere = event.location.replace(league.lubeck.endpoint, league.bergen.endpoint)
    forged = league.lubeck.sign(league.lubeck.describe("new", location=elsewhere))
    await expect_refusal(bus, Code.EVENT_LOCATION_FOREIGN, forged)


async def test_a_used_event_id_is_refused_for_another_event(bus: Bus, league: League) -> None:
    event = league.lubeck.event("used-id")
    await bus.publish([event])
    again = league.lubeck.describe("another", id=read_event(event)[0].id)
    await expect_refusal(bus, Code.EVENT_DUPLICATE, league.lubeck.sign(again))


async def test_an_event_id_belongs_to_its_issuer_alone(bus: Bus, league: League) -> None:
    """Whoever sees an event on its way cannot keep it off the ledger by using its id first."""
    seen = league.lubeck.describe("seen")
    (squatted,) = await bus.publish([league.bergen.event("squatter", id=seen.id)])
    assert await bus.publish([league.lubeck.sign(seen)]) == (squatted + 1,)


async def test_a_key_claimed_by_somebody_else_first_does_not_block_its_owner(
    bus: Bus, league: League
) -> None:
    owned = league.lubeck.describe("contested")
    stolen = (
        league.bergen.describe("x")
        .location.split("?")[0]
        .replace(league.bergen.key_of("x"), owned.entity.key)
    )
    theft = league.bergen.describe("x", entity=owned.entity, location=f"{stolen}?hl={owned.hashlink}")
    await bus.publish([league.bergen.sign(theft)])
    await bus.publish([league.lubeck.sign(owned)])
    claims = await bus.claims([owned.entity.key])
    assert {claim.issuer for claim in claims} == {league.lubeck.did, league.bergen.did}


@pytest.mark.parametrize("version", [2, 3, 9])
async def test_a_version_that_does_not_follow_is_refused(bus: Bus, league: League, version: int) -> None:
    event = league.lubeck.describe("gap")
    entity = EntityVersion(event.entity.key, event.entity.type, version)
    forged = league.lubeck.describe("gap", "AttributeValueChange", entity=entity, previous=event.hashlink)
    await expect_refusal(bus, Code.EVENT_VERSION_BROKEN, league.lubeck.sign(forged))


async def test_a_version_with_another_predecessor_is_refused(bus: Bus, league: League) -> None:
    await bus.publish([league.lubeck.event("forked")])
    other = league.lubeck.describe("other").hashlink
    fork = league.lubeck.describe("forked", "AttributeValueChange", previous=other)
    await expect_refusal(bus, Code.EVENT_VERSION_BROKEN, league.lubeck.sign(fork))


async def test_one_bad_event_keeps_its_whole_batch_off(bus: Bus, league: League) -> None:
    good = league.lubeck.events(2)
    bad = Origin("lubeck").sign(league.lubeck.describe("bad"))
    await expect_refusal(bus, Code.EVENT_SIGNATURE_INVALID, good[0], bad, good[1])
    assert len(await bus.publish(good)) == 2


async def test_events_of_two_issuers_in_one_batch_are_refused(bus: Bus, league: League) -> None:
    batch = league.lubeck.events(1) + league.bergen.events(1)
    await expect_refusal(bus, Code.TRANSACTION_MALFORMED, *batch)


@pytest.mark.parametrize("text", ["", "no signature", "a.b.c", "{}"])
async def test_what_is_no_event_is_refused(bus: Bus, text: str) -> None:
    await expect_refusal(bus, Code.EVENT_MALFORMED, text)


async def test_an_event_of_ten_megabytes_is_refused(bus: Bus) -> None:
    await expect_refusal(bus, Code.TRANSACTION_TOO_LARGE, "x" * 10_000_000)


async def test_an_event_over_the_limit_is_refused(bus: Bus) -> None:
    await expect_refusal(bus, Code.EVENT_TOO_LARGE, "x" * (LIMITS.event_size_max_bytes + 1))


async def test_too_many_events_at_once_are_refused(bus: Bus, league: League) -> None:
    events = [league.lubeck.events(1)[0]] * (LIMITS.events_per_transaction_max + 1)
    await expect_refusal(bus, Code.TRANSACTION_TOO_LARGE, *events)


# -- reading ----------------------------------------------------------------------------------------------------


async def test_all_members_read_the_same_events_in_the_same_order(buses: MakeBus, league: League) -> None:
    start = await end(buses())
    events = league.lubeck.events(4)
    await buses().publish(events)
    one, other = await all_events(buses(), start), await all_events(buses(), start)
    assert [event.jws for event in one] == events
    assert one == other


async def test_a_committed_event_says_where_it_is(bus: Bus, league: League) -> None:
    (jws,) = league.lubeck.events(1)
    (position,) = await bus.publish([jws])
    (committed,) = (await bus.search(position - 1)).events
    status = await bus.ledger()
    assert (committed.position, committed.jws, committed.event) == (position, jws, read_event(jws)[0])
    assert 1 <= committed.height <= status.height
    assert committed.time.endswith("Z")


async def test_a_page_has_at_most_as_many_events_as_requested(bus: Bus, league: League) -> None:
    start = await end(bus)
    await bus.publish(league.lubeck.events(5))
    page = await bus.search(start, limit=2)
    assert [event.position for event in page.events] == [start + 1, start + 2]
    assert (page.scanned_to, page.last_position) == (start + 2, start + 5)


async def test_the_end_of_the_ledger_is_an_empty_page(bus: Bus) -> None:
    last = await end(bus)
    assert await bus.search(last) == EventPage((), last, last)


async def test_filters_select_by_type_issuer_and_key(bus: Bus, league: League) -> None:
    start = await end(bus)
    lubeck = [league.lubeck.event("filtered"), league.lubeck.event("filtered", "StateChange")]
    await bus.publish(lubeck[:1])
    await bus.publish(lubeck[1:])
    (bergen,) = league.bergen.events(1)
    await bus.publish([bergen])

    async def matches(**fields: tuple[str, ...]) -> list[str]:
        return [event.jws for event in await all_events(bus, start, EventFilter(**fields))]  # type: ignore[arg-type]

    assert await matches(types=("productOfferingStateChangeEvent",)) == lubeck[1:]
    assert await matches(issuers=(league.bergen.did,)) == [bergen]
    assert await matches(keys=(league.lubeck.key_of("filtered"),)) == lubeck
    assert await matches(keys=(league.lubeck.key_of("filtered"),), issuers=(league.bergen.did,)) == []
    assert await matches(types=("productOfferingCreateEvent",)) == [lubeck[0], bergen]
    assert await matches(keys=("no key",)) == await matches(types=("noSuchEvent",)) == []


async def test_a_search_between_times_finds_the_blocks_of_that_time(bus: Bus, league: League) -> None:
    start = await end(bus)
    await bus.publish(league.lubeck.events(1))
    await CLOCK.sleep(0.01)
    await bus.publish(league.lubeck.events(1))
    first, second = await all_events(bus, start)
    assert first.time < second.time
    assert await all_events(bus, start, EventFilter(from_time=second.time)) == [second]
    assert await all_events(bus, start, EventFilter(to_time=second.time)) == [first]
    assert await all_events(bus, start, EventFilter(to_time=first.time)) == []
    assert await all_events(bus, start, EventFilter(from_time="2999-01-01T00:00:00Z")) == []
    with pytest.raises(Refused):
        await bus.search(start, EventFilter(from_time="yesterday"))


async def test_claims_tell_the_last_version_of_each_key(bus: Bus, league: League) -> None:
    first, _ = await bus.publish([league.lubeck.event("claimed"), *league.lubeck.events(1)])
    (last,) = await bus.publish([league.lubeck.event("claimed", "StateChange")])
    claims = await bus.claims([league.lubeck.key_of("claimed"), league.lubeck.key_of("nothing")])
    (claim,) = claims
    assert (claim.key, claim.issuer) == (league.lubeck.key_of("claimed"), league.lubeck.did)
    assert (claim.first_position, claim.last_position, claim.version) == (first, last, 2)


async def test_many_claims_are_requested_in_parts(bus: Bus, league: League) -> None:
    events = league.lubeck.events(3)
    await bus.publish(events)
    keys = [read_event(jws)[0].entity.key for jws in events]
    padding = [league.lubeck.key_of(f"nothing-{n}") for n in range(LIMITS.claims_page_max)]
    assert {claim.key for claim in await bus.claims([*keys, *padding, *keys])} == set(keys)


async def test_the_registry_lists_all_members(bus: Bus, league: League) -> None:
    assert sorted(await bus.members(), key=lambda member: member.name) == sorted(
        league.members, key=lambda member: member.name
    )


async def test_the_ledger_says_where_it_stands(bus: Bus, league: League) -> None:
    before = await bus.ledger()
    await bus.publish(league.lubeck.events(1))
    after = await bus.ledger()
    assert after.height > before.height
    assert after.position == before.position + 1
    assert after.app_hash != before.app_hash
    assert not after.catching_up


# -- following --------------------------------------------------------------------------------------------------


async def test_a_follower_gets_what_is_there_and_then_what_comes(buses: MakeBus, league: League) -> None:
    publisher, follower = buses(), buses()
    start = await end(publisher)
    events = league.lubeck.events(2)
    await publisher.publish(events[:1])
    pages = follower.follow(start)
    assert [event.jws for event in (await first_page(pages)).events] == events[:1]
    waiting = asyncio.create_task(first_page(pages))
    await publisher.publish(events[1:])
    page = await waiting
    assert [event.jws for event in page.events] == events[1:]
    assert page.scanned_to == start + 2


async def test_a_followers_cursor_advances_over_what_it_filters_out(buses: MakeBus, league: League) -> None:
    bus = buses()
    start = await end(bus)
    pages = bus.follow(start, EventFilter(issuers=(league.bergen.did,)))
    await bus.publish(league.lubeck.events(3))
    page = await anext(pages)
    assert (page.events, page.scanned_to) == ((), start + 3)


async def test_closing_ends_follows_and_refuses_what_comes_after(buses: MakeBus, league: League) -> None:
    bus = buses()
    pages = bus.follow(await end(bus))
    waiting = asyncio.create_task(anext(pages, None))
    await asyncio.sleep(0)
    await bus.close()
    assert await waiting is None
    with pytest.raises(Unavailable):
        await bus.publish(league.lubeck.events(1))
