"""A member whose ledger application is changed: it proposes what no block may hold, accepts everything, or
computes another hash.

The three others go on with the processes that they had, and commit what is created at them.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.league.harness import OFFERINGS, ROLES, League, league, wait_until
from tests.league.hostile_ledger import BLOCKS

pytestmark = pytest.mark.league

CREATES = 30


@pytest.fixture
async def three(tmp_path: Path, mode: str) -> AsyncIterator[League]:
    """The honest members, with a fourth whose application is changed."""
    async with league(tmp_path / "league", 4, is_started=False) as made:
        changed = made[3]
        await changed.start(command=(sys.executable, "-m", "tests.league.serve_with_ledger", mode))
        honest = League(made.members[:3])
        await honest.start()
        if mode == "proposer":
            await changed.wait_until_ready()
        yield honest


@pytest.mark.parametrize("mode", ["proposer", "contrary", "liar"])
async def test_a_changed_application_stops_nobody_else(three: League, tmp_path: Path, mode: str) -> None:
    before = {member.name: [await member.pid(role) for role in ROLES] for member in three.members}
    for number in range(CREATES):
        created = await three[number % 3].create_offering(name=f"offering {number}")
        await three.wait_until_visible(f"{OFFERINGS}/{created}")
    assert {m.name: [await m.pid(role) for role in ROLES] for m in three.members} == before

    async def have_one_state() -> bool:
        return len({(await member.status())["app_hash"] for member in three.members}) == 1

    await wait_until(have_one_state, "the honest members have one state", 30, three.members)
    if mode == "proposer":
        log = tmp_path / "league" / "bruges.log"

        async def has_proposed_all() -> bool:
            """It proposes one block in four; how many there are depends on how fast creates follow."""
            created = await three[0].create_offering(name="has a block made")
            await three.wait_until_visible(f"{OFFERINGS}/{created}")
            is_rejected = any("proposal_rejected" in member.log.read_text() for member in three.members)
            reported = log.read_text()
            return is_rejected and all(kind in reported for kind in BLOCKS)

        await wait_until(has_proposed_all, "every kind of block was proposed", 60, three.members)
    for member in three.members:
        assert "Traceback" not in member.log.read_text()
