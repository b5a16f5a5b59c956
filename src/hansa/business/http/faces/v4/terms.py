"""On which terms a request writes: its idempotency key, and whether it waits (RFC 7240, section 4.1).

`Idempotency-Key` is as in the draft of the IETF (draft-ietf-httpapi-idempotency-key-header): a string that
the client makes for each write, with or without quotation marks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from hansa.business.http.faces.v4.monitors import wants_async
from hansa.business.http.messages import Request, Response
from hansa.business.operations.forwarding.terms import PLAIN_TERMS, WriteQueued, WriteTerms
from hansa.core.errors import Code, Refused
from hansa.core.forwarding import KEY_LENGTH_MAX_CHARS, WRITES_PATH

KEY_HEADER: Final = b"idempotency-key"
_PREFER: Final = b"prefer"
_KEY: Final = re.compile(rb'"?([\x21\x23-\x7e]{1,%d})"?' % KEY_LENGTH_MAX_CHARS)
_COUNTED: Final = (b"content-type", b"if-match", b"if-unmodified-since", b"if-none-match")
"""Headers on which depends what is written."""


def write_terms(request: Request) -> WriteTerms:
    """The terms of a request whose body has been read.

    Raises:
        Refused: `Code.INVALID`, when the key is none.
    """
    headers = request.headers
    if KEY_HEADER not in headers and _PREFER not in headers:
        return PLAIN_TERMS
    may_queue = wants_async(request)
    if KEY_HEADER not in headers:
        return WriteTerms(may_queue=may_queue)
    match = _KEY.fullmatch(headers[KEY_HEADER].strip())
    if match is None:
        raise Refused(
            Code.INVALID, f"An Idempotency-Key has 1 to {KEY_LENGTH_MAX_CHARS} printable characters of ASCII."
        )
    return WriteTerms(match.group(1).decode("ascii"), _fingerprint(request, headers), may_queue)


def _fingerprint(request: Request, headers: Mapping[bytes, bytes]) -> bytes:
    """A digest of everything on which depends what a request writes."""
    digest = hashlib.sha256()
    parts = (
        *(request.method.encode(), request.path.encode(), request.query_string),
        *(headers.get(name, b"") for name in _COUNTED),
        request.raw,
    )
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def queued_response(queued: WriteQueued, endpoint: str) -> Response:
    """202: the write waits until the origin of the entity can be reached (TMF630 Part 1, chapter 9)."""
    address = f"{endpoint}{WRITES_PATH}/{queued.id}".encode()
    return Response(
        202,
        b"",
        (
            (b"preference-applied", b"respond-async"),
            (b"location", address),
            (b"link", b'<%b>; rel="related"; title="monitor"' % address),
        ),
    )
