"""Presentations: this marketplace as a verifier to wallets (OpenID4VP 1.0, HAIP 1.0).

    verifier_identity   key, certificates and client identifier
    token_keys          a key in a PKCS #11 token
    query               what wallets are asked for (DCQL)
    request_objects     signed requests
    encryption          answers that are encrypted to a key of the request
    responses           what wallets post
    transactions        logins under way
    wallet_metadata     requests that are encrypted to a wallet
    wallet_logins       all of it: from a link to somebody who is logged in

What is presented is verified by `hansa.identity.credentials`.
"""

from hansa.identity.presentations.query import (
    AcceptedType,
    PresentationQuery,
    read_accepted_type,
)
from hansa.identity.presentations.request_objects import REQUEST_MEDIA_TYPE
from hansa.identity.presentations.responses import RESPONSE_SIZE_MAX_BYTES
from hansa.identity.presentations.transactions import BegunLogin, LoginState
from hansa.identity.presentations.verifier_identity import VerifierIdentity, identity_of_key, read_identity
from hansa.identity.presentations.wallet_logins import (
    CODE_PATH,
    LOGIN_PATH,
    REQUEST_PATH,
    RESPONSE_PATH,
    CodeView,
    CompletedLogin,
    LoginLinks,
    LoginOptions,
    LoginView,
    WalletLink,
    WalletLogins,
)

__all__ = [
    "CODE_PATH",
    "LOGIN_PATH",
    "REQUEST_MEDIA_TYPE",
    "REQUEST_PATH",
    "RESPONSE_PATH",
    "RESPONSE_SIZE_MAX_BYTES",
    "AcceptedType",
    "BegunLogin",
    "CodeView",
    "CompletedLogin",
    "LoginLinks",
    "LoginOptions",
    "LoginState",
    "LoginView",
    "PresentationQuery",
    "VerifierIdentity",
    "WalletLink",
    "WalletLogins",
    "identity_of_key",
    "read_accepted_type",
    "read_identity",
]
