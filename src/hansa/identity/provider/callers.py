"""Access tokens of the OpenID Provider at this marketplace's own APIs, beside the tokens of the operator.

A token that is bound to a key comes with the scheme `DPoP` and a proof for this very request (RFC 9449,
section 7), and is of no use as a bearer token; any other one comes as a bearer token. A proof is used up by
the request that it is for, however often that asks who calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hansa.core.access import Caller
from hansa.core.errors import Code, Refused
from hansa.core.http import DPOP
from hansa.core.request_id import Scope, current_request
from hansa.identity.endings import Endings
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_token
from hansa.identity.provider.scopes import limited_caller
from hansa.identity.provider.tokens.access_tokens import (
    ACCESS_TOKEN_SIZE_MAX_BYTES,
    AccessClaims,
    AccessTokens,
)
from hansa.identity.provider.tokens.proofs import Proofs
from hansa.identity.tokens import TokenAuthenticate

PROOF_USED: Final = "hansa.dpop"
"""In the scope of a request: the proof that it has used up."""


class TokensAuthenticate:
    """Knows both kinds of tokens. To be used on one event loop.

    Args:
        access_tokens: Of the OpenID Provider.
        proofs: That go with them.
        operator_tokens: Those of the operator.
        endings: Who was removed.
    """

    def __init__(
        self,
        access_tokens: AccessTokens,
        proofs: Proofs,
        operator_tokens: TokenAuthenticate,
        endings: Endings,
    ) -> None:
        self._access_tokens = access_tokens
        self._proofs = proofs
        self._operator_tokens = operator_tokens
        self._endings = endings

    def __call__(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller behind a request with these headers (lower-case names).

        Raises:
            Refused: `Code.UNAUTHENTICATED`, saying why the token is worth nothing.
        """
        return self._caller(headers, is_whole=True)

    def claimed(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The same, without the proof that goes with a token.

        Raises:
            Refused: `Code.UNAUTHENTICATED`.
        """
        return self._caller(headers, is_whole=False)

    def claims(self, headers: Mapping[bytes, bytes]) -> AccessClaims:
        """What is in the access token of a request, with its proof.

        Raises:
            OAuthRefused: `invalid_token`, `invalid_dpop_proof` or `use_dpop_nonce`.
            Unavailable: `Code.OVERLOADED`.
        """
        scheme, token = _parts(headers.get(b"authorization", b""))
        return self._verified(scheme, token, headers, is_whole=True)

    def _caller(self, headers: Mapping[bytes, bytes], *, is_whole: bool) -> Caller:
        scheme, token = _parts(headers.get(b"authorization", b""))
        if not self._access_tokens.is_ours(token):
            caller = self._operator_tokens(headers)
            if caller.subject is not None and self._endings.is_removed("subject", caller.subject):
                raise Refused(Code.UNAUTHENTICATED, "Access was removed.")
            return caller
        try:
            claims = self._verified(scheme, token, headers, is_whole=is_whole)
        except OAuthRefused as error:
            raise Refused(Code.UNAUTHENTICATED, error.message) from error
        return limited_caller(claims.principal, claims.scopes, claims.member)

    def _verified(
        self, scheme: bytes, token: str, headers: Mapping[bytes, bytes], *, is_whole: bool
    ) -> AccessClaims:
        if scheme not in {b"bearer", b"dpop"} or not token:
            raise invalid_token("The Authorization header has no access token.")
        claims = self._access_tokens.verified(token)
        if (claims.cnf is not None) != (scheme == b"dpop"):
            raise invalid_token(
                "A token that is bound to a key comes with the scheme DPoP, any other with Bearer."
            )
        if claims.cnf is not None and is_whole:
            self._use_proof(headers.get(DPOP), token, claims.cnf.jkt, current_request.get())
        return claims

    def _use_proof(self, compact: bytes | None, token: str, thumbprint: str, scope: Scope | None) -> None:
        if compact is None or scope is None:
            raise invalid_token("A token that is bound to a key comes with a proof (header DPoP).")
        if scope.get(PROOF_USED) == compact:
            return
        proof = self._proofs.checked(compact.decode("latin-1"), scope["method"], scope["path"], token)
        if proof.thumbprint != thumbprint:
            raise invalid_token("The proof is of another key than the token is bound to.")
        self._proofs.use(proof)
        scope[PROOF_USED] = compact


def _parts(authorization: bytes) -> tuple[bytes, str]:
    """Scheme, in lower case, and token of an Authorization header."""
    scheme, _, token = authorization.partition(b" ")
    token = token.strip()
    if len(token) > ACCESS_TOKEN_SIZE_MAX_BYTES:
        return scheme.lower(), ""
    return scheme.lower(), token.decode("latin-1")
