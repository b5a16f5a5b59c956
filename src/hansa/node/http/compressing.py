"""Compression of complete responses beside the TM Forum APIs.

By the rules of `hansa.business.http.compression`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from hansa.business.http.compression import Compressor, accepts_gzip, headers_of_compressed
from hansa.business.http.shared_headers import READS
from hansa.node.http.rest_headers import names_caller

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

CONTENT_LENGTH: Final = b"content-length"
BYTES_EXACT: Final = "/league/v1/entities"
"""Entities are sent as they are hashed."""


def may_be_compressed(scope: MutableMapping[str, Any]) -> bool:
    """Whether everybody gets this response, and the client takes it compressed."""
    headers = dict(scope["headers"])
    return (
        scope["method"] in READS
        and not names_caller(headers)
        and not scope["path"].startswith(BYTES_EXACT)
        and accepts_gzip(headers.get(b"accept-encoding"))
    )


class CompressingSend:
    """An ASGI `send` that compresses a response whose body comes in one piece."""

    def __init__(self, compressor: Compressor, send: Send) -> None:
        self._compressor = compressor
        self._send = send
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        """Hold the head back until the body is there, and then send both."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            body: bytes = message.get("body", b"")
            is_whole = not message.get("more_body", False)
            packed = await self._compressor.compressed(body) if is_whole else None
            if packed is not None:
                plain = [header for header in start["headers"] if header[0].lower() != CONTENT_LENGTH]
                length = (CONTENT_LENGTH, b"%d" % len(packed))
                start = {**start, "headers": [*headers_of_compressed(plain), length]}
                message = {**message, "body": packed}
            await self._send(start)
        await self._send(message)
