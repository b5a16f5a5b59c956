"""The publisher waits when the ledger says so, and announces anew what waited too long."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from hansa.core.batches import BatchSigner
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.pubsub.bus import Bus
from hansa.pubsub.ledger.genesis import LedgerParams
from tests.support.league import League, Marketplace

WAIT_S = 30.0


class BusyBus:
    """A bus that has no room for the first publications."""

    def __init__(self, bus: Bus, clock: ManualClock, code: Code, refusals: int) -> None:
        self._bus, self._clock, self._code, self._refusals = bus, clock, code, refusals
        self.attempts: list[tuple[datetime, int]] = []
        """When, and of how many events."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)

    async def publish(self, contents: Sequence[bytes], signer: BatchSigner) -> tuple[int, ...]:
        """Pass a publication on, after the first ones."""
        self.attempts.append((self._clock.now(), len(contents)))
        if len(self.attempts) <= self._refusals:
            raise Unavailable(self._code, "Wait.", WAIT_S)
        return await self._bus.publish(contents, signer)


async def put_some(member: Marketplace, count: int) -> None:
    await member.put_many([(member.id(str(n)), "Launched", "ProductOffering", {}) for n in range(count)])


@pytest.mark.parametrize("code", [Code.OVERLOADED, Code.EVENT_TIME_WRONG])
async def test_a_batch_waits_as_long_as_the_ledger_says_and_stays_whole(code: Code) -> None:
    async with League(["lubeck"]) as league:
        (lubeck,) = league.marketplaces
        bus = BusyBus(lubeck.bus, league.clock, code, refusals=3)
        lubeck.bus = bus
        await put_some(lubeck, 50)
        league.start()
        await league.settle()
        times = [moment for moment, _ in bus.attempts[:4]]
        pauses_s = [(after - before).total_seconds() for before, after in itertools.pairwise(times)]
        assert all(WAIT_S <= pause_s <= 1.25 * WAIT_S + 0.1 for pause_s in pauses_s)
        assert len(set(pauses_s)) == len(pauses_s)
        assert {count for _, count in bus.attempts[:4]} == {50}
        assert lubeck.publisher.counters.events_refused == 0
        assert lubeck.publisher.counters.events_committed == 50
        assert await lubeck.view.refusals() == ()


async def test_an_import_beyond_the_quota_arrives_whole_and_later() -> None:
    params = LedgerParams(issuer_events_per_s=10, issuer_burst_s=10)
    async with League(["lubeck", "bergen"], params=params) as league:
        lubeck, bergen = league.marketplaces
        league.start()
        started_s = league.clock.monotonic()
        await put_some(lubeck, 300)
        await league.settle()
        assert 19 <= league.clock.monotonic() - started_s < 60
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert len(await bergen.catalogue()) == 300
        assert await lubeck.view.refusals() == ()


async def test_what_waited_too_long_for_the_ledger_is_announced_anew() -> None:
    async with League(["lubeck", "bergen"], params=LedgerParams(event_behind_max_s=60)) as league:
        lubeck, bergen = league.marketplaces
        lubeck.bus.is_connected = False  # type: ignore[attr-defined]
        league.start()
        await put_some(lubeck, 150)
        await league.run(120)
        assert await lubeck.view.unpublished() == 150
        lubeck.bus.is_connected = True  # type: ignore[attr-defined]
        await league.settle()
        assert await bergen.catalogue() == await lubeck.catalogue()
        assert len(await bergen.catalogue()) == 150
        assert await lubeck.view.refusals() == ()
