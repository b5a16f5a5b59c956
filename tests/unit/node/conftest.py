"""A whole marketplace, and the folder of a member of two, for the tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hansa.core.clock import ManualClock
from hansa.node.folder import LEDGER, init_member, install_genesis, league_genesis
from hansa.pubsub.engine import SigningState, write_signing_state
from tests.support.whole import Whole, open_whole


@pytest_asyncio.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    """Put together; nothing of it runs in the background."""
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "lubeck") as opened:
        yield opened


@pytest.fixture
def member_of_two(tmp_path: Path) -> Path:
    """The folder of a member of a league of two, whose validator has signed at height 41."""
    clock, made = ManualClock(), tmp_path / "market"
    cards = [
        init_member(path, path.name, f"http://127.0.0.1:{port}", clock, p2p_port=port + 1)
        for path, port in ((made, 29001), (tmp_path / "other", 29003))
    ]
    install_genesis(made, league_genesis(cards, "a-league", clock.now()), [c.p2p_address for c in cards])
    write_signing_state(made / LEDGER, SigningState(41, 0, 3))
    return made
