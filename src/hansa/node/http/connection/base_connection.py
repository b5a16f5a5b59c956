"""What a connection is to its transport and to the registry: where it receives bytes, and how it ends."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl

from hansa.node.http.callers import READS
from hansa.node.http.connection.registry import Phase

HALF_CLOSED_S: Final = 1.0
"""So long a client that sends no more is worked for; it may have left altogether, which looks the same."""


class BaseConnection(asyncio.BufferedProtocol):
    """A connection without its protocol.

    Args:
        config: What the connections of a server share.
        loop: On which it is used.
    """

    transport: asyncio.Transport
    flow: FlowControl

    def __init__(self, config: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.loop = loop
        self._registry = config.connections
        self._received = config.received
        # What the registry looks at.
        self.phase = Phase.IDLE
        self.since_s = 0.0
        self.received_bytes = 0
        self.upload_bytes = self.ahead_bytes = 0
        self.has_requested = False
        self.is_half_closed = False
        """Whether the client sends no more."""
        self.is_answered = self.is_ending = False
        """Whether a response that was made at once is about to be written, and whether it is the last one."""
        self.address = ""
        self.is_trusted_proxy = False

    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """Some bytes have been received."""

    @abstractmethod
    def _on_response(self) -> None:
        """A response is complete."""

    @abstractmethod
    def _has_to_answer(self) -> bool:
        """Whether a request that has arrived is not answered yet."""

    @abstractmethod
    def _method(self) -> str:
        """Of the request under way."""

    def finish(self, parts: Iterable[bytes]) -> None:
        """Write a response that was made at once, unless the connection has ended meanwhile."""
        self.is_answered = False
        if self.phase is not Phase.WORK or self.transport.is_closing():
            return
        for part in parts:
            self.transport.write(part)
        self._on_response()
        if self.is_ending:
            self.end()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes are received."""
        del sizehint
        is_body = self.phase is Phase.BODY
        buffer: memoryview = self._received.for_body if is_body else self._received.for_head
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Some bytes are in the buffer."""
        self.data_received(self._received.received(nbytes))

    def eof_received(self) -> bool:
        """The client sends no more; whether the connection goes on, until its requests are answered."""
        if self.is_half_closed or not self._has_to_answer():
            return self.is_half_closed
        self.is_half_closed = True
        self.loop.call_later(HALF_CLOSED_S, self._end_half_closed)
        return True

    def _end_half_closed(self) -> None:
        """Do no more for a client that sends no more; what it changes is finished."""
        if self.phase is Phase.WORK and not self.is_answered and self._method() in READS:
            self.abort()
        elif self._has_to_answer():
            self.loop.call_later(HALF_CLOSED_S, self._end_half_closed)
        else:
            self._end_when_answered()

    def _end_when_answered(self) -> None:
        """End, if the client sends no more and nothing is left to be answered."""
        if self.is_half_closed and self.phase is not Phase.CLOSING and not self._has_to_answer():
            self.end()

    def unsent_bytes(self) -> int:
        """What waits for the client to read."""
        return self.transport.get_write_buffer_size()

    def is_reading_paused(self) -> bool:
        """Whether it is this process that lets the client wait."""
        return self.flow.read_paused

    def abort(self) -> None:
        """End at once, and drop what was not sent."""
        self._set_phase(Phase.CLOSING)
        # Not while the transport is in the middle of a write, from which this may be called.
        self.loop.call_soon(self.transport.abort)

    def end(self) -> None:
        """End when what has been written is sent."""
        self._set_phase(Phase.CLOSING)
        self.transport.close()

    def _set_phase(self, phase: Phase) -> None:
        self.phase = phase
        self.since_s = self._registry.now_s
