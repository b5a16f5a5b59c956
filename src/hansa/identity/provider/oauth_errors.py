"""Refusals in the words of OAuth 2.0 (RFC 6749, sections 4.1.2.1 and 5.2, and those of its extensions).

The error is one of a closed list, the description a sentence of ours: nothing that a client, a browser or a
credential said is repeated in it. It has no quotation mark and no backslash, which the RFC does not allow.
"""

from __future__ import annotations

from typing import Literal

from hansa.core.errors import Code, Refused

OAuthError = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "invalid_token",
    "invalid_dpop_proof",
    "insufficient_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "unsupported_token_type",
    "access_denied",
    "login_required",
    "request_not_supported",
    "request_uri_not_supported",
    "unmet_authentication_requirements",
    "registration_not_supported",
    "use_dpop_nonce",
    "temporarily_unavailable",
    "server_error",
]


class OAuthRefused(Refused):
    """A request to the OpenID Provider is refused.

    Args:
        error: As the client reads it.
        description: For the person who develops the client.
        status: Of the response, when it is one of ours and no redirection.
    """

    def __init__(self, error: OAuthError, description: str, status: int = 400) -> None:
        assert description.isascii(), "as the RFC demands"
        assert not set(description) & {'"', "\\"}, "as the RFC demands"
        super().__init__(Code.INVALID, description)
        self.error: OAuthError = error
        self._status = status

    @property
    def http_status(self) -> int:
        """Status of the HTTP answer that reports this error."""
        return self._status


def invalid_request(description: str) -> OAuthRefused:
    """A parameter is missing, repeated or unusable."""
    return OAuthRefused("invalid_request", description)


def invalid_grant(description: str) -> OAuthRefused:
    """A code, a refresh token or an assertion is good for nothing, or for somebody else."""
    return OAuthRefused("invalid_grant", description)


def invalid_client(description: str) -> OAuthRefused:
    """The client is unknown, or has not proved to be the one that it says it is."""
    return OAuthRefused("invalid_client", description, 401)


def invalid_token(description: str) -> OAuthRefused:
    """An access token is good for nothing here."""
    return OAuthRefused("invalid_token", description, 401)
