"""ID tokens (OpenID Connect Core, section 2), and the claims about a person that scopes open."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Refused
from hansa.identity.principal import Principal
from hansa.identity.provider.scopes import EMAIL, LEAR_CREDENTIAL, PROFILE
from hansa.identity.provider.tokens.access_tokens import Authorized
from hansa.identity.provider.tokens.signing_keys import SigningAlgorithm, SigningKeys

ID_TOKEN_TYPE: Final = "JWT"  # noqa: S105 - a media type
ID_TOKEN_LIFETIME_S: Final = 600
ID_TOKEN_SIZE_MAX_BYTES: Final = 16_384
ACR: Final = "urn:hansa:acr:verifiable-presentation"
"""How everybody logs in: by presenting a credential of which he or she proves to be the holder."""

_OF_PROFILE: Final = frozenset({PROFILE, LEAR_CREDENTIAL})
SCOPE_OF_CLAIM: Final[Mapping[str, frozenset[str]]] = {
    "name": _OF_PROFILE,
    "given_name": _OF_PROFILE,
    "family_name": _OF_PROFILE,
    "organization": _OF_PROFILE,
    "organization_name": _OF_PROFILE,
    "country": _OF_PROFILE,
    "powers": frozenset({LEAR_CREDENTIAL}),
    "email": frozenset({EMAIL}),
    "email_verified": frozenset({EMAIL}),
}
"""The claims about a person, and the scopes each of which opens them."""


class HintedLogin(msgspec.Struct, frozen=True):
    """What an ID token that a client shows again says: of whom, and for which client it was."""

    sub: str
    aud: str
    iss: str


class IdTokens:
    """Issues them."""

    def __init__(self, keys: SigningKeys, issuer: str, clock: Clock) -> None:
        self._keys = keys
        self._issuer = issuer
        self._clock = clock

    def issue(
        self, authorized: Authorized, access_token: str, nonce: str, algorithm: SigningAlgorithm
    ) -> str:
        """The ID token that goes with an access token."""
        now_s = epoch_s(self._clock)
        half = hashlib.sha256(access_token.encode("ascii")).digest()[:16]
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": authorized.principal.subject,
            "aud": authorized.client,
            "iat": now_s,
            "exp": now_s + ID_TOKEN_LIFETIME_S,
            "auth_time": authorized.auth_time_s,
            "acr": ACR,
            "at_hash": to_base64url(half),
            **person_claims(authorized.principal, authorized.scopes, authorized.id_token_claims),
        }
        if nonce:
            claims["nonce"] = nonce
        return self._keys.sign(claims, ID_TOKEN_TYPE, algorithm)

    def hinted(self, token: str) -> HintedLogin | None:
        """Of whom an ID token is that was issued here, even when it has expired; None when it was not."""
        try:
            payload = self._keys.verified(token, ID_TOKEN_TYPE, ID_TOKEN_SIZE_MAX_BYTES)
            login = msgspec.json.decode(payload, type=HintedLogin)
        except (Refused, *UNREADABLE):
            return None
        return login if login.iss == self._issuer else None


def person_claims(principal: Principal, scopes: Iterable[str], further: Iterable[str] = ()) -> dict[str, Any]:
    """What scopes open about a person, and further claims; what the credential does not say is left out."""
    named, in_scopes = {*further}, {*scopes}
    claims: dict[str, Any] = {
        "name": principal.name,
        "given_name": principal.given_name,
        "family_name": principal.family_name,
        "organization": principal.organization,
        "organization_name": principal.organization_name,
        "country": principal.country,
        "powers": msgspec.to_builtins(principal.powers),
        "email": principal.email,
    }
    opened = {
        name: value
        for name, value in claims.items()
        if value and (name in named or not SCOPE_OF_CLAIM[name].isdisjoint(in_scopes))
    }
    if principal.email and ("email" in opened or "email_verified" in named):
        opened["email_verified"] = False
    return opened
