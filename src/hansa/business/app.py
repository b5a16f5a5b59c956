"""The TM Forum APIs of a marketplace as one ASGI application.

Requests beyond the limit of those that are processed at the same time are answered 429 at once, so that the
others finish.
"""

from __future__ import annotations

from typing import Final

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
from hansa.business.http.routing import RoutingTable, respond_without_handler
from hansa.business.jobs.files import JobFiles
from hansa.business.operations.api_operations import ApiOperations
from hansa.business.routes import api_routes
from hansa.core.cache import HasFigures
from hansa.core.errors import Code, Fatal, HansaError, Unavailable

log = structlog.get_logger()


class BusinessApp:
    """The ASGI application of `hansa.business`."""

    def __init__(self, context: Context, job_files: JobFiles | None = None) -> None:
        """`job_files`: where import and export jobs have their files; None when no jobs run here."""
        self._limits = context.limits
        self._in_flight = 0
        self._bases = frozenset(api.base_path.rstrip("/") for api in context.models.apis)
        self._routing = RoutingTable()
        self.operations = {api.id: ApiOperations(api, context) for api in context.models.apis}
        """By API."""
        cache = ResponseCache()
        self.caches: Final[tuple[HasFigures, ...]] = (cache.cache, cache.requests)
        """For their figures."""
        for operations in self.operations.values():
            for path, route in api_routes(operations, context, cache, job_files).items():
                self._routing.add(path, route)

    def handles(self, path: str) -> bool:
        """Whether a path lies under the base path of an API."""
        second = path.find("/", path.find("/", 1) + 1)
        if second < 0:
            return path in self._bases
        third = path.find("/", second + 1)
        return path[:second] in self._bases or (path if third < 0 else path[:third]) in self._bases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        response = await self.answer(scope, receive)
        if response is not None:
            await send_response(send, response, with_body=scope["method"] != "HEAD")

    async def answer(self, scope: Scope, receive: Receive) -> Response | None:
        """The response to one request; None when the client closed the connection before it was complete."""
        assert scope["type"] == "http", "the node routes nothing else here"
        if self._in_flight >= self._limits.requests_in_flight_max:
            return error_response(
                Unavailable(Code.OVERLOADED, "Too many requests are being processed.", retry_after_s=1)
            )
        self._in_flight += 1
        try:
            match = self._routing.match(scope["path"])
            methods = match.route.item if match.entity_id else match.route.collection
            handle = methods.get(scope["method"])
            if handle is None:
                return respond_without_handler(scope["method"], methods)
            request = Request(scope, receive, self._limits)
            request.parent_id = match.parent_id
            return await handle(request, match.entity_id)
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
