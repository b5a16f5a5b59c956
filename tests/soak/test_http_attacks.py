"""One attack over HTTP after the other, with an honest client beside each (`tests.soak.campaign`).

`ATTACK_S` is the time of each in seconds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.soak.campaign import report, run_campaign
from tests.soak.http_attacks import ATTACKS

SECONDS: Final = float(os.environ.get("ATTACK_S", "1"))
ENTITIES: Final = 400
pytestmark = [pytest.mark.league, pytest.mark.timed, pytest.mark.timeout(300 + 60 * SECONDS)]


async def test_no_attack_over_http_harms_others(tmp_path: Path) -> None:
    rows = await run_campaign(tmp_path / "league", [*ATTACKS], SECONDS, ENTITIES)
    sys.stdout.write("\n".join(report(rows)) + "\n")
    assert [failure for row in rows for failure in row.failures()] == []
