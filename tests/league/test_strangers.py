"""An engine that is no member's: it has the genesis and knows where to connect, and is not let in."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from hansa.node.folder import CARD, GENESIS
from hansa.node.folder.card import MemberCard
from hansa.pubsub.engine import EngineSettings, engine_spec, free_port, supervised_engine, write_home
from tests.league.harness import CLOCK, OFFERINGS, League, league, wait_until

pytestmark = pytest.mark.league

ATTEMPTS = 12
"""How often it was shown out."""


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[League]:
    async with league(tmp_path / "league", 4) as made:
        yield made


async def test_a_strangers_engine_is_no_peer_of_any_member(four: League, tmp_path: Path) -> None:
    cards = [
        msgspec.json.decode((member.folder / CARD).read_bytes(), type=MemberCard) for member in four.members
    ]
    lines: list[str] = []
    refused = asyncio.Event()

    def capture(_: Any, __: str, record: Any) -> Any:
        lines.append(str(record))
        if sum("Stopping peer for error" in line for line in lines) >= ATTEMPTS:
            refused.set()
        raise structlog.DropEvent

    async def is_whole() -> bool:
        reports = [await member.status() for member in four.members]
        others = [sorted(one.member.name for one in cards if one is not card) for card in cards]
        return [(report["peers"], report["peer_names"]) for report in reports] == [
            (3, each) for each in others
        ]

    settings = EngineSettings(
        name="stranger",
        p2p_port=free_port(),
        persistent_peers=tuple(card.p2p_address for card in cards),
        is_single_machine=True,
        proxy_app="noop",
        log_level="info",
    )
    home = write_home(tmp_path / "stranger", settings, (four[0].folder / GENESIS).read_bytes())
    logger = structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[capture])
    stranger = supervised_engine(engine_spec(home.folder, os.environ), CLOCK, logger, has_application=False)
    await stranger.start()
    try:
        async with asyncio.timeout(60):
            await refused.wait()
        await wait_until(
            is_whole, "members are connected to one another and to nobody else", 60, four.members
        )
    except TimeoutError:
        raise AssertionError("\n".join(lines[-60:])) from None
    finally:
        await stranger.stop()
    created = await four[0].create_offering()
    await four.wait_until_visible(f"{OFFERINGS}/{created}")
