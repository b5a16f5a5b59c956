"""What a connection is to its transport and to the registry: where it receives bytes, and how it ends."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

from hansa.node.http.connection.registry import Phase


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

    def eof_received(self) -> None:
        """The client sends no more; the transport ends the connection."""

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
