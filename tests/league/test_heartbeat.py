"""A real engine: blocks of an idle league, of one change, and under transactions that may not wait."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.events import EntityVersion, event_time
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import SocketFolder
from tests.contract.leagues import Validator, connected_bus, running_validator
from tests.contract.origins import Origin

pytestmark = [pytest.mark.league, pytest.mark.timed]

CLOCK = SystemClock()
HEARTBEAT_S = 2
PARAMS = {
    "heartbeat_s": HEARTBEAT_S,
    "issuer_events_per_s": 10,
    "issuer_burst_s": 10,
}
BLOCKS_RETAINED = 5


@pytest.fixture
def origin() -> Origin:
    return Origin("lubeck", time=CLOCK.now())


@pytest.fixture
async def validator(tmp_path: Path, origin: Origin) -> AsyncIterator[Validator]:
    async with running_validator(tmp_path, [origin.member], PARAMS, BLOCKS_RETAINED) as made:
        yield made


@pytest.fixture
async def bus(validator: Validator) -> AsyncIterator[CometBftBus]:
    async with connected_bus(validator) as made:
        yield made


async def blocks(validator: Validator) -> tuple[int, int]:
    """Height of the first and of the last block that the engine has."""
    with SocketFolder(validator.folder) as sockets:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(sockets.path(validator.rpc_socket.name))
            ) as session,
            session.get("http://engine/status") as answer,
        ):
            info: dict[str, Any] = json.loads(await answer.read())["result"]["sync_info"]
    return int(info["earliest_block_height"]), int(info["latest_block_height"])


async def next_block(validator: Validator) -> int:
    """Wait for a block; its height."""
    _, before = await blocks(validator)
    while (height := (await blocks(validator))[1]) == before:
        await CLOCK.sleep(0.05)
    return height


async def test_an_idle_league_makes_one_block_a_heartbeat_and_a_change_one_and_its_proof(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    first = await next_block(validator)
    started_s = CLOCK.monotonic()
    while (last := await next_block(validator)) < first + 4:
        pass
    assert last == first + 4
    assert 3 * HEARTBEAT_S < CLOCK.monotonic() - started_s < 6 * HEARTBEAT_S
    published_s = CLOCK.monotonic()
    await bus.publish(origin.events(1), origin.signer)
    while (await blocks(validator))[1] < last + 2:
        await CLOCK.sleep(0.05)
    await CLOCK.sleep(HEARTBEAT_S / 2)
    heartbeats = int((CLOCK.monotonic() - published_s) / HEARTBEAT_S)  # none, but on a slow machine
    assert last + 2 <= (await blocks(validator))[1] <= last + 2 + heartbeats
    oldest, newest = await blocks(validator)
    assert newest - oldest < BLOCKS_RETAINED + 1


async def test_nothing_that_may_not_be_committed_makes_blocks(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    """A second version without a first, a time in the future, and more than the quota."""
    await bus.publish(origin.events(100), origin.signer)
    await next_block(validator)
    before = (await blocks(validator))[1]
    before_s = CLOCK.monotonic()
    entity = EntityVersion(origin.key_of("gap"), "ProductOffering", 2)
    gap = origin.event("gap", entity=entity, previous=origin.describe("gap").hashlink)
    await CLOCK.sleep(0.5)  # until the quota has room for one event
    with pytest.raises(Refused) as refused:
        await bus.publish([gap], origin.signer)
    assert refused.value.code is Code.EVENT_VERSION_BROKEN
    ahead = origin.event("ahead", time=event_time(CLOCK.now() + timedelta(seconds=310)))
    with pytest.raises(Unavailable) as early:
        await bus.publish([ahead], origin.signer)
    assert early.value.code is Code.EVENT_TIME_WRONG
    with pytest.raises(Unavailable) as overloaded:
        await bus.publish(origin.events(100), origin.signer)
    assert overloaded.value.code is Code.OVERLOADED
    assert 0 < overloaded.value.retry_after_s <= 10
    await CLOCK.sleep(2 * HEARTBEAT_S)
    heartbeats = 1 + int((CLOCK.monotonic() - before_s) / HEARTBEAT_S)
    assert (await blocks(validator))[1] - before <= heartbeats + 1, "heartbeats, and the proof of the first"


async def test_after_the_wait_that_a_quota_names_the_engine_takes_it(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    """Also when there has been no block meanwhile."""
    del validator
    await bus.publish(origin.events(100), origin.signer)
    contents = origin.events(30)
    with pytest.raises(Unavailable) as overloaded:
        await bus.publish(contents, origin.signer)
    await CLOCK.sleep(overloaded.value.retry_after_s)
    assert len(await bus.publish(contents, origin.signer)) == 30
