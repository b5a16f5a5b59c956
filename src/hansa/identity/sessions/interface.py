"""What a session is, and what logins, pages and forms need of the sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from hansa.identity.principal import Principal

Headers = Mapping[bytes, bytes]
"""Of a request; names in lower case."""


class Session(msgspec.Struct, frozen=True):
    """Somebody who is logged in with a browser."""

    name: bytes
    """Digest of what the browser has; no secret."""
    principal: Principal
    begun_s: int
    """When the person presented the credential, in seconds since 1970 (`auth_time`)."""
    ends_s: int
    """Last second, if it is used until then."""


class LoggedIn(msgspec.Struct, frozen=True):
    """What is answered to the browser of somebody who has just logged in."""

    location: str
    """Where it goes on: a path of this marketplace."""
    cookies: tuple[str, ...]
    """Values for as many `Set-Cookie` headers."""


class OnLogin(Protocol):
    """Begins a session; called at the end of a login, in the browser that began it."""

    async def __call__(self, principal: Principal, return_to: str, headers: Headers, /) -> LoggedIn:
        """Begin a session with an identifier that nobody knew before, and end the one before it.

        Args:
            principal: Who has logged in.
            return_to: Where the browser was to go on; `/` takes its place when it is no path of ours.
            headers: Of the request that is answered.

        Raises:
            Unavailable: `Code.OVERLOADED`, when there are too many sessions; or of the store.
            Refused: `Code.FORBIDDEN`, when this person, or the credential, has been removed.
        """


class Sessions(Protocol):
    """The sessions of this marketplace."""

    async def begin(self, principal: Principal, return_to: str, headers: Headers, /) -> LoggedIn:
        """See `OnLogin`."""

    def of(self, headers: Headers, /) -> Session | None:
        """The session of a request; None when there is none, or it is over."""

    async def end(self, headers: Headers, /) -> tuple[str, ...]:
        """End the session of a request, if there is one.

        Returns:
            Values for `Set-Cookie` headers; none when the request came without a session.
        """

    async def end_all_of(self, subject: str, /) -> int:
        """End all sessions of a subject, at once; how many there were."""

    def form_token(self, session: Session, /) -> str:
        """What a form of this session carries in its field `csrf`, or a script in `X-CSRF-Token`."""

    def check_form(self, session: Session, headers: Headers, token: str, /) -> None:
        """Check that a request which changes something comes from a page of ours, in this session.

        Raises:
            Refused: `Code.FORBIDDEN`.
        """
