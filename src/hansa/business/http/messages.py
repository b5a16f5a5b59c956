"""Requests as they are read, and responses as they are written (TMF630 Part 1, chapter 3).

Bodies are JSON in UTF-8 and bounded in size, depth and length of arrays and strings before anything else
looks at them. A body without a media type, or with the `text/plain` that tools send by default, is taken as
JSON. Every response that is not a success carries TM Forum's error body, with the address of the page on its
code.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from hansa.business.http.coding import GZIP, IDENTITY, GzipReader, decompressed
from hansa.business.http.shared_headers import NO_BLOCK, Header, HeaderBlock
from hansa.core.bounded_json import read_json, read_object
from hansa.core.error_response import error_response as core_error_response
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.http import JSON, has_credentials
from hansa.core.limits import Limits
from hansa.core.thread_work import SMALL_MAX_BYTES, LargeWork

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

T = TypeVar("T")

CONTENT_TYPE: Final = (b"content-type", b"application/json;charset=utf-8")
DEFAULT_OF_TOOLS: Final = "text/plain"
"""What tools send as the media type of a body when their user named none."""
JSON_TYPES: Final = (JSON,)
RESERVED_PART: Final = 4
UNKNOWN_SHOWN_MAX_CHARS: Final = 400
"""Of a query where none is taken, so much is shown."""
"""One of so many places for requests is for those that carry a token."""
BODILESS: Final = frozenset({204, 304})
"""Statuses whose responses have neither body nor length (RFC 9110, section 8.6)."""
ACCEPT_ENCODING: Final = (b"accept-encoding", b"gzip, identity")
WHOLE_BODY: Final = "hansa.whole_body"
"""Name in the scope of a request: its body, where that has arrived with its head; it is received as well."""


class Response(msgspec.Struct, frozen=True):
    """A complete response."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()
    """Its own."""
    shared: HeaderBlock = NO_BLOCK
    """Further headers, which many responses have."""

    def with_shared(self, block: HeaderBlock) -> Response:
        """The same response with that block of headers."""
        return Response(self.status, self.body, self.headers, block)

    def with_headers(self, *headers: Header) -> Response:
        """The same response with further headers."""
        return Response(self.status, self.body, (*self.headers, *headers), self.shared)

    def with_other_headers(self, headers: Iterable[Header]) -> Response:
        """The same response with these headers in place of its own."""
        return Response(self.status, self.body, tuple(headers), self.shared)


class UnsupportedContent(Refused):
    """A body in a form that is not taken here, with the headers that name the forms that are."""

    def __init__(self, message: str, *accepted: Header) -> None:
        super().__init__(Code.UNSUPPORTED_MEDIA_TYPE, message)
        self.accepted = accepted


class Disconnected(Exception):
    """The client went away before its request was complete."""


class InWork:
    """How many requests are being worked on: those whose body is there. Strangers leave others some places.

    Args:
        count_max: At most.
    """

    def __init__(self, count_max: int) -> None:
        self.count = 0
        self.count_max = count_max
        self.strangers_max = count_max - count_max // RESERVED_PART

    def has_room(self, *, is_stranger: bool) -> bool:
        """Whether one more request may be counted."""
        return self.count < (self.strangers_max if is_stranger else self.count_max)


