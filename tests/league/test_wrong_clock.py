"""A machine whose clock is two hours off.

The marketplace says so and does not start, and nothing is damaged.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hansa.core.errors import EXIT_STATUS, Code
from tests.league.harness import OFFERINGS, League, league

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]

TWO_HOURS_S = 7200
WRONG_CLOCK = (sys.executable, "-m", "tests.league.serve_at_another_time")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[League]:
    """Three members, running, for all tests of this module."""
    async with league(tmp_path_factory.mktemp("clock") / "league", 3) as made:
        yield made


async def test_a_clock_two_hours_off_ends_the_start_without_damage(three: League) -> None:
    riga = three[2]
    created = await riga.create_offering(name="before")
    await three.wait_until_visible(f"{OFFERINGS}/{created}")
    await riga.stop()
    for shift_s, direction in ((TWO_HOURS_S, "ahead of"), (-TWO_HOURS_S, "")):
        status, said = await riga.run_to_end(command=(*WRONG_CLOCK, str(shift_s)))
        assert status == EXIT_STATUS[Code.CLOCK_WRONG], said
        assert "2.0 hours" in said
        assert direction in said
        assert "Traceback" not in said
    await riga.start()
    await riga.wait_until_ready()
    assert await riga.has(f"{OFFERINGS}/{created}")
    for member in three.members:
        created = await member.create_offering(name="after")
        await three.wait_until_visible(f"{OFFERINGS}/{created}")


async def test_a_few_seconds_off_are_accepted(three: League) -> None:
    riga = three[2]
    await riga.stop()
    await riga.start(command=(*WRONG_CLOCK, "20"))
    await riga.wait_until_ready()
    for member in three.members:
        created = await member.create_offering()
        await three.wait_until_visible(f"{OFFERINGS}/{created}")
