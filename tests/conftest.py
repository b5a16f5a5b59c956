"""What every test can ask for, and which tests may use the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parent.parent
NETWORKED = ("league", "kits")

# How long an example takes says more of the machine than of the product.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sockets are off by default; tests of real processes need them."""
    for item in items:
        if any(item.get_closest_marker(mark) for mark in NETWORKED):
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Documents, vectors and data that the project is tested against and does not contain."""
    folder = CHECKOUT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"reference data is not here: {folder}")
    return folder
