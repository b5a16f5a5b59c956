"""The TM Forum APIs of a marketplace as one ASGI application.

Requests beyond the limit of those that are processed at the same time are answered 429 at once, so that the
others finish.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog

from hansa.business.context import Context
from hansa.business.http.compression import Compressor, accepts_gzip, headers_of_compressed, weakened
from hansa.business.http.faces.v4.terms import queued_response
from hansa.business.http.messages import (
    Disconnected,
    InWork,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    accept_patch,
    error_response,
    send_response,
)
from hansa.business.http.response_cache import ResponseCache
from hansa.business.http.routing import Handle, Match, RoutingTable, in_order, respond_without_handler
from hansa.business.http.shared_headers import READS, SharedHeaders
from hansa.business.jobs.files import JobFiles
from hansa.business.operations.api_operations import ApiOperations
from hansa.business.operations.forwarding.terms import WriteQueued
from hansa.business.patches import JSON_PATCH, MEDIA_TYPES
from hansa.business.routes import api_routes
from hansa.core.cache import HasFigures
from hansa.core.errors import Code, Fatal, HansaError, Unavailable, drop_tracebacks
from hansa.core.http import DPOP, has_credentials
from hansa.core.request_id import HEADER as REQUEST_ID
from hansa.core.request_id import request_id_header

OVERLOADED_RETRY_S: Final = 1.0

log = structlog.get_logger()


class BusinessApp:
    """The ASGI application of `hansa.business`."""

    def __init__(self, context: Context, job_files: JobFiles | None = None) -> None:
        """`job_files`: where import and export jobs have their files; None when no jobs run here."""
        self._limits = context.limits
        self._in_work = InWork(context.limits.requests_in_flight_max)
        self._large_work = context.large_work
        self._entropy = context.entropy
        self._endpoint = context.endpoint
        self._bases = frozenset(api.base_path.rstrip("/") for api in context.models.apis)
        self._routing = RoutingTable()
        apis = [context.extensions.extended(api) for api in context.models.apis]
        self.operations = {api.id: ApiOperations(api, context) for api in apis}
        """By API."""
        self._shared = SharedHeaders(context.policies.allowed_origins)
        self.compressor: Final = Compressor(context.limits.caches.compressed)
        """For whoever else compresses responses, too."""
        cache = ResponseCache(context.limits.caches.responses)
        self.caches: Final[tuple[HasFigures, ...]] = (cache.cache, cache.requests, self.compressor.cache)
        """For their figures."""
        for one in self.operations.values():
            make = partial(api_routes, one, context, cache, job_files)
            self._routing.add_below(one.api.base_path.rstrip("/"), make)

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
        in_work = self._in_work
        request = Request(scope, receive, self._limits, in_work, self._large_work)
        is_open = False
        if in_work.count >= in_work.strangers_max and not in_work.has_room(
            is_stranger=not has_credentials(request.headers)
        ):
            return self._finished(scope, request.headers, error_response(_overloaded()))
        in_work.count += 1
        try:
            match = self._routing.match(scope["path"])
            is_open = match.route.is_open and request.method in READS
            methods = match.route.item if match.entity_id else match.route.collection
            handle = methods.get(request.method)
            if handle is None:
                response = self._without_handler(request, match, methods)
            else:
                request.parent_id = match.parent_id
                response = await handle(request, match.entity_id)
        except HansaError as error:
            if error.http_status == 500 or isinstance(error, Fatal):
                log.error("request_failed", path=scope["path"], code=str(error.code), problem=error.message)
            response = error_response(error)
            drop_tracebacks(error)
        except WriteQueued as queued:
            response = queued_response(queued, self._endpoint)
        except Disconnected:
            return None
        except Exception:
            log.exception("request_failed", path=scope["path"])
            response = error_response(HansaError(Code.INTERNAL, ""))
        finally:
            in_work.count -= 1
        if self._may_be_compressed(request.headers):
            response = await self._compressed(request.headers, response)
        return self._finished(scope, request.headers, response, is_open=is_open)

    def answer_at_once(
        self, path: str, query_string: bytes, headers: Mapping[bytes, bytes]
    ) -> Response | None:
        """The response to a GET for which everything is in memory; None when `answer` has to be awaited.

        It is the same response, without what a request costs that may have to wait.
        """
        handle, entity_id, is_open = self._routing.at_once(path)
        # A proof (DPoP) is good for one request, and `answer` would look at it again.
        if handle is None or DPOP in headers or self._in_work.count >= self._in_work.strangers_max:
            return None
        try:
            response = handle(headers, query_string, entity_id)
        except HansaError as error:
            response = error_response(error) if error.http_status < 500 else None
            drop_tracebacks(error)
        if response is not None and self._may_be_compressed(headers):
            packed = self.compressor.cached(response.body)
            response = None if packed is None else _in_gzip(response, packed)
        if response is None:
            return None
        return self._finished({"headers": headers.items()}, headers, response, is_open=is_open)

    @staticmethod
    def _may_be_compressed(headers: Mapping[bytes, bytes]) -> bool:
        """Whether the client takes gzip, and everybody may read what it is sent."""
        return (
            b"accept-encoding" in headers
            and not has_credentials(headers)
            and accepts_gzip(headers[b"accept-encoding"])
        )

    async def _compressed(self, headers: Mapping[bytes, bytes], response: Response) -> Response:
        """A response in gzip, if it becomes shorter."""
        if response.status == 304 and b"W/" in headers.get(b"if-none-match", b""):
            return response.with_other_headers(map(weakened, response.headers))
        packed = await self.compressor.compressed(response.body)
        return response if packed is None else _in_gzip(response, packed)

    def _finished(
        self, scope: Scope, headers: Mapping[bytes, bytes], response: Response, *, is_open: bool = False
    ) -> Response:
        """A response with the headers that tell caches and browsers whom it is for."""
        if response.status >= 400 or REQUEST_ID in headers:
            response = response.with_headers(request_id_header(scope, self._entropy))
        return response.with_shared(
            self._shared.block(headers.get(b"origin"), has_token=has_credentials(headers), is_open=is_open)
        )

    def _without_handler(self, request: Request, match: Match, methods: Mapping[str, Handle]) -> Response:
        """The response to OPTIONS, and to a method that is not offered."""
        headers = request.headers
        more = self._shared.preflight(
            headers.get(b"origin"),
            headers.get(b"access-control-request-method"),
            in_order(methods),
            is_open=match.route.is_open,
        )
        if "PATCH" in methods:
            more = (*more, accept_patch(MEDIA_TYPES if match.entity_id else (JSON_PATCH,)))
        return respond_without_handler(request.method, methods, *more)


def _in_gzip(response: Response, packed: bytes) -> Response:
    return Response(response.status, packed, headers_of_compressed(response.headers), response.shared)


def _overloaded() -> Unavailable:
    return Unavailable(
        Code.OVERLOADED, "Too many requests are being processed.", retry_after_s=OVERLOADED_RETRY_S
    )
