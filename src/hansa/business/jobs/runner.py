"""Runs import and export jobs in the background: of each API one at a time, the oldest first.

    Not Started ──▶ Running ──▶ Succeeded | Failed

A job is an entity like others: each step is a write of it, with a row in the feed and an event. An import job
that waits for a client to upload its content stays Not Started, and later jobs run before it. Deleting a job
ends it before its next batch or page. After a crash, a Running job continues: an import after its last
committed batch, an export from the beginning, since its file takes its place when it is complete.

Content is fetched from this marketplace's own exports, or with the `HttpClient`, which knows the hosts that
the operator allows; what was fetched is stored, so that a job does not read two different contents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
import structlog

from hansa.business.context import Context
from hansa.business.jobs.files import (
    CONTENT,
    EXPORT,
    FAILED,
    RUNNING,
    SUCCEEDED,
    UNFINISHED,
    ContentFile,
    JobFiles,
)
from hansa.business.jobs.importing import Batches, error_log, records
from hansa.business.jobs.scope import JobScope, scope_of
from hansa.business.models import Api
from hansa.business.operations.api_operations import ApiOperations
from hansa.business.query import ListRequest
from hansa.business.representation import Representation, collection_address
from hansa.business.served_resource import ServedResource
from hansa.core.clock import rfc3339
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import HttpClient, HttpRequest
from hansa.store import Entity, Filter, Query, SortKey, Transaction
from hansa.store.tables import jobs
from hansa.store.tables.jobs import JobProgress

PROGRESS_EVERY_S: Final = 1.0
"""How often a job that runs is written with its progress."""
PAGE_ENTITIES: Final = 500

log = structlog.get_logger("hansa.business.jobs")


class _Deleted(Exception):
    """The job is not there any more."""


class JobRunner:
    """The background worker; keep `run` running."""

    def __init__(
        self,
        context: Context,
        files: JobFiles,
        operations: Mapping[str, ApiOperations],
        client: HttpClient,
    ) -> None:
        """`operations`: by API."""
        self._context = context
        self._store = context.store
        self._files = files
        self._operations = operations
        self._client = client
        self._apis = {api.id: api for api, _ in files.collections.values()}

    async def run(self) -> None:
        """Run jobs until cancelled."""
        await self._clean()
        async with asyncio.TaskGroup() as group:
            for api in self._apis.values():
                group.create_task(self._serve(api))

    async def _clean(self) -> None:
        """Forget jobs that were deleted, and remove files that belong to no job."""
        known = await jobs.identifiers(self._store)
        deleted = known - (await self._store.entities(sorted(known))).keys()
        if deleted:
            async with self._store.transaction() as tx:
                for job_id in deleted:
                    await jobs.remove(tx, job_id)
        ids: list[str] = []
        async for page in self._store.scan(tuple(self._files.collections), public_only=False):
            ids += [entity.id for entity in page]
        self._files.remove_orphans(ids)

    async def _serve(self, api: Api) -> None:
        while True:
            seen = self._files.signal.count
            try:
                job = await self._next(api)
                if job is None:
                    await self._files.signal.wait(seen)
                else:
                    await self._run(job)
            except Unavailable as error:
                log.warning("jobs_paused", api=api.id, code=str(error.code), problem=error.message)
                await self._context.clock.sleep(error.retry_after_s)

    async def _next(self, api: Api) -> Entity | None:
        """The job of an API to run: one that was interrupted, or the oldest that is ready."""
        ready: list[tuple[bool, str, str]] = []
        for collection, fields in await self._unfinished(api):
            if self._is_ready(collection, fields):
                is_new = fields["status"] != RUNNING
                ready.append((is_new, str(fields.get("creationDate", "")), fields["id"]))
        return await self._store.entity(min(ready)[2]) if ready else None

    async def _unfinished(self, api: Api) -> list[tuple[str, dict[str, Any]]]:
        """The jobs of an API that are not finished, with their collections."""
        unfinished: list[tuple[str, dict[str, Any]]] = []
        limit = self._context.limits.jobs_unfinished_max
        for collection, (owner, _) in self._files.collections.items():
            if owner is api:
                query = Query(collection, (Filter(("status",), UNFINISHED),), limit=limit, public_only=False)
                page = await self._store.list(query)
                unfinished += [(collection, msgspec.json.decode(body)) for body in page.bodies]
        return unfinished

    def _is_ready(self, collection: str, fields: dict[str, Any]) -> bool:
        try:
            scope = scope_of(self._served(collection), fields, self._context)
        except Refused:
            return True  # running it says why it cannot be run
        return not scope.is_upload or self._files.has_content(fields["id"])

    def _served(self, collection: str) -> ServedResource:
        api, _ = self._files.collections[collection]
        return self._operations[api.id][collection].served

    # -- one job --------------------------------------------------------------------------------------------

    async def _run(self, job: Entity) -> None:
        try:
            outcome = await self._work(job)
        except _Deleted:
            self._files.remove(job.id)
            return
        except Refused as error:
            outcome = {"status": FAILED, "errorLog": error.message}
        except Unavailable:
            raise  # the store's: the job goes on later
        except Exception:
            log.exception("job_failed", job=job.id)
            outcome = {"status": FAILED, "errorLog": "This marketplace failed."}
        try:
            async with self._store.transaction() as tx:
                await self._mark(tx, job.id, outcome | {"completionDate": rfc3339(self._context.clock.now())})
        except _Deleted:
            self._files.remove(job.id)

    async def _work(self, job: Entity) -> dict[str, Any]:
        """Do the job; returns what changes in it at the end."""
        api, resource = self._files.collections[job.type]
        served = self._served(job.type)
        scope = scope_of(served, msgspec.json.decode(job.body), self._context)
        changes: dict[str, Any] = {"status": RUNNING}
        if resource.type == EXPORT:
            changes["url"] = f"{served.representation(None).address(job.id)}/{CONTENT}"
        async with self._store.transaction() as tx:
            await self._mark(tx, job.id, changes)
        if resource.type == EXPORT:
            return await self._export(job.id, api, scope)
        return await self._import(job.id, api, scope)

    async def _mark(self, tx: Transaction, job_id: str, changes: dict[str, Any]) -> None:
        """Write a job with new values of some attributes."""
        current = await tx.entity(job_id)
        if current is None or current.type not in self._files.collections:
            raise _Deleted
        api, _ = self._files.collections[current.type]
        after = msgspec.json.decode(current.body) | changes
        draft = await self._operations[api.id][current.type].update.amended(tx, current, after)
        await tx.put(draft)

    # -- export ---------------------------------------------------------------------------------------------

    async def _export(self, job_id: str, api: Api, scope: JobScope) -> dict[str, Any]:
        unfinished = [job for one in self._apis.values() for job in await self._unfinished(one)]
        self._files.make_room([fields["id"] for _, fields in unfinished])
        total = 0
        for one in scope.lists:
            total += (await self._store.list(msgspec.structs.replace(one.query, limit=0))).total
        file = self._files.open(job_id)
        try:
            done = await self._write(file, job_id, api, scope, total)
            await asyncio.to_thread(file.finish)
        finally:
            file.close()
        return {"status": SUCCEEDED, "progress": {"done": done, "failed": 0, "total": done}}

    async def _write(self, file: ContentFile, job_id: str, api: Api, scope: JobScope, total: int) -> int:
        done, reported_at_s = 0, self._context.clock.monotonic()
        start, between, end = (b"[", b",", b"]") if scope.is_array else (b"", b"\n", b"\n")
        file.write(start)
        for resource, requested in zip(scope.resources, scope.lists, strict=True):
            representation = Representation(collection_address(self._context.endpoint, api, resource, None))
            async for page in self._pages(requested):
                for entity_id, body in page:
                    file.write(
                        (between if done else b"") + representation.part(entity_id, body, requested.fields)
                    )
                    done += 1
                if self._context.clock.monotonic() - reported_at_s >= PROGRESS_EVERY_S:
                    reported_at_s = self._context.clock.monotonic()
                    async with self._store.transaction() as tx:
                        await self._mark(
                            tx, job_id, {"progress": {"done": done, "failed": 0, "total": total}}
                        )
                elif await self._store.entity(job_id) is None:
                    raise _Deleted
        file.write(end if done or scope.is_array else b"")
        return done

    async def _pages(self, requested: ListRequest) -> AsyncIterator[list[tuple[str, bytes]]]:
        """Identifiers and bodies of everything that a query selects."""
        query = requested.query
        if not query.filters and not query.sort:
            async for entities in self._store.scan((query.type,), public_only=False, limit=PAGE_ENTITIES):
                yield [(one.id, one.body) for one in entities]
            return
        sort = query.sort or (SortKey(("id",)),)
        offset = 0
        while True:
            page = await self._store.list(
                msgspec.structs.replace(query, sort=sort, offset=offset, limit=PAGE_ENTITIES)
            )
            if not page.ids:
                return
            yield list(zip(page.ids, page.bodies, strict=True))
            offset += len(page.ids)
            await self._context.clock.sleep(0)

    # -- import ---------------------------------------------------------------------------------------------

    async def _import(self, job_id: str, api: Api, scope: JobScope) -> dict[str, Any]:
        if not self._files.has_content(job_id):
            await self._fetch(job_id, scope.url)
        content = await self._files.read(job_id)
        if content is None:
            raise Refused(Code.NOT_FOUND, "The content is no longer here.")
        limits, clock = self._context.limits, self._context.clock
        all_records = records(content, scope)
        del content
        batches = Batches(scope, self._operations[api.id], limits)
        progress = await jobs.get(self._store, job_id) or JobProgress(job_id)
        reported_at_s = clock.monotonic()
        while progress.position < len(all_records):
            batch = all_records[progress.position : progress.position + limits.job_batch_max_entities]
            async with self._store.transaction() as tx:
                if await tx.entity(job_id) is None:
                    raise _Deleted
                after = await batches.write(tx, batch, progress)
                await jobs.save(tx, after)
                if clock.monotonic() - reported_at_s >= PROGRESS_EVERY_S:
                    reported_at_s = clock.monotonic()
                    await self._mark(tx, job_id, {"progress": _progress(after, len(all_records))})
            progress = after
            await clock.sleep(0)  # other tasks run
        self._files.remove(job_id)
        ended = {"progress": _progress(progress, progress.done + progress.failed)}
        if progress.failed:
            return ended | {"status": FAILED, "errorLog": error_log(progress)}
        return ended | {"status": SUCCEEDED}

    async def _fetch(self, job_id: str, url: str) -> None:
        """Get the content of an import and store it.

        Raises:
            Refused: It cannot be fetched; the message is for the job's error log.
        """
        if url.startswith(f"{self._context.endpoint}/"):
            content = await self._own_export(url)
        else:
            limits = self._context.limits
            request = HttpRequest(
                "GET",
                url,
                timeout_s=limits.job_fetch_timeout_s,
                answer_size_max_bytes=limits.job_content_max_bytes,
            )
            try:
                answer = await self._client.send(request)
            except HansaError as error:
                raise Refused(
                    error.code,
                    f"The content cannot be fetched from {url[:300]!r} ({error.code}). "
                    "Upload it with PUT …/content, or have the operator allow the host (import_hosts).",
                ) from error
            if answer.status != 200:
                raise Refused(
                    Code.NOT_FOUND, f"{url[:300]!r} answered {answer.status} to the request for the content."
                )
            content = answer.body
        file = self._files.open(job_id)
        try:
            file.write(content)
            await asyncio.to_thread(file.finish)
        finally:
            file.close()

    async def _own_export(self, url: str) -> bytes:
        for collection, (_, resource) in self._files.collections.items():
            start = f"{self._served(collection).representation(None).collection}/"
            if resource.type != EXPORT or not url.startswith(start) or not url.endswith(f"/{CONTENT}"):
                continue
            job = await self._store.entity(url[len(start) : -len(CONTENT) - 1])
            if job is not None and job.type == collection:
                content = await self._files.read(job.id)
                if content is not None:
                    return content
        raise Refused(Code.NOT_FOUND, f"{url[:300]!r} is not the content of an export job here.")


def _progress(progress: JobProgress, total: int) -> dict[str, int]:
    return {"done": progress.done, "failed": progress.failed, "total": total}
