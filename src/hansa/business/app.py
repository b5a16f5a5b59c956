"""The TM Forum APIs of a marketplace as one ASGI application.

A path is found by looking it up, as it is or without its last segment: two dictionary look-ups whatever the number
of APIs. Requests beyond the limit of those in work are answered 429 at once, so that the ones in work get done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import structlog

from hansa.business.http import (
    Answer,
    Disconnected,
    Receive,
    Request,
    Scope,
    Send,
    allow,
    error_answer,
    method_not_allowed,
    send_answer,
)
from hansa.business.models import Models
from hansa.business.registrations import HubHandler
from hansa.business.resources import ResourceHandler, Surroundings
from hansa.business.validation import Validator
from hansa.core.caller import Authenticate
from hansa.core.clock import Clock
from hansa.core.errors import Code, Fatal, HansaError, Refused, Unavailable
from hansa.core.identifiers import Entropy
from hansa.core.limits import Limits
from hansa.store import Store

Handle = Callable[[Request, str], Awaitable[Answer]]
"""Answers a request; the second argument is the identifier in the path, empty at a collection."""

ORDER: Final = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")

log = structlog.get_logger()


class Route(msgspec.Struct, frozen=True):
    """What can be done at a collection and at its items, by HTTP method."""

    collection: Mapping[str, Handle]
    item: Mapping[str, Handle]


class BusinessApp:
    """The ASGI application of `hansa.business`."""

    def __init__(
        self,
        store: Store,
        models: Models,
        authenticate: Authenticate,
        clock: Clock,
        entropy: Entropy,
        limits: Limits,
        endpoint: str,
    ) -> None:
        """`endpoint` is where this marketplace is reached, `scheme://host[:port]`, without a trailing slash."""
        self._limits = limits
        self._in_flight = 0
        self._bases = frozenset(api.base_path.rstrip("/") for api in models.apis)
        self._routes: dict[str, Route] = {}
        around = Surroundings(store, models, authenticate, clock, entropy, limits, endpoint.rstrip("/"))
        for api in models.apis:
            validator = Validator(api)
            hub = HubHandler(api, around)
            self._routes[hub.path] = _route(
                {"GET": hub.list, "POST": hub.register}, {"GET": hub.retrieve, "DELETE": hub.end}
            )
            for resource in api.resources:
                handler = ResourceHandler(api, resource, validator, around)
                self._routes[handler.path] = _resource_route(handler)

    @property
    def requests_in_flight(self) -> int:
        """Requests that are being answered."""
        return self._in_flight

    def handles(self, path: str) -> bool:
        """Whether a path lies under the base path of an API."""
        second = path.find("/", path.find("/", 1) + 1)
        if second < 0:
            return path in self._bases
        third = path.find("/", second + 1)
        return path[:second] in self._bases or (path if third < 0 else path[:third]) in self._bases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        assert scope["type"] == "http", "the node routes nothing else here"
        if self._in_flight >= self._limits.requests_in_flight_max:
            busy = Unavailable(Code.OVERLOADED, "Too many requests are in work.", retry_after_s=1)
            await send_answer(send, error_answer(busy), with_body=scope["method"] != "HEAD")
            return
        self._in_flight += 1
        try:
            answer = await self._answer(scope, receive)
        except Disconnected:
            return
        finally:
            self._in_flight -= 1
        await send_answer(send, answer, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        try:
            path, entity_id = scope["path"], ""
            route = self._routes.get(path)
            if route is None:
                head, _, entity_id = path.rpartition("/")
                route = self._routes.get(head)
                if route is None:
                    raise Refused(Code.NOT_FOUND, "No API serves this path.")
            methods = route.item if entity_id else route.collection
            handle = methods.get(scope["method"])
            if handle is None:
                return _other_method(scope["method"], methods)
            return await handle(Request(scope, receive, self._limits), entity_id)
        except HansaError as error:
            if error.http_status == 500 or isinstance(error, Fatal):
                log.error("request_failed", path=scope["path"], code=str(error.code), problem=error.message)
            return error_answer(error)
        except Disconnected:
            raise
        except Exception:
            log.exception("request_failed", path=scope["path"])
            return error_answer(HansaError(Code.INTERNAL, ""))


def _resource_route(handler: ResourceHandler) -> Route:
    methods = handler.resource.methods
    collection: dict[str, Handle] = {}
    item: dict[str, Handle] = {}
    if "list" in methods:
        collection["GET"] = handler.list
    if "create" in methods:
        collection["POST"] = handler.create
    if "retrieve" in methods:
        item["GET"] = handler.retrieve
    if "patch" in methods:
        item["PATCH"] = handler.patch
    if "delete" in methods:
        item["DELETE"] = handler.delete
    return _route(collection, item)


def _route(collection: dict[str, Handle], item: dict[str, Handle]) -> Route:
    for methods in (collection, item):
        if "GET" in methods:
            methods["HEAD"] = methods["GET"]
    return Route(collection, item)


def _other_method(method: str, methods: Mapping[str, Handle]) -> Answer:
    allowed = tuple(name for name in ORDER if name in methods or name == "OPTIONS")
    if method == "OPTIONS":
        return Answer(204, b"", (allow(allowed),))
    return method_not_allowed(allowed)
