"""Publishing and following when things go wrong, by a manual clock."""

from __future__ import annotations

import asyncio

import pytest

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import encode_event
from hansa.core.limits import Limits
from hansa.core.signal import Signal
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger_bus import RESUBMIT_MAX_S, RESUBMIT_MIN_S
from hansa.pubsub.ledger_records import EventPage
from hansa.pubsub.memory import MemoryBus, MemoryLedger
from tests.contract.origins import Origin


class ForgetfulBus(MemoryBus):
    """An engine that accepts submissions and forgets some: it was restarted before their block."""

    forgotten = 0
    submitted = 0

    async def _submit(self, transaction: bytes) -> None:
        self.submitted += 1
        if self.forgotten:
            self.forgotten -= 1
            return
        await super()._submit(transaction)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def origin() -> Origin:
    return Origin("lubeck")


@pytest.fixture
def ledger(clock: ManualClock, origin: Origin) -> MemoryLedger:
    return MemoryLedger([origin.member], clock, Limits(publish_timeout_s=100.0))


async def until_waiting(clock: ManualClock) -> None:
    while not clock.sleepers:
        await clock.advance(0)


async def test_a_submission_that_was_forgotten_is_repeated(
    clock: ManualClock, ledger: MemoryLedger, origin: Origin
) -> None:
    bus = ForgetfulBus(ledger)
    bus.forgotten = 2
    publishing = asyncio.create_task(bus.publish(origin.events(1), origin.signer))
    while not publishing.done():
        await until_waiting(clock)
        await clock.advance(RESUBMIT_MAX_S)
        for _ in range(10):
            await asyncio.sleep(0)
    assert await publishing == (1,)
    assert bus.submitted == 3


class SlowFirstBus(MemoryBus):
    """An engine to which the first submission takes longer than the next ones."""

    async def _submit(self, transaction: bytes) -> None:
        if not hasattr(self, "arrived"):
            self.arrived: list[bytes] = []
            for _ in range(50):
                await asyncio.sleep(0)
        self.arrived.append(transaction)
        await super()._submit(transaction)


async def test_batches_that_are_published_together_arrive_in_the_order_of_their_numbers(
    ledger: MemoryLedger, origin: Origin
) -> None:
    bus = SlowFirstBus(ledger)
    events = origin.events(6)
    batches = [events[:2], events[2:4], events[4:]]
    positions = await asyncio.gather(*(bus.publish(batch, origin.signer) for batch in batches))
    assert [list(each) for each in positions] == [[1, 2], [3, 4], [5, 6]]
    assert len(bus.arrived) == len(batches), "none was overtaken and submitted again"


async def test_without_a_quorum_publishing_gives_up_in_time(
    clock: ManualClock, ledger: MemoryLedger, origin: Origin
) -> None:
    bus = ForgetfulBus(ledger)
    bus.forgotten = 1_000_000
    publishing = asyncio.create_task(bus.publish(origin.events(1), origin.signer))
    for _ in range(int(100.0 / RESUBMIT_MIN_S) + 1):
        if not publishing.done():
            await until_waiting(clock)
            await clock.advance(RESUBMIT_MIN_S)
            for _ in range(10):
                await asyncio.sleep(0)
    with pytest.raises(Unavailable) as unavailable:
        await publishing
    assert unavailable.value.code is Code.UNAVAILABLE


async def test_a_disconnected_bus_is_unavailable_and_its_follower_goes_on_later(
    clock: ManualClock, ledger: MemoryLedger, origin: Origin
) -> None:
    bus, other = ledger.bus(), ledger.bus()
    bus.is_connected = False
    for attempt in (
        bus.publish(origin.events(1), origin.signer),
        bus.search(0),
        bus.claims(["x"]),
        bus.members(),
        bus.ledger(),
    ):
        with pytest.raises(Unavailable):
            await attempt
    pages = bus.follow(0)

    async def next_page() -> EventPage:
        return await anext(pages)

    following = asyncio.create_task(next_page())
    await until_waiting(clock)
    events = origin.events(1)
    await other.publish(events, origin.signer)
    bus.is_connected = True
    while not following.done():
        await clock.advance(1.0)
    assert [event.content for event in (await following).events] == events
    await bus.close()
    assert await anext(pages, None) is None


