"""HTTP as a parameter: what retrieval, notifications and health checks need of a client."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from hansa.core.errors import Code, Refused

JSON: Final = "application/json"
"""The media type (RFC 8259)."""
MEMBER_TOKEN_HEADER: Final = "Member-Token"  # noqa: S105 - the name of a header, not a secret
"""Proves which member sends a request (`hansa.identity.requests`)."""

DPOP: Final = b"dpop"
"""The header with a proof of possession (RFC 9449, section 4.1), in lower case."""
SESSION_COOKIE_PREFIX: Final = "__Host-hansa-"
"""Names of cookies with a session begin so (`hansa.identity.sessions`)."""

_COOKIE_START: Final = SESSION_COOKIE_PREFIX.encode("ascii")
NO_STORE: Final = {"Cache-Control": "no-store"}
"""Headers of an answer that no cache may have: it is for one caller, or only true now."""


def headers_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by their names in lower case; of one that is there several times, the last."""
    return {name.lower(): value for name, value in raw}


def has_credentials(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a client says who it is, by a token or by the cookie of a session; valid or not.

    Args:
        headers: Of the request, names in lower case.
    """
    return b"authorization" in headers or (b"cookie" in headers and _COOKIE_START in headers[b"cookie"])


async def bounded_body(parts: AsyncIterable[bytes], size_max_bytes: int, too_large: str) -> bytes:
    """A body that comes in parts, of which no more is held than is allowed.

    Args:
        parts: Of the body.
        size_max_bytes: Of all of them.
        too_large: What is said of a larger one.

    Raises:
        Refused: `Code.TOO_LARGE`.
    """
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > size_max_bytes:
            raise Refused(Code.TOO_LARGE, too_large)
    return bytes(body)


class HttpRequest(msgspec.Struct, frozen=True):
    """One outgoing request."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""
    timeout_s: float = 10.0
    """For the whole exchange, so that a slow sender cannot hold us."""
    answer_size_max_bytes: int = 1_048_576


class HttpResponse(msgspec.Struct, frozen=True):
    """What came back, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Protocol):
    """Sends requests to allowed hosts alone, follows no redirects, keeps no cookies."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Send and wait for the whole answer.

        Raises:
            Unavailable: `Code.RETRIEVAL_UNREACHABLE` or `Code.RETRIEVAL_TIMEOUT`.
            Refused: `Code.RETRIEVAL_TOO_LARGE` (answer over the limit) or `Code.HOST_NOT_ALLOWED`.
        """


class RequestSigner(Protocol):
    """Proves to another member who is asking."""

    def headers(self, audience: str, method: str, url: str, body: bytes) -> dict[str, str]:
        """Headers that bind this member's identity to one request to the member with DID `audience`."""


class CallerCheck(Protocol):
    """Finds out which member signed an incoming request."""

    async def member(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """DID of the member whose registered key signed the request; None when it is not signed.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when there is a signature and it does not verify.
        """


class AnswerSigner(Protocol):
    """Proves to a member that asked who answers what."""

    def headers(self, audience: str, request_token: str, status: int, digest: bytes) -> dict[str, str]:
        """Headers that bind this member's identity to one answer.

        Args:
            audience: DID of the member that asked.
            request_token: By which it proved that.
            status: Of the answer.
            digest: SHA-256 of its body.
        """


class AnswerCheck(Protocol):
    """Finds out whether a member gave an answer."""

    def signature(self, did: str, request: HttpRequest, response: HttpResponse) -> str | None:
        """What proves that a member gave this answer to this request; None when it is not signed.

        Raises:
            Refused: `Code.RETRIEVAL_ANSWER_INVALID`, when there is a signature and it does not hold.
        """
