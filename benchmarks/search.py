"""The search over very many offerings, and what its index costs those who create.

Offerings are those of the CNCF landscape where a folder `shared` stands beside the checkout, else drawn
words; each is repeated with other words in name and description, prices, places and origins. Queries have one
to three words, drawn as often as offerings have them. What is measured is a whole search: parsing, the index,
facets, reading the hits, highlights; without HTTP.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import msgspec

from benchmarks.figures import median, quantile
from benchmarks.load import Job, Result, post
from benchmarks.marketplace import DID, PUTS_IN_TRANSACTION, SEARCH_INDEX, STORE, fill
from benchmarks.offerings import PATH, TYPE, WORDS, offering
from benchmarks.plan import Plan
from benchmarks.processes import LoadGenerator, free_port, started
from benchmarks.report import Figure, Row, Table
from hansa.business.context import Context
from hansa.business.models import load
from hansa.business.rules import Rules
from hansa.business.search.answering import Search
from hansa.business.search.indexing import IndexFollower
from hansa.business.search.making import DocumentMaker
from hansa.business.search.results import SearchRequest
from hansa.core.access import ANONYMOUS
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import SystemClock
from hansa.core.keys import SigningKey
from hansa.core.limits import Limits
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.identity import TokenAuthenticate
from hansa.node.http.server import tune_interpreter
from hansa.store import EntityDraft
from hansa.store.sqlite.search.index import SqliteSearchIndex
from hansa.store.sqlite.store import SqliteStore

LANDSCAPE: Final = Path(__file__).parents[1].parent / "shared" / "data" / "landscape"
SIZES: Final = ("S", "M", "L", "XL", "Pro", "Basic")
PLACES: Final = ("DE", "ES", "FR", "IT", "NL", "NO")
AMOUNTS: Final = (0, 5, 20, 99, 500, 2000)
ORIGINS: Final = (None, "did:web:one.example", "did:web:two.example", "did:web:three.example")


def sample() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Different offerings, and what they refer to."""
    if not LANDSCAPE.is_dir():
        return [{**offering(number), "@type": TYPE} for number in range(2_000)], []
    paths = sorted(LANDSCAPE.glob("*.jsonl"))
    entities = [msgspec.json.decode(line) for path in paths for line in path.read_bytes().splitlines()]
    return [one for one in entities if one["@type"] == TYPE], [
        one for one in entities if one["@type"] != TYPE
    ]


def varied(offerings: Sequence[dict[str, Any]], count: int) -> Iterator[tuple[dict[str, Any], str | None]]:
    """So many offerings, each with its origin."""
    drawn = random.Random(1)
    words = sorted(
        {word for one in offerings for word in one.get("description", "").split() if word.isalpha()}
    )
    for number in range(count):
        one = offerings[number % len(offerings)]
        price = {"unit": "EUR", "value": drawn.choice(AMOUNTS)}
        yield (
            {
                **one,
                "id": f"urn:ngsi-ld:product-offering:{number:032x}",
                "name": f"{one['name']} {drawn.choice(words or WORDS)} {drawn.choice(SIZES)}",
                "description": " ".join((one.get("description", ""), *drawn.choices(words or WORDS, k=6))),
                "lifecycleStatus": "Launched",
                "productOfferingPrice": [
                    {
                        "priceType": drawn.choice(("recurring", "oneTime", "usage")),
                        "price": {"taxIncludedAmount": price},
                    }
                ],
                "place": [{"id": "place", "name": drawn.choice(PLACES)}],
            },
            drawn.choice(ORIGINS),
        )


def frequencies(offerings: Sequence[dict[str, Any]]) -> Counter[str]:
    """How many times the offerings have each word."""
    texts = (f"{one['name']} {one.get('description', '')}" for one in offerings)
    return Counter(word for text in texts for word in text.lower().split() if word.isalpha())


async def filled(path: Path, plan: Plan, clock: SystemClock) -> SqliteStore:
    """A store with the offerings."""
    store = await SqliteStore.open(path, clock, Limits(), synchronous="normal")
    offerings, others = sample()
    entities = iter([*((one, None) for one in others), *varied(offerings, plan.searched_offerings)])
    while batch := list(islice(entities, PUTS_IN_TRANSACTION)):
        async with store.transaction() as tx:
            for fields, origin in batch:
                body = canonical_json(fields)
                await tx.put(
                    EntityDraft(
                        fields["id"], fields["@type"], body, hashlink(body), public=True, origin=origin
                    )
                )
    return store


