"""What the callers of this marketplace are called to other members: names that only it can assign.

A pseudonym is an HMAC over the member that learns it and the subject of the caller's token, with a key that
follows from the secret in the folder of this marketplace. So a member recognizes a caller who comes again,
also after keys were rotated or the store was lost; two members cannot tell that they have to do with the same
one, and nobody can try out subjects.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from hansa.core.derivation import DerivationSecret

PURPOSE: Final = b"hansa pseudonyms 1"


class Pseudonyms:
    """Assigns pseudonyms.

    Args:
        secret: Of the marketplace.
    """

    def __init__(self, secret: DerivationSecret) -> None:
        self._key = secret.key(PURPOSE)

    def of(self, audience: str, subject: str) -> str:
        """The pseudonym of a caller for a member, 64 hexadecimal digits.

        Args:
            audience: DID of the member that learns it.
            subject: Of the caller's token.
        """
        return hmac.digest(self._key, f"{audience}\0{subject}".encode(), hashlib.sha256).hex()
