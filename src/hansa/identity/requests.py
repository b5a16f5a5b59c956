"""Signed requests between members: who asks is proved anew with every request.

The header `Member-Token` carries a JWT that the calling member signs with a key that the ledger's registry
holds for it. It is bound to one request: to the member called (`aud`), the method (`htm`), the whole URL with
its query (`htu`), the body (`digest`), and a short time (`iat`, `exp`); `jti` makes it valid once. The names
are those of DPoP (RFC 9449). docs/decisions/0004-requests-between-members.md says why it is not an HTTP
message signature.

The called member compares `htu` with its own registered endpoint, not with the `Host` header: a proxy in
front of it may change the host, but not path and query.

Used `jti`s are remembered until their tokens expire, which is at most twice `request_age_max_s` from now.
They are remembered per member, so that a member that calls too often locks out itself alone; and only after
the signature was verified, so that nobody else can fill the memory.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from hansa.core.clock import Clock
from hansa.core.closed_json import FreeText, Record, Text
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.http import MEMBER_TOKEN_HEADER
from hansa.core.identifiers import Entropy, uuid7
from hansa.core.jws import NUMERIC_DATE, read_compact, token_header
from hansa.core.keys import KeySigner
from hansa.core.limits import Limits
from hansa.core.members import Member
from hansa.identity.bindings import body_digest, violation
from hansa.identity.verifying_keys import VerifyingKeys

_HEADER_LOWER: Final = MEMBER_TOKEN_HEADER.lower()
_HEADER_LOWER_BYTES: Final = _HEADER_LOWER.encode()
TOKEN_TYPE: Final = "member-request+jwt"  # noqa: S105 - a media type, not a secret
TOKEN_HEADER: Final = token_header(TOKEN_TYPE)
TOKEN_SIZE_MAX_BYTES: Final = 8192
USED_PER_MEMBER_MAX: Final = 50_000
"""Tokens of one member within the time that one is valid; more than a member has a use for."""


class RequestClaims(msgspec.Struct, frozen=True):
    """The payload; times are seconds since 1970 (RFC 7519 NumericDate)."""

    iss: str
    aud: str
    htm: str
    htu: str
    digest: str
    """SHA-256 of the body, base64url without padding; of nothing when there is no body."""
    iat: int
    exp: int
    jti: str


_CLAIMS: Final = Record(
    {
        "aud": FreeText(256),
        "digest": Text("[A-Za-z0-9_-]{43}"),
        "exp": NUMERIC_DATE,
        "htm": Text("[A-Z]{1,16}"),
        "htu": FreeText(4096),
        "iat": NUMERIC_DATE,
        "iss": FreeText(256),
        "jti": Text("[0-9a-f-]{36}"),
    }
)
"""The payload, as the member that is asked reads it."""


class MemberSigner:
    """The `RequestSigner` of this member."""

    def __init__(self, key: KeySigner, did: str, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        self._key = key
        self._did = did
        self._clock = clock
        self._entropy = entropy
        self._age_max_s = limits.request_age_max_s

    def headers(self, audience: str, method: str, url: str, body: bytes) -> dict[str, str]:
        """Headers that bind this member's identity to one request to the member with DID `audience`."""
        moment = self._clock.now()
        now = int(moment.timestamp())
        claims = RequestClaims(
            iss=self._did,
            aud=audience,
            htm=method,
            htu=url,
            digest=body_digest(body),
            iat=now,
            exp=now + int(self._age_max_s),
            jti=uuid7(moment, self._entropy),
        )
        payload = _CLAIMS.write(msgspec.structs.asdict(claims))
        return {MEMBER_TOKEN_HEADER: self._key.sign(payload, TOKEN_HEADER, typ=TOKEN_TYPE)}


