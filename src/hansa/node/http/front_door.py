"""The front door: the ASGI application at the port, which passes every request to the part that answers it.

Paths of the TM Forum APIs go to `hansa.business` by a dictionary look-up; everything else is routed by
Starlette. An exception that no part handled is answered here, in the one form that errors have. While the
disk is nearly full, writes are answered with 503, and reads go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, Protocol

import structlog

from hansa.business.http.messages import Response, error_response, send_response
from hansa.business.http.shared_headers import HeaderBlock, SharedHeaders, has_token
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Unavailable
from hansa.node.http.fast_path import EXTENSION, FastPath
from hansa.node.http.rest_headers import RestHeaders
from hansa.node.http.traffic import Traffic

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
DISK_RETRY_AFTER_S: Final = 30.0
LEAGUE_PATH: Final = "/league/"
STREAM_PATH: Final = "/stream"

log = structlog.get_logger("hansa.node")


class Business(Protocol):
    """The TM Forum APIs."""

    def handles(self, path: str) -> bool:
        """Whether a path is of one of the APIs."""

    async def answer(self, scope: Any, receive: Any) -> Response | None:
        """The response to a request; None when the client has disconnected."""


class FrontDoor:
    """The root application.

    Args:
        business: For the paths that it handles.
        rest: For all others.
        traffic: Counts.
        is_disk_full: Whether writes are refused.
        clock: For the duration of requests.
        allowed_origins: Web origins whose pages may send tokens.
    """

    def __init__(
        self,
        business: Business,
        rest: AsgiApp,
        traffic: Traffic,
        is_disk_full: Callable[[], bool],
        clock: Clock,
        allowed_origins: Iterable[str] = (),
    ) -> None:
        self._business = business
        self._rest = rest
        self._traffic = traffic
        self._is_disk_full = is_disk_full
        self._clock = clock
        self._streams: set[asyncio.Task[Any]] = set()
        self._is_stopping = False
        self._shared = SharedHeaders()
        self._rest_headers = RestHeaders(SharedHeaders(allowed_origins))

    def stop_streams(self) -> None:
        """End the responses that have no end of their own, so that the server can stop."""
        self._is_stopping = True
        for task in tuple(self._streams):
            task.cancel()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        assert scope["type"] == "http", "the server accepts nothing else"
        path: str = scope["path"]
        started_at_s = self._clock.monotonic()
        self._traffic.in_flight += 1
        surface, status = "business", 500
        try:
            if self._business.handles(path):
                status = await self._answer_business(scope, receive, send)
            else:
                surface = "league" if path.startswith(LEAGUE_PATH) else "other"
                status = await self._answer_rest(scope, receive, send)
        finally:
            self._traffic.in_flight -= 1
            self._traffic.count(surface, status, self._clock.monotonic() - started_at_s)

    async def _answer_business(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> int:
        """Answer a request to the TM Forum APIs; the status of the response."""
        answer: Response | None
        if scope["method"] in WRITES and self._is_disk_full():
            full = Unavailable(
                Code.DISK_FULL,
                "The disk is nearly full: writes are refused, reads go on.",
                DISK_RETRY_AFTER_S,
            )
            answer = self._error(scope, full)
        else:
            try:
                answer = await self._business.answer(scope, receive)
            except Exception:
                log.exception("request_failed", path=scope["path"][:200], method=scope["method"])
                answer = self._error(scope, HansaError(Code.INTERNAL, "internal"))
        if answer is None:
            return 500
        with_body = scope["method"] != "HEAD"
        extensions = scope.get("extensions")
        write_response: FastPath | None = extensions.get(EXTENSION) if extensions else None
        if write_response is None or not write_response(
            scope, answer.status, answer.headers, answer.shared, answer.body, with_body=with_body
        ):
            await send_response(send, answer, with_body=with_body)
        return answer.status

    async def _answer_rest(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> int:
        """Have Starlette answer any other request; the status of the response."""
        status = 0

        async def counting_send(message: Message) -> None:
            nonlocal status
            if status == 0:
                status = message.get("status", 0)
                self._complete_head(scope, message)
            await send(message)

        try:
            if scope["path"].endswith(STREAM_PATH):
                await self._answer_stream(scope, receive, counting_send)
            else:
                await self._rest(scope, receive, counting_send)
        except Exception:
            log.exception("request_failed", path=scope["path"][:200], method=scope["method"])
            if status == 0:
                await _send_error(counting_send, HansaError(Code.INTERNAL, "internal"))
        return status or 500

    def _error(self, scope: MutableMapping[str, Any], error: HansaError) -> Response:
        return error_response(error).with_shared(self._shared_block(scope))

    def _shared_block(self, scope: MutableMapping[str, Any]) -> HeaderBlock:
        return self._shared.block(None, has_token=has_token(scope["headers"]), is_open=False)

    def _complete_head(self, scope: MutableMapping[str, Any], message: Message) -> None:
        """Tell caches and browsers whom a response is for, as far as whoever made it did not."""
        message["headers"] = [*message["headers"], *self._rest_headers.of(scope, message["headers"])]

    async def _answer_stream(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Have a stream answered, which ends with the client or with this marketplace."""
        task = asyncio.current_task()
        assert task is not None
        is_started = False

        async def watching_send(message: Message) -> None:
            nonlocal is_started
            is_started = is_started or message["type"] == "http.response.start"
            await send(message)

        self._streams.add(task)
        try:
            await self._rest(scope, receive, watching_send)
        except asyncio.CancelledError:
            if not self._is_stopping:
                raise
            if is_started:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await _send_error(send, Unavailable(Code.UNAVAILABLE, "This marketplace is stopping."))
        finally:
            self._streams.discard(task)


async def _send_error(send: Send, error: HansaError) -> None:
    answer: Response = error_response(error)
    await send_response(send, answer, with_body=True)
