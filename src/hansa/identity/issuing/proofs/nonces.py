"""Nonces for proofs of keys (OpenID4VCI 1.0, section 7): each is good for some minutes, and once.

Anybody may have as many as they like, so nothing is remembered about one that was given out: it carries its
end and is authenticated by a key of this process. Only those that a proof used are remembered, until they
would have ended.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from hansa.core.base64url import from_base64url, to_base64url
from hansa.core.errors import Refused
from hansa.core.identifiers import Entropy
from hansa.identity.credentials.replay import RecentPresentations
from hansa.identity.issuing.refusals import IssuingRefused

NONCE_LIFE_S: Final = 300
NONCES_USED_MAX: Final = 50_000
_RANDOM_BYTES: Final = 16
_TIME_BYTES: Final = 8


class ProofNonces:
    """Gives nonces out, and takes each back once."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._key = entropy(32)
        self._used = RecentPresentations(NONCES_USED_MAX)

    def new(self, now_s: int) -> str:
        """A nonce."""
        content = self._entropy(_RANDOM_BYTES) + (now_s + NONCE_LIFE_S).to_bytes(_TIME_BYTES)
        return to_base64url(content + self._tag(content))

    def use(self, nonce: str, now_s: int) -> None:
        """Take a nonce back.

        Raises:
            IssuingRefused: `invalid_nonce`, when it is not one of ours, has ended, or was used.
            Unavailable: `Code.OVERLOADED`.
        """
        try:
            raw = from_base64url(nonce)
        except ValueError:
            raw = b""
        content, tag = raw[: _RANDOM_BYTES + _TIME_BYTES], raw[_RANDOM_BYTES + _TIME_BYTES :]
        if not hmac.compare_digest(tag, self._tag(content)):
            raise IssuingRefused("invalid_nonce", "The nonce is none of this issuer's.")
        end_s = int.from_bytes(content[_RANDOM_BYTES:])
        if now_s >= end_s:
            raise IssuingRefused("invalid_nonce", "The nonce has ended.")
        try:
            self._used.use(content, now_s, end_s)
        except Refused as error:
            raise IssuingRefused("invalid_nonce", "The nonce was used before.") from error

    def _tag(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)
