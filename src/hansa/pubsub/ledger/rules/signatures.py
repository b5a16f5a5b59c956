"""Verifying the signatures of transactions, once each.

Every member checks a signature at least four times: in CheckTx, PrepareProposal, ProcessProposal and
FinalizeBlock. The outcome depends on the signed bytes and on the key alone, so `SignedText` records the key
that it was verified with. The record counts only while the registry holds that very key.
"""

from __future__ import annotations

from typing import Final

from hansa.core.cache import Cache
from hansa.core.jws import CompactJws
from hansa.core.keys import PublicJwk, VerifyingKey

KEYS_CACHED_MAX: Final = 1024


class VerifyingKeys:
    """The verifying keys of JWKs, decoded once. Bounded."""

    def __init__(self) -> None:
        self._cache: Cache[PublicJwk, VerifyingKey] = Cache("ledger_keys", KEYS_CACHED_MAX)

    def of_jwk(self, jwk: PublicJwk) -> VerifyingKey:
        """The key. Raises `Refused` with `Code.INVALID` when the JWK is no usable key."""
        key = self._cache.get(jwk)
        if key is None:
            key = VerifyingKey(jwk)
            self._cache.put(jwk, key)
        return key


class SignedText:
    """A compact JWS with the key that its signature has been verified with."""

    __slots__ = ("_parts", "_verified_with", "jws")

    def __init__(self, jws: str, parts: CompactJws) -> None:
        self.jws = jws
        self._parts = parts
        self._verified_with: PublicJwk | None = None

    @property
    def kid(self) -> str:
        """Name of the key that is said to have signed it."""
        return self._parts.kid

    def verify(self, jwk: PublicJwk, keys: VerifyingKeys) -> None:
        """Check the signature against exactly this key.

        Raises:
            Refused: `Code.EVENT_SIGNATURE_INVALID`.
        """
        if self._verified_with == jwk:
            return
        keys.of_jwk(jwk).verify(self._parts)
        self._verified_with = jwk
