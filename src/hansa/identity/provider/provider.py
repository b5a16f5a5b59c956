"""The OpenID Provider, put together."""

from __future__ import annotations

from typing import Any

import msgspec

from hansa.identity.provider.callers import TokensAuthenticate
from hansa.identity.provider.clients.assertions import ClientCheck
from hansa.identity.provider.clients.requests import ClientRequest
from hansa.identity.provider.endpoints.authorization import AuthorizationEndpoint
from hansa.identity.provider.endpoints.authorization_requests import PUSHED_LIFETIME_S, PushedRequests
from hansa.identity.provider.endpoints.logout import LogoutEndpoint
from hansa.identity.provider.endpoints.token_reports import TokenReports
from hansa.identity.provider.endpoints.token_requests import TokenEndpoint
from hansa.identity.provider.metadata import PAR_PATH
from hansa.identity.provider.oauth_errors import invalid_request
from hansa.identity.provider.rates import Rates
from hansa.identity.provider.tokens.proofs import Proofs
from hansa.identity.provider.tokens.signing_keys import SigningKeys

_OF_THE_CLIENT = frozenset({"client_assertion", "client_assertion_type", "client_secret"})


class OpenIdProvider(msgspec.Struct, frozen=True):
    """Its parts."""

    issuer: str
    keys: SigningKeys
    clients: ClientCheck
    rates: Rates
    proofs: Proofs
    pushed: PushedRequests
    authorization: AuthorizationEndpoint
    tokens: TokenEndpoint
    reports: TokenReports
    logout: LogoutEndpoint
    callers: TokensAuthenticate

    async def push(self, request: ClientRequest, proof: str | None) -> dict[str, Any]:
        """The response to a pushed authorization request (RFC 9126).

        Args:
            request: Of the client.
            proof: Header `DPoP`: the code is bound to its key (RFC 9449, section 10.1).

        Raises:
            OAuthRefused: For the client.
            Unavailable: `Code.OVERLOADED`.
        """
        authenticated = await self.clients.client(request)
        client_id = authenticated.client.client_id
        if authenticated.is_proved:
            self.rates.take_client(client_id)
        requested = {name: value for name, value in request.parameters.items() if name not in _OF_THE_CLIENT}
        checked = None
        if proof is not None:
            checked = self.proofs.checked(proof, "POST", PAR_PATH, needs_nonce=True)
            if requested.setdefault("dpop_jkt", checked.thumbprint) != checked.thumbprint:
                raise invalid_request("dpop_jkt is the thumbprint of another key than that of the proof.")
        self.authorization.check(client_id, requested)
        if checked is not None:
            self.proofs.use(checked)
        request_uri = self.pushed.push(client_id, requested)
        return {"request_uri": request_uri, "expires_in": PUSHED_LIFETIME_S}
