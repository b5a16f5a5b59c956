"""The pages of an import.

/provider/import             a file is sent; then its columns, its report, and one confirmation
/provider/import/mapping     what the columns are
/provider/import/write       writes what the report says
/provider/import/discard     removes file and report
/provider/import/report.csv  the report as a file

A person has one file at a time: another one takes its place. Its rows are checked and written beside the
requests (`page_jobs`); the page shows how far that is, and has the report afterwards.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.access import Caller
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import NO_STORE
from hansa.core.limits import Limits
from hansa.portal.catalogue.fields import NO_FIELDS
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Act, Acts, carry_out
from hansa.portal.frame.people import LOGIN_PAGES, FormFields, People, Person, Role, Visit, page_for, see
from hansa.portal.providers.editing.choosing import OfferedChoices
from hansa.portal.providers.editing.forms.kinds import kind_named
from hansa.portal.providers.editing.importing.page_jobs import RETRY_AFTER_S, Advance, PageJobs, PageProgress
from hansa.portal.providers.editing.importing.planning import COLUMN_FIELDS, ReportRow, RowWriter
from hansa.portal.providers.editing.importing.reading import ImportRow, read_table
from hansa.portal.providers.editing.importing.uploads import uploaded
from hansa.portal.providers.editing.interfaces import EditedEntities
from hansa.portal.providers.editing.wizard import owner_of

PATH: Final = "/provider/import"
SHOWN_MAX: Final = 500
"""Rows of a report that the page shows, those that are refused before the others; the file has all."""
SAMPLES_MAX: Final = 3
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is a formula to a spreadsheet."""


class ImportFile(msgspec.Struct, frozen=True):
    """A file that somebody imports."""

    id: str
    name: str
    kind: str
    """Of the form that its rows are for."""
    state: Literal["mapping", "checked", "writing", "done"]
    columns: tuple[str, ...]
    rows: tuple[ImportRow, ...]
    fields: tuple[str, ...] = ()
    """What the columns are."""
    report: tuple[ReportRow, ...] = ()


class ImportFiles(Protocol):
    """The files, each of one person, who is known by a pseudonym."""

    async def of(self, caller: Caller, /) -> ImportFile | None:
        """The file of a person."""

    async def save(self, caller: Caller, file: ImportFile, /) -> ImportFile:
        """Save a file in place of the one that the person has; one without an identifier gets one.

        Raises:
            Unavailable: `Code.OVERLOADED`, when there are too many.
        """

    async def discard(self, caller: Caller, /) -> None:
        """Remove the file of a person."""


class MappedColumn(msgspec.Struct, frozen=True):
    """A column of a file, and which field it probably is."""

    number: int
    title: str
    samples: tuple[str, ...]
    field: str


class ImportPage(msgspec.Struct, frozen=True):
    """For the template `editing/import.html`."""

    state: Literal["none", "mapping", "checked", "writing", "done"]
    """`writing` without progress: that was interrupted, and goes on when it is confirmed again."""
    file: str
    """Its identifier."""
    name: str
    kind: str
    columns: tuple[MappedColumn, ...]
    fields: tuple[str, ...]
    """That a column can be."""
    report: tuple[ReportRow, ...]
    """The first rows of it."""
    rows: int
    good: int
    """Rows that are, or will be, written."""
    refused: int
    size_max_bytes: int
    rows_max: int
    progress: PageProgress | None
    """Of what is being checked or written, or has failed."""
    person: Person


