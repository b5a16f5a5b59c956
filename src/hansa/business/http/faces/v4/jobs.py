"""Jobs in version 4 (TMF630 Part 4; docs/integrators/jobs.md): as any resource, and their contents.

GET …/exportJob/{id}/content     what an export job wrote
PUT …/importJob/{id}/content     what an import job is to read, when its `url` is `content`
"""

from __future__ import annotations

from hansa.business.context import Context
from hansa.business.http.conditional import preconditions
from hansa.business.http.faces.v4.write import WriteHandler
from hansa.business.http.messages import Request, Response
from hansa.business.http.routing import Handle
from hansa.business.jobs.files import CONTENT, EXPORT, JobFiles
from hansa.business.jobs.operation import JobOperation
from hansa.business.operations.api_operations import ResourceOperations


class JobHandler:
    """Answers what is different for one resource of jobs."""

    def __init__(
        self, operations: ResourceOperations, writer: WriteHandler, context: Context, files: JobFiles
    ) -> None:
        self._operations = operations
        self._served = operations.served
        self._writer = writer
        self._authenticate = context.authenticate
        self._jobs = JobOperation(operations, context, files)

    @property
    def content_path(self) -> str:
        """Where contents are, with a mark for the job's identifier."""
        name = self._served.resource.name
        return f"{self._served.path}/{{{name}Id}}/{CONTENT}"

    @property
    def content_methods(self) -> dict[str, Handle]:
        """The handlers of contents, by HTTP method."""
        return {"GET": self.read} if self._served.resource.type == EXPORT else {"PUT": self.upload}

    async def create(self, request: Request, _: str) -> Response:
        """POST of a job: as any create, and 429 while too many are not finished."""
        await self._check_room(request)
        self._jobs.check_scope(await request.json())
        response = await self._writer.create(request, "")
        self._jobs.notify()
        return response

    async def create_several(self, request: Request, _: str) -> Response:
        """PATCH of the collection: as any, and 429 while too many are not finished."""
        await self._check_room(request)
        response = await self._writer.create_several(request, "")
        self._jobs.notify()
        return response

    async def _check_room(self, request: Request) -> None:
        self._operations.create.authorize(self._authenticate(request.headers))
        await self._jobs.check_room()

    async def delete(self, request: Request, entity_id: str) -> Response:
        """DELETE of a job, which ends it, and of its content: as any deletion."""
        grant = self._operations.delete.authorize(self._authenticate(request.headers))
        request.check_no_parameters()
        await self._jobs.delete(grant, entity_id, preconditions(request.headers))
        return Response(204)

    async def read(self, request: Request, _: str) -> Response:
        """GET of what an export job wrote: 200, 401, 404 or 409."""
        request.check_no_parameters()
        content = await self._jobs.exported(self._authenticate(request.headers), request.parent_id or "")
        return Response(200, content.body, ((b"content-type", content.media_type.encode()),))

    async def upload(self, request: Request, _: str) -> Response:
        """PUT of what an import job is to read: 204, 401, 403, 404, 409, 413 or 415."""
        request.check_no_parameters()
        upload = await self._jobs.upload(self._authenticate(request.headers), request.parent_id or "")
        request.media_type((upload.media_type,))
        file = self._jobs.open(upload)
        try:
            async for part in request.parts():
                file.write(part)
            file.finish()
        finally:
            file.close()
        self._jobs.notify()
        return Response(204)
