"""A business application for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.support.business import Business, open_business


@pytest_asyncio.fixture
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()
