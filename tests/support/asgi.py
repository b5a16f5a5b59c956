"""A client that speaks to an ASGI application in the same process, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

Message = MutableMapping[str, Any]
Application = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


FORM: Final = "application/x-www-form-urlencoded"
Fields = Mapping[str, str | Sequence[str]] | Sequence[tuple[str, str]]
"""Of a form; one of them may come several times."""
COOKIE = b"set-cookie"
"""The one header that may come several times; a line each."""


class Response(msgspec.Struct, frozen=True):
    """What an application answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class AsgiClient:
    """Sends requests to an application."""

    def __init__(self, application: Application, headers: Mapping[str, str] | None = None) -> None:
        self._application = application
        self._headers = dict(headers or {})

    def with_headers(self, **headers: str) -> AsgiClient:
        """A client that sends these headers too; `_` in a name stands for `-`."""
        more = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return AsgiClient(self._application, {**self._headers, **more})

    async def request(
        self,
        method: str,
        target: str,
        json: Any = msgspec.UNSET,
        *,
        body: bytes | None = None,
        chunks: Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        left: asyncio.Event | None = None,
    ) -> Response:
        """Send one request.

        With `json`, with raw `body` bytes, or with a body in `chunks` of unknown length. The client leaves
        when `left` is set; then there is no response, and status is 0.
        """
        sent = {**self._headers, **{name.lower(): value for name, value in (headers or {}).items()}}
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            sent.setdefault("content-type", "application/json")
        parts = list(chunks) if chunks is not None else [body or b""]
        if chunks is None and body is not None:
            sent.setdefault("content-length", str(len(body)))
        split = urlsplit(target)
        scope: MutableMapping[str, Any] = {
            "type": "http",
            "method": method,
            "path": unquote(split.path),
            "raw_path": split.path.encode(),
            "query_string": split.query.encode(),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in sent.items()],
        }
        todo = [
            {"type": "http.request", "body": part, "more_body": n < len(parts)}
            for n, part in enumerate(parts, 1)
        ]
        messages: list[Message] = []

        async def receive() -> Message:
            if not todo:
                await (left or asyncio.Event()).wait()
                return {"type": "http.disconnect"}
            return todo.pop(0)

        async def send(message: Message) -> None:
            messages.append(message)

        await self._application(scope, receive, send)
        if not messages:
            return Response(0, {}, b"")
        start, *rest = messages
        cookies = [value.decode("latin-1") for name, value in start["headers"] if name.lower() == COOKIE]
        others = [(name, value) for name, value in start["headers"] if name.lower() != COOKIE]
        names = [name.lower() for name, _ in others]
        assert len(names) == len(set(names)), f"a header comes twice: {names}"
        answered = {name.decode(): value.decode("latin-1") for name, value in others}
        if cookies:
            answered[COOKIE.decode()] = "\n".join(cookies)
        return Response(start["status"], answered, b"".join(message.get("body", b"") for message in rest))

    async def get(self, target: str, **options: Any) -> Response:
        """GET."""
        return await self.request("GET", target, **options)

    async def post(self, target: str, json: Any = msgspec.UNSET, **options: Any) -> Response:
        """POST."""
        return await self.request("POST", target, json, **options)

    async def post_form(
        self, target: str, fields: Fields, headers: Mapping[str, str] | None = None
    ) -> Response:
        """POST of a form."""
        body = urlencode(fields, doseq=True).encode()
        return await self.post(target, body=body, headers={"content-type": FORM, **(headers or {})})

    async def patch(self, target: str, json: Any = msgspec.UNSET, **options: Any) -> Response:
        """PATCH."""
        return await self.request("PATCH", target, json, **options)

    async def delete(self, target: str, **options: Any) -> Response:
        """DELETE."""
        return await self.request("DELETE", target, **options)
