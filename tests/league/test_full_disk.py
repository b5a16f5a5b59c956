"""A member whose disk is really full.

A small file system of its own, filled to the last byte while everything runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from hansa.core.errors import EXIT_STATUS, Code
from tests.league.disks import Disk, DiskMissing, mounted_disk
from tests.league.harness import OFFERINGS, League, RunningMember, league, wait_until

pytestmark = [pytest.mark.league, pytest.mark.timeout(300)]

PATIENCE_S = 30.0
RECOVERY_S = 90.0


MountDisk = Callable[[Path], Disk]


@pytest.fixture
def mount_disk() -> Iterator[MountDisk]:
    """A function that puts what is in a folder on a file system of its own."""
    with contextlib.ExitStack() as disks:

        def mount(folder: Path) -> Disk:
            try:
                return disks.enter_context(mounted_disk(folder))
            except DiskMissing as error:
                pytest.skip(str(error))

        yield mount


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[League]:
    """Four members that do not run yet."""
    async with league(tmp_path / "league", 4, is_started=False) as made:
        yield made


async def refuses_writes(member: RunningMember) -> bool:
    """Whether a write is answered as it has to be on a full disk."""
    answer = await member.post(OFFERINGS, {"name": "too much"})
    if answer.status == 201:
        return False
    error = answer.json()
    assert (answer.status, error["code"], error["status"]) == (503, "disk-full", "503"), answer.body
    assert "disk" in error["message"]
    assert int(answer.headers["Retry-After"]) >= 1
    return True


@pytest.mark.parametrize(
    ("reserve_bytes", "left_bytes"), [(67_108_864, 0), (1, 65_536)], ids=["with a reserve", "without one"]
)
async def test_a_disk_that_fills_up_stops_writing_alone_and_all_is_well_when_there_is_space_again(
    four: League, mount_disk: MountDisk, reserve_bytes: int, left_bytes: int
) -> None:
    victim, others = four[3], League(four.members[:3])
    disk = mount_disk(victim.folder)
    environment = {"HANSA_DISK_FREE_MIN_BYTES": str(reserve_bytes)}
    for member in others.members:
        await member.start()
    await victim.start(environment)
    for member in four.members:
        await member.wait_until_ready()
    before = await victim.create_offering(name="before")
    await four.wait_until_visible(f"{OFFERINGS}/{before}")

    disk.fill(left_bytes)
    await wait_until(lambda: refuses_writes(victim), "writes are refused", PATIENCE_S, [victim])
    assert (await victim.get(f"{OFFERINGS}/{before}")).json()["name"] == "before"
    meanwhile = [await others[n % 3].create_offering(name=f"meanwhile {n}") for n in range(30)]
    for created in meanwhile:
        await others.wait_until_visible(f"{OFFERINGS}/{created}")
    assert (await victim.get(f"{OFFERINGS}/{before}")).json()["name"] == "before"
    assert await victim.has("/livez")
    await wait_until(lambda: refuses_writes(victim), "writes are refused still", PATIENCE_S, [victim])
    assert victim.process is not None
    assert victim.process.returncode is None, victim.log_tail()

    disk.free()
    await wait_until(victim.is_ready, "the victim is ready again", RECOVERY_S, [victim])
    after = await victim.create_offering(name="after")
    for created in (before, after, *meanwhile):
        await four.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=RECOVERY_S)
    assert Code.STORE_DAMAGED not in victim.log.read_text()
    await expect_same_ledger(four)

    await victim.stop()
    disk.fill()
    status, said = await victim.run_to_end()
    assert status == EXIT_STATUS[Code.DISK_FULL], said
    assert "bytes free" in said
    assert "Traceback" not in said
    disk.free()
    await victim.start(environment)
    await victim.wait_until_ready()
    assert await victim.has(f"{OFFERINGS}/{after}")


async def expect_same_ledger(four: League) -> None:
    """All have the same events, and the same application hash."""

    async def is_same() -> bool:
        reports = [await member.status() for member in four.members]
        return len({(report["position"], report["app_hash"]) for report in reports}) == 1

    await wait_until(is_same, "all ledgers are the same", RECOVERY_S, four.members)
