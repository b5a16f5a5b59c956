"""A league of three admits a fourth by vote, by the commands of docs/operators/join-a-league.md alone.

It follows at once, votes when it is given power, publishes, and what it published is proved by a receipt to
somebody who has the genesis alone. Then it gives its power back and leaves, and the receipt holds as before.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest

from hansa.core.files import write_file
from hansa.node.folder import read_genesis
from tests.league.harness import OFFERINGS, League, RunningMember, league, wait_until
from tests.league.test_governance import decide, hansa, registered

pytestmark = [pytest.mark.league, pytest.mark.timeout(300)]

PATIENCE_S = 60.0
PAGE = Path(__file__).parents[2] / "docs" / "operators" / "join-a-league.md"


def test_the_page_has_the_commands_that_are_carried_out_here() -> None:
    page = PAGE.read_text()
    commands = set(re.findall(r"hansa (join|serve|league (?:propose|vote|leave))\b", page))
    assert commands == {"join", "serve", "league propose", "league vote", "league leave"}


async def test_a_fourth_joins_votes_publishes_and_leaves(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 3) as three, aiohttp.ClientSession() as session:
        before = await three[0].create_offering()
        port = three[2].port + 40
        folder = tmp_path / "visby"
        await hansa(
            *("join", str(folder), "--from", three[0].url, "--from", three[1].url, "--name", "visby"),
            *(
                "--endpoint",
                f"http://127.0.0.1:{port}",
                "--p2p-host",
                "127.0.0.1",
                "--p2p-port",
                str(port + 1),
            ),
        )
        await decide(three, "admit", str(folder / "candidacy.jws"), voters=3)
        newcomer = RunningMember(folder, port, session)
        token = (await hansa("token", str(folder), "--subject", "ada", "--role", "operator")).strip()
        write_file(folder / "token", token.encode())
        four = League([*three.members, newcomer])
        await newcomer.start()
        try:
            await newcomer.wait_until_ready()
            await four.wait_until_visible(f"{OFFERINGS}/{before}", PATIENCE_S)
            await gives_power_votes_and_leaves(three, four, newcomer, tmp_path / "receipt.json")
        finally:
            await newcomer.stop()


async def gives_power_votes_and_leaves(
    three: League, four: League, newcomer: RunningMember, receipt: Path
) -> None:
    genesis = newcomer.folder / "genesis.json"
    did = next(
        line.split()[-1] for line in (await hansa("status", newcomer.url)).splitlines() if "DID" in line
    )
    await decide(three, "power", did, "10")
    await three[2].stop()  # three of four are needed: the newcomer has to vote
    published = await newcomer.create_offering()
    await wait_until(
        lambda: three[0].has(f"{OFFERINGS}/{published}"), "the newcomer votes", PATIENCE_S, four.members
    )
    await three[2].start()
    await three[2].wait_until_ready()
    await four.wait_until_visible(f"{OFFERINGS}/{published}", PATIENCE_S)
    await hansa("receipt", three[0].url, published, "-o", str(receipt))
    assert did in await hansa("verify", str(receipt), "--genesis", str(genesis))
    assert read_genesis(genesis.read_bytes(), genesis).app_state.members != ()
    await decide(three, "power", did, "0")
    await hansa("league", "leave", str(newcomer.folder), "--yes")

    async def has_left() -> bool:
        return bool((await registered(three[0], did))["status"] == "left")

    await wait_until(has_left, "it has left", 5 * PATIENCE_S, three.members)
    assert "The receipt holds" in await hansa("verify", str(receipt), "--genesis", str(genesis))
    await asyncio.gather(*(member.wait_until_ready() for member in three.members))
