"""Access tokens: JWTs for this marketplace's APIs (RFC 9068), whose rights are those of a credential.

A token names who acts (`sub`), for which organisation and with which powers, through which client, for what
(`scope`), until when. It ends with the credential at the latest. Times may be five minutes off, which lets in
nothing that ended longer ago. It is verified without a look-up in the store; what was ended before its time
is in memory (`hansa.identity.endings`).

A token that is bound to a key (`cnf`) is of use with a proof of that key alone (RFC 9449).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from hansa.core.access import Power
from hansa.core.bounded_json import UNREADABLE
from hansa.core.cache import Cache
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Refused
from hansa.core.identifiers import Entropy, uuid7
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, TIME_MAX_S
from hansa.identity.endings import Endings
from hansa.identity.principal import Principal, PrincipalKind
from hansa.identity.provider.oauth_errors import invalid_grant, invalid_token
from hansa.identity.provider.scopes import EMAIL, LEAR_CREDENTIAL, PROFILE
from hansa.identity.provider.tokens.signing_keys import SigningKeys

ACCESS_TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - a media type
ACCESS_TOKEN_SIZE_MAX_BYTES: Final = 8192
TOKENS_CACHED_MAX: Final = 4096


class Confirmation(msgspec.Struct, frozen=True):
    """Whose key a token is bound to (RFC 7800)."""

    jkt: str
    """JWK thumbprint, SHA-256."""


class AccessClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """The payload of an access token; times are seconds since 1970."""

    iss: str
    aud: str
    sub: str
    client_id: str
    iat: int
    exp: int
    jti: str
    scope: str
    organization: str
    kind: PrincipalKind
    auth_time: int = 0
    """When the person presented the credential; 0: nobody did, a machine acts for itself."""
    family: str = ""
    """What it was issued with, and ends with."""
    organization_name: str = ""
    country: str = ""
    name: str = ""
    given_name: str = ""
    family_name: str = ""
    email: str = ""
    claims: tuple[str, ...] = ()
    """What `userinfo` tells beside what the scopes open."""
    powers: tuple[Power, ...] = ()
    roles: frozenset[str] = frozenset()
    credential: str = ""
    """Identifier of the credential."""
    member: str = ""
    """DID of the member on whose word the rest is said; empty: the credential was presented here."""
    cnf: Confirmation | None = None

    @property
    def principal(self) -> Principal:
        """Who acts."""
        return Principal(
            subject=self.sub,
            organization=self.organization,
            kind=self.kind,
            organization_name=self.organization_name,
            country=self.country,
            name=self.name,
            given_name=self.given_name,
            family_name=self.family_name,
            email=self.email,
            powers=self.powers,
            roles=self.roles,
            credential_id=self.credential,
        )

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the token is for."""
        return tuple(self.scope.split())


class Authorized(msgspec.Struct, frozen=True):
    """What was authorized: in whose name which client does what."""

    principal: Principal
    client: str
    scopes: tuple[str, ...]
    auth_time_s: int = 0
    key_thumbprint: str = ""
    """Of the key to which tokens are bound; empty: to none."""
    member: str = ""
    userinfo_claims: tuple[str, ...] = ()
    """What the client may ask `userinfo` for, beside what the scopes open."""
    id_token_claims: tuple[str, ...] = ()
    """What the ID token tells beside that."""


