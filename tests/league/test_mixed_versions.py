"""Members on different versions of Python make the same of every block."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.golden.environments import TOP, PackagesMissing, available_versions, locked_environment
from tests.league.harness import OFFERINGS, League, RunningMember, engine_rpc, league, wait_until

pytestmark = pytest.mark.league

CHANGES = 120
AT_ONCE = 3
ALONE = 30
"""Changes of which each is everywhere before the next: each makes a block."""


@pytest.fixture
async def mixed(tmp_path: Path) -> AsyncIterator[League]:
    """Two members on the oldest Python that is here, two on the newest."""
    versions = available_versions()
    if len(versions) < 2:
        pytest.skip("there is one supported Python on this machine")
    try:
        oldest, newest = locked_environment(versions[0]), locked_environment(versions[-1])
    except PackagesMissing as error:
        pytest.skip(f"the packages of another Python cannot be fetched: {error}")
    environment = {"PYTHONPATH": os.pathsep.join((str(TOP), str(TOP / "src")))}
    async with league(tmp_path / "league", 4, is_started=False) as made:
        for member, python in zip(made.members, (oldest, oldest, newest, newest), strict=True):
            await member.start(environment, (str(python), "-m", "hansa.cli", "serve"))
        for member in made.members:
            await member.wait_until_ready()
        yield made


async def hashes_of(member: RunningMember, newest: int) -> list[str]:
    """The application hash that a member computed at every height."""
    return [
        (await engine_rpc(member, "block_results", height=str(height)))["app_hash"]
        for height in range(1, newest + 1)
    ]


async def test_members_on_two_versions_of_python_compute_the_same_hashes(mixed: League) -> None:
    created = [await mixed[0].create_offering()]

    async def change(at: int) -> None:
        for number in range(CHANGES // AT_ONCE):
            member = mixed[(at + number) % 4]
            if number % 3:
                created.append(await member.create_offering(name=f"é {number}", description="Ünïcode ٢"))
            else:
                path = f"{OFFERINGS}/{created[0]}"
                await mixed[0].request("PATCH", path, {"name": f"{at} {number}"}, with_token=True)

    await asyncio.gather(*(change(at) for at in range(AT_ONCE)))
    for entity in created:
        await mixed.wait_until_visible(f"{OFFERINGS}/{entity}")

    for number in range(ALONE):
        created.append(await mixed[number % 4].create_offering(name=f"alone {number}"))
        await mixed.wait_until_visible(f"{OFFERINGS}/{created[-1]}")

    heights: set[int] = set()

    async def are_level() -> bool:
        nonlocal heights
        heights = {(await member.status())["height"] for member in mixed.members}
        return len(heights) == 1

    await wait_until(are_level, "all members are at one height", 30, mixed.members)
    (newest,) = heights
    every = [await hashes_of(member, newest) for member in mixed.members]
    assert every[0] == every[1] == every[2] == every[3]
    assert len(set(every[0])) > 20, "many blocks have changed the state"
