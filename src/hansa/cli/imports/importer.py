"""Brings entities from JSON Lines into a marketplace; can be interrupted and repeated at any time.

    line ── bad ───────────────────────────────────────────────► refused
      └─ POST ── 201 ──────────────────────────────────────────► created
           ├─ 409 ── GET, compare ── the same ─────────────────► unchanged
           │           └─ different ── PATCH ── 200 ───────────► changed
           ├─ 409, read-only-replica ──────────────────────────► refused: another member's
           ├─ 429, 503, no answer ── wait, the same again; at once, or `patience_s` after the last answer, the import stops
           ├─ 401, 403 ── the import stops: every other line would meet the same
           └─ any other ───────────────────────────────────────► refused, with the marketplace's reason

A request that was lost on its way may have been carried out; the next attempt meets 409 and finds nothing to change.
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
from hansa.cli.imports.lines import BadLine, EntityLine, read_lines
from hansa.cli.imports.pace import WIDTH_MAX, ImportPace, Patience
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable

PATIENCE_S: Final = 30.0
BAD_LINES_KEPT_MAX: Final = 1000
SERVER_FAULTS_MAX: Final = 3
"""Attempts at one line that the marketplace answers with a fault of its own (500)."""
REPLICA: Final = "another member's entity; it can be changed at its origin only"


@unique
class Outcome(StrEnum):
    """What became of a line."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class ImportReport(msgspec.Struct):
    """How far an import has come; filled while it runs."""

    url: str
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    bad: list[BadLine] = []
    """The first lines that were refused."""
    is_complete: bool = False

    @property
    def lines(self) -> int:
        """Lines that are done."""
        return self.created + self.changed + self.unchanged + self.refused

    def note(self, outcome: Outcome) -> None:
        """Count a line."""
        setattr(self, outcome.value, getattr(self, outcome.value) + 1)


class Importer:
    """Imports lines; `on_bad` and `on_done` hear of each line that was refused, and of each that is done."""

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
        self._pace = ImportPace(clock)
        self._patience = Patience(clock, patience_s)
        self._on_bad = on_bad
        self._on_done = on_done
        self.report = ImportReport(client.url)

    async def run(self, files: Sequence[Path]) -> ImportReport:
        """Import all lines.

        Raises:
            HansaError: when it cannot go on; the report says how far it came.
        """
        lines = read_lines(files)
        failure: HansaError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WIDTH_MAX):
                    group.create_task(self._work(lines))
        except* HansaError as errors:
            failure = _first(errors)
        if failure is not None:
            raise failure
        self.report.is_complete = True
        return self.report

    async def _work(self, lines: Iterator[EntityLine | BadLine]) -> None:
        for line in lines:
            self._note(line if isinstance(line, BadLine) else await self._import(line))

    def _note(self, result: Outcome | BadLine) -> None:
        if isinstance(result, BadLine):
            if len(self.report.bad) < BAD_LINES_KEPT_MAX:
                self.report.bad.append(result)
            self._on_bad(result)
            result = Outcome.REFUSED
        self.report.note(result)
        self._on_done()

    async def _import(self, line: EntityLine) -> Outcome | BadLine:
        try:
            base, path = self._path(line)
        except HansaError as error:
            return _bad(line, error.message, str(error.code))
        answer = await self._send("POST", base + path, msgspec.json.encode(line.body))
        if answer.status < 300:
            return Outcome.CREATED
        code, reason = reason_of(answer)
        if code == Code.READ_ONLY_REPLICA:
            return _bad(line, REPLICA, code)
        if answer.status != 409:
            return _bad(line, reason, code)
        return await self._reconcile(line, f"{base}{path}/{quote(line.id, safe=':')}", reason)

    def _path(self, line: EntityLine) -> tuple[str, str]:
        """Where entities of that type are served; a type of the provider's own by the type that it extends."""
        base_type = line.body.get("@baseType")
        if line.type not in self._models.types and base_type in self._models.types:
            return self._models.path_of(str(base_type))
        return self._models.path_of(line.type)

    async def _reconcile(self, line: EntityLine, path: str, conflict: str) -> Outcome | BadLine:
        """Make the entity that is there say what the line says."""
        found = await self._send("GET", path)
        standing = found.json()
        if found.status != 200 or not isinstance(standing, dict):
            return _bad(line, conflict, str(Code.CONFLICT))
        try:
            changes = changes_between(self._models, line.type, standing, line.body)
        except Refused as error:
            return _bad(line, error.message, str(error.code))
        if not changes:
            return Outcome.UNCHANGED
        answer = await self._send("PATCH", path, msgspec.json.encode(changes))
        if answer.status < 300:
            return Outcome.CHANGED
        code, reason = reason_of(answer)
        return _bad(line, REPLICA if code == Code.READ_ONLY_REPLICA else reason, code)

    async def _send(self, method: str, path: str, body: bytes | None = None) -> ClientResponse:
        """One request, repeated while the marketplace is overloaded or away."""
        content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
        attempt = 0
        while True:
            try:
                async with self._pace.turn():
                    answer = await self._client.request(method, path, body=body, content_type=content_type)
            except Unavailable as error:
                await self._patience.wait(attempt, error)
            else:
                if answer.status in {401, 403}:
                    raise refusal(answer, self._client.url)
                if answer.status in {429, 503}:
                    self._pace.slowed(retry_after_s(answer))
                    await self._patience.wait(attempt, refusal(answer, self._client.url), is_there=True)
                elif answer.status < 500 or attempt + 1 >= SERVER_FAULTS_MAX:
                    self._pace.eased()
                    self._patience.relieved()
                    return answer
            attempt += 1


def summary(report: ImportReport) -> str:
    """An import in one line."""
    parts = [
        f"{getattr(report, outcome.value):,} {word}"
        for outcome, word in (
            (Outcome.CREATED, "created"),
            (Outcome.CHANGED, "changed"),
            (Outcome.UNCHANGED, "there already"),
            (Outcome.REFUSED, "refused"),
        )
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