class Request:
    """One request, as far as a handler needs it."""

    __slots__ = (
        "_in_work",
        "_large_work",
        "_receive",
        "_whole_body",
        "headers",
        "limits",
        "method",
        "parent_id",
        "path",
        "query_string",
        "raw",
    )

    def __init__(
        self, scope: Scope, receive: Receive, limits: Limits, in_work: InWork, large_work: LargeWork
    ) -> None:
        self.method: str = scope["method"]
        self.query_string: bytes = scope["query_string"]
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.path: str = scope["path"]
        self.raw = b""
        """The body, once it has been read."""
        self.limits = limits
        self.parent_id: str | None = None
        """Identifier in the path of a sub-resource before its own name."""
        self._receive = receive
        self._whole_body: bytes | None = scope.get(WHOLE_BODY)
        self._in_work = in_work
        self._large_work = large_work

    def accept_json(self) -> None:
        """Check that the client takes JSON.

        Raises:
            Refused: `Code.NOT_ACCEPTABLE`.
        """
        if takes_json(self.headers):
            return
        raise Refused(Code.NOT_ACCEPTABLE, "Answers are application/json;charset=utf-8.")

    def check_no_parameters(self) -> None:
        """Refuse a query string: a parameter that is ignored would have narrowed what happens.

        Raises:
            Refused: `Code.INVALID`.
        """
        if self.query_string:
            parts = self.query_string[:UNKNOWN_SHOWN_MAX_CHARS].split(b"&")
            names = dict.fromkeys(part.partition(b"=")[0][:60].decode("latin-1") for part in parts)
            shown = ", ".join(map(repr, names))
            is_one = len(names) == 1
            raise Refused(
                Code.INVALID,
                f"{shown} {'is no parameter' if is_one else 'are no parameters'} of this request; it takes none.",
            )

    def media_type(self, offered: tuple[str, ...]) -> str:
        """The media type of the body, one of those offered.

        Raises:
            Refused: `Code.UNSUPPORTED_MEDIA_TYPE`.
        """
        content_type = self.headers.get(b"content-type")
        if content_type is None or content_type == b"application/json":
            return self._offered(JSON, offered)
        name, _, parameters = content_type.partition(b";")
        for parameter in parameters.lower().split(b";"):
            key, _, value = parameter.partition(b"=")
            if key.strip() == b"charset" and value.strip().strip(b'"') not in {b"utf-8", b"utf8"}:
                raise UnsupportedContent("JSON is sent in UTF-8.", self._accepted(offered))
        media_type = name.strip().lower().decode("latin-1")
        return self._offered(JSON if media_type == DEFAULT_OF_TOOLS else media_type, offered)

    def _offered(self, media_type: str, offered: tuple[str, ...]) -> str:
        if media_type not in offered:
            raise UnsupportedContent(
                f"A body here is {' or '.join(sorted(offered))}.", self._accepted(offered)
            )
        if b"content-encoding" in self.headers and not self._is_gzip and not self._is_plain:
            raise UnsupportedContent("A body is compressed with gzip, or not at all.", ACCEPT_ENCODING)
        return media_type

    def _accepted(self, offered: tuple[str, ...]) -> Header:
        """The header that names the media types of bodies (RFC 9110, 15.5.16; of patches RFC 5789, 2.2)."""
        return accept_patch(offered) if self.method == "PATCH" else (b"accept", ", ".join(offered).encode())

    @property
    def _is_gzip(self) -> bool:
        return self.headers.get(b"content-encoding", IDENTITY).strip().lower() in GZIP

    @property
    def _is_plain(self) -> bool:
        return self.headers.get(b"content-encoding", IDENTITY).strip().lower() in {b"", IDENTITY}

    async def json(self, media_types: tuple[str, ...] = JSON_TYPES) -> dict[str, Any]:
        """The body, a JSON object.

        Raises:
            Refused: `Code.UNSUPPORTED_MEDIA_TYPE`, `Code.TOO_LARGE`, `Code.MALFORMED` or `Code.INVALID`.
            Unavailable: `Code.OVERLOADED`.
            Disconnected: The client went away.
        """
        self.media_type(media_types)
        return await self._read(read_object)

    async def value(self) -> Any:
        """The body, any JSON value, whatever its media type.

        Raises:
            Refused: `Code.TOO_LARGE`, `Code.MALFORMED` or `Code.INVALID`.
            Unavailable: `Code.OVERLOADED`.
            Disconnected: The client went away.
        """
        return await self._read(read_json)

    async def _read(self, read: Callable[[bytes, Limits], T]) -> T:
        """The body, decoded; a large one beside the event loop, for many may be complete at the same time."""
        content = await self.content()
        return await self._large_work.run(
            len(content), partial(read, content, self.limits), is_stranger=self._is_stranger
        )

    @property
    def _is_stranger(self) -> bool:
        return not has_credentials(self.headers)

    async def content(self) -> bytes:
        """The body, whatever it is, decompressed.

        Raises:
            Refused: `Code.TOO_LARGE`, or `Code.MALFORMED` when it is no gzip and says so.
            Unavailable: `Code.OVERLOADED`.
            Disconnected: The client went away.
        """
        if not self.raw:
            self.raw = await self._body()
            if b"content-encoding" in self.headers and self._is_gzip:
                self.raw = await self._decompressed(self.raw)
        return self.raw

    async def _decompressed(self, raw: bytes) -> bytes:
        """What a body decompresses to; beside the event loop, when that is much."""
        plain = decompressed(raw, SMALL_MAX_BYTES)
        if plain is None:
            size_max = self.limits.body_size_max_bytes
            work = partial(decompressed, raw, size_max)
            plain = await self._large_work.run(size_max, work, is_stranger=self._is_stranger)
            if plain is None:
                raise _too_large(size_max)
        return plain

    async def left(self) -> None:
        """Wait until the client has gone away; for work that is of no use without it, once the body is read.

        Raises:
            Disconnected: It has.
        """
        while (await self._receive())["type"] == "http.request":
            pass
        raise Disconnected

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it arrives, decompressed, of any size: whoever takes it keeps a bound.

        Raises:
            Refused: `Code.MALFORMED`, when it is no gzip and says so.
            Disconnected: The client went away.
        """
        gzip = GzipReader() if self._is_gzip else None
        while True:
            message = await self._received()
            if message["type"] != "http.request":
                raise Disconnected
            part: bytes = message.get("body", b"")
            if gzip is None:
                yield part
            else:
                for chunk in gzip.read(part):
                    yield chunk
            if not message.get("more_body", False):
                break
        if gzip is not None:
            gzip.finish()

    async def aside(self, work: Awaitable[T]) -> T:
        """The result of something that is waited for. Meanwhile the request is not in work."""
        self._in_work.count -= 1
        try:
            return await work
        finally:
            self._in_work.count += 1

    async def _received(self) -> Message:
        """The next part of the body. Meanwhile the request is not in work."""
        self._in_work.count -= 1
        try:
            return await self._receive()
        finally:
            self._in_work.count += 1  # without a question: whoever sent it has waited already

    async def _body(self) -> bytes:
        size_max = self.limits.body_size_max_bytes
        declared = self.headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > size_max:
            raise _too_large(size_max)
        if self._whole_body is not None:
            return self._whole_body
        message = await self._received()
        raw: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body", False):
            if len(raw) > size_max:
                raise _too_large(size_max)
            return raw
        parts, size = [raw], len(raw)
        while message["type"] == "http.request" and message.get("more_body", False):
            message = await self._received()
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > size_max:
                raise _too_large(size_max)
        if message["type"] != "http.request":
            raise Disconnected
        return b"".join(parts)


def _too_large(size_max: int) -> Refused:
    return Refused(Code.TOO_LARGE, f"A body has at most {size_max} bytes.")


def takes_json(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a client takes JSON in the answer."""
    accept = headers.get(b"accept")
    return accept is None or accept in {b"*/*", b"application/json"} or _accepts_json(accept)


