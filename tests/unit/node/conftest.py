"""A whole marketplace for the tests that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.whole import Whole, open_whole


@pytest_asyncio.fixture
async def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    """Put together; nothing of it runs in the background."""
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "lubeck") as opened:
        yield opened