class MemberCallerCheck:
    """The `CallerCheck` of this member.

    Args:
        did: This member.
        endpoints: Where its registered endpoint is, and was until a short time ago.
        members: The current members.
        clock: For the age of requests.
        limits: `request_age_max_s`.
        used_per_member_max: Tokens of a member that are remembered.
        on_request: Called with the DID of the member, for each of its requests.
    """

    def __init__(
        self,
        did: str,
        endpoints: Callable[[], Collection[str]],
        members: Callable[[], Iterable[Member]],
        clock: Clock,
        limits: Limits,
        used_per_member_max: int = USED_PER_MEMBER_MAX,
        on_request: Callable[[str], None] | None = None,
    ) -> None:
        self._did = did
        self._endpoints = endpoints
        self._members = members
        self._clock = clock
        self._age_max_s = limits.request_age_max_s
        self._used_per_member_max = used_per_member_max
        self._on_request = on_request
        self._used: dict[str, dict[str, int]] = {}
        """By member.

        The `jti`s of its tokens in the order of their receipt, with when each may be forgotten.
        """
        self.keys: Final = VerifyingKeys()

    async def member(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> str | None:
        """DID of the member whose registered key signed the request; None when it is not signed.

        Args:
            method: As in the request line.
            url: The whole URL, or path and query alone.
            headers: Lower-case names.
            body: As received.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when there is a signature and it does not verify.
            Unavailable: `Code.OVERLOADED`, when that member sent more tokens than are remembered.
        """
        compact = headers.get(_HEADER_LOWER)
        if compact is None:
            return None
        claims = self._verified(compact)
        self._check_binding(claims, method, url, body)
        self._check_unused(claims)
        if self._on_request is not None:
            self._on_request(claims.iss)
        return claims.iss

    def claimed(self, headers: Mapping[bytes, bytes]) -> str | None:
        """DID of the member that signed the token of a request, whose body is not needed for it.

        It says in whose name a request counts, before it is complete. Who calls is decided by `member`.

        Args:
            headers: Lower-case names.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when there is a token and it does not verify.
        """
        compact = headers.get(_HEADER_LOWER_BYTES)
        if compact is None:
            return None
        claims = self._verified(compact.decode("latin-1"))
        if claims.aud != self._did or claims.exp <= self._clock.now().timestamp():
            raise _refused("is for another member, or has expired")
        return claims.iss

    def _verified(self, compact: str) -> RequestClaims:
        """The claims of a token that a member signed; one that is suspended publishes nothing, and reads."""
        if len(compact) > TOKEN_SIZE_MAX_BYTES:
            raise _refused("is too long")
        try:
            jws = read_compact(compact, TOKEN_HEADER)
            claims = RequestClaims(**_CLAIMS.read(jws.payload))
        except Refused as error:
            raise _refused("is malformed, or not for a request between members") from error
        member = next((one for one in self._members() if one.did == claims.iss), None)
        if member is None or not member.is_current:
            raise _refused("is not of a member of the league")
        self.keys.check_signature(jws, member, _refused)
        return claims

    def _check_binding(self, claims: RequestClaims, method: str, url: str, body: bytes) -> None:
        """Refuse a token that was made for another request, another member or another time."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        is_for_us = any(
            hmac.compare_digest(claims.htu.encode(), f"{endpoint}{target}".encode())
            for endpoint in self._endpoints()
        )
        if claims.htm != method or not is_for_us:
            raise _refused("is for another request")
        now_s = self._clock.now().timestamp()
        wrong = violation(claims, self._did, body, now_s, self._age_max_s)
        if wrong is not None:
            raise _refused(wrong)

    def _check_unused(self, claims: RequestClaims) -> None:
        """Refuse a token that was used before, and remember this one."""
        used = self._used.setdefault(claims.iss, {})
        now = self._clock.now().timestamp()
        while used and next(iter(used.values())) <= now:
            del used[next(iter(used))]
        if claims.jti in used:
            raise _refused("was used before")
        if len(used) >= self._used_per_member_max:
            raise Unavailable(
                Code.OVERLOADED, "Too many requests of this member.", retry_after_s=self._age_max_s
            )
        # They are forgotten in the order of receipt, so each must stay at least until the latest moment at
        # which any token that is received now can expire.
        forget_at = int(now + 2 * self._age_max_s) + 1
        assert forget_at > claims.exp, "a token is remembered for longer than it is valid"
        used[claims.jti] = forget_at
        assert len(used) <= self._used_per_member_max, "the memory is bounded"


def _refused(what: str) -> Refused:
    return Refused(Code.UNAUTHENTICATED, f"The {MEMBER_TOKEN_HEADER} header {what}.")
