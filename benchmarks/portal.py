"""Pages for strangers: front page, hits with facets, offering; each as a ratio to the bare server.

Measured as the API is (`benchmarks.api`): every round stands between two of the baseline. Nothing is
compressed. A few pages that are viewed again and again are there already; so hits and offerings are measured
once more with so many different pages that each is made when it is requested.

Then the API beside the pages: how much longer its requests take while a few strangers view pages, at most
500 a second, or without a pause. Each round beside them stands between two without them.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Final

from benchmarks.api import Measured, list_of, list_status, rounds
from benchmarks.figures import median
from benchmarks.load import Job, Result, get
from benchmarks.marketplace import fill
from benchmarks.offerings import PATH, Seeded, identifier, is_public, offering
from benchmarks.plan import Plan
from benchmarks.processes import LoadGenerator, free_port, started
from benchmarks.report import Figure, Row, Table
from hansa.core.clock import SystemClock

SAMPLES_MAX: Final = 500
MADE_MAX: Final = 20_000
"""Offerings of which each is viewed once, in turn: more than any cache of pages has."""
PAGES_OF_HITS: Final = 50
"""Of each word: too many, with all words, for one to be there when its turn comes again."""
VIEWERS: Final = 4
"""Connections that view pages while the API is measured."""
VIEWS_PER_S: Final = 500
"""Of all viewers together, at most."""
WORDS: Final = ("object", "block", "managed", "archive", "network", "ledger", "backup", "region")
"""Each is in many offerings (`benchmarks.offerings`)."""


def page(path: str) -> bytes:
    """A request as a browser sends it."""
    return get(path).replace(b"application/json", b"text/html", 1)


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """A table for each number of stored offerings."""
    tables = []
    base_port, log = free_port(), folder / "log"
    async with (
        LoadGenerator.running() as load,
        LoadGenerator.running() as viewers,
        started("benchmarks.fixed", "uvicorn", str(base_port), port=base_port, log=log),
    ):
        base = Job(base_port, (get("/"),), plan.connections, plan.round_s)
        for count in plan.stored:
            stored = folder / f"stored-{count}"
            stored.mkdir()
            seeded = await fill(stored, count, SystemClock())
            port = free_port()
            async with started("benchmarks.pages", str(stored), str(port), port=port, log=log):
                kinds = kinds_of_page(plan, port, count)
                rows = await rounds(plan, load, load, base, kinds)
                beside = await rows_beside(plan, load, viewers, kinds, port, seeded)
            title = f"Pages of one marketplace, {count:,} offerings stored, {plan.connections} connections"
            tables.append(Table(title, tuple(rows)))
            title = f"Its API beside {VIEWERS} viewers of pages, {plan.connections} connections"
            tables.append(Table(title, beside))
    return tables


async def rows_beside(
    plan: Plan,
    load: LoadGenerator,
    viewers: LoadGenerator,
    kinds: tuple[Measured, ...],
    port: int,
    seeded: Seeded,
) -> tuple[Row, ...]:
    """The API's requests alone, and beside viewers of all kinds of page in turn."""
    pages = tuple(one for kind in kinds for one in kind.job.requests)
    numbers = range(min(SAMPLES_MAX, seeded.stored))
    gets = tuple(get(f"{PATH}/{identifier(one)}", seeded.token) for one in numbers)
    by_status = (get(list_of("lifecycleStatus"), seeded.token),)
    status = list_status(seeded.matches["lifecycleStatus"])
    jobs = {
        "get by id": Job(port, gets, plan.connections, plan.round_s),
        "20 by lifecycleStatus, total": Job(port, by_status, plan.connections, plan.round_s, status),
    }
    pauses = {f"{VIEWS_PER_S} views/s": VIEWERS / VIEWS_PER_S, "views without a pause": 0.0}
    rows = []
    for views, pause_s in pauses.items():
        viewing = Job(port, pages, VIEWERS, plan.round_s, pause_s=pause_s)
        for name, job in jobs.items():
            rows.append(await row_beside(plan, load, viewers, f"{name}, beside {views}", job, viewing))
    return tuple(rows)


async def row_beside(
    plan: Plan, load: LoadGenerator, viewers: LoadGenerator, name: str, job: Job, views: Job
) -> Row:
    """One kind of request, alone and beside viewers, in turn."""
    alone = [await load.run(job)]
    beside: list[Result] = []
    viewed: list[Result] = []
    ratios: list[float] = []
    for _ in range(plan.rounds):
        result, pages = await asyncio.gather(load.run(job), viewers.run(views))
        beside.append(result)
        viewed.append(pages)
        alone.append(await load.run(job))
        ratios.append(2 * result.p99_s / (alone[-2].p99_s + alone[-1].p99_s))
    return Row(
        name,
        (
            Figure("p99 to alone", median(ratios), "ratio"),
            Figure("p99", median([one.p99_s for one in beside]), "seconds"),
            Figure("p99 alone", median([one.p99_s for one in alone]), "seconds"),
            Figure("requests", median([one.rate for one in beside]), "per second"),
            Figure("their rate alone", median([one.rate for one in alone]), "per second"),
            Figure("pages", median([one.rate for one in viewed]), "per second"),
        ),
    )


def kinds_of_page(plan: Plan, port: int, count: int) -> tuple[Measured, ...]:
    """What is measured."""
    draw = random.Random(count)
    numbers = [one for one in range(min(count, 4 * SAMPLES_MAX)) if is_public(offering(one))]
    draw.shuffle(numbers)
    offerings = [f"/offerings/{identifier(one)}" for one in numbers[:SAMPLES_MAX]]
    others = [one for one in range(4 * SAMPLES_MAX, min(count, MADE_MAX)) if is_public(offering(one))]
    pages_of_hits = [
        f"/search?q={word}&limit=20&offset={20 * number}" for number in range(PAGES_OF_HITS) for word in WORDS
    ]
    paths = {
        "front page": ["/"],
        "hits of a word, with facets": [f"/search?q={word}" for word in WORDS],
        "hits, each page made": pages_of_hits,
        "an offering": offerings,
        "an offering, each page made": [f"/offerings/{identifier(one)}" for one in others] or offerings,
    }
    return tuple(
        Measured(name, Job(port, tuple(map(page, all_of)), plan.connections, plan.round_s))
        for name, all_of in paths.items()
    )
