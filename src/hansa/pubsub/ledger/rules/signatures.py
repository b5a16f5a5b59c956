"""Verifying the signatures of transactions, once each.

Every member checks a signature at least four times: in CheckTx, PrepareProposal, ProcessProposal and
FinalizeBlock. The outcome depends on the signed bytes and on the key alone, so it is remembered by the
SHA-256 of the JWS, together with the key. The memory has room for all that may wait for a block.
"""

from __future__ import annotations

import hashlib
from typing import Final

from hansa.core.cache import Cache
from hansa.core.jws import CompactJws
from hansa.core.keys import PublicJwk, VerifyingKey

KEYS_CACHED_MAX: Final = 1024
VERIFIED_MAX: Final = 8192


class Signatures:
    """Verifies signatures, and remembers those that did verify. Bounded."""

    def __init__(self) -> None:
        self._keys: Cache[PublicJwk, VerifyingKey] = Cache("ledger_keys", KEYS_CACHED_MAX)
        self._verified: Cache[bytes, PublicJwk] = Cache("ledger_signatures", VERIFIED_MAX)

    def verify(self, jws: str, parts: CompactJws, jwk: PublicJwk) -> None:
        """Check a compact JWS against exactly this key.

        Raises:
            Refused: `Code.EVENT_SIGNATURE_INVALID`; `Code.INVALID`, when the JWK is no usable key.
        """
        digest = hashlib.sha256(jws.encode("ascii")).digest()
        if self._verified.get(digest) == jwk:
            return
        key = self._keys.get(jwk)
        if key is None:
            key = VerifyingKey(jwk)
            self._keys.put(jwk, key)
        key.verify(parts)
        self._verified.put(digest, jwk)
