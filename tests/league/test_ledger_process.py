"""The ledger application as a process behind a real engine: killed at any time, it goes on."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.core.clock import SystemClock
from hansa.core.errors import EXIT_STATUS, Code, HansaError, Unavailable
from hansa.core.limits import Limits
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.ledger_records import EventPage
from tests.contract.leagues import STATE, Validator, connected_bus, running_validator
from tests.contract.origins import Origin

pytestmark = pytest.mark.league

CLOCK = SystemClock()


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


async def publish(bus: CometBftBus, origin: Origin, contents: list[bytes]) -> tuple[int, ...]:
    """As a publisher does: again until the outcome is known."""
    while True:
        try:
            return await bus.publish(contents, origin.signer)
        except Unavailable:
            await CLOCK.sleep(0.1)


@pytest.mark.parametrize("victim", ["application", "engine", "both"])
async def test_a_kill_during_publishing_loses_nothing_and_repeats_nothing(
    validator: Validator, bus: CometBftBus, origin: Origin, victim: str
) -> None:
    followed: list[EventPage] = []

    async def follow() -> None:
        async for page in bus.follow(0):
            followed.append(page)  # noqa: PERF401 - it never ends

    following = asyncio.create_task(follow())
    positions: list[int] = []
    for cycle in range(3):
        batches = [origin.events(5) for _ in range(10)]
        publishing = asyncio.gather(*(publish(bus, origin, batch) for batch in batches))
        await CLOCK.sleep(0.01 * cycle)
        validator.kill(application=victim != "engine", engine=victim != "application")
        await validator.start()
        for published in await publishing:
            positions += published
    assert sorted(positions) == list(range(1, 151))
    while sum(len(page.events) for page in followed) < 150:
        await CLOCK.sleep(0.02)
    assert [event.position for page in followed for event in page.events] == list(range(1, 151))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_a_lost_state_is_rebuilt_from_the_engines_blocks(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    await publish(bus, origin, origin.events(20))
    before = await bus.ledger()
    validator.kill(application=True)
    for file in validator.folder.glob(f"{STATE}*"):
        file.unlink()
    await validator.start()
    async with asyncio.timeout(60):
        while True:
            try:
                after = await bus.ledger()
            except HansaError:
                after = None
            if after is not None and after.position == before.position:
                break
            await CLOCK.sleep(0.05)
    assert after.app_hash == before.app_hash


async def test_an_idle_ledger_makes_no_blocks(bus: CometBftBus, origin: Origin) -> None:
    await publish(bus, origin, origin.events(1))
    before = (await bus.ledger()).height
    await CLOCK.sleep(1.5)
    assert (await bus.ledger()).height <= before + 1


@pytest.mark.timed
async def test_two_buses_of_one_engine_do_not_disturb_each_other(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    other = CometBftBus(validator.rpc_socket, validator.state_file, CLOCK, Limits())
    pages, others = bus.follow(0), other.follow(0)
    await publish(bus, origin, origin.events(1))
    assert (await anext(pages)).scanned_to == (await anext(others)).scanned_to == 1
    await other.close()
    start_s = CLOCK.monotonic()
    _, page = await asyncio.gather(publish(bus, origin, origin.events(1)), anext(pages))
    assert page.scanned_to == 2
    assert CLOCK.monotonic() - start_s < 2.0


async def test_a_full_disk_ends_the_application_with_its_status_and_no_damage(
    validator: Validator, bus: CometBftBus, origin: Origin
) -> None:
    await publish(bus, origin, origin.events(10))
    before = await bus.ledger()
    assert validator.application is not None
    used_bytes = max(file.stat().st_size for file in validator.folder.glob(f"{STATE}*"))
    resource.prlimit(validator.application.pid, resource.RLIMIT_FSIZE, (used_bytes, resource.RLIM_INFINITY))
    publishing = asyncio.gather(*(publish(bus, origin, origin.events(100)) for _ in range(20)))
    status = await asyncio.to_thread(validator.application.wait, 30)
    assert status == EXIT_STATUS[Code.DISK_FULL]
    assert "free disk space" in validator.output("application")
    validator.kill(application=True)
    await validator.start()
    await publishing
    assert (await bus.ledger()).position == before.position + 2000


def test_a_second_application_on_the_same_state_is_refused(validator: Validator) -> None:
    command = [sys.executable, "-m", "hansa.pubsub.ledger", "--state", STATE, "--socket", "other.sock"]
    second = subprocess.run(
        command, cwd=validator.folder, capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == EXIT_STATUS[Code.FOLDER_IN_USE]
    assert "Another process" in second.stderr
