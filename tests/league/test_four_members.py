"""Four marketplaces as real processes: what is offered at one is found at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.league.harness import OFFERINGS, ROLES, League, Role, league

pytestmark = pytest.mark.league


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[League]:
    """Four members, running and ready."""
    async with league(tmp_path / "league", 4) as made:
        yield made


async def test_an_offering_posted_at_one_is_visible_at_all(four: League) -> None:
    for member in four.members:
        created = await member.create_offering(name=f"from {member.name}")
        await four.wait_until_visible(f"{OFFERINGS}/{created}")


@pytest.mark.parametrize("role", ROLES)
async def test_a_killed_member_catches_up_with_the_others(four: League, role: Role) -> None:
    victim, witness = four[0], four[1]
    before = await victim.create_offering(name="before")
    await victim.kill(role)
    meanwhile = await witness.create_offering(name="meanwhile")
    if role == "serve":
        await victim.start()
    await victim.wait_until_ready()
    after = await victim.create_offering(name="after")
    for created in (before, meanwhile, after):
        await four.wait_until_visible(f"{OFFERINGS}/{created}")


async def test_three_members_go_on_without_the_fourth(four: League) -> None:
    await four[3].stop()
    rest = League(four.members[:3])
    created = await four[0].create_offering()
    await rest.wait_until_visible(f"{OFFERINGS}/{created}")
    await four[3].start()
    await four.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=60)
