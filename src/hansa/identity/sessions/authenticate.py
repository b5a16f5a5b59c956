"""The caller behind a request: by its token when it has one, else by the session of its browser.

With a session everybody reads as with a token; what changes something needs the token of a form besides
(`X-CSRF-Token`), because a browser sends the cookie along with what other pages have it send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from hansa.core.access import ANONYMOUS, Authenticate, Caller
from hansa.core.request_id import current_request
from hansa.identity.principal import caller_of
from hansa.identity.sessions.forms import CSRF_HEADER
from hansa.identity.sessions.interface import Sessions

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class AuthenticateTokens(Authenticate, Protocol):
    """Knows tokens."""

    def claimed(self, headers: Mapping[bytes, bytes]) -> Caller:
        """As calling it, without what is checked once for each request."""


class SessionAuthenticate:
    """The `Authenticate` of this marketplace.

    Args:
        tokens: For requests with an `Authorization` header.
        sessions: For all others.
    """

    def __init__(self, tokens: AuthenticateTokens, sessions: Sessions) -> None:
        self._tokens = tokens
        self._sessions = sessions

    def __call__(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller behind a request with these headers (lower-case names).

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when a token does not verify; `Code.FORBIDDEN`, when what changes
                something does not come from a page of this session.
        """
        if b"authorization" in headers:
            return self._tokens(headers)
        session = self._sessions.of(headers)
        if session is None:
            return ANONYMOUS
        scope = current_request.get()
        if scope is None or scope["method"] not in SAFE_METHODS:
            self._sessions.check_form(session, headers, headers.get(CSRF_HEADER, b"").decode("latin-1"))
        return caller_of(session.principal)

    def claimed(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Whose account a request counts against, before it is complete; what it may do is decided later.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when a token does not verify.
        """
        if b"authorization" in headers:
            return self._tokens.claimed(headers)
        session = self._sessions.of(headers)
        return ANONYMOUS if session is None else caller_of(session.principal)
