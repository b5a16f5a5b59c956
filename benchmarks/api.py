"""The TM Forum API of one marketplace: get, filtered list and create, each as a ratio to the bare server.

Every measured round stands between two rounds of the baseline, and its ratio is to the mean of these two;
what is printed is the median of the rounds' ratios. So a machine that slows down for a minute does not change
the result. Reading is measured first, because creating makes the store larger.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from benchmarks.figures import median, milliseconds
from benchmarks.load import Job, Result, delete, get, patch, post
from benchmarks.marketplace import fill
from benchmarks.offerings import PATH, Seeded, filters, identifier, offering
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError, LoadGenerator, free_port, started
from benchmarks.report import Figure, Row, Table
from hansa.core.clock import SystemClock

SAMPLES_MAX: Final = 2000
MORE_THAN_CACHED: Final = 30_000
"""More entities than the caches of the store hold."""
PAGE: Final = 20
WRITERS: Final = 4
"""Connections that create while lists are measured."""
BESIDE_WRITERS: Final = (
    "lifecycleStatus",
    "lifecycleStatus and relatedParty.id",
    "lifecycleStatus and relatedParty.id, sorted",
)
PATCHES_OF_EACH: Final = 4
"""Different patches of an offering, which follow each other: each one changes something."""
CONFIRMED_WRITES: Final = 50
CONFIRMED_WRITE_BYTES: Final = 4096
DELETED_IN_ROUND: Final = 1000
"""Offerings that are deleted in a round, at most."""


class Measured(msgspec.Struct, frozen=True):
    """One kind of request."""

    name: str
    job: Job
    later: tuple[Job, ...] = ()
    """Of the rounds, where each needs requests of its own; the first one warms up then."""
    writing: Job | None = None
    """What others write meanwhile; not while the baseline is measured."""

    def of_round(self, number: int) -> Job:
        """The job of a round, numbered from 0."""
        return self.later[number] if self.later else self.job


async def rounds(
    plan: Plan, load: LoadGenerator, writers: LoadGenerator, base: Job, kinds: Sequence[Measured]
) -> list[Row]:
    """Measure kinds of request alternately, each between two rounds of the baseline."""
    ratios: dict[str, list[float]] = {kind.name: [] for kind in kinds}
    results: dict[str, list[Result]] = {kind.name: [] for kind in kinds}
    for job in (base, *(kind.job for kind in kinds)):
        await load.run(msgspec.structs.replace(job, seconds=plan.round_s / 3))  # warm-up
    bases = [await load.run(base)]
    for number in range(plan.rounds):
        for kind in kinds:
            writing = asyncio.create_task(writers.run(kind.writing)) if kind.writing is not None else None
            result = await load.run(kind.of_round(number))
            if writing is not None:
                await writing
            bases.append(await load.run(base))
            ratios[kind.name].append(2 * result.rate / (bases[-2].rate + bases[-1].rate))
            results[kind.name].append(result)
    return [
        Row(
            kind.name,
            (
                Figure("ratio", median(ratios[kind.name]), "ratio"),
                Figure("requests", median([r.rate for r in results[kind.name]]), "per second"),
                Figure("p50", median([r.p50_s for r in results[kind.name]]), "seconds"),
                Figure("p99", median([r.p99_s for r in results[kind.name]]), "seconds"),
                Figure("baseline", median([r.rate for r in bases]), "per second"),
                Figure("its p99", median([r.p99_s for r in bases]), "seconds"),
            ),
        )
        for kind in kinds
    ]


def list_of(attribute: str) -> str:
    """The address of a list of 20, filtered by an attribute."""
    return f"{PATH}?{filters()[attribute].query}&limit={PAGE}"


def check_responses(port: int, seeded: Seeded) -> None:
    """Check what will be measured: one entity, and the page and exact total of each list.

    Raises:
        BenchmarkError: when a response is wrong.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {seeded.token}"}
    connection.request("GET", f"{PATH}/{quote(identifier(0))}", headers=headers)
    response = connection.getresponse()
    entity = msgspec.json.decode(response.read())
    if response.status != 200 or entity["id"] != identifier(0):
        raise BenchmarkError(f"An offering is not what was stored: {response.status} {entity}.")
    for attribute, total in seeded.matches.items():
        connection.request("GET", list_of(attribute), headers=headers)
        page = connection.getresponse()
        entities = msgspec.json.decode(page.read())
        right = (
            page.status == list_status(total)
            and len(entities) == min(PAGE, total)
            and page.headers["X-Total-Count"] == str(total)
            and all(map(filters()[attribute].matches, entities))
        )
        if not right:
            raise BenchmarkError(
                f"The list by {attribute} is not what was stored: {page.status}, {len(entities)} of "
                f"{page.headers['X-Total-Count']}, stored {total}."
            )
    connection.close()


