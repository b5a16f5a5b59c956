"""Pages for strangers: front page, hits with facets, offering; each as a ratio to the bare server.

Measured as the API is (`benchmarks.api`): every round stands between two of the baseline. Nothing is
compressed.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from benchmarks.api import Measured, rounds
from benchmarks.load import Job, get
from benchmarks.marketplace import fill
from benchmarks.offerings import identifier, is_public, offering
from benchmarks.plan import Plan
from benchmarks.processes import LoadGenerator, free_port, started
from benchmarks.report import Table
from hansa.core.clock import SystemClock

SAMPLES_MAX: Final = 500
WORDS: Final = ("storage", "cloud", "managed", "data", "service", "virtual", "backup", "region")


def page(path: str) -> bytes:
    """A request as a browser sends it."""
    return get(path).replace(b"application/json", b"text/html", 1)


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """A table for each number of stored offerings."""
    tables = []
    base_port, log = free_port(), folder / "log"
    async with (
        LoadGenerator.running() as load,
        started("benchmarks.fixed", "uvicorn", str(base_port), port=base_port, log=log),
    ):
        base = Job(base_port, (get("/"),), plan.connections, plan.round_s)
        for count in plan.stored:
            stored = folder / f"stored-{count}"
            stored.mkdir()
            await fill(stored, count, SystemClock())
            port = free_port()
            async with started("benchmarks.pages", str(stored), str(port), port=port, log=log):
                rows = await rounds(plan, load, load, base, kinds_of_page(plan, port, count))
            title = f"Pages of one marketplace, {count:,} offerings stored, {plan.connections} connections"
            tables.append(Table(title, tuple(rows)))
    return tables


def kinds_of_page(plan: Plan, port: int, count: int) -> tuple[Measured, ...]:
    """What is measured."""
    draw = random.Random(count)
    numbers = [one for one in range(min(count, 4 * SAMPLES_MAX)) if is_public(offering(one))]
    draw.shuffle(numbers)
    offerings = [f"/offerings/{identifier(one)}" for one in numbers[:SAMPLES_MAX]]
    paths = {
        "front page": ["/"],
        "hits of a word, with facets": [f"/search?q={word}" for word in WORDS],
        "an offering": offerings,
    }
    return tuple(
        Measured(name, Job(port, tuple(map(page, all_of)), plan.connections, plan.round_s))
        for name, all_of in paths.items()
    )
