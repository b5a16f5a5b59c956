"""A marketplace without an engine takes part in a league of three, and survives a member that lies."""

from __future__ import annotations

import asyncio
import shutil
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from hansa.core.files import write_file
from hansa.node.folder import OBSERVING
from hansa.node.settings.editing import set_setting
from tests.league.harness import OFFERINGS, League, RunningMember, free_base_port, league, wait_until
from tests.league.test_governance import decide, hansa

pytestmark = [pytest.mark.league, pytest.mark.timeout(300)]

PATIENCE_S = 60.0


@asynccontextmanager
async def liar(session: aiohttp.ClientSession, truth: str, port: int) -> AsyncIterator[list[str]]:
    """A member that answers as another one does, but with other events; yields the paths of its lies."""
    lies: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        async with session.request(request.method, f"{truth}{request.path_qs}") as response:
            body = await response.read()
            if request.path == "/league/v1/ledger/batches" and len(body) > 20:
                lies.append(request.path_qs)
                raw = bytearray(zlib.decompress(body))
                raw[-10] ^= 1  # of the content of the last event
                body = zlib.compress(bytes(raw))
            return web.Response(status=response.status, body=body, content_type=response.content_type)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield lies
    finally:
        await runner.cleanup()


async def test_a_light_member_follows_publishes_and_survives_a_member_that_lies(tmp_path: Path) -> None:
    async with league(tmp_path / "league", 3) as three, aiohttp.ClientSession() as session:
        before = await three[0].create_offering()
        await three.wait_until_visible(f"{OFFERINGS}/{before}")
        port = free_base_port(2) + 1
        folder = tmp_path / "visby"
        await hansa(
            *("join", str(folder), "--light", "--from", three[0].url, "--from", three[1].url),
            *("--name", "visby", "--endpoint", f"http://127.0.0.1:{port}"),
        )
        await decide(three, "admit", str(folder / "candidacy.jws"), voters=3)
        followed = (f"http://127.0.0.1:{port + 1}", three[1].url, three[2].url)
        set_setting(folder / "hansa.toml", "followed_members", followed)
        token = (await hansa("token", str(folder), "--subject", "ada", "--role", "operator")).strip()
        write_file(folder / "token", token.encode())
        visby = RunningMember(folder, port, session)
        async with liar(session, three[0].url, port + 1) as lies:
            await visby.start()
            try:
                await visby.wait_until_ready()
                four = League([*three.members, visby])
                await four.wait_until_visible(f"{OFFERINGS}/{before}", PATIENCE_S)
                published = await visby.create_offering()
                await four.wait_until_visible(f"{OFFERINGS}/{published}", PATIENCE_S)
                await says_who_lies(visby, followed[0], three, lies)
                status = await visby.status()
                assert status["children"] == []
                assert status["following"]["trusted"]["height"] > 0
                await serves_alone_and_comes_back(three, visby, (before, published), tmp_path / "backup")
                await hansa("league", "leave", str(folder), "--yes")
            finally:
                await visby.stop()


async def serves_alone_and_comes_back(
    three: League, visby: RunningMember, offerings: Sequence[str], backup: Path
) -> None:
    """While all members are away it serves what it has, also as it is restored from a backup meanwhile."""
    await hansa("backup", str(visby.folder), str(backup))
    await asyncio.gather(*(member.stop() for member in three.members))

    async def serves_and_says_so() -> bool:
        conditions = (await visby.get("/readyz")).json()["conditions"]
        is_served = all([await visby.has(f"{OFFERINGS}/{one}") for one in offerings])
        return is_served and "no-followed-member" in conditions

    await wait_until(serves_and_says_so, "it says that nobody answers", PATIENCE_S, [visby])
    await visby.stop()
    shutil.rmtree(visby.folder)
    await hansa("restore", str(backup), str(visby.folder))
    assert not (visby.folder / OBSERVING).exists(), "there is no validator that could sign twice"
    await visby.start()
    await visby.wait_until_ready()
    await wait_until(serves_and_says_so, "it says that nobody answers", PATIENCE_S, [visby])
    await three.start()
    four = League([*three.members, visby])
    for member in (three[0], visby):
        await four.wait_until_visible(f"{OFFERINGS}/{await member.create_offering()}", PATIENCE_S)


async def says_who_lies(visby: RunningMember, endpoint: str, three: League, lies: list[str]) -> None:
    """Have events until it has met the lie; what comes meanwhile is right."""

    async def is_noticed() -> bool:
        identifier = await three[1].create_offering()
        await wait_until(lambda: visby.has(f"{OFFERINGS}/{identifier}"), "it arrives", PATIENCE_S, [visby])
        sources = {one["endpoint"]: one for one in (await visby.status())["following"]["sources"]}
        return bool(lies) and sources[endpoint]["lies"] > 0

    await wait_until(is_noticed, "the lie is noticed", PATIENCE_S, [visby])
