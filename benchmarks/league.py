"""The league: four marketplaces on this machine, each with its ledger application and its validator.

Replication latency is from sending a `POST` to one member until the entity can be read at all others, which
are polled every few milliseconds. Sustained change is all members accepting creates as fast as they can, and
ends when every member has every entity. Memory is measured right after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec

from benchmarks.client import Client
from benchmarks.figures import median, quantile
from benchmarks.load import Job, get, post
from benchmarks.offerings import PATH, offering
from benchmarks.plan import Plan
from benchmarks.processes import (
    BenchmarkError,
    LoadGenerator,
    command_of,
    descendants_of,
    free_base_port,
    memory_of,
    stop,
    until,
    wait_for_port,
)
from benchmarks.report import Figure, Row, Table
from hansa.core.clock import SystemClock
from hansa.node.folder.demo_league import create_or_resume_league

POLL_INTERVAL_S: Final = 0.003
READY_TIMEOUT_S: Final = 120.0
VISIBLE_TIMEOUT_S: Final = 120.0
CAUGHT_UP_TIMEOUT_S: Final = 900.0
COUNT: Final = f"{PATH}?limit=1&fields=id"
ROLES: Final = {"cometbft start": "cometbft", "hansa.pubsub.ledger": "ledger application"}
"""What the command lines of the children contain."""


class RunningMember(msgspec.Struct, frozen=True):
    """A marketplace that runs."""

    folder: Path
    port: int
    pid: int
    token: str


@contextlib.asynccontextmanager
async def running_league(folder: Path, members: int) -> AsyncIterator[list[RunningMember]]:
    """A new league, from the readiness of every member until the block ends."""
    base_port = free_base_port(members)
    folders = create_or_resume_league(folder, members, base_port, SystemClock(), os.urandom)
    async with contextlib.AsyncExitStack() as stack:
        league = []
        for number, member_folder in enumerate(folders, 1):
            log = folder / f"{member_folder.name}.log"
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    str(Path(sys.executable).with_name("hansa")),
                    "serve",
                    str(member_folder),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            stack.push_async_callback(stop, process)
            await wait_for_port(base_port + number, process, log)
            token = (member_folder / "token").read_text().strip()
            league.append(RunningMember(member_folder, base_port + number, process.pid, token))
        async with asyncio.timeout(READY_TIMEOUT_S):
            for member in league:
                await ready(member)
        yield league


async def ready(member: RunningMember) -> None:
    """Wait until a member is ready."""
    async with Client.connected(member.port) as client:

        async def is_ready() -> bool:
            return (await client.send(get("/readyz"))).status == 200

        await until(is_ready, 0.1)


async def create(client: Client, member: RunningMember, number: int) -> str:
    """Create a public offering; its identifier."""
    body = msgspec.json.encode({**offering(number), "lifecycleStatus": "Launched"})
    response = await client.send(post(PATH, body, member.token))
    if response.status != 201:
        raise BenchmarkError(f"A create was answered {response.status}: {response.body[:400]!r}")
    return str(msgspec.json.decode(response.body)["id"])


async def visible(client: Client, identifier: str) -> float:
    """Wait until a member has an entity; the time of that."""
    request = get(f"{PATH}/{identifier}")

    async def is_visible() -> bool:
        return (await client.send(request)).status == 200

    await until(is_visible, POLL_INTERVAL_S)
    return perf_counter()


async def latency(plan: Plan, league: Sequence[RunningMember]) -> Row:
    """One change at a time on an idle league, at one member after the other."""
    accepted: list[float] = []
    everywhere: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client.connected(member.port)) for member in league]
        for number in range(plan.league_changes + len(league)):
            origin = number % len(league)
            started = perf_counter()
            identifier = await create(clients[origin], league[origin], number)
            accepted_s = perf_counter() - started
            others = [client for other, client in enumerate(clients) if other != origin]
            async with asyncio.timeout(VISIBLE_TIMEOUT_S):
                seen = await asyncio.gather(*(visible(client, identifier) for client in others))
            if number >= len(league):  # the first change of every member opens its connections to the others
                accepted.append(accepted_s)
                everywhere.append(max(seen) - started)
            await asyncio.sleep(4 * plan.pause_s)
    return Row(
        "POST at one, visible at all others, idle",
        (
            Figure("p50", quantile(everywhere, 0.5), "seconds"),
            Figure("p99", quantile(everywhere, 0.99), "seconds"),
            Figure("POST p50", quantile(accepted, 0.5), "seconds"),
            Figure("POST p99", quantile(accepted, 0.99), "seconds"),
        ),
    )


async def totals(league: Sequence[RunningMember]) -> list[int]:
    """The number of public offerings at each member."""
    counts = []
    for member in league:
        async with Client.connected(member.port) as client:
            counts.append(int((await client.send(get(COUNT))).headers["x-total-count"]))
    return counts


async def sustained(plan: Plan, league: Sequence[RunningMember]) -> Row:
    """All members take creates as fast as they can; ends when every member has every entity."""
    each = plan.sustained_changes // len(league)
    expected = max(await totals(league)) + each * len(league)

    async def has_everything_everywhere() -> bool:
        return min(await totals(league)) >= expected

    jobs = [
        Job(
            port=member.port,
            requests=tuple(
                post(
                    PATH,
                    msgspec.json.encode({**offering(number), "lifecycleStatus": "Launched"}),
                    member.token,
                )
                for number in range(500)
            ),
            connections=plan.sustained_connections,
            seconds=CAUGHT_UP_TIMEOUT_S,
            status=201,
            count_max=each,
        )
        for member in league
    ]
    async with contextlib.AsyncExitStack() as stack:
        loads = [await stack.enter_async_context(LoadGenerator.running()) for _ in league]
        started = perf_counter()
        results = await asyncio.gather(*(load.run(job) for load, job in zip(loads, jobs, strict=True)))
        accepted_s = perf_counter() - started
        async with asyncio.timeout(CAUGHT_UP_TIMEOUT_S):
            await until(has_everything_everywhere, 0.1)
        everywhere_s = perf_counter() - started
    changes = each * len(league)
    return Row(
        f"{changes:,} creates at all members at once",
        (
            Figure("POST p50", median([result.p50_s for result in results]), "seconds"),
            Figure("POST p99", max(result.p99_s for result in results), "seconds"),
            Figure("accepted", changes / accepted_s, "per second"),
            Figure("everywhere", changes / everywhere_s, "per second"),
        ),
    )


def memory(league: Sequence[RunningMember]) -> Table | None:
    """Memory of each process; None where the system does not report it."""
    by_role: dict[str, list[tuple[int, int]]] = {}
    for member in league:
        for pid in (member.pid, *descendants_of(member.pid)):
            command = command_of(pid)
            role = next((name for part, name in ROLES.items() if part in command), "hansa serve")
            size = memory_of(pid)
            if size is not None and command:
                by_role.setdefault(role, []).append((size.pss_bytes, size.rss_bytes))
    if not by_role:
        return None
    rows = [
        Row(
            role,
            (
                Figure("PSS", median([pss for pss, _ in sizes]), "bytes"),
                Figure("largest", max(pss for pss, _ in sizes), "bytes"),
                Figure("RSS", median([rss for _, rss in sizes]), "bytes"),
                Figure("processes", len(sizes), "count"),
            ),
        )
        for role, sizes in by_role.items()
    ]
    whole = sum(pss for sizes in by_role.values() for pss, _ in sizes) / len(league)
    rows.append(Row("a member, all its processes", (Figure("PSS", whole, "bytes"),)))
    return Table("Memory after that, by process", tuple(rows))


def disk(league: Sequence[RunningMember], entities: int) -> Table:
    """Disk space of an entity at a member, on average: in the store, and in the ledger's state and blocks."""
    member = league[0]
    parts = {"store.db": "store", "ledger/state.db": "ledger's state", "ledger/data": "blocks and engine"}
    rows = []
    for part, name in parts.items():
        files = [file for file in member.folder.glob(f"{part}*") if file.is_file()]
        files += [file for file in (member.folder / part).rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
        rows.append(Row(name, (Figure("size", size, "bytes"), Figure("an entity", size / entities, "bytes"))))
    return Table(f"Disk of one member, {entities:,} published entities", tuple(rows))


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The league's tables."""
    async with running_league(folder / "league", plan.members) as league:
        rows = (await latency(plan, league), await sustained(plan, league))
        sizes = memory(league)
        entities = min(await totals(league))
    tables = [Table(f"League of {plan.members} on this machine", rows)]
    if sizes is not None:
        tables.append(sizes)
    return [*tables, disk(league, entities)]
