"""A real league: receipts that hold without it, audits, and CometBFT's own light client."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from hansa.core.clock import SystemClock
from hansa.core.errors import EXIT_STATUS, Code
from hansa.node.folder import GENESIS
from hansa.pubsub.engine import engine_binary
from hansa.pubsub.light.chain.rpc_form import write_commit, write_validators
from hansa.pubsub.light.genesis import read_trusted_genesis
from hansa.pubsub.light.receipts import verify_receipt
from tests.league.harness import (
    OFFERINGS,
    League,
    RunningMember,
    free_base_port,
    league,
    wait_until,
)
from tests.support import second_verifier
from tests.support.light_chain import Signer, light_block

pytestmark = [pytest.mark.league, pytest.mark.asyncio(loop_scope="module")]

CLOCK = SystemClock()
LIGHT = "/league/v1/light"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def members(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[League]:
    """Four members, for all tests of this module."""
    async with league(tmp_path_factory.mktemp("light"), 4) as made:
        yield made


def hansa(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of another machine, which knows nothing but its arguments."""
    return subprocess.run(
        [sys.executable, "-m", "hansa.cli", *arguments], capture_output=True, text=True, check=False
    )


async def publish(members: League, name: str) -> str:
    """An offering of the first member that all of them have; its identifier."""
    entity_id = await members[0].create_offering(name=name, lifecycleStatus="Launched")
    await members.wait_until_visible(f"{OFFERINGS}/{entity_id}")
    return entity_id


async def test_a_receipt_holds_on_a_machine_that_knows_the_genesis_alone(
    members: League, tmp_path: Path
) -> None:
    entity_id = await publish(members, "receipt")
    genesis, file = members[0].folder / GENESIS, tmp_path / "offering.receipt"
    fetched = hansa("receipt", members[2].url, entity_id, "--latest", "-o", str(file))
    assert fetched.returncode == 0, fetched.stderr
    checked = hansa("verify", str(file), "--genesis", str(genesis), "--entity", entity_id)
    assert checked.returncode == 0, checked.stderr
    assert "The receipt holds." in checked.stdout
    rows = second_verifier.verify(file.read_bytes(), json.loads(genesis.read_text()))
    assert len(rows) == 1
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    refused = hansa("verify", str(file), "--genesis", str(genesis))
    assert refused.returncode == 20
    assert "does not hold" in refused.stderr


async def test_light_blocks_are_retained_over_a_killed_engine_and_the_ledger_passes_an_audit(
    members: League, tmp_path: Path
) -> None:
    genesis, remembered = str(members[0].folder / GENESIS), str(tmp_path / "audit")
    for number in range(3):
        await publish(members, f"audit {number}")
        await members[1].kill("cometbft")

    def audit() -> dict[str, Any] | None:
        made = hansa("audit", members[1].url, "--genesis", genesis, "--remember", remembered, "--json")
        if made.returncode == EXIT_STATUS[Code.UNAVAILABLE]:
            return None  # its engine starts again
        assert made.returncode == 0, made.stderr
        document: dict[str, Any] = json.loads(made.stdout)
        return document

    async def is_complete() -> bool:
        figures = await asyncio.to_thread(audit)
        return figures is not None and figures["events"] >= 3 and figures["unsigned"] == 0

    await wait_until(is_complete, "an audit that compares everything", 60.0)
    trusted, keys = read_trusted_genesis((members[0].folder / GENESIS).read_bytes())
    async with liar(trusted.chain_id) as lying:
        urls = (members[0].url, members[1].url, lying)
        compared = await asyncio.to_thread(hansa, "audit", *urls, "--genesis", genesis)
    assert f"{members[1].url} says the same" in compared.stdout, compared.stderr
    assert f"{lying} says another block" in compared.stdout
    assert compared.returncode == 20
    bodies: list[bytes] = []

    async def has_answered() -> bool:
        answer = await members[1].get(f"/league/v1/entities/{'ab' * 32}/receipt?absent=true")
        bodies.append(answer.body)
        return answer.status == 200

    await wait_until(has_answered, "there is a receipt of an absence", 30.0, members.members)
    assert verify_receipt(bodies[-1], trusted, keys).claims == ()


@asynccontextmanager
async def bridge(member: RunningMember) -> AsyncIterator[str]:
    """`cometbft light` opens a WebSocket to its primary, which nothing of a light client needs."""

    async def socket(request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse()
        await opened.prepare(request)
        async for _ in opened:
            pass
        return opened

    async def call(request: web.Request) -> web.Response:
        async with (
            aiohttp.ClientSession() as session,
            session.post(member.url + LIGHT, json=await request.json()) as answer,
        ):
            return web.Response(body=await answer.read(), content_type="application/json")

    application = web.Application()
    application.router.add_get("/websocket", socket)
    application.router.add_post("/", call)
    async with served(application) as url:
        yield url


@asynccontextmanager
async def liar(chain_id: str) -> AsyncIterator[str]:
    """A member that makes blocks up, and has them signed by validators of its own."""
    strangers = [Signer(f"x{number}") for number in range(4)]

    async def call(request: web.Request) -> web.Response:
        height = int(request.query.get("height", "1000000"))
        block = light_block(height, strangers, chain_id=chain_id)
        is_commit = request.path.endswith("/commit")
        result = write_commit(block) if is_commit else write_validators(height, block.validators, 1, 100)
        return web.json_response({"jsonrpc": "2.0", "id": -1, "result": result})

    application = web.Application()
    application.router.add_get(LIGHT + "/{method}", call)
    async with served(application) as url:
        yield url


@asynccontextmanager
async def served(application: web.Application) -> AsyncIterator[str]:
    """The address at which an application is served."""
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_cometbfts_own_light_client_follows_the_league(members: League, tmp_path: Path) -> None:
    await publish(members, "light")
    status = (await members[0].get(f"{LIGHT}/status")).json()["result"]
    port = free_base_port(1) + 1
    async with bridge(members[0]) as primary:
        process = await asyncio.create_subprocess_exec(
            *(str(engine_binary()), "light", status["node_info"]["network"], "--primary", primary),
            *("--witnesses", f"{members[1].url}{LIGHT},{members[2].url}{LIGHT}", "--height", "1"),
            *("--hash", status["sync_info"]["earliest_block_hash"], "--home-dir", str(tmp_path / "light")),
            *("--laddr", f"tcp://127.0.0.1:{port}"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:

            async def result(path: str) -> Any:
                async with (
                    aiohttp.ClientSession() as session,
                    session.get(f"http://127.0.0.1:{port}/{path}") as answer,
                ):
                    return (await answer.json()).get("result")

            async def is_verified() -> bool:
                methods = ("commit", "validators", "consensus_params")
                return all([await result(f"{method}?height=3") is not None for method in methods])

            await wait_until(is_verified, "a verified header", 30.0)
        finally:
            process.kill()
            await process.wait()