async def searching(plan: Plan, folder: Path) -> list[Table]:
    """How long searches take, and building the index."""
    clock, limits, models = SystemClock(), Limits(), load()
    store = await filled(folder / STORE, plan, clock)
    index = SqliteSearchIndex(folder / SEARCH_INDEX, clock, 60.0)
    follower = IndexFollower(store, index, DocumentMaker(store, models), clock)
    started_s = perf_counter()
    await follower.catch_up()
    built_s = perf_counter() - started_s
    authenticate = TokenAuthenticate(SigningKey.generate().verifying_key(), DID, clock, 3600.0)
    identifiers = OwnIdentifiers(DID, os.urandom, has_ledger=False)
    context = Context(
        *(store, models, authenticate, clock, os.urandom, limits, "http://market.example"),
        *(Rules(models), identifiers),
    )
    search = Search(context, index, follower.unindexed)
    tune_interpreter()  # as `hansa serve` does
    words = frequencies(sample()[0])
    drawn = random.Random(2)
    queries = [
        " ".join(drawn.choices(list(words), list(words.values()), k=drawn.choice((1, 1, 2, 2, 3))))
        for _ in range(plan.searches)
    ]
    kinds = {
        "queries drawn by frequency": queries,
        "frequent words": [word for word, _ in words.most_common(plan.searched_words)],
        "mistyped words": [
            word[:2] + word[3:] for word, _ in words.most_common(plan.searched_words) if len(word) > 5
        ],
        "beginnings of two letters": sorted({word[:2] + "*" for word in words})[: plan.searched_words],
    }
    rows = [await _timed(search, name, texts) for name, texts in kinds.items()]
    count = await index.count()
    size_bytes = sum(file.stat().st_size for file in folder.glob(f"{SEARCH_INDEX}*"))
    building = Row(
        f"{count:,} documents",
        (
            Figure("indexed", count / built_s, "per second"),
            Figure("index", size_bytes, "bytes"),
            Figure("a document", size_bytes / count, "bytes"),
        ),
    )
    await index.close()
    await store.close()
    title = f"Search over {plan.searched_offerings:,} offerings, with facets, one after the other"
    return [Table(title, tuple(rows)), Table("Building the index, with nothing else to do", (building,))]


async def _timed(search: Search, name: str, texts: Sequence[str]) -> Row:
    """A row of how long searches for some texts take."""
    for text in texts[: len(texts) // 10 + 1]:
        await search.page(ANONYMOUS, SearchRequest(text))
    times: list[float] = []
    totals: list[int] = []
    for text in texts:
        started_s = perf_counter()
        page = await search.page(ANONYMOUS, SearchRequest(text))
        times.append(perf_counter() - started_s)
        totals.append(page.total)
    return Row(
        name,
        (
            Figure("p50", median(times), "seconds"),
            Figure("p99", quantile(times, 0.99), "seconds"),
            Figure("hits p50", median([float(total) for total in totals]), "count"),
            Figure("searches", len(texts), "count"),
        ),
    )


async def creating(plan: Plan, folder: Path) -> Table:
    """Creates at a marketplace whose index follows, each round between two at one without an index."""
    clock, log = SystemClock(), folder / "log"
    jobs: dict[str, Job] = {}
    for name in ("with", "without"):
        (folder / name).mkdir()
        seeded = await fill(folder / name, plan.stored[0], clock)
        requests = tuple(post(PATH, msgspec.json.encode(offering(n)), seeded.token) for n in range(2000))
        jobs[name] = Job(free_port(), requests, plan.connections, plan.round_s, 201)
    results: list[Result] = []
    bases: list[Result] = []

    async with (
        LoadGenerator.running() as generator,
        started(
            "benchmarks.marketplace",
            str(folder / "with"),
            str(jobs["with"].port),
            "search",
            port=jobs["with"].port,
            log=log,
        ) as process,
        started(
            "benchmarks.marketplace",
            str(folder / "without"),
            str(jobs["without"].port),
            port=jobs["without"].port,
            log=log,
        ),
    ):
        for _ in range(plan.rounds):
            os.kill(process, signal.SIGSTOP)  # or it would index at full speed while the other is measured
            bases.append(await _round(generator, jobs["without"]))
            os.kill(process, signal.SIGCONT)
            results.append(await _round(generator, jobs["with"]))
        os.kill(process, signal.SIGSTOP)
        bases.append(await _round(generator, jobs["without"]))
        os.kill(process, signal.SIGCONT)
    ratios = [
        2 * result.rate / (before.rate + after.rate)
        for result, before, after in zip(results, bases[:-1], bases[1:], strict=True)
    ]
    row = Row(
        "durable create, with an index",
        (
            Figure("ratio", median(ratios), "ratio"),
            Figure("requests", median([result.rate for result in results]), "per second"),
            Figure("p99", median([result.p99_s for result in results]), "seconds"),
            Figure("without", median([result.rate for result in bases]), "per second"),
            Figure("its p99", median([result.p99_s for result in bases]), "seconds"),
        ),
    )
    return Table(f"What the index costs creates, {plan.connections} connections", (row,))


async def _round(generator: LoadGenerator, job: Job) -> Result:
    """One round, after a short one that is not counted."""
    await generator.run(msgspec.structs.replace(job, seconds=job.seconds / 3))
    return await generator.run(job)


async def measure(plan: Plan, folder: Path) -> list[Table]:
    """Three tables."""
    return [*await searching(plan, folder), await creating(plan, folder)]
