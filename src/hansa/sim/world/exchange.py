"""One request to an ASGI application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from hansa.core.http import HttpResponse

Message: TypeAlias = MutableMapping[str, Any]
Application: TypeAlias = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


async def exchange(
    application: Application, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> HttpResponse:
    """What an application answers to a request."""
    split = urlsplit(target)
    sent = {name.lower(): value for name, value in headers.items()}
    sent.setdefault("content-length", str(len(body)))
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "method": method,
        "path": unquote(split.path),
        "raw_path": split.path.encode(),
        "query_string": split.query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
    }
    bodies = [body]
    messages: list[Message] = []

    async def receive() -> Message:
        if not bodies:
            await asyncio.Event().wait()  # nobody leaves before the answer
        return {"type": "http.request", "body": bodies.pop(), "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    await application(scope, receive, send)
    assert messages, "an application answers"
    start, *rest = messages
    answered = {name.decode().lower(): value.decode("latin-1") for name, value in start["headers"]}
    return HttpResponse(start["status"], answered, b"".join([one.get("body", b"") for one in rest]))
