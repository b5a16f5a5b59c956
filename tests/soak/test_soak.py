"""All attacks at once, for a while: `make soak` runs half an hour, the tests two minutes.

`SOAK_S` is the time of the load in seconds, `SOAK_SEED` the seed of the schedule, `SOAK_JSON` a file for the
figures.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.soak.soak import run_soak

DURATION_S: Final = float(os.environ.get("SOAK_S", "80"))
SEED: Final = int(os.environ.get("SOAK_SEED", "1302"))

pytestmark = [pytest.mark.league, pytest.mark.timed, pytest.mark.timeout(DURATION_S + 600)]


async def test_a_league_withstands_all_attacks_at_once(tmp_path: Path) -> None:
    report = await run_soak(tmp_path, SEED, DURATION_S)
    sys.stdout.write("\n".join(report.lines()) + "\n")
    file = os.environ.get("SOAK_JSON")
    if file:
        Path(file).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    assert list(report.failures()) == []
