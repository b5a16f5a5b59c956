"""The TM Forum APIs of a marketplace as one ASGI application.

A path is found by looking it up, as it is or without its last segment: two dictionary look-ups whatever the number
of APIs; those of sub-resources with the identifier of the parent left out. Requests beyond the limit of those in work
are answered 429 at once, so that the ones in work get done.
"""

from __future__ import annotations

from typing import NamedTuple

import structlog

from hansa.business.context import Context
from hansa.business.http.messages import (
    Disconnected,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    error_response,
    send_response,
)
from hansa.business.http.response_cache import ResponseCache
from hansa.business.hub import HubHandler
from hansa.business.openapi import Description
from hansa.business.routes import ApiResources, Route, other_method, route
from hansa.core.errors import Code, Fatal, HansaError, Refused, Unavailable

PARENT_MARK = "{}"
"""Stands for the identifier of a parent in a path that is looked up."""

log = structlog.get_logger()


class Match(NamedTuple):
    """What a path leads to."""

    route: Route
    parent_id: str | None
    entity_id: str


class BusinessApp:
    """The ASGI application of `hansa.business`."""

    def __init__(self, context: Context) -> None:
        self._limits = context.limits
        self._in_flight = 0
        self._bases = frozenset(api.base_path.rstrip("/") for api in context.models.apis)
        self._routes: dict[str, Route] = {}
        self._sub_routes: dict[str, Route] = {}
        response_cache = ResponseCache()
        self.resources = {api.id: ApiResources(api, context, response_cache) for api in context.models.apis}
        """By API."""
        for found in self.resources.values():
            described = Description(found.api, context.endpoint)
            own = {described.path: route({"GET": described.retrieve}, {})}
            for path, one in {**own, **HubHandler(found.api, context).routes, **found.routes}.items():
                if "{" in path:
                    self._sub_routes[path[: path.index("{")] + PARENT_MARK + path[path.index("}") + 1 :]] = (
                        one
                    )
                else:
                    self._routes[path] = one

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
        answer = await self.answer(scope, receive)
        if answer is not None:
            await send_response(send, answer, with_body=scope["method"] != "HEAD")

    async def answer(self, scope: Scope, receive: Receive) -> Response | None:
        """The answer to one request; None when the client went away before it was complete."""
        assert scope["type"] == "http", "the node routes nothing else here"
        if self._in_flight >= self._limits.requests_in_flight_max:
            return error_response(
                Unavailable(Code.OVERLOADED, "Too many requests are being processed.", retry_after_s=1)
            )
        self._in_flight += 1
        try:
            place = self._place(scope["path"])
            methods = place.route.item if place.entity_id else place.route.collection
            handle = methods.get(scope["method"])
            if handle is None:
                return other_method(scope["method"], methods)
            request = Request(scope, receive, self._limits)
            request.parent_id = place.parent_id
            return await handle(request, place.entity_id)
        except HansaError as error:
            if error.http_status == 500 or isinstance(error, Fatal):
                log.error("request_failed", path=scope["path"], code=str(error.code), problem=error.message)
            return error_response(error)
        except Disconnected:
            return None
        except Exception:
            log.exception("request_failed", path=scope["path"])
            return error_response(HansaError(Code.INTERNAL, ""))
        finally:
            self._in_flight -= 1

    def _place(self, path: str) -> Match:
        found = self._routes.get(path)
        if found is not None:
            return Match(found, None, "")
        head, _, last = path.rpartition("/")
        found = self._routes.get(head)
        if found is not None:  # a collection may have a slash behind it: nothing follows that
            return Match(found, None, last)
        # The collection, and then the item, of a sub-resource: …/parent/{id}/name and …/parent/{id}/name/{id}.
        upper, _, name = head.rpartition("/")
        for above, sub, entity_id in ((upper and head, last, ""), (upper, name, last)):
            parent, _, parent_id = above.rpartition("/")
            found = self._sub_routes.get(f"{parent}/{PARENT_MARK}/{sub}")
            if found is not None and parent_id:
                return Match(found, parent_id, entity_id)
        raise Refused(Code.NOT_FOUND, "No API serves this path.")
