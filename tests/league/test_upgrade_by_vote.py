"""A league of four decides to go on by other rules; one member has not installed the release for them."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hansa.core.errors import EXIT_STATUS, Code
from tests.league.harness import OFFERINGS, League, RunningMember, engine_rpc, league, wait_until
from tests.league.next_release import NEXT
from tests.league.test_governance import decide, did_of

pytestmark = [pytest.mark.league, pytest.mark.timeout(300)]

NEXT_RELEASE = (sys.executable, "-m", "tests.league.next_release")
BLOCKS_AHEAD = 25
"""From the proposal to the block from which on the other rules judge."""


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[League]:
    """Four members, of which three run the next release."""
    async with league(tmp_path / "league", 4, is_started=False) as made:
        for member in made.members[:3]:
            await member.start(command=NEXT_RELEASE)
        await made[3].start()
        for member in made.members:
            await member.wait_until_ready()
        yield made


async def until(what: str, members: League, condition: Any, timeout_s: float = 60.0) -> None:
    await wait_until(condition, what, timeout_s, members.members)


async def conditions(member: RunningMember) -> list[str]:
    return [condition["code"] for condition in (await member.status())["conditions"]]


async def app_hash(member: RunningMember, height: int) -> str:
    return str((await engine_rpc(member, "block_results", height=str(height)))["app_hash"])


async def test_the_league_goes_on_by_the_planned_rules_and_a_late_member_catches_up(
    four: League, tmp_path: Path
) -> None:
    late = four[3]
    planned_at = (await four[0].status())["height"] + BLOCKS_AHEAD
    plan = tmp_path / "plan.json"
    plan.write_bytes(msgspec.json.encode({"change": "upgrade.plan", "height": planned_at, "ruleset": NEXT}))
    await decide(four, "upgrade", str(plan), known_to=[late])

    async def three_are_ready() -> bool:
        stated = (await late.status())["upgrade"]["ready"]
        return set(stated) == {did_of(member) for member in four.members[:3]}

    await until("everybody sees who is ready", four, three_are_ready)
    assert "upgrade-planned" in await conditions(late)
    assert "upgrade-planned" not in await conditions(four[0])

    async def has_stopped() -> bool:
        await four[0].create_offering(name="makes a block")
        return "upgrade-needed" in await conditions(late)

    await until("the late member stops before the block", four, has_stopped)
    log = late.log.read_text()
    assert f'"child": "ledger", "status": {EXIT_STATUS[Code.UPGRADE_NEEDED]},' in log
    assert re.findall('"child": "ledger".* "starts": ([0-9]+)', log) == ["1"], "it is not started again"
    assert (await late.get(OFFERINGS)).status == 200, "its catalogue is served"

    created = await four[0].create_offering(name="under the next rules")

    async def three_have_it() -> bool:
        return all([await one.has(f"{OFFERINGS}/{created}") for one in four.members[:3]])

    await until("the three go on", four, three_have_it)
    assert (await four[0].status())["ruleset"] == NEXT

    await late.stop()
    await late.start(command=NEXT_RELEASE)
    await late.wait_until_ready()
    await four.wait_until_visible(f"{OFFERINGS}/{created}")
    assert (await late.status())["upgrade"] is None
    height = min([(await one.status())["height"] for one in four.members])
    hashes = {await app_hash(one, height) for one in four.members}
    assert len(hashes) == 1, "all four computed the same"
