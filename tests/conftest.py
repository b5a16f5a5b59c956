"""What every test can ask for, and which tests may use the network."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from hansa.node.http.server import COLLECTION_THRESHOLDS

CHECKOUT = Path(__file__).resolve().parent.parent
NETWORKED = ("league", "kits")
RERUN = ("league", "browser")
LEAGUE_FOLDERS = ("tests/benchmarks/", "tests/contract/", "tests/league/", "tests/soak/")
"""Where `make test` and `make bench-quick` look for tests of real processes."""
LEAGUE_RERUNS = int(os.environ.get("LEAGUE_RERUNS", "1"))
"""How often a test of real processes that fails is run again, and both reported (decision 0060)."""

# How long an example takes says more of the machine than of the product.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")


gc.disable()  # while tests are collected: they all stay


def pytest_collection_finish() -> None:
    """Collect cyclic garbage as `hansa serve` does: tests and modules are never looked at again."""
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sockets are off by default; tests of real processes need them.

    Those, and tests in a browser, are run again when they fail, which is reported.

    Tests in a browser come last: Playwright leaves an event loop running in its thread, beside which no
    coroutine of another test can be run.

    Raises:
        UsageError: when the name of a test says where an object is in memory: workers have to agree on names;
            or a test of real processes is where nothing looks for it.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} has another name in every process: give its cases ids.")
        if item.get_closest_marker("league") and not item.nodeid.startswith(LEAGUE_FOLDERS):
            raise pytest.UsageError(f"{item.nodeid} starts real processes: put it into {LEAGUE_FOLDERS}.")
        if any(item.get_closest_marker(mark) for mark in NETWORKED):
            item.add_marker(pytest.mark.enable_socket)
        if LEAGUE_RERUNS and any(item.get_closest_marker(mark) for mark in RERUN):
            item.add_marker(pytest.mark.flaky(reruns=LEAGUE_RERUNS))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Documents, vectors and data that the project is tested against and does not contain."""
    folder = CHECKOUT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"reference data is not here: {folder}")
    return folder
