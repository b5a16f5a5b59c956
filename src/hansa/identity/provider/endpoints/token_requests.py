"""The token endpoint: a code, a refresh token or a credential becomes an access token.

client     proves who it is, as far as it can
proof      of the key to which the tokens are bound, if it shows one (DPoP), with a nonce of ours
grant      what it shows is good, for this client, and used up by it
tokens     of one family, which ends as a whole
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.clock import Clock
from hansa.core.identifiers import Entropy
from hansa.identity.principal import Principal
from hansa.identity.provider.clients.assertions import AuthenticatedClient, ClientCheck
from hansa.identity.provider.clients.records import TOKEN_EXCHANGE, ClientRecord
from hansa.identity.provider.clients.requests import ClientRequest
from hansa.identity.provider.endpoints.codes import CodeReusedError, Codes
from hansa.identity.provider.endpoints.exchanges import ACCESS_TOKEN, Exchanges
from hansa.identity.provider.endpoints.machines import Machines
from hansa.identity.provider.endpoints.parameters import Parameters
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_grant, invalid_request
from hansa.identity.provider.rates import Rates
from hansa.identity.provider.scopes import OPENID, read_scope
from hansa.identity.provider.tokens.access_tokens import AccessTokens, Authorized
from hansa.identity.provider.tokens.families import TokenFamilies
from hansa.identity.provider.tokens.id_tokens import IdTokens
from hansa.identity.provider.tokens.proofs import Proof, Proofs

TOKEN_PATH: Final = "/oidc/token"  # noqa: S105 - a path


class TokenEndpoint:
    """Answers token requests. Args: the parts that it puts together."""

    def __init__(
        self,
        clients: ClientCheck,
        rates: Rates,
        proofs: Proofs,
        codes: Codes,
        access_tokens: AccessTokens,
        families: TokenFamilies,
        id_tokens: IdTokens,
        machines: Machines | None,
        exchanges: Exchanges,
        issuer: str,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._clients = clients
        self._rates = rates
        self._proofs = proofs
        self._codes = codes
        self._access_tokens = access_tokens
        self._families = families
        self._id_tokens = id_tokens
        self._machines = machines
        self._exchanges = exchanges
        self._issuer = issuer
        self._clock = clock
        self._entropy = entropy

    async def answer(self, request: ClientRequest, proof: str | None) -> dict[str, Any]:
        """The response to a token request.

        Args:
            request: Of the client.
            proof: Header `DPoP`.

        Raises:
            OAuthRefused: For the client.
            Unavailable: `Code.OVERLOADED`, or of the store.
        """
        authenticated = await self._clients.client(request)
        client, parameters = authenticated.client, request.parameters
        if authenticated.is_proved:  # a public client is whoever says so: its addresses are counted
            self._rates.take_client(client.client_id)
        grant = parameters.get("grant_type", "")
        self._check_grant(client, grant, parameters)
        checked = self._checked_proof(client, proof)
        if grant == "authorization_code":
            return await self._of_code(client, parameters, checked)
        if grant == "refresh_token":
            return await self._of_refresh_token(client, parameters, checked)
        if grant == "client_credentials":
            return await self._of_credentials(authenticated, parameters, checked)
        thumbprint = "" if checked is None else checked.thumbprint
        exchanged = self._exchanges.exchanged(authenticated, parameters, thumbprint)
        if isinstance(exchanged, Authorized):
            response = self._response(_bound(exchanged, checked), self._new_family(), checked)
            return {**response, "issued_token_type": ACCESS_TOKEN}
        if checked is not None:
            self._proofs.use(checked)
        return exchanged

    def _check_grant(self, client: ClientRecord, grant: str, parameters: Parameters) -> None:
        if grant not in {"authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE}:
            raise OAuthRefused("unsupported_grant_type", "There is no such grant_type here.")
        if grant not in client.grant_types:
            raise OAuthRefused("unauthorized_client", "This client is not registered for that grant_type.")
        is_here = parameters.get("resource", self._issuer) in {self._issuer, f"{self._issuer}/"}
        if not is_here and grant != TOKEN_EXCHANGE:
            raise OAuthRefused(
                "invalid_target", "The tokens of this OpenID Provider are for this marketplace."
            )

    def _checked_proof(self, client: ClientRecord, proof: str | None) -> Proof | None:
        """The proof of a request that holds; it is used up with the grant."""
        if proof is not None:
            return self._proofs.checked(proof, "POST", TOKEN_PATH, needs_nonce=True)
        if client.dpop_bound_access_tokens:
            raise OAuthRefused(
                "invalid_dpop_proof", "This client proves with each request to have its key (DPoP)."
            )
        return None

    async def _of_code(
        self, client: ClientRecord, parameters: Parameters, proof: Proof | None
    ) -> dict[str, Any]:
        code, verifier = parameters.get("code", ""), parameters.get("code_verifier", "")
        if not code:
            raise invalid_request("There is no code.")
        redirect_uri = parameters.get("redirect_uri", "")
        try:
            grant = self._codes.use(code, client.client_id, redirect_uri, verifier)
        except CodeReusedError as error:
            await self._families.end(error.family)
            raise invalid_grant("The code was used before: all tokens that came of it have ended.") from error
        bound_to = grant.authorized.key_thumbprint
        if bound_to and (proof is None or proof.thumbprint != bound_to):
            raise OAuthRefused("invalid_dpop_proof", "The code is bound to another key (dpop_jkt).")
        authorized = _bound(grant.authorized, proof)
        response = self._response(authorized, grant.family, proof)
        if OPENID in authorized.scopes:
            algorithm = client.id_token_signed_response_alg
            access_token = response["access_token"]
            response["id_token"] = self._id_tokens.issue(authorized, access_token, grant.nonce, algorithm)
        if "refresh_token" in client.grant_types:
            response["refresh_token"] = await self._families.begin(
                _refresh_bound(authorized, client), grant.family
            )
        return response

    async def _of_refresh_token(
        self, client: ClientRecord, parameters: Parameters, proof: Proof | None
    ) -> dict[str, Any]:
        scopes = _scopes(parameters)
        thumbprint = proof.thumbprint if proof is not None and not client.is_confidential else ""
        shown = parameters.get("refresh_token", "")
        refreshed = await self._families.refresh(shown, client.client_id, thumbprint)
        authorized = refreshed.authorized
        if scopes:
            if not set(scopes) <= set(authorized.scopes):
                raise OAuthRefused("invalid_scope", "These are more scopes than were authorized.")
            authorized = msgspec.structs.replace(authorized, scopes=scopes)
        response = self._response(_bound(authorized, proof), refreshed.family, proof)
        response["refresh_token"] = refreshed.refresh_token
        if OPENID in authorized.scopes:
            algorithm = client.id_token_signed_response_alg
            access_token = response["access_token"]
            response["id_token"] = self._id_tokens.issue(authorized, access_token, "", algorithm)
        return response

    async def _of_credentials(
        self, authenticated: AuthenticatedClient, parameters: Parameters, proof: Proof | None
    ) -> dict[str, Any]:
        client = authenticated.client
        scopes = tuple(one for one in (_scopes(parameters) or client.scopes) if one in client.scopes)
        scopes = tuple(one for one in scopes if one != OPENID)
        if not scopes:
            raise OAuthRefused("invalid_scope", "None of these scopes is registered for this client.")
        if not authenticated.is_proved:
            raise OAuthRefused("unauthorized_client", "A public client does not act in its own name.")
        if authenticated.vp_token:
            if self._machines is None:
                raise OAuthRefused("temporarily_unavailable", "No issuers of credentials are trusted here.")
            principal = await self._machines.principal(authenticated)
        else:
            principal = Principal(client.client_id, "", "machine", roles=frozenset(client.roles))
        authorized = _bound(Authorized(principal, client.client_id, scopes), proof)
        return self._response(authorized, self._new_family(), proof)

    def _response(self, authorized: Authorized, family: str, proof: Proof | None) -> dict[str, Any]:
        """The response with an access token; the proof is used up by it."""
        access_token, claims = self._access_tokens.issue(authorized, family)
        if proof is not None:
            self._proofs.use(proof)
        return {
            "access_token": access_token,
            "token_type": "Bearer" if proof is None else "DPoP",
            "expires_in": claims.exp - claims.iat,
            "scope": claims.scope,
        }

    def _new_family(self) -> str:
        return to_base64url(self._entropy(16))


def _bound(authorized: Authorized, proof: Proof | None) -> Authorized:
    thumbprint = "" if proof is None else proof.thumbprint
    return msgspec.structs.replace(authorized, key_thumbprint=thumbprint)


def _refresh_bound(authorized: Authorized, client: ClientRecord) -> Authorized:
    """What a refresh token is for: a public client's is bound to its key (RFC 9449, section 5)."""
    return msgspec.structs.replace(authorized, key_thumbprint="") if client.is_confidential else authorized


def _scopes(parameters: Parameters) -> tuple[str, ...]:
    scopes = read_scope(parameters.get("scope", ""))
    if scopes is None:
        raise OAuthRefused("invalid_scope", "scope is no list of scopes.")
    return scopes
