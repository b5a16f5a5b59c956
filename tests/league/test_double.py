"""A validator's key in two places: both sign, and contradict each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hansa.node.folder import CARD
from hansa.node.folder.card import read_card
from hansa.pubsub.engine import EngineKey, address_of
from tests.league.further_engines import double, register_second_engine
from tests.league.harness import OFFERINGS, League, RunningMember, engine_rpc, league, wait_until

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
    address = address_of(bytes.fromhex(read_card(guilty.folder / CARD).member.validator_key)).hex().upper()

    async def is_convicted() -> bool:
        created = await honest[0].create_offering()
        await honest.wait_until_visible(f"{OFFERINGS}/{created}")
        validators = (await engine_rpc(honest[0], "validators"))["validators"]
        return address not in {one["address"] for one in validators}

    async with double(tmp_path / "double", guilty, scene.node_key, honest.members) as engine:
        try:
            await wait_until(is_convicted, "the validator has no power any more", 60, honest.members)
        except AssertionError:
            raise AssertionError("\n".join([*engine.lines][-60:])) from None
        for member in honest.members:
            created = await member.create_offering()
            await made.wait_until_visible(f"{OFFERINGS}/{created}")
    validators = (await engine_rpc(honest[0], "validators"))["validators"]
    assert len(validators) == 3, "nobody else has lost anything"
    for member in made.members:
        await tells_of_the_conviction(member, honest, is_guilty=member is guilty)
    await check_rebuilt(*honest.members[:2])


async def tells_of_the_conviction(member: RunningMember, honest: League, *, is_guilty: bool) -> None:
    """In its log, its status, its notes and its figures; each of them a moment after the ledger has it."""
    powers = {**{one.name: 10 for one in honest.members}, "bruges": 0}

    async def tells() -> bool:
        status = await member.status()
        figures = (await member.get("/metrics", with_token=True)).body
        return (
            {one["name"] for one in status["misbehavior"]} == {"bruges"}
            and {one["name"]: one["power"] for one in status["powers"]} == powers
            and any("lost its voting power" in note for note in status["notes"]) == is_guilty
            and b"hansa_ledger_misbehavior_total{member=" in figures
            and (is_guilty or "validator_misbehaved" in member.log.read_text())
        )

    await wait_until(tells, f"{member.name} tells of the conviction", 30, [member])


async def check_rebuilt(member: RunningMember, other: RunningMember) -> None:
    """The state of a ledger with evidence is rebuilt from the blocks, to the same hash."""
    both = [member, other]
    await wait_until(lambda: has_same_state(member, other), "both have one state", 30, both)
    await member.stop()
    for path in member.folder.glob("ledger/state.db*"):
        path.unlink()
    await member.start()
    await member.wait_until_ready()
    await wait_until(lambda: has_same_state(member, other), "the rebuilt state is the same", 30, both)
    assert {one["name"] for one in (await member.status())["misbehavior"]} == {"bruges"}


async def has_same_state(member: RunningMember, other: RunningMember) -> bool:
    """Whether two members report one application hash."""
    reports = [await one.status() for one in (member, other)]
    return reports[0]["app_hash"] is not None and len({one["app_hash"] for one in reports}) == 1
