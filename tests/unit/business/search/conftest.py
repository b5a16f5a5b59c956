"""A marketplace that can be searched, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.searching import Searched, open_searched


@pytest_asyncio.fixture
async def searched(tmp_path: Path) -> AsyncIterator[Searched]:
    async with open_searched(tmp_path) as one:
        yield one
