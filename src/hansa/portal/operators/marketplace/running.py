"""How the marketplace does: what it stores, what runs in the background, who uses how much of it.

/operator/storage     sizes of files and collections, searches without an index, backups
/operator/jobs        import and export jobs, background tasks
/operator/health      what was answered and refused, caches, callers and what they have of this process
"""

from __future__ import annotations

from typing import Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.portal.frame.people import Visit
from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.places import OperatorPage


class FileSize(msgspec.Struct, frozen=True):
    """A file or folder of the marketplace, with what is in it."""

    name: str
    size_bytes: int


class StoredType(msgspec.Struct, frozen=True):
    """Entities of one collection."""

    type: str
    own: int
    others: int


class UnindexedPlace(msgspec.Struct, frozen=True):
    """An attribute by which lists were filtered without an index."""

    type: str
    path: str
    count: int
    """Since the start."""


class StorageState(msgspec.Struct, frozen=True):
    """What is stored."""

    files: tuple[FileSize, ...]
    free_bytes: int
    types: tuple[StoredType, ...]
    unindexed: tuple[UnindexedPlace, ...]
    indexed: tuple[str, ...]
    """Attributes that the operator had indexed."""


class JobRow(msgspec.Struct, frozen=True):
    """An import or export job."""

    id: str
    type: str
    api: str
    status: str
    created: str
    """RFC 3339; empty: it does not say."""
    done: int
    failed: int
    errors: tuple[str, ...]


class TaskRow(msgspec.Struct, frozen=True):
    """A background task."""

    name: str
    is_running: bool
    restarts: int
    problem: str | None
    """What ended it last."""


class AnsweredRow(msgspec.Struct, frozen=True):
    """Requests of one surface with one class of status, since the start."""

    surface: str
    status: str
    count: int
    mean_ms: float


class RefusalRow(msgspec.Struct, frozen=True):
    """What the server refused by itself, since the start."""

    reason: str
    count: int


class CacheRow(msgspec.Struct, frozen=True):
    """A cache."""

    name: str
    entries: int
    hits: int
    misses: int
    ratio: float | None
    """Of hits, in hundredths; None: nothing was looked up."""


class CallerRow(msgspec.Struct, frozen=True):
    """What a caller has of this process now."""

    kind: str
    """`stranger`, `client`, `member` or `operator`."""
    name: str
    """A pseudonym, a DID or the network of an address."""
    requests: int
    streams: int
    work_left: float | None
    """Of what it may have, in hundredths; None: there is no bound."""


class HealthState(msgspec.Struct, frozen=True):
    """How the server does."""

    status: str
    conditions: tuple[tuple[str, str], ...]
    """Code and message of what is not as it should be."""
    uptime_s: float
    in_flight: int
    connections: int
    answered: tuple[AnsweredRow, ...]
    refused: tuple[RefusalRow, ...]
    caches: tuple[CacheRow, ...]
    callers: tuple[CallerRow, ...]
    callers_total: int


class StoragePage(OperatorPage, frozen=True):
    """For the template `operating/storage.html`."""

    state: StorageState


class JobsPage(OperatorPage, frozen=True):
    """For the template `operating/jobs.html`."""

    jobs: tuple[JobRow, ...]
    tasks: tuple[TaskRow, ...]


class HealthPage(OperatorPage, frozen=True):
    """For the template `operating/health.html`."""

    state: HealthState


class RunningReads(Protocol):
    """Knows how the marketplace does."""

    async def storage(self) -> StorageState:
        """What is stored."""

    async def jobs(self) -> tuple[JobRow, ...]:
        """The newest jobs of each kind."""

    def tasks(self) -> tuple[TaskRow, ...]:
        """Background tasks."""

    async def health(self) -> HealthState:
        """How the server does."""


class RunningPages:
    """The handlers.

    Args:
        frame: Of pages for operators.
        reads: Knows how the marketplace does.
    """

    def __init__(self, frame: OperatorFrame, reads: RunningReads) -> None:
        self._frame = frame
        self._reads = reads

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        guarded = self._frame.guarded
        return [
            Route("/operator/storage", guarded(self.storage)),
            Route("/operator/jobs", guarded(self.jobs)),
            Route("/operator/health", guarded(self.health)),
        ]

    async def storage(self, visit: Visit) -> Response:
        """`GET /operator/storage`."""
        page = StoragePage(await self._reads.storage(), places=self._frame.places)
        return self._frame.page(visit, "operating/storage.html", page)

    async def jobs(self, visit: Visit) -> Response:
        """`GET /operator/jobs`."""
        page = JobsPage(await self._reads.jobs(), self._reads.tasks(), places=self._frame.places)
        return self._frame.page(visit, "operating/jobs.html", page)

    async def health(self, visit: Visit) -> Response:
        """`GET /operator/health`."""
        page = HealthPage(await self._reads.health(), places=self._frame.places)
        return self._frame.page(visit, "operating/health.html", page)
