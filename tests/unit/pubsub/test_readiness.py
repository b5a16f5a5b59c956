"""A member whose release has what a plan names says so on the ledger, once for each plan."""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from hansa import __version__
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.node.parts.pages.league.proposals import LeagueProposals
from hansa.portal.operators.league.proposals import DesiredChange
from hansa.pubsub.league.readiness import LOOK_INTERVAL_S, UpgradeReadiness
from hansa.pubsub.ledger.commitments.app_hash import RULESET_4
from hansa.pubsub.ledger.rules.upgrades import READY_FORM, SECTION, Release, StatedRelease
from hansa.pubsub.memory import MemoryBus, MemoryLedger
from tests.contract.origins import NOW, Origin

NEXT = "hansa-ledger/5"


class Scene:
    """A league of two, of which the first decides; and a release that knows the next rules."""

    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.lubeck, self.riga = Origin("lubeck"), Origin("riga")
        powerless = msgspec.structs.replace(self.riga.member, validator_key="", power=0)
        self.bus = MemoryBus(MemoryLedger([self.lubeck.member, powerless], self.clock))
        cast("Any", self.bus).for_strangers = self.bus
        self.pages = LeagueProposals(
            self.lubeck.did, cast("Any", self.bus), self.lubeck.key, self.clock, os.urandom
        )

    async def plan(self, height: int, engine: str = "") -> None:
        """Have the league decide that the next rules judge from that block on."""
        desired = DesiredChange("upgrade", number=str(height), ruleset=NEXT, engine=engine)
        name = await self.pages.propose(desired)
        await self.pages.vote(name, "yes")
        assert (await self.pages.proposal(name)).outcome == "passed"

    def readiness(self, of: Origin, *rulesets: str, engine: str = "v0.39.0") -> UpgradeReadiness:
        release = Release((RULESET_4, *rulesets), engine)
        return UpgradeReadiness(self.bus, of.key, of.did, release, self.clock, structlog.get_logger())

    async def ready(self) -> tuple[str, ...]:
        plan = (await self.bus.ledger()).upgrade
        assert plan is not None
        return plan.ready


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_every_member_that_has_the_rules_states_its_release(scene: Scene) -> None:
    await scene.plan(1000)
    for member in (scene.lubeck, scene.riga):
        await scene.readiness(member, NEXT).state_if_ready()
    assert set(await scene.ready()) == {scene.lubeck.did, scene.riga.did}
    stated = (await scene.bus.league()).record(SECTION, scene.riga.did)
    assert stated is not None
    assert READY_FORM.read(stated) == StatedRelease(NEXT, __version__)


async def test_it_is_stated_once_for_each_plan(scene: Scene) -> None:
    await scene.plan(1000)
    readiness = scene.readiness(scene.riga, NEXT)
    await readiness.state_if_ready()
    height = (await scene.bus.ledger()).height
    await readiness.state_if_ready()
    assert (await scene.bus.ledger()).height == height, "nothing more is written"
    await scene.plan(2000)
    await readiness.state_if_ready()
    assert await scene.ready() == (scene.riga.did,)


@pytest.mark.parametrize(("rulesets", "engine"), [((), ""), ((NEXT,), "v0.40.0")])
async def test_a_release_that_lacks_something_states_nothing(
    scene: Scene, rulesets: tuple[str, ...], engine: str
) -> None:
    await scene.plan(1000, engine)
    await scene.readiness(scene.riga, *rulesets).state_if_ready()
    assert await scene.ready() == ()


async def test_without_a_plan_nothing_is_stated(scene: Scene) -> None:
    height = (await scene.bus.ledger()).height
    await scene.readiness(scene.riga, NEXT).state_if_ready()
    assert (await scene.bus.ledger()).height == height


async def test_what_the_ledger_refuses_is_logged_once_for_a_plan(scene: Scene) -> None:
    await scene.plan(1000)
    stranger = scene.readiness(Origin("bergen"), NEXT)
    with capture_logs() as logs:
        for _ in range(3):
            await stranger.state_if_ready()
    assert [entry["event"] for entry in logs] == ["readiness_refused"]


async def test_it_looks_again_and_again_whatever_the_ledger_answers(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.plan(1000)
    right, asked = scene.bus.ledger, 0

    async def ledger() -> Any:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable(Code.UNAVAILABLE, "The ledger does not answer.")
        return await right()

    monkeypatch.setattr(scene.bus, "ledger", ledger)
    running = asyncio.create_task(scene.readiness(scene.riga, NEXT).run())
    for _ in range(3):
        await asyncio.sleep(0)
        await scene.clock.advance(LOOK_INTERVAL_S)
    monkeypatch.undo()
    assert await scene.ready() == (scene.riga.did,)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
