"""What can be done at the paths of an API: which handler answers which method, as the model says.

A method that the document does not have is 405, but for two that the guideline gives every resource that can be changed:
PUT where there is PATCH, and PATCH of the collection where there is POST. Methods of the operator alone
(`operator_methods`) do not exist for anybody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from hansa.business.context import OPERATOR, Context, ServedResource
from hansa.business.http.messages import Request, Response, allow, method_not_allowed
from hansa.business.http.monitors import Monitored, is_monitor
from hansa.business.http.response_cache import ResponseCache
from hansa.business.jobs.files import is_job
from hansa.business.jobs.handlers import JobHandler
from hansa.business.models import Api, Resource
from hansa.business.operations.embedded import EmbeddedReadHandler
from hansa.business.operations.read import ReadHandler
from hansa.business.operations.tasks import Tasks
from hansa.business.operations.update import WriteHandler
from hansa.business.validation.validator import Validator

Handle = Callable[[Request, str], Awaitable[Response]]
"""Answers a request; the second argument is the identifier in the path, empty at a collection."""

ORDER: Final = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")


class Route(msgspec.Struct, frozen=True):
    """What can be done at a collection and at its items, by HTTP method."""

    collection: Mapping[str, Handle]
    item: Mapping[str, Handle]


class ApiResources:
    """The resources of one API: their routes and their writers."""

    def __init__(self, api: Api, context: Context, cache: ResponseCache) -> None:
        self.api = api
        self.routes: dict[str, Route] = {}
        """By path; `{…Id}` stands for the identifier of a parent."""
        self.writers: dict[str, WriteHandler] = {}
        """By collection."""
        self._context = context
        self._response_cache = cache
        validator = Validator(api, context.policies.unknown_attributes)
        served = [ServedResource(api, resource, validator, context) for resource in api.resources]
        self.served = {one.resource.collection: one for one in served}
        """By collection."""
        self.writers = {one.resource.collection: WriteHandler(one, context) for one in served}
        for one in served:
            if one.resource.task is not None:
                self.writers[one.resource.collection].creating.tasks = Tasks(
                    one.resource, one.attributes, self.writers, context.store, context.clock, context.limits
                )
        monitors = next((self.writers[one.collection] for one in api.resources if is_monitor(one.type)), None)
        for one in served:
            self.routes[one.path] = self._route(one, monitors)

    def _route(self, served: ServedResource, monitors: WriteHandler | None) -> Route:
        resource, writer = served.resource, self.writers[served.resource.collection]
        reader = (
            EmbeddedReadHandler(served, self._context)
            if resource.embedded
            else ReadHandler(served, self._context, self._response_cache)
        )

        def writing(handle: Handle) -> Handle:
            return handle if monitors is None else Monitored(handle, monitors, self._context)

        ways: dict[str, tuple[tuple[str, str, Handle], ...]] = {
            "list": (("collection", "GET", reader.list),),
            "retrieve": (("item", "GET", reader.retrieve),),
            "create": (
                ("collection", "POST", writing(writer.creating.create)),
                ("collection", "PATCH", writer.creating.create_several),
            ),
            "patch": (
                ("item", "PATCH", writing(writer.patch)),
                ("item", "PUT", writing(writer.replace)),
            ),
            "replace": (("item", "PUT", writing(writer.replace)),),
            "delete": (("item", "DELETE", writing(writer.delete)),),
        }
        if is_job(resource) and self._context.jobs is not None:
            job = JobHandler(served, writer, self._context, self._context.jobs)
            ways["create"] = (
                ("collection", "POST", job.create),
                ("collection", "PATCH", job.create_several),
            )
            ways["delete"] = (("item", "DELETE", job.delete),)
            self.routes[job.content_path] = route(job.content_methods, {})
        table: dict[str, dict[str, Handle]] = {"collection": {}, "item": {}}
        for method in resource.operator_methods:
            for place, verb, handle in ways[method]:
                table[place][verb] = self._operators_only(handle, place, resource)
        for method in resource.methods:
            for place, verb, handle in ways[method]:
                table[place][verb] = handle
        return route(table["collection"], table["item"])

    def _operators_only(self, handle: Handle, place: str, resource: Resource) -> Handle:
        is_item = place == "item"
        known = {"list": "GET", "create": "POST"} if not is_item else {"retrieve": "GET", "patch": "PATCH"}
        offered = {verb for method, verb in known.items() if method in resource.methods} | {"OPTIONS"}
        allowed = tuple(verb for verb in ORDER if verb in offered or (verb == "HEAD" and "GET" in offered))

        async def answer(request: Request, entity_id: str) -> Response:
            if OPERATOR not in self._context.authenticate(request.headers).roles:
                return method_not_allowed(allowed)
            return await handle(request, entity_id)

        return answer


def route(collection: dict[str, Handle], item: dict[str, Handle]) -> Route:
    """A route; what answers GET answers HEAD as well."""
    for methods in (collection, item):
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
    return Route(collection, item)


def other_method(method: str, methods: Mapping[str, Handle]) -> Response:
    """What is said to a method without a handler: the methods that there are."""
    allowed = tuple(name for name in ORDER if name in methods or name == "OPTIONS")
    if method == "OPTIONS":
        return Response(204, b"", (allow(allowed),))
    return method_not_allowed(allowed)
