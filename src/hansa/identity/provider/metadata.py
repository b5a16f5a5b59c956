"""What clients read about this OpenID Provider (OpenID Connect Discovery 1.0, RFC 8414)."""

from __future__ import annotations

from typing import Any, Final, get_args

from hansa.identity.provider.clients.assertions import ALGORITHMS as ASSERTION_ALGORITHMS
from hansa.identity.provider.clients.records import TOKEN_EXCHANGE, SecretMethod
from hansa.identity.provider.scopes import SCOPES
from hansa.identity.provider.tokens.id_tokens import ACR, SCOPE_OF_CLAIM
from hansa.identity.provider.tokens.proofs import PROOF_ALGORITHMS
from hansa.identity.provider.tokens.signing_keys import ALGORITHMS

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
JWKS_PATH: Final = "/oidc/jwks"
PAR_PATH: Final = "/oidc/par"
USERINFO_PATH: Final = "/oidc/userinfo"
INTROSPECT_PATH: Final = "/oidc/introspect"
REVOKE_PATH: Final = "/oidc/revoke"
LOGOUT_PATH: Final = "/oidc/logout"

_CONFIDENTIAL: Final = ["private_key_jwt", *get_args(SecretMethod)]
_AUTHENTICATION: Final = [*_CONFIDENTIAL, "none"]


def provider_metadata(issuer: str) -> dict[str, Any]:
    """The document at `/.well-known/openid-configuration`."""
    algorithms = list(ASSERTION_ALGORITHMS)
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oidc/authorize",
        "token_endpoint": f"{issuer}/oidc/token",
        "userinfo_endpoint": f"{issuer}{USERINFO_PATH}",
        "jwks_uri": f"{issuer}{JWKS_PATH}",
        "pushed_authorization_request_endpoint": f"{issuer}{PAR_PATH}",
        "introspection_endpoint": f"{issuer}{INTROSPECT_PATH}",
        "revocation_endpoint": f"{issuer}{REVOKE_PATH}",
        "end_session_endpoint": f"{issuer}{LOGOUT_PATH}",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            *("authorization_code", "refresh_token", "client_credentials", TOKEN_EXCHANGE)
        ],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(reversed(ALGORITHMS)),
        "token_endpoint_auth_methods_supported": _AUTHENTICATION,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": _CONFIDENTIAL,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": _AUTHENTICATION,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": True,
        "claim_types_supported": ["normal"],
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "at_hash", *SCOPE_OF_CLAIM)
        ],
        "acr_values_supported": [ACR],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
    }
