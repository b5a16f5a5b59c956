"""The ABCI server: CometBFT's side of the ledger application, on a unix socket.

CometBFT opens four connections (consensus, mempool, snapshots, queries). On each it sends requests, every one
a protobuf `Request` behind its length as an unsigned varint, and expects as many `Response`s in the same
order. It does not wait for one answer before it sends the next request.

Everything is answered on one event loop, one request at a time, so no two requests see the state change
between them. What is not a request (an overlong or malformed message) ends that connection with a log line
and touches nothing else. An application that cannot go on ends the server (`serve` raises): an unanswered
request is how CometBFT learns that the application has ended.
"""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError
from structlog.typing import FilteringBoundLogger

from hansa.core.errors import Code, Fatal, Refused
from hansa.pubsub.engine.sockets import remove_stale_socket
from hansa.pubsub.ledger.methods import AbciMethods, parse_request
from hansa.pubsub.light.chain.wire import delimited

MESSAGE_SIZE_MAX_BYTES: Final = 33_554_432
"""A genesis document with thousands of members, or a block with all that CometBFT sends along, is far
smaller."""

READ_SIZE_BYTES: Final = 262_144
LENGTH_SIZE_MAX_BYTES: Final = 5


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self, message_size_max_bytes: int = MESSAGE_SIZE_MAX_BYTES) -> None:
        self._size_max_bytes = message_size_max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add received bytes; the messages that are complete now.

        Raises:
            Refused: `Code.TOO_LARGE` or `Code.MALFORMED`; the stream is of no use any more.
        """
        self._buffer += data
        messages: list[bytes] = []
        start = 0
        while (frame := self._length(start)) is not None:
            length, begin = frame
            if length > self._size_max_bytes:
                raise Refused(
                    Code.TOO_LARGE, f"A message of {length} bytes; {self._size_max_bytes} are allowed."
                )
            if begin + length > len(self._buffer):
                break
            start = begin + length
            messages.append(bytes(self._buffer[begin:start]))
        del self._buffer[:start]
        return messages

    def _length(self, start: int) -> tuple[int, int] | None:
        """The length written at `start`, and where its message begins; None when it is not complete yet."""
        length = 0
        for index in range(LENGTH_SIZE_MAX_BYTES):
            if start + index >= len(self._buffer):
                return None
            byte = self._buffer[start + index]
            length |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return length, start + index + 1
        raise Refused(Code.MALFORMED, "A message's length is no varint of 32 bits.")


class AbciServer:
    """Serves the application."""

    def __init__(self, methods: AbciMethods, logger: FilteringBoundLogger) -> None:
        self._methods = methods
        self._logger = logger
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, path: Path, ready: asyncio.Event | None = None) -> None:
        """Listen on a unix socket that its owner alone can use, until cancelled.

        Raises:
            Fatal: what made the application give up; or `Code.SETTINGS_INVALID`, when nobody can listen
                there.
        """
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._writers.add(writer)
            try:
                await self._converse(reader, writer)
            except (ConnectionError, asyncio.CancelledError):
                pass  # the other side has closed, or the server is closing: there is nobody to answer
            except BaseException as error:  # noqa: BLE001 - whatever it is, it ends the server, not one connection
                if not ended.done():
                    ended.set_exception(error)
            finally:
                self._writers.discard(writer)
                writer.close()

        server = await asyncio.start_unix_server(handle, sock=_listening_socket(path))
        self._logger.info("ledger_application_listens", socket=str(path))
        if ready is not None:
            ready.set()
        try:
            await ended
        finally:
            server.close()
            for writer in tuple(self._writers):
                writer.close()
            remove_stale_socket(path)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        frames = Frames()
        while data := await reader.read(READ_SIZE_BYTES):
            try:
                for message in frames.feed(data):
                    self._send(writer, self._methods.answer(parse_request(message)))
            except (DecodeError, Refused) as error:
                self._logger.warning("abci_connection_closed", reason=str(error)[:200])
                return
            await writer.drain()

    def _send(self, writer: asyncio.StreamWriter, response: Any) -> None:
        raw = response.SerializeToString()
        writer.write(delimited(raw))


def _listening_socket(path: Path) -> socket.socket:
    remove_stale_socket(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise Fatal(Code.SETTINGS_INVALID, f"The socket {path} cannot be made: {error.strerror}.") from error
    finally:
        os.umask(umask)
    listener.setblocking(False)
    return listener
