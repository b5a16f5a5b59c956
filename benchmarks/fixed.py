"""Servers that send the same response to every request: the baseline of the measured figures.

`python -m benchmarks.fixed uvicorn PORT` is the baseline: the least that an ASGI application can do, under
uvicorn with the settings that a marketplace runs with. `raw` writes the same response without parsing
anything, and shows how much load the generator can make.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

import uvicorn
import uvloop

BODY = b'{"answer":"the same for everyone"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]

Message = MutableMapping[str, Any]


async def application(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],  # noqa: ARG001  ASGI's signature
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Send the fixed response."""
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


class RawServer(asyncio.Protocol):
    """Sends the same response for whatever it receives; right for one request at a time alone."""

    RESPONSE = b"HTTP/1.1 200 OK\r\n" + b"".join(k + b": " + v + b"\r\n" for k, v in HEADERS) + b"\r\n" + BODY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:  # noqa: ARG002  asyncio's signature
        """Send the fixed response."""
        self._transport.write(self.RESPONSE)


async def serve_raw(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(RawServer, "127.0.0.1", port)
    await server.serve_forever()


def main() -> None:
    """`fixed (uvicorn|raw) PORT`."""
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "raw":
        uvloop.run(serve_raw(port))
    else:
        uvicorn.run(
            application,
            host="127.0.0.1",
            port=port,
            loop="uvloop",
            http="httptools",
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="warning",
        )


if __name__ == "__main__":
    main()
