"""Requests that nobody should send, for trying every route: bodies, media types and query strings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

MALFORMED_BODIES: Final = {
    "nothing": b"",
    "no JSON": b"name=x",
    "half an object": b'{"name":',
    "half a text": b'{"name":"x',
    "two values": b"{}{}",
    "an array": b"[]",
    "null": b"null",
    "a number": b"7",
    "not a number": b'{"name":NaN}',
    "infinity": b'{"name":-Infinity}',
    "a number beyond all bounds": b'{"name":1e999}',
    "a number of many digits": b'{"name":' + b"9" * 100_000 + b"}",
    "a name twice": b'{"name":"x","name":"y"}',
    "no UTF-8": b'{"name":"\xff\xfe"}',
    "UTF-16": '{"name":"x"}'.encode("utf-16"),
    "half a surrogate pair": b'{"name":"\\ud800"}',
    "a raw control character": b'{"name":"a\x00b"}',
    "endless arrays": b"[" * 100_000,
    "endless objects": b'{"a":' * 100_000,
    "deep but whole": b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}

FOREIGN_MEDIA_TYPES: Final = (
    "text/html",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "/",
    "",
)

MALFORMED_QUERIES: Final = {
    "limit below nothing": "limit=-1",
    "no number": "limit=many",
    "a number of many digits": "limit=" + "9" * 5000,
    "digits of another script": "limit=%D9%A1",
    "bytes that are no text": "limit=%FF%FE",
}
"""Refused wherever there is a `limit`; read by nobody elsewhere."""

ERROR_MEMBERS: Final = {"code", "reason", "message", "status", "referenceError", "@type"}


def complaint(
    method: str, target: str, what: str, status: int, body: bytes, allowed: Iterable[int]
) -> str | None:
    """What is wrong with the answer to a malformed request; None when it is a refusal in TM Forum's form."""
    about = f"{method} {target[:80]} with {what}: {status} {body[:200]!r}"
    if status not in allowed:
        return about
    try:
        error: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return f"no JSON: {about}"
    if not isinstance(error, dict) or set(error) != ERROR_MEMBERS or error["status"] != str(status):
        return f"no error body: {about}"
    return None
