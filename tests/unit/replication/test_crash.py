"""A member that crashes between any two steps, and goes on from its store, ends where it would have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import pytest

from hansa.core.batches import BatchSigner
from hansa.core.http import HttpRequest, HttpResponse
from tests.support.league import League, Marketplace

ORIGIN_STEPS = 90
FOLLOWER_STEPS = 60
"""More than there are; the last ones run without a crash."""


class CrashError(BaseException):
    """The process is gone."""


class Crashing:
    """Counts steps towards the outside of the replication code, and crashes at one of them."""

    def __init__(self, at_step: int) -> None:
        self._left = at_step

    def step(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise CrashError

    @property
    def has_crashed(self) -> bool:
        return self._left <= 0


class CrashingScope:
    """A transaction before or after which the process ends, or in whose middle."""

    def __init__(self, scope: Any, crashing: Crashing) -> None:
        self._scope = scope
        self._crashing = crashing

    async def __aenter__(self) -> Any:
        self._crashing.step()
        return await self._scope.__aenter__()

    async def __aexit__(
        self, type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        try:
            self._crashing.step()
        except CrashError as crash:
            await self._scope.__aexit__(CrashError, crash, None)
            raise
        result = await self._scope.__aexit__(type, error, traceback)
        self._crashing.step()
        return result


class CrashingStore:
    """A store whose user crashes around its transactions."""

    def __init__(self, store: Any, crashing: Crashing) -> None:
        self._store = store
        self._crashing = crashing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def transaction(self) -> CrashingScope:
        return CrashingScope(self._store.transaction(), self._crashing)


class CrashingBus:
    """A bus whose user crashes around publications."""

    def __init__(self, bus: Any, crashing: Crashing) -> None:
        self._bus = bus
        self._crashing = crashing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        self._crashing.step()
        positions: tuple[int, ...] = await self._bus.publish(contents, signer)
        self._crashing.step()
        return positions

    async def claims(self, keys: Sequence[str]) -> Any:
        self._crashing.step()
        return await self._bus.claims(keys)


class CrashingNetwork:
    """A network whose user crashes around requests."""

    def __init__(self, network: Any, crashing: Crashing) -> None:
        self._network = network
        self._crashing = crashing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self._crashing.step()
        answer: HttpResponse = await self._network.send(request)
        self._crashing.step()
        return answer


def start_crashing(member: Marketplace, at_step: int) -> Crashing:
    """Start a member that will crash."""
    crashing = Crashing(at_step)
    store, bus, network = member.store, member.bus, member.league.network
    member.store = CrashingStore(store, crashing)
    member.bus = CrashingBus(bus, crashing)
    member.league.network = CrashingNetwork(network, crashing)  # type: ignore[assignment]
    member.start()
    member.store, member.bus, member.league.network = store, bus, network
    return crashing


async def live(league: League, origin: Marketplace) -> None:
    """What happens at the origin while things go wrong."""
    await origin.put_many([(origin.id(n), "Launched", "ProductOffering", {}) for n in "abcd"])
    await league.run(0.3)
    await origin.put("a", name="changed")
    await origin.put("b", "In design")
    await league.run(0.3)
    await origin.delete(origin.id("c"))
    await origin.put("b", name="back")
    await origin.put("d", "Retired")
    await origin.put("e")
    await league.run(0.3)


async def revive(member: Marketplace) -> None:
    """The operating system starts the process again."""
    failure = await member.failure()
    if failure is not None:
        assert isinstance(failure, BaseExceptionGroup)
        assert failure.split(CrashError)[1] is None
        await member.restart()


async def check_end(league: League) -> None:
    await league.settle()
    first, *others = await league.catalogues()
    assert len(first) == 4
    assert all(other == first for other in others)
    events = (await league.ledger.bus().search(0)).events
    versions: dict[str, list[int]] = {}
    for committed in events:
        versions.setdefault(committed.event.entity.key, []).append(committed.event.entity.version)
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in versions.values())
    assert len(events) <= 10, "nothing is said twice"
    for member in league.marketplaces:
        assert await member.view.evidence_records() == ()
        rows = await member.store.changes(0, 1000)
        operations = [(row.entity_id, row.operation) for row in rows if not row.is_pending]
        assert len([one for one in operations if one[1] == "create"]) <= 7


@pytest.mark.parametrize("step", range(1, ORIGIN_STEPS))
async def test_an_origin_may_crash_at_any_step(step: int) -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        bergen.start()
        start_crashing(lubeck, step)
        reviving = asyncio.create_task(keep_alive(league, lubeck))
        await live(league, lubeck)
        await league.run(1)
        reviving.cancel()
        await asyncio.gather(reviving, return_exceptions=True)
        await revive(lubeck)
        await check_end(league)


@pytest.mark.parametrize("step", range(1, FOLLOWER_STEPS))
async def test_a_follower_may_crash_at_any_step(step: int) -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        lubeck.start()
        start_crashing(bergen, step)
        reviving = asyncio.create_task(keep_alive(league, bergen))
        await live(league, lubeck)
        await league.run(1)
        reviving.cancel()
        await asyncio.gather(reviving, return_exceptions=True)
        await revive(bergen)
        await check_end(league)


async def keep_alive(league: League, member: Marketplace) -> None:
    """Start a member again some time after it crashed."""
    while True:
        await league.clock.sleep(0.1)
        await revive(member)


async def test_a_league_that_crashes_again_and_again_ends_well() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        for step in range(1, 25):
            await lubeck.stop()
            await bergen.stop()
            start_crashing(lubeck, step)
            start_crashing(bergen, step + 3)
            if step == 3:
                await live(league, lubeck)
            await league.run(0.1)
        await lubeck.restart()
        await bergen.restart()
        await check_end(league)


async def test_each_part_may_end_and_run_again() -> None:
    async with League(["lubeck", "bergen"]) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        for n in range(8):
            await lubeck.put("one", n=n)
            await league.run(0.05 * (n % 3))
            for member in (lubeck, bergen):
                await member.rerun()
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue() != {}
