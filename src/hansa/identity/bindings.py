"""Digests that bind: a statement to its body, and what is remembered of a secret to that.

Requests between members and delegations of writes are bound to one receiver, one body and a short time: they
say this alike, and are checked alike. Secrets that are handed out are looked up by their digest.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from hansa.core.base64url import to_base64url


class BoundClaims(Protocol):
    """The claims that bind; times are seconds since 1970 (RFC 7519 NumericDate)."""

    @property
    def aud(self) -> str:
        """DID of the member that it is for."""

    @property
    def digest(self) -> str:
        """SHA-256 of the body, base64url without padding; of nothing when there is no body."""

    @property
    def iat(self) -> int:
        """When it was signed."""

    @property
    def exp(self) -> int:
        """Until when it is good."""


def secret_digest(secret: str) -> bytes:
    """By which a secret is looked up, so that what is remembered of it opens nothing."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def body_digest(body: bytes) -> str:
    """The `digest` of a body."""
    return to_base64url(hashlib.sha256(body).digest())


def violation(claims: BoundClaims, did: str, body: bytes, now_s: float, age_max_s: float) -> str | None:
    """What is wrong with a statement, as the end of a sentence about it; None: it is good here and now.

    Args:
        claims: Verified.
        did: Who receives it.
        body: As received.
        now_s: Seconds since 1970.
        age_max_s: How long it may be good, and how far the clocks of two members may be apart.
    """
    if claims.aud != did:
        return "is for another member"
    if not hmac.compare_digest(claims.digest.encode(), body_digest(body).encode()):
        return "does not fit the body"
    if claims.exp <= now_s:
        return "has expired; compare the clocks of both members"
    if claims.iat > now_s + age_max_s or not 0 < claims.exp - claims.iat <= age_max_s:
        return "is good for too long or from the future; compare the clocks of both members"
    return None
