"""What the callers of this marketplace are called to other members: names that only it can assign.

A pseudonym is an HMAC over the member that learns it and the subject of the caller's token, with a secret
that never leaves the store. So a member recognizes a caller who comes again, two members cannot tell that
they have to do with the same one, and nobody can try out subjects.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from hansa.core.identifiers import Entropy
from hansa.store import Store
from hansa.store.tables import facts

SECRET_SIZE_BYTES: Final = 32


class Pseudonyms:
    """Assigns pseudonyms.

    Args:
        store: Has the secret.
        entropy: Makes it, once.
    """

    def __init__(self, store: Store, entropy: Entropy) -> None:
        self._store = store
        self._entropy = entropy
        self._secret: bytes | None = None

    async def of(self, audience: str, subject: str) -> str:
        """The pseudonym of a caller for a member, 64 hexadecimal digits.

        Args:
            audience: DID of the member that learns it.
            subject: Of the caller's token.
        """
        secret = self._secret or await self._stored()
        return hmac.digest(secret, f"{audience}\0{subject}".encode(), hashlib.sha256).hex()

    async def _stored(self) -> bytes:
        async with self._store.transaction() as tx:
            text = await facts.value(tx, "pseudonym_secret")
            if text is None:
                text = self._entropy(SECRET_SIZE_BYTES).hex()
                await facts.record(tx, "pseudonym_secret", text)
        self._secret = bytes.fromhex(text)
        assert len(self._secret) == SECRET_SIZE_BYTES, "it was made here"
        return self._secret
