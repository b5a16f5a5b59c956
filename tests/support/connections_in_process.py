"""A client's connection to an application in the same process, streams included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Self
from urllib.parse import urlencode

from hansa.client.connection import (
    ClientResponse,
    MarketplaceConnection,
    Parameters,
    ServerSentEvent,
    StreamLines,
)
from tests.support.asgi import Application, AsgiClient, Message


class InProcessConnection(MarketplaceConnection):
    """Hands requests to an application.

    Args:
        url: What the client calls it.
        application: Answers.
        token: Of the client.
    """

    def __init__(self, url: str, application: Application, token: str | None = None) -> None:
        super().__init__(url, token)
        self._application = application
        self._asgi = AsgiClient(application, {"authorization": f"Bearer {token}"} if token else {})
        self.is_reachable = True
        self.streams = 0
        """How many were opened."""
        self.messages_max: int | None = None
        """After so many messages a stream breaks."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass

    async def request(
        self,
        method: str,
        path: str,
        *,
        parameters: Parameters = (),
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float = 1.0,
    ) -> ClientResponse:
        """Carry out a request."""
        del timeout_s
        if not self.is_reachable:
            raise self.unreachable()
        target = f"{path}?{urlencode(list(parameters))}" if parameters else path
        headers = {"content-type": content_type} if body is not None else {}
        answer = await self._asgi.request(method, target, body=body, headers=headers)
        return ClientResponse(answer.status, answer.headers, answer.body)

    async def stream(
        self, path: str, parameters: Parameters = (), last_event_id: str | None = None
    ) -> AsyncGenerator[ServerSentEvent]:
        """Read a stream until it breaks."""
        if not self.is_reachable:
            raise self.unreachable()
        self.streams += 1
        chunks: asyncio.Queue[bytes] = asyncio.Queue()
        left = asyncio.Event()
        headers = [] if last_event_id is None else [(b"last-event-id", last_event_id.encode())]
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": urlencode(list(parameters)).encode(),
            "headers": headers,
        }

        async def receive() -> Message:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            chunks.put_nowait(message.get("body", b""))

        task = asyncio.create_task(_run(self._application, scope, receive, send))
        lines, count = StreamLines(), 0
        try:
            while self.is_reachable:
                for line in (await chunks.get()).splitlines():
                    message = lines.feed(line)
                    if message is not None:
                        yield message
                        count += 1
                        if count == self.messages_max:
                            raise self.unreachable()
            raise self.unreachable()
        finally:
            left.set()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _run(application: Application, scope: Any, receive: Any, send: Any) -> None:
    await application(scope, receive, send)
