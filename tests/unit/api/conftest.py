"""A league of three that has begun to replicate."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.league import League


@pytest.fixture
async def league() -> AsyncIterator[League]:
    async with League(["lubeck", "bergen", "riga"]) as league:
        league.start()
        yield league
