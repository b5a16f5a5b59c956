"""Requests as they are read, and answers as they are written (TMF630 Part 1, chapter 3).

Bodies are JSON in UTF-8 and bounded in size and depth before anything looks at them. Every answer that is not a
success carries TM Forum's error body.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

import msgspec

from hansa.core.error_body import error_body, retry_after
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.limits import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

CONTENT_TYPE: Final = (b"content-type", b"application/json;charset=utf-8")
JSON_TYPES: Final = frozenset({"application/json"})
PATCH_TYPES: Final = frozenset({"application/json", "application/merge-patch+json"})
ACCEPT_PATCH: Final = (b"accept-patch", b"application/merge-patch+json, application/json")


class _RepeatedNameError(Exception):
    """An object has a name twice."""


def _unrepeated(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise _RepeatedNameError(name)
        seen.add(name)


_NAMES: Final = json.JSONDecoder(object_pairs_hook=_unrepeated, parse_int=str, parse_float=str)
"""Looks at the names in objects alone."""


class Answer(msgspec.Struct, frozen=True):
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: tuple[Header, ...] = ()


class Disconnected(Exception):
    """The client went away before its request was complete."""


class Request:
    """One request, as far as a handler needs it."""

    __slots__ = ("_receive", "headers", "limits", "method", "query_string")

    def __init__(self, scope: Scope, receive: Receive, limits: Limits) -> None:
        self.method: str = scope["method"]
        self.query_string: bytes = scope["query_string"]
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.limits = limits
        self._receive = receive

    def accept_json(self) -> None:
        """Check that the client takes JSON.

        Raises:
            Refused: `Code.NOT_ACCEPTABLE`.
        """
        accept = self.headers.get(b"accept")
        if accept is None or accept in {b"*/*", b"application/json"} or _takes_json(accept):
            return
        raise Refused(Code.NOT_ACCEPTABLE, "Answers are application/json;charset=utf-8.")

    async def json(self, media_types: frozenset[str]) -> dict[str, Any]:
        """The body, a JSON object.

        Raises:
            Refused: `Code.UNSUPPORTED_MEDIA_TYPE`, `Code.TOO_LARGE`, `Code.MALFORMED` or `Code.INVALID`.
            Disconnected: The client went away.
        """
        self._check_media_type(media_types)
        raw = await self._body()
        try:
            body = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if isinstance(error, RecursionError):
                raise Refused(Code.MALFORMED, "The body is nested too deeply.") from None
            reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).rstrip(".")
            raise Refused(Code.MALFORMED, f"The body is not JSON: {reason}.") from None
        if type(body) is not dict:
            raise Refused(Code.INVALID, "The body must be a JSON object.")
        # A body with few brackets cannot be deep; only others are walked.
        deep = raw.count(b"{") + raw.count(b"[") > self.limits.body_depth_max
        if deep and depth_of(body) > self.limits.body_depth_max:
            raise Refused(
                Code.MALFORMED, f"The body is nested deeper than {self.limits.body_depth_max} levels."
            )
        # Of several values under one name every parser picks its own (RFC 8259, section 4).
        try:
            _NAMES.decode(raw.decode())
        except _RepeatedNameError as error:
            raise Refused(Code.MALFORMED, f"The body has {str(error)[:64]!r} twice in one object.") from None
        return body

    def _check_media_type(self, media_types: frozenset[str]) -> None:
        media_type, _, parameters = self.headers.get(b"content-type", b"application/json").partition(b";")
        if media_type.strip().lower().decode("latin-1") not in media_types:
            raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"A body here is {' or '.join(sorted(media_types))}.")
        for parameter in parameters.lower().split(b";"):
            name, _, value = parameter.partition(b"=")
            if name.strip() == b"charset" and value.strip().strip(b'"') not in {b"utf-8", b"utf8"}:
                raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "JSON is sent in UTF-8.")
        if self.headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, "Bodies are taken uncompressed.")

    async def _body(self) -> bytes:
        size_max = self.limits.body_size_max_bytes
        declared = self.headers.get(b"content-length", b"0")
        too_large = Refused(Code.TOO_LARGE, f"A body has at most {size_max} bytes.")
        if not declared.isdigit() or int(declared[:20]) > size_max:
            raise too_large
        message = await self._receive()
        raw: bytes = message.get("body", b"")
        if message["type"] == "http.request" and not message.get("more_body", False):
            if len(raw) > size_max:
                raise too_large
            return raw
        parts, size = [raw], len(raw)
        while message["type"] == "http.request" and message.get("more_body", False):
            message = await self._receive()
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > size_max:
                raise too_large
        if message["type"] != "http.request":
            raise Disconnected
        return b"".join(parts)


def depth_of(value: Any) -> int:
    """How many objects and arrays stand within each other at most."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        current, depth = todo.pop()
        children = current.values() if type(current) is dict else current if type(current) is list else ()
        if type(current) in {dict, list}:
            deepest = max(deepest, depth)
        todo += [(child, depth + 1) for child in children if type(child) in {dict, list}]
    return deepest


def _takes_json(accept: bytes) -> bool:
    """Whether an Accept header takes application/json (RFC 9110, section 12.5.1): the most specific range decides."""
    quality: dict[bytes, float] = {}
    for part in accept.lower().split(b","):
        media_range, *parameters = (piece.strip() for piece in part.split(b";"))
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


def error_answer(error: HansaError) -> Answer:
    """The answer that reports an error; what went wrong inside concerns us alone."""
    status = error.http_status
    headers: tuple[Header, ...] = (CONTENT_TYPE,)
    if error.code is Code.UNAUTHENTICATED:
        headers += ((b"www-authenticate", b"Bearer"),)
    if error.code is Code.UNSUPPORTED_MEDIA_TYPE:
        headers += (ACCEPT_PATCH,)
    if (seconds := retry_after(error)) is not None:
        headers += ((b"retry-after", seconds.encode()),)
    return Answer(status, error_body(error, status), headers)


def method_not_allowed(allowed: tuple[str, ...]) -> Answer:
    """405 with the methods that there are (RFC 9110, section 15.5.6)."""
    refused = error_answer(Refused(Code.METHOD_NOT_ALLOWED, f"Allowed here: {', '.join(allowed)}."))
    return Answer(refused.status, refused.body, (*refused.headers, allow(allowed)))


def allow(methods: tuple[str, ...]) -> Header:
    """The Allow header."""
    return b"allow", ", ".join(methods).encode()


async def send_answer(send: Send, answer: Answer, *, with_body: bool) -> None:
    """Write an answer to an ASGI server."""
    headers = list(answer.headers)
    if answer.status not in {204, 304}:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
