"""What tokens are worth: introspection (RFC 7662), revocation (RFC 7009) and userinfo."""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.identity.provider.clients.assertions import ClientCheck
from hansa.identity.provider.clients.requests import ClientRequest
from hansa.identity.provider.endpoints.parameters import Parameters
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_request
from hansa.identity.provider.rates import Rates
from hansa.identity.provider.scopes import OPENID
from hansa.identity.provider.tokens.access_tokens import AccessClaims, AccessTokens, Authorized
from hansa.identity.provider.tokens.families import TokenFamilies
from hansa.identity.provider.tokens.id_tokens import person_claims

INACTIVE = {"active": False}


class TokenReports:
    """Answers what is asked about tokens."""

    def __init__(
        self,
        clients: ClientCheck,
        rates: Rates,
        access_tokens: AccessTokens,
        families: TokenFamilies,
        issuer: str,
    ) -> None:
        self._clients = clients
        self._rates = rates
        self._access_tokens = access_tokens
        self._families = families
        self._issuer = issuer

    async def introspected(self, request: ClientRequest) -> dict[str, Any]:
        """What a token is worth, for a client that proves who it is.

        A refresh token is nobody's business but that of its client.

        Raises:
            OAuthRefused: For the client.
            Unavailable: `Code.OVERLOADED`, or of the store.
        """
        authenticated = await self._clients.client(request)
        if not authenticated.is_proved:
            raise OAuthRefused("unauthorized_client", "A public client introspects no tokens.", 403)
        self._rates.take_client(authenticated.client.client_id)
        token = _token(request.parameters)
        claims = self._good(token)
        if claims is not None:
            return {"active": True, "token_type": _token_type(claims), **_shown(claims)}
        family = await self._families.find(token, authenticated.client.client_id)
        if family is None:
            return INACTIVE
        authorized = msgspec.json.decode(family.content, type=Authorized)
        return {
            "active": True,
            "iss": self._issuer,
            "sub": family.subject,
            "client_id": family.client,
            "scope": " ".join(authorized.scopes),
            "exp": family.ends_s,
        }

    async def revoke(self, request: ClientRequest) -> None:
        """End a token of the client that sends it; of another's, or of none, nothing becomes.

        With a refresh token everything ends that came of the same login, with an access token that alone.

        Raises:
            OAuthRefused: For the client.
            Unavailable: `Code.OVERLOADED`, or of the store: it is to be sent again.
        """
        authenticated = await self._clients.client(request)
        client_id = authenticated.client.client_id
        if authenticated.is_proved:
            self._rates.take_client(client_id)
        token = _token(request.parameters)
        claims = self._good(token)
        if claims is not None:
            if claims.client_id == client_id:
                await self._access_tokens.end(claims)
            return
        family = await self._families.find(token, client_id)
        if family is not None:
            await self._families.end(family.name)

    def about_person(self, claims: AccessClaims) -> dict[str, Any]:
        """What `userinfo` says to the holder of a token.

        Raises:
            OAuthRefused: `insufficient_scope`.
        """
        if OPENID not in claims.scopes:
            raise OAuthRefused("insufficient_scope", "userinfo needs the scope openid.", 403)
        return {"sub": claims.sub, **person_claims(claims.principal, claims.scopes, claims.claims)}

    def _good(self, token: str) -> AccessClaims | None:
        try:
            return self._access_tokens.verified(token)
        except OAuthRefused:
            return None


def _token(parameters: Parameters) -> str:
    token = parameters.get("token", "")
    if not token:
        raise invalid_request("There is no token.")
    return token


def _token_type(claims: AccessClaims) -> str:
    return "Bearer" if claims.cnf is None else "DPoP"


def _shown(claims: AccessClaims) -> dict[str, Any]:
    """What is in an access token, but for the names by which it is ended."""
    content: dict[str, Any] = msgspec.to_builtins(claims)
    return {name: value for name, value in content.items() if name != "family"} | {
        "roles": sorted(claims.roles)
    }
