"""What can be done at the paths of an API: which handler answers which method, as the model says.

A method that the document does not have is 405, but for two that the guideline gives every resource that can
be changed: PUT where there is PATCH, and PATCH of the collection where there is POST. Methods of the operator
alone (`operator_methods`) are 405 for everybody else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hansa.business.context import Context
from hansa.business.http.faces.v4.description import Description
from hansa.business.http.faces.v4.embedded import EmbeddedReadHandler
from hansa.business.http.faces.v4.entry_point import EntryPoint
from hansa.business.http.faces.v4.hub import HubHandler
from hansa.business.http.faces.v4.jobs import JobHandler
from hansa.business.http.faces.v4.monitors import Monitored, is_monitor
from hansa.business.http.faces.v4.read import ReadHandler
from hansa.business.http.faces.v4.write import WriteHandler
from hansa.business.http.messages import Request, Response, method_not_allowed
from hansa.business.http.response_cache import ResponseCache
from hansa.business.http.routing import Handle, Route, in_order, route
from hansa.business.jobs.files import JobFiles, is_job
from hansa.business.models import Resource
from hansa.business.operations.api_operations import ApiOperations
from hansa.core.errors import Code, Refused


def api_routes(
    operations: ApiOperations, context: Context, cache: ResponseCache, job_files: JobFiles | None
) -> Mapping[str, Route]:
    """The routes of one API by path; `{…Id}` stands for the identifier of a parent."""
    api = operations.api
    description = Description(api, context.endpoint)
    monitors = next(
        (operations[one.collection].update for one in api.resources if is_monitor(one.type)), None
    )

    def monitored(handle: Handle) -> Handle:
        return handle if monitors is None else Monitored(handle, monitors, context)

    entry = EntryPoint(api, context.endpoint)
    routes = {
        entry.path: route({"GET": entry.retrieve}, {}, is_open=True),
        description.path: route({"GET": description.retrieve}, {}, is_open=True),
        **HubHandler(api, context).routes,
    }
    for one in operations.by_collection.values():
        writer = WriteHandler(one, context)
        reader = (
            ReadHandler(one.served, one.read, context, cache)
            if one.embedded is None
            else EmbeddedReadHandler(one.served, one.embedded, context)
        )
        handlers = _handlers(reader, writer, monitored)
        if is_job(one.resource) and job_files is not None:
            job = JobHandler(one, writer, context, job_files)
            handlers["create"] = (
                ("collection", "POST", job.create),
                ("collection", "PATCH", job.create_several),
            )
            handlers["delete"] = (("item", "DELETE", job.delete),)
            routes[job.content_path] = route(job.content_methods, {})
        routes[one.served.path] = _route(one.resource, handlers, reader)
    return routes


def _handlers(
    reader: ReadHandler | EmbeddedReadHandler, writer: WriteHandler, monitored: Callable[[Handle], Handle]
) -> dict[str, tuple[tuple[str, str, Handle], ...]]:
    """For each method of a model: where it is, its HTTP method, and its handler."""
    return {
        "list": (("collection", "GET", reader.list),),
        "retrieve": (("item", "GET", reader.retrieve),),
        "create": (
            ("collection", "POST", monitored(writer.create)),
            ("collection", "PATCH", writer.create_several),
        ),
        "patch": (
            ("item", "PATCH", monitored(writer.patch)),
            ("item", "PUT", monitored(writer.replace)),
        ),
        "replace": (("item", "PUT", monitored(writer.replace)),),
        "delete": (("item", "DELETE", monitored(writer.delete)),),
    }


def _route(
    resource: Resource,
    handlers: Mapping[str, tuple[tuple[str, str, Handle], ...]],
    reader: ReadHandler | EmbeddedReadHandler,
) -> Route:
    table: dict[str, dict[str, Handle]] = {"collection": {}, "item": {}}
    for method in resource.operator_methods:
        for place, verb, handle in handlers[method]:
            table[place][verb] = _hidden(handle, place, resource)
    for method in resource.methods:
        for place, verb, handle in handlers[method]:
            table[place][verb] = handle
    is_listed, is_retrieved = "list" in resource.methods, "retrieve" in resource.methods
    at_once = reader if isinstance(reader, ReadHandler) else None
    return route(
        table["collection"],
        table["item"],
        is_open=resource.visibility == "catalogue",
        list_at_once=at_once.list_at_once if at_once and is_listed else None,
        retrieve_at_once=at_once.retrieve_at_once if at_once and is_retrieved else None,
    )


def _hidden(handle: Handle, place: str, resource: Resource) -> Handle:
    """A handler of an operator's method: for everybody else it looks as if there were none."""
    is_item = place == "item"
    known = {"retrieve": "GET", "patch": "PATCH"} if is_item else {"list": "GET", "create": "POST"}
    offered = {verb for method, verb in known.items() if method in resource.methods}
    allowed = in_order(frozenset(offered | ({"HEAD"} if "GET" in offered else set())))

    async def answer(request: Request, entity_id: str) -> Response:
        try:
            return await handle(request, entity_id)
        except Refused as error:
            if error.code is not Code.METHOD_NOT_ALLOWED:
                raise
            return method_not_allowed(allowed)

    return answer
