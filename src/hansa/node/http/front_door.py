"""The front door: the ASGI application at the port, which passes every request to the part that answers it.

Paths of the TM Forum APIs go to `hansa.business` by a dictionary look-up; everything else is routed by
Starlette. An exception that no part handled is answered here, in the one form that errors have. While the
disk is nearly full, writes are answered with 503, and reads go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping
from typing import Any, Final, Protocol

import structlog

from hansa.business.http.compression import Compressor
from hansa.business.http.messages import Response, error_response, send_response
from hansa.business.http.shared_headers import Header, HeaderBlock, SharedHeaders
from hansa.core.clock import Clock
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import has_credentials
from hansa.core.identifiers import Entropy
from hansa.core.measured_work import MeasuredWork
from hansa.core.request_id import current_request, request_id, request_id_header
from hansa.node.http.access_log import log_access
from hansa.node.http.callers import ACCOUNT, ANSWER_FREE_BYTES, WORK_FREE_S, Account
from hansa.node.http.compressing import CompressingSend, may_be_compressed
from hansa.node.http.connection.request_head import Fields
from hansa.node.http.fast_path import EXTENSION, FastPath
from hansa.node.http.rest_headers import RestHeaders
from hansa.node.http.traffic import WRITES, Refusal, Traffic

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Coroutine[Any, Any, None]]

DISK_RETRY_AFTER_S: Final = 30.0
LEAGUE_PATH: Final = "/league/"
STREAM_PATH: Final = "/stream"
LEDGER_PATHS: Final = ("/league/v1/events", "/league/v1/ledger")
STREAM_RETRY_AFTER_S: Final = 10.0
QUERY_PARAMETERS_MAX: Final = 500
"""Of any request but to the TM Forum APIs, which have limits of their own: a head has room for tens of
thousands, and reading them would take longer than the request."""
CLIENT_CLOSED: Final = 499
"""In the counts: the client left before it was answered."""

log = structlog.get_logger("hansa.node")


class Business(Protocol):
    """The TM Forum APIs."""

    def handles(self, path: str) -> bool:
        """Whether a path is of one of the APIs."""

    async def answer(self, scope: Any, receive: Any) -> Response | None:
        """The response to a request; None when the client has disconnected."""

    def answer_at_once(
        self, path: str, query_string: bytes, headers: Mapping[bytes, bytes]
    ) -> Response | None:
        """The same to a GET, if everything for it is in memory; None when `answer` has to be awaited."""


class FrontDoor:
    """The root application.

    Args:
        business: For the paths that it handles.
        rest: For all others.
        traffic: Counts.
        is_disk_full: Whether writes are refused.
        clock: For the duration of requests.
        entropy: For the identifiers of requests.
        allowed_origins: Web origins whose pages may send tokens.
        compressor: For the bodies of responses.
        has_access_log: Whether every request is logged.
    """

    def __init__(
        self,
        business: Business,
        rest: AsgiApp,
        traffic: Traffic,
        is_disk_full: Callable[[], bool],
        clock: Clock,
        entropy: Entropy,
        allowed_origins: Iterable[str] = (),
        *,
        compressor: Compressor,
        has_access_log: bool = False,
    ) -> None:
        self._business = business
        self._rest = rest
        self._traffic = traffic
        self._is_disk_full = is_disk_full
        self._clock = clock
        self._entropy = entropy
        self._compressor = compressor
        self._has_access_log = has_access_log
        self._streams: set[asyncio.Task[Any]] = set()
        self._is_stopping = False
        self._shared = SharedHeaders()
        self._rest_headers = RestHeaders(SharedHeaders(allowed_origins), entropy)

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
        current_request.set(scope)
        surface, status = "business", CLIENT_CLOSED
        extensions = scope.get("extensions")
        account: Account | None = extensions.get(ACCOUNT) if extensions else None
        try:
            if self._business.handles(path):
                status = await self._answer_business(scope, receive, send, account)
            else:
                surface = "league" if path.startswith(LEAGUE_PATH) else "other"
                status = await self._answer_rest(scope, receive, send, account)
        finally:
            self._traffic.in_flight -= 1
            seconds = self._clock.monotonic() - started_at_s
            self._traffic.count(surface, scope["method"], status, seconds)
            if self._has_access_log:
                log_access(request_id(scope, self._entropy), scope, surface, status, seconds)

    def answer_at_once(self, target: bytes, fields: Fields, account: Account) -> Response | None:
        """The response to a GET for which everything is in memory, without a task or what else waiting needs.

        Args:
            target: Path and query, as they were sent.
            fields: Of the head, which is all of the request.
            account: Of the caller, who owes nothing.

        Returns:
            None when nothing has been done, and the request has to be answered as any other.
        """
        raw_path, _, query_string = target.partition(b"?")
        if self._has_access_log or b"%" in raw_path:  # a line of the log needs the scope of a request
            return None
        started_at_s = self._clock.monotonic()
        try:
            answer = self._business.answer_at_once(raw_path.decode("ascii"), query_string, fields.by_name)
        except Exception:  # and then it is answered as any other, and fails there
            log.exception("request_failed", path=raw_path[:200].decode("ascii"), method="GET")
            return None
        if answer is None:
            return None
        seconds = self._clock.monotonic() - started_at_s
        self._traffic.count("business", "GET", answer.status, seconds)
        if seconds > WORK_FREE_S or len(answer.body) > ANSWER_FREE_BYTES:
            scope = {"method": "GET", "raw_path": raw_path, "query_string": query_string}
            account.charge(scope, seconds, len(answer.body))
            return answer.with_headers(*account.headers())
        return answer

    async def _answer_business(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, account: Account | None
    ) -> int:
        """Answer a request to the TM Forum APIs; the status of the response."""
        answer: Response | None
        work_s = 0.0
        if scope["method"] in WRITES and self._is_disk_full():
            full = Unavailable(
                Code.DISK_FULL,
                "The disk is nearly full: writes are refused, reads go on.",
                DISK_RETRY_AFTER_S,
            )
            answer = self._error(scope, full)
        else:
            answering = self._business.answer(scope, receive)
            try:
                if account is None or account.budget is None:  # nobody is charged
                    answer = await answering
                else:
                    work = MeasuredWork(answering, self._clock.monotonic)
                    try:
                        answer = await work
                    finally:
                        work_s = work.seconds
            except Exception:
                log.exception("request_failed", path=scope["path"][:200], method=scope["method"])
                answer = self._error(scope, HansaError(Code.INTERNAL, "internal"))
        if answer is None:
            return CLIENT_CLOSED
        if account is not None:
            account.charge(scope, work_s, len(answer.body))
            if account.is_spent:
                answer = answer.with_headers(*account.headers())
        with_body = scope["method"] != "HEAD"
        extensions = scope.get("extensions")
        write_response: FastPath | None = extensions.get(EXTENSION) if extensions else None
        if write_response is None or not write_response(scope, answer, with_body=with_body):
            await send_response(send, answer, with_body=with_body)
        return answer.status

    async def _answer_rest(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, account: Account | None
    ) -> int:
        """Have Starlette answer any other request; the status of the response."""
        status = answer_bytes = 0
        path: str = scope["path"]

        async def counting_send(message: Message) -> None:
            nonlocal status, answer_bytes
            if status == 0:
                status = message.get("status", 0)
                self._complete_head(scope, message, account)
            else:
                answer_bytes += len(message.get("body", b""))
            await send(message)

        final_send: Send = counting_send
        if may_be_compressed(scope):
            final_send = CompressingSend(self._compressor, counting_send)
        if scope["query_string"].count(b"&") >= QUERY_PARAMETERS_MAX:
            message = f"The query has more than {QUERY_PARAMETERS_MAX} parameters."
            answered = _send_error(counting_send, Refused(Code.URI_TOO_LONG, message))
        elif path.endswith(STREAM_PATH):
            answered = self._answer_stream(scope, receive, counting_send, account)
        elif path.startswith(LEDGER_PATHS):
            answered = self._answer_reader(scope, receive, final_send, account)
        else:
            answered = self._rest(scope, receive, final_send)
        work = MeasuredWork(answered, self._clock.monotonic)
        try:
            await work
        except Exception:
            log.exception("request_failed", path=path[:200], method=scope["method"])
            if status == 0:
                await _send_error(counting_send, HansaError(Code.INTERNAL, "internal"))
        finally:
            if account is not None:
                account.charge(scope, work.seconds, answer_bytes)
        return status or CLIENT_CLOSED

    async def _answer_reader(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, account: Account | None
    ) -> None:
        """Answer from the ledger. All readers share a queue, so a caller may have a part of it."""
        if account is None:
            await self._rest(scope, receive, send)
            return
        if not account.begin_ledger_read():
            self._traffic.refuse(Refusal.LEDGER_READS_OF_CALLER)
            message = "Too many readings of the ledger by you are under way."
            await _send_error(send, Unavailable(Code.OVERLOADED, message), account.headers())
            return
        try:
            await self._rest(scope, receive, send)
        finally:
            account.end_ledger_read()

    def _error(self, scope: MutableMapping[str, Any], error: HansaError) -> Response:
        response = error_response(error).with_shared(self._shared_block(scope))
        return response.with_headers(request_id_header(scope, self._entropy))

    def _shared_block(self, scope: MutableMapping[str, Any]) -> HeaderBlock:
        return self._shared.block(None, has_token=has_credentials(dict(scope["headers"])), is_open=False)

    def _complete_head(
        self, scope: MutableMapping[str, Any], message: Message, account: Account | None
    ) -> None:
        """Tell caches and browsers whom a response is for, unless its maker did; and callers their budget."""
        own = message["headers"]
        headers = [*own, *self._rest_headers.of(scope, message["status"], own)]
        if account is not None and account.is_spent:
            headers += account.headers()
        message["headers"] = headers

    async def _answer_stream(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, account: Account | None
    ) -> None:
        """Have a stream answered, which ends with the client or with this marketplace."""
        if account is not None and not account.begin_stream():
            self._traffic.refuse(Refusal.STREAMS_OF_CALLER)
            full = Unavailable(Code.OVERLOADED, "Too many streams of yours are open.", STREAM_RETRY_AFTER_S)
            await _send_error(send, full, account.headers())
            return
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
            if account is not None:
                account.end_stream()


async def _send_error(send: Send, error: HansaError, headers: tuple[Header, ...] = ()) -> None:
    answer: Response = error_response(error)
    await send_response(send, answer.with_headers(*headers), with_body=True)
