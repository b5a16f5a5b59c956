"""Logout that a client begins (OpenID Connect RP-Initiated Logout 1.0).

A browser that comes with an ID token of the person who is logged in is logged out at once; every other one is
asked, because any page can send a browser here. It goes on to `post_logout_redirect_uri` only if that is
registered for the client that the ID token, or `client_id`, names.
"""

from __future__ import annotations

import msgspec

from hansa.identity.provider.clients.records import ClientRecord
from hansa.identity.provider.clients.registry import ClientRegistry
from hansa.identity.provider.endpoints.authorization_requests import STATE_MAX_CHARS, with_parameters
from hansa.identity.provider.endpoints.parameters import Parameters
from hansa.identity.provider.oauth_errors import invalid_request
from hansa.identity.provider.tokens.id_tokens import IdTokens
from hansa.identity.sessions import Headers, Session, Sessions


class LogoutRequest(msgspec.Struct, frozen=True):
    """A request to log out that holds."""

    session: Session | None
    """Of the browser."""
    is_certain: bool
    """Whether the browser need not be asked."""
    location: str
    """Where it goes on; empty: to a page that says that it is done."""


class LogoutEndpoint:
    """Answers requests to log out."""

    def __init__(self, registry: ClientRegistry, id_tokens: IdTokens, sessions: Sessions) -> None:
        self._registry = registry
        self._id_tokens = id_tokens
        self._sessions = sessions

    def request(self, parameters: Parameters, headers: Headers) -> LogoutRequest:
        """What a browser comes with.

        Raises:
            OAuthRefused: `invalid_request`, for the browser.
        """
        session = self._sessions.of(headers)
        hint, client_id = parameters.get("id_token_hint", ""), parameters.get("client_id", "")
        hinted = self._id_tokens.hinted(hint) if hint else None
        if hint and hinted is None:
            raise invalid_request("id_token_hint is no ID token of this OpenID Provider.")
        if hinted is not None and client_id not in {"", hinted.aud}:
            raise invalid_request("client_id is another one than that of id_token_hint.")
        client = self._registry.client(hinted.aud if hinted is not None else client_id)
        is_of_session = hinted is not None and session is not None and hinted.sub == session.principal.subject
        return LogoutRequest(session, is_of_session or session is None, _location(client, parameters))

    async def end(self, headers: Headers) -> tuple[str, ...]:
        """End the session of a browser; values for `Set-Cookie` headers.

        Raises:
            Unavailable: Of the store; the session has ended all the same, until the next start.
        """
        return await self._sessions.end(headers)

    def form_token(self, session: Session) -> str:
        """What the form carries that asks."""
        return self._sessions.form_token(session)

    def check_form(self, session: Session, headers: Headers, parameters: Parameters) -> None:
        """Check that it was that form.

        Raises:
            Refused: `Code.FORBIDDEN`.
        """
        self._sessions.check_form(session, headers, parameters.get("csrf", ""))


def _location(client: ClientRecord | None, parameters: Parameters) -> str:
    """Where a browser goes on.

    Raises:
        OAuthRefused: `invalid_request`, when that is not registered.
    """
    address, state = parameters.get("post_logout_redirect_uri", ""), parameters.get("state", "")
    if not address:
        return ""
    if client is None or address not in client.post_logout_redirect_uris or len(state) > STATE_MAX_CHARS:
        raise invalid_request("post_logout_redirect_uri is none of those that are registered for a client.")
    return with_parameters(address, state=state) if state else address
