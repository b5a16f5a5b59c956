"""What clients can do with jobs beyond creating, reading and deleting them (TMF630 Part 4; docs/integrators/jobs.md).

GET …/exportJob/{id}/content     what an export job wrote
PUT …/importJob/{id}/content     what an import job is to read, when its `url` is `content`
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from hansa.business.context import Context, ServedResource
from hansa.business.http.messages import Request, Response
from hansa.business.jobs.files import (
    CONTENT,
    EXPORT,
    LINES,
    NOT_STARTED,
    SUCCEEDED,
    UNFINISHED,
    JobFiles,
)
from hansa.business.jobs.scope import scope_of
from hansa.business.operations.update import WriteHandler
from hansa.core.errors import Code, Refused, Unavailable
from hansa.store import Entity, Filter, Query
from hansa.store.tables import jobs

Handle = Callable[[Request, str], Awaitable[Response]]
RETRY_AFTER_S: Final = 30.0


class JobHandler:
    """The further ways to one resource of jobs."""

    def __init__(
        self, served: ServedResource, writer: WriteHandler, context: Context, desk: JobFiles
    ) -> None:
        self._served = served
        self._writer = writer
        self._context = context
        self._desk = desk

    @property
    def content_path(self) -> str:
        """Where contents are, with a mark for the job's identifier."""
        name = self._served.resource.name
        return f"{self._served.path}/{{{name}Id}}/{CONTENT}"

    @property
    def content_methods(self) -> dict[str, Handle]:
        """What can be done with contents, by HTTP method."""
        return {"GET": self.read} if self._served.resource.type == EXPORT else {"PUT": self.upload}

    async def create(self, request: Request, _: str) -> Response:
        """POST of a job: as any create, and 429 while too many are not finished."""
        await self._check_room(request)
        self._check_scope(await request.json())
        return self._told(await self._writer.creating.create(request, ""))

    async def create_several(self, request: Request, _: str) -> Response:
        """PATCH of the collection: as any, and 429 while too many are not finished."""
        await self._check_room(request)
        return self._told(await self._writer.creating.create_several(request, ""))

    async def _check_room(self, request: Request) -> None:
        self._context.writer(request.headers)
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

    def _check_scope(self, body: dict[str, Any]) -> None:
        """Tell at once of a path or query that means nothing."""
        scope_of(self._served, body, self._context)

    def _told(self, answer: Response) -> Response:
        self._desk.notify()
        return answer

    async def delete(self, request: Request, entity_id: str) -> Response:
        """DELETE of a job, which ends it, and of its content: as any deletion."""
        answer = await self._writer.delete(request, entity_id)
        self._desk.remove(entity_id)
        async with self._context.store.transaction() as tx:
            await jobs.remove(tx, entity_id)
        return answer

    async def read(self, request: Request, _: str) -> Response:
        """GET of what an export job wrote: 200, 401, 404 or 409."""
        if not self._context.authenticate(request.headers).is_authenticated:
            raise Refused(Code.UNAUTHENTICATED, "Reading an export needs a bearer token.")
        job = await self._job(request)
        fields = msgspec.json.decode(job.body)
        if fields.get("status") != SUCCEEDED:
            raise Refused(Code.CONFLICT, f"The job is {fields.get('status')!r}: it has no content.")
        content = await self._desk.read(job.id)
        if content is None:
            raise Refused(Code.NOT_FOUND, "The content was removed to make room for newer ones.")
        media_type = fields.get("contentType", LINES)
        return Response(200, content, ((b"content-type", str(media_type).encode()),))

    async def upload(self, request: Request, _: str) -> Response:
        """PUT of what an import job is to read: 204, 401, 403, 404, 409, 413 or 415."""
        self._context.writer(request.headers)
        job = await self._job(request)
        fields = msgspec.json.decode(job.body)
        scope = scope_of(self._served, fields, self._context)
        if fields.get("status") != NOT_STARTED or not scope.is_upload or self._desk.has_content(job.id):
            raise Refused(Code.CONFLICT, "The job does not wait for content.")
        request.media_type((scope.content_type,))
        file = self._desk.open(job.id)
        try:
            async for part in request.parts():
                file.write(part)
            file.finish()
        finally:
            file.close()
        self._desk.notify()
        return Response(204)

    async def _job(self, request: Request) -> Entity:
        found = await self._context.store.entity(request.parent_id or "")
        if found is None or found.type != self._served.resource.collection:
            raise self._served.not_found(request.parent_id or "")
        return found
