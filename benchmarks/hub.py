"""Creates at a marketplace with very many hub listeners, half of them dead, as a ratio to one without any.

The two are measured alternately, each round with listeners between two without; the one that is not measured
is stopped, since it would deliver at full speed as soon as nobody writes. All listeners are registered for
every create. The living ones are a server that responds at once; nothing listens at the port of the dead
ones.
"""

from __future__ import annotations

import os
import signal
import uuid
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.figures import median
from benchmarks.load import Job, Result, post
from benchmarks.marketplace import STORE, fill
from benchmarks.offerings import PATH, offering
from benchmarks.plan import Plan
from benchmarks.processes import LoadGenerator, free_port, started
from benchmarks.report import Figure, Row, Table
from hansa.business.index_plan import index_plan
from hansa.business.models import load
from hansa.core.clock import Clock, SystemClock
from hansa.core.limits import Limits
from hansa.store.sqlite.store import SqliteStore
from hansa.store.tables import subscriptions

API: Final = "TMF620"
QUERY: Final = "eventType=productOfferingCreateEvent"


async def register(folder: Path, living: list[str], dead: list[str], clock: Clock) -> None:
    """Register listeners, living and dead ones alternately."""
    store = await SqliteStore.open(
        folder / STORE, clock, Limits(), synchronous="normal", plan=index_plan(load())
    )
    async with store.transaction() as tx:
        for callbacks in zip(living, dead, strict=True):
            for callback in callbacks:
                await subscriptions.add(
                    tx,
                    id=str(uuid.uuid5(uuid.NAMESPACE_URL, callback)),
                    api=API,
                    callback=callback,
                    query=QUERY,
                    subscriber="benchmark",
                )
    await store.close()


async def delivered(folder: Path, clock: Clock) -> tuple[int, int]:
    """Events delivered so far, and listeners that failed."""
    store = await SqliteStore.open(folder / STORE, clock, Limits(), plan=index_plan(load()))
    ((delivered_count, failing),) = await store.sql.fetch(
        "SELECT sum(delivered), sum(failures > 0) FROM subscription"
    )
    await store.close()
    return int(delivered_count), int(failing)


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """A table with one row."""
    clock, log, half = SystemClock(), folder / "log", plan.listeners // 2
    listener_port, dead_port = free_port(), free_port()
    with_listeners, without = folder / "with", folder / "without"
    jobs: dict[Path, Job] = {}
    for marketplace in (with_listeners, without):
        marketplace.mkdir()
        seeded = await fill(marketplace, plan.stored[0], clock)
        requests = tuple(post(PATH, msgspec.json.encode(offering(n)), seeded.token) for n in range(2000))
        jobs[marketplace] = Job(free_port(), requests, plan.connections, plan.round_s, 201)
    await register(
        with_listeners,
        [f"http://127.0.0.1:{listener_port}/{n}" for n in range(half)],
        [f"http://127.0.0.1:{dead_port}/{n}" for n in range(half)],
        clock,
    )
    async with (
        LoadGenerator.running() as generator,
        started("benchmarks.fixed", "uvicorn", str(listener_port), port=listener_port, log=log),
        _marketplace(with_listeners, jobs[with_listeners], log) as process,
        _marketplace(without, jobs[without], log),
    ):
        results: list[Result] = []
        bases: list[Result] = []
        for _ in range(plan.rounds):
            os.kill(process, signal.SIGSTOP)
            bases.append(await _round(generator, jobs[without]))
            os.kill(process, signal.SIGCONT)
            results.append(await _round(generator, jobs[with_listeners]))
        os.kill(process, signal.SIGSTOP)
        bases.append(await _round(generator, jobs[without]))
        os.kill(process, signal.SIGCONT)
    delivered_count, failing = await delivered(with_listeners, clock)
    ratios = [
        2 * result.rate / (before.rate + after.rate)
        for result, before, after in zip(results, bases[:-1], bases[1:], strict=True)
    ]
    row = Row(
        f"durable create, {plan.listeners:,} listeners",
        (
            Figure("ratio", median(ratios), "ratio"),
            Figure("requests", median([result.rate for result in results]), "per second"),
            Figure("p99", median([result.p99_s for result in results]), "seconds"),
            Figure("without", median([result.rate for result in bases]), "per second"),
            Figure("its p99", median([result.p99_s for result in bases]), "seconds"),
            Figure("delivered", delivered_count, "count"),
            Figure("failing", failing, "count"),
        ),
    )
    return [Table(f"Hub, half of the listeners dead, {plan.connections} connections", (row,))]


async def _round(generator: LoadGenerator, job: Job) -> Result:
    """One round, after a short one that is not counted."""
    await generator.run(msgspec.structs.replace(job, seconds=job.seconds / 3))
    return await generator.run(job)


def _marketplace(folder: Path, job: Job, log: Path) -> AbstractAsyncContextManager[int]:
    return started("benchmarks.marketplace", str(folder), str(job.port), "hub", port=job.port, log=log)
