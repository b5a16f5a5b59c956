"""An engine that is no member's: it has the genesis and knows where to connect, and is not let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hansa.node.folder import CARD
from hansa.node.folder.card import read_card
from tests.league.further_engines import stranger
from tests.league.harness import OFFERINGS, League, league, wait_until

pytestmark = pytest.mark.league

ATTEMPTS = 12
"""How often it was shown out."""


@pytest.fixture
async def four(tmp_path: Path) -> AsyncIterator[League]:
    async with league(tmp_path / "league", 4) as made:
        yield made


async def test_a_strangers_engine_is_no_peer_of_any_member(four: League, tmp_path: Path) -> None:
    names = [read_card(member.folder / CARD).member.name for member in four.members]

    async def is_whole() -> bool:
        reports = [await member.status() for member in four.members]
        others = [sorted(one for one in names if one != name) for name in names]
        return [(report["peers"], report["peer_names"]) for report in reports] == [
            (3, each) for each in others
        ]

    async with stranger(tmp_path / "stranger", four.members) as engine:
        await engine.wait_until_stopped(ATTEMPTS, timeout_s=60)
        await wait_until(
            is_whole, "members are connected to one another and to nobody else", 60, four.members
        )
    created = await four[0].create_offering()
    await four.wait_until_visible(f"{OFFERINGS}/{created}")
