"""Strangers that read the ledger of a real engine: what they do to it, and what its end does to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.core.clock import SystemClock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.ledger_records import EventFilter, EventPage
from tests.contract.leagues import STATE, Validator, connected_bus, running_validator
from tests.contract.origins import Origin

pytestmark = pytest.mark.league

CLOCK = SystemClock()
KEYS = tuple(f"{number:064x}" for number in range(1000))
EXTREMES = (
    EventFilter(keys=KEYS),
    EventFilter(types=tuple(f"t{number}" for number in range(100))),
    EventFilter(from_time="0001-01-01T00:00:00Z", to_time="9999-12-31T23:59:59Z"),
    EventFilter(to_time="0001-01-01T00:00:00Z"),
    EventFilter(issuers=("did:key:nobody",), types=("productOfferingDeleteEvent",)),
)


@pytest.fixture
def origin() -> Origin:
    return Origin("lubeck", time=CLOCK.now())


@pytest.fixture
async def validator(tmp_path: Path, origin: Origin) -> AsyncIterator[Validator]:
    async with running_validator(tmp_path, [origin.member]) as made:
        yield made


@pytest.fixture
async def bus(validator: Validator) -> AsyncIterator[CometBftBus]:
    async with connected_bus(validator) as made:
        yield made


async def publish(bus: CometBftBus, origin: Origin, count: int) -> None:
    """As a publisher does: again until the outcome is known."""
    contents = origin.events(count)
    while True:
        try:
            await bus.publish(contents, origin.signer)
        except Unavailable:
            await CLOCK.sleep(0.1)
        else:
            return


async def test_a_flood_of_extreme_readers_delays_no_publisher(bus: CometBftBus, origin: Origin) -> None:
    await publish(bus, origin, 100)
    strangers, codes, answers = bus.for_strangers, set[Code](), 0

    async def read_for_ever(filter: EventFilter, limit: int) -> None:
        nonlocal answers
        while True:
            try:
                await strangers.search(0, filter, limit, with_proofs=True)
                answers += 1
            except Unavailable as error:
                codes.add(error.code)
                await CLOCK.sleep(0.01)

    readers = [
        asyncio.create_task(read_for_ever(EXTREMES[number % len(EXTREMES)], 1 if number % 2 else 500))
        for number in range(300)
    ]
    for _ in range(20):
        await publish(bus, origin, 1)
    assert (await bus.search(100)).scanned_to == 120
    assert answers
    assert codes == {Code.UNAVAILABLE}, "those that were too many were refused"
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)


async def test_many_streams_get_every_event(bus: CometBftBus, origin: Origin) -> None:
    followed: list[list[int]] = [[] for _ in range(256)]

    async def follow(positions: list[int], filter: EventFilter) -> None:
        async for page in bus.for_strangers.follow(0, filter):
            positions += [event.position for event in page.events]

    filters = [EventFilter(), *(EventFilter(issuers=(origin.did, f"did:key:{n}")) for n in range(20))]
    tasks = [
        asyncio.create_task(follow(positions, filters[number % len(filters)]))
        for number, positions in enumerate(followed)
    ]
    for _ in range(10):
        await publish(bus, origin, 3)
    async with asyncio.timeout(60):
        while any(len(positions) < 30 for positions in followed):
            await CLOCK.sleep(0.05)
    assert all(positions == list(range(1, 31)) for positions in followed)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_ledger_that_is_rebuilt_is_read_on(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    await publish(bus, origin, 20)
    pages: list[EventPage] = []

    async def follow() -> None:
        async for page in bus.for_strangers.follow(0):
            pages.append(page)  # noqa: PERF401 - it never ends

    following = asyncio.create_task(follow())
    before = await bus.search(0)
    validator.kill(application=True)
    for file in validator.folder.glob(f"{STATE}*"):
        file.unlink()
    with pytest.raises(Unavailable):
        await bus.for_strangers.search(0)
    await validator.start()
    async with asyncio.timeout(60):
        while True:
            try:
                after = await bus.for_strangers.search(0)
            except HansaError:
                after = None
            if after == before:
                break
            await CLOCK.sleep(0.05)
    await publish(bus, origin, 1)
    async with asyncio.timeout(60):
        while sum(len(page.events) for page in pages) < 21:
            await CLOCK.sleep(0.05)
    assert [event.position for page in pages for event in page.events] == list(range(1, 22))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_what_is_committed_can_be_read_while_the_engine_is_down(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    await publish(bus, origin, 3)
    validator.kill(application=True, engine=True)
    assert len((await bus.for_strangers.search(0)).events) == 3
    assert len(await bus.members()) == 1
    with pytest.raises(Unavailable):
        await bus.ledger()
    await validator.start()
    await publish(bus, origin, 1)
    assert len((await bus.search(0)).events) == 4
