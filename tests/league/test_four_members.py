"""Four marketplaces as real processes: what is offered at one is found at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.core.limits import Limits
from hansa.node.folder import LEDGER, LEDGER_STATE
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET
from tests.league.harness import CLOCK, OFFERINGS, ROLES, League, Role, league, wait_until

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


async def test_a_member_whose_engine_hangs_is_back_by_itself(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 4, {"engine_stall_s": 1.0}) as members:
        victim, witness = members[0], members[1]
        await victim.hang("cometbft")
        created = await witness.create_offering(name="meanwhile")
        await members.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=60)
        children = (await victim.status())["children"]
        assert {child["name"]: child["starts"] for child in children} == {"ledger": 1, "cometbft": 2}


async def test_an_engine_knows_how_far_its_peers_are(four: League) -> None:
    created = await four[0].create_offering()
    await four.wait_until_visible(f"{OFFERINGS}/{created}")
    bus = CometBftBus(four[0].folder / LEDGER / RPC_SOCKET, four[0].folder / LEDGER_STATE, CLOCK, Limits())

    async def are_level() -> bool:
        progress = await bus.progress()
        return progress.height > 0 and progress.peer_heights == (progress.height,) * 3

    try:
        await wait_until(are_level, "the engine and its peers are at one height", 30.0, four.members)
    finally:
        await bus.close()


async def test_three_members_go_on_without_the_fourth(four: League) -> None:
    await four[3].stop()
    rest = League(four.members[:3])
    created = await four[0].create_offering()
    await rest.wait_until_visible(f"{OFFERINGS}/{created}")
    await four[3].start()
    await four.wait_until_visible(f"{OFFERINGS}/{created}", timeout_s=60)
