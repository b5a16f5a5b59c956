"""Imports entities from JSON Lines into a marketplace; can be interrupted and repeated at any time.

    line ── bad ───────────────────────────────────────────────► refused
      └─ POST ── 201 ──────────────────────────────────────────► created
           ├─ 409 ── GET, compare ── the same ─────────────────► unchanged
           │           └─ different ── PATCH ── 200 ───────────► changed
           ├─ 409, read-only-replica ──────────────────────────► skipped: the entity is another member's
           ├─ 429, 503, no response ── wait and repeat; `patience_s` after the last success, the import stops
           ├─ 401, 403 ── the import stops: every other line would be refused too
           └─ any other ───────────────────────────────────────► refused, with the marketplace's reason

Where the marketplace never responded, the import stops at the first failure. A request whose response was
lost may have been carried out: the repeated one meets 409, and the comparison shows nothing to change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum, unique
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from hansa.business.models import Models
from hansa.cli.client import Client, ClientResponse, reason_of, refusal, retry_after_s
from hansa.cli.imports.comparison import changes_between
from hansa.cli.imports.concurrency import REQUESTS_MAX, ConcurrencyLimit, Patience
from hansa.cli.imports.lines import BadLine, EntityLine, read_lines
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable

PATIENCE_S: Final = 30.0
BAD_LINES_REPORTED_MAX: Final = 1000
SERVER_ERRORS_MAX: Final = 3
"""Attempts at one line whose request fails with a server error (500 and above, but not 503)."""


@unique
class Outcome(StrEnum):
    """What the import of a line did."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    REFUSED = "refused"


class ImportReport(msgspec.Struct):
    """The progress of an import, and its result; filled while it runs."""

    url: str
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    skipped: int = 0
    """Replicas: entities of other members, as the export of a whole catalogue has them."""
    refused: int = 0
    bad: list[BadLine] = []
    """The first lines that were refused."""
    is_complete: bool = False

    @property
    def lines(self) -> int:
        """Lines that are processed."""
        return self.created + self.changed + self.unchanged + self.skipped + self.refused

    def count(self, outcome: Outcome) -> None:
        """Count a line."""
        setattr(self, outcome.value, getattr(self, outcome.value) + 1)


class Importer:
    """Imports lines. Calls `on_bad` with each line that was refused, and `on_done` after each line."""

    def __init__(
        self,
        client: Client,
        models: Models,
        clock: Clock,
        *,
        patience_s: float = PATIENCE_S,
        on_bad: Callable[[BadLine], None] = lambda _: None,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._models = models
        self._concurrency = ConcurrencyLimit(clock)
        self._patience = Patience(clock, patience_s)
        self._on_bad = on_bad
        self._on_done = on_done
        self.report = ImportReport(client.url)

    async def run(self, files: Sequence[Path]) -> ImportReport:
        """Import all lines.

        Raises:
            HansaError: when the import cannot go on; the report holds what was done.
        """
        lines = read_lines(files)
        failure: HansaError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(REQUESTS_MAX):
                    group.create_task(self._work(lines))
        except* HansaError as errors:
            failure = _first(errors)
        if failure is not None:
            raise failure
        self.report.is_complete = True
        return self.report

    async def _work(self, lines: Iterator[EntityLine | BadLine]) -> None:
        for line in lines:
            self._count(line if isinstance(line, BadLine) else await self._import(line))

    def _count(self, result: Outcome | BadLine) -> None:
        if isinstance(result, BadLine):
            if len(self.report.bad) < BAD_LINES_REPORTED_MAX:
                self.report.bad.append(result)
            self._on_bad(result)
            result = Outcome.REFUSED
        self.report.count(result)
        self._on_done()

    async def _import(self, line: EntityLine) -> Outcome | BadLine:
        try:
            base, path = self._path(line)
        except HansaError as error:
            return _bad(line, error.message, str(error.code))
        response = await self._send("POST", base + path, msgspec.json.encode(line.body))
        if response.status < 300:
            return Outcome.CREATED
        code, reason = reason_of(response)
        if code == Code.READ_ONLY_REPLICA:
            return Outcome.SKIPPED
        if response.status != 409 or code == Code.IDENTIFIER_RESERVED:
            return _bad(line, reason, code)
        return await self._reconcile(line, f"{base}{path}/{quote(line.id, safe=':')}", reason)

    def _path(self, line: EntityLine) -> tuple[str, str]:
        """Base path of the API and path of the collection; that of the base type for an extension type."""
        base_type = line.body.get("@baseType")
        if line.type not in self._models.types and base_type in self._models.types:
            return self._models.path_of(str(base_type))
        return self._models.path_of(line.type)

    async def _reconcile(self, line: EntityLine, path: str, conflict: str) -> Outcome | BadLine:
        """Change the existing entity to what the line says."""
        existing = await self._send("GET", path)
        current = existing.json()
        if existing.status != 200 or not isinstance(current, dict):
            return _bad(line, conflict, str(Code.CONFLICT))
        try:
            changes = changes_between(self._models, line.type, current, line.body)
        except Refused as error:
            return _bad(line, error.message, str(error.code))
        if not changes:
            return Outcome.UNCHANGED
        response = await self._send("PATCH", path, msgspec.json.encode(changes))
        if response.status < 300:
            return Outcome.CHANGED
        code, reason = reason_of(response)
        return Outcome.SKIPPED if code == Code.READ_ONLY_REPLICA else _bad(line, reason, code)

    async def _send(self, method: str, path: str, body: bytes | None = None) -> ClientResponse:
        """Send a request, and repeat it while the marketplace is overloaded or does not respond."""
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        attempt = 1
        while True:
            try:
                async with self._concurrency.slot():
                    response = await self._client.request(method, path, body=body, content_type=content_type)
            except Unavailable as error:
                await self._patience.wait(attempt, error)
            else:
                if response.status in {401, 403}:
                    raise refusal(response, self._client.url)
                if response.status in {429, 503}:
                    self._concurrency.on_overload(retry_after_s(response))
                    overload = refusal(response, self._client.url)
                    await self._patience.wait(attempt, overload, has_responded=True)
                elif response.status < 500 or attempt >= SERVER_ERRORS_MAX:
                    self._concurrency.on_success()
                    self._patience.on_success()
                    return response
            attempt += 1


def summary(report: ImportReport) -> str:
    """The result of an import in one line."""
    words = (
        (Outcome.CREATED, "created"),
        (Outcome.CHANGED, "changed"),
        (Outcome.UNCHANGED, "unchanged"),
        (Outcome.SKIPPED, "skipped (replicas)"),
        (Outcome.REFUSED, "refused"),
    )
    parts = [
        f"{getattr(report, outcome.value):,} {word}"
        for outcome, word in words
        if report.skipped or outcome is not Outcome.SKIPPED
    ]
    return f"{report.url}: {', '.join(parts)}"


def _bad(line: EntityLine, reason: str, code: str) -> BadLine:
    return BadLine(line.file, line.number, reason, code or str(Code.INVALID))


def _first(errors: BaseExceptionGroup[Any]) -> HansaError:
    """The first operating error of a group."""
    inner = errors.exceptions[0]
    if isinstance(inner, BaseExceptionGroup):
        return _first(inner)
    assert isinstance(inner, HansaError)
    return inner
