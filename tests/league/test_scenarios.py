"""The scenarios of `tests.league.scenarios`: the short ones, and all of them with `SCENARIOS=all`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.league.disks import DiskMissing
from tests.league.engine_clock import EngineMissing
from tests.league.scenarios.hosts import NamespacesMissing
from tests.league.scenarios.manifest import read_scenario, scenario_names
from tests.league.scenarios.run import run_scenario

SELECTED = [
    name for name in scenario_names() if os.environ.get("SCENARIOS") == "all" or read_scenario(name).is_short
]

pytestmark = [pytest.mark.league, pytest.mark.timeout(900)]


@pytest.mark.parametrize("name", SELECTED)
async def test_a_league_withstands_the_scenario(tmp_path: Path, name: str) -> None:
    try:
        outcome = await run_scenario(name, read_scenario(name), tmp_path / "league")
    except (NamespacesMissing, DiskMissing, EngineMissing) as error:
        pytest.skip(str(error))
    sys.stdout.write("\n".join(outcome.lines()) + "\n")
    assert outcome.failures == ()
