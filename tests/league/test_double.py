"""A validator's key in two places: both sign, and contradict each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hansa.pubsub.engine import EngineKey
from tests.league.further_engines import double, register_second_engine
from tests.league.harness import OFFERINGS, League, engine_rpc, league, wait_until

pytestmark = pytest.mark.league


class Scene(NamedTuple):
    """A league, and a node key for a second engine of its last member."""

    league: League
    node_key: EngineKey


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with league(tmp_path / "league", 4, is_started=False) as made:
        node_key = register_second_engine(made.members, made[3])
        await made.start()
        yield Scene(made, node_key)


async def test_a_validator_that_votes_twice_is_convicted_and_the_league_goes_on(
    scene: Scene, tmp_path: Path
) -> None:
    made, guilty = scene.league, scene.league[3]
    honest = League(made.members[:3])
    seen_to = 0
    pieces: list[Any] = []

    async def is_convicted() -> bool:
        nonlocal seen_to
        created = await honest[0].create_offering()
        await honest.wait_until_visible(f"{OFFERINGS}/{created}")
        newest = int((await engine_rpc(honest[0], "status"))["sync_info"]["latest_block_height"])
        while seen_to < newest:
            seen_to += 1
            block = (await engine_rpc(honest[0], "block", height=str(seen_to)))["block"]
            pieces.extend(block["evidence"]["evidence"])
        return bool(pieces)

    async with double(tmp_path / "double", guilty, scene.node_key, honest.members) as engine:
        try:
            await wait_until(is_convicted, "there is evidence in a block", 60, honest.members)
        except AssertionError:
            raise AssertionError("\n".join([*engine.lines][-60:])) from None
        for member in honest.members:
            created = await member.create_offering()
            await honest.wait_until_visible(f"{OFFERINGS}/{created}")
