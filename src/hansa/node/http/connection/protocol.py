"""A connection: its bytes become requests, one after the other, and responses become bytes.

In place of uvicorn's own protocol, whose parser takes what the standard leaves open, buffers what it is sent
ahead, and sets a timer for every response. What runs a request stays uvicorn's `RequestResponseCycle`.

One request is under way at a time. What a client sends ahead of the response waits as bytes, and the
connection is not read meanwhile, so that a client holds one request and one response of this process at most.
While a client does not take a response, its next request is not begun.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.server import ServerState

from hansa.business.http.messages import Response
from hansa.core.error_response import error_response
from hansa.core.errors import Code, Refused, Unavailable
from hansa.node.http.callers import ACCOUNT, READS, CallerKind
from hansa.node.http.connection.base_connection import BaseConnection
from hansa.node.http.connection.chunked import ChunkedBody
from hansa.node.http.connection.registry import Phase
from hansa.node.http.connection.request_cycle import (
    RequestCycle,
    TaskEnd,
    http_scope,
    request_cycle,
    response_head,
)
from hansa.node.http.connection.request_head import (
    HEAD_END,
    REQUEST_LINE,
    RefusedRequest,
    check_beginning,
    malformed,
    read_request_line,
)
from hansa.node.http.connection.retained_fields import RetainedFields
from hansa.node.http.connection.starts import weight_of
from hansa.node.http.fast_path import EXTENSION, Headers, response_parts, write_response
from hansa.node.http.forwarded import client_address
from hansa.node.http.traffic import Refusal

HEAD_SIZE_MAX_BYTES: Final = 65_536
AHEAD_MAX_BYTES: Final = 524_288
"""Sent before the response to the request before: what a few reads bring. The registry bounds their sum."""
DISCARDED_MAX_BYTES: Final = 16_777_216
"""Of a body that is still sent after its request was answered."""
CARRIAGE_RETURN: Final = 13
REFUSALS_IN_ROW_MAX: Final = 100
"""A client that goes on although it is refused has to connect again."""


class HttpConnection(BaseConnection):
    """One connection; uvicorn makes it, with its own arguments."""

    def __init__(
        self,
        config: Any,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        del app_state
        super().__init__(config, _loop or asyncio.get_running_loop())
        self._server_state = server_state
        self._callers = config.callers
        self._starts = config.starts
        self._answer_at_once = config.answer_at_once
        self._tasks: set[asyncio.Task[None]] = server_state.tasks
        self._task: asyncio.Task[None] | None = None
        self.cycle: RequestCycle | None = None
        self._server: tuple[str, int | None] | None = None
        self._client: tuple[str, int] | None = None
        # What has arrived and not been read, and what is repeated from request to request.
        self._ahead = b""
        self._checked = 0
        """So many bytes of an incomplete head have been checked."""
        self._is_postponed = False
        """What has been received waits for a turn of the event loop in which more can be read."""
        self._retained = RetainedFields()
        # The body that arrives.
        self._left = 0
        self._chunks: ChunkedBody | None = None
        self._refusals = 0
        """In a row."""

    # -- the transport ---------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """A client has connected."""
        self.transport = transport
        self.flow = FlowControl(transport)
        self._server = get_local_addr(transport)
        self._client = get_remote_addr(transport)
        self.address = self._client[0] if self._client else ""
        self.is_trusted_proxy = self.config.proxies.is_trusted(self.address)
        self.account = self._callers.account(self.address)
        self.since_s = self._registry.now_s
        self._extensions = {EXTENSION: self._write_response, ACCOUNT: self.account}
        self._server_state.connections.add(self)  # type: ignore[arg-type] # uvicorn calls `shutdown` alone
        self._registry.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        del exc
        self._server_state.connections.discard(self)
        cycle, self.phase = self.cycle, Phase.CLOSING
        if cycle is not None:
            if not cycle.response_complete:
                cycle.disconnected = True
                if self._task is not None and cycle.scope["method"] in READS:
                    self._task.cancel()
            cycle.message_event.set()
        self.flow.resume_writing()
        self._registry.remove(self)
        self._extensions = {}
        self._ahead = b""

    def pause_writing(self) -> None:
        """The client does not take what is written: it is sent nothing more, and not read."""
        self.flow.pause_writing()
        self.flow.pause_reading()
        self._registry.begin_unsent(self)

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self.flow.resume_writing()
        self._registry.end_unsent(self)
        if self.phase in {Phase.IDLE, Phase.HEAD}:
            self._go_on()
        elif self.phase is Phase.BODY or not self._ahead:
            self.flow.resume_reading()

    def _has_to_answer(self) -> bool:
        is_waiting = self._is_postponed or (bool(self._ahead) and self.flow.write_paused)
        return self.phase is Phase.WORK or (is_waiting and self.phase is not Phase.CLOSING)

    def _method(self) -> str:
        return "" if self.cycle is None else self.cycle.scope["method"]

    def shutdown(self) -> None:
        """End after the response under way; called when the server stops."""
        if self.is_answered:
            self.is_ending = True
        elif self.cycle is None or self.cycle.response_complete:
            self.end()
        else:
            self.cycle.keep_alive = False

    # -- bytes become requests -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Read some bytes, or postpone that to another turn of the event loop."""
        starts = self._starts
        try:
            if starts.reads_left > 0 and not self._is_postponed:
                starts.reads_left -= 1
            elif self._is_postponed or not (self.account.kind >= CallerKind.MEMBER or starts.begin_reading()):
                self._postpone(data)
                return
            if self.phase is Phase.IDLE and not self._ahead:
                end = data.find(HEAD_END)
                if 3 < end < HEAD_SIZE_MAX_BYTES and data[0] != CARRIAGE_RETURN:
                    if rest := self._begin(data, end):  # most are one request and nothing else
                        self._read(rest)
                    return
            self._read(data)
        except RefusedRequest as refusal:
            self._refuse(refusal)

    def _read(self, data: bytes) -> None:
        """Read what has arrived, whatever it is of, as far as it can be now."""
        while data:
            phase = self.phase
            if phase is Phase.BODY:
                data = self._read_body(data)
            elif phase is Phase.CLOSING:
                return
            elif phase is Phase.WORK or self.flow.write_paused:
                if not self._retained.fields.is_last:
                    self._hold(data)
                return
            else:
                data = self._read_head(data)

    def _hold(self, data: bytes) -> None:
        """Have bytes wait for a response to be complete, or for a turn of the event loop."""
        self._ahead += data
        if len(self._ahead) > AHEAD_MAX_BYTES:
            raise malformed("Too much is sent ahead of a response.")
        if not self._registry.hold_ahead(self, len(self._ahead)):
            self._refuse_upload()
            return
        self.flow.pause_reading()

    def _postpone(self, data: bytes) -> None:
        """Have bytes wait for a turn in which more can be read; callers take turns."""
        if self.phase is Phase.CLOSING:
            return
        self._hold(data)
        if not self._is_postponed:
            self._is_postponed = True
            self._starts.wait(self.account, self._read_postponed, 1)

    def _read_postponed(self) -> None:
        """Read what has waited for this turn, unless it has to wait for a response now."""
        self._is_postponed = False
        phase = self.phase
        if phase is Phase.BODY or (phase in {Phase.IDLE, Phase.HEAD} and not self.flow.write_paused):
            self._read_held()
            self._end_when_answered()

    def _go_on(self) -> None:
        """Read what has waited for the response to be complete and taken."""
        self._checked = 0
        if self._ahead:
            self._set_phase(Phase.IDLE)
        self._read_held()
        self._end_when_answered()

    def _read_held(self) -> None:
        ahead, self._ahead = self._ahead, b""
        self.flow.resume_reading()
        if ahead:
            self._registry.hold_ahead(self, 0)
            try:
                self._read(ahead)
            except RefusedRequest as refusal:
                self._refuse(refusal)

    def _read_head(self, data: bytes) -> bytes:
        """Begin a request when its head is complete. Returns what follows the head."""
        if self._ahead:
            data, self._ahead = self._ahead + data, b""
            self._registry.hold_ahead(self, 0)
        if data.startswith(b"\r\n"):  # an empty line before a request means nothing (RFC 9112, section 2.2)
            data = data[2:]
            if data.startswith(b"\r"):
                raise malformed("A request begins with a method.")
            self._checked = 0
        end = data.find(HEAD_END)
        if end >= HEAD_SIZE_MAX_BYTES or (end < 0 and len(data) > HEAD_SIZE_MAX_BYTES):
            raise RefusedRequest(431, Code.TOO_LARGE, f"A head has at most {HEAD_SIZE_MAX_BYTES} bytes.")
        if end < 0:
            check_beginning(data, self._checked)
            if not self._registry.hold_ahead(self, len(data)):
                self._refuse_upload()
                return b""
            self._ahead, self._checked = data, len(data)
            if self.phase is Phase.IDLE and data:
                self._set_phase(Phase.HEAD)
            return b""
        self._checked = 0
        return self._begin(data, end)

    def _begin(self, data: bytes, end: int) -> bytes:
        """Begin the request whose head is the first so many bytes. Returns what follows, as of its body."""
        line_end = data.find(b"\r\n")
        block = data[line_end + 2 : end + 2]
        retained = self._retained
        if block != retained.block and not retained.exchange_length(block):
            self._use_fields(block)
        fields = retained.fields
        match = REQUEST_LINE.fullmatch(data, 0, line_end)
        if match is not None:
            method, target, version = match.groups()
        else:
            method, target, version = read_request_line(data[:line_end], fields)
        is_latest = version == b"1"
        if fields.host is None and is_latest:
            raise malformed("A request has a Host header.")
        if fields.is_all and is_latest and method == b"GET" and self._is_answered_at_once(target):
            return data[end + 4 :]
        if fields.is_chunked and not is_latest:
            raise malformed("HTTP/1.0 has no transfer codings.")
        self.has_requested = True
        cycle = self._cycle(method, target, fields, is_latest=is_latest)
        rest, length = data[end + 4 :], fields.content_length
        if fields.is_chunked or len(rest) < length or length > HIGH_WATER_LIMIT:
            self._left, self._chunks = length, ChunkedBody() if fields.is_chunked else None
            self.received_bytes = 0
            self._set_phase(Phase.BODY)
        else:
            if length:
                cycle.take_whole_body(rest[:length])
                self.received_bytes, rest = length, rest[length:]
            self.phase, cycle.more_body = Phase.WORK, False
            cycle.message_event.set()
        self._start(cycle, target, is_followed=len(data) > end + 4)
        return rest

    def _use_fields(self, block: bytes) -> None:
        """Read field lines that are not those of the request before, and find out whose they are."""
        assert not self.ahead_bytes, "what is held is subtracted from the account that it was added to"
        fields = self._retained.read(block)
        address = self.address
        if self.is_trusted_proxy:
            address = client_address(fields, address, self.config.proxies)
            self._client = (address, 0)
        self.account = self._callers.account(address, fields)
        self._extensions[ACCOUNT] = self.account

    def _is_answered_at_once(self, target: bytes) -> bool:
        """Whether the response to a GET is made without a task; it is written with others of this turn."""
        account, starts = self.account, self._starts
        if self._answer_at_once is None or account.is_spent or not starts.has_room(account):
            return False
        response = self._answer_at_once(target, self._retained.fields, account)
        if response is None:
            return False
        starts.count(weight_of(target))
        self.phase = Phase.WORK
        self.is_answered = self.has_requested = True
        default = self.config.default_headers.lines(self._server_state.default_headers)
        self.config.outbox.put(self, response_parts(default, response))
        return True

    def _cycle(self, method: bytes, target: bytes, fields: Any, *, is_latest: bool) -> RequestCycle:
        scope = http_scope(
            *(self._server, self._client, method, target, fields.pairs, self._extensions),
            http_version="1.1" if is_latest else "1.0",
        )
        self.cycle = cycle = request_cycle(
            scope,
            self.transport,
            self.flow,
            self._server_state.default_headers,
            self._on_response,
            expects_continue=fields.expects_continue,
            keep_alive=is_latest and not fields.is_last,
        )
        return cycle

    def _start(self, cycle: RequestCycle, target: bytes, *, is_followed: bool) -> None:
        """Have the application answer, unless the caller has too much of this process already."""
        account = self.account
        if account.requests >= account.concurrent_max:
            message, wait_s = "Too many requests of yours are under way.", 1.0
            self._refuse_caller(Refusal.REQUESTS_OF_CALLER, message, wait_s, is_followed=is_followed)
            return
        if account.is_spent:
            wait_s = account.wait_s(cycle.scope["method"], target)
            if wait_s > 0:
                message = "Your requests have taken more work than their share."
                self._refuse_caller(Refusal.WORK_OF_CALLER, message, wait_s, is_followed=is_followed)
                return
        account.requests += 1
        self._refusals = 0
        starts, weight = self._starts, weight_of(target)
        if starts.left > 0:
            starts.left -= weight
            self._run()
        else:
            starts.begin(account, self._run, weight)

    def _run(self) -> None:
        """Have the application answer the request under way."""
        cycle, account = self.cycle, self.account
        if cycle is None or cycle.disconnected:  # the client has left meanwhile
            account.end_request()
            return
        self._task = task = self.loop.create_task(cycle.run_asgi(self.config.loaded_app))
        self._tasks.add(task)
        task.add_done_callback(TaskEnd(self._tasks, account))

    def _read_body(self, data: bytes) -> bytes:
        """Hand a part of a body on. Returns what follows the body."""
        if self._chunks is None:
            part, rest = data[: self._left], data[self._left :]
            self._left -= len(part)
            is_complete = not self._left
        else:
            part, rest = self._chunks.feed(data)
            is_complete = self._chunks.is_complete
        cycle = self.cycle
        assert cycle is not None, "a body follows a head"
        self.received_bytes += len(data) - len(rest)
        if cycle.response_complete:
            if self.received_bytes > DISCARDED_MAX_BYTES:
                raise malformed("Too much of a body is sent after its response.")
        else:
            is_counted = not is_complete or self.upload_bytes
            if is_counted and not self._registry.add_upload(self, len(part)):
                self._refuse_upload()
                return b""
            cycle.body += part
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
        if is_complete:
            cycle.more_body = False
            self._chunks = None
            self._set_phase(Phase.IDLE if cycle.response_complete else Phase.WORK)
        cycle.message_event.set()
        return rest

    # -- responses become bytes ------------------------------------------------------------------------------

    def _write_response(self, scope: Any, response: Response, *, with_body: bool) -> bool:
        cycle = self.cycle
        assert cycle is not None, "a response follows a request"
        assert cycle.scope is scope, "one request is under way at a time"
        config = self.config
        return write_response(cycle, config.outbox, config.default_headers, response, with_body=with_body)

    def _on_response(self) -> None:
        """A response is complete."""
        self._server_state.total_requests += 1
        if self.upload_bytes:
            self._registry.end_upload(self)
        if self.transport.is_closing():
            if self.phase is not Phase.CLOSING:
                self._set_phase(Phase.CLOSING)
            return
        if self.phase is Phase.WORK:
            self.phase = Phase.IDLE
            self.since_s = self._registry.now_s
        if self.flow.write_paused:
            return
        if self._ahead and self.phase is Phase.IDLE:
            self._go_on()
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        self._end_when_answered()

    def _refuse_caller(self, reason: Refusal, message: str, wait_s: float, *, is_followed: bool) -> None:
        """Answer 429 with what is left of the budget; end a connection on which more was sent already."""
        self._registry.traffic.refuse(reason)
        response = error_response(Unavailable(Code.OVERLOADED, message, wait_s))
        headers = (*response.headers, (b"cache-control", b"no-store"), *self.account.headers())
        cycle = self.cycle
        assert cycle is not None, "a refusal follows a request"
        self._refusals += 1
        if cycle.more_body or is_followed or self._refusals > REFUSALS_IN_ROW_MAX:
            cycle.keep_alive = False
        self._answer(cycle, response.status, headers, response.body)

    def _answer(self, cycle: RequestCycle, status: int, headers: Headers, body: bytes) -> None:
        """Answer in place of the application, which has not been called."""
        shown = body if cycle.scope["method"] != "HEAD" else b""
        cycle.response_started = cycle.response_complete = True
        head = response_head(
            status, (*cycle.default_headers, *headers), len(body), keep_alive=cycle.keep_alive
        )
        self.transport.write(head + shown)
        cycle.message_event.set()
        if cycle.keep_alive:
            self._on_response()
        else:
            self._close_after_answer()

    def _refuse_upload(self) -> None:
        """Refuse a body for which there is no room."""
        self._registry.traffic.refuse(Refusal.UPLOAD_BYTES)
        response = error_response(Unavailable(Code.OVERLOADED, "Too much is being uploaded.", 5.0))
        self._interrupt(response.status, (*response.headers, *self.account.headers()), response.body)

    def _refuse(self, refusal: RefusedRequest) -> None:
        """Answer what cannot be read, and end the connection."""
        self._registry.traffic.refuse(Refusal.MALFORMED)
        response = error_response(Refused(refusal.code, refusal.message), status=refusal.status)
        self._interrupt(refusal.status, (*response.headers, (b"cache-control", b"no-store")), response.body)

    def _interrupt(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer in place of the application, if nothing has been answered, and end the connection."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
            if cycle.response_started:
                self.abort()
                return
        if not self.transport.is_closing():
            default = self._server_state.default_headers
            head = response_head(status, (*default, *headers), len(body), keep_alive=False)
            self.transport.write(head + body)
        self._close_after_answer()

    def _close_after_answer(self) -> None:
        """End the connection so that the client can read the response: no reset while it still sends."""
        self._set_phase(Phase.CLOSING)
        self._ahead = b""
        self._registry.hold_ahead(self, 0)
        self._registry.end_upload(self)
        self.flow.resume_reading()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        else:
            self.transport.close()
