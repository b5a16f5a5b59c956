"""Bearer tokens for this marketplace's own API (RFC 6750), in the form of RFC 9068.

A token is a JWT that this marketplace signs for itself: issuer and audience are its DID. It is verified
without a look-up, so it cannot be revoked before it expires; a new `token.jwk` revokes all of them. So its
lifetime is bounded, where it is issued and where it is verified: `exp` is required and at most
`token_lifetime_max_s` after `iat`.

| role | may |
|---|---|
| `operator` | read and write everything, and run the marketplace |
| `provider` | read everything and write |
| `reader` | read everything, private entities too |

A token may be for less than its roles allow (`scope`, `hansa token --scope`): `read`, `write`, `operate`. A
scope never adds a right.

Roles fail closed: one that is not in this table, in another case or of another type gives no right, and a
token without one of these opens no more than no token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from hansa.core.access import ANONYMOUS, READERS, Caller
from hansa.core.bounded_json import UNREADABLE
from hansa.core.cache import Cache
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import Entropy, uuid7
from hansa.core.jws import read_compact, token_header
from hansa.core.keys import SigningKey, VerifyingKey
from hansa.core.limits import Limits
from hansa.identity.provider.scopes import OPERATE, READ, WRITE, limited_roles

ROLES: Final = READERS

TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the media type of RFC 9068, not a secret
TOKEN_HEADER: Final = token_header(TOKEN_TYPE)
TOKEN_SCOPES: Final = frozenset({READ, WRITE, OPERATE})
TOKEN_SIZE_MAX_BYTES: Final = 4096
SUBJECT_LENGTH_MAX_CHARS: Final = 256
LIFETIME_MAX_S: Final = Limits().token_lifetime_max_s
CLOCK_LEEWAY_S: Final = 30
"""By how much the clock of the machine that issued a token may be ahead of ours."""
TOKENS_CACHED_MAX: Final = 1024


class TokenClaims(msgspec.Struct, frozen=True):
    """The payload; times are seconds since 1970 (RFC 7519 NumericDate)."""

    iss: str
    aud: str
    sub: str
    iat: int
    nbf: int
    exp: int
    jti: str
    roles: tuple[str, ...] = ()
    scope: str = ""
    """What of the roles it opens (`hansa.identity.provider.scopes`); empty: all of them."""


class _VerifiedToken(msgspec.Struct, frozen=True):
    """A token whose signature, form and audience were verified; times are seconds since 1970."""

    caller: Caller
    nbf: int
    exp: int


_decoder = msgspec.json.Decoder(TokenClaims)


def issue_token(
    key: SigningKey,
    issuer_did: str,
    subject: str,
    roles: Collection[str],
    expires_in_s: float,
    clock: Clock,
    entropy: Entropy,
    lifetime_max_s: float = LIFETIME_MAX_S,
    scopes: Collection[str] = (),
) -> str:
    """A bearer token for `subject` that is good for `expires_in_s` seconds.

    Raises:
        Refused: `Code.INVALID`, when the subject, a role or the time is not usable.
    """
    unknown = sorted(set(roles) - ROLES)
    if unknown:
        raise Refused(
            Code.INVALID, f"{unknown[0]!r} is not a role; the roles are {', '.join(sorted(ROLES))}."
        )
    beyond = sorted(set(scopes) - TOKEN_SCOPES)
    if beyond:
        raise Refused(
            Code.INVALID, f"{beyond[0]!r} is no scope; there are {', '.join(sorted(TOKEN_SCOPES))}."
        )
    if not roles:
        raise Refused(Code.INVALID, "A token needs at least one role.")
    if not 0 < len(subject) <= SUBJECT_LENGTH_MAX_CHARS or not subject.isprintable():
        raise Refused(Code.INVALID, f"A subject has 1 to {SUBJECT_LENGTH_MAX_CHARS} printable characters.")
    if not 1 <= expires_in_s <= lifetime_max_s:
        raise Refused(
            Code.INVALID,
            f"A token is valid for at least a second and at most {int(lifetime_max_s)} s (token_lifetime_max_s).",
        )
    moment = clock.now()
    now = int(moment.timestamp())
    claims = TokenClaims(
        iss=issuer_did,
        aud=issuer_did,
        sub=subject,
        iat=now,
        nbf=now,
        exp=now + int(expires_in_s),
        jti=uuid7(moment, entropy),
        roles=tuple(sorted(set(roles))),
        scope=" ".join(sorted(set(scopes))),
    )
    return key.sign(msgspec.json.encode(claims), TOKEN_HEADER, typ=TOKEN_TYPE)


def reissue_token(token: str, old: VerifyingKey, new: SigningKey) -> str | None:
    """The same token, signed with another key; None when it is none that the old key signed."""
    try:
        payload = old.verify(read_compact(token, TOKEN_HEADER))
    except Refused:
        return None
    return new.sign(payload, TOKEN_HEADER, typ=TOKEN_TYPE)


class TokenAuthenticate:
    """The `Authenticate` of this marketplace.

    A header whose token was verified is cached; its times are checked at every use. Tokens that do not verify
    are never cached, so that nobody can evict those of others with them.

    Args:
        key: Verifies the tokens.
        audience: DID of this marketplace, which is issuer and audience of its tokens.
        clock: For the times of tokens.
        lifetime_max_s: From `iat` to `exp`.
        cached_max: Verified tokens in the cache.
    """

    def __init__(
        self,
        key: VerifyingKey,
        audience: str,
        clock: Clock,
        lifetime_max_s: float,
        cached_max: int = TOKENS_CACHED_MAX,
    ) -> None:
        self._key = key
        self._audience = audience
        self._clock = clock
        self._lifetime_max_s = lifetime_max_s
        self.cache: Final[Cache[bytes, _VerifiedToken]] = Cache("tokens", cached_max)
        """By the value of the Authorization header."""

    def __call__(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller behind a request with these headers (lower-case names).

        Raises:
            Refused: `Code.UNAUTHENTICATED`, saying why the token does not verify.
        """
        credentials = headers.get(b"authorization")
        if credentials is None:
            return ANONYMOUS
        verified = self.cache.get(credentials)
        if verified is None:
            verified = self._verify(_token(credentials))
            self.cache.put(credentials, verified)
        now = self._now()
        if now >= verified.exp:
            raise _unauthenticated("The bearer token has expired.")
        if now + CLOCK_LEEWAY_S < verified.nbf:
            raise _unauthenticated("The bearer token is not good yet.")
        return verified.caller

    claimed = __call__
    """Nothing about these tokens is checked once for each request."""

    def _verify(self, token: bytes) -> _VerifiedToken:
        """A token, after its signature, form and audience were verified."""
        try:
            jws = read_compact(token.decode("ascii"), TOKEN_HEADER)
        except (UnicodeDecodeError, Refused) as error:
            raise _unauthenticated("The bearer token is malformed, or not an access token.") from error
        try:
            payload = self._key.verify(jws)
        except Refused as error:
            raise _unauthenticated("The bearer token was not issued by this marketplace.") from error
        try:
            claims = _decoder.decode(payload)
        except UNREADABLE as error:
            raise _unauthenticated("The bearer token is malformed.") from error
        if claims.aud != self._audience or claims.iss != self._audience:
            raise _unauthenticated("The bearer token was issued for another marketplace.")
        if claims.iat > self._now() + CLOCK_LEEWAY_S:
            raise _unauthenticated("The bearer token was issued in the future.")
        if not claims.iat < claims.exp <= claims.iat + self._lifetime_max_s:
            raise _unauthenticated(
                "The bearer token is valid for too long (token_lifetime_max_s), or for no time at all: "
                "make another one with hansa token."
            )
        if not claims.sub:
            raise _unauthenticated("The bearer token names nobody.")
        roles = frozenset(claims.roles) & ROLES
        if claims.scope:
            roles = limited_roles(roles, claims.scope.split())
        caller = Caller(subject=claims.sub, roles=roles)
        return _VerifiedToken(caller=caller, nbf=claims.nbf, exp=claims.exp)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _token(credentials: bytes) -> bytes:
    """The token of an Authorization header."""
    scheme, _, token = credentials.partition(b" ")
    if scheme.lower() != b"bearer":
        raise _unauthenticated("The Authorization header must have the form: Bearer <token>.")
    token = token.strip()
    if not token or len(token) > TOKEN_SIZE_MAX_BYTES:
        raise _unauthenticated("The bearer token is malformed.")
    return token


def _unauthenticated(message: str) -> Refused:
    return Refused(Code.UNAUTHENTICATED, message)
