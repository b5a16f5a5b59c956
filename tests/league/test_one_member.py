"""One marketplace as real processes: how it starts, refuses to start, stops, and comes back."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hansa.core.errors import EXIT_STATUS, Code
from hansa.node.folder import LEDGER_STATE
from hansa.node.folder.permissions import open_to_others
from hansa.node.http.server import listening_socket
from hansa.node.settings.loading import FILE_NAME
from tests.league.harness import (
    OFFERINGS,
    ROLES,
    Role,
    RunningMember,
    is_running,
    league,
    wait_until,
)

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def member(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMember]:
    """A league of one, for all tests of this module."""
    async with league(tmp_path_factory.mktemp("one") / "league", 1, is_started=False) as made:
        yield made[0]


@pytest_asyncio.fixture(loop_scope="module")
async def lubeck(member: RunningMember) -> RunningMember:
    """A league of one, running."""
    if member.process is None or member.process.returncode is not None:
        await member.start()
    await member.wait_until_ready()
    return member


@pytest_asyncio.fixture(loop_scope="module")
async def stopped(member: RunningMember) -> RunningMember:
    """A league of one that does not run."""
    await member.stop()
    return member


async def has_settled(member: RunningMember, created: str) -> None:
    """It is ready, has what it had, and takes more."""
    await member.wait_until_ready()
    assert await member.has(f"{OFFERINGS}/{created}")
    await member.create_offering()


async def test_a_marketplace_serves_stops_and_starts_again(lubeck: RunningMember) -> None:
    created = await lubeck.create_offering()
    assert await lubeck.stop() == 0
    await lubeck.start()
    await has_settled(lubeck, created)


async def test_everything_in_a_served_folder_is_its_owners_alone(stopped: RunningMember) -> None:
    for path in (stopped.folder, stopped.folder / "hansa.toml", stopped.folder / "keys" / "member.jwk"):
        path.chmod(0o755)
    await stopped.start()
    await stopped.wait_until_ready()
    await stopped.create_offering()
    paths = {path.name for path in stopped.folder.rglob("*")}
    assert {"abci.sock", "rpc.sock", "store.db", "state.db", "lock", "cs.wal"} <= paths
    assert list(open_to_others(stopped.folder)) == []


@pytest.mark.parametrize("role", ROLES)
async def test_after_a_kill_of_any_process_it_goes_on(lubeck: RunningMember, role: Role) -> None:
    created = await lubeck.create_offering()
    pids = {name: await lubeck.pid(name) for name in ROLES}
    await lubeck.kill(role)
    if role == "serve":
        await lubeck.start()

    async def is_replaced() -> bool:
        return await lubeck.pid(role) not in {0, pids[role]}

    await wait_until(is_replaced, f"{role} runs again", 30, [lubeck])
    await has_settled(lubeck, created)


async def test_a_second_serve_on_the_same_folder_is_refused(lubeck: RunningMember) -> None:
    pid = await lubeck.pid("serve")
    status, said = await lubeck.run_to_end()
    assert status == EXIT_STATUS[Code.FOLDER_IN_USE]
    assert str(pid) in said
    assert await lubeck.is_ready()


async def test_a_port_in_use_is_named(stopped: RunningMember) -> None:
    with listening_socket("127.0.0.1", stopped.port):
        status, said = await stopped.run_to_end()
    assert status == EXIT_STATUS[Code.PORT_IN_USE]
    assert str(stopped.port) in said
    await stopped.start()
    await stopped.wait_until_ready()


async def test_a_corrupted_setting_is_named_and_does_no_damage(stopped: RunningMember) -> None:
    file = stopped.folder / FILE_NAME
    good = file.read_text()
    for line, key in (("retrieval_timeout_s = 'soon'", "retrieval_timeout_s"), ("no toml", "not valid TOML")):
        file.write_text(good + line + "\n")
        status, said = await stopped.run_to_end()
        assert status == EXIT_STATUS[Code.SETTINGS_INVALID]
        assert FILE_NAME in said
        assert key in said
    file.write_text(good)
    await stopped.start()
    await stopped.wait_until_ready()


async def test_a_disk_that_is_nearly_full_ends_the_start(stopped: RunningMember) -> None:
    status, said = await stopped.run_to_end({"HANSA_DISK_FREE_MIN_BYTES": str(2**62)})
    assert status == EXIT_STATUS[Code.DISK_FULL]
    assert "disk_free_min_bytes" in said


async def test_a_ledger_two_hours_ahead_of_the_clock_ends_the_start(stopped: RunningMember) -> None:
    await stopped.start()
    await stopped.wait_until_ready()
    await stopped.stop()
    move_ledger_time(stopped, 7_200_000)
    status, said = await stopped.run_to_end()
    assert status == EXIT_STATUS[Code.CLOCK_WRONG]
    assert "2.0 hours" in said
    move_ledger_time(stopped, -7_200_000)
    await stopped.start()
    await stopped.wait_until_ready()


async def test_everything_that_was_started_ends_with_it(lubeck: RunningMember) -> None:
    pids = [await lubeck.pid(name) for name in ROLES]
    await lubeck.kill("serve")

    async def have_ended() -> bool:
        return not any(is_running(pid) for pid in pids)

    await wait_until(have_ended, "its processes have ended", 10, [lubeck])
    assert not await lubeck.is_ready()


async def test_the_front_page_and_the_figures_are_served(lubeck: RunningMember) -> None:
    page = await lubeck.get("/")
    assert "lubeck" in page.body.decode()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    figures = (await lubeck.get("/metrics", with_token=True)).body.decode()
    assert "hansa_ready 1.0" in figures
    assert (await lubeck.get("/livez")).status == 200
    assert (await lubeck.get("/nowhere")).json()["code"] == "not-found"
    assert (await lubeck.request("POST", "/livez")).status == 405


def move_ledger_time(member: RunningMember, by_ms: int) -> None:
    """Have the last block of a stopped member's ledger be of another time."""
    with contextlib.closing(sqlite3.connect(member.folder / LEDGER_STATE)) as state, state:
        state.execute("UPDATE head SET time_ms = time_ms + ?", (by_ms,))
