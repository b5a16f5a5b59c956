"""A real catalogue in four parts, brought in at four members at once.

Whatever is killed meanwhile, all end alike.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.league.harness import ROLES, League, Role, RunningMember, league, public_count, wait_until

pytestmark = [pytest.mark.league, pytest.mark.timeout(240)]

ENTITIES = 6248
SETTLED_TIMEOUT_S = 90.0


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[League]:
    """Four members, running and ready."""
    async with league(tmp_path / "league", 4) as made:
        yield made


@pytest.fixture
def parts(shared: Path) -> list[Path]:
    """A file for each member."""
    return sorted((shared / "data" / "landscape").glob("marketplace-*.jsonl"))


async def hansa(*arguments: str) -> tuple[int, str]:
    """Run a command to its end: exit status and everything it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hansa.cli",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def bring_in(member: RunningMember, part: Path) -> tuple[int, str]:
    """Import a file at a member."""
    return await hansa("import", str(part), "--to", member.url, "--token", member.token)


async def bring_in_until_done(member: RunningMember, part: Path) -> None:
    """Import a file, again when the member went away meanwhile, as a person would."""
    said = ""
    for _ in range(10):
        status, said = await bring_in(member, part)
        if status == 0:
            return
        await member.wait_until_ready()
    raise AssertionError(f"{part.name} cannot be brought in at {member.name}: {said}")


async def public_entities(member: RunningMember) -> int:
    """How many public entities a member has."""
    return public_count(await member.status())


async def assert_all_have_everything(members: League, expected: int = ENTITIES) -> None:
    """Wait until every member has all entities; then nothing may differ."""

    async def is_settled() -> bool:
        return all([await public_entities(member) >= expected for member in members.members])

    await wait_until(is_settled, f"every member has {expected} entities", SETTLED_TIMEOUT_S, members.members)
    status, said = await hansa("diff", *(member.url for member in members.members))
    assert status == 0, said
    assert [await public_entities(member) for member in members.members] == [expected] * len(members.members)


async def test_four_files_at_once_end_in_four_equal_catalogues_and_again_change_nothing(
    four: League, parts: list[Path]
) -> None:
    done = await asyncio.gather(
        *(bring_in(member, part) for member, part in zip(four.members, parts, strict=True))
    )
    assert [status for status, _ in done] == [0, 0, 0, 0], done
    await assert_all_have_everything(four)

    async def is_published() -> bool:
        return bool((await four[0].status())["unpublished"] == 0)

    await wait_until(is_published, "all claims on identifiers are committed", 60, four.members)
    before = await four[0].status()
    status, said = await bring_in(four[0], parts[0])
    assert status == 0, said
    after = await four[0].status()
    assert after["entities"] == before["entities"]


@pytest.mark.parametrize(
    "role", [ROLES[0], *(pytest.param(one, marks=pytest.mark.slow) for one in ROLES[1:])]
)
async def test_a_process_killed_during_the_import_changes_nothing_in_the_end(
    four: League, parts: list[Path], role: Role
) -> None:
    victim = four[1]
    imports = asyncio.gather(
        *(bring_in_until_done(member, part) for member, part in zip(four.members, parts, strict=True))
    )

    async def is_half_way() -> bool:
        return await public_entities(victim) >= ENTITIES // 4

    await wait_until(is_half_way, "the import is under way", 60.0, four.members)
    await victim.kill(role)
    if role == "serve":
        await victim.start()
    await imports
    await assert_all_have_everything(four)