class AccessTokens:
    """Issues and verifies them. To be used on one event loop.

    Args:
        keys: That sign.
        issuer: Address of this OpenID Provider, which is the audience too.
        endings: What was ended.
        clock: For all times.
        entropy: For names.
        lifetime_s: Of a token, if its credential is valid for as long.
        has_client: Whether a client is one still.
    """

    def __init__(
        self,
        keys: SigningKeys,
        issuer: str,
        endings: Endings,
        clock: Clock,
        entropy: Entropy,
        lifetime_s: float,
        has_client: Callable[[str], bool],
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._endings = endings
        self._clock = clock
        self._entropy = entropy
        self._lifetime_s = int(lifetime_s)
        self._has_client = has_client
        self.cache: Final[Cache[str, AccessClaims]] = Cache("access_tokens", TOKENS_CACHED_MAX)
        """Those that were verified; times and endings are checked at every use."""

    def issue(self, authorized: Authorized, family: str) -> tuple[str, AccessClaims]:
        """A token, and what is in it.

        Raises:
            OAuthRefused: `invalid_grant`, when whoever it is for was removed, the credential has expired, or
                has more powers than a token can carry.
        """
        principal = authorized.principal
        moment = self._clock.now()
        now_s = int(moment.timestamp())
        expires_s = now_s + self._lifetime_s
        if principal.credential_expires_s is not None:
            expires_s = min(expires_s, principal.credential_expires_s)
        if expires_s <= now_s:
            raise invalid_grant("The credential has expired.")
        if self._is_removed(principal, authorized.client):
            raise invalid_grant("Access was removed.")
        named = {*authorized.userinfo_claims}
        has_profile = not {PROFILE, LEAR_CREDENTIAL}.isdisjoint(authorized.scopes)
        claims = AccessClaims(
            iss=self._issuer,
            aud=self._issuer,
            sub=principal.subject,
            client_id=authorized.client,
            iat=now_s,
            exp=expires_s,
            jti=uuid7(moment, self._entropy),
            scope=" ".join(authorized.scopes),
            organization=principal.organization,
            kind=principal.kind,
            auth_time=authorized.auth_time_s,
            family=family,
            organization_name=principal.organization_name
            if has_profile or "organization_name" in named
            else "",
            country=principal.country,
            name=principal.name if has_profile or "name" in named else "",
            given_name=principal.given_name if has_profile or "given_name" in named else "",
            family_name=principal.family_name if has_profile or "family_name" in named else "",
            email=principal.email
            if EMAIL in authorized.scopes or named & {"email", "email_verified"}
            else "",
            claims=authorized.userinfo_claims,
            powers=principal.powers,
            roles=principal.roles,
            credential=principal.credential_id,
            member=authorized.member,
            cnf=Confirmation(authorized.key_thumbprint) if authorized.key_thumbprint else None,
        )
        content: dict[str, Any] = msgspec.to_builtins(claims)
        token = self._keys.sign({**content, "roles": sorted(principal.roles)}, ACCESS_TOKEN_TYPE)
        if len(token) > ACCESS_TOKEN_SIZE_MAX_BYTES:
            raise invalid_grant("The credential has more powers than an access token can carry.")
        return token, claims

    def verified(self, token: str) -> AccessClaims:
        """What is in a token that is good here and now.

        Raises:
            OAuthRefused: `invalid_token`.
        """
        claims = self.cache.get(token)
        if claims is None:
            claims = self._read(token)
            self.cache.put(token, claims)
        now_s = self._clock.now().timestamp()
        if now_s >= claims.exp + CLOCK_LEEWAY_S:
            raise invalid_token("The access token has expired.")
        if claims.iat > now_s + CLOCK_LEEWAY_S:
            raise invalid_token("The access token was issued in the future.")
        if self._endings.is_ended(claims.jti, claims.family):
            raise invalid_token("The access token was revoked.")
        if self._is_removed(claims.principal, claims.client_id):
            raise invalid_token("Access was removed.")
        return claims

    def is_ours(self, token: str) -> bool:
        """Whether a token names one of our keys; whether that signed it is another matter."""
        return self.cache.get(token) is not None or self._keys.is_named(token, ACCESS_TOKEN_SIZE_MAX_BYTES)

    async def end(self, claims: AccessClaims) -> None:
        """Have a token be of no use from now on.

        Raises:
            Unavailable: `Code.OVERLOADED`, or of the store.
        """
        await self._endings.end_token(claims.jti, claims.exp)

    async def end_family(self, family: str) -> None:
        """Have all tokens of a family be of no use from now on.

        Raises:
            Unavailable: `Code.OVERLOADED`, or of the store.
        """
        await self._endings.end_token(family, epoch_s(self._clock) + self._lifetime_s)

    def _is_removed(self, principal: Principal, client: str) -> bool:
        return self._endings.has_removed(principal) or not self._has_client(client)

    def _read(self, token: str) -> AccessClaims:
        """What is in a token, after its signature, its type and whom it is for were verified."""
        try:
            payload = self._keys.verified(token, ACCESS_TOKEN_TYPE, ACCESS_TOKEN_SIZE_MAX_BYTES)
            claims = msgspec.json.decode(payload, type=AccessClaims)
        except (Refused, *UNREADABLE) as error:
            raise invalid_token("The access token is malformed, or was not issued here.") from error
        if claims.iss != self._issuer or claims.aud != self._issuer:
            raise invalid_token("The access token was issued for another marketplace.")
        if not 0 <= claims.iat < claims.exp <= TIME_MAX_S:
            raise invalid_token("The access token is valid for no time at all, or for ever.")
        return claims
