"""DPoP: proofs that whoever sends a request has the key to which a token is bound (RFC 9449).

A proof is a JWT that the client signs for one request: with its method and address (`htm`, `htu`), a name
that is used once (`jti`), the time, the digest of the access token that goes with it (`ath`), and at the
endpoints of the OpenID Provider a nonce that this marketplace handed out a short while ago, so that nobody
makes proofs in stock. Nonces are times under a key of this marketplace: nothing is remembered for them.

Which proofs were used is remembered until they would be too old, per key and in all. Only proofs are that
come with a token, a code or a client that is good otherwise: a stranger fills nobody's memory.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

import msgspec

from hansa.core.base64url import to_base64url
from hansa.core.bounded_json import read_object
from hansa.core.clock import Clock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.identity.credentials.times import CLOCK_LEEWAY_S, numeric_date
from hansa.identity.foreign_jws import check_critical, is_signed_by, key_of_jwk, read_foreign_jws
from hansa.identity.provider.oauth_errors import OAuthRefused

PROOF_TYPE: Final = "dpop+jwt"
PROOF_SIZE_MAX_BYTES: Final = 8192
PROOF_ALGORITHMS: Final = ("ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256")
NONCE_PURPOSE: Final = b"hansa dpop nonces 1"
NONCE_PERIOD_S: Final = 150
"""A nonce is good in its period and in the next one."""
PROOFS_MAX: Final = 200_000
PROOFS_PER_KEY_MAX: Final = 5000

_NOTHING: Final[frozenset[str]] = frozenset()
_LIMITS: Final = Limits(body_depth_max=8, body_nodes_max=200, string_length_max_chars=4096)
_ID_MAX_CHARS: Final = 256
_THUMBPRINT_MEMBERS: Final = {
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
    "RSA": ("e", "kty", "n"),
}


class Proof(msgspec.Struct, frozen=True):
    """A proof that holds."""

    thumbprint: str
    """Of the key (RFC 7638)."""
    name: bytes
    """Digest of what is used once."""


class Proofs:
    """Checks proofs. To be used on one event loop.

    Args:
        issuer: Scheme and host that proofs name in `htu`.
        nonce_key: Of this marketplace, for nothing else.
        clock: For all times.
    """

    def __init__(
        self,
        issuer: str,
        nonce_key: bytes,
        clock: Clock,
        count_max: int = PROOFS_MAX,
        per_key_max: int = PROOFS_PER_KEY_MAX,
    ) -> None:
        self._issuer = issuer
        self._nonce_key = nonce_key
        self._clock = clock
        self._count_max = count_max
        self._per_key_max = per_key_max
        self._used: dict[bytes, tuple[float, str]] = {}
        """Until when a proof is remembered, and of whose key it is; in the order of their use."""
        self._counts: dict[str, int] = {}

    def nonce(self) -> str:
        """The nonce that clients are to put into their next proof."""
        return self._nonce_of(self._period())

    def checked(
        self,
        compact: str,
        method: str,
        path: str,
        access_token: str | None = None,
        *,
        needs_nonce: bool = False,
    ) -> Proof:
        """A proof that is good for a request. It is not used up by this.

        Args:
            compact: Header `DPoP`.
            method: Of the request.
            path: Of the request, without its query.
            access_token: That goes with it.
            needs_nonce: Whether it has to have a nonce of ours.

        Raises:
            OAuthRefused: `invalid_dpop_proof`, or `use_dpop_nonce`.
        """
        try:
            proof = read_foreign_jws(compact, PROOF_SIZE_MAX_BYTES)
            check_critical(proof.header, _NOTHING)
            if proof.header.get("typ") != PROOF_TYPE or proof.algorithm not in PROOF_ALGORITHMS:
                raise _refused("is of another type or algorithm")
            jwk = proof.header.get("jwk")
            if not is_signed_by(proof, key_of_jwk(jwk)):
                raise _refused("has a wrong signature")
            claims = read_object(proof.payload, _LIMITS)
            issued_at_s = numeric_date(claims, "iat")
        except OAuthRefused:
            raise
        except Refused as error:
            raise _refused("is malformed") from error
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _ID_MAX_CHARS:
            raise _refused("has no usable jti")
        if claims.get("htm") != method or _without_query(claims.get("htu")) != f"{self._issuer}{path}":
            raise _refused("was made for another request")
        now_s = self._now_s()
        if issued_at_s is None or abs(now_s - issued_at_s) > CLOCK_LEEWAY_S:
            raise _refused("is too old, or of the future")
        if access_token is not None and claims.get("ath") != digest_text(access_token):
            raise _refused("was made for another access token")
        self._check_nonce(claims.get("nonce"), needs_nonce=needs_nonce)
        assert isinstance(jwk, dict), "it is a key"
        thumbprint = thumbprint_of(jwk)
        return Proof(thumbprint, hashlib.sha256(f"{thumbprint} {jti}".encode("utf-8", "replace")).digest())

    def use(self, proof: Proof) -> None:
        """Use a proof up; the rest of the request is good.

        Raises:
            OAuthRefused: `invalid_dpop_proof`, when it was used before.
            Unavailable: `Code.OVERLOADED`, when this key, or all together, used too many.
        """
        now_s = self._now_s()
        while self._used:
            name, (until_s, thumbprint) = next(iter(self._used.items()))
            if until_s > now_s:
                break
            self._forget(name, thumbprint)
        if proof.name in self._used:
            raise _refused("was used before")
        count = self._counts.get(proof.thumbprint, 0)
        if count >= self._per_key_max or len(self._used) >= self._count_max:
            raise Unavailable(Code.OVERLOADED, "Too many proofs at a time.", retry_after_s=60.0)
        self._counts[proof.thumbprint] = count + 1
        self._used[proof.name] = (now_s + 2 * CLOCK_LEEWAY_S + 1, proof.thumbprint)

    def _forget(self, name: bytes, thumbprint: str) -> None:
        del self._used[name]
        self._counts[thumbprint] -= 1
        if not self._counts[thumbprint]:
            del self._counts[thumbprint]

    def _check_nonce(self, nonce: Any, *, needs_nonce: bool) -> None:
        if nonce is None and not needs_nonce:
            return
        period = self._period()
        good = (self._nonce_of(period), self._nonce_of(period - 1))
        if not isinstance(nonce, str) or not any(
            hmac.compare_digest(one.encode(), nonce.encode("utf-8", "replace")) for one in good
        ):
            raise OAuthRefused("use_dpop_nonce", "The DPoP proof needs the nonce of the DPoP-Nonce header.")

    def _nonce_of(self, period: int) -> str:
        return to_base64url(hmac.new(self._nonce_key, b"%d" % period, hashlib.sha256).digest()[:18])

    def _period(self) -> int:
        return int(self._now_s()) // NONCE_PERIOD_S

    def _now_s(self) -> float:
        return self._clock.now().timestamp()


def thumbprint_of(jwk: dict[str, Any]) -> str:
    """The thumbprint of a public key (RFC 7638, SHA-256)."""
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS[jwk["kty"]]}
    return to_base64url(hashlib.sha256(msgspec.json.encode(members)).digest())


def digest_text(text: str) -> str:
    """SHA-256 of a text in base64url, as `ath` is."""
    return to_base64url(hashlib.sha256(text.encode("ascii", "replace")).digest())


def _without_query(address: Any) -> str | None:
    return address.partition("#")[0].partition("?")[0] if isinstance(address, str) else None


def _refused(what: str) -> OAuthRefused:
    return OAuthRefused("invalid_dpop_proof", f"The DPoP proof {what}.")