def list_status(total: int) -> int:
    """The status of a page of 20."""
    return 206 if total > PAGE else 200


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """A table for each number of stored offerings, and one for the disk."""
    tables: list[Table] = []
    disk: list[Row] = []
    base_port = free_port()
    log = folder / "log"
    async with (
        LoadGenerator.running() as load,
        LoadGenerator.running() as writers,
        started("benchmarks.fixed", "uvicorn", str(base_port), port=base_port, log=log),
    ):
        ceiling = await ceiling_of(load, plan, log)
        base = Job(base_port, (get("/"),), plan.connections, plan.round_s)
        for count in plan.stored:
            store_folder = folder / f"stored-{count}"
            store_folder.mkdir()
            seeded = await fill(store_folder, count, SystemClock())
            disk.append(disk_row(seeded))
            port = free_port()
            async with started("benchmarks.marketplace", str(store_folder), str(port), port=port, log=log):
                check_responses(port, seeded)
                rows = [
                    row
                    for kinds in kinds_of_request(plan, port, seeded)
                    for row in await rounds(plan, load, writers, base, kinds)
                ]
            tables.append(
                Table(
                    f"API of one marketplace, {count:,} offerings stored, {plan.connections} connections",
                    tuple(rows),
                )
            )
    notes = (
        f"The load generator alone makes {ceiling:,.0f} requests/s; a figure near that is a bound, not a result.",
        f"This disk confirms a write in {milliseconds(confirmed_write_s(folder))}: what is durable waits for it.",
    )
    tables[-1] = msgspec.structs.replace(tables[-1], notes=notes)
    return [*tables, Table("Disk", tuple(disk))]


def kinds_of_request(plan: Plan, port: int, seeded: Seeded) -> tuple[list[Measured], ...]:
    """What is measured: reading, reading beside writers, and writing."""
    draw = random.Random(seeded.stored)

    def gets(many: int) -> tuple[bytes, ...]:
        numbers = (draw.randrange(seeded.stored) for _ in range(min(many, seeded.stored)))
        return tuple(get(f"{PATH}/{identifier(number)}", seeded.token) for number in numbers)

    launched = seeded.matches["lifecycleStatus"]
    offsets = range(max(1, min(SAMPLES_MAX, launched - PAGE)))
    pages = tuple(get(f"{list_of('lifecycleStatus')}&offset={offset}", seeded.token) for offset in offsets)
    creates = tuple(
        post(PATH, msgspec.json.encode(offering(seeded.stored + number)), seeded.token)
        for number in range(SAMPLES_MAX)
    )

    def measured(name: str, requests: tuple[bytes, ...], status: int) -> Measured:
        return Measured(name, Job(port, requests, plan.connections, plan.round_s, status))

    reading = [
        measured("get by id", gets(SAMPLES_MAX), 200),
        measured("get by id, more than are cached", gets(MORE_THAN_CACHED), 200),
    ]
    reading += [
        measured(f"20 by {attribute}, total", (get(list_of(attribute), seeded.token),), list_status(total))
        for attribute, total in seeded.matches.items()
    ]
    reading.append(measured("20 by status, each another page", pages, list_status(launched)))
    writing = Job(port, creates, WRITERS, plan.round_s, 201)
    beside = [
        Measured(
            f"20 by {attribute}, beside {WRITERS} writers",
            Job(port, (get(list_of(attribute), seeded.token),), plan.connections, plan.round_s, 206),
            writing=writing,
        )
        for attribute in BESIDE_WRITERS
        if seeded.matches[attribute] > PAGE
    ]
    patches = tuple(
        patch(f"{PATH}/{identifier(number)}", b'{"description":"%d"}' % draw.getrandbits(32), seeded.token)
        for _ in range(PATCHES_OF_EACH)
        for number in range(min(SAMPLES_MAX, seeded.stored // 2))
    )
    return (
        reading,
        beside,
        [
            measured("durable create", creates, 201),
            measured("durable patch", patches, 200),
            _deletes(plan, port, seeded),
        ],
    )


def _deletes(plan: Plan, port: int, seeded: Seeded) -> Measured:
    """Deletions of stored offerings, each once: the last ones, some in each round."""
    count = min(DELETED_IN_ROUND, seeded.stored // 2 // (plan.rounds + 1))
    jobs = []
    for number in range(plan.rounds + 1):
        first = seeded.stored - (number + 1) * count
        requests = tuple(delete(f"{PATH}/{identifier(first + n)}", seeded.token) for n in range(count))
        jobs.append(Job(port, requests, plan.connections, plan.round_s, 204, count))
    return Measured("durable delete", jobs[0], later=tuple(jobs[1:]))


async def ceiling_of(load: LoadGenerator, plan: Plan, log: Path) -> float:
    """Requests a second of the generator against a server that does nothing."""
    port = free_port()
    async with started("benchmarks.fixed", "raw", str(port), port=port, log=log):
        result = await load.run(Job(port, (get("/"),), plan.connections, plan.round_s))
    return result.rate


def confirmed_write_s(folder: Path) -> float:
    """How long a small write takes until the disk has confirmed it; the median, in seconds."""
    clock, durations_s = SystemClock(), []
    with (folder / "confirmed").open("wb", buffering=0) as file:
        for _ in range(CONFIRMED_WRITES):
            began_s = clock.monotonic()
            file.write(bytes(CONFIRMED_WRITE_BYTES))
            os.fsync(file.fileno())
            durations_s.append(clock.monotonic() - began_s)
    return median(durations_s)


def disk_row(seeded: Seeded) -> Row:
    """Disk space of an entity, with its part of the indexes and its row of the feed."""
    return Row(
        f"{seeded.stored:,} offerings",
        (
            Figure("store", seeded.disk_bytes, "bytes"),
            Figure("an entity", seeded.disk_bytes / seeded.stored, "bytes"),
            Figure("its JSON", seeded.body_bytes / seeded.stored, "bytes"),
        ),
    )
