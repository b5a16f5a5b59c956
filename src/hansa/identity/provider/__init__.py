"""The OpenID Provider of a marketplace: people and machines get tokens whose rights are those of credentials.

    clients      who may ask, and how they prove who they are
    endpoints    what is asked, and what comes of it
    tokens       what is signed, how it is bound to keys, and how it ends
    scopes       what of a credential's rights a token opens
    callers      access tokens at this marketplace's own APIs

Standards: OAuth 2.0 (RFC 6749) as RFC 9700 wants it, with PKCE (7636), PAR (9126), `iss` (9207), DPoP (9449),
JWT access tokens (9068), assertions of clients (7523), token exchange (8693), introspection (7662),
revocation (7009); OpenID Connect Core and Discovery 1.0, RP-Initiated Logout 1.0.
"""