async def test_a_commit_takes_as_long_as_it_is_told(clock: ManualClock, origin: Origin) -> None:
    ledger = MemoryLedger([origin.member], clock, commit_delay_s=3.0)
    publishing = asyncio.create_task(ledger.bus().publish(origin.events(1), origin.signer))
    await until_waiting(clock)
    await clock.advance(2.9)
    assert not publishing.done()
    await clock.advance(0.1)
    assert await publishing == (1,)


async def test_another_event_with_the_same_id_is_not_taken_for_ours(
    ledger: MemoryLedger, origin: Origin
) -> None:
    bus = ledger.bus()
    first = origin.describe("a")
    await bus.publish([encode_event(first)], origin.signer)
    with pytest.raises(Refused) as refused:
        await bus.publish([origin.event("b", id=first.id)], origin.signer)
    assert refused.value.code is Code.EVENT_MALFORMED


async def test_an_event_is_on_the_ledger_once_whatever_batch_it_travels_in(
    ledger: MemoryLedger, origin: Origin
) -> None:
    one, other = origin.events(2)
    assert await ledger.bus().publish([one], origin.signer) == (1,)
    assert await ledger.bus().publish([other, one], origin.signer) == (2, 1)


async def test_a_batch_that_was_overtaken_is_signed_again(ledger: MemoryLedger, origin: Origin) -> None:
    late, early = ledger.bus(), ledger.bus()
    await late.publish(origin.events(1), origin.signer)
    for _ in range(3):
        await early.publish(origin.events(1), origin.signer)
    assert await late.publish(origin.events(1), origin.signer) == (5,)


async def test_a_ring_between_looking_and_waiting_is_not_missed(clock: ManualClock) -> None:
    signal = Signal(clock)
    seen = signal.count
    signal.notify()
    assert await signal.wait(seen, None) is True


async def test_waiting_for_a_ring_ends_with_its_time(clock: ManualClock) -> None:
    signal = Signal(clock)
    waiting = asyncio.create_task(signal.wait(signal.count, 5.0))
    await until_waiting(clock)
    await clock.advance(5.0)
    assert await waiting is False
    assert clock.sleepers == 0


class BusyBus(ForgetfulBus):
    """An engine that has no room for what is submitted again."""

    async def _submit(self, transaction: bytes) -> None:
        if self.submitted:
            self.submitted += 1
            raise Unavailable(Code.OVERLOADED, "As much waits as may wait.", 0.5)
        self.submitted += 1


async def test_what_is_submitted_already_is_waited_for_while_there_is_no_room_to_submit_it_again(
    clock: ManualClock, ledger: MemoryLedger, origin: Origin
) -> None:
    bus, other = BusyBus(ledger), ledger.bus()
    contents = origin.events(1)
    publishing = asyncio.create_task(bus.publish(contents, origin.signer))
    for _ in range(3):
        await until_waiting(clock)
        await clock.advance(RESUBMIT_MAX_S / 3)
        for _ in range(10):
            await asyncio.sleep(0)
    assert bus.submitted > 1
    assert not publishing.done()
    await other.publish(contents, origin.signer)
    while not publishing.done():
        await clock.advance(1.0)
    assert await publishing == (1,)


async def test_a_refusal_with_a_time_to_wait_is_no_refusal(clock: ManualClock, origin: Origin) -> None:
    params = LedgerParams(issuer_events_per_s=1, issuer_burst_s=100)
    ledger = MemoryLedger([origin.member], clock, params=params)
    bus = ledger.bus()
    await bus.publish(origin.events(100), origin.signer)
    contents = origin.events(30)
    with pytest.raises(Unavailable) as unavailable:
        await bus.publish(contents, origin.signer)
    assert (unavailable.value.code, unavailable.value.retry_after_s) == (Code.OVERLOADED, 30.0)
    await clock.advance(unavailable.value.retry_after_s)
    assert len(await bus.publish(contents, origin.signer)) == 30
