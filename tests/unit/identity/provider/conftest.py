"""The OpenID Provider that the tests here ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.provider import Provided


@pytest.fixture
def op(tmp_path: Path) -> Provided:
    """A new one, with its clients."""
    return Provided(tmp_path)
