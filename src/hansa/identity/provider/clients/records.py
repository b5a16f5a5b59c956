"""What is registered of a client: the metadata of RFC 7591 that a marketplace needs, checked.

Every client is registered by the operator; nobody registers one over the network. A client is *confidential*
when it has keys, in `jwks` or at `jwks_uri`, or, where the operator says so expressly, a secret, and *public*
otherwise. Redirect addresses are compared as texts: one that has a wildcard or a fragment is none.

A client with a secret logs people in, and does nothing else. Its client_id reads the same whether software
percent-encodes it for HTTP Basic, as RFC 6749 wants it, or not.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from hansa.core.access import READERS
from hansa.core.errors import Code, Refused
from hansa.core.web_addresses import web_address
from hansa.identity.foreign_jws import key_of_jwk
from hansa.identity.provider.scopes import SCOPES
from hansa.identity.provider.tokens.signing_keys import SigningAlgorithm

GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]
SecretMethod = Literal["client_secret_basic", "client_secret_post"]
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name
ADDRESSES_MAX: Final = 32
KEYS_MAX: Final = 16
NAME_MAX_CHARS: Final = 128
SECRETS_MAX: Final = 2
"""Of a client: the present one, and the one before it while both are good."""

_ID: Final = re.compile(r"[!-~]{1,256}", re.ASCII)
_NOT_IN_ID: Final = frozenset("\"\\<>&'`{}")
_UNRESERVED_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,256}", re.ASCII)
_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_OF_SECRETS: Final = frozenset({"authorization_code", "refresh_token"})
"""Grant types of clients that have a secret."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ClientSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is kept of a secret, by which it is known again and not told."""

    digest: str
    """`hansa.identity.provider.clients.secrets.client_secret_digest`."""
    expires_s: int | None = None
    """From when it is good no more, since 1970; None: it is the present one."""


class ClientRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A registered client."""

    client_id: str
    client_name: str = ""
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[GrantType, ...] = ("authorization_code", "refresh_token")
    scopes: tuple[str, ...] = ("openid", "profile", "email", "read", "offline_access")
    jwks: dict[str, Any] | None = None
    """Public keys of a confidential client."""
    jwks_uri: str = ""
    """Where a confidential client has its public keys."""
    token_endpoint_auth_method: SecretMethod | None = None
    """How it shows its secret, and no other way; None: it has none."""
    client_secrets: tuple[ClientSecret, ...] = ()
    """The present one last."""
    roles: tuple[str, ...] = ()
    """What the client may do in its own name (`client_credentials`), without a credential."""
    id_token_signed_response_alg: SigningAlgorithm = "RS256"  # noqa: S105 - an algorithm
    require_pkce: bool = True
    """Whether each of its requests has a code challenge; a public client's always has."""
    require_pushed_authorization_requests: bool = False
    dpop_bound_access_tokens: bool = False

    @property
    def is_confidential(self) -> bool:
        """Whether it proves who it is."""
        return self.has_keys or self.token_endpoint_auth_method is not None

    @property
    def has_keys(self) -> bool:
        """Whether it signs."""
        return self.jwks is not None or self.jwks_uri != ""


def check_client(client: ClientRecord) -> None:
    """Check that a registration can be used.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong.
    """
    if _ID.fullmatch(client.client_id) is None or _NOT_IN_ID & set(client.client_id):
        raise _invalid(
            "a client_id has 1 to 256 visible ASCII characters, none of them a quotation mark or bracket"
        )
    if len(client.client_name) > NAME_MAX_CHARS or not client.client_name.isprintable():
        raise _invalid(f"client_name has at most {NAME_MAX_CHARS} printable characters")
    if len(client.redirect_uris) > ADDRESSES_MAX or len(client.post_logout_redirect_uris) > ADDRESSES_MAX:
        raise _invalid(f"a client has at most {ADDRESSES_MAX} addresses of a kind")
    for address in (*client.redirect_uris, *client.post_logout_redirect_uris):
        _check_redirection(address)
    unknown = sorted(set(client.scopes) - set(SCOPES)) + sorted(set(client.roles) - READERS)
    if unknown:
        raise _invalid(f"there is no scope or role {unknown[0][:64]!r}")
    if client.jwks is not None and client.jwks_uri:
        raise _invalid("a client has keys in jwks or at jwks_uri, not both")
    if client.jwks is not None:
        keys_of(client.jwks)
    if client.jwks_uri and web_address(client.jwks_uri).scheme != "https":
        raise _invalid("jwks_uri is an https address")
    _check_secrets(client)
    _check_grants(client)


def _check_grants(client: ClientRecord) -> None:
    grants = set(client.grant_types)
    if not grants:
        raise _invalid("a client has a grant type")
    if "authorization_code" in grants and not client.redirect_uris:
        raise _invalid("a client that logs people in has a redirect URI")
    if "client_credentials" in grants and not client.has_keys:
        raise _invalid("a client that acts in its own name has keys")
    if client.roles and "client_credentials" not in grants:
        raise _invalid("roles are for clients that act in their own name (client_credentials)")


def _check_secrets(client: ClientRecord) -> None:
    if not client.require_pkce and not client.is_confidential:
        raise _invalid("a public client uses PKCE")
    if (client.token_endpoint_auth_method is None) != (not client.client_secrets):
        raise _invalid("a client with a secret says how it shows it, and one without does not")
    if client.token_endpoint_auth_method is None:
        return
    if client.has_keys:
        raise _invalid("a client has keys or a secret, not both")
    if _UNRESERVED_ID.fullmatch(client.client_id) is None:
        raise _invalid("the client_id of a client with a secret has letters, digits, and . _ ~ - alone")
    if not set(client.grant_types) <= _OF_SECRETS:
        raise _invalid("a client with a secret logs people in and does nothing else: others have keys")
    *before, present = client.client_secrets
    if len(before) >= SECRETS_MAX or present.expires_s is not None:
        raise _invalid(f"a client has one secret, and at most {SECRETS_MAX - 1} before it that expires")
    if any(one.expires_s is None for one in before):
        raise _invalid("a secret that was rotated expires")
    if not all(_DIGEST.fullmatch(one.digest) for one in client.client_secrets):
        raise _invalid("of a secret there is a digest, as `hansa clients` writes it")


def _check_redirection(address: str) -> None:
    """Check an address to which browsers are sent."""
    try:
        parts = web_address(address)
    except Refused as error:
        raise _invalid(f"{address[:200]!r} cannot be redirected to: {error.message.rstrip('.')}") from error
    if "#" in address or "*" in address:
        raise _invalid(f"{address[:200]!r} has a fragment or a wildcard")
    if parts.scheme != "https" and parts.host not in _LOOPBACK:
        raise _invalid(f"{address[:200]!r} is neither https nor on this machine")


def keys_of(jwks: Any) -> dict[str, dict[str, Any]]:
    """The public keys of a key set, by their names.

    Raises:
        Refused: `Code.INVALID`.
    """
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= KEYS_MAX:
        raise _invalid(f"a key set has 1 to {KEYS_MAX} keys")
    usable: dict[str, dict[str, Any]] = {}
    for jwk in keys:
        try:
            key_of_jwk(jwk)
        except Refused as error:
            raise _invalid(error.message) from error
        kid = jwk.get("kid", "")
        if not isinstance(kid, str) or kid in usable:
            raise _invalid("the keys of a set have names, each another one, or there is one without")
        usable[kid] = jwk
    return usable


def _invalid(what: str) -> Refused:
    return Refused(Code.INVALID, f"This client cannot be registered: {what}.")
