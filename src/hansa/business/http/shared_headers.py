"""What every response tells caches and browsers: whom it is for, how long it holds, who may read it.

Responses depend on the token of a request, or on the session of a browser, and on the coding that a client
takes, so all of them have `Vary: Accept-Encoding, Authorization, Cookie` (RFC 9111, section 4.1).
What a token or a session opened is not stored by anybody (`private, no-store`); everything else may be stored
and is revalidated before each use (`no-cache`), which the ETag makes cheap. It holds for errors and 304 as
well.

Pages of other origins (CORS, in the Fetch standard) may read what everybody may read, without a token. An
origin that the operator allowed may send tokens, read everything and write.

The headers are encoded once, as blocks, of which a request chooses one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

Header = tuple[bytes, bytes]

EXPOSED: Final = (
    "Link", "X-Total-Count", "X-Result-Count", "Content-Range", "Accept-Ranges", "ETag", "Location", "Retry-After",
    "DPoP-Nonce", "Hansa-Closure", "Hansa-Missing", "Hansa-Origin-Status", "Hansa-Position", "Hansa-Publication",
    "Hansa-Unindexed",
    "Hansa-Unresolved", "Hansa-Words", "X-Request-Id",
)  # fmt: skip
"""Headers of responses that scripts of other origins may read."""
READ_HEADERS: Final = "Accept, If-Modified-Since, If-None-Match, Range"
"""Headers of requests that they may send without a token."""
ALL_HEADERS: Final = f"{READ_HEADERS}, Authorization, Content-Encoding, Content-Type, DPoP, Idempotency-Key, If-Match, If-Unmodified-Since, Prefer, X-Request-Id"
PREFLIGHT_MAX_AGE_S: Final = 600
READS: Final = frozenset({"GET", "HEAD"})

_CONTROLS: Final = bytes({*range(0x20), 0x7F} - {0x09})
_EXPOSE: Final[Header] = (b"access-control-expose-headers", ", ".join(EXPOSED).encode())
_ANY_ORIGIN: Final[Header] = (b"access-control-allow-origin", b"*")
VARY: Final = b"Accept-Encoding, Authorization, Cookie"
FOR_ALL: Final = b"no-cache"
FOR_ONE: Final = b"private, no-store"
_FOR_ALL: Final[Header] = (b"cache-control", FOR_ALL)
_FOR_ONE: Final[Header] = (b"cache-control", FOR_ONE)


class HeaderBlock(msgspec.Struct, frozen=True):
    """Headers that are the same for many responses, also as the lines that are written."""

    headers: tuple[Header, ...] = ()
    lines: bytes = b""


NO_BLOCK: Final = HeaderBlock()


def header_block(*headers: Header) -> HeaderBlock:
    """The block of these headers.

    Raises:
        ValueError: As `header_lines`.
    """
    return HeaderBlock(headers, header_lines(headers))


def header_lines(headers: Iterable[Header]) -> bytes:
    """Headers as they are written.

    Raises:
        ValueError: One has a control character, which could end its line and begin another.
    """
    parts = [part for name, value in headers for part in (name, b": ", value, b"\r\n")]
    lines = b"".join(parts)
    # Two characters end each line; any more are within a header.
    if len(lines) - len(lines.translate(None, _CONTROLS)) != len(parts) // 2:
        raise ValueError("A header has a control character.")
    return lines


class SharedHeaders:
    """The blocks of one marketplace."""

    def __init__(self, allowed_origins: Iterable[str] = ()) -> None:
        origins = [origin.rstrip("/").encode() for origin in allowed_origins]
        vary = (b"vary", VARY + b", Origin" if origins else VARY)
        self._public: Final = header_block(_FOR_ALL, vary)
        self._private: Final = header_block(_FOR_ONE, vary)
        self._open: Final = header_block(_FOR_ALL, vary, _ANY_ORIGIN, _EXPOSE)
        self._of_origin: Final = {
            (origin, has_token): header_block(
                _FOR_ONE if has_token else _FOR_ALL,
                vary,
                (b"access-control-allow-origin", origin),
                _EXPOSE,
            )
            for origin in origins
            for has_token in (False, True)
        }
        self._origins: Final = frozenset(origins)

    def block(self, origin: bytes | None, *, has_token: bool, is_open: bool) -> HeaderBlock:
        """The block of a response.

        Args:
            origin: Header `Origin` of the request.
            has_token: Whether the request carries one, or the cookie of a session; whether it is valid does
                not matter.
            is_open: Whether it reads what everybody may read.
        """
        if is_open and not has_token:
            return self._open
        if origin is not None and self._origins:
            allowed = self._of_origin.get((origin, has_token))
            if allowed is not None:
                return allowed
        return self._private if has_token else self._public

    @property
    def varies_by_origin(self) -> bool:
        """Whether a response depends on the origin of the page that requests it."""
        return bool(self._origins)

    def cross_origin(self, origin: bytes | None, *, has_token: bool, is_open: bool) -> tuple[Header, ...]:
        """The headers of a response that let a page of another origin read it; none when it may not.

        Args: as of `block`.
        """
        if is_open and not has_token:
            return (_ANY_ORIGIN, _EXPOSE)
        if origin in self._origins:
            assert origin is not None, "an allowed origin is a text"
            return ((b"access-control-allow-origin", origin), _EXPOSE)
        return ()

    def preflight(
        self, origin: bytes | None, method: bytes | None, allowed: tuple[str, ...], *, is_open: bool
    ) -> tuple[Header, ...]:
        """What a browser is told that asks, before a request, whether a page may send it.

        Args:
            origin: Header `Origin`.
            method: Header `Access-Control-Request-Method`.
            allowed: The methods that there are.
            is_open: Whether everybody may read there.
        """
        if origin is None or method is None:
            return ()
        if origin in self._origins:
            methods, headers = allowed, ALL_HEADERS
            access: tuple[Header, ...] = ()  # the block of the response names the origin
        elif is_open and method.decode("latin-1") in READS:
            methods, headers = tuple(name for name in allowed if name in READS), READ_HEADERS
            access = (_ANY_ORIGIN,)
        else:
            return ()
        return (
            *access,
            (b"access-control-allow-methods", ", ".join(methods).encode()),
            (b"access-control-allow-headers", headers.encode()),
            (b"access-control-max-age", b"%d" % PREFLIGHT_MAX_AGE_S),
        )
