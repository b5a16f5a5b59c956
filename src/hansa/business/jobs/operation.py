"""What can be done with jobs beyond any entity: their number is bounded, and they have contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.business.context import Context
from hansa.business.jobs.files import LINES, NOT_STARTED, SUCCEEDED, UNFINISHED, ContentFile, JobFiles
from hansa.business.jobs.scope import scope_of
from hansa.business.operations.api_operations import ResourceOperations
from hansa.business.operations.writes import NO_PRECONDITIONS, Preconditions
from hansa.core.access import Action, Caller, Grant
from hansa.core.errors import Code, Refused, Unavailable
from hansa.store import Entity, Filter, Query
from hansa.store.tables import jobs

RETRY_AFTER_S: Final = 30.0


class ExportContent(msgspec.Struct, frozen=True):
    """What an export job wrote."""

    body: bytes
    media_type: str


class Upload(msgspec.Struct, frozen=True):
    """A content that an import job waits for."""

    job_id: str
    media_type: str


class JobOperation:
    """The further operations of one resource of jobs."""

    def __init__(self, operations: ResourceOperations, context: Context, files: JobFiles) -> None:
        self._operations = operations
        self._served = operations.served
        self._context = context
        self._files = files

    async def check_room(self) -> None:
        """Check that one more job may be created.

        Raises:
            Unavailable: `Code.OVERLOADED`, when too many are not finished.
        """
        limits = self._context.limits
        query = Query(
            self._served.resource.collection, (Filter(("status",), UNFINISHED),), limit=0, public_only=False
        )
        if (await self._context.store.list(query)).total >= limits.jobs_unfinished_max:
            raise Unavailable(
                Code.OVERLOADED,
                f"{limits.jobs_unfinished_max} jobs are waiting; delete some, or try later.",
                RETRY_AFTER_S,
            )

    def check_scope(self, job: Mapping[str, Any]) -> None:
        """Check that path and query of a job mean something.

        Raises:
            Refused: `Code.INVALID` or `Code.MALFORMED`, naming the attribute.
        """
        scope_of(self._served, job, self._context)

    async def delete(self, grant: Grant, job_id: str, expected: Preconditions = NO_PRECONDITIONS) -> None:
        """Delete a job, which ends it, and its content. Raises as any deletion."""
        await self._operations.delete.delete(grant, job_id, expected=expected)
        self._files.remove(job_id)
        async with self._context.store.transaction() as tx:
            await jobs.remove(tx, job_id)

    async def exported(self, caller: Caller, job_id: str) -> ExportContent:
        """What an export job wrote.

        Raises:
            Refused: `Code.UNAUTHENTICATED`; `Code.NOT_FOUND`; `Code.CONFLICT`, when the job has no content.
        """
        self._served.authorize(caller, Action.EXPORT)
        fields = msgspec.json.decode((await self._job(job_id)).body)
        if fields.get("status") != SUCCEEDED:
            raise Refused(Code.CONFLICT, f"The job is {fields.get('status')!r}: it has no content.")
        content = await self._files.read(job_id)
        if content is None:
            raise Refused(Code.NOT_FOUND, "The content was removed to make room for newer ones.")
        return ExportContent(content, str(fields.get("contentType", LINES)))

    async def upload(self, caller: Caller, job_id: str) -> Upload:
        """What an import job waits for.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, `Code.FORBIDDEN`; `Code.NOT_FOUND`; `Code.CONFLICT`, when it does
                not wait.
        """
        self._served.authorize(caller, Action.CREATE)
        fields = msgspec.json.decode((await self._job(job_id)).body)
        scope = scope_of(self._served, fields, self._context)
        if fields.get("status") != NOT_STARTED or not scope.is_upload or self._files.has_content(job_id):
            raise Refused(Code.CONFLICT, "The job does not wait for content.")
        return Upload(job_id, scope.content_type)

    def open(self, upload: Upload) -> ContentFile:
        """The file for the content, to be written, finished and closed; then `notify` the runner.

        Raises:
            Unavailable: `Code.DISK_FULL`.
        """
        return self._files.open(upload.job_id)

    def notify(self) -> None:
        """Tell the runner that there may be work."""
        self._files.signal.notify()

    async def _job(self, job_id: str) -> Entity:
        job = await self._context.store.entity(job_id)
        if job is None or job.type != self._served.resource.collection:
            raise self._served.not_found(job_id)
        return job