class ImportPages:
    """Handlers of these paths.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        entities: The entities.
        files: Those that are being imported.
        choices: What an offering can refer to.
        acts: Records what is done.
        jobs: Carries out what takes long.
        clock: Lets others in.
        limits: `import_…`.
    """

    def __init__(
        self,
        frame: Frame,
        people: People,
        entities: EditedEntities,
        files: ImportFiles,
        choices: OfferedChoices,
        acts: Acts,
        jobs: PageJobs,
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._frame = frame
        self._people = people
        self._entities = entities
        self._files = files
        self._choices = choices
        self._acts = acts
        self._jobs = jobs
        self._clock = clock
        self._limits = limits

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        people, provider = self._people, Role.PROVIDER
        return [
            Route(PATH, page_for(people, provider, self.shown), methods=["GET"]),
            Route(PATH, self.send, methods=["POST"]),
            Route(f"{PATH}/report.csv", page_for(people, provider, self.report)),
            Route(f"{PATH}/mapping", page_for(people, provider, self.mapped), methods=["POST"]),
            Route(f"{PATH}/write", page_for(people, provider, self.write), methods=["POST"]),
            Route(f"{PATH}/discard", page_for(people, provider, self.discard), methods=["POST"]),
        ]

    async def shown(self, visit: Visit) -> Response:
        """`GET /provider/import`."""
        file = await self._files.of(visit.caller)
        report = file.report if file else ()
        refused = [one for one in report if one.outcome == "refused"]
        good = [one for one in report if one.outcome != "refused"]
        page = ImportPage(
            state=file.state if file else "none",
            file=file.id if file else "",
            name=file.name if file else "",
            kind=file.kind if file else "offering",
            columns=_columns(file) if file else (),
            fields=COLUMN_FIELDS[file.kind] if file else (),
            report=(*refused, *good)[:SHOWN_MAX],
            rows=len(file.rows) if file else 0,
            good=len(good),
            refused=len(refused),
            size_max_bytes=self._limits.import_file_max_bytes,
            rows_max=self._limits.import_rows_max,
            progress=self._jobs.of(_key(visit.caller)),
            person=visit.person,
        )
        return self._frame.negotiated(visit.request, "editing/import.html", page)

    async def send(self, request: Request) -> Response:
        """`POST /provider/import`: a form with a file, which `page_for` does not read.

        Raises:
            Refused: As of `page_for` and `uploaded`; `Code.NOT_FOUND`, of a form that there is not.
            Unavailable: `Code.OVERLOADED`, when too many import at the same time, or the last file of this
                person is not done yet.
        """
        person = self._people.person(request)
        if person is None:
            raise Refused(
                Code.UNAUTHENTICATED, f"Your session is over, so nothing was changed. {LOGIN_PAGES}"
            )
        if not person.has(Role.PROVIDER):
            raise Refused(Code.FORBIDDEN, "This page is for whoever may offer something.")
        form = await uploaded(request, self._limits.import_file_max_bytes)
        self._people.check_form(request, form.fields.get("csrf", ""))
        kind, caller = kind_named(form.fields.get("kind", "")), self._people.caller(request)
        await self._entities.check_may_create(caller, kind.collection)
        if self._jobs.is_busy(_key(caller)):
            raise Unavailable(Code.OVERLOADED, f"Your last file is not done yet: {PATH}.", RETRY_AFTER_S)
        table = await asyncio.to_thread(read_table, form.content, self._limits)
        file = ImportFile("", form.name, kind.name, "mapping", table.columns, table.rows)
        file = await self._files.save(caller, file)
        if not table.columns:
            await self._check(Visit(request, person, caller, FormFields()), file)
        return see(PATH)

    async def mapped(self, visit: Visit) -> Response:
        """`POST /provider/import/mapping`.

        Raises:
            Refused: `Code.NOT_FOUND`, without a file; `Code.INVALID`, of a column that is no field.
        """
        file = await self._file(visit)
        fields = tuple(visit.form.one(f"column.{number}") for number in range(len(file.columns)))
        chosen = [field for field in fields if field]
        if not set(chosen) <= set(COLUMN_FIELDS[file.kind]) or len(chosen) != len(set(chosen)):
            raise Refused(Code.INVALID, "Each column is another field, or none.")
        if file.state in {"mapping", "checked"} and not self._jobs.is_busy(_key(visit.caller)):
            await self._check(visit, msgspec.structs.replace(file, fields=fields))
        return see(PATH)

    async def write(self, visit: Visit) -> Response:
        """`POST /provider/import/write`. Sent twice, it writes once.

        Raises:
            Refused: `Code.NOT_FOUND`, without a file.
        """
        file = await self._file(visit)
        is_busy = self._jobs.is_busy(_key(visit.caller))
        if file.state not in {"checked", "writing"} or visit.form.one("file") != file.id or is_busy:
            return see(PATH)
        writer = await self._writer(visit, file)
        refused = {one.line for one in file.report if one.outcome == "refused"}
        rows = [one for one in file.rows if one.line not in refused]
        before = [one for one in file.report if one.outcome == "refused"]
        act = Act("entities-import", file.id)
        begun = await self._files.save(visit.caller, msgspec.structs.replace(file, state="writing"))

        async def work(advance: Advance) -> None:
            made = await carry_out(self._acts, visit.caller, act, lambda: writer.carried_out(rows, advance))
            report = tuple(sorted((*before, *made), key=lambda one: one.line))
            await self._files.save(visit.caller, msgspec.structs.replace(begun, state="done", report=report))

        await self._jobs.begin(_key(visit.caller), len(rows), work)
        return see(PATH)

    async def discard(self, visit: Visit) -> Response:
        """`POST /provider/import/discard`; what is going on is not ended by it."""
        if not self._jobs.is_busy(_key(visit.caller)):
            await self._files.discard(visit.caller)
        return see(PATH)

    async def report(self, visit: Visit) -> Response:
        """`GET /provider/import/report.csv`.

        Raises:
            Refused: `Code.NOT_FOUND`, without a file.
        """
        file = await self._file(visit)
        headers = {**NO_STORE, "Content-Disposition": 'attachment; filename="report.csv"'}
        return Response(report_csv(file.report), media_type="text/csv", headers=headers)

    async def _check(self, visit: Visit, file: ImportFile) -> None:
        writer = await self._writer(visit, file)

        async def work(advance: Advance) -> None:
            report = await writer.checked(file.rows, advance)
            await self._files.save(
                visit.caller, msgspec.structs.replace(file, state="checked", report=report)
            )

        await self._jobs.begin(_key(visit.caller), len(file.rows), work)

    async def _writer(self, visit: Visit, file: ImportFile) -> RowWriter:
        kind = kind_named(file.kind)
        choices = await self._choices.of(visit.caller, kind, NO_FIELDS)
        return RowWriter(
            *(self._entities, visit.caller, owner_of(visit.person), kind, choices.names()),
            *(file.fields, f"import {file.id}", self._clock),
        )

    async def _file(self, visit: Visit) -> ImportFile:
        file = await self._files.of(visit.caller)
        if file is None:
            raise Refused(Code.NOT_FOUND, "You import no file now: it was discarded, or is too old.")
        return file


def report_csv(report: Sequence[ReportRow]) -> str:
    """A report as CSV; nothing in it is a formula to a spreadsheet."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(("line", "name", "outcome", "reason", "id"))
    for one in report:
        cells = (str(one.line), one.name, one.outcome, one.reason, one.id)
        writer.writerow(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells)
    return lines.getvalue()


def _key(caller: Caller) -> str:
    return f"import {caller.subject}"


def _columns(file: ImportFile) -> tuple[MappedColumn, ...]:
    columns = []
    taken: set[str] = set()
    for number, title in enumerate(file.columns):
        cells = (one.cells[number] for one in file.rows if number < len(one.cells))
        samples = tuple(cell[:80] for cell in cells if cell.strip())[:SAMPLES_MAX]
        plain = title.casefold().replace(" ", "")
        field = next((one for one in COLUMN_FIELDS[file.kind] if one == plain and one not in taken), "")
        field = file.fields[number] if number < len(file.fields) else field
        taken.add(field)
        columns.append(MappedColumn(number, title, samples, field))
    return tuple(columns)
