"""A marketplace without an engine takes part in a league of three, and survives a member that lies.

It begins with the first event, or with a snapshot of a member.
"""

from __future__ import annotations

import asyncio
import json
import re
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
from tests.league.test_joining import FREQUENT, offer_snapshots

pytestmark = [pytest.mark.league, pytest.mark.timeout(300)]

PATIENCE_S = 60.0
BEGUN = "ledger_begins_with_snapshot"
PART_OF_SNAPSHOT = re.compile(r"/league/v1/snapshots/\d+/\d+")


@asynccontextmanager
async def liar(session: aiohttp.ClientSession, truth: str, port: int) -> AsyncIterator[list[str]]:
    """A member that answers as another one does, but with other events, and with snapshots of another state.

    Yields the paths of its lies.
    """
    lies: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        async with session.request(request.method, f"{truth}{request.path_qs}") as response:
            body = await response.read()
            if request.path == "/league/v1/ledger/batches" and len(body) > 20:
                lies.append(request.path_qs)
                raw = bytearray(zlib.decompress(body))
                raw[-10] ^= 1  # of the content of the last event
                body = zlib.compress(bytes(raw))
            elif PART_OF_SNAPSHOT.fullmatch(request.path) and response.status == 200:
                lies.append(request.path_qs)
                body = body[:-1] + bytes([body[-1] ^ 1])
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


@pytest.mark.slow
async def test_a_light_member_begins_with_the_snapshot_of_a_member_that_does_not_lie(tmp_path: Path) -> None:
    async with (
        league(tmp_path / "league", 3, is_started=False) as three,
        aiohttp.ClientSession() as session,
    ):
        offered = await begun_with_snapshots(three)
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
            await visby.start(command=FREQUENT)
            try:
                await visby.wait_until_ready()
                four = League([*three.members, visby])
                for one in offered:
                    await four.wait_until_visible(f"{OFFERINGS}/{one}", PATIENCE_S)
                begun = [line for line in visby.log.read_text().splitlines() if BEGUN in line]
                assert begun, "it begins with a snapshot"
                assert followed[0] not in begun[-1]
                await says_who_lies(visby, followed[0], three, lies)
                published = await visby.create_offering()
                await four.wait_until_visible(f"{OFFERINGS}/{published}", PATIENCE_S)
                assert await ledger_of(visby) == await ledger_of(three[1])
            finally:
                await visby.stop()


async def begun_with_snapshots(three: League) -> list[str]:
    """Start members that take a snapshot each other block, until two offer one; what is offered by then."""
    for member in three.members:
        await member.start(command=FREQUENT)
    for member in three.members:
        await member.wait_until_ready()
    offered: list[str] = []

    async def has_snapshots() -> bool:
        offered.append(await three[0].create_offering())
        await three.wait_until_visible(f"{OFFERINGS}/{offered[-1]}")
        return len(offered) > 8 and await offer_snapshots(three)

    await wait_until(has_snapshots, "two offer a snapshot", PATIENCE_S, three.members)
    return offered


async def ledger_of(member: RunningMember) -> list[bytes]:
    """All events, as a member serves them."""
    page = (await member.get("/league/v1/events?limit=100")).json()
    return [json.dumps(one, sort_keys=True).encode() for one in page]


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
