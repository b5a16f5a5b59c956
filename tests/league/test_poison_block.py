"""A block that ends the ledger application whenever it meets it, and stands in the engine's write-ahead log.

The marketplace survives: it serves its catalogue and says what does not run. docs/operators/recover.md says
how it goes on: with a release that refuses the block, and `hansa engine repair` when the log is in its way.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hansa.node.folder import LEDGER
from hansa.node.validator.repair import WRITE_AHEAD_LOG, repair_engine
from hansa.pubsub.engine import SigningState, read_signing_state, write_signing_state
from tests.league.harness import CLOCK, OFFERINGS, RunningMember, league, wait_until

pytestmark = [pytest.mark.league, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]

CATEGORIES = "/tmf-api/productCatalogManagement/v4/category"
DEATHS = 3
"""How often the application has ended when the block is taken to be in the log."""


def serving_with(mode: str) -> tuple[str, ...]:
    return sys.executable, "-m", "tests.league.serve_with_ledger", mode


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def poisoned(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningMember]:
    """A member whose application ends at the block that is being decided, again and again."""
    async with league(tmp_path_factory.mktemp("poison") / "league", 1, is_started=False) as made:
        member = made[0]
        await member.start(command=serving_with("brittle"))
        await member.wait_until_ready()
        await made.wait_until_visible(f"{OFFERINGS}/{await member.create_offering(name='before')}")
        created = await member.post(CATEGORIES, {"name": "poison", "lifecycleStatus": "Launched"})
        assert created.status == 201

        async def has_ended_again_and_again() -> bool:
            return member.log.read_text().count('"child_ended"') >= 2 * DEATHS

        await wait_until(has_ended_again_and_again, "the application ends at the block", 120, [member])
        yield member


async def test_a_member_survives_a_block_that_ends_its_ledger_application(poisoned: RunningMember) -> None:
    assert poisoned.process is not None
    assert poisoned.process.returncode is None
    assert (await poisoned.get("/livez")).status == 200
    assert (await poisoned.get(f"{OFFERINGS}?name=before")).json()[0]["name"] == "before"
    assert (
        await poisoned.post(OFFERINGS, {"name": "meanwhile", "lifecycleStatus": "Launched"})
    ).status == 201

    async def is_said() -> bool:
        answer = await poisoned.get("/readyz")
        return answer.status == 503 and "process-not-running" in answer.json()["conditions"]

    await wait_until(is_said, "it says that the application does not run", 60, [poisoned])


async def test_the_release_that_refuses_the_block_goes_on_after_a_repair(poisoned: RunningMember) -> None:
    await poisoned.stop()
    assert (poisoned.folder / WRITE_AHEAD_LOG).exists()
    # As after some rounds in vain: nobody may vote again in a round that the log knew of.
    signed = read_signing_state(poisoned.folder / LEDGER)
    write_signing_state(poisoned.folder / LEDGER, SigningState(signed.height, signed.round + 2, 3))
    (move,) = repair_engine(poisoned.folder, CLOCK)
    assert (poisoned.folder / move.to).exists()
    await poisoned.start(command=serving_with("mended"))
    await poisoned.wait_until_ready()
    after = await poisoned.create_offering(name="after")

    async def is_published() -> bool:
        status = await poisoned.status()
        return bool((status["position"] or 0) >= 2) and await poisoned.has(f"{OFFERINGS}/{after}")

    await wait_until(is_published, "what comes after is on the ledger", 60, [poisoned])
    assert "Traceback" not in poisoned.log.read_text()
