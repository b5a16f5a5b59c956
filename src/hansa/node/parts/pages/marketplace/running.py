"""What the marketplace stores and runs, and who uses how much of it, as the pages of operators show it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.business.context import Context
from hansa.business.jobs.files import is_job
from hansa.business.models import Api, Resource
from hansa.core.cache import HasFigures
from hansa.node.folder import DECISIONS, JOBS, LEDGER, SEARCH_INDEX, STORE
from hansa.node.folder.disk import free_bytes
from hansa.node.http.callers import Callers
from hansa.node.http.traffic import Traffic
from hansa.node.settings.loading import Settings
from hansa.node.status import StatusReporter
from hansa.node.tasks import BackgroundTasks
from hansa.portal.operators.marketplace.running import (
    AnsweredRow,
    CacheRow,
    CallerRow,
    FileSize,
    HealthState,
    JobRow,
    RefusalRow,
    StorageState,
    StoredType,
    TaskRow,
    UnindexedPlace,
)
from hansa.store import Query
from hansa.store.tables import jobs

JOBS_SHOWN_MAX: Final = 20
"""Of each kind."""
CALLERS_SHOWN_MAX: Final = 50
FILES_COUNTED_MAX: Final = 10_000
PLACES: Final = (STORE, SEARCH_INDEX, LEDGER, JOBS, DECISIONS.parent)


class RunningMarketplace:
    """The `RunningReads` of the pages.

    Args:
        settings: In force.
        context: Has the store and the models.
        reporter: Reports the state.
        tasks: In the background.
        traffic: Counts requests.
        caches: All of them.
        callers: Have accounts.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        reporter: StatusReporter,
        tasks: BackgroundTasks,
        traffic: Traffic,
        caches: Sequence[HasFigures],
        callers: Callers,
    ) -> None:
        self._settings = settings
        self._store = context.store
        self._models = context.models
        self._reporter = reporter
        self._tasks = tasks
        self._traffic = traffic
        self._caches = caches
        self._callers = callers

    async def storage(self) -> StorageState:
        """See `RunningReads`, as for what follows."""
        own: Counter[str] = Counter()
        others: Counter[str] = Counter()
        for one in await self._reporter.entities():
            (own if one.own else others)[one.type] += one.count
        return StorageState(
            files=await asyncio.to_thread(_sizes),
            free_bytes=free_bytes(Path()),
            types=tuple(StoredType(type, own[type], others[type]) for type in sorted({*own, *others})),
            unindexed=tuple(UnindexedPlace(one.type, one.path, one.count) for one in self._reporter.unindexed()),
            indexed=self._settings.indexed_attributes,
        )  # fmt: skip

    async def jobs(self) -> tuple[JobRow, ...]:
        """The newest jobs of each kind."""
        counts: Counter[str] = Counter()
        for (type, _, _), count in (await self._store.counts()).items():
            counts[type] += count
        rows: list[JobRow] = []
        for api in self._models.apis:
            for resource in filter(is_job, api.resources):
                total = counts[resource.collection]
                if total:
                    rows += await self._newest(api, resource, total)
        return tuple(sorted(rows, key=lambda one: one.created, reverse=True))

    async def _newest(self, api: Api, resource: Resource, total: int) -> list[JobRow]:
        first = max(0, total - JOBS_SHOWN_MAX)  # they are in the order in which they were created
        query = Query(resource.collection, offset=first, limit=JOBS_SHOWN_MAX, public_only=False)
        entities = await self._store.entities((await self._store.list(query)).ids)
        return [await self._job(id, resource.type, api.id, one.body) for id, one in entities.items()]

    async def _job(self, id: str, type: str, api: str, body: bytes) -> JobRow:
        fields: dict[str, Any] = msgspec.json.decode(body)
        progress = await jobs.get(self._store, id) or jobs.JobProgress(id)
        status, created = str(fields.get("status", "")), str(fields.get("creationDate", ""))
        return JobRow(id, type, api, status, created, progress.done, progress.failed, progress.errors)

    def tasks(self) -> tuple[TaskRow, ...]:
        """Background tasks."""
        return tuple(
            TaskRow(one.name, one.is_running, one.restarts, one.problem) for one in self._tasks.states
        )

    async def health(self) -> HealthState:
        """How the server does."""
        readiness = await self._reporter.readiness()
        answered = tuple(
            AnsweredRow(surface, status, one.count, round(1000 * one.seconds / one.count, 3))
            for (surface, status), one in sorted(self._traffic.totals().items())
        )
        refused = sorted(self._traffic.refused.items(), key=lambda item: (-item[1], item[0]))
        callers = sorted(self._caller_rows(), key=_use, reverse=True)
        return HealthState(
            status=readiness.status,
            conditions=tuple((str(one.code), one.message) for one in readiness.conditions),
            uptime_s=round(self._reporter.uptime_s),
            in_flight=self._traffic.in_flight,
            connections=self._traffic.connections,
            answered=answered,
            refused=tuple(RefusalRow(str(reason), count) for reason, count in refused if count),
            caches=tuple(map(_cache, self._caches)),
            callers=tuple(callers[:CALLERS_SHOWN_MAX]),
            callers_total=len(callers),
        )

    def _caller_rows(self) -> Iterator[CallerRow]:
        now_s = self._callers.now_s()
        for one in self._callers.accounts():
            left = None
            if one.budget is not None:
                left = round(100 * max(0.0, one.budget.level_s(now_s)) / one.budget.burst_s)
            if left == 100 and not one.requests and not one.streams:
                continue  # it has nothing now: there may be very many of those
            yield CallerRow(one.kind.name.lower(), one.name, one.requests, one.streams, left)


def _use(one: CallerRow) -> tuple[int, float]:
    return one.requests + one.streams, 100.0 - (100.0 if one.work_left is None else one.work_left)


def _cache(one: HasFigures) -> CacheRow:
    figures = one.figures
    lookups = figures.hits + figures.misses
    ratio = round(100 * figures.hits / lookups, 1) if lookups else None
    return CacheRow(figures.name, figures.entries, figures.hits, figures.misses, ratio)


def _sizes() -> tuple[FileSize, ...]:
    return tuple(FileSize(str(path), sum(_bytes_of(path))) for path in PLACES)


def _bytes_of(path: Path) -> Iterator[int]:
    """Sizes of a file with what the database writes beside it, or of what is in a folder."""
    files = path.parent.glob(f"{path.name}*") if not path.is_dir() else path.rglob("*")
    for number, file in enumerate(files):
        if number >= FILES_COUNTED_MAX:
            return
        try:
            yield file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
