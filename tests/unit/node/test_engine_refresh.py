from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Unavailable
from hansa.node.membership.engine_refresh import PAUSE_MIN_S, POLL_S, TURN_S, EngineRefresh


class Scene:
    """An engine, and what is the matter with it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.is_outdated = self.has_foreign_peers = self.is_away = False
        self.turn = 0
        self.restarts = 0
        self.refresh = EngineRefresh(
            lambda: self.is_outdated,
            self.foreign_peers,
            lambda: self.turn,
            self.restart,
            self.clock,
            structlog.get_logger(),
        )

    async def foreign_peers(self) -> bool:
        if self.is_away:
            raise Unavailable(Code.UNAVAILABLE, "The engine cannot be reached.")
        return self.has_foreign_peers

    def restart(self) -> None:
        self.restarts += 1

    async def for_s(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds)):
            await self.clock.advance(1.0)
            for _ in range(5):
                await asyncio.sleep(0)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    task = asyncio.create_task(made.refresh.run())
    await asyncio.sleep(0)
    yield made
    task.cancel()


async def test_an_engine_that_is_as_the_league_decided_goes_on(scene: Scene) -> None:
    scene.is_away = True
    await scene.for_s(PAUSE_MIN_S)
    assert scene.restarts == 0


async def test_changed_limits_start_it_again_when_it_is_its_turn(scene: Scene) -> None:
    scene.is_outdated, scene.turn = True, 3
    await scene.for_s(POLL_S + 3 * TURN_S)
    assert scene.restarts == 0
    await scene.for_s(2 * POLL_S)
    assert scene.restarts == 1


async def test_a_peer_that_is_no_member_any_more_loses_its_connection(scene: Scene) -> None:
    scene.has_foreign_peers = True
    await scene.for_s(3 * POLL_S)
    assert scene.restarts == 1


async def test_a_peer_that_left_by_itself_is_no_reason(scene: Scene) -> None:
    scene.has_foreign_peers, scene.turn = True, 2
    await scene.for_s(POLL_S + 1)
    scene.has_foreign_peers = False
    await scene.for_s(PAUSE_MIN_S)
    assert scene.restarts == 0


async def test_nobody_keeps_the_engine_from_working_by_changing_again_and_again(scene: Scene) -> None:
    scene.has_foreign_peers = scene.is_outdated = True
    await scene.for_s(5 * PAUSE_MIN_S)
    assert 1 < scene.restarts <= 5