def _accepts_json(accept: bytes) -> bool:
    """Whether an Accept header takes application/json: the most specific range decides (RFC 9110, 12.5.1)."""
    quality: dict[bytes, float] = {}
    for part in accept.lower().split(b","):
        media_range, *parameters = (one.strip() for one in part.split(b";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith(b"q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        quality[media_range] = max(weight, quality.get(media_range, 0.0))
    for media_range in (b"application/json", b"application/*", b"*/*"):
        if media_range in quality:
            return quality[media_range] > 0
    return False


def error_response(error: HansaError) -> Response:
    """The response that reports an error; see `hansa.core.error_response`."""
    response = core_error_response(error)
    further = error.accepted if isinstance(error, UnsupportedContent) else ()
    return Response(response.status, response.body, response.headers + further)


def method_not_allowed(allowed: tuple[str, ...]) -> Response:
    """405 with the methods that there are (RFC 9110, section 15.5.6)."""
    refused = error_response(Refused(Code.METHOD_NOT_ALLOWED, f"Allowed here: {', '.join(allowed)}."))
    return Response(refused.status, refused.body, (*refused.headers, allow(allowed)))


def allow(methods: tuple[str, ...]) -> Header:
    """The Allow header."""
    return b"allow", ", ".join(methods).encode()


def accept_patch(media_types: Iterable[str]) -> Header:
    """The header that names the forms of a patch (RFC 5789, section 3.1)."""
    return b"accept-patch", ", ".join(media_types).encode()


async def send_response(send: Send, response: Response, *, with_body: bool) -> None:
    """Write a response to an ASGI server."""
    headers = [*response.shared.headers, *response.headers]
    if response.status not in BODILESS:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body if with_body else b""})
