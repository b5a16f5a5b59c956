"""Token exchange (RFC 8693): how somebody who logged in at one member acts at another.

    client ── access token of A, audience B ──▶ A ── statement of A for B ──▶ client of A, or A itself
    A ── the statement, with A's own assertion ──▶ B ── access token of B, if a rule of B admits A

What a token says is what the credential said that was presented at A, on the word of A: a member that lies
can say that anybody acts for any organisation. So B takes statements only of members that its operator trusts
with every write (a rule for all collections and all actions in `write_delegations`); nobody becomes an
operator by one, and none is made of a token that came of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from hansa.core.errors import Refused
from hansa.core.members import Member
from hansa.identity.delegation_rules import DelegationRules
from hansa.identity.principal import Principal
from hansa.identity.provider.clients.assertions import AuthenticatedClient
from hansa.identity.provider.endpoints.parameters import Parameters
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_grant, invalid_request
from hansa.identity.provider.scopes import LEAR_CREDENTIAL, READ, WRITE, read_scope
from hansa.identity.provider.tokens.access_tokens import AccessTokens, Authorized
from hansa.identity.statements import StatementCheck, StatementSigner

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"

_DELEGATED: Final = (READ, WRITE, LEAR_CREDENTIAL)


class Exchanges:
    """Exchanges tokens.

    Args:
        access_tokens: Of this member.
        signer: States who acts.
        check: Verifies what others state.
        rules: Whose statements are taken.
        members: The current members.
    """

    def __init__(
        self,
        access_tokens: AccessTokens,
        signer: StatementSigner,
        check: StatementCheck,
        rules: DelegationRules,
        members: Callable[[], Iterable[Member]],
    ) -> None:
        self._access_tokens = access_tokens
        self._signer = signer
        self._check = check
        self._rules = rules
        self._members = members

    def exchanged(
        self, authenticated: AuthenticatedClient, parameters: Parameters, key_thumbprint: str
    ) -> Authorized | dict[str, Any]:
        """What a token is exchanged for: what an access token of ours is issued for, or a statement.

        Args:
            authenticated: Who asks.
            parameters: Of the request.
            key_thumbprint: Of the key that the client proved to have; empty: of none.

        Raises:
            OAuthRefused: For the client.
            Unavailable: `Code.OVERLOADED`.
        """
        if "actor_token" in parameters:
            raise invalid_request("There is no actor_token here: the client is who acts.")
        token, kind = parameters.get("subject_token", ""), parameters.get("subject_token_type", "")
        if not authenticated.is_proved:
            raise OAuthRefused("unauthorized_client", "A public client exchanges no tokens.")
        if kind == ACCESS_TOKEN:
            return self._statement(authenticated, token, parameters, key_thumbprint)
        if kind == JWT:
            return self._of_statement(authenticated, token, parameters)
        raise invalid_request("subject_token is an access token of this marketplace, or a delegation (jwt).")

    def _statement(
        self, authenticated: AuthenticatedClient, token: str, parameters: Parameters, key_thumbprint: str
    ) -> dict[str, Any]:
        """The statement for another member that an access token is exchanged for."""
        if parameters.get("requested_token_type", JWT) != JWT:
            raise invalid_request("An access token is exchanged for a delegation (jwt).")
        try:
            claims = self._access_tokens.verified(token)
        except OAuthRefused as error:
            raise invalid_grant(error.message) from error
        if claims.client_id != authenticated.client.client_id:
            raise invalid_grant("The access token was issued to another client.")
        if claims.cnf is not None and claims.cnf.jkt != key_thumbprint:
            raise invalid_grant("The access token is bound to another key (DPoP).")
        if claims.member or not claims.organization:
            raise invalid_grant(
                "What acts on the word of somebody else, or for no organisation, delegates nothing."
            )
        audience = parameters.get("audience", "")
        if not any(one.did == audience and one.status == "active" for one in self._members()):
            raise OAuthRefused("invalid_target", "audience is no member of the league.")
        requested = read_scope(parameters.get("scope", claims.scope)) or ()
        scopes = [one for one in requested if one in claims.scopes and one in _DELEGATED]
        if not scopes:
            raise OAuthRefused(
                "invalid_scope", "None of these scopes can be delegated, or the token has none."
            )
        statement, expires_s = self._signer.statement(
            audience, claims.principal, claims.client_id, scopes, claims.exp
        )
        return {
            "access_token": statement,
            "issued_token_type": JWT,
            "token_type": "N_A",
            "expires_in": max(0, expires_s - claims.iat),
            "scope": " ".join(scopes),
        }

    def _of_statement(
        self, authenticated: AuthenticatedClient, token: str, parameters: Parameters
    ) -> Authorized:
        """What an access token is issued for that another member's statement is exchanged for."""
        if parameters.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise invalid_request("A delegation is exchanged for an access token.")
        member = authenticated.client.client_id
        if not self._rules.admits_everything(member):
            raise OAuthRefused(
                "access_denied", "No rule of this marketplace takes delegations of this member.", 403
            )
        try:
            statement = self._check.verified(token, member)
        except Refused as error:
            raise invalid_grant(error.message) from error
        requested = read_scope(parameters.get("scope", statement.scope)) or ()
        stated = statement.scope.split()
        scopes = tuple(one for one in requested if one in stated and one in _DELEGATED)
        if not scopes:
            raise OAuthRefused("invalid_scope", "The delegation is for none of these scopes.")
        principal = Principal(
            subject=statement.sub,
            organization=statement.organization,
            kind=statement.kind,
            powers=statement.powers,
        )
        return Authorized(principal, member, scopes, member=member)
