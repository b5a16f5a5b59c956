"""Readers of the ledger: what anonymous readers of `/league/v1/events` cost those who publish.

On a league of four marketplaces one change after the other is made, at one member after the other: alone, and
while 16 connections read pages of events as fast as they are answered, a quarter of them at each member. The
latency of a commit is from the answer to a `POST` until a follower at another member has read the event; it
counts the time on this machine's cores that readers take from consensus, too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

import msgspec

from benchmarks.client import Client
from benchmarks.figures import median, quantile
from benchmarks.league import RunningMember, create, running_league, sustained
from benchmarks.load import Job, get
from benchmarks.plan import Plan
from benchmarks.processes import LoadGenerator
from benchmarks.recorded import pages_table
from benchmarks.report import Figure, Row, Table
from hansa.core.clock import SystemClock
from hansa.core.identifiers import entity_key
from hansa.core.limits import Limits
from hansa.node.folder import CARD, LEDGER, LEDGER_STATE, read_card
from hansa.pubsub.cometbft import CometBftBus
from hansa.pubsub.engine import RPC_SOCKET

READERS: Final = 16
EVENTS: Final = "/league/v1/events"
COMMIT_TIMEOUT_S: Final = 60.0


class Commits:
    """The entity keys that a follower of a member's ledger has read, and when."""

    def __init__(self) -> None:
        self._read_at: dict[str, float] = {}
        self._received = asyncio.Event()

    async def follow(self, bus: CometBftBus, after: int) -> None:
        """Follow for ever."""
        async for page in bus.follow(after):
            now = perf_counter()
            for committed in page.events:
                self._read_at[committed.event.entity.key] = now
            self._received.set()

    async def read_at(self, key: str) -> float:
        """Wait until the follower has read an event of an entity; the time of that."""
        async with asyncio.timeout(COMMIT_TIMEOUT_S):
            while key not in self._read_at:
                self._received.clear()
                await self._received.wait()
        return self._read_at[key]


@contextlib.asynccontextmanager
async def following(league: Sequence[RunningMember]) -> AsyncIterator[list[Commits]]:
    """A follower of each member's ledger, from now on."""
    async with contextlib.AsyncExitStack() as stack:
        watches = []
        tasks = []
        for member in league:
            bus = CometBftBus(
                member.folder / LEDGER / RPC_SOCKET, member.folder / LEDGER_STATE, SystemClock(), Limits()
            )
            stack.push_async_callback(bus.close)
            watch = Commits()
            tasks.append(asyncio.create_task(watch.follow(bus, (await bus.ledger()).position)))
            watches.append(watch)
        try:
            yield watches
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def reading(
    loads: Sequence[LoadGenerator], league: Sequence[RunningMember], plan: Plan
) -> AsyncIterator[list[float]]:
    """All readers, for a round after a while; yields each member's pages a second, once they are done."""
    rates: list[float] = []
    seconds = plan.readers_lead_s + plan.readers_round_s
    jobs = [
        Job(member.port, (get(EVENTS),), connections=READERS // len(league), seconds=seconds)
        for member in league
    ]
    running = [asyncio.create_task(load.run(job)) for load, job in zip(loads, jobs, strict=True)]
    await asyncio.sleep(plan.readers_lead_s)
    try:
        yield rates
    finally:
        rates += [result.rate for result in await asyncio.gather(*running)]


async def latencies(league: Sequence[RunningMember], watches: Sequence[Commits], plan: Plan) -> list[float]:
    """Of one commit after the other, for `readers_round_s`."""
    dids = [read_card(member.folder / CARD).member.did for member in league]
    results: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client.connected(member.port)) for member in league]
        ends_at = perf_counter() + plan.readers_round_s
        number = 0
        while perf_counter() < ends_at:
            at = number % len(league)
            identifier = await create(clients[at], league[at], number)
            answered_at = perf_counter()
            key = entity_key(dids[at], identifier)
            results.append(await watches[(at + 1) % len(league)].read_at(key) - answered_at)
            await asyncio.sleep(plan.pause_s)
            number += 1
    return results


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """The tables of searches and of readers."""
    searches = pages_table(plan, folder)
    alone: list[float] = []
    beside: list[float] = []
    pages: list[float] = []
    ratios: list[float] = []
    async with running_league(folder / "league", plan.members) as league:
        smaller = msgspec.structs.replace(plan, sustained_changes=plan.readers_events)
        await sustained(smaller, league)
        async with contextlib.AsyncExitStack() as stack:
            watches = await stack.enter_async_context(following(league))
            loads = [await stack.enter_async_context(LoadGenerator.running()) for _ in league]
            await latencies(league, watches, plan)  # every member's first publication opens its connections
            for _ in range(plan.readers_rounds):
                without = await latencies(league, watches, plan)
                async with reading(loads, league, plan) as rates:
                    during = await latencies(league, watches, plan)
                alone += without
                beside += during
                pages.append(sum(rates))
                ratios.append(median(during) / median(without))
    rows = (
        _row("nobody reads", alone, ()),
        _row(
            f"{READERS} readers",
            beside,
            (Figure("p50 to alone", median(ratios), "ratio"), Figure("pages", median(pages), "per second")),
        ),
    )
    return [
        searches,
        Table(f"Commits beside anonymous readers, league of {plan.members} on this machine", rows),
    ]


def _row(name: str, results: Sequence[float], more: tuple[Figure, ...]) -> Row:
    figures = (
        Figure("commit p50", quantile(results, 0.5), "seconds"),
        Figure("commit p99", quantile(results, 0.99), "seconds"),
        Figure("commits", len(results), "count"),
    )
    return Row(name, (*figures, *more))
