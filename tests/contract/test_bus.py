"""What every `Bus` keeps. The ledger of a case may hold events of the cases before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta

import msgspec
import pytest

from hansa.core.batches import BatchSigner, verify_event
from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import EntityVersion, decode_event, encode_event, event_time
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger_records import Claim, CommittedEvent, EventFilter, EventPage
from tests.contract.leagues import MakeBus, buses_of
from tests.contract.origins import Origin

LIMITS = Limits()
CLOCK = SystemClock()


class League:
    """Two active members and a suspended one, on one ledger."""

    def __init__(self) -> None:
        now = CLOCK.now()
        self.lubeck = Origin("lubeck", time=now)
        self.bergen = Origin("bergen", "Ed25519", time=now)
        self.riga = Origin("riga", status="suspended", time=now)
        self.members = [self.lubeck.member, self.bergen.member, self.riga.member]


@pytest.fixture(scope="module", params=["memory", pytest.param("cometbft", marks=pytest.mark.league)])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def league(backend: str) -> League:
    return League()


@pytest.fixture(scope="module")
def make_bus(backend: str, league: League, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeBus]:
    with buses_of(backend, league.members, LIMITS, tmp_path_factory) as make:
        yield make


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


async def expect_refusal(bus: Bus, code: Code, signer: BatchSigner, *contents: bytes) -> None:
    before = await end(bus)
    with pytest.raises(Refused) as refused:
        await bus.publish(contents, signer)
    assert refused.value.code is code
    assert await end(bus) == before


# -- publishing -------------------------------------------------------------------------------------------------


async def test_published_events_have_positions_without_gaps(bus: Bus, league: League) -> None:
    start = await end(bus)
    assert await bus.publish(league.lubeck.events(3), league.lubeck.signer) == (
        start + 1,
        start + 2,
        start + 3,
    )
    assert await bus.publish(league.bergen.events(2), league.bergen.signer) == (start + 4, start + 5)
    assert await end(bus) == start + 5


async def test_publishing_again_returns_the_same_positions(bus: Bus, league: League) -> None:
    events = league.lubeck.events(3)
    positions = await bus.publish(events, league.lubeck.signer)
    assert await bus.publish(events, league.lubeck.signer) == positions
    assert await bus.publish([events[2], events[0]], league.lubeck.signer) == (positions[2], positions[0])
    assert await end(bus) == positions[-1]


async def test_what_is_missing_of_a_batch_is_published(bus: Bus, league: League) -> None:
    events = league.lubeck.events(3)
    (middle,) = await bus.publish(events[1:2], league.lubeck.signer)
    assert await bus.publish(events, league.lubeck.signer) == (middle + 1, middle, middle + 2)


async def test_publishing_nothing_does_nothing(bus: Bus) -> None:
    before = await end(bus)
    assert await bus.publish([], Origin("nobody").signer) == ()
    assert await end(bus) == before


async def test_members_publish_at_the_same_time(buses: MakeBus, league: League) -> None:
    start = await end(buses())
    handles = [(origin, buses()) for origin in (league.lubeck, league.bergen)]
    batches = [(origin, bus, origin.events(5)) for origin, bus in handles for _ in range(4)]
    positions = await asyncio.gather(*(bus.publish(batch, origin.signer) for origin, bus, batch in batches))
    assert sorted(itertools.chain(*positions)) == list(range(start + 1, start + 41))


async def test_an_entity_changes_is_deleted_and_comes_back(bus: Bus, league: League) -> None:
    origin = league.lubeck
    for change in ("Create", "AttributeValueChange", "Delete", "Create"):
        await bus.publish([origin.event("phoenix", change)], origin.signer)
    (claim,) = await bus.claims([origin.key_of("phoenix")])
    assert (claim.version, claim.is_deleted) == (4, False)


# -- refusals ---------------------------------------------------------------------------------------------------


async def test_a_forged_signature_is_refused(bus: Bus, league: League) -> None:
    forger = BatchSigner(Origin("lubeck").key, league.lubeck.did, CLOCK)
    await expect_refusal(
        bus, Code.EVENT_SIGNATURE_INVALID, forger, encode_event(league.lubeck.describe("new"))
    )


async def test_a_stranger_is_refused(bus: Bus) -> None:
    stranger = Origin("stranger", time=CLOCK.now())
    await expect_refusal(bus, Code.EVENT_ISSUER_UNKNOWN, stranger.signer, stranger.event("new"))


async def test_a_suspended_member_is_refused(bus: Bus, league: League) -> None:
    await expect_refusal(bus, Code.EVENT_ISSUER_UNKNOWN, league.riga.signer, league.riga.event("new"))


async def test_a_used_event_id_is_refused_for_another_event(bus: Bus, league: League) -> None:
    event = league.lubeck.event("used-id")
    await bus.publish([event], league.lubeck.signer)
    again = league.lubeck.describe("another", id=decode_event(event, league.lubeck.did).id)
    await expect_refusal(bus, Code.EVENT_MALFORMED, league.lubeck.signer, encode_event(again))


async def test_an_event_id_belongs_to_its_issuer_alone(bus: Bus, league: League) -> None:
    """Whoever sees an event on its way cannot keep it off the ledger by using its id first."""
    seen = league.lubeck.describe("seen")
    squatter = league.bergen.describe("squatter", id=seen.id)
    await expect_refusal(bus, Code.EVENT_MALFORMED, league.bergen.signer, encode_event(squatter))
    assert await bus.publish([encode_event(seen)], league.lubeck.signer)


async def test_a_key_claimed_by_somebody_else_first_does_not_block_its_owner(
    bus: Bus, league: League
) -> None:
    owned = league.lubeck.describe("contested")
    theft = league.bergen.describe("x", entity=owned.entity, hashlink=owned.hashlink)
    await bus.publish([encode_event(theft)], league.bergen.signer)
    await bus.publish([encode_event(owned)], league.lubeck.signer)
    claims = await bus.claims([owned.entity.key])
    assert {claim.issuer for claim in claims} == {league.lubeck.did, league.bergen.did}


@pytest.mark.parametrize("version", [2, 3, 9])
async def test_a_version_that_does_not_follow_is_refused(bus: Bus, league: League, version: int) -> None:
    event = league.lubeck.describe("gap")
    entity = EntityVersion(event.entity.key, event.entity.type, version)
    forged = league.lubeck.describe("gap", "AttributeValueChange", entity=entity, previous=event.hashlink)
    await expect_refusal(bus, Code.EVENT_VERSION_BROKEN, league.lubeck.signer, encode_event(forged))


async def test_a_version_with_another_predecessor_is_refused(bus: Bus, league: League) -> None:
    await bus.publish([league.lubeck.event("forked")], league.lubeck.signer)
    other = league.lubeck.describe("other").hashlink
    fork = league.lubeck.describe("forked", "AttributeValueChange", previous=other)
    await expect_refusal(bus, Code.EVENT_VERSION_BROKEN, league.lubeck.signer, encode_event(fork))


async def test_one_bad_event_keeps_its_whole_batch_off(bus: Bus, league: League) -> None:
    good = league.lubeck.events(2)
    described = league.lubeck.describe("bad")
    entity = EntityVersion(described.entity.key, described.entity.type, 2)
    bad = encode_event(league.lubeck.describe("bad", entity=entity, previous=described.hashlink))
    await expect_refusal(bus, Code.EVENT_VERSION_BROKEN, league.lubeck.signer, good[0], bad, good[1])
    assert len(await bus.publish(good, league.lubeck.signer)) == 2


@pytest.mark.parametrize("content", [b"", b"no event", b"\xff", b"{}"])
async def test_what_is_no_event_is_refused(bus: Bus, league: League, content: bytes) -> None:
    await expect_refusal(bus, Code.EVENT_MALFORMED, league.lubeck.signer, content)


async def test_an_event_of_ten_megabytes_is_refused(bus: Bus, league: League) -> None:
    await expect_refusal(bus, Code.EVENT_TOO_LARGE, league.lubeck.signer, b"x" * 10_000_000)


async def test_an_event_over_the_limit_is_refused(bus: Bus, league: League) -> None:
    content = b"x" * (LIMITS.event_size_max_bytes + 1)
    await expect_refusal(bus, Code.EVENT_TOO_LARGE, league.lubeck.signer, content)


async def test_too_many_events_at_once_are_refused(bus: Bus, league: League) -> None:
    events = [league.lubeck.events(1)[0]] * (LIMITS.events_per_transaction_max + 1)
    await expect_refusal(bus, Code.TRANSACTION_TOO_LARGE, league.lubeck.signer, *events)


# -- reading ----------------------------------------------------------------------------------------------------


async def test_all_members_read_the_same_events_in_the_same_order(buses: MakeBus, league: League) -> None:
    start = await end(buses())
    events = league.lubeck.events(4)
    await buses().publish(events, league.lubeck.signer)
    one, other = await all_events(buses(), start), await all_events(buses(), start)
    assert [event.content for event in one] == events
    assert one == other


async def test_a_committed_event_says_where_it_is(bus: Bus, league: League) -> None:
    (content,) = league.lubeck.events(1)
    (position,) = await bus.publish([content], league.lubeck.signer)
    (committed,) = (await bus.search(position - 1)).events
    status = await bus.ledger()
    event = decode_event(content, league.lubeck.did)
    assert (committed.position, committed.content, committed.event) == (position, content, event)
    assert 1 <= committed.height <= status.height
    assert committed.time.endswith("Z")


async def test_an_event_is_verifiable_on_its_own(bus: Bus, league: League) -> None:
    contents = league.bergen.events(3)
    first, *_ = await bus.publish(contents, league.bergen.signer)
    page = await bus.search(first - 1, with_proofs=True)
    key = league.bergen.key.verifying_key()
    for committed in page.events:
        assert committed.proof is not None
        assert verify_event(committed.content, committed.proof, key) == committed.event
        assert (committed.proof.index, committed.proof.jws) == (
            committed.position - first,
            page.events[0].proof.jws if page.events[0].proof else "",
        )


async def test_a_page_has_at_most_as_many_events_as_requested(bus: Bus, league: League) -> None:
    start = await end(bus)
    await bus.publish(league.lubeck.events(5), league.lubeck.signer)
    page = await bus.search(start, limit=2)
    assert [event.position for event in page.events] == [start + 1, start + 2]
    assert (page.scanned_to, page.last_position) == (start + 2, start + 5)


async def test_the_end_of_the_ledger_is_an_empty_page(bus: Bus) -> None:
    last = await end(bus)
    assert await bus.search(last) == EventPage((), last, last)


async def test_filters_select_by_type_issuer_and_key(bus: Bus, league: League) -> None:
    start = await end(bus)
    lubeck = [league.lubeck.event("filtered"), league.lubeck.event("filtered", "StateChange")]
    await bus.publish(lubeck[:1], league.lubeck.signer)
    await bus.publish(lubeck[1:], league.lubeck.signer)
    (bergen,) = league.bergen.events(1)
    await bus.publish([bergen], league.bergen.signer)

    async def matches(**fields: tuple[str, ...]) -> list[bytes]:
        return [event.content for event in await all_events(bus, start, EventFilter(**fields))]  # type: ignore[arg-type]

    assert await matches(types=("productOfferingStateChangeEvent",)) == lubeck[1:]
    assert await matches(issuers=(league.bergen.did,)) == [bergen]
    assert await matches(keys=(league.lubeck.key_of("filtered"),)) == lubeck
    assert await matches(keys=(league.lubeck.key_of("filtered"),), issuers=(league.bergen.did,)) == []
    assert await matches(types=("productOfferingCreateEvent",)) == [lubeck[0], bergen]
    assert await matches(entity_types=("ProductOffering",)) == [*lubeck, bergen]
    assert await matches(entity_types=("Category",)) == []
    assert await matches(keys=("no key",)) == await matches(types=("noSuchEvent",)) == []


async def test_a_search_between_times_goes_by_the_events_own_times(bus: Bus, league: League) -> None:
    start, now = await end(bus), CLOCK.now()
    early, late = event_time(now - timedelta(hours=3)), event_time(now + timedelta(seconds=100))
    entities = [f"timed-{start}-{number}" for number in range(2)]
    contents = [
        league.lubeck.event(entity, time=time) for entity, time in zip(entities, (late, early), strict=True)
    ]
    for content in contents:
        await bus.publish([content], league.lubeck.signer)
    first, second = await all_events(bus, start)
    assert (first.event.time, second.event.time) == (late, early)
    assert first.time <= second.time
    assert await all_events(bus, start, EventFilter(from_time=late)) == [first]
    assert await all_events(bus, start, EventFilter(to_time=late)) == [second]
    assert await all_events(bus, start, EventFilter(from_time=early, to_time=late)) == [second]
    assert await all_events(bus, start, EventFilter(to_time=early)) == []
    assert await all_events(bus, start, EventFilter(from_time="2999-01-01T00:00:00Z")) == []
    with pytest.raises(Refused):
        await bus.search(start, EventFilter(from_time="yesterday"))


async def test_claims_tell_the_last_version_of_each_key(bus: Bus, league: League) -> None:
    first, _ = await bus.publish(
        [league.lubeck.event("claimed"), *league.lubeck.events(1)], league.lubeck.signer
    )
    (last,) = await bus.publish([league.lubeck.event("claimed", "StateChange")], league.lubeck.signer)
    claims = await bus.claims([league.lubeck.key_of("claimed"), league.lubeck.key_of("nothing")])
    (claim,) = claims
    assert (claim.key, claim.issuer) == (league.lubeck.key_of("claimed"), league.lubeck.did)
    assert (claim.first_position, claim.last_position, claim.version) == (first, last, 2)


async def test_many_claims_are_requested_in_parts(bus: Bus, league: League) -> None:
    events = league.lubeck.events(3)
    await bus.publish(events, league.lubeck.signer)
    keys = [decode_event(content, league.lubeck.did).entity.key for content in events]
    padding = [league.lubeck.key_of(f"nothing-{n}") for n in range(LIMITS.claims_page_max)]
    assert {claim.key for claim in await bus.claims([*keys, *padding, *keys])} == set(keys)


async def test_all_claims_are_read_in_the_order_of_their_keys(bus: Bus, league: League) -> None:
    events = league.lubeck.events(5)
    await bus.publish(events, league.lubeck.signer)
    keys = {decode_event(content, league.lubeck.did).entity.key for content in events}
    claims: list[Claim] = []
    bucket: int | None = 0
    while bucket is not None:
        page = await bus.claims_from(bucket, 2)
        assert page.next_bucket is None or page.next_bucket > bucket
        claims += page.claims
        bucket = page.next_bucket
    assert [one.key for one in claims] == sorted(one.key for one in claims)
    assert len({(one.key, one.issuer) for one in claims}) == len(claims)
    assert {one for one in claims if one.key in keys} == set(await bus.claims(sorted(keys)))
    assert keys <= {one.key for one in claims}


async def test_the_registry_lists_all_members(bus: Bus, league: League) -> None:
    def by_name(members: Sequence[Member]) -> list[Member]:
        """Without what depends on the engine."""
        plain = (msgspec.structs.replace(member, power=0, validator_key="") for member in members)
        return sorted(plain, key=lambda member: member.name)

    assert by_name(await bus.members()) == by_name(league.members)


async def test_the_ledger_says_where_it_stands(bus: Bus, league: League) -> None:
    before = await bus.ledger()
    await bus.publish(league.lubeck.events(1), league.lubeck.signer)
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
    await publisher.publish(events[:1], league.lubeck.signer)
    pages = follower.follow(start)
    assert [event.content for event in (await first_page(pages)).events] == events[:1]
    waiting = asyncio.create_task(first_page(pages))
    await publisher.publish(events[1:], league.lubeck.signer)
    page = await waiting
    assert [event.content for event in page.events] == events[1:]
    assert page.scanned_to == start + 2


async def test_a_followers_cursor_advances_over_what_it_filters_out(buses: MakeBus, league: League) -> None:
    bus = buses()
    start = await end(bus)
    pages = bus.follow(start, EventFilter(issuers=(league.bergen.did,)))
    await bus.publish(league.lubeck.events(3), league.lubeck.signer)
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
        await bus.publish(league.lubeck.events(1), league.lubeck.signer)
